#include <stdlib.h>

#include "common/bus.h"
#include "proto/change.h"
#include "proto/envelope.h"
#include "proto/message.h"

static enum message_result take_welcome(struct arena *arena, const Wanmeter__Welcome *wire,
                                        struct reply *reply)
{
    struct high_water *applied = arena_take(arena, wire->n_applied * sizeof *applied);
    if (!applied)
        return MESSAGE_NO_MEMORY;
    for (size_t i = 0; i < wire->n_applied; i++)
        if (!high_water_from_wire(wire->applied[i], &applied[i]))
            return MESSAGE_INVALID;
    reply->kind = REPLY_WELCOME;
    reply->next_seq = wire->next_seq;
    reply->applied = applied;
    reply->n_applied = wire->n_applied;
    reply->has_restore = wire->has_restore;
    return wire->next_seq >= 0 ? MESSAGE_OK : MESSAGE_INVALID;
}

static enum message_result take_restored(struct arena *arena, const Wanmeter__Restored *wire,
                                         struct reply *reply)
{
    struct change_bytes *changes = arena_take(arena, wire->n_changes * sizeof *changes);
    if (!changes)
        return MESSAGE_NO_MEMORY;
    struct change change;
    for (size_t i = 0; i < wire->n_changes; i++) {
        changes[i] = (struct change_bytes){wire->changes[i].data, wire->changes[i].len};
        if (changes[i].size > PACKET_PAYLOAD_MAX ||
            !change_decode(changes[i].bytes, changes[i].size, &change))
            return MESSAGE_INVALID;
    }
    struct flow_record record;
    if (wire->flows.len % FLOW_RECORD_SIZE)
        return MESSAGE_INVALID;
    for (size_t at = 0; at < wire->flows.len; at += FLOW_RECORD_SIZE)
        if (!flow_record_get(wire->flows.data + at, &record))
            return MESSAGE_INVALID;
    reply->kind = REPLY_RESTORED;
    reply->restored = (struct restored){
        .from = wire->from,
        .next = wire->next,
        .clock_ns = wire->clock_ns,
        .changes = changes,
        .n_changes = wire->n_changes,
        .flows = wire->flows.data,
        .n_flows = wire->flows.len / FLOW_RECORD_SIZE,
        .memory = wire->memory.data,
        .memory_size = wire->memory.len,
    };
    return wire->next == 0 || wire->next > wire->from ? MESSAGE_OK : MESSAGE_INVALID;
}

static enum message_result take_content(struct arena *arena, const Wanmeter__Reply *wire,
                                        struct reply *reply)
{
    switch (wire->content_case) {
    case WANMETER__REPLY__CONTENT_WELCOME:
        return take_welcome(arena, wire->welcome, reply);
    case WANMETER__REPLY__CONTENT_ACK:
        reply->kind = REPLY_ACK;
        return MESSAGE_OK;
    case WANMETER__REPLY__CONTENT_RESEND_FROM:
        reply->kind = REPLY_RESEND;
        reply->next_seq = wire->resend_from;
        return wire->resend_from >= 0 ? MESSAGE_OK : MESSAGE_INVALID;
    case WANMETER__REPLY__CONTENT_INLINE_FROM:
        reply->kind = REPLY_INLINE;
        reply->next_seq = wire->inline_from;
        return wire->inline_from >= 0 ? MESSAGE_OK : MESSAGE_INVALID;
    case WANMETER__REPLY__CONTENT_SAY_HELLO:
        reply->kind = REPLY_SAY_HELLO;
        return MESSAGE_OK;
    case WANMETER__REPLY__CONTENT_RESTORED:
        return take_restored(arena, wire->restored, reply);
    default:
        return MESSAGE_INVALID;
    }
}

enum message_result reply_decode(const uint8_t *bytes, size_t size, struct reply *reply)
{
    *reply = (struct reply){0};
    if (size > BUS_MESSAGE_MAX)
        return MESSAGE_INVALID;
    struct arena *arena = arena_create(size);
    if (!arena)
        return MESSAGE_NO_MEMORY;

