#include "common/clock_reading.h"

#include <time.h>

enum {
    TRIES = 5,
    NEAR_NS = 20000, /* two readings of the steady clock around one of the wall's */
    SECOND_NS = 1000000000,
};

static int64_t now_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

void clock_reading_take(struct clock_reading *reading)
{
    for (int i = 0; i < TRIES; i++) {
        int64_t before_ns = now_of(CLOCK_BOOTTIME);
        reading->wall_ns = now_of(CLOCK_REALTIME);
        int64_t after_ns = now_of(CLOCK_BOOTTIME);
        reading->steady_ns = before_ns + (after_ns - before_ns) / 2;
        if (after_ns - before_ns <= NEAR_NS)
            return;
    }
}

int64_t clock_reading_difference_ns(void)
{
    struct clock_reading reading;
    clock_reading_take(&reading);
    return reading.wall_ns - reading.steady_ns;
}
