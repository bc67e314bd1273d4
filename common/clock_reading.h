/* clock_reading: the wall clock, and one that never steps, at one moment.
 *
 *     clock_reading_take(&reading);
 *
 * The steady clock is CLOCK_BOOTTIME: it is slewed as the wall clock is, goes on while the machine
 * sleeps, and does not step. So the difference of the two changes by steps of the wall clock only.
 */
#ifndef WANMETER_COMMON_CLOCK_READING_H
#define WANMETER_COMMON_CLOCK_READING_H

#include <stdint.h>

struct clock_reading {
    int64_t wall_ns;   /* since 1970 */
    int64_t steady_ns; /* since the machine's start */
};

/* Both within some microseconds of each other. */
void clock_reading_take(struct clock_reading *reading);

/* wall - steady, now. */
int64_t clock_reading_difference_ns(void);

#endif
