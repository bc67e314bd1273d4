/* time_check: tells a lone wrong timestamp from a step of the clock, and keeps a stream's clock.
 *
 *     time_check_init(&check, time_jump_max_ns);
 *     if (time_check_is_near(&check, time_ns))
 *         clock_ns = time_check_accept(&check, time_ns);
 *     else                                            doubtful: look at the next one's time first
 *         if (time_check_is_near(&check, next_time_ns)) …    a lone outlier: the clock stays
 *         else clock_ns = time_check_accept(&check, time_ns);    a real step
 *
 * A packet is doubtful if its time is further than 'jump_max_ns' from the accepted one before it.
 * If the packet after it is near that one again, its neighbours agree with each other and not with
 * it: it is an outlier, alone. In all other cases (two doubtful packets in a row, the end of the
 * input) the step is real, as where captures of different years were joined. The clock is the
 * largest accepted time; it never steps back. The first time is accepted. Not thread-safe. */
#ifndef WANMETER_CAPTURE_TIME_CHECK_H
#define WANMETER_CAPTURE_TIME_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct time_check {
    uint64_t jump_max_ns;
    int64_t last_ns;  /* the accepted one before */
    int64_t clock_ns; /* the largest accepted one; 0 before the first */
    bool has_started;
};

/* 'jump_max_ns': 0 or more. */
void time_check_init(struct time_check *check, int64_t jump_max_ns);

static inline bool time_check_is_near(const struct time_check *check, int64_t time_ns)
{
    uint64_t distance_ns = time_ns < check->last_ns ? (uint64_t)check->last_ns - (uint64_t)time_ns
                                                    : (uint64_t)time_ns - (uint64_t)check->last_ns;
    return distance_ns <= check->jump_max_ns || !check->has_started;
}

/* Returns the clock. */
static inline int64_t time_check_accept(struct time_check *check, int64_t time_ns)
{
    if (time_ns > check->clock_ns || !check->has_started)
        check->clock_ns = time_ns;
    check->last_ns = time_ns;
    check->has_started = true;
    return check->clock_ns;
}

#endif
