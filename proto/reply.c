#include <stdlib.h>

#include "common/bus.h"
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
    return wire->next_seq >= 0 ? MESSAGE_OK : MESSAGE_INVALID;
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
    case WANMETER__REPLY__CONTENT_SAY_HELLO:
        reply->kind = REPLY_SAY_HELLO;
        return MESSAGE_OK;
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

uint8_t *reply_encode(const struct reply *reply, size_t *size)
{
    struct arena *arena = arena_create(reply->n_applied * sizeof(Wanmeter__HighWater));
    if (!arena)
        return NULL;
    Wanmeter__Stream stream;
    stream_to_wire(&reply->stream, &stream);
    Wanmeter__Welcome welcome = WANMETER__WELCOME__INIT;
    Wanmeter__Reply wire = WANMETER__REPLY__INIT;
    wire.stream = &stream;
    wire.committed_seq = reply->committed_seq;
    switch (reply->kind) {
    case REPLY_WELCOME:
        welcome.next_seq = reply->next_seq;
        welcome.applied = high_waters_to_wire(arena, reply->applied, reply->n_applied);
        welcome.n_applied = reply->n_applied;
        wire.content_case = WANMETER__REPLY__CONTENT_WELCOME;
        wire.welcome = &welcome;
        break;
    case REPLY_ACK:
        wire.content_case = WANMETER__REPLY__CONTENT_ACK;
        wire.ack = true;
        break;
    case REPLY_RESEND:
        wire.content_case = WANMETER__REPLY__CONTENT_RESEND_FROM;
        wire.resend_from = reply->next_seq;
        break;
    case REPLY_SAY_HELLO:
        wire.content_case = WANMETER__REPLY__CONTENT_SAY_HELLO;
        wire.say_hello = true;
        break;
    }
    *size = wanmeter__reply__get_packed_size(&wire);
    uint8_t *bytes = malloc(*size);
    if (bytes)
        wanmeter__reply__pack(&wire, bytes);
    arena_destroy(arena);
    return bytes;
}
