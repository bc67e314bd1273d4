/* wanmeter-tracker: one shard: packets in, usage and flow records out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arguments.h"
#include "common/bus.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/loop.h"
#include "proto/account_change.h"
#include "proto/change.h"
#include "proto/downlink.h"
#include "proto/seal.h"
#include "tracker/account.h"
#include "tracker/control.h"
#include "tracker/duplicate.h"
#include "tracker/flow.h"
#include "tracker/label.h"
#include "tracker/link.h"
#include "tracker/merge.h"
#include "tracker/meter.h"
#include "tracker/output.h"
#include "tracker/query.h"

enum {
    PACKETS_A_TURN = 8192,
    FLOWS_A_TURN = 4096,
    OUTPUT_BYTES_MAX = 2 * 1024 * 1024, /* rows that make a commit point */
    OUTPUT_WINDOW_BYTES = 32 * 1024 * 1024,
    GOODBYE_TURN_MS = 50,
    GOODBYE_MS = 5000, /* how long to wait for peers that do not say goodbye */
};

enum phase {
    PHASE_WAITING, /* for the exporter to say where to resume */
    PHASE_RUNNING,
    PHASE_FINISHING, /* the input has ended: every flow ends */
    PHASE_DRAINING,  /* everything is sent: wait until it is committed */
    PHASE_PARTING,   /* acknowledged upstream: wait for the goodbyes */
};

/* Which batches of each worker a commit point has the effect of. */
struct point {
    int64_t seq; /* of the record batch */
    int64_t applied_seq[WORKERS_MAX];
};

enum { POINTS_MAX = 4096 };

struct tracker {
    struct arguments arguments;
    struct loop *loop;
    struct bus *bus;
    struct downlink *input;
    struct merge *merge;
    struct account_table *accounts;
    struct link_table *links;
    struct duplicate_table *duplicates; /* NULL: copies are not looked for */
    struct flow_table *flows;
    struct meter *meter;
    struct output *output;
    struct control control;
    struct query *query;

    enum phase phase;
    struct high_water *resume; /* of the capture streams, as the exporter has them committed */
    size_t n_resume;
    struct point *points; /* not yet committed: a ring of POINTS_MAX */
    size_t first_point, n_points;
    size_t commit_bytes;
    int64_t settled_ns;   /* all that is due by then has been done */
    int64_t committed_ns; /* the last commit point's */
    bool is_commit_due;
    uint64_t parting_since_ms;
    int status;
    char name[32];
};

static void fail(struct tracker *tracker, const char *what)
{
    log_error("%s", what);
    tracker->status = 1;
    loop_stop(tracker->loop);
}

/* ---- the packet's way ---- */

/* Some packets before their turn, so that the memory they need has come by then. */
static void on_ahead(void *state, const struct packet *packet, struct flow_key *key)
{
    const struct tracker *tracker = state;
    if (packet->class_index == CLASS_CONNECTION)
        flow_table_key(tracker->flows, packet, key);
}

static void on_near(void *state, const struct packet *packet, const struct flow_key *key)
{
    const struct tracker *tracker = state;
    if (packet->class_index == CLASS_CONNECTION)
        flow_table_prefetch(tracker->flows, key);
}

/* The first shard tells of all changes, the others of what was done in them alone. A new account's
 * name goes ahead of the records that have its number, in every shard. */
static bool is_told(const struct tracker *tracker, const struct change *change,
                    const struct change_result *result)
{
    bool is_in_one_shard = strcmp(change->words[0], "ct") == 0;
    bool is_recorded = is_in_one_shard || tracker->arguments.shard == 0;
    bool has_name = result->error == 0 && account_change_name(change);
    return has_name || (is_recorded && !change->is_restored);
}

/* An earlier run's change that does not go with today's configuration. */
static void warn_of_refused(const struct change *change, const struct change_result *result)
{
    if (account_change_is(change) && change->n_words > 2)
        log_warning("not restored: account %s %s: %s", change->words[1], change->words[2],
                    result->answer);
}

