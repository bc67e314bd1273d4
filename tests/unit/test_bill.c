/* What a tariff makes of usage: against slower ways to the same sum. */
#include "config_case.h"

#include <errno.h>

#include "cli/bill/amount.h"
#include "cli/bill/bill.h"
#include "cli/bill/model_bounds.h"
#include "cli/bill/percentile.h"
#include "common/overhead.h"
#include "common/zone.h"

#define MILLION INT64_C(1000000)
#define GB      INT64_C(1000000000)

enum { DAY_S = 86400, SLOT_S = PERIOD_SLOT_S };

/* ---- percentile ---- */

/* By definition: the largest go one by one. */
static int64_t slow_percentile(const int64_t *samples, int64_t n, int percent)
{
    bool *is_gone = calloc((size_t)n + 1, sizeof *is_gone);
    int64_t n_discarded = (100 - percent) * n / 100, largest = 0;
    for (int64_t round = 0; round <= n_discarded; round++) {
        int64_t at = -1;
        for (int64_t i = 0; i < n; i++)
            if (!is_gone[i] && (at < 0 || samples[i] > samples[at]))
                at = i;
        is_gone[at] = true;
        largest = samples[at];
    }
    free(is_gone);
    return largest;
}

static void test_percentiles_are_those_of_discarding_one_by_one(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        int64_t n = 1 + rand() % 600, samples[600] = {0}, values[600];
        size_t n_values = 0;
        for (int64_t i = 0; i < n; i++)
            if (rand() % 3)
                values[n_values++] = samples[i] = rand() % (round % 2 ? 5 : 1000000);
        int percent = round % 4 ? 95 : 1 + rand() % 100;
        struct percentile percentile;
        percentile_find(values, n_values, n, percent, &percentile);
        assert_int_equal(percentile.value, slow_percentile(samples, n, percent));
        assert_int_equal(percentile.n_discarded, (100 - percent) * n / 100);
        assert_int_equal(percentile.rank + percentile.n_discarded, n);
    }
}

static void test_ranks_of_whole_months(void **state)
{
    (void)state;
    static const struct {
        int64_t n, rank;
    } cases[] = {{8640, 8208}, {8928, 8482}, {8352, 7935}, {8916, 8471}, {8940, 8493},
                 {1, 1},       {19, 19},     {20, 19},     {21, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct percentile percentile;
        percentile_find(NULL, 0, cases[i].n, 95, &percentile);
        assert_int_equal(percentile.rank, cases[i].rank);
    }
    struct percentile none;
    percentile_find(NULL, 0, 0, 95, &none);
    assert_int_equal(none.value + none.rank, 0);
}

/* ---- rounding ---- */

static int64_t rounded(int64_t millionths, const char *rule, int decimals)
{
    struct amount amount;
    int64_t result = 0;
    amount_init(&amount, millionths);
    assert_true(amount_round(&amount, rule, decimals, &result));
    return result;
}

static void test_rounding_is_what_its_name_says(void **state)
{
    (void)state;
    static const struct {
        int64_t millionths;
        int64_t half_even, half_up, up, down;
    } cases[] = {{5000, 0, 10000, 10000, 0},
                 {15000, 20000, 20000, 20000, 10000},
                 {14999, 10000, 10000, 20000, 10000},
                 {15001, 20000, 20000, 20000, 10000},
                 {20000, 20000, 20000, 20000, 20000},
                 {1, 0, 0, 10000, 0},
                 {0, 0, 0, 0, 0},
                 {-5000, 0, -10000, 0, -10000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(rounded(cases[i].millionths, "half-even", 2), cases[i].half_even);
        assert_int_equal(rounded(cases[i].millionths, "half-up", 2), cases[i].half_up);
        assert_int_equal(rounded(cases[i].millionths, "up", 2), cases[i].up);
        assert_int_equal(rounded(cases[i].millionths, "down", 2), cases[i].down);
        assert_int_equal(rounded(cases[i].millionths, "up", 6), cases[i].millionths);
    }
}

static void test_fractions_are_exact_until_they_are_rounded(void **state)
{
    (void)state;
    struct amount amount;
    int64_t result;
    amount_init(&amount, MILLION); /* 1 / 3 * 3 */
    assert_true(amount_divide(&amount, 3) && amount_multiply(&amount, 3));
    assert_true(amount_round(&amount, "down", 6, &result));
    assert_int_equal(result, MILLION);
    amount_init(&amount, INT64_MAX);
    assert_true(amount_multiply(&amount, INT64_MAX));
    assert_false(amount_multiply(&amount, INT64_MAX));
    assert_false(amount_round(&amount, "down", 6, &result));
}

/* ---- bills ---- */

static const char *const SITE = "wans: [{name: w, match: [{}]}]\n"
                                "tariffs: [{name: t, currency: EUR, %s}]\n";

struct case_bill {
    struct config config;
    struct period period;
    struct usage usage;
    struct bill bill;
};

static void begin_bill(const char *tariff, int32_t year, int32_t month, struct case_bill *this)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml, SITE, tariff);
    init_from(&this->config, yaml);
    const struct config_tariff *t = &this->config.tariffs[0];
    period_of(t->timezone, t->cycle_day, year, month, &this->period);
    int64_t begin_s, end_s;
    bill_span(t, &this->period, &begin_s, &end_s);
    this->usage = (struct usage){.n_slots = period_slots(begin_s, end_s)};
    this->usage.n_present = this->usage.n_slots;
    this->usage.samples = calloc((size_t)this->usage.n_slots + 1, sizeof *this->usage.samples);
}

