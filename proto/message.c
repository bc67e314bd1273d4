#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

#include "common/bus.h"
#include "proto/change.h"
#include "proto/envelope.h"
#include "proto/wire_cut.h"

/* Fields of bytes that stay where they are, and the messages that they are in (pipeline.proto). */
enum {
    FIELD_RECORD_BATCH = 7,
    FIELD_USAGE = 2,
    FIELD_FLOWS = 3,
    FIELD_EVENTS = 4,
    FIELD_MEMORY = 9,
};

/* ---- decoding ---- */

static bool copy_text(const ProtobufCBinaryData *wire, char *text, size_t length_max)
{
    text[0] = 0;
    if (wire->len == 0)
        return true; /* then there are no bytes to point at */
    if (wire->len > length_max || memchr(wire->data, 0, wire->len))
        return false;
    memcpy(text, wire->data, wire->len);
    text[wire->len] = 0;
    return true;
}

static bool loss_from_wire(const Wanmeter__Loss *wire, struct stream_loss *out)
{
    struct loss *loss = &out->loss;
    *loss = (struct loss){
        .first_ns = wire->first_ns,
        .last_ns = wire->last_ns,
        .packets = wire->packets,
        .l2_bytes = wire->l2_bytes,
        .l3_bytes = wire->l3_bytes,
        .stage = (uint8_t)wire->stage,
        .certainty = (uint8_t)wire->certainty,
    };
    bool amounts_are_valid = wire->packets >= -1 && wire->l2_bytes >= -1 && wire->l3_bytes >= -1;
    return wire->stage < LOSS_STAGE_N && wire->certainty < LOSS_CERTAINTY_N && amounts_are_valid &&
           wire->first_ns <= wire->last_ns && wire->reason.len > 0 &&
           copy_text(&wire->reason, loss->reason, LOSS_REASON_MAX) &&
           copy_text(&wire->evidence, loss->evidence, LOSS_EVIDENCE_MAX) &&
           stream_from_wire(wire->stream, &out->stream);
}

static bool source_from_wire(const Wanmeter__SourceTotal *wire, struct stream_source *out)
{
    struct source_total *total = &out->total;
    *total = (struct source_total){
        .packets = wire->packets,
        .l2_bytes = wire->l2_bytes,
        .carrier_bytes = wire->carrier_bytes,
        .first_ns = wire->first_ns,
        .last_ns = wire->last_ns,
        .source_index = wire->source_index,
        .is_complete = wire->is_complete,
    };
    if (wire->sha256.len != sizeof total->sha256 || wire->packets > INT64_MAX ||
        wire->l2_bytes > INT64_MAX || wire->carrier_bytes > wire->l2_bytes || wire->name.len == 0 ||
        !copy_text(&wire->name, total->name, LOSS_EVIDENCE_MAX))
        return false;
    memcpy(total->sha256, wire->sha256.data, sizeof total->sha256);
    return stream_from_wire(wire->stream, &out->stream);
}

static enum message_result take_losses(struct arena *arena, Wanmeter__Loss **wire, size_t n,
                                       struct message *message)
{
    struct stream_loss *losses = arena_take(arena, n * sizeof *losses);
    if (!losses)
        return MESSAGE_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!loss_from_wire(wire[i], &losses[i]))
            return MESSAGE_INVALID;
    message->losses = losses;
    message->n_losses = n;
    return MESSAGE_OK;
}

static enum message_result take_sources(struct arena *arena, Wanmeter__SourceTotal **wire, size_t n,
                                        struct message *message)
{
    struct stream_source *sources = arena_take(arena, n * sizeof *sources);
    if (!sources)
        return MESSAGE_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!source_from_wire(wire[i], &sources[i]))
            return MESSAGE_INVALID;
    message->sources = sources;
    message->n_sources = n;
    return MESSAGE_OK;
}

static enum message_result take_applied(struct arena *arena, const Wanmeter__RecordBatch *wire,
                                        struct message *message)
{
    struct high_water *applied = arena_take(arena, wire->n_applied * sizeof *applied);
    if (!applied)
        return MESSAGE_NO_MEMORY;
    for (size_t i = 0; i < wire->n_applied; i++)
        if (!high_water_from_wire(wire->applied[i], &applied[i]))
            return MESSAGE_INVALID;
    message->applied = applied;
    message->n_applied = wire->n_applied;
    return MESSAGE_OK;
}

static bool change_line_from_wire(const Wanmeter__ChangeLine *wire, struct change_line *line)
{
    struct change change;
    *line = (struct change_line){
        .change = wire->change.data,
        .change_bytes = wire->change.len,
        .error = wire->error,
        .count = wire->count,
        .answer = (const char *)wire->answer.data,
        .answer_length = wire->answer.len,
    };
    return wire->error <= INT32_MAX && wire->count <= INT64_MAX &&
           wire->answer.len <= CHANGE_ANSWER_MAX && wire->change.len <= PACKET_PAYLOAD_MAX &&
           change_decode(line->change, line->change_bytes, &change);
}

