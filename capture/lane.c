#include "capture/lane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crc32c.h"
#include "proto/uplink.h"

enum {
    LOSSES_MAX = 64,
    SOURCES_MAX = 1024,
    BATCHES_A_WINDOW = 4,
    READING_BYTES = 768 * 1024, /* of files: what is read until somebody asks for room again */
    WRITING_AHEAD = 512,        /* bytes of a batch that are asked for before they are written */
    SETTLED_BYTES = 3 * CRC32C_PIECE, /* of packets: so much stays in the first cache */
    PASSING_BYTES = 1024 * 1024, /* of batches that may pass the window: loss lines, totals, ends */
};

struct lane {
    struct lane_options options;
    struct uplink *uplink;
    bool is_welcome;
    uint64_t n_dropped;        /* descriptors still to drop: a predecessor has pushed them */
    uint64_t n_losses_dropped; /* and loss lines */
    bool has_ended;            /* the end of the stream is pushed */
    struct totals *gathered;   /* live: what was given, ever; it outlives us. NULL: nowhere */

    size_t batch_bytes; /* of packets: the batch is full */
    size_t stop_bytes;  /* … or more of it is to be settled */
    uint32_t batch_packets;
    int64_t batch_interval_ns; /* between the clocks of its first and last packet */
    uint8_t *packets;          /* the batch being gathered: in the ring, or in 'memory' */
    size_t packets_size;
    size_t packets_room;
    uint8_t *memory;
    uint32_t n_packets;
    struct totals added; /* by its packets */
    int64_t first_clock_ns, last_clock_ns;
    int64_t sent_clock_ns;     /* that the shard knows of */
    int64_t first_ns, last_ns; /* smallest and largest timestamp in it */

    struct stream_loss losses[LOSSES_MAX + 1]; /* the last place is for 'unsent' */
    size_t n_losses;
    struct stream_source *sources;
    size_t n_sources;
    struct loss unsent;       /* live: packets of batches that found no room */
    uint64_t n_copies_unsent; /* shadows and others that are not counted, among them */
};

static void on_welcome(void *state, const struct reply *reply)
{
    (void)reply;
    struct lane *lane = state;
    lane->is_welcome = true;
}

/* Half of a window makes a commit point in the tracker, but only whole batches leave the window:
 * larger ones would wait for the tracker's timer. */
static size_t batch_bytes(const struct lane_options *options)
{
    size_t wanted = (size_t)options->config->capture.batch_bytes;
    size_t fitting = options->window_bytes / BATCHES_A_WINDOW;
    return wanted < fitting ? wanted : fitting;
}

size_t lane_ring_bytes(const struct config *config, size_t window_bytes)
{
    return window_bytes + 2 * (size_t)config->capture.batch_bytes + PASSING_BYTES;
}

/* Goes on where the ring's last process was. */
static void resume(struct lane *lane)
{
    const struct ring_mark *last = ring_last(lane->options.ring);
    lane->sent_clock_ns = last->clock_ns;
    lane->has_ended = last->has_ended;
    if (lane->options.is_live)
        lane->gathered = &ring_counts(lane->options.ring)->gathered;
    if (lane->options.is_read_again) {
        lane->n_dropped = last->n_descriptors;
        lane->n_losses_dropped = last->n_losses;
    }
}

int lane_open(struct bus *bus, const struct lane_options *options, struct lane **out)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return -ENOMEM;
    lane->options = *options;
    lane->sent_clock_ns = INT64_MIN;
    if (options->ring)
        resume(lane);
    lane->batch_bytes = batch_bytes(options);
    lane->batch_packets = (uint32_t)options->config->capture.batch_packets;
    lane->batch_interval_ns = options->config->capture.batch_interval_ns;
    lane->packets_room = lane->batch_bytes + PACKET_SIZE_MAX;
    lane->packets = lane->memory = malloc(lane->packets_room);
    lane->sources = calloc(SOURCES_MAX, sizeof *lane->sources);
    struct uplink_options uplink = {
        .endpoint = options->endpoint,
        .stream = options->stream,
        .window_bytes = options->window_bytes,
        .ring = options->ring,
        .on_welcome = on_welcome,
        .state = lane,
    };
    int result = lane->memory && lane->sources ? uplink_open(bus, &uplink, &lane->uplink) : -ENOMEM;
    if (result < 0) {
        lane_close(lane);
        return result;
    }
    *out = lane;
    return 0;
}

