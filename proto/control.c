#include "proto/control.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bus.h"
#include "control.pb-c.h"
#include "proto/envelope.h"

enum {
    REPLY_COLUMNS_KEY = 8 << 3 | 2, /* field 8, length-delimited */
    REPLY_ROWS_KEY = 9 << 3 | 2,
    REPLY_CONNECTIONS_KEY = 10 << 3 | 2,
    ROW_VALUES_KEY = 1 << 3 | 2,
};

/* ---- requests ---- */

/* The wire's words, if none holds a NUL. */
static bool copy_words(const Wanmeter__Control__Request *wire, struct control_request *request)
{
    size_t used = 0;
    if (wire->n_words > CHANGE_WORDS_MAX)
        return false;
    for (size_t i = 0; i < wire->n_words; i++) {
        const ProtobufCBinaryData *word = &wire->words[i];
        bool has_nul = word->len > 0 && memchr(word->data, '\0', word->len) != NULL;
        if (has_nul || word->len >= sizeof request->text - used)
            return false;
        request->words[i] = request->text + used;
        if (word->len > 0)
            memcpy(request->text + used, word->data, word->len);
        request->text[used + word->len] = '\0';
        used += word->len + 1;
    }
    request->n_words = wire->n_words;
    request->words[wire->n_words] = NULL;
    return true;
}

bool control_request_decode(const uint8_t *bytes, size_t size, struct control_request *request)
{
    if (size > BUS_REQUEST_MAX)
        return false;
    struct arena *arena = arena_create(size);
    if (!arena)
        return false;
    Wanmeter__Control__Request *wire =
        wanmeter__control__request__unpack(&arena->allocator, size, bytes);
    bool is_valid = wire && copy_words(wire, request);
    if (is_valid) {
        request->cursor = wire->cursor;
        request->rows_max = wire->rows_max;
    }
    arena_destroy(arena);
    return is_valid;
}

uint8_t *control_request_encode(const struct control_request *request, size_t *size)
{
    ProtobufCBinaryData words[CHANGE_WORDS_MAX];
    assert(request->n_words <= CHANGE_WORDS_MAX);
    for (size_t i = 0; i < request->n_words; i++) /* packing only reads them */
        words[i] = (ProtobufCBinaryData){.len = strlen(request->words[i]),
                                         .data = (uint8_t *)(uintptr_t)request->words[i]};
    Wanmeter__Control__Request wire = WANMETER__CONTROL__REQUEST__INIT;
    wire.n_words = request->n_words;
    wire.words = words;
    wire.cursor = request->cursor;
    wire.rows_max = request->rows_max;
    *size = wanmeter__control__request__get_packed_size(&wire);
    uint8_t *bytes = malloc(*size + 1);
    if (bytes)
        wanmeter__control__request__pack(&wire, bytes);
    return bytes;
}

/* ---- replies ---- */

void control_reply_init(struct control_reply *reply, uint32_t rows_max)
{
    *reply = (struct control_reply){.rows_max = rows_max ? rows_max : UINT32_MAX};
}

void control_reply_deinit(struct control_reply *reply)
{
    free(reply->packed);
    *reply = (struct control_reply){0};
}

void control_reply_fail(struct control_reply *reply, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reply->answer, sizeof reply->answer, format, arguments);
    va_end(arguments);
    reply->error = error;
}

static size_t varint_size(size_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static uint8_t *put_varint(uint8_t *at, size_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static size_t field_size(size_t size)
{
    return 1 + varint_size(size) + size;
}

/* Room for a field of 'size' bytes, with its key and length before it. NULL: the portion is full.
 * The first one always fits: who asks gets on. */
static uint8_t *put_field(struct control_reply *reply, uint8_t key, size_t size)
{
    size_t needed = reply->packed_bytes + field_size(size);
    bool is_full = needed > CONTROL_PORTION_BYTES || reply->n_rows >= reply->rows_max;
    if (is_full && reply->n_rows > 0)
        return NULL;
    size_t room = needed > CONTROL_PORTION_BYTES ? needed : CONTROL_PORTION_BYTES;
    if (!reply->packed || room > CONTROL_PORTION_BYTES) {
        uint8_t *packed = realloc(reply->packed, room);
        if (!packed)
            return NULL;
        reply->packed = packed;
    }
    uint8_t *at = reply->packed + reply->packed_bytes;
    *at++ = key;
    at = put_varint(at, size);
    reply->packed_bytes = needed;
    return at;
}

void control_reply_columns(struct control_reply *reply, const char *const *columns, size_t n)
{
    assert(reply->n_rows == 0 && n <= CONTROL_COLUMNS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(columns[i]);
        uint8_t *at = put_field(reply, REPLY_COLUMNS_KEY, size);
        if (at)
            memcpy(at, columns[i], size);
    }
}

bool control_reply_row(struct control_reply *reply, const char *const *values, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += field_size(strlen(values[i]));
    uint8_t *at = put_field(reply, REPLY_ROWS_KEY, size);
    if (!at)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t value_size = strlen(values[i]);
        *at++ = ROW_VALUES_KEY;
        at = put_varint(at, value_size);
        memcpy(at, values[i], value_size);
        at += value_size;
    }
    reply->n_rows++;
    return true;
}

bool control_reply_connection(struct control_reply *reply, const struct connection_event *event,
                              const struct event_context *context)
{
    uint8_t room[EVENT_SIZE_MAX];
    size_t size = event_encode_connection(event, context, room);
    uint8_t *at = put_field(reply, REPLY_CONNECTIONS_KEY, size);
    if (!at)
        return false;
    memcpy(at, room, size);
    reply->n_rows++;
    return true;
}

/* Encoded messages one after the other are one message. */
uint8_t *control_reply_encode(const struct control_reply *reply, size_t *size)
{
    Wanmeter__Control__Reply wire = WANMETER__CONTROL__REPLY__INIT;
    wire.error = (uint32_t)reply->error;
    wire.answer.data = (uint8_t *)(uintptr_t)reply->answer; /* packing only reads it */
    wire.answer.len = strlen(reply->answer);
    wire.n_shards = reply->n_shards;
    wire.cursor = reply->cursor;
    wire.change_id = reply->change_id;
    wire.time_ns = reply->time_ns;
    wire.count = reply->count;
    size_t rest_size = wanmeter__control__reply__get_packed_size(&wire);
    uint8_t *bytes = malloc(rest_size + reply->packed_bytes + 1);
    if (!bytes)
        return NULL;
    *size = wanmeter__control__reply__pack(&wire, bytes);
    if (reply->packed_bytes > 0)
        memcpy(bytes + *size, reply->packed, reply->packed_bytes);
    *size += reply->packed_bytes;
    return bytes;
}
