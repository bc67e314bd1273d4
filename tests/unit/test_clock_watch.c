#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/clock_watch.h"
#include "proto/clock_step.h"

static const int64_t S = 1000000000;
static const int64_t H = 3600 * INT64_C(1000000000);
static const int64_t ANCHOR = 1760000000 * INT64_C(1000000000);

/* What the clocks of this test say. */
static struct clock_reading clocks;

static void read_clocks(struct clock_reading *reading)
{
    *reading = clocks;
}

static void set_clocks(int64_t steady_ns, int64_t step_ns)
{
    clocks =
        (struct clock_reading){.wall_ns = ANCHOR + steady_ns + step_ns, .steady_ns = steady_ns};
}

static void look(struct clock_watch *watch, int64_t steady_ns, int64_t step_ns)
{
    set_clocks(steady_ns, step_ns);
    clock_watch_look(watch);
}

static void begin(struct clock_watch *watch)
{
    set_clocks(0, 0);
    clock_watch_init(watch, read_clocks, ANCHOR);
}

static void test_without_a_step_the_clock_is_the_packets_time(void **state)
{
    (void)state;
    struct clock_watch watch;
    begin(&watch);
    for (int64_t i = 1; i < 100; i++) {
        look(&watch, i * S, i % 3 * 1000); /* readings are some microseconds off */
        assert_int_equal(clock_watch_of(&watch, ANCHOR + i * S - 5), ANCHOR + i * S - 5);
        assert_false(clock_watch_is_due(&watch));
    }
}

static void assert_step_is_followed(int64_t step_ns)
{
    struct clock_watch watch;
    struct loss loss;
    begin(&watch);
    look(&watch, 100 * S, 0);
    look(&watch, 101 * S, step_ns);
    assert_true(clock_watch_is_due(&watch));
    clock_watch_tell(&watch, &loss);
    assert_false(clock_watch_is_due(&watch));
    assert_int_equal(watch.told_step_ns, step_ns);
    assert_int_equal(loss.packets + loss.l2_bytes + loss.l3_bytes, 0);
    assert_int_equal(loss.certainty, LOSS_EXACT);
    assert_true(loss.first_ns <= loss.last_ns);
    assert_string_equal(loss.reason, "clock_step");

    /* packets from before the step, still in the ring, and those from after it */
    assert_int_equal(clock_watch_of(&watch, ANCHOR + 100 * S), ANCHOR + 100 * S);
    assert_int_equal(clock_watch_of(&watch, ANCHOR + 101 * S + step_ns - 1), ANCHOR + 101 * S - 1);
    look(&watch, 5000 * S, step_ns);
    assert_int_equal(clock_watch_of(&watch, ANCHOR + 5000 * S + step_ns - 1),
                     ANCHOR + 5000 * S - 1);
}

static void test_an_hour_forward_is_no_hour_of_silence(void **state)
{
    (void)state;
    assert_step_is_followed(H);
    assert_step_is_followed(20 * 365 * 24 * H);
}

static void test_an_hour_back_does_not_stop_the_clock(void **state)
{
    (void)state;
    assert_step_is_followed(-H);
    assert_step_is_followed(-30 * 24 * H);
}

/* Steps of all kinds, seen late, with packets of up to two seconds ago: the clock is within that of
 * the truth, and never ahead of what has passed. */
static void test_the_clock_is_near_the_truth_and_never_ahead(void **state)
{
    (void)state;
    static const int64_t steps[] = {0, H, H - 30 * S, -H, -H - 45 * S, 300 * 24 * H, 0};
    enum { TURNS = 3000 };
    uint64_t random = 7;
    struct clock_watch watch;
    begin(&watch);
    for (int64_t i = TURNS; i < 7 * TURNS; i++) {
        int64_t now_ns = i * S / 100, step_ns = steps[i / TURNS];
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t age_ns = (int64_t)(random >> 33) % (2 * S);
        int64_t was_step_ns = age_ns > i % TURNS * S / 100 ? steps[i / TURNS - 1] : step_ns;
        set_clocks(now_ns, step_ns);
        if (random >> 62)
            clock_watch_look(&watch);
        int64_t clock_ns = clock_watch_of(&watch, ANCHOR + now_ns - age_ns + was_step_ns);
        assert_true(clock_ns <= ANCHOR + now_ns);
        if (random >> 62)
            assert_int_equal(clock_ns, ANCHOR + now_ns - age_ns);
    }
}