void lane_close(struct lane *lane)
{
    if (!lane)
        return;
    uplink_close(lane->uplink);
    ring_close(lane->options.ring);
    free(lane->memory);
    free(lane->sources);
    free(lane);
}

/* ---- sending ---- */

static void begin_batch(struct lane *lane)
{
    lane->packets_size = 0;
    lane->n_packets = 0;
    lane->added = (struct totals){0};
}

/* The batch becomes part of the loss line that tells of it. */
static void lose_batch(struct lane *lane)
{
    struct loss *unsent = &lane->unsent;
    bool is_first = unsent->packets == 0 && lane->n_copies_unsent == 0;
    if (is_first || lane->first_ns < unsent->first_ns)
        unsent->first_ns = lane->first_ns;
    if (is_first || lane->last_ns > unsent->last_ns)
        unsent->last_ns = lane->last_ns;
    unsent->packets += (int64_t)lane->added.packets;
    unsent->l2_bytes += (int64_t)lane->added.l2_bytes;
    unsent->l3_bytes += (int64_t)lane->added.l3_bytes;
    lane->n_copies_unsent += lane->n_packets - lane->added.packets;
    begin_batch(lane);
}

static void put_loss(struct lane *lane, const struct loss *loss)
{
    lane->losses[lane->n_losses++] =
        (struct stream_loss){.stream = lane->options.stream, .loss = *loss};
}

/* Becomes a loss line, and part of the batch's totals. */
static void declare(struct lane *lane, const struct loss *loss)
{
    lane->added.packets += (uint64_t)loss->packets;
    lane->added.l2_bytes += (uint64_t)loss->l2_bytes;
    lane->added.l3_bytes += (uint64_t)loss->l3_bytes;
    put_loss(lane, loss);
}

void lane_declare_died(struct lane *lane, const struct totals *lost)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t clock_ns = lane->sent_clock_ns;
    struct loss loss = {
        .last_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
        .packets = (int64_t)lost->packets,
        .l2_bytes = (int64_t)lost->l2_bytes,
        .l3_bytes = (int64_t)lost->l3_bytes,
        .stage = LOSS_CAPTURE,
        .certainty = LOSS_EXACT,
        .reason = "worker_died",
        .evidence = "captured less sent, counted one by one",
    };
    loss.first_ns = clock_ns < loss.last_ns && clock_ns != INT64_MIN ? clock_ns : loss.last_ns;
    if (lost->packets || lost->l2_bytes || lost->l3_bytes)
        declare(lane, &loss);
}

/* Puts the loss of unsent batches among the next one's loss lines. */
static void declare_unsent(struct lane *lane)
{
    struct loss *unsent = &lane->unsent;
    if (unsent->packets == 0 && lane->n_copies_unsent == 0)
        return;
    unsent->stage = LOSS_CAPTURE;
    unsent->certainty = LOSS_EXACT;
    strcpy(unsent->reason, "ring_full");
    int used = snprintf(unsent->evidence, sizeof unsent->evidence,
                        "counted one by one: tracker-%u could not take them in time",
                        lane->options.stream.shard);
    if (lane->n_copies_unsent > 0)
        snprintf(unsent->evidence + used, sizeof unsent->evidence - (size_t)used,
                 ", nor %" PRIu64 " copies of other trackers' packets", lane->n_copies_unsent);
    declare(lane, unsent);
    *unsent = (struct loss){0};
    lane->n_copies_unsent = 0;
}

