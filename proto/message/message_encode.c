/* The sending end of the envelopes: plain structs to protobuf. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/envelope.h"
#include "proto/message.h"

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
    Wanmeter__RingBatch in_ring;
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
    case MESSAGE_IN_RING:
        room->in_ring = (Wanmeter__RingBatch)WANMETER__RING_BATCH__INIT;
        room->in_ring.offset = message->in_ring.offset;
        room->in_ring.size = message->in_ring.size;
        room->in_ring.crc = message->in_ring.crc;
        batch->content_case = WANMETER__BATCH__CONTENT_IN_RING;
        batch->in_ring = &room->in_ring;
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

/* The structs of the generated code, in 'room' and the arena. NULL: no memory. */
static struct arena *to_wire(const struct message *message, struct envelope_room *room)
{
    size_t n_parts =
        message->n_losses + message->n_sources + message->n_applied + message->n_changes;
    struct arena *arena = arena_create(n_parts * sizeof(Wanmeter__SourceTotal));
    if (!arena)
        return NULL;
    room->batch = (Wanmeter__Batch)WANMETER__BATCH__INIT;
    stream_to_wire(&message->stream, &room->stream);
    totals_to_wire(&message->totals, &room->totals);
    room->batch.stream = &room->stream;
    room->batch.totals = &room->totals;
    room->batch.seq = message->seq;
    room->batch.end_of_stream = message->end_of_stream;
    content_to_wire(arena, message, room);
    return arena;
}

uint8_t *message_encode_into(const struct message *message, message_room_fn take, void *state,
                             size_t *size)
{
    struct envelope_room room;
    struct arena *arena = to_wire(message, &room);
    if (!arena)
        return NULL;
    *size = wanmeter__batch__get_packed_size(&room.batch);
    uint8_t *bytes = take(state, *size);
    if (bytes)
        wanmeter__batch__pack(&room.batch, bytes);
    arena_destroy(arena);
    return bytes;
}

/* ---- around packets ---- */

/* A field of bytes, whose size takes five bytes whatever it is: it need not be known how many a
 * smaller one takes before what it counts is there. Any reader of protobuf takes it. */
static uint8_t *put_tag(uint8_t *at, unsigned field, size_t size)
{
    enum { WIRE_BYTES = 2, TYPE_BITS = 3, PAYLOAD_BITS = 7, CONTINUED = 0x80, SIZE_BYTES = 5 };
    *at++ = (uint8_t)(field << TYPE_BITS | WIRE_BYTES);
    for (int i = 1; i < SIZE_BYTES; i++, size >>= PAYLOAD_BITS)
        *at++ = (uint8_t)(size | CONTINUED);
    *at++ = (uint8_t)size;
    return at;
}

/*     6 {  3 { packets }  the rest of PacketBatch  }  the rest of Batch
 *
 * in which fields may have any order: what has packets in it comes first. */
size_t message_encode_around(const struct message *message, uint8_t *room, size_t room_size)
{
    struct envelope_room wire;
    assert(message->kind == MESSAGE_PACKETS && message->packets == room + MESSAGE_PACKETS_AT);
    struct arena *arena = to_wire(message, &wire);
    if (!arena)
        return 0;
    wire.packets.packets.len = 0;
    wire.batch.content_case = WANMETER__BATCH__CONTENT__NOT_SET;
    size_t inner_size = wanmeter__packet_batch__get_packed_size(&wire.packets);
    size_t outer_size = wanmeter__batch__get_packed_size(&wire.batch);
    size_t size = MESSAGE_PACKETS_AT + message->packets_size + inner_size + outer_size;
    if (size <= room_size) {
        size_t field_size = MESSAGE_PACKETS_AT / 2 + message->packets_size + inner_size;
        put_tag(put_tag(room, FIELD_PACKET_BATCH, field_size), FIELD_PACKETS,
                message->packets_size);
        uint8_t *rest = room + MESSAGE_PACKETS_AT + message->packets_size;
        wanmeter__packet_batch__pack(&wire.packets, rest);
        wanmeter__batch__pack(&wire.batch, rest + inner_size);
    }
    arena_destroy(arena);
    return size <= room_size ? size : 0;
}
