#include "cli/bill/bill.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bill/amount.h"
#include "common/zone.h"

enum { BITS = 8, MINUTE_S = 60, QUANTITY_DECIMALS = 6 };

/* Billed bytes by direction. */
struct directions {
    int64_t up, down, none;
};

void bill_span(const struct config_tariff *tariff, const struct period *period, int64_t *begin_s,
               int64_t *end_s)
{
    *begin_s = period->begin_s;
    *end_s = period->end_s;
    config_tariff_span(tariff, begin_s, end_s);
}

/* ---- lines ---- */

/* A line before it is rounded: bytes * price, and what the product is divided by. */
struct raw_line {
    const char *text;
    int64_t bytes;   /* as struct bill_line */
    int64_t measure; /* what the price is of, in 'divisor' of a unit: bytes, or bits of a slot */
    int64_t divisor;
    int64_t price;
    bool is_by_time; /* in proportion to the span */
};

static bool set_quantity(const struct raw_line *raw, struct bill_line *line)
{
    struct amount quantity;
    int64_t millionths;
    amount_init(&quantity, raw->measure);
    if (!amount_multiply(&quantity, DECIMAL_ONE) || !amount_divide(&quantity, raw->divisor) ||
        !amount_round(&quantity, "half-even", QUANTITY_DECIMALS, &millionths))
        return false;
    decimal_text(millionths, 0, line->quantity);
    return true;
}

static bool set_amount(const struct bill *bill, const struct raw_line *raw, struct bill_line *line)
{
    struct amount amount;
    amount_init(&amount, raw->price);
    bool is_held = amount_multiply(&amount, raw->measure) && amount_divide(&amount, raw->divisor);
    if (is_held && raw->is_by_time && bill->part != bill->whole)
        is_held = amount_multiply(&amount, bill->part) && amount_divide(&amount, bill->whole);
    return is_held &&
           amount_round(&amount, bill->tariff->rounding, bill->tariff->decimals, &line->amount);
}

static bool add_line(struct bill *bill, const struct raw_line *raw, const char *unit)
{
    assert(bill->n_lines < BILL_LINES_MAX);
    struct bill_line *line = &bill->lines[bill->n_lines++];
    *line = (struct bill_line){.bytes = raw->bytes, .unit = unit, .price = raw->price};
    snprintf(line->text, sizeof line->text, "%s", raw->text);
    return set_quantity(raw, line) && set_amount(bill, raw, line) &&
           !__builtin_add_overflow(bill->subtotal, line->amount, &bill->subtotal);
}

static bool add_fee(struct bill *bill)
{
    const struct raw_line fee = {.text = "fee",
                                 .bytes = BILL_BYTES_NONE,
                                 .measure = 1,
                                 .divisor = 1,
                                 .price = bill->tariff->fee,
                                 .is_by_time = true};
    return bill->tariff->fee == 0 || add_line(bill, &fee, "period");
}

/* ---- tiers: of bytes, or of the bits of a slot ---- */

/* Where a number of units ends, in the measure; a volume's in proportion to the span. */
static bool bound_of(const struct bill *bill, int64_t units, int64_t divisor, bool is_by_time,
                     int64_t *bound)
{
    struct amount size;
    amount_init(&size, units);
    bool is_held = amount_multiply(&size, divisor);
    if (is_held && is_by_time && bill->part != bill->whole)
        is_held = amount_multiply(&size, bill->part) && amount_divide(&size, bill->whole);
    amount_integer whole = size.numerator / size.denominator;
    *bound = (int64_t)whole;
    return is_held && whole <= INT64_MAX;
}

static void tier_text(const struct bill *bill, size_t tier, char text[BILL_TEXT_SIZE])
{
    const struct config_tariff *tariff = bill->tariff;
    const char *what = config_tariff_is_percentile(tariff) ? "rate" : "volume";
    const char *unit = config_tariff_unit(tariff);
    bool is_last = tier == tariff->n_tiers;
    if (tariff->n_tiers == 0)
        snprintf(text, BILL_TEXT_SIZE, "%s", what);
    else if (tier == 0)
        snprintf(text, BILL_TEXT_SIZE, "%s up to %" PRId64 " %s", what, tariff->tiers[0].above,
                 unit);
    else if (is_last)
        snprintf(text, BILL_TEXT_SIZE, "%s above %" PRId64 " %s", what,
                 tariff->tiers[tier - 1].above, unit);
    else
        snprintf(text, BILL_TEXT_SIZE, "%s above %" PRId64 " up to %" PRId64 " %s", what,
                 tariff->tiers[tier - 1].above, tariff->tiers[tier].above, unit);
}

