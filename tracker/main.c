/* wanmeter-tracker: one shard: packets in, usage and flow records out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bus.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/process_status.h"
#include "common/sandbox.h"
#include "proto/account_change.h"
#include "proto/change.h"
#include "proto/downlink.h"
#include "tracker/account.h"
#include "tracker/duplicate.h"
#include "tracker/flow.h"
#include "tracker/label.h"
#include "tracker/link.h"
#include "tracker/meter.h"
#include "tracker/output.h"
#include "tracker/query.h"
#include "tracker/tracker.h"

enum {
    /* Rows that make a commit point. A replay's last flows come all at once, and the exporter
     * begins while they do; live, commit points that nobody waits for would only be more
     * transactions. */
    ROWS_BYTES_REPLAY = 512 * 1024,
    ROWS_BYTES_LIVE = 2 * 1024 * 1024,
    GOODBYE_TURN_MS = 50,
    REPORT_MS = 500,
};

/* ---- the packet's way ---- */

/* Some packets before their turn, so that the memory they need has come by then. */
static void on_ahead(void *state, struct merge_packet *packets, size_t n)
{
    const struct tracker *tracker = state;
    for (size_t i = 0; i < n; i++)
        if (packets[i].packet.class_index == CLASS_CONNECTION)
            flow_table_key(tracker->flows, &packets[i].packet, &packets[i].key);
    for (size_t i = 0; i < n; i++)
        if (packets[i].packet.class_index == CLASS_CONNECTION)
            flow_table_prefetch(tracker->flows, &packets[i].key);
}

/* An earlier run's change that does not go with today's configuration. */
static void warn_of_refused(const struct change *change, const struct change_result *result)
{
    if (account_change_is(change) && change->n_words > 2)
        log_warning("not restored: account %s %s: %s", change->words[1], change->words[2],
                    result->answer);
}

/* What is over by now was over before the step: so it does not matter which timer has looked. */
static void on_clock_step(struct tracker *tracker, int64_t clock_ns, int64_t step_ns)
{
    if (step_ns == tracker->clock.step_ns)
        return;
    while (flow_table_advance(tracker->flows, clock_ns))
        ;
    bill_clock_step(&tracker->clock, clock_ns, step_ns);
}

/* A change that somebody asked for, at its place among the packets. */
static void on_change(struct tracker *tracker, const struct packet *packet)
{
    struct change change;
    struct change_result result;
    if (!change_decode(packet->payload, packet->payload_bytes, &change) || change.n_words == 0) {
        tracker_fail(tracker, "a change does not decode");
        return;
    }
    int64_t step_ns;
    if (clock_step_of(&change, &step_ns)) {
        on_clock_step(tracker, packet->clock_ns, step_ns);
        return;
    }
    control_apply(&tracker->control, &change, &result);
    query_note(tracker->query, &change, &result);
    output_add_change(tracker->output, &change, &result); /* a successor here needs it too */
    if (account_change_is(&change) && result.error == ENOMEM)
        tracker_fail(tracker, "no memory for a change of the accounts");
    if (change.is_restored && result.error && tracker->arguments.shard == 0)
        warn_of_refused(&change, &result);
}

/* What is not counted here: a change, or a packet whose home is another shard. Out of the way of
 * what is, which needs no room for it; as are charge_class() and charge_copy(). */
static __attribute__((noinline)) void on_aside(struct tracker *tracker, const struct packet *packet,
                                               const struct flow_key *key)
{
    if (packet->extra & PACKET_CHANGE)
        on_change(tracker, packet);
    if (packet->extra & PACKET_LINK)
        link_table_observe(tracker->links, packet);
    if (packet->extra & PACKET_OPENING)
        flow_table_note_opening(tracker->flows, packet);
    if (packet->extra & PACKET_SHADOW && packet->class_index == CLASS_CONNECTION)
        flow_table_add_shadow(tracker->flows, packet, key);
}

/* These return what they charge: so that of a flow's packet nothing of it is put into memory. */
static struct charge charge_flow(struct tracker *tracker, const struct packet *packet,
                                 const struct flow_key *key)
{
    struct flow_charge flow;
    flow_table_add(tracker->flows, packet, key, &flow);
    return (struct charge){
        .account = flow.account,
        .wan = packet->wan,
        .class_index = flow.class_index,
        .billed_bytes = flow.billed_bytes,
    };
}