static enum message_result take_changes(struct arena *arena, const Wanmeter__RecordBatch *wire,
                                        struct message *message)
{
    struct change_line *lines = arena_take(arena, wire->n_changes * sizeof *lines);
    if (!lines)
        return MESSAGE_NO_MEMORY;
    for (size_t i = 0; i < wire->n_changes; i++)
        if (!change_line_from_wire(wire->changes[i], &lines[i]))
            return MESSAGE_INVALID;
    message->changes = lines;
    message->n_changes = wire->n_changes;
    return MESSAGE_OK;
}

/* The packets themselves are judged by packet_decode() as they are applied: once is enough. */
static enum message_result take_packets(struct arena *arena, const Wanmeter__PacketBatch *wire,
                                        struct message *message)
{
    message->watermark_ns = wire->watermark_ns;
    message->packets = wire->packets.data;
    message->packets_size = wire->packets.len;
    message->n_packets = wire->n_packets;
    if (wire->n_packets > wire->packets.len / PACKET_BASE_SIZE)
        return MESSAGE_INVALID;
    enum message_result result = take_losses(arena, wire->losses, wire->n_losses, message);
    if (result == MESSAGE_OK)
        result = take_sources(arena, wire->sources, wire->n_sources, message);
    return result;
}

static bool is_whole(const ProtobufCBinaryData *wire, size_t item_size)
{
    return wire->len % item_size == 0;
}

/* Are all packed records in range? */
static bool records_are_valid(const struct message *message)
{
    struct usage_delta delta;
    for (size_t i = 0; i < message->n_usage; i++)
        if (!usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta))
            return false;
    for (size_t i = 0; i < message->n_flows; i++)
        if (!flow_record_is_valid(message->flows + i * FLOW_RECORD_SIZE))
            return false;
    struct connection_event event;
    for (size_t i = 0; i < message->n_events; i++)
        if (!connection_event_get(message->events + i * CONNECTION_EVENT_SIZE, &event))
            return false;
    return true;
}

static enum message_result take_records(struct arena *arena, const Wanmeter__RecordBatch *wire,
                                        struct message *message)
{
    if (!is_whole(&wire->usage, USAGE_DELTA_SIZE) || !is_whole(&wire->flows, FLOW_RECORD_SIZE) ||
        !is_whole(&wire->events, CONNECTION_EVENT_SIZE))
        return MESSAGE_INVALID;
    message->watermark_ns = wire->watermark_ns;
    message->usage = wire->usage.data;
    message->n_usage = wire->usage.len / USAGE_DELTA_SIZE;
    message->flows = wire->flows.data;
    message->n_flows = wire->flows.len / FLOW_RECORD_SIZE;
    message->events = wire->events.data;
    message->n_events = wire->events.len / CONNECTION_EVENT_SIZE;
    message->memory = wire->memory.data;
    message->memory_size = wire->memory.len;
    if (!records_are_valid(message))
        return MESSAGE_INVALID;
    enum message_result result = take_losses(arena, wire->losses, wire->n_losses, message);
    if (result == MESSAGE_OK)
        result = take_sources(arena, wire->sources, wire->n_sources, message);
    if (result == MESSAGE_OK)
        result = take_applied(arena, wire, message);
    if (result == MESSAGE_OK)
        result = take_changes(arena, wire, message);
    return result;
}

static enum message_result take_hello(const Wanmeter__Hello *wire, struct message *message)
{
    message->kind = MESSAGE_HELLO;
    message->started_ns = wire->started_ns;
    message->oldest_seq = wire->oldest_seq;
    message->predecessor = wire->predecessor;
    return wire->version == PIPELINE_VERSION && wire->oldest_seq >= 0 ? MESSAGE_OK
                                                                      : MESSAGE_INVALID;
}

static enum message_result take_content(struct arena *arena, const Wanmeter__Batch *wire,
                                        struct message *message)
{
    switch (wire->content_case) {
    case WANMETER__BATCH__CONTENT_HELLO:
        return take_hello(wire->hello, message);
    case WANMETER__BATCH__CONTENT_PACKETS:
        message->kind = MESSAGE_PACKETS;
        return take_packets(arena, wire->packets, message);
    case WANMETER__BATCH__CONTENT_RECORDS:
        message->kind = MESSAGE_RECORDS;
        return take_records(arena, wire->records, message);
    case WANMETER__BATCH__CONTENT_BYE:
        message->kind = MESSAGE_BYE;
        return MESSAGE_OK;
    case WANMETER__BATCH__CONTENT_IN_RING:
        message->kind = MESSAGE_IN_RING;
        message->in_ring =
            (struct batch_place){wire->in_ring->offset, wire->in_ring->size, wire->in_ring->crc};
        return MESSAGE_OK;
    case WANMETER__BATCH__CONTENT_RESTORE:
        message->kind = MESSAGE_RESTORE;
        message->restore_from = wire->restore;
        return MESSAGE_OK;
    default:
        return MESSAGE_INVALID;
    }
}