/* 'measure' is bytes, or of a rate the bits of the billed slot; 'divisor' of it are a unit. */
static bool add_tiers(struct bill *bill, int64_t measure, int64_t divisor, bool is_rate)
{
    const struct config_tariff *tariff = bill->tariff;
    int64_t from = 0;
    for (size_t tier = 0; tier <= tariff->n_tiers; tier++) {
        int64_t to = measure;
        bool is_last = tier == tariff->n_tiers;
        if (!is_last && !bound_of(bill, tariff->tiers[tier].above, divisor, !is_rate, &to))
            to = INT64_MAX; /* further than anything that was measured */
        int64_t end = measure < to ? measure : to;
        if (tier > 0 && end <= from)
            break;
        char text[BILL_TEXT_SIZE];
        tier_text(bill, tier, text);
        const struct raw_line line = {
            .text = text,
            .bytes = is_rate ? BILL_BYTES_NONE : end - from,
            .measure = end - from,
            .divisor = divisor,
            .price = tier == 0 ? tariff->price : tariff->tiers[tier - 1].price,
            .is_by_time = is_rate,
        };
        if (!add_line(bill, &line, config_tariff_unit(tariff)))
            return false;
        from = end;
    }
    return true;
}

/* ---- volume ---- */

static int64_t of_rule(const struct directions *bytes, const char *rule)
{
    if (strcmp(rule, "in") == 0)
        return bytes->down;
    if (strcmp(rule, "out") == 0)
        return bytes->up;
    return bytes->up + bytes->down + bytes->none;
}

/* The price by the clock that a slot has, n_times: none. */
static size_t find_time(const struct config_tariff *tariff, int64_t slot_s)
{
    enum { WEEK_DAYS = 7, SUNDAY_TO_MONDAY = 6 };
    struct tm local;
    if (tariff->n_times == 0)
        return 0;
    zone_local(tariff->timezone, slot_s, &local);
    int day = (local.tm_wday + SUNDAY_TO_MONDAY) % WEEK_DAYS;
    int minute = local.tm_hour * MINUTE_S + local.tm_min;
    for (size_t i = 0; i < tariff->n_times; i++) {
        const struct config_tariff_time *time = &tariff->times[i];
        int from = config_time_of_day(time->from), to = config_time_of_day(time->to);
        bool is_over_midnight = to <= from;
        bool is_after = is_over_midnight && minute < to;
        bool is_in = is_over_midnight ? minute >= from || is_after : minute >= from && minute < to;
        int begun = is_after ? (day + WEEK_DAYS - 1) % WEEK_DAYS : day;
        for (size_t d = 0; is_in && d < time->days.n; d++)
            if (config_weekday(time->days.items[d]) == begun)
                return i;
        if (is_in && time->days.n == 0)
            return i;
    }
    return tariff->n_times;
}

static void add_sample(const struct usage_sample *sample, struct directions *sum)
{
    sum->up += sample->up;
    sum->down += sample->down;
    sum->none += sample->none;
}

static bool add_times(struct bill *bill, const struct directions *by_time)
{
    const struct config_tariff *tariff = bill->tariff;
    for (size_t i = 0; i < tariff->n_times; i++) {
        char text[BILL_TEXT_SIZE];
        snprintf(text, sizeof text, "volume from %s to %s", tariff->times[i].from,
                 tariff->times[i].to);
        int64_t bytes = of_rule(&by_time[i], bill->rule);
        const struct raw_line line = {.text = text,
                                      .bytes = bytes,
                                      .measure = bytes,
                                      .divisor = config_unit_size(config_tariff_unit(tariff)),
                                      .price = tariff->times[i].price};
        if (!add_line(bill, &line, config_tariff_unit(tariff)))
            return false;
    }
    return true;
}

static bool make_volume(struct bill *bill, const struct usage *usage)
{
    const struct config_tariff *tariff = bill->tariff;
    struct directions *by_time = calloc(tariff->n_times + 1, sizeof *by_time);
    assert(by_time != NULL);
    for (size_t i = 0; i < usage->n_samples; i++)
        add_sample(&usage->samples[i], &by_time[find_time(tariff, usage->samples[i].slot_s)]);
    int64_t divisor = config_unit_size(config_tariff_unit(tariff));
    int64_t rest = of_rule(&by_time[tariff->n_times], bill->rule);
    bool is_made = add_times(bill, by_time) && add_tiers(bill, rest, divisor, false);
    free(by_time);
    if (is_made && tariff->quota > 0)
        is_made = bound_of(bill, tariff->quota, divisor, true, &bill->quota_bytes);
    return is_made;
}

/* ---- percentile ---- */