/* A packet that is in no flow. */
static __attribute__((noinline)) struct charge charge_class(struct tracker *tracker,
                                                            const struct packet *packet)
{
    struct charge charge = {.wan = packet->wan, .class_index = packet->class_index};
    struct link_charge link;
    link_table_charge(tracker->links, packet, NULL, &link);
    charge.billed_bytes = link.billed_bytes;
    charge.account = packet->class_index == CLASS_ICMP_ERROR
                         ? flow_table_account_about(tracker->flows, packet, &charge.wan)
                         : account_of_packet(tracker->accounts, packet);
    return charge;
}

/* A packet that was counted before: the mirror showed it twice. */
static __attribute__((noinline)) struct charge charge_copy(const struct tracker *tracker,
                                                           const struct packet *packet)
{
    return (struct charge){
        .account = account_of_packet(tracker->accounts, packet),
        .wan = packet->wan,
        .class_index = CLASS_DUPLICATE,
    };
}

static void on_packet(struct tracker *tracker, const struct packet *packet,
                      const struct flow_key *key)
{
    flow_table_advance(tracker->flows, packet->clock_ns);
    bool is_copy = tracker->duplicates && packet->fingerprint &&
                   duplicate_table_has(tracker->duplicates, packet->fingerprint, packet->clock_ns);
    if (!packet_is_counted(packet)) {
        if (!is_copy)
            on_aside(tracker, packet, key);
        return;
    }
    struct charge charge;
    if (is_copy)
        charge = charge_copy(tracker, packet);
    else if (packet->class_index == CLASS_CONNECTION)
        charge = charge_flow(tracker, packet, key);
    else
        charge = charge_class(tracker, packet);
    charge.clock_ns = bill_clock_at(&tracker->clock, packet->clock_ns);
    meter_add(tracker->meter, packet, &charge);
}

static void on_packets(void *state, const struct merge_turn *turn)
{
    const struct merge_turn own = *turn; /* what is written meanwhile is surely not in it */
    for (size_t i = 0; i < own.n; i++) {
        const struct merge_packet *next = merge_turn_at(&own, i);
        on_packet(state, &next->packet, &next->key);
    }
}

static void on_batch_end(void *state, const struct message *batch)
{
    struct tracker *tracker = state;
    for (size_t i = 0; i < batch->n_losses; i++)
        output_add_loss(tracker->output, &batch->losses[i]);
    for (size_t i = 0; i < batch->n_sources; i++)
        output_add_source(tracker->output, &batch->sources[i]);
}

static_assert((int)MERGE_AHEAD_MAX <= (int)METER_SPARE,
              "the meter is not asked before each packet");

bool tracker_is_pausing(void *state)
{
    const struct tracker *tracker = state;
    return meter_is_full(tracker->meter) ||
           output_pending_bytes(tracker->output) >= tracker->rows_bytes ||
           merge_taken_bytes(tracker->merge) >= tracker->commit_bytes;
}

static void on_record(void *state, const struct flow_record *record)
{
    struct tracker *tracker = state;
    output_add_flow(tracker->output, record);
}

static void on_event(void *state, const struct connection_event *event)
{
    struct tracker *tracker = state;
    output_add_event(tracker->output, event);
}

/* ---- open, close ---- */

