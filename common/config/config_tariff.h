/* config_tariff: what an account pays for what it used. Part of config.h. */
#ifndef WANMETER_COMMON_CONFIG_TARIFF_H
#define WANMETER_COMMON_CONFIG_TARIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config_place.h"

enum { CONFIG_QUOTA_PERCENTS_MAX = 16 };

/* Prices are in millionths of the currency, amounts in the tariff's unit. */
struct config_tariff_tier {
    int64_t above; /* in units */
    int64_t price;
    struct config_place place;
};

/* A price by the clock: from 'from' to before 'to', local time, over midnight where 'to' is not
 * later. */
struct config_tariff_time {
    char *from;                   /* "08:00": a multiple of 5 minutes */
    char *to;                     /* up to "24:00" */
    struct config_text_list days; /* "mon" … of the day on which it begins; none: every day */
    int64_t price;
    struct config_place place;
};

struct config_tariff {
    char *name;
    struct config_text_list accounts; /* none: every account, and what has none */
    struct config_text_list wans;     /* none: every WAN */
    char *currency;                   /* ISO 4217: three capitals */
    char *kind;                       /* "volume" or "percentile" */
    char *rule;                       /* "in", "out", "sum" or "max" */
    char *unit;                       /* NULL: GB of volume, Mbit/s of a percentile */
    int64_t price;
    struct config_tariff_tier *tiers;
    size_t n_tiers;
    struct config_tariff_time *times;
    size_t n_times;
    int64_t fee;
    int64_t quota; /* in units; -1: none */
    int32_t *quota_percents;
    size_t n_quota_percents; /* 0: 60, 95 and 100 */
    int32_t percentile;
    char *missing;     /* "exclude" or "zero" */
    int64_t commit;    /* in units; -1: none */
    int64_t overage;   /* price above the commit; -1: 'price' */
    char *rounding;    /* "half-even", "half-up", "up" or "down" */
    int32_t decimals;  /* of the currency: to which a line is rounded */
    int32_t cycle_day; /* 1 to 31 */
    char *timezone;    /* IANA */
    char *begins;      /* "2026-10-15"; NULL: ever since */
    char *ends;        /* the first day without it; NULL: open */
    bool prorate;
    struct config_place place;
};

/* Bytes of a unit of volume, or bits a second of a unit of rate; 0: no such unit. */
int64_t config_unit_size(const char *unit);
bool config_unit_is_rate(const char *unit);

/* The tariff's unit, also where it says none. */
const char *config_tariff_unit(const struct config_tariff *tariff);
bool config_tariff_is_percentile(const struct config_tariff *tariff);

/* Does the list (empty: of everything) have the name? */
bool config_tariff_covers(const struct config_text_list *names, const char *name);

/* The part of a span of time in which the tariff is in force: empty where it is not at all. */
void config_tariff_span(const struct config_tariff *tariff, int64_t *begin_s, int64_t *end_s);

/* "08:00" as minutes since midnight, -1: not a time of day. */
int config_time_of_day(const char *text);

/* "mon" is 0; -1: no day of the week. */
int config_weekday(const char *text);

#endif
