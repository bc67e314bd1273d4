/* The tracker's process, without its sockets' other ends, fed with packets of any kind
 * (tracker_case.h): what goes in comes out, once.
 *
 * All is what a tracker runs: its main.c and phases, merge, flows, meter, commit points; batches
 * come in as messages, and go out into a ring, where they are read. Of each run:
 *
 *   - usage and exact losses of all classes are the packets, L2 and L3 bytes that went in, and what
 *     the last marks say;
 *   - flow records are the usage of the flows' classes, account by account, billed bytes too;
 *   - each batch that goes out stands for itself; nothing is held at the end;
 *   - the same packets cut into other batches, with commit points elsewhere, give the same rows,
 *     records and events, also where a full table evicts (unless a tracker died on the way: then
 *     usage is exact all the same). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tracker_main(int argc, char **argv);
#define main tracker_main
#include "tracker/main.c"
#undef main

#include "tests/fuzz/tracker_case.h"
#include "tests/fuzz/tracker_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum {
    CONFIGS = 4,
    BATCHES_MAX = 2 * ITEMS_MAX + 64,
    RING_BYTES = 16 << 20,
    CASES_A_BUS = 256, /* sockets are closed with the bus only */
    TURNS_MAX = 100000,
};

#define WANS                                                                                       \
    "wans:\n"                                                                                      \
    "  - {name: fiber, overhead: ip, match: {vlan: 1}}\n"                                          \
    "  - {name: dsl, overhead: ptm-exact-pppoe, mtu: 1492, match: {vlan: 2}}\n"                    \
    "  - {name: slow, overhead: vj, overhead_down: rohc-udp, match: {vlan: 3}}\n"                  \
    "accounts:\n"                                                                                  \
    "  - {name: alice, prefixes: [10.0.0.0/31, '2001:db8::/48'], vlans: [9]}\n"                    \
    "  - {name: bob, prefixes: [10.0.0.2/32, 198.51.100.1/32]}\n"                                  \
    "labels: [1 gold, 2 blue]\n"

static const char *const config_texts[CONFIGS] = {
    WANS,
    WANS "classes: [voice, bulk]\n"
         "timeout_policies: [{name: short, l4: udp, values: {replied: 2s}}]\n"
         "rules:\n"
         "  - {match: udp dst port 1024, ct: 'commit,class=voice,mark=5,timeout=short'}\n"
         "  - {match: tcp, ct: 'commit,label=gold,class=bulk'}\n"
         "  - {wan: slow, match: udp, ct: 'commit,account=bob'}\n"
         "  - {state: reply, ct: 'commit,label=blue'}\n"
         "  - {zone: 1, ct: 'commit,mark=1'}\n"
         "conntrack: {tcp_loose: no, checksum: yes}\n",
    WANS "helpers: [{name: ftp}, {name: sip}, {name: tftp}, {name: pptp}, {name: irc},\n"
         "          {name: amanda}]\n"
         "conntrack: {tcp_be_liberal: yes, expect_max: 8, related_labels: yes}\n"
         "timeouts: {tcp_established: 40s, udp_unreplied: 1s, gre_unreplied: 2s}\n",
    WANS "capture: {duplicate_window: 1s}\n"
         "tracker: {interim_interval: 10s, connection_events: no}\n"
         "timeouts: {udp_unreplied: 1ms, untracked: 1ms, generic: 1ms, icmp: 1ms,\n"
         "           tcp_syn_sent: 1ms, tcp_close: 1ms}\n",
};

/* From an item to another one: a batch. */
struct place {
    size_t from, to;
    struct totals before;
    int64_t clock_ns;
};

/* A worker's. */
struct sending {
    struct place places[BATCHES_MAX];
    size_t n_cut; /* batches that have their place */
    int64_t next_seq;
    size_t at;
    struct totals totals;
    int64_t clock_ns;
    bool is_whole; /* all its items are in batches */
};

/* Where it is cut. */
struct cut {
    uint32_t state;
    unsigned batch_max;
    int kill_turn; /* -1: never */
    int64_t set_aside_seq;
};

static struct tracker tracker;
static struct config configs[CONFIGS];
static struct ring *ring;
static char directory[] = "/tmp/wanmeter-fuzz-XXXXXX";
static unsigned n_cases;
static struct tracker_case made;
static struct sending streams[STREAMS_MAX];

/* ---- a process ---- */

static void clean_up(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    if (system(command) != 0)
        perror(directory);
}