static int open_tables(struct tracker *tracker)
{
    const struct config *config = &tracker->arguments.config;
    struct flow_options flow_options = {
        .config = config,
        .connections_max = (size_t)config->tracker.connections_max / tracker->arguments.n_shards,
        .sink =
            {
                .on_record = config->tracker.flow_records ? on_record : NULL,
                .on_event = config->tracker.connection_events ? on_event : NULL,
                .state = tracker,
                .clock = &tracker->clock,
            },
    };
    if (flow_options.connections_max == 0)
        flow_options.connections_max = 1;
    struct merge_handlers handlers = {on_ahead,
                                      on_packets,
                                      on_batch_end,
                                      tracker_is_pausing,
                                      tracker_on_set_aside,
                                      tracker,
                                      hand_watch(tracker->hand),
                                      tracker_on_drained};
    int result = account_table_create(config, &tracker->accounts);
    flow_options.accounts = tracker->accounts;
    if (result == 0)
        result = link_table_create(config, &tracker->links);
    flow_options.links = tracker->links;
    if (result == 0 && config->capture.duplicate_window_ns)
        result = duplicate_table_create(config->capture.duplicate_window_ns, &tracker->duplicates);
    if (result == 0)
        result = flow_table_create(&flow_options, &tracker->flows);
    if (result == 0)
        tracker->control = (struct control){
            .flows = tracker->flows,
            .accounts = tracker->accounts,
            .names = {config, label_table_names(flow_table_labels(tracker->flows)),
                      account_table_names(tracker->accounts)},
            .bus = tracker->bus,
            .shard = tracker->arguments.shard,
        };
    if (result == 0)
        result = meter_create(&tracker->meter);
    if (result == 0)
        result = merge_create(tracker->arguments.n_workers, &handlers, &tracker->merge);
    tracker->points = calloc(POINTS_MAX, sizeof *tracker->points);
    return result == 0 && !tracker->points ? -1 : result;
}

/* In the run directory, as its sockets. */
static int open_hand(struct tracker *tracker)
{
    char path[512];
    const char *directory = tracker->arguments.run_directory;
    snprintf(path, sizeof path, "%s/%s.page", directory, tracker->name);
    tracker->epoch = uplink_epoch();
    int result = hand_open(path, &tracker->hand);
    if (result < 0)
        log_error("%s: %s", path, strerror(-result));
    return result;
}

static int open_output(struct tracker *tracker)
{
    char endpoint[512];
    arguments_endpoint(&tracker->arguments, "exporter.sock", endpoint, sizeof endpoint);
    struct uplink_options options = {
        .endpoint = endpoint,
        .stream = {.epoch = tracker->epoch, .shard = tracker->arguments.shard},
        .predecessor = hand_predecessor(tracker->hand),
        .window_bytes = (size_t)tracker->arguments.config.tracker.window_bytes,
        .on_committed = tracker_on_committed,
        .on_welcome = tracker_on_welcome,
        .on_restored = tracker_on_restored,
        .state = tracker,
    };
    snprintf(options.stream.producer, sizeof options.stream.producer, "%s", tracker->name);
    return output_open(tracker->bus, &options, &tracker->output);
}

static int open_input(struct tracker *tracker)
{
    char endpoint[512];
    char name[64];
    snprintf(name, sizeof name, "%s.sock", tracker->name);
    arguments_endpoint(&tracker->arguments, name, endpoint, sizeof endpoint);
    struct downlink_options options = {
        .endpoint = endpoint,
        .producer = "capture",
        .shard = tracker->arguments.shard,
        .n_streams = tracker->arguments.n_workers,
        .ring_directory = tracker->arguments.run_directory,
        .on_hello = tracker_on_hello,
        .can_welcome = tracker_can_welcome,
        .on_batch = tracker_on_batch,
        .state = tracker,
    };
    return downlink_open(tracker->bus, &options, &tracker->input);
}

static int open_query(struct tracker *tracker)
{
    char endpoint[512];
    char name[32];
    snprintf(name, sizeof name, "ct-%u.sock", tracker->arguments.shard);
    arguments_endpoint(&tracker->arguments, name, endpoint, sizeof endpoint);
    struct query_settings settings = {
        .endpoint = endpoint,
        .control = &tracker->control,
        .shard = tracker->arguments.shard,
        .n_shards = tracker->arguments.n_shards,
    };
    return query_open(tracker->bus, &settings, &tracker->query);
}

/* A commit point at the latest when half of what a worker may keep unacknowledged is taken: it must
 * never wait for ever. */
static size_t commit_bytes(const struct arguments *arguments)
{
    int64_t half_window = arguments->config.capture.window_bytes / arguments->n_shards / 2;
    int64_t wanted = arguments->config.tracker.commit_bytes;
    return (size_t)(wanted < half_window ? wanted : half_window);
}

