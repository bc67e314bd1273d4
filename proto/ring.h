/* ring: the batches of a stream that are not committed yet, in a file that outlives its process.
 *
 *     found = ring_open(path, &options, &ring);     makes it, or takes up what a predecessor left
 *     bytes = ring_reserve(ring, size);             where the next batch is to be written
 *     ring_push(ring, &mark);                       now it is there, and survives this process
 *     ring_commit(ring, seq);                       what is committed may be written over
 *     ring_close(ring);                             the file stays
 *
 * The file is mapped, so what a process has written is there whatever ends it; the machine must not
 * end (a run directory is on tmpfs in a deployment). Nothing of it is believed before it is
 * checked: the header by its CRC, each batch by its own and by its number. A batch that was being
 * written when its process died does not pass, and was never sent: it is not there. One that was
 * damaged later leaves a gap, which the batch after it tells the size of, or, at the end, the mark
 * of the last one pushed.
 *
 * Layout, in the byte order of the machine: a header of RING_HEADER_SIZE bytes, then records from
 * multiples of RING_ALIGNMENT, each in one piece: struct ring_record, the batch. The record of the
 * next number follows directly, or is at the beginning. Not thread-safe. */
#ifndef WANMETER_PROTO_RING_H
#define WANMETER_PROTO_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

enum { RING_HEADER_SIZE = 4096, RING_ALIGNMENT = 64 };

struct ring;

/* How far a stream is, after a batch. */
struct ring_mark {
    int64_t seq; /* -1: no batch yet */
    struct totals totals;
    uint64_t n_descriptors; /* packed packets, counted or not */
    uint64_t n_losses;      /* loss lines */
    int64_t clock_ns;
    uint64_t has_ended; /* 0 or 1 */
};

/* What the process counts as it goes, in the file from one instruction to the next. Its meaning is
 * the owner's (capture/lane.h, capture/outlet.h). */
struct ring_counts {
    struct totals gathered;
    struct totals captured;
    uint64_t carrier_bytes;
    int64_t first_ns, last_ns;
    uint64_t n_changes;
};

struct ring_options {
    struct stream_id stream; /* of one that is found, the epoch is that of the file */
    size_t data_bytes;       /* room for records; of one that is found: the file's */

    /* All of it will soon be written: then one fault for each 2 MiB, where the file system can do
     * it, takes less than 512. Of a ring of which little is used it takes more. */
    bool is_filled_soon;
};

enum ring_found {
    RING_NEW,     /* there was none */
    RING_FOUND,   /* this stream goes on */
    RING_DAMAGED, /* there is one that makes no sense, or another stream's; it was not touched */
    RING_FAILED,  /* errno says why */
};

/* '*out' is there with RING_NEW and RING_FOUND. */
enum ring_found ring_open(const char *path, const struct ring_options *options, struct ring **out);
void ring_close(struct ring *ring); /* accepts NULL */

const struct stream_id *ring_stream(const struct ring *ring);
struct ring_counts *ring_counts(struct ring *ring);

/* How far the stream is: after the last batch pushed, and after the last one committed. */
const struct ring_mark *ring_last(const struct ring *ring);
const struct ring_mark *ring_committed(const struct ring *ring);

/* Is there room for 'size' bytes of batches, here and in the file system? What is asked for is got
 * ready. */
bool ring_has_room(struct ring *ring, size_t size);

/* Room for a batch of 'size' bytes, valid until the next call or push; NULL: there is none, here or
 * in the file system. */
uint8_t *ring_reserve(struct ring *ring, size_t size);

/* From 'begin' to 'end', what is written there is as it will be pushed: it is summed now, while it
 * is in the cache. Called again with the same 'begin' when there is more. */
void ring_settle(struct ring *ring, size_t begin, size_t end);

/* The batch is only 'size' bytes of what was reserved. */
void ring_trim(struct ring *ring, size_t size);

/* Makes a batch of what was written where ring_reserve() said; 'mark' is how far the stream then
 * is. 0 or -ENOMEM. */
int ring_push(struct ring *ring, const struct ring_mark *mark);

/* A batch went without being put here: it cannot be sent again by a successor. */
void ring_skip(struct ring *ring, const struct ring_mark *mark);

void ring_commit(struct ring *ring, int64_t seq);

/* Where a receiver finds a batch that is held; 'bytes' are those that ring_reserve() or ring_held()
 * gave. Its sum is not made again. */
void ring_place_of(const struct ring *ring, const uint8_t *bytes, struct batch_place *place);

/* Is the batch at 'bytes' what was put there? */
bool ring_is_whole(const uint8_t *bytes, size_t size);

/* The name of a worker's ring for a shard. */
void ring_path(const char *run_directory, uint32_t worker, uint32_t shard, char *path, size_t size);

/* A batch that is held. */
struct ring_batch {
    struct totals totals_before;
    struct ring_mark mark;
    const uint8_t *bytes;
    size_t size;
};

/* The batches held are 0 … ring_n_held() - 1, by number; where one is damaged, numbers are missing
 * between two of them, or up to ring_last(). */
size_t ring_n_held(const struct ring *ring);
void ring_held(const struct ring *ring, size_t index, struct ring_batch *batch);

#endif