    enum message_result result = MESSAGE_MALFORMED;
    Wanmeter__Reply *wire = wanmeter__reply__unpack(&arena->allocator, size, bytes);
    if (wire && !has_unknown_fields(&wire->base)) {
        result = MESSAGE_INVALID;
        reply->committed_seq = wire->committed_seq;
        if (wire->committed_seq >= -1 && stream_from_wire(wire->stream, &reply->stream))
            result = take_content(arena, wire, reply);
    }
    if (result == MESSAGE_OK) {
        reply->owned = arena;
    } else {
        arena_destroy(arena);
        *reply = (struct reply){0};
    }
    return result;
}

void reply_release(struct reply *reply)
{
    arena_destroy(reply->owned);
    *reply = (struct reply){0};
}

/* False: no memory. */
static bool restored_to_wire(struct arena *arena, const struct restored *restored,
                             Wanmeter__Restored *wire)
{
    wire->n_changes = restored->n_changes;
    wire->changes = arena_take(arena, restored->n_changes * sizeof *wire->changes);
    if (!wire->changes)
        return false;
    for (size_t i = 0; i < restored->n_changes; i++) {
        wire->changes[i].data = (uint8_t *)restored->changes[i].bytes; /* packing only reads it */
        wire->changes[i].len = restored->changes[i].size;
    }
    wire->from = restored->from;
    wire->next = restored->next;
    wire->clock_ns = restored->clock_ns;
    wire->flows.data = (uint8_t *)restored->flows;
    wire->flows.len = restored->n_flows * FLOW_RECORD_SIZE;
    wire->memory.data = (uint8_t *)restored->memory;
    wire->memory.len = restored->memory_size;
    return true;
}

struct reply_room {
    Wanmeter__Reply reply;
    Wanmeter__Welcome welcome;
    Wanmeter__Restored restored;
};

static void welcome_to_wire(struct arena *arena, const struct reply *reply, Wanmeter__Welcome *wire)
{
    wire->next_seq = reply->next_seq;
    wire->applied = high_waters_to_wire(arena, reply->applied, reply->n_applied);
    wire->n_applied = reply->n_applied;
    wire->has_restore = reply->has_restore;
}

/* False: no memory. */
static bool content_to_wire(struct arena *arena, const struct reply *reply, struct reply_room *room)
{
    Wanmeter__Reply *wire = &room->reply;
    switch (reply->kind) {
    case REPLY_WELCOME:
        welcome_to_wire(arena, reply, &room->welcome);
        wire->content_case = WANMETER__REPLY__CONTENT_WELCOME;
        wire->welcome = &room->welcome;
        return true;
    case REPLY_ACK:
        wire->content_case = WANMETER__REPLY__CONTENT_ACK;
        wire->ack = true;
        return true;
    case REPLY_RESEND:
        wire->content_case = WANMETER__REPLY__CONTENT_RESEND_FROM;
        wire->resend_from = reply->next_seq;
        return true;
    case REPLY_INLINE:
        wire->content_case = WANMETER__REPLY__CONTENT_INLINE_FROM;
        wire->inline_from = reply->next_seq;
        return true;
    case REPLY_SAY_HELLO:
        wire->content_case = WANMETER__REPLY__CONTENT_SAY_HELLO;
        wire->say_hello = true;
        return true;
    case REPLY_RESTORED:
        wire->content_case = WANMETER__REPLY__CONTENT_RESTORED;
        wire->restored = &room->restored;
        return restored_to_wire(arena, &reply->restored, &room->restored);
    }
    return false;
}

uint8_t *reply_encode(const struct reply *reply, size_t *size)
{
    struct arena *arena =
        arena_create((reply->n_applied + reply->restored.n_changes) * sizeof(Wanmeter__HighWater));
    if (!arena)
        return NULL;
    Wanmeter__Stream stream;
    stream_to_wire(&reply->stream, &stream);
    struct reply_room room = {
        .reply = WANMETER__REPLY__INIT,
        .welcome = WANMETER__WELCOME__INIT,
        .restored = WANMETER__RESTORED__INIT,
    };
    room.reply.stream = &stream;
    room.reply.committed_seq = reply->committed_seq;
    bool has_memory = content_to_wire(arena, reply, &room);
    *size = has_memory ? wanmeter__reply__get_packed_size(&room.reply) : 0;
    uint8_t *bytes = has_memory ? malloc(*size) : NULL;
    if (bytes)
        wanmeter__reply__pack(&room.reply, bytes);
    arena_destroy(arena);
    return bytes;
}
