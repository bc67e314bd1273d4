#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

#include "common/bus.h"
#include "proto/change.h"
#include "proto/envelope.h"

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
    struct flow_record record;
    for (size_t i = 0; i < message->n_flows; i++)
        if (!flow_record_get(message->flows + i * FLOW_RECORD_SIZE, &record))
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
    case WANMETER__BATCH__CONTENT_RESTORE:
        message->kind = MESSAGE_RESTORE;
        message->restore_from = wire->restore;
        return MESSAGE_OK;
    default:
        return MESSAGE_INVALID;
    }
}

enum message_result message_decode(const uint8_t *bytes, size_t size, struct message *message)
{
    *message = (struct message){0};
    if (size > BUS_MESSAGE_MAX)
        return MESSAGE_INVALID;
    struct arena *arena = arena_create(size);
    if (!arena)
        return MESSAGE_NO_MEMORY;

    enum message_result result = MESSAGE_MALFORMED;
    Wanmeter__Batch *wire = wanmeter__batch__unpack(&arena->allocator, size, bytes);
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

void message_release(struct message *message)
{
    arena_destroy(message->owned);
    *message = (struct message){0};
}

/* ---- encoding ---- */

static ProtobufCBinaryData binary(const void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)bytes, .len = size}; /* packing only reads it */
}

static Wanmeter__Loss **losses_to_wire(struct arena *arena, const struct message *message)
{
    struct room {
        Wanmeter__Loss loss;
        Wanmeter__Stream stream;
    };
    Wanmeter__Loss **list = arena_take(arena, message->n_losses * sizeof *list);
    struct room *rooms = arena_take(arena, message->n_losses * sizeof *rooms);
    if (!list || !rooms)
        return NULL;
    for (size_t i = 0; i < message->n_losses; i++) {
        const struct loss *loss = &message->losses[i].loss;
        Wanmeter__Loss *wire = &rooms[i].loss;
        *wire = (Wanmeter__Loss)WANMETER__LOSS__INIT;
        wire->first_ns = loss->first_ns;
        wire->last_ns = loss->last_ns;
        wire->packets = loss->packets;
        wire->l2_bytes = loss->l2_bytes;
        wire->l3_bytes = loss->l3_bytes;
        wire->stage = loss->stage;
        wire->certainty = loss->certainty;
        wire->reason = binary(loss->reason, strlen(loss->reason));
        wire->evidence = binary(loss->evidence, strlen(loss->evidence));
        wire->stream = &rooms[i].stream;
        stream_to_wire(&message->losses[i].stream, wire->stream);
        list[i] = wire;
    }
    return list;
}

static Wanmeter__SourceTotal **sources_to_wire(struct arena *arena, const struct message *message)
{
    struct room {
        Wanmeter__SourceTotal total;
        Wanmeter__Stream stream;
    };
    Wanmeter__SourceTotal **list = arena_take(arena, message->n_sources * sizeof *list);
    struct room *rooms = arena_take(arena, message->n_sources * sizeof *rooms);
    if (!list || !rooms)
        return NULL;
    for (size_t i = 0; i < message->n_sources; i++) {
        const struct source_total *total = &message->sources[i].total;
        Wanmeter__SourceTotal *wire = &rooms[i].total;
        *wire = (Wanmeter__SourceTotal)WANMETER__SOURCE_TOTAL__INIT;
        wire->name = binary(total->name, strlen(total->name));
        wire->sha256 = binary(total->sha256, sizeof total->sha256);
        wire->packets = total->packets;
        wire->l2_bytes = total->l2_bytes;
        wire->carrier_bytes = total->carrier_bytes;
        wire->first_ns = total->first_ns;
        wire->last_ns = total->last_ns;
        wire->source_index = total->source_index;
        wire->is_complete = total->is_complete;
        wire->stream = &rooms[i].stream;
        stream_to_wire(&message->sources[i].stream, wire->stream);
        list[i] = wire;
    }
    return list;
}

static Wanmeter__ChangeLine **changes_to_wire(struct arena *arena, const struct message *message)
{
    Wanmeter__ChangeLine **list = arena_take(arena, message->n_changes * sizeof *list);
    Wanmeter__ChangeLine *rooms = arena_take(arena, message->n_changes * sizeof *rooms);
    if (!list || !rooms)
        return NULL;
    for (size_t i = 0; i < message->n_changes; i++) {
        const struct change_line *line = &message->changes[i];
        rooms[i] = (Wanmeter__ChangeLine)WANMETER__CHANGE_LINE__INIT;
        rooms[i].change = binary(line->change, line->change_bytes);
        rooms[i].error = line->error;
        rooms[i].count = line->count;
        rooms[i].answer = binary(line->answer, line->answer_length);
        list[i] = &rooms[i];
    }
    return list;
}