static ProtobufCBinaryData binary(const void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)bytes, .len = size}; /* it is only read */
}

static Wanmeter__PacketBatch *unpack_packets(struct arena *arena, const struct wire_cut *content)
{
    struct wire_cut packets = {.field = FIELD_PACKETS};
    size_t size;
    uint8_t *rest = wire_cut(arena, content->bytes, content->size, &packets, 1, &size);
    Wanmeter__PacketBatch *wire =
        rest ? wanmeter__packet_batch__unpack(&arena->allocator, size, rest) : NULL;
    if (wire)
        wire->packets = binary(packets.bytes, packets.size);
    return wire;
}

static Wanmeter__RecordBatch *unpack_records(struct arena *arena, const struct wire_cut *content)
{
    struct wire_cut rows[] = {{.field = FIELD_USAGE},
                              {.field = FIELD_FLOWS},
                              {.field = FIELD_EVENTS},
                              {.field = FIELD_MEMORY}};
    size_t size;
    uint8_t *rest = wire_cut(arena, content->bytes, content->size, rows, 4, &size);
    Wanmeter__RecordBatch *wire =
        rest ? wanmeter__record_batch__unpack(&arena->allocator, size, rest) : NULL;
    if (wire) {
        wire->usage = binary(rows[0].bytes, rows[0].size);
        wire->flows = binary(rows[1].bytes, rows[1].size);
        wire->events = binary(rows[2].bytes, rows[2].size);
        wire->memory = binary(rows[3].bytes, rows[3].size);
    }
    return wire;
}

/* All of it but packets and packed rows, which stay in 'bytes'. NULL: malformed. */
static Wanmeter__Batch *unpack(struct arena *arena, const uint8_t *bytes, size_t size)
{
    struct wire_cut contents[] = {{.field = FIELD_PACKET_BATCH}, {.field = FIELD_RECORD_BATCH}};
    size_t rest_size;
    uint8_t *rest = wire_cut(arena, bytes, size, contents, 2, &rest_size);
    Wanmeter__Batch *wire =
        rest ? wanmeter__batch__unpack(&arena->allocator, rest_size, rest) : NULL;
    bool has_packets = contents[0].is_there, has_records = contents[1].is_there;
    if (!wire || !(has_packets || has_records))
        return wire;
    if ((has_packets && has_records) || wire->content_case != WANMETER__BATCH__CONTENT__NOT_SET)
        return NULL;
    if (has_packets) {
        wire->content_case = WANMETER__BATCH__CONTENT_PACKETS;
        wire->packets = unpack_packets(arena, &contents[0]);
        return wire->packets ? wire : NULL;
    }
    wire->content_case = WANMETER__BATCH__CONTENT_RECORDS;
    wire->records = unpack_records(arena, &contents[1]);
    return wire->records ? wire : NULL;
}

static enum message_result decode(struct arena *arena, const uint8_t *bytes, size_t size,
                                  struct message *message)
{
    enum message_result result = MESSAGE_MALFORMED;
    const Wanmeter__Batch *wire = unpack(arena, bytes, size);
    if (wire && !has_unknown_fields(&wire->base)) {
        result = MESSAGE_INVALID;
        message->seq = wire->seq;
        message->end_of_stream = wire->end_of_stream;
        if (wire->seq >= 0 && stream_from_wire(wire->stream, &message->stream) &&
            totals_from_wire(wire->totals, &message->totals))
            result = take_content(arena, wire, message);
    }
    if (result == MESSAGE_OK) {
        message->owned = arena;
    } else {
        arena_destroy(arena);
        *message = (struct message){0};
    }
    return result;
}

enum message_result message_decode_block(void *block, void (*release)(void *block),
                                         const uint8_t *bytes, size_t size, struct message *message)
{
    *message = (struct message){0};
    struct arena *arena = size <= BUS_MESSAGE_MAX ? arena_create(size) : NULL;
    if (!arena) {
        release(block);
        return size <= BUS_MESSAGE_MAX ? MESSAGE_NO_MEMORY : MESSAGE_INVALID;
    }
    arena->kept = block;
    arena->release_kept = release;
    return decode(arena, bytes, size, message);
}

enum message_result message_decode(const uint8_t *bytes, size_t size, struct message *message)
{
    *message = (struct message){0};
    if (size > BUS_MESSAGE_MAX)
        return MESSAGE_INVALID;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return MESSAGE_NO_MEMORY;
    memcpy(copy, bytes, size);
    return message_decode_block(copy, free, copy, size, message);
}

void message_release(struct message *message)
{
    arena_destroy(message->owned);
    *message = (struct message){0};
}
