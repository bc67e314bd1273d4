/* downlink: the receiving end of several streams, on the bus: who may speak, what to apply, what to
 * acknowledge.
 *
 *     downlink_open(bus, &options, &downlink);
 *     … on_batch(state, index, &message)         in order, once each; may take the message over
 *     downlink_commit(downlink, index, seq);     everything up to 'seq' is safe: tell the sender
 *     downlink_flush(downlink);                  once a turn of the loop
 *     downlink_close(downlink);
 *
 * Streams are "PRODUCER-INDEX": capture-0, capture-1, … A hello is answered when downlink_start()
 * was called: a receiver that must first learn where to resume lets them wait. Malformed messages
 * are counted, logged once, and ignored.
 *
 * Of a batch that lies in its sender's ring only the place comes (ring_inbox.h). It waits there
 * until downlink_pull() gives it to on_batch; what cannot be taken from a ring is asked for, and
 * then comes by the socket. Not thread-safe. */
#ifndef WANMETER_PROTO_DOWNLINK_H
#define WANMETER_PROTO_DOWNLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "proto/message.h"

struct downlink;

struct downlink_options {
    const char *endpoint; /* borrowed for the call */
    const char *producer; /* "capture" */
    uint32_t shard;       /* that they must lead to; UINT32_MAX: their own index */
    size_t n_streams;
    const char *ring_directory; /* of the senders' rings; kept, not copied. NULL: none are read */

    /* A stream begins: where does it resume? Fills '*resume' (seq -1: at its beginning) and, for a
     * welcome that carries them, '*applied' and '*n_applied' (borrowed until the next call). Called
     * again when a hello is said again: the same stream then goes on where it is, whatever
     * '*resume' says. */
    void (*on_hello)(void *state, size_t index, const struct stream_id *stream,
                     struct high_water *resume, const struct high_water **applied,
                     size_t *n_applied);

    /* After on_hello, with what it said: does the welcome tell of something to restore? NULL: no.
     * 'predecessor': epoch of the stream that this one takes the place of; 0: none. */
    bool (*has_restore)(void *state, const struct stream_id *stream, uint64_t predecessor);
    void (*on_batch)(void *state, size_t index, struct message *message);

    /* May a hello be answered now? Else it is asked again, once a turn. NULL: always. */
    bool (*can_welcome)(void *state, size_t index, const struct stream_id *stream);
    /* The sender asks for what there was, from this place. Fills '*restored', borrowed until the
     * next call; false: no answer, it asks again. NULL: not answered here. */
    bool (*on_restore)(void *state, size_t index, uint64_t from, struct restored *restored);
    void *state;
};

/* 0 or -errno. */
int downlink_open(struct bus *bus, const struct downlink_options *options, struct downlink **out);
void downlink_close(struct downlink *downlink); /* accepts NULL */

/* Gives on_batch the oldest batch of a stream that waits in its ring; false: none does, or it
 * cannot be taken from there. */
bool downlink_pull(struct downlink *downlink, size_t index);

/* How many wait. */
size_t downlink_n_waiting(const struct downlink *downlink, size_t index);

/* From now on hellos are answered, also those that came before. */
void downlink_start(struct downlink *downlink);

void downlink_commit(struct downlink *downlink, size_t index, int64_t seq);

/* The batches of the stream that are not committed were not taken after all: they will be wanted
 * again, in order. What comes until downlink_want() is ignored. */
void downlink_refuse(struct downlink *downlink, size_t index);

/* And now they are. */
void downlink_want(struct downlink *downlink, size_t index);

/* Tells the senders that somebody is there, though nothing was committed. */
void downlink_keep_alive(struct downlink *downlink);

/* The oldest batch that the sender still had when it said hello. */
int64_t downlink_oldest_seq(const struct downlink *downlink, size_t index);

/* Sends the answers that are due. */
void downlink_flush(struct downlink *downlink);

/* Have all streams said goodbye? */
bool downlink_is_done(const struct downlink *downlink);

uint64_t downlink_n_malformed(const struct downlink *downlink);

#endif
