/* Days, months and billing periods: all of them against a walk over every minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/decimal.h"
#include "common/period.h"
#include "common/zone.h"

enum { HOUR_S = 3600, DAY_S = 86400 };

/* Whole and half hours, quarters; clocks that change at midnight, by half an hour, in the other
 * half of the year; places that moved over the date line. */
static const char *const zones[] = {
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "America/Asuncion",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Pacific/Chatham",
    "Pacific/Auckland",
    "Antarctica/Troll",
};

enum { ZONES_N = sizeof zones / sizeof *zones };

static int64_t utc(const char *text)
{
    struct period_day day;
    assert_true(period_parse_day(text, &day));
    return period_day_begin("UTC", day);
}

static int64_t hours_of_day(const char *zone, const char *text)
{
    struct period_day day;
    assert_true(period_parse_day(text, &day));
    return (period_day_begin(zone, period_day_next(day)) - period_day_begin(zone, day)) / HOUR_S;
}

static int number_of(const struct tm *local)
{
    return (local->tm_year + 1900) * 10000 + (local->tm_mon + 1) * 100 + local->tm_mday;
}

/* The first minute of which the local date is not before the day's: by looking at each. */
static int64_t walk_to(const char *zone, struct period_day day)
{
    int wanted = day.year * 10000 + day.month * 100 + day.day;
    int64_t at = period_day_begin("UTC", day) - 50 * HOUR_S;
    struct tm local;
    for (zone_local(zone, at, &local); number_of(&local) < wanted; zone_local(zone, at, &local))
        at += 60;
    return at;
}

static void test_a_day_begins_at_the_first_moment_of_its_date(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZONES_N; i++) {
        struct period_day day = {1994 + (int32_t)(i % 3) * 10, 12, 20};
        for (int n = 0; n < 40; n++, day = period_day_next(day))
            assert_int_equal(period_day_begin(zones[i], day), walk_to(zones[i], day));
    }
}

static void test_days_have_as_many_hours_as_their_clocks_say(void **state)
{
    (void)state;
    assert_int_equal(hours_of_day("Europe/Berlin", "2026-03-29"), 23);
    assert_int_equal(hours_of_day("Europe/Berlin", "2026-10-25"), 25);
    assert_int_equal(hours_of_day("Europe/Berlin", "2026-10-26"), 24);
    assert_int_equal(hours_of_day("UTC", "2026-03-29"), 24);
    assert_int_equal(hours_of_day("America/Sao_Paulo", "2018-11-04"), 23); /* at midnight */
    assert_int_equal(hours_of_day("America/Sao_Paulo", "2018-02-17"), 25);
    assert_int_equal(hours_of_day("Pacific/Apia", "2011-12-30"), 0); /* left out */
    assert_int_equal(hours_of_day("Pacific/Apia", "2011-12-29"), 24);
}

static void test_days_follow_each_other_without_a_gap(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZONES_N; i++) {
        struct period_day day = {2011, 1, 1};
        for (int n = 0; n < 400; n++, day = period_day_next(day)) {
            int64_t begin_s = period_day_begin(zones[i], day);
            int64_t end_s = period_day_begin(zones[i], period_day_next(day));
            assert_true(begin_s <= end_s && end_s - begin_s <= 26 * HOUR_S);
            if (begin_s == end_s)
                continue; /* a day that was left out */
            struct period_day first = period_day_at(zones[i], begin_s);
            struct period_day last = period_day_at(zones[i], end_s - 1);
            assert_memory_equal(&first, &day, sizeof day);
            assert_memory_equal(&last, &day, sizeof day);
        }
    }
}

static void test_periods_follow_each_other_and_have_every_moment_once(void **state)
{
    (void)state;
    static const int cycle_days[] = {1, 2, 15, 28, 29, 30, 31};
    for (size_t i = 0; i < ZONES_N; i++)
        for (size_t c = 0; c < sizeof cycle_days / sizeof *cycle_days; c++) {
            struct period period, next, found;
            period_of(zones[i], cycle_days[c], 2019, 12, &period);
            for (int n = 0; n < 15; n++, period = next) {
                period_at(zones[i], cycle_days[c], period.end_s, &next);
                assert_int_equal(next.begin_s, period.end_s);
                assert_int_equal(next.year * 12 + next.month, period.year * 12 + period.month + 1);
                int64_t somewhere = period.begin_s + rand() % (period.end_s - period.begin_s);
                period_at(zones[i], cycle_days[c], somewhere, &found);
                assert_memory_equal(&found, &period, sizeof period);
            }
        }
}

static void test_a_cycle_day_that_a_month_has_not_is_its_last(void **state)
{
    (void)state;
    struct period period;
    period_of("UTC", 31, 2026, 2, &period);
    assert_int_equal(period.begin_s, utc("2026-02-28"));
    assert_int_equal(period.end_s, utc("2026-03-31"));
    period_of("UTC", 30, 2028, 2, &period);
    assert_int_equal(period.begin_s, utc("2028-02-29"));
    period_of("UTC", 31, 2026, 4, &period);
    assert_int_equal(period.begin_s, utc("2026-04-30"));
    assert_int_equal(period.end_s, utc("2026-05-31"));
}

