/* uplink: the sending end of a stream, on the bus: hello, batches, what is asked for again,
 * goodbye.
 *
 *     uplink_open(bus, &options, &uplink);
 *     uplink_push(uplink, &message, &added);   numbers it, and keeps it until it is committed
 *     uplink_flush(uplink);                    once a turn of the loop: sends what the socket takes
 *     uplink_say_bye(uplink);                  when everything is committed
 *     uplink_close(uplink);                    the bus then closes the socket
 *
 * With a ring (ring.h) the batches survive the process, and an uplink that is opened on the ring of
 * one that died goes on with its stream: what is damaged in it goes as a loss line, exact. On one
 * machine only the place of a batch is sent, and the receiver takes it from the ring; one that
 * cannot asks for the batches themselves, and is sent these from then on. A batch that was damaged
 * in the ring is not sent: uplink_is_whole() says so, and a successor tells how much it was.
 *
 * Batches and replies can be lost on a connection that breaks (a process that was stopped for some
 * seconds): a sender that waits and hears nothing for UPLINK_SILENCE_MS says hello again, and the
 * welcome tells it where to go on; after UPLINK_RECONNECT_MS it connects again as well. So
 * uplink_flush() has to be called now and then also when there is nothing new. Not thread-safe. */
#ifndef WANMETER_PROTO_UPLINK_H
#define WANMETER_PROTO_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "proto/message.h"
#include "proto/ring.h"

enum { UPLINK_SILENCE_MS = 2000, UPLINK_RECONNECT_MS = 10000 };

struct uplink;

/* The other end has committed everything up to and including 'seq' (-1: nothing yet). May tell of
 * the same 'seq' again. */
typedef void (*committed_fn)(void *state, int64_t seq);

/* The other end has answered a hello: 'reply' is a REPLY_WELCOME. */
typedef void (*welcome_fn)(void *state, const struct reply *reply);

/* A portion of what uplink_ask_restored() asked for; borrowed for the call. */
typedef void (*restored_fn)(void *state, const struct restored *restored);

struct uplink_options {
    const char *endpoint; /* borrowed for the call */
    struct stream_id stream;
    uint64_t predecessor;      /* epoch of the stream that this takes the place of; 0: none */
    size_t window_bytes;       /* kept unacknowledged before has_room says no */
    struct ring *ring;         /* keeps them, and what there is in it goes first; NULL: memory */
    committed_fn on_committed; /* or NULL */
    welcome_fn on_welcome;     /* or NULL */
    restored_fn on_restored;   /* or NULL */
    void *state;
};

/* A stream's epoch: 64 random bits. */
uint64_t uplink_epoch(void);

/* 0 or -errno. */
int uplink_open(struct bus *bus, const struct uplink_options *options, struct uplink **out);
void uplink_close(struct uplink *uplink); /* accepts NULL */

/* Where the packets of the next batch may be gathered, up to 'size' bytes: in the ring, so that a
 * batch pushed with packets from here on is not copied. Valid until the next push. NULL: no room.
 */
uint8_t *uplink_room(struct uplink *uplink, size_t size);

/* The first 'size' bytes there are as they will be pushed. Called now and then, it saves reading
 * them again for their sum when they are out of the cache. */
void uplink_settle(struct uplink *uplink, size_t size);

/* 'message' is PACKETS or RECORDS; stream, seq and totals are filled in here. 'added' is what the
 * batch adds to the stream's totals. 0 or -ENOMEM. */
int uplink_push(struct uplink *uplink, struct message *message, const struct totals *added);

bool uplink_has_room(const struct uplink *uplink);

/* How far the stream is with what was pushed so far. */
const struct ring_mark *uplink_mark(const struct uplink *uplink);

/* The seq that the next pushed batch will have. */
int64_t uplink_next_seq(const struct uplink *uplink);

/* Is everything pushed so far committed at the other end? */
bool uplink_is_committed(const struct uplink *uplink);

/* Is what there was to send as it was put into the ring? */
bool uplink_is_whole(const struct uplink *uplink);

/* What is kept because it is not committed. */
size_t uplink_held_bytes(const struct uplink *uplink);

/* Asks for what there was before (a welcome has said that there is something), from this place: 0,
 * then the 'next' of each portion. Asked again where no answer comes. */
void uplink_ask_restored(struct uplink *uplink, uint64_t from);

/* Sends what the socket takes now. */
void uplink_flush(struct uplink *uplink);

/* Says that the stream's end is committed; false: the socket did not take it now. */
bool uplink_say_bye(struct uplink *uplink);

#endif