static void on_report_timer(void *state)
{
    struct tracker *tracker = state;
    struct report *report = &tracker->report;
    int64_t flows_max =
        tracker->arguments.config.tracker.connections_max / tracker->arguments.n_shards;
    report_value(report, "flows", (int64_t)flow_table_count(tracker->flows));
    report_value(report, "flows_max", flows_max);
    report_value(report, "probe_lines_max", (int64_t)flow_table_probe_lines(tracker->flows));
    report_value(report, "held_bytes", (int64_t)output_held_bytes(tracker->output));
    report_value(report, "watermark_ns", tracker->settled_ns);
    report_value(report, "peers_refused", (int64_t)bus_refused(tracker->bus));
    report_tick(report);
}

static int tracker_open(struct tracker *tracker)
{
    snprintf(tracker->name, sizeof tracker->name, "tracker-%u", tracker->arguments.shard);
    log_open(tracker->name);
    heap_one_pool();
    tracker->settled_ns = tracker->committed_ns = INT64_MIN;
    tracker->commit_bytes = commit_bytes(&tracker->arguments);
    tracker->rows_bytes = tracker->arguments.is_live ? ROWS_BYTES_LIVE : ROWS_BYTES_REPLAY;
    uint64_t commit_ms =
        (uint64_t)tracker->arguments.config.tracker.commit_interval_ns / 1000000 + 1;

    int result = arguments_enter_run_directory(&tracker->arguments);
    if (result == 0)
        result = sandbox_enter(SANDBOX_TRACKER, &tracker->arguments, &tracker->sandbox);
    if (result == 0)
        report_open(tracker->arguments.run_directory, tracker->name, &tracker->report);
    if (result == 0)
        result = loop_create(&tracker->loop);
    if (result == 0)
        result = bus_create(tracker->loop, &tracker->bus);
    if (result == 0)
        result = open_hand(tracker);
    if (result == 0)
        result = open_tables(tracker);
    if (result == 0)
        result = open_output(tracker);
    if (result == 0)
        result = open_input(tracker);
    if (result == 0)
        result = open_query(tracker);
    if (result == 0)
        result = loop_add_timer(tracker->loop, commit_ms, tracker_on_commit_timer, tracker);
    if (result == 0)
        result = loop_add_timer(tracker->loop, GOODBYE_TURN_MS, tracker_on_parting_timer, tracker);
    if (result == 0)
        result = loop_add_signals(tracker->loop, tracker_on_signal, tracker);
    if (result == 0)
        result = loop_add_signal(tracker->loop, PROCESS_IS_LAST, tracker_on_last, tracker);
    if (result == 0)
        result = loop_add_turn(tracker->loop, tracker_on_turn, tracker);
    if (result == 0)
        result = loop_add_timer(tracker->loop, REPORT_MS, on_report_timer, tracker);
    if (result == 0)
        result = sandbox_filter(&tracker->sandbox);
    if (result == 0) {
        report_sandbox(&tracker->report, &tracker->sandbox);
        report_ready(&tracker->report);
    }
    if (result < 0)
        log_error("cannot start: %s", strerror(-result));
    heap_keep_pages();
    return result;
}

static void tracker_close(struct tracker *tracker)
{
    downlink_close(tracker->input);
    output_close(tracker->output);
    merge_destroy(tracker->merge);
    meter_destroy(tracker->meter);
    flow_table_destroy(tracker->flows);
    link_table_destroy(tracker->links);
    duplicate_table_destroy(tracker->duplicates);
    account_table_destroy(tracker->accounts);
    query_close(tracker->query);
    bus_destroy(tracker->bus);
    report_close(&tracker->report);
    loop_destroy(tracker->loop);
    free(tracker->resume);
    free(tracker->points);
    tracker_restoring_deinit(&tracker->restoring);
    memory_deinit(&tracker->memory);
    hand_close(tracker->hand, tracker->phase == PHASE_PARTING && tracker->status == 0);
    arguments_deinit(&tracker->arguments);
}

int main(int argc, char **argv)
{
    static struct tracker tracker;
    int status = arguments_read(argc, argv, "wanmeter-tracker", &tracker.arguments);
    if (status)
        return status;
    if (tracker_open(&tracker) == 0)
        loop_run(tracker.loop);
    else
        tracker.status = PROCESS_CANNOT_START;
    status = tracker.status;
    tracker_close(&tracker);
    return status;
}
