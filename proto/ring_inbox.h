/* ring_inbox: batches of one stream that their sender has told the places of, and that still lie in
 * its ring (ring.h); taken from there one by one, when they are wanted.
 *
 *     ring_inbox_open("RUN_DIRECTORY/ring-0-0", &stream, &inbox);
 *     ring_inbox_put(inbox, seq, &place);            in order of their numbers
 *     result = ring_inbox_take(inbox, &message);     the oldest: a copy of it, checked, decoded
 *     ring_inbox_close(inbox);
 *
 * The ring is another process's, which may write to it, cut it short or put another in its place at
 * any time: nothing in it is believed. A batch is read once, from a mapping that may lose its end
 * (ring/ring_view.h), into memory of our own, and only the copy is looked at: its record's sum must
 * be the one that the sender told, and that of the copy; its number and its stream those of the
 * place. A sender does not write over a batch before it is acknowledged, so one that does not pass
 * is damaged, or another's: it has to come by the socket.
 *
 * The file is opened by the first batch and stays open: who has another ring has another stream.
 * Not thread-safe. */
#ifndef WANMETER_PROTO_RING_INBOX_H
#define WANMETER_PROTO_RING_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

enum { RING_INBOX_MAX = 4096 };

struct ring_inbox;

/* 0 or -errno: there is no such file, or it may not be read or mapped, or it is no file. */
int ring_inbox_open(const char *path, const struct stream_id *stream, struct ring_inbox **out);
void ring_inbox_close(struct ring_inbox *inbox); /* accepts NULL */

const struct stream_id *ring_inbox_stream(const struct ring_inbox *inbox);

/* Notes a batch; false: RING_INBOX_MAX wait already, or there is no memory. */
bool ring_inbox_put(struct ring_inbox *inbox, int64_t seq, const struct batch_place *place);

size_t ring_inbox_count(const struct ring_inbox *inbox);

/* Forgets what waits. */
void ring_inbox_clear(struct ring_inbox *inbox);

enum ring_inbox_result {
    RING_INBOX_TAKEN, /* 'message' is the caller's to release */
    RING_INBOX_EMPTY,
    RING_INBOX_FAILED, /* it cannot be taken from the ring; it is still the oldest */
};

/* '*seq': of the oldest, also of one that failed. */
enum ring_inbox_result ring_inbox_take(struct ring_inbox *inbox, struct message *message,
                                       int64_t *seq);

#endif
