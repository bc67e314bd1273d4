/* hand: what a tracker has in hand, in a page that outlives it: its successor knows whom it takes
 * the place of, and which batch killed it.
 *
 *     hand_open("RUN_DIRECTORY/tracker-0.page", &hand);
 *     hand_predecessor(hand)                         the last epoch that heard of a commit; 0: none
 *     if (hand_is_poison(hand, worker, &stream, seq)) …    set that batch aside
 *     hand_watch(hand)                               the merge writes here what it gives
 *     hand_note_committed(hand, epoch);              from now on a successor is this one's
 *     hand_close(hand, is_done);                     done: the page is gone
 *
 * A batch is poison when trackers died twice in a row at the same packet of it, whatever the cause;
 * who was killed from outside dies elsewhere the next time. A page that is no page of ours (torn,
 * of another version) counts as none. Not thread-safe. */
#ifndef WANMETER_TRACKER_HAND_H
#define WANMETER_TRACKER_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arguments.h"
#include "proto/message.h"

struct hand;

#define HAND_IS_EMPTY UINT32_MAX /* no enum: ISO C has them within int */

/* The place in the streams where the tracker is: in the page itself. */
struct hand_watch {
    uint32_t worker; /* HAND_IS_EMPTY: no packet is being worked on */
    uint32_t unused;
    uint64_t packet; /* of the batch: its number, or of the first that is being decoded */
    struct {
        uint64_t epoch;
        int64_t seq;
    } batch[WORKERS_MAX]; /* of each worker, the one its packets are of */
};

/* 0 or -errno. */
int hand_open(const char *path, struct hand **out);
void hand_close(struct hand *hand, bool is_done); /* accepts NULL */

uint64_t hand_predecessor(const struct hand *hand);
void hand_note_committed(struct hand *hand, uint64_t epoch);

volatile struct hand_watch *hand_watch(struct hand *hand);

bool hand_is_poison(const struct hand *hand, uint32_t worker, const struct stream_id *stream,
                    int64_t seq);

#endif
