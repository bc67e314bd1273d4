#include "common/period.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/zone.h"

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    REACH_S =
        50 * HOUR_S, /* no place is further from UTC, even where it moved over the date line */
};

int period_month_days(int32_t year, int32_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

/* The day's midnight in UTC, and a moment's day as such a midnight: days that can be compared. */
static int64_t utc_of(struct period_day day)
{
    struct tm calendar = {
        .tm_year = day.year - 1900, .tm_mon = day.month - 1, .tm_mday = day.day, .tm_isdst = 0};
    return timegm(&calendar);
}

static bool is_reached(const char *zone, int64_t time_s, int64_t midnight_s)
{
    struct tm local;
    zone_local(zone, time_s, &local);
    return time_s + local.tm_gmtoff >= midnight_s;
}

/* The largest and the smallest distance to UTC that the clocks there have around a day. */
static void find_offsets(const char *zone, int64_t midnight_s, int64_t *min_s, int64_t *max_s)
{
    *min_s = INT64_MAX;
    *max_s = INT64_MIN;
    for (int64_t at = midnight_s - REACH_S; at <= midnight_s + REACH_S; at += HOUR_S) {
        struct tm local;
        zone_local(zone, at, &local);
        if (local.tm_gmtoff < *min_s)
            *min_s = local.tm_gmtoff;
        if (local.tm_gmtoff > *max_s)
            *max_s = local.tm_gmtoff;
    }
}

/* Between a moment that has not reached the day and one that has: the second in which it does. */
static int64_t bisect(const char *zone, int64_t midnight_s, int64_t before_s, int64_t reached_s)
{
    while (reached_s - before_s > 1) {
        int64_t middle_s = before_s + (reached_s - before_s) / 2;
        if (is_reached(zone, middle_s, midnight_s))
            reached_s = middle_s;
        else
            before_s = middle_s;
    }
    return reached_s;
}

/* Local time is UTC plus the distance: the day cannot be reached before midnight less the largest,
 * and is reached at midnight less the smallest. Between the two, minute by minute: clocks that are
 * put back over midnight reach it twice, and the first time counts. */
int64_t period_day_begin(const char *zone, struct period_day day)
{
    int64_t midnight_s = utc_of(day), min_s, max_s;
    find_offsets(zone, midnight_s, &min_s, &max_s);
    int64_t at = midnight_s - max_s;
    while (!is_reached(zone, at, midnight_s))
        at += MINUTE_S;
    if (at == midnight_s - max_s)
        return at;
    return bisect(zone, midnight_s, at - MINUTE_S, at);
}

struct period_day period_day_next(struct period_day day)
{
    day.day++;
    if (day.day > period_month_days(day.year, day.month)) {
        day.day = 1;
        day.month++;
    }
    if (day.month > 12) {
        day.month = 1;
        day.year++;
    }
    return day;
}

/* Where clocks were put back over midnight, the new day has begun although the date says less. */
struct period_day period_day_at(const char *zone, int64_t time_s)
{
    struct tm local;
    zone_local(zone, time_s, &local);
    struct period_day day = {local.tm_year + 1900, local.tm_mon + 1, local.tm_mday};
    struct period_day next = period_day_next(day);
    while (period_day_begin(zone, next) <= time_s) {
        day = next;
        next = period_day_next(next);
    }
    return day;
}

/* ---- periods ---- */

static void next_month(int32_t *year, int32_t *month)
{
    *month = *month == 12 ? 1 : *month + 1;
    *year += *month == 1 ? 1 : 0;
}

static void month_before(int32_t *year, int32_t *month)
{
    *month = *month == 1 ? 12 : *month - 1;
    *year -= *month == 12 ? 1 : 0;
}

static int64_t begin_of(const char *zone, int cycle_day, int32_t year, int32_t month)
{
    int days = period_month_days(year, month);
    struct period_day day = {year, month, cycle_day < days ? cycle_day : days};
    return period_day_begin(zone, day);
}

void period_of(const char *zone, int cycle_day, int32_t year, int32_t month, struct period *period)
{
    assert(cycle_day >= 1 && cycle_day <= 31);
    *period = (struct period){.year = year, .month = month};
    period->begin_s = begin_of(zone, cycle_day, year, month);
    next_month(&year, &month);
    period->end_s = begin_of(zone, cycle_day, year, month);
}

void period_at(const char *zone, int cycle_day, int64_t time_s, struct period *period)
{
    struct tm local;
    zone_local(zone, time_s, &local);
    int32_t year = local.tm_year + 1900, month = local.tm_mon + 1;
    period_of(zone, cycle_day, year, month, period);
    while (time_s < period->begin_s) {
        month_before(&year, &month);
        period_of(zone, cycle_day, year, month, period);
    }
    while (time_s >= period->end_s) {
        next_month(&year, &month);
        period_of(zone, cycle_day, year, month, period);
    }
}

int64_t period_slot_from(int64_t time_s)
{
    int64_t rest = time_s % PERIOD_SLOT_S;
    int64_t floor = time_s - (rest < 0 ? rest + PERIOD_SLOT_S : rest);
    return floor == time_s ? time_s : floor + PERIOD_SLOT_S;
}

int64_t period_slots(int64_t begin_s, int64_t end_s)
{
    return (period_slot_from(end_s) - period_slot_from(begin_s)) / PERIOD_SLOT_S;
}

/* ---- text ---- */

/* 'n' digits, or -1. */
static int32_t take_number(const char **text, size_t n)
{
    int32_t number = 0;
    for (size_t i = 0; i < n; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return -1;
        number = number * 10 + (**text - '0');
    }
    return number;
}

static bool take_month(const char **text, int32_t *year, int32_t *month)
{
    *year = take_number(text, 4);
    if (*year < PERIOD_YEAR_MIN || *year > PERIOD_YEAR_MAX || *(*text)++ != '-')
        return false;
    *month = take_number(text, 2);
    return *month >= 1 && *month <= 12;
}

bool period_parse(const char *text, int32_t *year, int32_t *month)
{
    return take_month(&text, year, month) && *text == '\0';
}

bool period_parse_day(const char *text, struct period_day *day)
{
    if (!take_month(&text, &day->year, &day->month) || *text++ != '-')
        return false;
    day->day = take_number(&text, 2);
    return day->day >= 1 && day->day <= period_month_days(day->year, day->month) && *text == '\0';
}

void period_text(const struct period *period, char text[PERIOD_TEXT_SIZE])
{
    assert(period->year >= 0 && period->year <= 9999 && period->month >= 1 && period->month <= 12);
    snprintf(text, PERIOD_TEXT_SIZE, "%04u-%02u", (unsigned)period->year % 10000,
             (unsigned)period->month % 100);
}