static void read_configs(void)
{
    for (size_t i = 0; i < CONFIGS; i++) {
        struct config_errors errors = {0};
        config_init(&configs[i]);
        config_read(&configs[i], "fuzz", config_texts[i], strlen(config_texts[i]), &errors);
        config_check(&configs[i], &errors);
        config_errors_print(&errors, stderr);
        assert(errors.n == 0);
    }
}

static void open_ring(void)
{
    char path[64];
    struct ring_options options = {.stream = {.producer = "tracker-0", .epoch = 1},
                                   .data_bytes = RING_BYTES};
    snprintf(path, sizeof path, "%s/ring", directory);
    enum ring_found found = ring_open(path, &options, &ring);
    assert(found == RING_NEW);
    (void)found;
    unlink(path);
}

static void on_hello(void *state, const struct bus_message *message)
{
    (void)state;
    (void)message;
}

/* To somebody who never answers: what is sent waits in the ring. */
static void open_ring_output(void)
{
    char endpoint[64];
    arguments_endpoint(&tracker.arguments, "exporter.sock", endpoint, sizeof endpoint);
    struct uplink_options options = {
        .endpoint = endpoint,
        .stream = *ring_stream(ring),
        .window_bytes = SIZE_MAX / 2,
        .ring = ring,
    };
    if (output_open(tracker.bus, &options, &tracker.output) < 0)
        abort();
}

/* All but the tables. */
static void open_process(void)
{
    if (!ring) {
        if (!mkdtemp(directory))
            abort();
        atexit(clean_up);
        read_configs();
    }
    tracker = (struct tracker){.arguments = {.run_directory = directory,
                                             .n_shards = 1,
                                             .n_workers = STREAMS_MAX,
                                             .config = configs[0]},
                               .name = "tracker-0"};
    struct bus_socket *exporter;
    char endpoint[64];
    arguments_endpoint(&tracker.arguments, "exporter.sock", endpoint, sizeof endpoint);
    int result = loop_create(&tracker.loop);
    if (result == 0)
        result = bus_create(tracker.loop, &tracker.bus);
    if (result == 0)
        result = bus_bind(tracker.bus, BUS_ROUTER, endpoint, on_hello, NULL, &exporter);
    if (result == 0)
        result = open_hand(&tracker);
    if (result == 0)
        result = open_input(&tracker);
    if (result == 0)
        result = open_query(&tracker);
    if (result < 0)
        abort();
    open_ring();
    open_ring_output();
}

static void close_process(void)
{
    downlink_close(tracker.input);
    output_close(tracker.output);
    query_close(tracker.query);
    bus_destroy(tracker.bus);
    loop_destroy(tracker.loop);
    hand_close(tracker.hand, true);
    ring_close(ring);
}

static size_t flows_max(void)
{
    return made.is_small ? 5 : 4 * ITEMS_MAX;
}

/* A tracker that knows nothing but what the exporter has committed. */
static void begin_tracker(const struct outcome *before)
{
    tracker.phase = PHASE_WAITING;
    tracker.status = 0;
    tracker.clock = (struct bill_clock){0};
    tracker.settled_ns = tracker.committed_ns = INT64_MIN;
    tracker.first_point = tracker.n_points = 0;
    tracker.is_commit_due = false;
    tracker.duplicates = NULL;
    tracker.arguments.config = configs[made.config];
    tracker.arguments.config.tracker.connections_max = (int64_t)flows_max();
    tracker.arguments.n_workers = made.n_streams;
    int result = open_tables(&tracker);
    assert(result == 0);
    (void)result;
    struct reply welcome = {
        .kind = REPLY_WELCOME, .applied = before->marks, .n_applied = before->n_marks};
    tracker_on_welcome(&tracker, &welcome);
    assert(tracker.phase == PHASE_RUNNING);
}

static void end_tracker(void)
{
    merge_destroy(tracker.merge);
    meter_destroy(tracker.meter);
    flow_table_destroy(tracker.flows);
    link_table_destroy(tracker.links);
    duplicate_table_destroy(tracker.duplicates);
    account_table_destroy(tracker.accounts);
    free(tracker.resume);
    free(tracker.points);
    memory_deinit(&tracker.memory);
    tracker.memory = (struct memory){0};
    tracker.resume = NULL;
}

/* ---- what goes in ---- */

static uint32_t draw(struct cut *cut)
{
    cut->state ^= cut->state << 13;
    cut->state ^= cut->state >> 17;
    cut->state ^= cut->state << 5;
    return cut->state;
}

