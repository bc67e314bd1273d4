/* exporter_case: trackers as an exporter sees them: what they send, and the wire between.
 *
 *     end_open(&end, shard, epoch);              a tracker, which knows nothing yet
 *     end_welcome(&end, &mark, …);               it goes on behind what is committed
 *     end_make(&end, n_packets, is_last);        a batch of records, kept until it is committed
 *     end_put(&end);                             the next one onto the wire
 *     end_take(&end, place, &wire);              one from the wire
 *     end_close(&end);
 *
 * Each shard has one capture stream, of the packets 0, 1, 2, …; what a packet is follows from its
 * number, so that the sums that have to come out are known whatever happens on the way: see
 * truth_of(). Flows are told of some batches after their packets are counted, as trackers do. */
#ifndef WANMETER_TESTS_FUZZ_EXPORTER_CASE_H
#define WANMETER_TESTS_FUZZ_EXPORTER_CASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "proto/seal.h"
#include "proto/stream.h"

enum {
    SHARDS = 3,
    PACKETS_A_BATCH = 16,
    PACKETS_MAX = 400, /* of a shard */
    FLOWS = 4,
    WIRE_MAX = 64,
    CAPTURE_EPOCH = 77,
};

/* A batch on its way. */
struct wire {
    uint8_t *bytes;
    size_t size;
};

struct end {
    uint32_t shard;
    uint64_t epoch, predecessor;
    struct sender sender;
    uint64_t at;                      /* packets in batches so far */
    struct flow_counters open[FLOWS]; /* counted, and in no record yet */
    bool is_welcome;
    bool has_ended;
    struct wire wire[WIRE_MAX];
    size_t n_wire;
};

/* What packets come to. */
struct truth {
    uint64_t packets, l2_bytes, l3_bytes, billed_bytes; /* counted */
    uint64_t lost_packets, lost_l2_bytes;               /* before they came to a tracker */
};

/* ---- packets ---- */

static inline bool packet_is_lost(uint64_t number)
{
    return number % 13 == 7;
}

static inline int64_t packet_clock_ns(uint64_t number)
{
    return (int64_t)(1000000 + number * 20) * 1000000000;
}

static inline struct usage_delta packet_usage(uint32_t shard, uint64_t number)
{
    int64_t slot_s = packet_clock_ns(number) / 1000000000 / SLOT_SECONDS * SLOT_SECONDS;
    return (struct usage_delta){
        .slot_ns = slot_s * 1000000000,
        .packets = 1,
        .l2_bytes = 100 + number + shard,
        .l3_bytes = 80 + number,
        .billed_bytes = 90 + number,
        .account = (uint16_t)(number % FLOWS % 3),
        .wan = (uint16_t)(shard % 3),
        .direction = DIRECTION_UP,
        .seal = seal_for(slot_s * 1000000000, packet_clock_ns(number)),
    };
}

static inline void truth_of(uint32_t shard, uint64_t n_packets, struct truth *truth)
{
    for (uint64_t i = 0; i < n_packets; i++) {
        struct usage_delta delta = packet_usage(shard, i);
        bool is_lost = packet_is_lost(i);
        *(is_lost ? &truth->lost_packets : &truth->packets) += 1;
        *(is_lost ? &truth->lost_l2_bytes : &truth->l2_bytes) += delta.l2_bytes;
        truth->l3_bytes += is_lost ? 0 : delta.l3_bytes;
        truth->billed_bytes += is_lost ? 0 : delta.billed_bytes;
    }
}

/* ---- a batch ---- */

struct building {
    struct message message;
    struct high_water mark;
    struct stream_loss losses[PACKETS_A_BATCH];
    uint8_t usage[PACKETS_A_BATCH * USAGE_DELTA_SIZE];
    uint8_t flows[FLOWS * FLOW_RECORD_SIZE];
};

static inline void build_packet(struct building *building, struct end *end)
{
    struct message *message = &building->message;
    struct usage_delta delta = packet_usage(end->shard, end->at);
    if (packet_is_lost(end->at)) {
        struct loss loss = {
            .first_ns = packet_clock_ns(end->at),
            .last_ns = packet_clock_ns(end->at),
            .packets = 1,
            .l2_bytes = (int64_t)delta.l2_bytes,
            .l3_bytes = (int64_t)delta.l3_bytes,
            .stage = LOSS_CAPTURE,
            .certainty = LOSS_EXACT,
            .reason = "ring_full",
        };
        building->losses[message->n_losses++] =
            (struct stream_loss){.stream = building->mark.stream, .loss = loss};
    } else {
        struct flow_counters *open = &end->open[end->at % FLOWS];
        open->packets++;
        open->l2_bytes += delta.l2_bytes;
        open->l3_bytes += delta.l3_bytes;
        open->billed_bytes += delta.billed_bytes;
        usage_delta_put(&delta, building->usage + message->n_usage++ * USAGE_DELTA_SIZE);
    }
    end->at++;
}