/* A change that somebody asked for, at its place among the packets. */
static void on_change(struct tracker *tracker, const struct packet *packet)
{
    struct change change;
    struct change_result result;
    if (!change_decode(packet->payload, packet->payload_bytes, &change) || change.n_words == 0) {
        fail(tracker, "a change does not decode");
        return;
    }
    control_apply(&tracker->control, &change, &result);
    query_note(tracker->query, &change, &result);
    if (is_told(tracker, &change, &result))
        output_add_change(tracker->output, &change, &result);
    if (account_change_is(&change) && result.error == ENOMEM)
        fail(tracker, "no memory for a change of the accounts");
    if (change.is_restored && result.error && tracker->arguments.shard == 0)
        warn_of_refused(&change, &result);
}

/* What is not counted here: a change, or a packet whose home is another shard. */
static void on_aside(struct tracker *tracker, const struct packet *packet,
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

static void charge_flow(struct tracker *tracker, const struct packet *packet,
                        const struct flow_key *key, struct charge *charge)
{
    struct flow_charge flow;
    if (flow_table_add(tracker->flows, packet, key, &flow) == FLOW_OVERFLOW)
        charge->class_index = CLASS_OVERFLOW;
    else
        charge->class_index = flow_table_judgement(tracker->flows)->class_index;
    charge->account = flow.account;
    charge->billed_bytes = flow.billed_bytes;
}

/* A packet that is in no flow. */
static void charge_class(struct tracker *tracker, const struct packet *packet,
                         struct charge *charge)
{
    struct link_charge link;
    link_table_charge(tracker->links, packet, NULL, &link);
    charge->billed_bytes = link.billed_bytes;
    charge->account = packet->class_index == CLASS_ICMP_ERROR
                          ? flow_table_account_about(tracker->flows, packet, &charge->wan)
                          : account_of_packet(tracker->accounts, packet);
}

/* A packet that was counted before: the mirror showed it twice. */
static void charge_copy(const struct tracker *tracker, const struct packet *packet,
                        struct charge *charge)
{
    charge->class_index = CLASS_DUPLICATE;
    charge->account = account_of_packet(tracker->accounts, packet);
    charge->billed_bytes = 0;
}

static void on_packet(void *state, const struct packet *packet, const struct flow_key *key)
{
    struct tracker *tracker = state;
    struct charge charge = {.wan = packet->wan, .class_index = packet->class_index};

    flow_table_advance(tracker->flows, packet->clock_ns);
    bool is_copy = tracker->duplicates && packet->fingerprint &&
                   duplicate_table_has(tracker->duplicates, packet->fingerprint, packet->clock_ns);
    if (!packet_is_counted(packet)) {
        if (!is_copy)
            on_aside(tracker, packet, key);
        return;
    }
    if (is_copy)
        charge_copy(tracker, packet, &charge);
    else if (packet->class_index == CLASS_CONNECTION)
        charge_flow(tracker, packet, key, &charge);
    else
        charge_class(tracker, packet, &charge);
    meter_add(tracker->meter, packet, &charge);
}

static void on_batch_end(void *state, const struct message *batch)
{
    struct tracker *tracker = state;
    for (size_t i = 0; i < batch->n_losses; i++)
        output_add_loss(tracker->output, &batch->losses[i]);
    for (size_t i = 0; i < batch->n_sources; i++)
        output_add_source(tracker->output, &batch->sources[i]);
}

static bool is_pausing(void *state)
{
    const struct tracker *tracker = state;
    return meter_is_full(tracker->meter) ||
           output_pending_bytes(tracker->output) >= OUTPUT_BYTES_MAX ||
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

static void on_usage(void *state, const struct usage_delta *delta)
{
    struct tracker *tracker = state;
    output_add_usage(tracker->output, delta);
}

/* ---- commit points ---- */

static void commit(struct tracker *tracker, bool end_of_stream)
{
    struct high_water marks[WORKERS_MAX];
    meter_take(tracker->meter, on_usage, tracker);
    struct commit_point point = {
        .applied = marks,
        .n_applied = merge_applied(tracker->merge, marks),
        .watermark_ns = tracker->settled_ns,
        .end_of_stream = end_of_stream,
    };
    int64_t seq = output_commit(tracker->output, &point);
    if (seq < 0) {
        fail(tracker, "no memory for a batch of records");
        return;
    }
    size_t place = (tracker->first_point + tracker->n_points++) % POINTS_MAX;
    tracker->points[place].seq = seq;
    for (uint32_t i = 0; i < tracker->arguments.n_workers; i++)
        tracker->points[place].applied_seq[i] = merge_applied_seq(tracker->merge, i);
    merge_taken_reset(tracker->merge);
    tracker->committed_ns = tracker->settled_ns;
    tracker->is_commit_due = false;
}

/* The exporter has committed: what went into those batches can be forgotten upstream. */
static void on_committed(void *state, int64_t seq)
{
    struct tracker *tracker = state;
    while (tracker->n_points && tracker->points[tracker->first_point].seq <= seq) {
        const struct point *point = &tracker->points[tracker->first_point];
        for (uint32_t i = 0; i < tracker->arguments.n_workers; i++)
            downlink_commit(tracker->input, i, point->applied_seq[i]);
        tracker->first_point = (tracker->first_point + 1) % POINTS_MAX;
        tracker->n_points--;
    }
}

static bool can_commit(const struct tracker *tracker)
{
    return output_has_room(tracker->output) && tracker->n_points < POINTS_MAX;
}

/* ---- phases ---- */

/* Gives the pipeline what it can take this turn. */
static void run_input(struct tracker *tracker)
{
    if (is_pausing(tracker) || tracker->is_commit_due) {
        if (!can_commit(tracker))
            return; /* back-pressure: the exporter's acknowledgement wakes us */
        commit(tracker, false);
    }
    enum merge_result result = merge_run(tracker->merge, PACKETS_A_TURN);
    int64_t clock_ns = merge_clock_ns(tracker->merge);
    bool has_more = flow_table_advance(tracker->flows, clock_ns);
    if (!has_more)
        tracker->settled_ns = clock_ns;
    if (result == MERGE_BROKEN)
        fail(tracker, merge_error(tracker->merge));
    if (result == MERGE_ENDED)
        tracker->phase = PHASE_FINISHING;
    if (result == MERGE_MORE || result == MERGE_ENDED || has_more)
        loop_again(tracker->loop);
}

static void finish_flows(struct tracker *tracker)
{
    if (!can_commit(tracker))
        return;
    bool has_more = flow_table_finish(tracker->flows, FLOWS_A_TURN);
    if (!has_more)
        tracker->settled_ns = merge_clock_ns(tracker->merge);
    if (!has_more || is_pausing(tracker))
        commit(tracker, !has_more);
    if (!has_more)
        tracker->phase = PHASE_DRAINING;
    loop_again(tracker->loop);
}

static void part(struct tracker *tracker)
{
    bool is_late = loop_now_ms(tracker->loop) - tracker->parting_since_ms > GOODBYE_MS;
    if (!downlink_is_done(tracker->input) && !is_late)
        return;
    output_say_bye(tracker->output);
    loop_stop(tracker->loop);
}

/* Once a turn of the loop. */
static void on_turn(void *state)
{
    struct tracker *tracker = state;
    if (tracker->phase == PHASE_RUNNING)
        run_input(tracker);
    if (tracker->phase == PHASE_FINISHING)
        finish_flows(tracker);
    output_flush(tracker->output);
    if (tracker->phase == PHASE_DRAINING && output_is_committed(tracker->output)) {
        tracker->phase = PHASE_PARTING;
        tracker->parting_since_ms = loop_now_ms(tracker->loop);
    }
    downlink_flush(tracker->input);
    if (tracker->phase == PHASE_PARTING)
        part(tracker);
}

/* Without a packet, the exporter is told of the clock only when that closes a seal. */
static void on_commit_timer(void *state)
{
    struct tracker *tracker = state;
    tracker->is_commit_due =
        output_is_pending(tracker->output) || merge_taken_bytes(tracker->merge) > 0 ||
        seal_open_at(tracker->settled_ns) > seal_open_at(tracker->committed_ns);
}

/* A turn now and then, for the goodbyes' time limit. */
static void on_parting_timer(void *state)
{
    (void)state;
}

/* The supervisor ends a run from the capture side; a tracker goes on until its input has ended. */
static void on_signal(void *state, int signal_number)
{
    (void)state;
    (void)signal_number;
}

/* ---- peers ---- */

/* The exporter knows what of each capture stream is committed. */
static void on_welcome(void *state, const struct reply *reply)
{
    struct tracker *tracker = state;
    if (tracker->phase != PHASE_WAITING)
        return;
    tracker->resume = calloc(reply->n_applied + 1, sizeof *tracker->resume);
    if (!tracker->resume) {
        fail(tracker, "no memory for the streams' marks");
        return;
    }
    memcpy(tracker->resume, reply->applied, reply->n_applied * sizeof *tracker->resume);
    tracker->n_resume = reply->n_applied;
    tracker->phase = PHASE_RUNNING;
    downlink_start(tracker->input);
}

static void on_hello(void *state, size_t index, const struct stream_id *stream,
                     struct high_water *resume, const struct high_water **applied,
                     size_t *n_applied)
{
    struct tracker *tracker = state;
    (void)applied; /* a capture worker needs none */
    (void)n_applied;
    for (size_t i = 0; i < tracker->n_resume; i++)
        if (stream_id_equal(&tracker->resume[i].stream, stream))
            *resume = tracker->resume[i];
    merge_begin(tracker->merge, index, resume);
}

static void on_batch(void *state, size_t index, struct message *message)
{
    struct tracker *tracker = state;
    if (message->kind != MESSAGE_PACKETS)
        fail(tracker, "a capture worker sent records");
    else if (merge_push(tracker->merge, index, message) < 0)
        fail(tracker, "no memory for a batch of packets");
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
            },
    };
    if (flow_options.connections_max == 0)
        flow_options.connections_max = 1;
    struct merge_handlers handlers = {on_ahead,     on_near,    on_packet,
                                      on_batch_end, is_pausing, tracker};
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

static int open_output(struct tracker *tracker)
{
    char endpoint[512];
    arguments_endpoint(&tracker->arguments, "exporter.sock", endpoint, sizeof endpoint);
    struct uplink_options options = {
        .endpoint = endpoint,
        .stream = {.epoch = uplink_epoch(), .shard = tracker->arguments.shard},
        .window_bytes = OUTPUT_WINDOW_BYTES,
        .on_committed = on_committed,
        .on_welcome = on_welcome,
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
        .on_hello = on_hello,
        .on_batch = on_batch,
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

static int tracker_open(struct tracker *tracker)
{
    snprintf(tracker->name, sizeof tracker->name, "tracker-%u", tracker->arguments.shard);
    log_open(tracker->name);
    heap_keep_pages();
    tracker->settled_ns = tracker->committed_ns = INT64_MIN;
    tracker->commit_bytes = commit_bytes(&tracker->arguments);
    uint64_t commit_ms =
        (uint64_t)tracker->arguments.config.tracker.commit_interval_ns / 1000000 + 1;

    int result = loop_create(&tracker->loop);
    if (result == 0)
        result = bus_create(tracker->loop, &tracker->bus);
    if (result == 0)
        result = open_tables(tracker);
    if (result == 0)
        result = open_output(tracker);
    if (result == 0)
        result = open_input(tracker);
    if (result == 0)
        result = open_query(tracker);
    if (result == 0)
        result = loop_add_timer(tracker->loop, commit_ms, on_commit_timer, tracker);
    if (result == 0)
        result = loop_add_timer(tracker->loop, GOODBYE_TURN_MS, on_parting_timer, tracker);
    if (result == 0)
        result = loop_add_signals(tracker->loop, on_signal, tracker);
    if (result == 0)
        result = loop_add_turn(tracker->loop, on_turn, tracker);
    if (result < 0)
        log_error("cannot start: %s", strerror(-result));
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
    loop_destroy(tracker->loop);
    free(tracker->resume);
    free(tracker->points);
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
        tracker.status = 1;
    status = tracker.status;
    tracker_close(&tracker);
    return status;
}
