/* control: what is asked at the control sockets, and answered (proto/control.proto).
 *
 *     bytes = control_request_encode(&request, &size);                   malloc'ed
 *     if (control_request_decode(bytes, size, &request)) …               trusts nothing
 *
 *     control_reply_init(&reply);
 *     control_reply_columns(&reply, columns, n);
 *     control_reply_row(&reply, values, n);                              false: the portion is full
 *     control_reply_connection(&reply, &event, &context);
 *     bytes = control_reply_encode(&reply, &size);                       malloc'ed
 *     control_reply_deinit(&reply);
 *
 * A portion is bounded: who is asked puts rows until it is full, and says with 'cursor' where to go
 * on. Not thread-safe. */
#ifndef WANMETER_PROTO_CONTROL_H
#define WANMETER_PROTO_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/change.h"
#include "proto/event.h"
#include "proto/record.h"

enum { CONTROL_PORTION_BYTES = 128 * 1024, CONTROL_COLUMNS_MAX = 32 };

struct control_request {
    uint64_t cursor;
    uint32_t rows_max;
    size_t n_words;
    const char *words[CHANGE_WORDS_MAX + 1]; /* NULL after the last */
    char text[CHANGE_TEXT_MAX];              /* decoded: what the words point into */
};

/* False: malformed, too many or too long words, or words with a NUL. */
bool control_request_decode(const uint8_t *bytes, size_t size, struct control_request *request);

/* malloc'ed; NULL: no memory. 'text' is not looked at. */
uint8_t *control_request_encode(const struct control_request *request, size_t *size);

struct control_reply {
    int error;
    char answer[CHANGE_ANSWER_MAX + 1];
    uint32_t n_shards;
    uint64_t cursor;
    uint64_t change_id;
    int64_t time_ns;
    uint64_t count;

    uint8_t *packed; /* columns, rows and connections, as they go out */
    size_t packed_bytes;
    size_t n_rows;
    size_t rows_max;
};

/* 'rows_max' of the request; 0: bounded by the portion's size only. */
void control_reply_init(struct control_reply *reply, uint32_t rows_max);
void control_reply_deinit(struct control_reply *reply);

/* The errno, and why: cut where it is longer than CHANGE_ANSWER_MAX. */
void control_reply_fail(struct control_reply *reply, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Names what the rows have; once, before the first row. */
void control_reply_columns(struct control_reply *reply, const char *const *columns, size_t n);

/* Adds a row of text, one value a column. False: it was not added, the portion is full: set
 * 'cursor' to find this row again. */
bool control_reply_row(struct control_reply *reply, const char *const *values, size_t n);

/* Adds a connection, in the same way. */
bool control_reply_connection(struct control_reply *reply, const struct connection_event *event,
                              const struct event_context *context);

uint8_t *control_reply_encode(const struct control_reply *reply, size_t *size);

#endif
