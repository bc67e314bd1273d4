#include "capture/clock_watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/clock_step.h"

enum {
    NOISE_NS = 1000000, /* a difference that is none */
    MS = 1000000,
    SECOND_NS = 1000000000,
};

static const int64_t LATE_NS = INT64_C(10) * SECOND_NS; /* no packet waits so long in a ring */

/* ---- the watch ---- */

static int64_t distance(int64_t a, int64_t b)
{
    return a < b ? b - a : a - b;
}

void clock_watch_init(struct clock_watch *watch, clock_read_fn read, int64_t anchor_ns)
{
    struct clock_reading reading;
    read(&reading);
    *watch = (struct clock_watch){
        .read = read, .anchor_ns = anchor_ns, .wall_ns = reading.wall_ns, .empty_ns = INT64_MIN};
    clock_watch_look(watch);
}

void clock_watch_look(struct clock_watch *watch)
{
    struct clock_reading reading;
    watch->read(&reading);
    int64_t step_ns = reading.wall_ns - reading.steady_ns - watch->anchor_ns;
    if (distance(step_ns, watch->step_ns) > NOISE_NS) {
        if (!clock_watch_is_due(watch))
            watch->stepped_from_wall_ns = watch->wall_ns;
        watch->before_ns = watch->step_ns;
        watch->step_ns = step_ns;
    }
    watch->now_ns = reading.steady_ns + watch->anchor_ns;
    watch->wall_ns = reading.wall_ns;
}

static bool is_possible(const struct clock_watch *watch, int64_t clock_ns)
{
    return clock_ns <= watch->now_ns && clock_ns >= watch->now_ns - LATE_NS;
}

int64_t clock_watch_of(struct clock_watch *watch, int64_t time_ns)
{
    int64_t clock_ns = time_ns - watch->step_ns;
    if (is_possible(watch, clock_ns))
        return clock_ns;
    if (clock_ns > watch->now_ns) { /* it came after the last look */
        clock_watch_look(watch);
        clock_ns = time_ns - watch->step_ns;
    }
    int64_t earlier_ns = time_ns - watch->before_ns;
    if (!is_possible(watch, clock_ns) && is_possible(watch, earlier_ns))
        clock_ns = earlier_ns;
    return clock_ns < watch->now_ns ? clock_ns : watch->now_ns;
}

/* ---- telling ---- */

bool clock_watch_is_due(const struct clock_watch *watch)
{
    return distance(watch->step_ns, watch->told_step_ns) >= CLOCK_STEP_NOISE_NS;
}

void clock_watch_tell(struct clock_watch *watch, struct loss *loss)
{
    int64_t by_ns = watch->step_ns - watch->told_step_ns;
    int64_t from_ns = watch->stepped_from_wall_ns;
    int64_t by_ms = (distance(by_ns, 0) + MS / 2) / MS;
    *loss = (struct loss){
        .first_ns = from_ns < watch->wall_ns ? from_ns : watch->wall_ns,
        .last_ns = watch->wall_ns,
        .stage = LOSS_CAPTURE,
        .certainty = LOSS_EXACT,
        .reason = "clock_step",
    };
    snprintf(loss->evidence, sizeof loss->evidence,
             "the wall clock went %s by %" PRId64 ".%03" PRId64
             " s: packets are billed by its time, connections live by a clock that did not step",
             by_ns < 0 ? "back" : "forward", by_ms / 1000, by_ms % 1000);
    watch->told_step_ns = watch->step_ns;
    watch->has_told = true;
}