static void add(struct case_bill *this, int64_t slot_s, int64_t up, int64_t down)
{
    this->usage.samples[this->usage.n_samples++] =
        (struct usage_sample){.slot_s = slot_s, .up = up, .down = down};
}

static void end_bill(struct case_bill *this)
{
    usage_deinit(&this->usage);
    config_deinit(&this->config);
}

static void make(struct case_bill *this)
{
    assert_true(bill_make(&this->config.tariffs[0], &this->period, &this->usage, &this->bill));
}

static int64_t subtotal_of_volume(const char *tariff, int64_t up, int64_t down)
{
    struct case_bill this;
    begin_bill(tariff, 2026, 10, &this);
    add(&this, this.period.begin_s, up, down);
    make(&this);
    int64_t subtotal = this.bill.subtotal;
    end_bill(&this);
    return subtotal;
}

static void test_a_volume_costs_its_price(void **state)
{
    (void)state;
    assert_int_equal(subtotal_of_volume("price: 0.09", 100 * GB, 900 * GB), 90 * MILLION);
    assert_int_equal(subtotal_of_volume("price: 0.09, rule: in", 100 * GB, 900 * GB), 81 * MILLION);
    assert_int_equal(subtotal_of_volume("price: 0.09, rule: out", 100 * GB, 900 * GB), 9 * MILLION);
    assert_int_equal(subtotal_of_volume("price: 0.09, rule: max", 100 * GB, 900 * GB),
                     81 * MILLION);
    assert_int_equal(subtotal_of_volume("price: 1, unit: GiB", 0, INT64_C(1) << 30), MILLION);
    assert_int_equal(subtotal_of_volume("price: 0.09, fee: 19.90", GB, 0), 19990000);
    assert_int_equal(subtotal_of_volume("price: 0.09", 1, 0), 0);
    assert_int_equal(subtotal_of_volume("price: 0.09, rounding: up", 1, 0), 10000);
}

static void test_a_tier_begins_above_its_bound(void **state)
{
    (void)state;
    static const char tiers[] = "price: 0, decimals: 6, rounding: down, "
                                "tiers: [{above: 100, price: 0.10}, {above: 200, price: 0.05}]";
    assert_int_equal(subtotal_of_volume(tiers, 100 * GB, 0), 0);
    assert_int_equal(subtotal_of_volume(tiers, 100 * GB + 10000, 0), 1);
    assert_int_equal(subtotal_of_volume(tiers, 150 * GB, 50 * GB), 10 * MILLION);
    assert_int_equal(subtotal_of_volume(tiers, 300 * GB, 0), 15 * MILLION);
}