static void test_a_timestamp_from_the_future_does_not_move_the_clock_there(void **state)
{
    (void)state;
    struct clock_watch watch;
    begin(&watch);
    look(&watch, 50 * S, 0);
    assert_int_equal(clock_watch_of(&watch, ANCHOR + H), ANCHOR + 50 * S);
    assert_false(clock_watch_is_due(&watch));
}

static void test_small_steps_are_followed_and_told_together(void **state)
{
    (void)state;
    struct clock_watch watch;
    begin(&watch);
    for (int64_t i = 1; i <= 10; i++) {
        assert_false(clock_watch_is_due(&watch));
        look(&watch, i * S, i * S / 100);
        assert_int_equal(watch.step_ns, i * S / 100);
    }
    assert_true(clock_watch_is_due(&watch));
}

/* ---- the bill's clock ---- */

static void test_the_bills_clock_follows_and_never_goes_back(void **state)
{
    (void)state;
    struct bill_clock clock = {0};
    assert_int_equal(bill_clock_at(&clock, 10 * H), 10 * H);
    bill_clock_step(&clock, 10 * H, H);
    assert_int_equal(bill_clock_at(&clock, 10 * H + S), 11 * H + S);
    bill_clock_step(&clock, 12 * H, -H);
    assert_int_equal(bill_clock_at(&clock, 12 * H), 13 * H);
    assert_int_equal(bill_clock_at(&clock, 13 * H), 13 * H);
    assert_int_equal(bill_clock_at(&clock, 15 * H), 14 * H);
    assert_int_equal(bill_clock_at(&clock, INT64_MIN), INT64_MIN);
}

static void test_who_goes_on_after_a_start_knows_the_streams_clock(void **state)
{
    (void)state;
    bool is_certain;
    assert_int_equal(bill_clock_stream(10 * H, 1000, 10 * H + S, &is_certain), 10 * H);
    assert_true(is_certain);
    assert_int_equal(bill_clock_stream(11 * H, H, 10 * H + S, &is_certain), 10 * H);
    assert_false(is_certain);
    assert_int_equal(bill_clock_stream(10 * H, -H, 11 * H + S, &is_certain), 11 * H);
    assert_false(is_certain);
    /* a run before had a clock that was years ahead */
    assert_int_equal(bill_clock_stream(90000 * H, 0, 10 * H, &is_certain), 10 * H);
    assert_false(is_certain);

    struct bill_clock clock;
    bill_clock_resume(&clock, 11 * H, H);
    assert_int_equal(bill_clock_at(&clock, 10 * H + S), 11 * H + S);
}

static void test_a_step_is_told_by_a_change_that_nobody_can_ask_for(void **state)
{
    (void)state;
    struct change change, read;
    uint8_t room[PACKET_PAYLOAD_MAX];
    int64_t step_ns = 0;
    clock_step_change(-H, &change);
    size_t size = change_encode(&change, room);
    assert_true(size > 0 && change_decode(room, size, &read));
    assert_true(clock_step_of(&read, &step_ns));
    assert_int_equal(step_ns, -H);
    read.id = 1;
    assert_false(clock_step_of(&read, &step_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_step_the_clock_is_the_packets_time),
        cmocka_unit_test(test_an_hour_forward_is_no_hour_of_silence),
        cmocka_unit_test(test_an_hour_back_does_not_stop_the_clock),
        cmocka_unit_test(test_the_clock_is_near_the_truth_and_never_ahead),
        cmocka_unit_test(test_a_timestamp_from_the_future_does_not_move_the_clock_there),
        cmocka_unit_test(test_small_steps_are_followed_and_told_together),
        cmocka_unit_test(test_the_bills_clock_follows_and_never_goes_back),
        cmocka_unit_test(test_who_goes_on_after_a_start_knows_the_streams_clock),
        cmocka_unit_test(test_a_step_is_told_by_a_change_that_nobody_can_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
