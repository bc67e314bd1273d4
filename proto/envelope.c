#include "proto/envelope.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_ALIGNMENT = 16,
    ARENA_FACTOR = 16, /* of the message's size: the largest honest ratio is below 10 */
    ARENA_BASE = 64 * 1024,
    BLOCK_SIZE = 16 * 1024, /* larger things get a block of their own */
};

struct arena_block {
    struct arena_block *next;
    alignas(ARENA_ALIGNMENT) uint8_t room[];
};

static void *arena_allocate(void *data, size_t size)
{
    return arena_take(data, size);
}

static void arena_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

struct arena *arena_create(size_t message_size)
{
    struct arena *arena = malloc(sizeof *arena);
    if (!arena)
        return NULL;
    *arena = (struct arena){
        .allocator = {.alloc = arena_allocate, .free = arena_free, .allocator_data = arena},
        .left = message_size * ARENA_FACTOR + ARENA_BASE,
    };
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    if (arena->kept)
        arena->release_kept(arena->kept);
    free(arena);
}

/* A block with at least 'size' bytes becomes the first; what is left of the one before is given
 * up. */
static bool add_block(struct arena *arena, size_t size)
{
    size_t room_size = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    struct arena_block *block = malloc(sizeof *block + room_size);
    if (!block)
        return false;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->room = block->room;
    arena->room_size = room_size;
    return true;
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t rounded = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded < size || rounded > arena->left)
        return NULL;
    if ((!arena->blocks || rounded > arena->room_size) && !add_block(arena, rounded))
        return NULL;
    uint8_t *taken = arena->room;
    arena->room += rounded;
    arena->room_size -= rounded;
    arena->left -= rounded;
    return taken;
}

/* The messages inside one field of 'message'. */
static bool field_has_unknown(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const uint8_t *base = (const uint8_t *)message;
    const uint8_t *quantifier = base + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n;
        ProtobufCMessage *const *items;
        memcpy(&n, quantifier, sizeof n);
        memcpy(&items, base + field->offset, sizeof items);
        for (size_t i = 0; i < n; i++)
            if (has_unknown_fields(items[i]))
                return true;
        return false;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t chosen;
        memcpy(&chosen, quantifier, sizeof chosen);
        if (chosen != field->id)
            return false;
    }
    const ProtobufCMessage *inner;
    memcpy(&inner, base + field->offset, sizeof inner);
    return inner && has_unknown_fields(inner);
}

bool has_unknown_fields(const ProtobufCMessage *message)
{
    if (message->n_unknown_fields)
        return true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (field_has_unknown(message, &message->descriptor->fields[i]))
            return true;
    return false;
}

static bool is_producer_character(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool stream_from_wire(const Wanmeter__Stream *wire, struct stream_id *stream)
{
    if (!wire || wire->producer.len == 0 || wire->producer.len > PRODUCER_NAME_MAX)
        return false;
    for (size_t i = 0; i < wire->producer.len; i++)
        if (!is_producer_character(wire->producer.data[i]))
            return false;
    *stream = (struct stream_id){.epoch = wire->epoch, .shard = wire->shard};
    memcpy(stream->producer, wire->producer.data, wire->producer.len);
    return true;
}

bool totals_from_wire(const Wanmeter__Totals *wire, struct totals *totals)
{
    *totals = (struct totals){0};
    if (!wire)
        return true; /* proto3: all zeros */
    if (wire->packets > INT64_MAX || wire->l2_bytes > INT64_MAX || wire->l3_bytes > INT64_MAX)
        return false;
    *totals = (struct totals){
        .packets = wire->packets,
        .l2_bytes = wire->l2_bytes,
        .l3_bytes = wire->l3_bytes,
    };
    return true;
}

bool high_water_from_wire(const Wanmeter__HighWater *wire, struct high_water *mark)
{
    *mark = (struct high_water){
        .seq = wire->seq, .packets_into_next = wire->packets_into_next, .is_closed = wire->closed};
    return wire->seq >= -1 && wire->packets_into_next <= INT64_MAX &&
           stream_from_wire(wire->stream, &mark->stream) &&
           totals_from_wire(wire->totals, &mark->totals);
}

void stream_to_wire(const struct stream_id *stream, Wanmeter__Stream *wire)
{
    *wire = (Wanmeter__Stream)WANMETER__STREAM__INIT;
    wire->producer.data = (uint8_t *)stream->producer; /* packing only reads it */
    wire->producer.len = strnlen(stream->producer, PRODUCER_NAME_MAX);
    wire->epoch = stream->epoch;
    wire->shard = stream->shard;
}

void totals_to_wire(const struct totals *totals, Wanmeter__Totals *wire)
{
    *wire = (Wanmeter__Totals)WANMETER__TOTALS__INIT;
    wire->packets = totals->packets;
    wire->l2_bytes = totals->l2_bytes;
    wire->l3_bytes = totals->l3_bytes;
}

Wanmeter__HighWater **high_waters_to_wire(struct arena *arena, const struct high_water *marks,
                                          size_t n_marks)
{
    struct room {
        Wanmeter__HighWater mark;
        Wanmeter__Stream stream;
        Wanmeter__Totals totals;
    };
    Wanmeter__HighWater **list = arena_take(arena, n_marks * sizeof *list);
    struct room *rooms = arena_take(arena, n_marks * sizeof *rooms);
    if (!list || !rooms)
        return NULL;
    for (size_t i = 0; i < n_marks; i++) {
        struct room *room = &rooms[i];
        room->mark = (Wanmeter__HighWater)WANMETER__HIGH_WATER__INIT;
        room->mark.seq = marks[i].seq;
        room->mark.packets_into_next = marks[i].packets_into_next;
        room->mark.closed = marks[i].is_closed;
        room->mark.stream = &room->stream;
        room->mark.totals = &room->totals;
        stream_to_wire(&marks[i].stream, &room->stream);
        totals_to_wire(&marks[i].totals, &room->totals);
        list[i] = &room->mark;
    }
    return list;
}

bool stream_id_equal(const struct stream_id *a, const struct stream_id *b)
{
    return a->epoch == b->epoch && a->shard == b->shard && strcmp(a->producer, b->producer) == 0;
}