static void test_lines_of_tiers_add_up_to_what_was_used(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct case_bill this;
        begin_bill("price: 1, tiers: [{above: 3, price: 2}, {above: 7, price: 3}], "
                   "times: [{from: '22:00', to: '06:00', price: 0.5}], timezone: Europe/Berlin",
                   2026, 1 + rand() % 12, &this);
        int64_t total = 0, in_lines = 0;
        for (int64_t at = this.period.begin_s; at < this.period.end_s; at += SLOT_S * 50) {
            add(&this, at, rand() % 100000000, rand() % 1000000);
            total += this.usage.samples[this.usage.n_samples - 1].up +
                     this.usage.samples[this.usage.n_samples - 1].down;
        }
        make(&this);
        for (size_t i = 0; i < this.bill.n_lines; i++)
            in_lines += this.bill.lines[i].bytes;
        assert_int_equal(in_lines, total);
        assert_int_equal(this.bill.billed_bytes, total);
        end_bill(&this);
    }
}

/* Every hour of October 2026 in Berlin one GB: 745 hours, of which 31 nights of 8 hours from 22:00
 * and one hour more, but what is before the first 06:00 is of the 30th of September. */
static void test_times_are_those_of_the_local_clock(void **state)
{
    (void)state;
    struct case_bill this;
    begin_bill("price: 1, times: [{from: '22:00', to: '06:00', price: 0.5}], timezone: "
               "Europe/Berlin",
               2026, 10, &this);
    for (int64_t at = this.period.begin_s; at < this.period.end_s; at += 3600)
        add(&this, at, GB, 0);
    make(&this);
    assert_int_equal(this.usage.n_samples, 745);
    assert_int_equal(this.bill.lines[0].bytes, (31 * 8 + 1) * GB);
    assert_int_equal(this.bill.lines[1].bytes, (745 - 249) * GB);
    end_bill(&this);
    begin_bill("price: 1, times: [{from: '22:00', to: '06:00', price: 0.5, days: [sun]}]", 2026, 10,
               &this);
    for (int64_t at = this.period.begin_s; at < this.period.end_s; at += 3600)
        add(&this, at, GB, 0);
    make(&this);
    assert_int_equal(this.bill.lines[0].bytes, 4 * 8 * GB); /* to Monday morning */
    end_bill(&this);
}

static void test_a_part_of_a_period_costs_its_part(void **state)
{
    (void)state;
    struct case_bill this;
    begin_bill("price: 1, fee: 30, begins: 2026-09-16, quota: 10, tiers: [{above: 100, price: 2}]",
               2026, 9, &this);
    add(&this, this.period.begin_s + 20 * DAY_S, 60 * GB, 0);
    make(&this);
    assert_int_equal(this.bill.lines[0].amount, 15 * MILLION);
    assert_int_equal(this.bill.lines[1].bytes, 50 * GB); /* of 100 of a whole period */
    assert_int_equal(this.bill.lines[2].bytes, 10 * GB);
    assert_int_equal(this.bill.quota_bytes, 5 * GB);
    end_bill(&this);
    begin_bill("fee: 30, begins: 2026-09-16, prorate: no", 2026, 9, &this);
    make(&this);
    assert_int_equal(this.bill.lines[0].amount, 30 * MILLION);
    end_bill(&this);
    begin_bill("fee: 30, begins: 2026-09-16", 2026, 8, &this);
    make(&this);
    assert_int_equal(this.bill.n_lines, 0);
    end_bill(&this);
}

