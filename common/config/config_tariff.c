/* The options of a tariff, and what its texts mean. */
#include "common/config/config_tariff.h"

#include <string.h>

#include "common/config.h"
#include "common/config/config_table.h"
#include "common/period.h"
#include "common/zone.h"

#define FIELD(type, member)  .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define LIST(type, items, n) .offset = offsetof(type, items), .count_offset = offsetof(type, n)

/* The largest that cannot leave 128 bits when a year of it is billed. */
#define PRICE_MAX INT64_C(1000000000000)
#define UNITS_MAX INT64_C(1000000000)

static const char WEEKDAYS[] = "mon tue wed thu fri sat sun";

/* ---- what the texts mean ---- */

static const struct unit {
    const char *name;
    int64_t size;
    bool is_rate;
} units[] = {
    {"kB", 1000, false},
    {"MB", 1000000, false},
    {"GB", 1000000000, false},
    {"TB", 1000000000000, false},
    {"KiB", INT64_C(1) << 10, false},
    {"MiB", INT64_C(1) << 20, false},
    {"GiB", INT64_C(1) << 30, false},
    {"TiB", INT64_C(1) << 40, false},
    {"kbit/s", 1000, true},
    {"Mbit/s", 1000000, true},
    {"Gbit/s", 1000000000, true},
};

static const struct unit *find_unit(const char *name)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

int64_t config_unit_size(const char *name)
{
    const struct unit *unit = find_unit(name);
    return unit ? unit->size : 0;
}

bool config_unit_is_rate(const char *name)
{
    const struct unit *unit = find_unit(name);
    return unit && unit->is_rate;
}

bool config_tariff_is_percentile(const struct config_tariff *tariff)
{
    return tariff->kind && strcmp(tariff->kind, "percentile") == 0;
}

const char *config_tariff_unit(const struct config_tariff *tariff)
{
    if (tariff->unit)
        return tariff->unit;
    return config_tariff_is_percentile(tariff) ? "Mbit/s" : "GB";
}

bool config_tariff_covers(const struct config_text_list *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return names->n == 0;
}

void config_tariff_span(const struct config_tariff *tariff, int64_t *begin_s, int64_t *end_s)
{
    struct period_day day;
    if (tariff->begins && period_parse_day(tariff->begins, &day)) {
        int64_t first_s = period_day_begin(tariff->timezone, day);
        *begin_s = first_s > *begin_s ? first_s : *begin_s;
    }
    if (tariff->ends && period_parse_day(tariff->ends, &day)) {
        int64_t last_s = period_day_begin(tariff->timezone, day);
        *end_s = last_s < *end_s ? last_s : *end_s;
    }
    if (*end_s < *begin_s)
        *end_s = *begin_s;
}

int config_time_of_day(const char *text)
{
    enum { LENGTH = 5, MINUTES_MAX = 24 * 60 };
    if (strlen(text) != LENGTH || text[2] != ':' || strspn(text, "0123456789") != 2 ||
        strspn(text + 3, "0123456789") != 2)
        return -1;
    int hours = (text[0] - '0') * 10 + text[1] - '0';
    int minutes = (text[3] - '0') * 10 + text[4] - '0';
    int time = hours * 60 + minutes;
    return minutes < 60 && time <= MINUTES_MAX ? time : -1;
}

int config_weekday(const char *text)
{
    const char *found = strstr(WEEKDAYS, text);
    return found && strlen(text) == 3 ? (int)(found - WEEKDAYS) / 4 : -1;
}

/* ---- rules of their own ---- */

/* Slots are aligned to five minutes of UTC, and so of every zone's local time. */
static bool is_time_of_day(const char *text)
{
    int minutes = config_time_of_day(text);
    return minutes >= 0 && minutes % 5 == 0;
}

static bool is_day(const char *text)
{
    struct period_day day;
    return period_parse_day(text, &day);
}

static bool is_currency(const char *text)
{
    return strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

static bool is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return text[strspn(text, allowed)] == '\0' && strcmp(text, "none") != 0;
}

#define TIME_RULE                                                                                  \
    .min = 1, .max = 5, .is_valid = is_time_of_day,                                                \
    .expected = "a local time such as 08:00, a multiple of 5 minutes"
#define DAY_RULE       .min = 1, .max = 10, .is_valid = is_day, .expected = "a day such as 2026-10-15"
#define NAME_LIST_RULE .min = 1, .max = CONFIG_NAME_MAX