static inline void build_flow(struct building *building, struct end *end, size_t number,
                              bool is_last)
{
    struct message *message = &building->message;
    int64_t clock_ns = packet_clock_ns(end->at ? end->at - 1 : 0);
    struct flow_record record = {
        .id = (uint64_t)end->shard << 32 | (number + 1),
        .start_ns = packet_clock_ns(0),
        .first_ns = packet_clock_ns(0),
        .last_ns = clock_ns,
        .counters = {end->open[number]},
        .source_address = {192, 0, 2, (uint8_t)number},
        .destination_address = {198, 51, 100, (uint8_t)end->shard},
        .ip_version = 4,
        .protocol = 17,
        .has_ports = 1,
        .account = (uint16_t)(number % 3),
        .wan = (uint16_t)(end->shard % 3),
        .state = STATE_FIRST,
        .kind = is_last ? RECORD_FINAL : RECORD_INTERIM,
        .end_reason = is_last ? END_OF_INPUT : END_NONE,
        .seal = seal_of(clock_ns),
    };
    if (record.counters[0].packets == 0)
        return;
    flow_record_put(&record, building->flows + message->n_flows++ * FLOW_RECORD_SIZE);
    end->open[number] = (struct flow_counters){0};
}

static inline struct stream_id end_stream(const struct end *end)
{
    struct stream_id id = {.epoch = end->epoch, .shard = end->shard};
    snprintf(id.producer, sizeof id.producer, "tracker-%u", end->shard);
    return id;
}

static inline void build_mark(struct building *building, const struct end *end)
{
    struct high_water *mark = &building->mark;
    *mark = (struct high_water){
        .stream = {.producer = "capture-0", .epoch = CAPTURE_EPOCH, .shard = end->shard},
        .seq = (int64_t)(end->at / 8) - 1,
        .packets_into_next = end->at % 8,
    };
    for (uint64_t i = 0; i < end->at; i++) {
        struct usage_delta delta = packet_usage(end->shard, i);
        mark->totals.packets++;
        mark->totals.l2_bytes += delta.l2_bytes;
        mark->totals.l3_bytes += delta.l3_bytes;
    }
}

/* Counts the next packets of the shard's stream. */
static inline void end_make(struct end *end, size_t n_packets, bool is_last)
{
    struct building building = {
        .message = {.kind = MESSAGE_RECORDS,
                    .stream = end_stream(end),
                    .seq = end->sender.next_seq,
                    .end_of_stream = is_last,
                    .n_applied = 1},
        .mark = {.stream = {.producer = "capture-0", .epoch = CAPTURE_EPOCH, .shard = end->shard}}};
    struct message *message = &building.message;
    for (size_t i = 0; i < n_packets; i++)
        build_packet(&building, end);
    for (size_t i = 0; i < FLOWS; i++)
        if (is_last || (uint64_t)message->seq % FLOWS == i)
            build_flow(&building, end, i, is_last);
    build_mark(&building, end);
    message->watermark_ns = packet_clock_ns(end->at ? end->at - 1 : 0);
    message->totals = building.mark.totals;
    message->applied = &building.mark;
    message->usage = building.usage;
    message->flows = building.flows;
    message->losses = building.losses;
    size_t size;
    uint8_t *bytes = message_encode(message, &size);
    int result = bytes ? sender_push(&end->sender, bytes, size, true) : -1;
    assert(result == 0);
    (void)result;
    end->has_ended = is_last;
}

/* ---- a tracker ---- */

static inline void end_open(struct end *end, uint32_t shard, uint64_t epoch, uint64_t predecessor)
{
    end->shard = shard;
    end->epoch = epoch;
    end->predecessor = predecessor;
    end->at = 0;
    end->is_welcome = end->has_ended = false;
    memset(end->open, 0, sizeof end->open);
    if (sender_init(&end->sender, SIZE_MAX / 2) < 0)
        abort();
}

/* What is on the wire stays there: it may still come. */
static inline void end_close(struct end *end)
{
    sender_deinit(&end->sender);
}

static inline void end_clear_wire(struct end *end)
{
    while (end->n_wire > 0)
        free(end->wire[--end->n_wire].bytes);
}

/* Sends the next batch, if there is one. */
static inline bool end_put(struct end *end)
{
    const struct sender_slot *slot = end->n_wire < WIRE_MAX ? sender_next(&end->sender) : NULL;
    if (!slot)
        return false;
    struct wire *wire = &end->wire[end->n_wire++];
    *wire = (struct wire){malloc(slot->size), slot->size};
    if (!wire->bytes)
        abort();
    memcpy(wire->bytes, slot->bytes, slot->size);
    sender_sent(&end->sender);
    return true;
}

/* The caller frees its bytes. False: the wire has no such place. */
static inline bool end_take(struct end *end, size_t place, struct wire *wire)
{
    if (place >= end->n_wire)
        return false;
    *wire = end->wire[place];
    memmove(end->wire + place, end->wire + place + 1, (--end->n_wire - place) * sizeof *end->wire);
    return true;
}

#endif