/* One Mbit/s is 37,500,000 bytes in a slot. */
static void test_a_percentile_costs_its_rate(void **state)
{
    (void)state;
    static const int64_t mbit = 37500000;
    struct case_bill this;
    begin_bill("kind: percentile, price: 2, rule: max", 2026, 9, &this);
    for (int i = 0; i < 8640; i++)
        add(&this, this.period.begin_s + i * SLOT_S, i < 432 ? 900 * mbit : 3 * mbit,
            i < 433 ? 10 * mbit : mbit);
    make(&this);
    assert_string_equal(this.bill.rule, "in");
    assert_int_equal(this.bill.percentile.value, 10 * mbit);
    assert_int_equal(this.bill.subtotal, 20 * MILLION);
    end_bill(&this);
}

static void test_a_commit_is_paid_in_any_case(void **state)
{
    (void)state;
    static const int64_t mbit = 37500000;
    for (int64_t rate = 0; rate <= 200; rate += 50) {
        struct case_bill this;
        begin_bill("kind: percentile, price: 2, commit: 100, overage: 3, missing: zero", 2026, 9,
                   &this);
        for (int i = 0; i < 8640; i++)
            add(&this, this.period.begin_s + i * SLOT_S, rate * mbit, 0);
        make(&this);
        int64_t over = rate > 100 ? rate - 100 : 0;
        assert_int_equal(this.bill.subtotal, (200 + 3 * over) * MILLION);
        assert_int_equal(this.bill.n_above_commit, rate > 100 ? 8640 : 0);
        end_bill(&this);
    }
}

static void test_missing_slots_are_excluded_or_zero(void **state)
{
    (void)state;
    static const char *const tariffs[] = {"kind: percentile, price: 1, missing: exclude",
                                          "kind: percentile, price: 1, missing: zero"};
    for (int i = 0; i < 2; i++) {
        struct case_bill this;
        begin_bill(tariffs[i], 2026, 9, &this);
        for (int slot = 0; slot < 400; slot++)
            add(&this, this.period.begin_s + slot * SLOT_S, 1 + slot, 0);
        this.usage.n_present = 400;
        make(&this);
        assert_int_equal(this.bill.percentile.n_samples, i == 0 ? 400 : 8640);
        assert_int_equal(this.bill.percentile.value, i == 0 ? 380 : 0);
        end_bill(&this);
    }
}

static void test_an_amount_that_64_bits_do_not_hold_is_refused(void **state)
{
    (void)state;
    struct case_bill this;
    begin_bill("price: 1000000, unit: kB", 2026, 10, &this);
    add(&this, this.period.begin_s, INT64_MAX / 2, 0);
    assert_false(bill_make(&this.config.tariffs[0], &this.period, &this.usage, &this.bill));
    end_bill(&this);
    begin_bill("price: 1000000, kind: percentile, unit: kbit/s", 2026, 10, &this);
    for (int slot = 0; slot < 8928; slot++)
        add(&this, this.period.begin_s + slot * SLOT_S, INT64_MAX / 10000, 0);
    assert_false(bill_make(&this.config.tariffs[0], &this.period, &this.usage, &this.bill));
    end_bill(&this);
}

/* The month of the local calendar, found by looking at every slot; its samples, sorted. */
static void check_month(const char *zone, int32_t year, int32_t month)
{
    char tariff[128];
    struct case_bill this;
    int64_t samples[9200] = {0}, n = 0;
    snprintf(tariff, sizeof tariff, "kind: percentile, price: 1, missing: zero, timezone: %s",
             zone);
    begin_bill(tariff, year, month, &this);
    for (int64_t at = period_slot_from(this.period.begin_s - 3 * DAY_S);
         at < this.period.end_s + 3 * DAY_S; at += SLOT_S) {
        struct tm local;
        zone_local(zone, at, &local);
        if (local.tm_year + 1900 != year || local.tm_mon + 1 != month)
            continue;
        samples[n++] = rand() % 5 ? rand() % 100000 : 0;
        if (samples[n - 1] > 0)
            add(&this, at, samples[n - 1], 0);
    }
    make(&this);
    assert_int_equal(this.usage.n_slots, n);
    assert_int_equal(this.bill.percentile.n_samples, n);
    assert_int_equal(this.bill.percentile.value, slow_percentile(samples, n, 95));
    end_bill(&this);
}