struct envelope_room {
    Wanmeter__Batch batch;
    Wanmeter__Stream stream;
    Wanmeter__Totals totals;
    Wanmeter__Hello hello;
    Wanmeter__PacketBatch packets;
    Wanmeter__RecordBatch records;
};

static void packets_to_wire(struct arena *arena, const struct message *message,
                            Wanmeter__PacketBatch *wire)
{
    *wire = (Wanmeter__PacketBatch)WANMETER__PACKET_BATCH__INIT;
    wire->watermark_ns = message->watermark_ns;
    wire->n_packets = message->n_packets;
    wire->packets = binary(message->packets, message->packets_size);
    wire->losses = losses_to_wire(arena, message);
    wire->n_losses = message->n_losses;
    wire->sources = sources_to_wire(arena, message);
    wire->n_sources = message->n_sources;
}

static void records_to_wire(struct arena *arena, const struct message *message,
                            Wanmeter__RecordBatch *wire)
{
    *wire = (Wanmeter__RecordBatch)WANMETER__RECORD_BATCH__INIT;
    wire->watermark_ns = message->watermark_ns;
    wire->usage = binary(message->usage, message->n_usage * USAGE_DELTA_SIZE);
    wire->flows = binary(message->flows, message->n_flows * FLOW_RECORD_SIZE);
    wire->events = binary(message->events, message->n_events * CONNECTION_EVENT_SIZE);
    wire->losses = losses_to_wire(arena, message);
    wire->n_losses = message->n_losses;
    wire->sources = sources_to_wire(arena, message);
    wire->n_sources = message->n_sources;
    wire->applied = high_waters_to_wire(arena, message->applied, message->n_applied);
    wire->n_applied = message->n_applied;
    wire->changes = changes_to_wire(arena, message);
    wire->n_changes = message->n_changes;
    wire->memory = binary(message->memory, message->memory_size);
}

static void hello_to_wire(const struct message *message, Wanmeter__Hello *wire)
{
    *wire = (Wanmeter__Hello)WANMETER__HELLO__INIT;
    wire->started_ns = message->started_ns;
    wire->oldest_seq = message->oldest_seq;
    wire->version = PIPELINE_VERSION;
    wire->predecessor = message->predecessor;
}

static void content_to_wire(struct arena *arena, const struct message *message,
                            struct envelope_room *room)
{
    Wanmeter__Batch *batch = &room->batch;
    switch (message->kind) {
    case MESSAGE_HELLO:
        hello_to_wire(message, &room->hello);
        batch->content_case = WANMETER__BATCH__CONTENT_HELLO;
        batch->hello = &room->hello;
        break;
    case MESSAGE_PACKETS:
        packets_to_wire(arena, message, &room->packets);
        batch->content_case = WANMETER__BATCH__CONTENT_PACKETS;
        batch->packets = &room->packets;
        break;
    case MESSAGE_RECORDS:
        records_to_wire(arena, message, &room->records);
        batch->content_case = WANMETER__BATCH__CONTENT_RECORDS;
        batch->records = &room->records;
        break;
    case MESSAGE_BYE:
        batch->content_case = WANMETER__BATCH__CONTENT_BYE;
        batch->bye = true;
        break;
    case MESSAGE_RESTORE:
        batch->content_case = WANMETER__BATCH__CONTENT_RESTORE;
        batch->restore = message->restore_from;
        break;
    }
}

static uint8_t *take_memory(void *state, size_t size)
{
    (void)state;
    return malloc(size);
}

uint8_t *message_encode(const struct message *message, size_t *size)
{
    return message_encode_into(message, take_memory, NULL, size);
}

uint8_t *message_encode_into(const struct message *message, message_room_fn take, void *state,
                             size_t *size)
{
    size_t n_parts =
        message->n_losses + message->n_sources + message->n_applied + message->n_changes;
    struct arena *arena = arena_create(n_parts * sizeof(Wanmeter__SourceTotal));
    if (!arena)
        return NULL;
    struct envelope_room room = {.batch = WANMETER__BATCH__INIT};
    stream_to_wire(&message->stream, &room.stream);
    totals_to_wire(&message->totals, &room.totals);
    room.batch.stream = &room.stream;
    room.batch.totals = &room.totals;
    room.batch.seq = message->seq;
    room.batch.end_of_stream = message->end_of_stream;
    content_to_wire(arena, message, &room);

    *size = wanmeter__batch__get_packed_size(&room.batch);
    uint8_t *bytes = take(state, *size);
    if (bytes)
        wanmeter__batch__pack(&room.batch, bytes);
    arena_destroy(arena);
    return bytes;
}