static int push(struct lane *lane, int64_t clock_ns, bool end_of_stream);

int lane_send(struct lane *lane, int64_t clock_ns, bool end_of_stream)
{
    if (lane->has_ended || lane->n_dropped)
        return 0; /* it has been sent */
    if (lane->options.is_live && !end_of_stream && !lane_has_room(lane)) {
        if (lane->n_packets)
            lose_batch(lane);
        if (lane->n_losses < LOSSES_MAX && lane->n_sources < SOURCES_MAX)
            return 0; /* else the window is passed: a loss line is not lost */
    }
    return push(lane, clock_ns, end_of_stream);
}

static int push(struct lane *lane, int64_t clock_ns, bool end_of_stream)
{
    if (clock_ns < lane->sent_clock_ns)
        clock_ns = lane->sent_clock_ns; /* that of a predecessor, which had come further */
    declare_unsent(lane);
    struct message message = {
        .kind = MESSAGE_PACKETS,
        .end_of_stream = end_of_stream,
        .watermark_ns = clock_ns,
        .packets = lane->packets,
        .packets_size = lane->packets_size,
        .n_packets = lane->n_packets,
        .losses = lane->losses,
        .n_losses = lane->n_losses,
        .sources = lane->sources,
        .n_sources = lane->n_sources,
    };
    int result = uplink_push(lane->uplink, &message, &lane->added);
    if (result < 0)
        return result;
    lane->n_losses = 0;
    lane->n_sources = 0;
    lane->sent_clock_ns = clock_ns;
    lane->has_ended = end_of_stream;
    begin_batch(lane);
    uplink_flush(lane->uplink);
    return 0;
}

/* ---- gathering ---- */

static void add_totals(struct totals *totals, const struct packet *packet)
{
    totals->packets++;
    totals->l2_bytes += packet->l2_bytes;
    totals->l3_bytes += packet->l3_bytes;
}

/* Of a file the packets are gathered in the ring, where they stay: a copy less. Live, room for a
 * whole batch would be taken for a small one, and a ring of which little is used have all of its
 * pages touched. */
static __attribute__((noinline)) void begin_packets(struct lane *lane, const struct packet *packet)
{
    uint8_t *room = lane->options.is_live ? NULL : uplink_room(lane->uplink, lane->packets_room);
    lane->packets = room ? room : lane->memory;
    lane->stop_bytes =
        room && SETTLED_BYTES < lane->batch_bytes ? SETTLED_BYTES : lane->batch_bytes;
    lane->first_clock_ns = packet->clock_ns;
    lane->first_ns = packet->time_ns;
    lane->last_ns = packet->time_ns;
}

static inline void put(struct lane *lane, const struct packet *packet)
{
    int64_t time_ns = packet->time_ns;
    if (lane->n_packets == 0)
        begin_packets(lane, packet);
    uint8_t *room = lane->packets + lane->packets_size;
    __builtin_prefetch(room + WRITING_AHEAD, 1);
    lane->packets_size += packet_encode(packet, room);
    lane->n_packets++;
    lane->last_clock_ns = packet->clock_ns;
    if (time_ns > lane->last_ns)
        lane->last_ns = time_ns;
    else if (time_ns < lane->first_ns)
        lane->first_ns = time_ns;
    if (packet_is_counted(packet)) {
        add_totals(&lane->added, packet);
        if (lane->gathered)
            add_totals(lane->gathered, packet);
    }
}

/* Else some more of it is settled. */
static __attribute__((noinline)) bool is_full(struct lane *lane)
{
    if (lane->n_packets >= lane->batch_packets || lane->packets_size >= lane->batch_bytes)
        return true;
    uplink_settle(lane->uplink, lane->packets_size);
    size_t next = lane->packets_size + SETTLED_BYTES;
    lane->stop_bytes = next < lane->batch_bytes ? next : lane->batch_bytes;
    return false;
}

