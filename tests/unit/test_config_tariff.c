/* Tariffs: what is accepted, and what is said of the rest. */
#include "config_case.h"

#define SITE                                                                                       \
    "wans: [{name: w1, match: [{}]}, {name: w2, match: [{vlan: 1}]}]\n"                            \
    "accounts: [{name: alice}, {name: bob}]\n"

/* The line that a tariff's error begins with; SITE has two lines before it. */
#define AT(column) "f:4:" column ": tariff 't': "

static void tariff_gives(const char *tariff, const char *expected)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml, SITE "tariffs:\n  - {name: t, currency: EUR, %s}\n", tariff);
    assert_errors(yaml, expected);
}

static void test_a_tariff_is_what_it_says(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, SITE "tariffs:\n"
                            "  - name: t\n"
                            "    currency: EUR\n"
                            "    accounts: alice\n"
                            "    price: 0.000001\n"
                            "    tiers: [{above: 100, price: 0.09}, {above: 200, price: 12}]\n"
                            "    times: [{from: '22:00', to: '06:00', price: 0.01}]\n"
                            "    quota: 500\n");
    const struct config_tariff *tariff = &config.tariffs[0];
    assert_int_equal(tariff->price, 1);
    assert_int_equal(tariff->tiers[0].price, 90000);
    assert_int_equal(tariff->tiers[1].price, 12000000);
    assert_string_equal(config_tariff_unit(tariff), "GB");
    assert_string_equal(tariff->timezone, "UTC");
    assert_int_equal(tariff->percentile, 95);
    assert_int_equal(tariff->commit, -1);
    assert_int_equal(tariff->overage, -1);
    assert_int_equal(tariff->cycle_day, 1);
    assert_true(tariff->prorate);
    assert_true(config_tariff_covers(&tariff->accounts, "alice"));
    assert_false(config_tariff_covers(&tariff->accounts, "bob"));
    assert_true(config_tariff_covers(&tariff->wans, "w2"));
    config_deinit(&config);
}

static void test_a_tariff_written_is_the_same_read(void **state)
{
    (void)state;
    char *text = text_of(SITE "tariffs:\n"
                              "  - {name: t, currency: EUR, kind: percentile, price: 1.50, "
                              "commit: 50, overage: 2.25, rule: max, missing: zero,\n"
                              "     timezone: Europe/Berlin, cycle_day: 31, begins: 2026-10-15, "
                              "ends: 2027-01-01, prorate: no, rounding: up}\n");
    assert_non_null(strstr(text, "price: 1.5\n"));
    assert_non_null(strstr(text, "begins: 2026-10-15\n"));
    assert_same_text(text, text);
    char *again = text_of(text);
    assert_string_equal(again, text);
    free(again);
    free(text);
}

static void test_prices_are_decimals(void **state)
{
    (void)state;
    tariff_gives("price: '1,50'", "f:4:37: tariffs[0].price: not a price (got '1,50', expected "
                                  "digits with up to six decimals, such as 0.09; did you mean "
                                  "1.50?)\n");
    tariff_gives("price: -1", "f:4:37: tariffs[0].price: not a price (got '-1', expected digits "
                              "with up to six decimals, such as 0.09)\n");
    tariff_gives("price: 0.0000001",
                 "f:4:37: tariffs[0].price: not a price (got '0.0000001', expected digits with up "
                 "to six decimals, such as 0.09)\n");
    tariff_gives("price: 1000001", "f:4:37: tariffs[0].price: out of range (got '1000001', "
                                   "expected 0 to 1000000)\n");
}

static void test_a_zone_that_is_not_there_is_named_with_the_nearest(void **state)
{
    (void)state;
    tariff_gives("timezone: Europe/Belrin",
                 AT("5") "no such time zone (got 'Europe/Belrin', expected an IANA name such as "
                         "Europe/Berlin; did you mean Europe/Berlin?)\n");
}

static void test_tiers_rise(void **state)
{
    (void)state;
    tariff_gives("tiers: [{above: 100, price: 1}, {above: 100, price: 2}]",
                 "f:4:62: tariff 't': a tier that is not above the one before (got '100', expected "
                 "more than 100)\n");
    tariff_gives("tiers: [{above: 0, price: 1}]",
                 "f:4:38: tariff 't': a tier that is not above the one before (got '0', expected "
                 "more than 0)\n");
}

static void test_times_do_not_overlap(void **state)
{
    (void)state;
    tariff_gives("times: [{from: '08:00', to: '12:00'}, {from: '12:00', to: '08:00'}]", "");
    tariff_gives("times: [{from: '08:00', to: '12:00', days: [sat]}, {from: '11:55', to: '13:00', "
                 "days: [fri]}]",
                 "");
    tariff_gives("times: [{from: '08:00', to: '12:00'}, {from: '11:55', to: '13:00', days: [fri]}]",
                 "f:4:68: tariff 't': a time that another price is for (got '11:55')\n");
    tariff_gives("times: [{from: '22:00', to: '06:00', days: [sun]}, {from: '05:00', to: '05:30', "
                 "days: [mon]}]",
                 "f:4:81: tariff 't': a time that another price is for (got '05:00')\n");
    tariff_gives("times: [{from: '08:03', to: '12:00'}]",
                 "f:4:45: tariffs[0].times[0].from: not allowed (got '08:03', expected a local "
                 "time such as 08:00, a multiple of 5 minutes)\n");
}

