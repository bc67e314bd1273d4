/* clock_step: how far the wall clock is from the streams' clocks, as trackers are told.
 *
 *     clock_step_change(step_ns, &change);               goes into every lane, as a change does
 *     if (clock_step_of(&change, &step_ns)) …
 *
 *     struct bill_clock clock = {0};
 *     bill_clock_step(&clock, clock_ns, step_ns);        at its place among the packets
 *     bill_ns = bill_clock_at(&clock, clock_ns);
 *
 * A stream's clock does not step (capture/clock_watch.h), but slots go by packets' own times, which
 * do. Which seal a row is in is decided by the bill's clock: the stream's and the step. It does not
 * go back either: where the wall clock does, it stands until it is caught up. */
#ifndef WANMETER_PROTO_CLOCK_STEP_H
#define WANMETER_PROTO_CLOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/change.h"

enum { CLOCK_STEP_NOISE_NS = 100000000 }; /* smaller ones are not told */

void clock_step_change(int64_t step_ns, struct change *change);

/* False: it is another change, or somebody asked for it (those have an id). */
bool clock_step_of(const struct change *change, int64_t *step_ns);

/* Zeroed: the stream's clock is the bill's. */
struct bill_clock {
    int64_t step_ns;
    int64_t least_ns; /* once it has stepped */
    bool has_stepped;
};

void bill_clock_step(struct bill_clock *clock, int64_t clock_ns, int64_t step_ns);

static inline int64_t bill_clock_at(const struct bill_clock *clock, int64_t clock_ns)
{
    if (!clock->has_stepped || clock_ns == INT64_MIN)
        return clock_ns;
    int64_t bill_ns = clock_ns + clock->step_ns;
    return bill_ns > clock->least_ns ? bill_ns : clock->least_ns;
}

/* After a start: 'bill_ns' was the bill's clock before. */
void bill_clock_resume(struct bill_clock *clock, int64_t bill_ns, int64_t step_ns);

/* The stream's clock where the bill's was 'bill_ns', for who goes on after a start: not later than
 * 'now_ns', which the stream's cannot have passed. 'step_ns': how far the wall clock is from the
 * stream's by now. '*is_certain': it has not stepped, nor is it cut back. */
int64_t bill_clock_stream(int64_t bill_ns, int64_t step_ns, int64_t now_ns, bool *is_certain);

#endif