int lane_add(struct lane *lane, const struct packet *packet)
{
    if (lane->n_dropped) {
        lane->n_dropped--;
        return 0;
    }
    if (packet->clock_ns - lane->first_clock_ns >= lane->batch_interval_ns && lane->n_packets) {
        int result = lane_send(lane, lane->last_clock_ns, false);
        if (result < 0)
            return result;
    }
    put(lane, packet);
    bool is_stop = lane->n_packets >= lane->batch_packets || lane->packets_size >= lane->stop_bytes;
    return is_stop && is_full(lane) ? lane_send(lane, packet->clock_ns, false) : 0;
}

int lane_add_change(struct lane *lane, const struct packet *change)
{
    if (!lane->options.is_live)
        return lane_add(lane, change);
    int result = lane->n_packets ? lane_send(lane, lane->last_clock_ns, false) : 0;
    if (result < 0)
        return result;
    put(lane, change);
    return push(lane, change->clock_ns, false);
}

int lane_add_loss(struct lane *lane, const struct loss *loss)
{
    if (lane->n_losses_dropped) {
        lane->n_losses_dropped--;
        return 0;
    }
    int result = 0;
    if (lane->n_losses >= LOSSES_MAX)
        result = lane_send(lane, lane->last_clock_ns, false);
    if (result == 0)
        put_loss(lane, loss);
    return result;
}

int lane_add_source(struct lane *lane, const struct source_total *total)
{
    int result = 0;
    if (lane->has_ended)
        return 0; /* it has been told */
    if (lane->n_sources == SOURCES_MAX)
        result = lane_send(lane, lane->last_clock_ns, false);
    if (result == 0)
        lane->sources[lane->n_sources++] =
            (struct stream_source){.stream = lane->options.stream, .total = *total};
    return result;
}

const struct totals *lane_gathered(const struct lane *lane)
{
    return lane->gathered;
}

const struct totals *lane_pushed(const struct lane *lane)
{
    return &uplink_mark(lane->uplink)->totals;
}

int64_t lane_clock_ns(const struct lane *lane)
{
    return lane->sent_clock_ns;
}

bool lane_is_caught_up(const struct lane *lane)
{
    return lane->n_dropped == 0;
}

bool lane_has_ended(const struct lane *lane)
{
    return lane->has_ended;
}

bool lane_is_empty(const struct lane *lane)
{
    return lane->n_packets == 0 && lane->n_losses == 0 && lane->n_sources == 0;
}

bool lane_is_current(const struct lane *lane, int64_t clock_ns)
{
    return lane->n_dropped || (lane_is_empty(lane) && lane->sent_clock_ns >= clock_ns);
}

/* Of a file nothing is taken that could not be kept in the ring: with its worker it would be gone.
 * An empty ring takes what there is, or nothing would ever go on. */
static bool ring_takes_more(const struct lane *lane)
{
    struct ring *ring = lane->options.ring;
    size_t fitting = lane->options.window_bytes / BATCHES_A_WINDOW;
    return !ring || ring_n_held(ring) == 0 ||
           ring_has_room(ring, fitting < READING_BYTES ? fitting : READING_BYTES);
}

bool lane_has_room(const struct lane *lane)
{
    return uplink_has_room(lane->uplink) && (lane->options.is_live || ring_takes_more(lane));
}

bool lane_is_welcome(const struct lane *lane)
{
    return lane->is_welcome;
}

bool lane_is_whole(const struct lane *lane)
{
    return uplink_is_whole(lane->uplink);
}

size_t lane_held_bytes(const struct lane *lane)
{
    return uplink_held_bytes(lane->uplink);
}

bool lane_is_committed(const struct lane *lane)
{
    return uplink_is_committed(lane->uplink);
}

void lane_flush(struct lane *lane)
{
    uplink_flush(lane->uplink);
}

bool lane_say_bye(struct lane *lane)
{
    return uplink_say_bye(lane->uplink);
}