static void count_item(const struct item *item, struct totals *totals)
{
    const struct loss *loss = &item->loss;
    if (item->is_loss && loss->certainty == LOSS_EXACT) {
        totals->packets += (uint64_t)loss->packets;
        totals->l2_bytes += (uint64_t)loss->l2_bytes;
        totals->l3_bytes += (uint64_t)loss->l3_bytes;
    } else if (!item->is_loss && packet_is_counted(&item->packet)) {
        totals->packets++;
        totals->l2_bytes += item->packet.l2_bytes;
        totals->l3_bytes += item->packet.l3_bytes;
    }
}

/* Decides where the stream's next batch ends. */
static void cut_batch(struct cut *cut, uint32_t index)
{
    struct sending *stream = &streams[index];
    assert(stream->n_cut < BATCHES_MAX);
    struct place *place = &stream->places[stream->n_cut++];
    *place = (struct place){stream->at, stream->at, stream->totals, stream->clock_ns};
    for (unsigned n = draw(cut) % (cut->batch_max + 1); n > 0 && place->to < made.n_items;)
        n -= made.items[place->to++].stream == index;
    for (; place->to < made.n_items && made.items[place->to].stream != index; place->to++)
        ;
    for (size_t i = place->from; i < place->to; i++) {
        if (made.items[i].stream != index)
            continue;
        count_item(&made.items[i], &stream->totals);
        place->clock_ns = made.items[i].clock_ns;
    }
    stream->at = place->to;
    stream->clock_ns = place->clock_ns;
    stream->is_whole = place->to == made.n_items;
}

static void make_message(uint32_t index, int64_t seq, struct message *message)
{
    static uint8_t room[ITEMS_MAX * PACKET_SIZE_MAX];
    static struct stream_loss losses[ITEMS_MAX];
    const struct place *place = &streams[index].places[seq];
    *message = (struct message){
        .kind = MESSAGE_PACKETS,
        .stream = {.epoch = 1 + index},
        .seq = seq,
        .totals = place->before,
        .watermark_ns = place->clock_ns,
        .end_of_stream = place->to == made.n_items,
        .packets = room,
        .losses = losses,
    };
    snprintf(message->stream.producer, PRODUCER_NAME_MAX, "capture-%u", index);
    for (size_t i = place->from; i < place->to; i++) {
        const struct item *item = &made.items[i];
        if (item->stream != index)
            continue;
        count_item(item, &message->totals);
        if (item->is_loss) {
            losses[message->n_losses++] =
                (struct stream_loss){.stream = message->stream, .loss = item->loss};
            continue;
        }
        message->packets_size += packet_encode(&item->packet, room + message->packets_size);
        message->n_packets++;
    }
}

static void send_batch(const struct cut *cut, uint32_t index)
{
    struct sending *stream = &streams[index];
    struct message message, came;
    size_t size;
    make_message(index, stream->next_seq, &message);
    uint8_t *bytes = message_encode(&message, &size);
    enum message_result result = message_decode(bytes, size, &came);
    assert(bytes && result == MESSAGE_OK);
    (void)result;
    free(bytes);
    if (stream->next_seq == cut->set_aside_seq && index == 0)
        merge_push_set_aside(tracker.merge, index, &came);
    else
        tracker_on_batch(&tracker, index, &came);
    message_release(&came);
    stream->next_seq++;
}

/* A worker's hello: it goes on behind what is committed. */
static int64_t say_hello(uint32_t index)
{
    struct stream_id id = {.epoch = 1 + index};
    snprintf(id.producer, sizeof id.producer, "capture-%u", index);
    struct high_water resume = {.stream = id, .seq = -1};
    tracker_on_hello(&tracker, index, &id, &resume, NULL, NULL);
    return resume.seq;
}

static void begin_sending(struct sending *stream)
{
    stream->n_cut = stream->at = 0;
    stream->totals = (struct totals){0};
    stream->clock_ns = 0;
    stream->is_whole = false;
}

static void begin_streams(void)
{
    for (uint32_t i = 0; i < made.n_streams; i++)
        streams[i].next_seq = say_hello(i) + 1;
}

/* ---- what comes out ---- */

/* The first 'n' batches that wait in the ring are committed, the others were never sent. */
static void take_output(struct outcome *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ring_batch batch;
        struct message message;
        ring_held(ring, i, &batch);
        enum message_result result = message_decode(batch.bytes, batch.size, &message);
        assert(result == MESSAGE_OK && message.kind == MESSAGE_RECORDS);
        (void)result;
        outcome_take_message(out, &message);
        message_release(&message);
    }
    ring_commit(ring, ring_last(ring)->seq);
    assert(ring_n_held(ring) == 0);
}