static void test_a_month_has_as_many_slots_as_its_clocks_say(void **state)
{
    (void)state;
    struct period period;
    period_of("UTC", 1, 2026, 9, &period);
    assert_int_equal(period_slots(period.begin_s, period.end_s), 8640);
    period_of("Europe/Berlin", 1, 2026, 3, &period);
    assert_int_equal(period_slots(period.begin_s, period.end_s), 8916);
    period_of("Europe/Berlin", 1, 2026, 10, &period);
    assert_int_equal(period_slots(period.begin_s, period.end_s), 8940);
    assert_int_equal(period_slots(1, 300), 0);
    assert_int_equal(period_slots(1, 301), 1);
    assert_int_equal(period_slots(-301, 1), 2);
}

static void test_texts_of_periods_and_days(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "2026",    "2026-13",  "2026-00",
                                        "2026-1",  "26-10",   "2026-10-", "1969-12",
                                        "2262-01", "2026/10", "2026-1o",  " 2026-10"};
    static const char *const wrong_days[] = {"2026-02-29",  "2026-10",    "2026-10-32", "2026-10-1",
                                             "2026-10-01 ", "2026-10-00", "x"};
    int32_t year, month;
    struct period_day day;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(period_parse(wrong[i], &year, &month));
    for (size_t i = 0; i < sizeof wrong_days / sizeof *wrong_days; i++)
        assert_false(period_parse_day(wrong_days[i], &day));
    assert_true(period_parse("2026-10", &year, &month) && year == 2026 && month == 10);
    char text[PERIOD_TEXT_SIZE];
    period_text(&(struct period){.year = 2026, .month = 3}, text);
    assert_string_equal(text, "2026-03");
}

static void test_a_zone_is_one_of_the_database(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "",     "Europe/Berlni", "europe",    "/etc/passwd", "../zoneinfo/UTC",    "Europe/../UTC",
        "UTC0", "zone1970.tab",  "right/UTC", "<+03>-3",     "Europe/Berlin/Mitte"};
    char suggestion[ZONE_NAME_MAX + 1];
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_false(zone_is_known(unknown[i]));
    for (size_t i = 0; i < ZONES_N; i++)
        assert_true(zone_is_known(zones[i]));
    zone_suggest("Europe/Berlni", suggestion);
    assert_string_equal(suggestion, "Europe/Berlin");
    zone_suggest("berlin", suggestion);
    assert_string_equal(suggestion, "Europe/Berlin");
    zone_suggest("qqqqqqqqqqqq", suggestion);
    assert_string_equal(suggestion, "");
}

/* ---- decimals ---- */

static void test_a_decimal_read_again_is_the_same(void **state)
{
    (void)state;
    char text[DECIMAL_TEXT_SIZE];
    for (int i = 0; i < 100000; i++) {
        int64_t number = (int64_t)rand() * rand() % INT64_C(1000000000000000), again;
        decimal_text(number, i % 7, text);
        assert_true(decimal_parse(text, &again));
        assert_int_equal(again, number);
    }
}

static void test_decimals_are_written_with_the_places_they_need(void **state)
{
    (void)state;
    static const struct {
        int64_t millionths;
        int places;
        const char *text;
    } cases[] = {
        {0, 0, "0"},          {0, 2, "0.00"},       {90000, 0, "0.09"},
        {1500000, 2, "1.50"}, {1, 2, "0.000001"},   {-1500000, 2, "-1.50"},
        {12000000, 0, "12"},  {-1, 0, "-0.000001"}, {INT64_MAX, 0, "9223372036854.775807"}};
    char text[DECIMAL_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        decimal_text(cases[i].millionths, cases[i].places, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_what_is_no_decimal_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        ".5",
                                        "5.",
                                        "1,5",
                                        "-1",
                                        "1e3",
                                        "0x10",
                                        "0.0000001",
                                        "1 ",
                                        " 1",
                                        "+1",
                                        "1.2.3",
                                        "9223372036854.775808",
                                        "99999999999999999999"};
    int64_t number = 42;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(decimal_parse(wrong[i], &number));
    assert_int_equal(number, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day_begins_at_the_first_moment_of_its_date),
        cmocka_unit_test(test_days_have_as_many_hours_as_their_clocks_say),
        cmocka_unit_test(test_days_follow_each_other_without_a_gap),
        cmocka_unit_test(test_periods_follow_each_other_and_have_every_moment_once),
        cmocka_unit_test(test_a_cycle_day_that_a_month_has_not_is_its_last),
        cmocka_unit_test(test_a_month_has_as_many_slots_as_its_clocks_say),
        cmocka_unit_test(test_texts_of_periods_and_days),
        cmocka_unit_test(test_a_zone_is_one_of_the_database),
        cmocka_unit_test(test_a_decimal_read_again_is_the_same),
        cmocka_unit_test(test_decimals_are_written_with_the_places_they_need),
        cmocka_unit_test(test_what_is_no_decimal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
