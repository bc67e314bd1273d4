/* Times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/moment.h"

static int64_t parsed(const char *text)
{
    int64_t time_ns;
    if (!moment_parse(text, &time_ns))
        fail_msg("'%s' was not taken", text);
    return time_ns;
}

static void test_what_is_formatted_is_parsed_to_the_same_time(void **state)
{
    (void)state;
    static const int64_t times[] = {
        0, 1, -1, 999999999, 1700000000123000000, INT64_MAX, -1000001, 86400000000000 * 365};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[MOMENT_TEXT_SIZE];
        moment_format(times[i], text);
        assert_int_equal(parsed(text), times[i]);
    }
}

static void test_every_way_of_writing_one_moment_is_that_moment(void **state)
{
    (void)state;
    static const char *const ways[] = {"2023-11-14T22:13:20Z",      "2023-11-14 22:13:20",
                                       "2023-11-15T00:13:20+02:00", "2023-11-14T16:43:20-05:30",
                                       "2023-11-14T22:13:20.0z",    "@1700000000",
                                       "1700000000000000000"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_int_equal(parsed(ways[i]), 1700000000000000000);
}

static void test_a_day_is_its_first_moment(void **state)
{
    (void)state;
    assert_int_equal(parsed("2023-11-14"), parsed("2023-11-14T00:00Z"));
    assert_int_equal(parsed("2024-03-01") - parsed("2024-02-28"), 2 * 86400000000000);
}

static void test_what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "2023",
                                        "2023-13-01",
                                        "2023-02-29",
                                        "2023-11-1",
                                        "2023-11-14T",
                                        "@",
                                        "2023-11-14T25:00:00Z",
                                        "2023-11-14T22:13:20.Z",
                                        "2023-11-14x",
                                        "3000-01-01",
                                        "@10000000000",
                                        "2023-11-14T22:13:20+2",
                                        "99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t time_ns;
        if (moment_parse(texts[i], &time_ns))
            fail_msg("'%s' was taken", texts[i]);
    }
}

static void test_a_length_of_time_needs_its_unit(void **state)
{
    (void)state;
    int64_t duration_ns;
    assert_true(moment_parse_duration("500ms", &duration_ns));
    assert_int_equal(duration_ns, 500000000);
    assert_true(moment_parse_duration("2min", &duration_ns));
    assert_int_equal(duration_ns, 120000000000);
    assert_false(moment_parse_duration("5", &duration_ns));
    assert_false(moment_parse_duration("-5s", &duration_ns));
    assert_false(moment_parse_duration("s", &duration_ns));
    assert_false(moment_parse_duration("9999999999999h", &duration_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_formatted_is_parsed_to_the_same_time),
        cmocka_unit_test(test_every_way_of_writing_one_moment_is_that_moment),
        cmocka_unit_test(test_a_day_is_its_first_moment),
        cmocka_unit_test(test_what_is_no_time_is_refused),
        cmocka_unit_test(test_a_length_of_time_needs_its_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