/* ---- tables ---- */

static const struct config_option tier_options[] = {
    {"above", CONFIG_INTEGER, FIELD(struct config_tariff_tier, above), .initial = "0", .min = 0,
     .max = UNITS_MAX, .is_billing = true,
     .help = "What is above this many units, up to the next tier, has its price."},
    {"price", CONFIG_PRICE, FIELD(struct config_tariff_tier, price), .initial = "0", .min = 0,
     .max = PRICE_MAX, .is_billing = true, .help = "Of a unit."},
};

static const struct config_table tier_table = {
    .options = tier_options,
    .n_options = sizeof tier_options / sizeof *tier_options,
    .object_size = sizeof(struct config_tariff_tier),
    .place_offset = offsetof(struct config_tariff_tier, place),
};

static const struct config_option time_options[] = {
    {"from", CONFIG_TEXT, FIELD(struct config_tariff_time, from), TIME_RULE, .is_required = true,
     .is_billing = true, .help = "The local time at which the price begins."},
    {"to", CONFIG_TEXT, FIELD(struct config_tariff_time, to), TIME_RULE, .is_required = true,
     .is_billing = true, .help = "And ends, up to 24:00; not later than 'from': the day after."},
    {"days", CONFIG_TEXT_LIST, LIST(struct config_tariff_time, days.items, days.n),
     .words = WEEKDAYS, .is_billing = true, .help = "On which it begins; not set: every day."},
    {"price", CONFIG_PRICE, FIELD(struct config_tariff_time, price), .initial = "0", .min = 0,
     .max = PRICE_MAX, .is_billing = true,
     .help = "Of a unit; what is used then counts towards no tier."},
};

static const struct config_table time_table = {
    .options = time_options,
    .n_options = sizeof time_options / sizeof *time_options,
    .object_size = sizeof(struct config_tariff_time),
    .place_offset = offsetof(struct config_tariff_time, place),
};

