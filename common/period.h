/* period: days, months and billing periods of a place, as spans of time.
 *
 *     period_of("Europe/Berlin", 1, 2026, 10, &period);      October 2026, from its first midnight
 *     period_at("Europe/Berlin", 31, time_s, &period);       the one that has this moment
 *
 * A period begins with the local day 'cycle_day' of the month it is named after (in a shorter month
 * with its last day), and ends where the next one begins. A day begins at the first moment whose
 * local date is not before it: that is midnight, where clocks are put forward over midnight the
 * moment of that, and where a day was left out (Samoa, 2011-12-30) the beginning of the next. So a
 * day has 23, 24 or 25 hours as its clocks say. What has slots belongs to the period that has the
 * slot's beginning. Not thread-safe (common/zone.h). */
#ifndef WANMETER_COMMON_PERIOD_H
#define WANMETER_COMMON_PERIOD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PERIOD_SLOT_S = 300,
    PERIOD_TEXT_SIZE = sizeof "2026-10",
    PERIOD_YEAR_MIN = 1970,
    PERIOD_YEAR_MAX = 2261, /* the last whole one in 64 bits of nanoseconds */
};

struct period {
    int32_t year;
    int32_t month;   /* 1 to 12 */
    int64_t begin_s; /* seconds since 1970-01-01 UTC */
    int64_t end_s;   /* exclusive */
};

/* A day of the calendar. */
struct period_day {
    int32_t year;
    int32_t month; /* 1 to 12 */
    int32_t day;   /* 1 to 31 */
};

/* When the day begins there. */
int64_t period_day_begin(const char *zone, struct period_day day);

/* The day that has this moment; its end is the beginning of period_day_next(). */
struct period_day period_day_at(const char *zone, int64_t time_s);
struct period_day period_day_next(struct period_day day);

void period_of(const char *zone, int cycle_day, int32_t year, int32_t month, struct period *period);
void period_at(const char *zone, int cycle_day, int64_t time_s, struct period *period);

/* The slots that begin within [begin_s, end_s). */
int64_t period_slots(int64_t begin_s, int64_t end_s);

/* The first slot that begins at 'time_s' or later: its beginning. */
int64_t period_slot_from(int64_t time_s);

/* "2026-10" and "2026-10-31". False: not that, or not in the calendar. */
bool period_parse(const char *text, int32_t *year, int32_t *month);
bool period_parse_day(const char *text, struct period_day *day);
void period_text(const struct period *period, char text[PERIOD_TEXT_SIZE]);

/* Days of a month of the Gregorian calendar. */
int period_month_days(int32_t year, int32_t month);

#endif