static void find_percentile(const struct usage *usage, const struct config_tariff *tariff,
                            const char *rule, struct percentile *percentile)
{
    int64_t *values = calloc(usage->n_samples + 1, sizeof *values);
    assert(values != NULL);
    for (size_t i = 0; i < usage->n_samples; i++) {
        const struct usage_sample *sample = &usage->samples[i];
        values[i] = of_rule(&(struct directions){sample->up, sample->down, sample->none}, rule);
    }
    bool is_zero = strcmp(tariff->missing, "zero") == 0;
    percentile_find(values, usage->n_samples, is_zero ? usage->n_slots : usage->n_present,
                    tariff->percentile, percentile);
    free(values);
}

/* Of the two directions' percentiles, not of a slot's greater direction: a contract's words. */
static void choose_percentile(struct bill *bill, const struct usage *usage)
{
    struct percentile other;
    if (strcmp(bill->tariff->rule, "max") != 0) {
        find_percentile(usage, bill->tariff, bill->rule, &bill->percentile);
        return;
    }
    bill->rule = "in";
    find_percentile(usage, bill->tariff, "in", &bill->percentile);
    find_percentile(usage, bill->tariff, "out", &other);
    if (other.value > bill->percentile.value) {
        bill->rule = "out";
        bill->percentile = other;
    }
}

/* Samples of more than this many bits. */
static int64_t count_above(const struct bill *bill, const struct usage *usage, int64_t bits)
{
    int64_t n = 0;
    for (size_t i = 0; i < usage->n_samples; i++) {
        const struct usage_sample *sample = &usage->samples[i];
        struct directions bytes = {sample->up, sample->down, sample->none};
        n += of_rule(&bytes, bill->rule) > bits / BITS;
    }
    return n;
}

static bool add_commit(struct bill *bill, const struct usage *usage, int64_t bits, int64_t divisor)
{
    const struct config_tariff *tariff = bill->tariff;
    const char *unit = config_tariff_unit(tariff);
    int64_t committed;
    if (!bound_of(bill, tariff->commit, divisor, false, &committed))
        return false;
    bill->n_above_commit = count_above(bill, usage, committed);
    const struct raw_line commit = {.text = "commit",
                                    .bytes = BILL_BYTES_NONE,
                                    .measure = tariff->commit,
                                    .divisor = 1,
                                    .price = tariff->price,
                                    .is_by_time = true};
    const struct raw_line overage = {.text = "above the commit",
                                     .bytes = BILL_BYTES_NONE,
                                     .measure = bits > committed ? bits - committed : 0,
                                     .divisor = divisor,
                                     .price =
                                         tariff->overage >= 0 ? tariff->overage : tariff->price,
                                     .is_by_time = true};
    return add_line(bill, &commit, unit) && add_line(bill, &overage, unit);
}

static bool make_percentile(struct bill *bill, const struct usage *usage)
{
    choose_percentile(bill, usage);
    int64_t bits;
    if (__builtin_mul_overflow(bill->percentile.value, BITS, &bits))
        return false;
    int64_t divisor = config_unit_size(config_tariff_unit(bill->tariff)) * PERIOD_SLOT_S;
    return bill->tariff->commit >= 0 ? add_commit(bill, usage, bits, divisor)
                                     : add_tiers(bill, bits, divisor, true);
}

/* ---- all of it ---- */

static void sum_up(struct bill *bill, const struct usage *usage)
{
    struct directions sum = {0, 0, 0};
    for (size_t i = 0; i < usage->n_samples; i++)
        add_sample(&usage->samples[i], &sum);
    bill->up_bytes = sum.up;
    bill->down_bytes = sum.down;
    bill->none_bytes = sum.none;
    bill->rule = bill->tariff->rule;
    if (strcmp(bill->rule, "max") == 0)
        bill->rule = sum.up > sum.down ? "out" : "in";
    bill->billed_bytes = of_rule(&sum, bill->rule);
}

bool bill_make(const struct config_tariff *tariff, const struct period *period,
               const struct usage *usage, struct bill *bill)
{
    *bill = (struct bill){.tariff = tariff,
                          .period = *period,
                          .n_slots = usage->n_slots,
                          .n_present = usage->n_present,
                          .n_above_commit = -1};
    bill_span(tariff, period, &bill->begin_s, &bill->end_s);
    bill->whole = period->end_s - period->begin_s;
    bill->part = tariff->prorate ? bill->end_s - bill->begin_s : bill->whole;
    sum_up(bill, usage);
    if (bill->begin_s == bill->end_s)
        return true; /* not in force: nothing to pay */
    bool is_percentile = config_tariff_is_percentile(tariff);
    return add_fee(bill) &&
           (is_percentile ? make_percentile(bill, usage) : make_volume(bill, usage));
}