/* ---- a run ---- */

static void turn(struct cut *cut)
{
    uint32_t index = draw(cut) % made.n_streams;
    struct sending *stream = &streams[index];
    if (stream->next_seq == (int64_t)stream->n_cut && !stream->is_whole)
        cut_batch(cut, index);
    if (stream->next_seq < (int64_t)stream->n_cut)
        send_batch(cut, index);
    uint32_t chance = draw(cut);
    if (chance % 8 == 0)
        tracker_on_commit_timer(&tracker);
    if (chance % 16 < 2)
        say_hello(index); /* again: nothing changes */
    if (chance % 32 < 4 && ring_n_held(ring) > 0)
        tracker_on_committed(&tracker, ring_last(ring)->seq);
    tracker_on_turn(&tracker);
    assert(tracker.status == 0);
    assert(flow_table_count(tracker.flows) <= flows_max());
}

static void kill_tracker(struct cut *cut, struct outcome *out)
{
    take_output(out, draw(cut) % (ring_n_held(ring) + 1));
    if (out->has_ended)
        return;
    end_tracker();
    output_close(tracker.output);
    open_ring_output();
    begin_tracker(out);
    begin_streams();
}

static void check_end(const struct outcome *out)
{
    struct totals sent = {0};
    for (uint32_t i = 0; i < made.n_streams; i++) {
        const struct totals *totals = &streams[i].totals;
        outcome_add_totals(&sent, totals->packets, totals->l2_bytes, totals->l3_bytes);
        assert(merge_is_drained(tracker.merge, i));
    }
    assert(sent.packets == out->counted.packets + out->lost.packets);
    assert(sent.l2_bytes == out->counted.l2_bytes + out->lost.l2_bytes);
    assert(sent.l3_bytes == out->counted.l3_bytes + out->lost.l3_bytes);
    assert(flow_table_count(tracker.flows) == 0 && !output_is_pending(tracker.output));
}

static void run(struct cut cut, struct outcome *out)
{
    outcome_begin(out);
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        begin_sending(&streams[i]);
    begin_tracker(out);
    tracker.commit_bytes = (size_t)64 << draw(&cut) % 12;
    begin_streams();
    for (int n = 0; !out->has_ended && tracker.phase != PHASE_DRAINING; n++) {
        assert(n < TURNS_MAX);
        if (n == cut.kill_turn)
            kill_tracker(&cut, out);
        else
            turn(&cut);
    }
    if (!out->has_ended)
        take_output(out, ring_n_held(ring));
    assert(out->has_ended);
    tracker_on_committed(&tracker, ring_last(ring)->seq);
    if (cut.kill_turn < 0)
        check_end(out);
    if (cut.kill_turn < 0)
        outcome_check_flows(out);
    end_tracker();
}

static struct cut first_cut(void)
{
    struct cut cut = {
        .state = 1u + made.seed, .batch_max = 1u << made.seed % 8, -1, .set_aside_seq = -1};
    if (made.has_kill)
        cut.kill_turn = made.seed % 32;
    if (made.has_set_aside)
        cut.set_aside_seq = made.seed % 4;
    return cut;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct outcome first, other;
    if (size < 2)
        return 0;
    if (n_cases++ % CASES_A_BUS == 0) {
        if (ring)
            close_process();
        open_process();
    }
    tracker_case_read(&made, bytes, size);
    struct cut cut = first_cut();
    run(cut, &first);
    if (made.has_kill || made.has_set_aside)
        return 0;
    struct cut elsewhere = {
        .state = 0x9e3779b9u, .batch_max = ITEMS_MAX, .kill_turn = -1, .set_aside_seq = -1};
    run(elsewhere, &other);
    outcome_sort(&first);
    outcome_sort(&other);
    assert(first.n_usage == other.n_usage && first.n_flows == other.n_flows);
    assert(memcmp(first.usage, other.usage, first.n_usage * sizeof *first.usage) == 0);
    assert(memcmp(first.flows, other.flows, first.n_flows * FLOW_RECORD_SIZE) == 0);
    assert(memcmp(first.n_events, other.n_events, sizeof first.n_events) == 0);
    assert(first.events_sum == other.events_sum);
    return 0;
}
