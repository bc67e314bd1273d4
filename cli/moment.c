#include "cli/moment.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t SECOND_NS = 1000000000;

/* Digits of exactly 'n' places; moves '*text' behind them. */
static bool take_digits(const char **text, unsigned n, int *value)
{
    *value = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!isdigit((unsigned char)**text))
            return false;
        *value = *value * 10 + (*(*text)++ - '0');
    }
    return true;
}

static bool take(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

static bool take_day(const char **text, struct tm *day)
{
    int year, month;
    if (!take_digits(text, 4, &year) || !take(text, '-') || !take_digits(text, 2, &month) ||
        !take(text, '-') || !take_digits(text, 2, &day->tm_mday))
        return false;
    day->tm_year = year - 1900;
    day->tm_mon = month - 1;
    struct tm normal = *day;
    timegm(&normal); /* 31 February becomes 3 March: such a day does not exist */
    return normal.tm_mon == day->tm_mon && normal.tm_mday == day->tm_mday;
}

static bool take_fraction(const char **text, int64_t *fraction_ns)
{
    *fraction_ns = 0;
    if (!take(text, '.'))
        return true;
    int64_t scale_ns = SECOND_NS / 10;
    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); (*text)++, scale_ns /= 10)
        *fraction_ns += (**text - '0') * scale_ns;
    return true;
}

static bool take_clock(const char **text, struct tm *clock, int64_t *fraction_ns)
{
    *fraction_ns = 0;
    if (!take_digits(text, 2, &clock->tm_hour) || !take(text, ':') ||
        !take_digits(text, 2, &clock->tm_min))
        return false;
    if (take(text, ':') &&
        (!take_digits(text, 2, &clock->tm_sec) || !take_fraction(text, fraction_ns)))
        return false;
    return clock->tm_hour < 24 && clock->tm_min < 60 && clock->tm_sec <= 60;
}

/* "Z", "+02:00", or nothing (UTC). */
static bool take_offset(const char **text, int64_t *offset_s)
{
    *offset_s = 0;
    if (take(text, 'Z') || take(text, 'z') || **text == '\0')
        return true;
    int sign = **text == '+' ? 1 : **text == '-' ? -1 : 0;
    int hours, minutes;
    if (sign == 0)
        return false;
    (*text)++;
    if (!take_digits(text, 2, &hours) || !take(text, ':') || !take_digits(text, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *offset_s = (int64_t)sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool from_seconds(int64_t seconds, int64_t fraction_ns, int64_t *time_ns)
{
    return !__builtin_mul_overflow(seconds, SECOND_NS, time_ns) &&
           !__builtin_add_overflow(*time_ns, fraction_ns, time_ns);
}

static bool parse_calendar(const char *text, int64_t *time_ns)
{
    struct tm moment = {0};
    int64_t fraction_ns = 0;
    int64_t offset_s = 0;
    if (!take_day(&text, &moment))
        return false;
    if (*text != '\0') {
        if (!take(&text, 'T') && !take(&text, 't') && !take(&text, ' '))
            return false;
        if (!take_clock(&text, &moment, &fraction_ns) || !take_offset(&text, &offset_s))
            return false;
    }
    return *text == '\0' && from_seconds(timegm(&moment) - offset_s, fraction_ns, time_ns);
}

static bool parse_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return (isdigit((unsigned char)*text) || *text == '-') && *end == '\0' && errno == 0;
}

bool moment_parse(const char *text, int64_t *time_ns)
{
    int64_t seconds;
    if (*text == '@')
        return parse_integer(text + 1, &seconds) && from_seconds(seconds, 0, time_ns);
    if (parse_calendar(text, time_ns))
        return true;
    bool is_like_a_year = strlen(text) == 4;
    return !is_like_a_year && parse_integer(text, time_ns);
}

void moment_format(int64_t time_ns, char text[MOMENT_TEXT_SIZE])
{
    time_t seconds = (time_t)(time_ns / SECOND_NS);
    int64_t fraction_ns = time_ns % SECOND_NS;
    if (fraction_ns < 0) {
        fraction_ns += SECOND_NS;
        seconds--;
    }

    struct tm moment;
    gmtime_r(&seconds, &moment);
    size_t length = strftime(text, MOMENT_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &moment);
    size_t room = MOMENT_TEXT_SIZE - length;
    if (fraction_ns == 0)
        snprintf(text + length, room, "Z");
    else if (fraction_ns % 1000000 == 0)
        snprintf(text + length, room, ".%03" PRId64 "Z", fraction_ns / 1000000);
    else if (fraction_ns % 1000 == 0)
        snprintf(text + length, room, ".%06" PRId64 "Z", fraction_ns / 1000);
    else
        snprintf(text + length, room, ".%09" PRId64 "Z", fraction_ns);
}

bool moment_parse_duration(const char *text, int64_t *duration_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ms", 1000000}, {"s", 1000000000}, {"min", 60000000000}, {"h", 3600000000000}};
    char *end;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)*text) || errno != 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].ns, duration_ns);
    return false;
}