static const struct config_option tariff_options[] = {
    {"name", CONFIG_TEXT, FIELD(struct config_tariff, name), .min = 1, .max = CONFIG_NAME_MAX,
     .is_valid = is_name, .expected = "letters, digits, '.', '_' and '-', and not 'none'",
     .is_required = true, .is_billing = true, .help = "What the invoice calls it."},
    {"accounts", CONFIG_TEXT_LIST, LIST(struct config_tariff, accounts.items, accounts.n),
     NAME_LIST_RULE, .is_billing = true,
     .help = "Whom it is for; not set: every account, and what has none."},
    {"wans", CONFIG_TEXT_LIST, LIST(struct config_tariff, wans.items, wans.n), NAME_LIST_RULE,
     .is_billing = true,
     .help = "Whose bytes it is for, summed per slot before anything else; not set: every WAN's."},
    {"currency", CONFIG_TEXT, FIELD(struct config_tariff, currency), .min = 1, .max = 3,
     .is_valid = is_currency, .expected = "an ISO 4217 code such as EUR", .is_required = true,
     .is_billing = true, .help = "Of its prices."},
    {"kind", CONFIG_TEXT, FIELD(struct config_tariff, kind), .initial = "volume",
     .words = "volume percentile", .is_billing = true,
     .help = "What is paid for: bytes, or the rate that all but the busiest slots keep within."},
    {"rule", CONFIG_TEXT, FIELD(struct config_tariff, rule), .initial = "sum",
     .words = "in out sum max", .is_billing = true,
     .help = "Which bytes: in (down), out (up), their sum, or the greater of the two directions."},
    {"unit", CONFIG_TEXT, FIELD(struct config_tariff, unit),
     .words = "kB MB GB TB KiB MiB GiB TiB kbit/s Mbit/s Gbit/s", .is_billing = true,
     .help = "Of prices, tiers, quota and commit; not set: GB (10^9 bytes), of percentiles "
             "Mbit/s."},
    {"price", CONFIG_PRICE, FIELD(struct config_tariff, price), .initial = "0", .min = 0,
     .max = PRICE_MAX, .is_billing = true, .help = "Of a unit, below the first tier."},
    {"tiers", CONFIG_MAP_LIST, LIST(struct config_tariff, tiers, n_tiers), .table = &tier_table,
     .max = 100, .is_billing = true, .help = "Prices of what is above; from low to high."},
    {"times", CONFIG_MAP_LIST, LIST(struct config_tariff, times, n_times), .table = &time_table,
     .max = 100, .is_billing = true, .help = "Prices of a volume by the local clock."},
    {"fee", CONFIG_PRICE, FIELD(struct config_tariff, fee), .initial = "0", .min = 0,
     .max = PRICE_MAX, .is_billing = true, .help = "A period costs this much in any case."},
    {"quota", CONFIG_INTEGER, FIELD(struct config_tariff, quota), .min = 1, .max = UNITS_MAX,
     .is_billing = true, .help = "Of a volume: units of a period that are watched for events."},
    {"quota_percents", CONFIG_INTEGER_LIST,
     LIST(struct config_tariff, quota_percents, n_quota_percents), .min = 1, .max = 1000,
     .is_billing = true, .help = "At which an event is told; not set: 60, 95 and 100."},
    {"percentile", CONFIG_INTEGER, FIELD(struct config_tariff, percentile), .initial = "95",
     .min = 1, .max = 100, .is_billing = true,
     .help = "The part of the samples, in percent, that the billed one is not below."},
    {"missing", CONFIG_TEXT, FIELD(struct config_tariff, missing), .initial = "exclude",
     .words = "exclude zero", .is_billing = true,
     .help = "Slots in which nothing was watched: no samples, or samples of 0."},
    {"commit", CONFIG_INTEGER, FIELD(struct config_tariff, commit), .min = 0, .max = UNITS_MAX,
     .is_billing = true, .help = "Of a percentile: units that are paid for in any case."},
    {"overage", CONFIG_PRICE, FIELD(struct config_tariff, overage), .min = 0, .max = PRICE_MAX,
     .is_billing = true, .help = "Of a unit above the commit; not set: as below."},
    {"rounding", CONFIG_TEXT, FIELD(struct config_tariff, rounding), .initial = "half-even",
     .words = "half-even half-up up down", .is_billing = true,
     .help = "How the amount of a line, and nothing before it, is rounded."},
    {"decimals", CONFIG_INTEGER, FIELD(struct config_tariff, decimals), .initial = "2", .min = 0,
     .max = 6, .is_billing = true, .help = "Of the currency, in a line's amount."},
    {"cycle_day", CONFIG_INTEGER, FIELD(struct config_tariff, cycle_day), .initial = "1", .min = 1,
     .max = 31, .is_billing = true,
     .help = "The day on which periods begin; of a shorter month the last."},
    {"timezone", CONFIG_TEXT, FIELD(struct config_tariff, timezone), .initial = "UTC", .min = 1,
     .max = ZONE_NAME_MAX, .is_billing = true,
     .help = "Whose midnight begins a period, and whose clock the times are: an IANA name such as "
             "Europe/Berlin."},
    {"begins", CONFIG_TEXT, FIELD(struct config_tariff, begins), DAY_RULE, .is_billing = true,
     .help = "The first local day of the contract; not set: ever since."},
    {"ends", CONFIG_TEXT, FIELD(struct config_tariff, ends), DAY_RULE, .is_billing = true,
     .help = "The first local day without it; not set: it goes on."},
    {"prorate", CONFIG_BOOL, FIELD(struct config_tariff, prorate), .initial = "yes",
     .is_billing = true,
     .help = "Of a period that it is not in force for the whole of: fee, tiers, quota and rates "
             "in proportion to its seconds."},
};

const struct config_table config_tariff_table = {
    .options = tariff_options,
    .n_options = sizeof tariff_options / sizeof *tariff_options,
    .object_size = sizeof(struct config_tariff),
    .place_offset = offsetof(struct config_tariff, place),
};

const char config_tariffs_example[] = "  - name: bakery-volume\n"
                                      "    accounts: [bakery]\n"
                                      "    currency: EUR\n"
                                      "    timezone: Europe/Berlin\n"
                                      "    fee: 19.90\n"
                                      "    tiers:\n"
                                      "      - above: 100\n"
                                      "        price: 0.12\n"
                                      "    quota: 500\n"
                                      "  - name: workshop-transit\n"
                                      "    accounts: [workshop]\n"
                                      "    currency: EUR\n"
                                      "    kind: percentile\n"
                                      "    rule: max\n"
                                      "    price: 0.75\n"
                                      "    commit: 50\n";