static void test_names_are_those_of_the_site(void **state)
{
    (void)state;
    tariff_gives("accounts: [alise]",
                 AT("5") "no such account (got 'alise'; did you mean alice?)\n");
    tariff_gives("wans: [w11]", AT("5") "no such WAN (got 'w11'; did you mean w1?)\n");
    tariff_gives("accounts: [none], wans: [none]", "");
}

static void test_a_kind_has_its_own_options(void **state)
{
    (void)state;
    tariff_gives("unit: Mbit/s", AT("5") "a unit that is no volume (got 'Mbit/s', expected kB to "
                                         "TB, KiB to TiB)\n");
    tariff_gives("kind: percentile, unit: GB",
                 AT("5") "a unit that is no rate (got 'GB', expected kbit/s, Mbit/s or Gbit/s)\n");
    tariff_gives("commit: 5", AT("5") "a commit is one of a rate (expected kind: percentile)\n");
    tariff_gives("kind: percentile, quota: 5",
                 AT("5") "a quota is one of volume (expected kind: volume)\n");
    tariff_gives("kind: percentile, commit: 5, tiers: [{above: 1}]",
                 AT("5") "both a commit and tiers (expected one of them)\n");
    tariff_gives("quota: 5, quota_percents: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "
                 "16, 17]",
                 AT("5") "too many thresholds of a quota (got '17', expected 16 at most)\n");
    assert_errors("tariffs: [{name: t, currency: EUR}]",
                  "f:1:11: tariff 't': no WAN is there whose bytes it could be for (expected wans; "
                  "or 'wans: none' for what no WAN has)\n");
    assert_errors("tariffs: [{name: t, currency: EUR, wans: none}]", "");
    tariff_gives("kind: percentile, overage: 5",
                 AT("5") "a price of overage without a commit (expected commit)\n");
    tariff_gives("kind: percentile, times: [{from: '08:00', to: '12:00'}]",
                 AT("5") "'times' are prices of a volume (expected kind: volume)\n");
}

static void test_days_are_of_the_calendar_and_in_order(void **state)
{
    (void)state;
    tariff_gives("begins: 2026-02-29", "f:4:38: tariffs[0].begins: not allowed (got '2026-02-29', "
                                       "expected a day such as 2026-10-15)\n");
    tariff_gives("begins: 2026-10-01, ends: 2026-10-01",
                 AT("5") "it ends before it begins (got '2026-10-01', expected a later day)\n");
    tariff_gives("cycle_day: 32", "f:4:41: tariffs[0].cycle_day: out of range (got '32', expected "
                                  "1 to 31)\n");
}

#define TWO(first, second)                                                                         \
    SITE "tariffs:\n  - {name: t, currency: EUR, " first "}\n  - {name: u, currency: EUR, " second \
         "}\n"

static void test_no_account_is_billed_twice_for_one_wan(void **state)
{
    (void)state;
    assert_errors(TWO("accounts: [alice]", "accounts: [bob]"), "");
    assert_errors(TWO("wans: [w1]", "wans: [w2]"), "");
    assert_errors(TWO("ends: 2026-10-01", "begins: 2026-10-01"), "");
    assert_errors(TWO("accounts: [bob, alice], wans: [w1]", "accounts: [alice]"),
                  "f:5:5: tariff 'u': account 'alice' on WAN 'w1' would be billed by 't' too\n");
    assert_errors(TWO("ends: 2026-10-02", "begins: 2026-10-01"),
                  "f:5:5: tariff 'u': account 'any' on WAN 'any' would be billed by 't' too\n");
    assert_errors(SITE "tariffs:\n  - {name: t, currency: EUR, wans: w1}\n"
                       "  - {name: t, currency: EUR, wans: w2}\n",
                  "f:5:5: tariff 't': a name that another tariff has (got 't')\n");
}

static void test_an_edited_tariff_is_another_configuration(void **state)
{
    (void)state;
    assert_false(has_same_hash(TWO("wans: w1", "wans: w2"), TWO("wans: w1", "wans: w2, price: 1")));
    assert_false(has_same_hash(TWO("wans: w1", "wans: w2"),
                               TWO("wans: w1", "wans: w2, timezone: Europe/Berlin")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tariff_is_what_it_says),
        cmocka_unit_test(test_a_tariff_written_is_the_same_read),
        cmocka_unit_test(test_prices_are_decimals),
        cmocka_unit_test(test_a_zone_that_is_not_there_is_named_with_the_nearest),
        cmocka_unit_test(test_tiers_rise),
        cmocka_unit_test(test_times_do_not_overlap),
        cmocka_unit_test(test_names_are_those_of_the_site),
        cmocka_unit_test(test_a_kind_has_its_own_options),
        cmocka_unit_test(test_days_are_of_the_calendar_and_in_order),
        cmocka_unit_test(test_no_account_is_billed_twice_for_one_wan),
        cmocka_unit_test(test_an_edited_tariff_is_another_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
