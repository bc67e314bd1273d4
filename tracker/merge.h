/* merge: the packets of several capture streams in one order, by clock.
 *
 *     merge_create(n_streams, &handlers, &merge);
 *     merge_push(merge, stream_index, &message);     takes the message over
 *     merge_run(merge, n_packets_max);               gives on_packets what is next, as far
 *                                                    as it is known
 *     merge_destroy(merge);
 *
 * Each stream comes in order of its clock (the largest timestamp so far); a packet is next when no
 * other stream can still bring one that goes before it. Ties: the lower stream index first, within
 * a stream the order of arrival. So the order is the same however batches are cut and whenever they
 * come. Packets are decoded some ahead of their turn, so that what they will need of memory can be
 * asked for. Each batch's stated totals are checked against what its packets add up to. Not
 * thread-safe.
 */
#ifndef WANMETER_TRACKER_MERGE_H
#define WANMETER_TRACKER_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"
#include "proto/packet.h"
#include "tracker/flow.h"
#include "tracker/hand.h"

struct merge;

/* Packets decoded ahead of their turn: what they need stays in the L1 cache. */
enum { MERGE_AHEAD_MAX = 16 };

/* A packet before its turn. */
struct merge_packet {
    struct packet packet;
    struct flow_key key;
    size_t size; /* of its descriptor */
};

/* Packets of one stream whose turn it is, one after the other. */
struct merge_turn {
    const struct merge_packet *packets;
    size_t n; /* MERGE_AHEAD_MAX at most */
    volatile struct hand_watch *watch;
    uint64_t first; /* the first one's number in its batch */
};

/* The 'i'th of them, noted as the one that is in hand now. */
static inline const struct merge_packet *merge_turn_at(const struct merge_turn *turn, size_t i)
{
    if (turn->watch)
        turn->watch->packet = turn->first + i;
    return &turn->packets[i];
}

struct merge_handlers {
    /* Packets that are given soon, MERGE_AHEAD_MAX at most: makes their keys. Nothing of them
     * counts yet. */
    void (*on_ahead)(void *state, struct merge_packet *packets, size_t n);
    /* Each is taken by merge_turn_at(), in order. */
    void (*on_packets)(void *state, const struct merge_turn *turn);
    /* A batch is wholly given: its losses and source totals are now due. Borrowed for the call. */
    void (*on_batch_end)(void *state, const struct message *batch);
    /* Asked after MERGE_AHEAD_MAX packets at the latest: is a commit point due, before any other?
     */
    bool (*is_pausing)(void *state);
    /* A batch that was set aside is over: what its totals say of it (but for what was applied of it
     * before) is lost. NULL: there are none. */
    void (*on_set_aside)(void *state, const struct message *batch, const struct loss *loss);
    void *state;
    volatile struct hand_watch *watch; /* kept; where what is given is noted. NULL: nowhere */
    /* All that was pushed of a stream is given; the next batch may be pushed now, if it is there.
     * NULL: batches are pushed as they come. */
    void (*on_drained)(void *state, size_t index);
};

/* 0 or -ENOMEM. */
int merge_create(size_t n_streams, const struct merge_handlers *handlers, struct merge **out);
void merge_destroy(struct merge *merge); /* accepts NULL */

/* Names a stream before its first batch, and what of it is applied already (seq -1: nothing). A
 * stream that has begun goes on where it is. */
void merge_begin(struct merge *merge, size_t index, const struct high_water *applied);

/* Appends a batch; its seq is that after the one before. The message is the merge's now. 0 or
 * -ENOMEM. */
int merge_push(struct merge *merge, size_t index, struct message *message);

/* The stream at 'index'; NULL: none has begun. */
const struct stream_id *merge_stream(const struct merge *merge, size_t index);

/* Has all that was pushed of a stream been given? */
bool merge_is_drained(const struct merge *merge, size_t index);

/* The same, of a batch that is not to be looked into: its packets are a loss (on_set_aside). */
int merge_push_set_aside(struct merge *merge, size_t index, struct message *message);

enum merge_result {
    MERGE_IDLE,   /* nothing more can be given now */
    MERGE_MORE,   /* stopped at n_packets_max or by is_pausing */
    MERGE_ENDED,  /* every stream has ended and all is given: merge_end() is due */
    MERGE_BROKEN, /* a batch does not decode, or does not add up: merge_error() says which */
};

enum merge_result merge_run(struct merge *merge, size_t n_packets_max);

/* After MERGE_ENDED, before the last commit point: the ends of the streams become part of what is
 * applied. Until then each stream's last batch counts as under way, so that its sender keeps it,
 * and is there for a tracker that takes the place of this one. MERGE_ENDED or MERGE_BROKEN. */
enum merge_result merge_end(struct merge *merge);
const char *merge_error(const struct merge *merge);

/* The clock that all streams have reached: INT64_MIN before the first batch of each. */
int64_t merge_clock_ns(const struct merge *merge);

/* The largest clock that any stream has reached: the end of input, once all have ended. */
int64_t merge_end_ns(const struct merge *merge);

/* How far each stream is applied; 'marks' has n_streams places. Returns how many have begun. */
size_t merge_applied(const struct merge *merge, struct high_water *marks);

/* Seq of the last batch of a stream that is wholly applied; -1: none. */
int64_t merge_applied_seq(const struct merge *merge, size_t index);

/* Bytes of packets given since the last call of merge_taken_reset(), the largest of any stream. */
size_t merge_taken_bytes(const struct merge *merge);
void merge_taken_reset(struct merge *merge);

#endif