static void test_percentiles_of_months_anywhere_are_those_of_their_sorted_slots(void **state)
{
    (void)state;
    static const char *const zones[] = {"UTC",
                                        "Europe/Berlin",
                                        "America/New_York",
                                        "Asia/Kathmandu",
                                        "Australia/Lord_Howe",
                                        "Africa/Casablanca",
                                        "Pacific/Chatham",
                                        "America/Havana",
                                        "Asia/Tehran"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        for (int round = 0; round < 3; round++)
            check_month(zones[i], 2015 + rand() % 12, 1 + rand() % 12);
}

/* ---- another model ---- */

static void test_what_another_model_costs_lies_within_its_bounds(void **state)
{
    (void)state;
    static const char *const models[] = {"ip",          "ethernet-wire", "pppoe-llcsnap",
                                         "pppoe-ptm",   "wireguard4",    "gre4+pppoe-llcsnap",
                                         "dvb-mpe",     "vxlan4-wire",   "xgspon-xgem",
                                         "ratio(65,64)"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct model_bounds *bounds;
        struct overhead model;
        assert_int_equal(model_bounds_create(models[m], &bounds), 0);
        assert_true(overhead_make(models[m], &model));
        for (int round = 0; round < 2000; round++) {
            int64_t packets = 1 + rand() % 40, l3_bytes = 0, billed = 0;
            for (int64_t i = 0; i < packets; i++) {
                uint32_t length = 20 + (uint32_t)rand() % (round % 9 ? 1481 : 65516);
                l3_bytes += length;
                billed += (int64_t)overhead_billed_bytes(&model, length);
            }
            struct model_range range;
            model_bounds_of(bounds, packets, l3_bytes, &range);
            assert_true(range.low <= billed && billed <= range.high);
            if (overhead_parts(&model) == 1 && (packets == 1 || model_bounds_is_linear(bounds)))
                assert_int_equal(range.low, range.high);
        }
        model_bounds_destroy(bounds);
    }
}

static void test_what_adds_the_same_to_every_packet_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        bool is_linear;
    } cases[] = {{"ip", true},
                 {"gre4", true},
                 {"add(14)", true},
                 {"ethernet-wire", false},
                 {"ratio(65,64)", false},
                 {"pppoe-llcsnap", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_bounds *bounds;
        assert_int_equal(model_bounds_create(cases[i].model, &bounds), 0);
        assert_int_equal(model_bounds_is_linear(bounds), cases[i].is_linear);
        model_bounds_destroy(bounds);
    }
    struct model_bounds *none;
    assert_int_equal(model_bounds_create("no-such-model", &none), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_those_of_discarding_one_by_one),
        cmocka_unit_test(test_ranks_of_whole_months),
        cmocka_unit_test(test_rounding_is_what_its_name_says),
        cmocka_unit_test(test_fractions_are_exact_until_they_are_rounded),
        cmocka_unit_test(test_a_volume_costs_its_price),
        cmocka_unit_test(test_a_tier_begins_above_its_bound),
        cmocka_unit_test(test_lines_of_tiers_add_up_to_what_was_used),
        cmocka_unit_test(test_times_are_those_of_the_local_clock),
        cmocka_unit_test(test_a_part_of_a_period_costs_its_part),
        cmocka_unit_test(test_a_percentile_costs_its_rate),
        cmocka_unit_test(test_a_commit_is_paid_in_any_case),
        cmocka_unit_test(test_missing_slots_are_excluded_or_zero),
        cmocka_unit_test(test_an_amount_that_64_bits_do_not_hold_is_refused),
        cmocka_unit_test(test_percentiles_of_months_anywhere_are_those_of_their_sorted_slots),
        cmocka_unit_test(test_what_another_model_costs_lies_within_its_bounds),
        cmocka_unit_test(test_what_adds_the_same_to_every_packet_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
