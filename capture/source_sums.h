/* source_sums: what a worker's sources have given: for the ledger, and for a worker that takes the
 * place of this one.
 *
 *     source_sums_open(&arguments, &sums);
 *     source_sums_add(&sums, counts, &frame, &packet);            each frame
 *     source_sums_tell(&sums, source, &before, lane);             the totals, with the next batch
 *     source_sums_close(&sums);
 *
 * A source's totals are of its whole life: those of a worker that died are part of them. Not
 * thread-safe. */
#ifndef WANMETER_CAPTURE_SOURCE_SUMS_H
#define WANMETER_CAPTURE_SOURCE_SUMS_H

#include "capture/frame.h"
#include "capture/lane.h"
#include "capture/source.h"
#include "common/arguments.h"

struct source_sums {
    uint64_t *carrier_bytes; /* by source: what was around the frames that were unwrapped */
    uint32_t first_source;
    const char *interface; /* NULL: files */
    size_t n_sources_max;
};

/* 0 or -ENOMEM. */
int source_sums_open(const struct arguments *arguments, struct source_sums *sums);
void source_sums_close(struct source_sums *sums); /* a zeroed one as well */

/* 'counts': live, where a successor finds it; NULL: nowhere. */
void source_sums_add(struct source_sums *sums, struct ring_counts *counts,
                     const struct frame *frame, const struct packet *packet);

/* How far reading is, to a pipe that somebody may look at. */
void source_sums_show(const struct source *source, uint64_t n_frames, int descriptor);

/* 'source' NULL: nothing is read any more, and of an interface told what was before. 'before': what
 * a worker that died had counted; NULL: nothing. 0 or -ENOMEM. */
int source_sums_tell(const struct source_sums *sums, const struct source *source,
                     const struct ring_counts *before, struct lane *lane);

#endif
