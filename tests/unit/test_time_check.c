#include "source_case.h"

#include "capture/source/time_check.h"

enum { N_TIMES = 60 };

static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* ---- the rule ---- */

static void test_the_first_time_is_accepted_whatever_it_is(void **state)
{
    (void)state;
    static const int64_t times_ns[] = {0, 1, FRAME_TIME_MAX_NS};
    for (size_t i = 0; i < 3; i++) {
        struct time_check check;
        time_check_init(&check, 0);
        assert_true(time_check_is_near(&check, times_ns[i]));
        assert_int_equal(times_ns[i], time_check_accept(&check, times_ns[i]));
    }
}

static void test_near_is_within_the_bound_on_both_sides(void **state)
{
    (void)state;
    struct time_check check;
    time_check_init(&check, 100);
    time_check_accept(&check, 1000);
    assert_true(time_check_is_near(&check, 1100));
    assert_true(time_check_is_near(&check, 900));
    assert_false(time_check_is_near(&check, 1101));
    assert_false(time_check_is_near(&check, 899));
    assert_false(time_check_is_near(&check, INT64_MAX));
    assert_false(time_check_is_near(&check, INT64_MIN));
}

static void test_the_clock_is_the_largest_accepted_time(void **state)
{
    (void)state;
    struct time_check check;
    time_check_init(&check, 100);
    assert_int_equal(50, time_check_accept(&check, 50));
    assert_int_equal(90, time_check_accept(&check, 90));
    assert_int_equal(90, time_check_accept(&check, 10));
    assert_false(time_check_is_near(&check, 111)); /* of the last one, not of the clock */
}

/* ---- in a file ---- */

struct outcome {
    bool is_bad[N_TIMES];
    int64_t time_ns[N_TIMES];
    int64_t clock_ns[N_TIMES];
};

/* Reads a file with these times; every frame comes once, in its order. */
static void read_times(const int64_t *times_ns, size_t n, struct outcome *outcome)
{
    struct built built = build_times(times_ns, n, 0);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
        assert_int_equal(sizeof i, frame.captured_bytes);
        assert_memory_equal(&i, frame.bytes, sizeof i);
        outcome->is_bad[i] = frame.is_bad_time;
        outcome->time_ns[i] = frame.time_ns;
        outcome->clock_ns[i] = frame.clock_ns;
    }
    assert_int_equal(SOURCE_END, source_next(source, &frame, &loss));
    source_close(source);
    files_close(&files);
    free(built.bytes);
}

static void test_a_lone_outlier_is_bad_time_and_moves_no_clock(void **state)
{
    (void)state;
    static const int64_t outliers_ns[] = {40 * year_ns, 1, 29 * year_ns};
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 1; at + 1 < N_TIMES; at++) {
            int64_t times_ns[N_TIMES];
            for (size_t k = 0; k < N_TIMES; k++)
                times_ns[k] = 30 * year_ns + (int64_t)k * second_ns;
            times_ns[at] = outliers_ns[i];
            struct outcome outcome;
            read_times(times_ns, N_TIMES, &outcome);
            for (size_t k = 0; k < N_TIMES; k++) {
                int64_t expected_ns = k == at ? times_ns[k - 1] : times_ns[k];
                assert_int_equal(k == at, outcome.is_bad[k]);
                assert_int_equal(expected_ns, outcome.time_ns[k]);
                assert_int_equal(expected_ns, outcome.clock_ns[k]);
            }
        }
    }
}

static void test_joined_captures_lose_nothing_to_bad_time(void **state)
{
    (void)state;
    /* Three parts, years apart both ways, each of two packets or more. */
    for (size_t first = 1; first < 20; first++) {
        for (size_t second = first + 2; second < 40; second += 3) {
            int64_t times_ns[N_TIMES];
            for (size_t k = 0; k < N_TIMES; k++) {
                int64_t part_ns = k < first ? 30 * year_ns : k < second ? 44 * year_ns : year_ns;
                times_ns[k] = part_ns + (int64_t)k * second_ns;
            }
            struct outcome outcome;
            read_times(times_ns, N_TIMES, &outcome);
            int64_t clock_ns = 0;
            for (size_t k = 0; k < N_TIMES; k++) {
                clock_ns = times_ns[k] > clock_ns ? times_ns[k] : clock_ns;
                assert_false(outcome.is_bad[k]);
                assert_int_equal(times_ns[k], outcome.time_ns[k]);
                assert_int_equal(clock_ns, outcome.clock_ns[k]);
            }
        }
    }
}

static void test_a_doubtful_last_packet_is_accepted(void **state)
{
    (void)state;
    int64_t times_ns[] = {second_ns, 2 * second_ns, 40 * year_ns};
    struct outcome outcome;
    read_times(times_ns, 3, &outcome);
    assert_false(outcome.is_bad[2]);
    assert_int_equal(40 * year_ns, outcome.clock_ns[2]);
}

static void test_a_doubtful_packet_before_a_cut_is_given_before_the_loss(void **state)
{
    (void)state;
    int64_t times_ns[] = {second_ns, 40 * year_ns, 3 * second_ns};
    struct built built = build_times(times_ns, 3, 0);
    built.size -= 2;
    struct reading reading = read_built(&built);
    assert_int_equal(2, reading.n_frames);
    assert_int_equal(1, reading.n_losses);
    assert_int_equal(0, reading.n_bad_time);
    free(built.bytes);
}

static void test_any_sequence_of_times_gives_every_frame_once(void **state)
{
    (void)state;
    uint32_t numbers = 11;
    for (int round = 0; round < 500; round++) {
        int64_t times_ns[N_TIMES];
        int64_t time_ns = 30 * year_ns;
        for (size_t k = 0; k < N_TIMES; k++) {
            uint32_t number = next_number(&numbers);
            int64_t step_ns = number % 5 == 0 ? year_ns : number % 5 == 1 ? -year_ns : second_ns;
            time_ns += number % 7 == 0 ? step_ns : 0;
            times_ns[k] = time_ns + (number % 11 == 0 ? step_ns * 2 : 0);
        }
        struct outcome outcome;
        read_times(times_ns, N_TIMES, &outcome);
        for (size_t k = 0; k < N_TIMES; k++) {
            assert_true(outcome.clock_ns[k] >= outcome.time_ns[k]);
            assert_true(k == 0 || outcome.clock_ns[k] >= outcome.clock_ns[k - 1]);
            /* Two in a row are never both bad: the second is the witness against the first. */
            assert_false(k > 0 && outcome.is_bad[k] && outcome.is_bad[k - 1]);
        }
    }
}

/* ---- in several files ---- */

/* Sorted times cut into files at random come out as they were, ties in the order of the files. */
static void test_files_are_merged_by_their_clocks_and_ties_by_their_order(void **state)
{
    (void)state;
    uint32_t numbers = 3;
    for (int round = 0; round < 100; round++) {
        int64_t times_ns[3][N_TIMES];
        size_t n[3] = {0};
        for (int64_t time_ns = 1; time_ns <= N_TIMES / 2; time_ns++)
            for (size_t i = 0; i < 3; i++)
                for (uint32_t k = next_number(&numbers) % 3; k-- > 0;)
                    times_ns[i][n[i]++] = time_ns;
        struct files files = {0};
        for (uint32_t i = 0; i < 3; i++) {
            struct built built = build_times(times_ns[i], n[i], 0);
            files_add(&files, built.bytes, built.size);
            free(built.bytes);
        }
        struct source *source = files_open(&files);
        struct frame frame, before = {0};
        struct loss loss;
        uint32_t n_read[3] = {0};
        while (source_next(source, &frame, &loss) == SOURCE_FRAME) {
            size_t i = frame.source_index - 3;
            assert_memory_equal(&n_read[i], frame.bytes, sizeof n_read[i]);
            assert_int_equal(times_ns[i][n_read[i]++], frame.time_ns);
            assert_true(
                frame.time_ns > before.time_ns ||
                (frame.time_ns == before.time_ns && frame.source_index >= before.source_index));
            before = frame;
        }
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(n[i], n_read[i]);
        source_close(source);
        files_close(&files);
    }
}

static void test_a_lone_time_far_off_neither_waits_nor_holds_others_back(void **state)
{
    (void)state;
    static const int64_t outliers_ns[] = {40 * year_ns, 0};
    for (size_t i = 0; i < 2; i++) {
        int64_t one_ns[10], other_ns[10];
        for (int64_t k = 0; k < 10; k++) {
            one_ns[k] = year_ns + 2 * k * second_ns;
            other_ns[k] = year_ns + (2 * k + 1) * second_ns;
        }
        one_ns[4] = outliers_ns[i];
        struct built one = build_times(one_ns, 10, 0), other = build_times(other_ns, 10, 0);
        struct files files = {0};
        files_add(&files, one.bytes, one.size);
        files_add(&files, other.bytes, other.size);
        struct source *source = files_open(&files);
        struct frame frame;
        struct loss loss;
        size_t n_bad_time = 0;
        for (uint32_t k = 0; k < 20; k++) {
            assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
            n_bad_time += frame.is_bad_time;
            if (k >= 10) /* long after the outlier the files take turns as before */
                assert_int_equal(3 + k % 2, frame.source_index);
        }
        assert_int_equal(1, n_bad_time);
        source_close(source);
        files_close(&files);
        free(one.bytes);
        free(other.bytes);
    }
}

static void test_a_cut_file_ends_alone(void **state)
{
    (void)state;
    int64_t times_ns[N_TIMES];
    for (size_t k = 0; k < N_TIMES; k++)
        times_ns[k] = (int64_t)k * second_ns;
    struct built built = build_times(times_ns, N_TIMES, 0);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    files_add(&files, built.bytes, built.size / 2);
    files_add(&files, built.bytes, 24 + 10);
    struct source *source = files_open(&files);
    struct reading reading = read_source(source);
    assert_int_equal(2, reading.n_losses);
    struct source_total totals[4];
    assert_int_equal(3, source_totals(source, totals, 4));
    assert_int_equal(N_TIMES, totals[0].packets);
    assert_int_equal(reading.n_frames, totals[0].packets + totals[1].packets);
    assert_int_equal(0, totals[2].packets);
    assert_true(totals[0].is_complete && !totals[1].is_complete && !totals[2].is_complete);
    assert_int_equal((N_TIMES - 1) * second_ns, totals[0].last_ns);
    source_close(source);
    files_close(&files);
    free(built.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_time_is_accepted_whatever_it_is),
        cmocka_unit_test(test_near_is_within_the_bound_on_both_sides),
        cmocka_unit_test(test_the_clock_is_the_largest_accepted_time),
        cmocka_unit_test(test_a_lone_outlier_is_bad_time_and_moves_no_clock),
        cmocka_unit_test(test_joined_captures_lose_nothing_to_bad_time),
        cmocka_unit_test(test_a_doubtful_last_packet_is_accepted),
        cmocka_unit_test(test_a_doubtful_packet_before_a_cut_is_given_before_the_loss),
        cmocka_unit_test(test_any_sequence_of_times_gives_every_frame_once),
        cmocka_unit_test(test_files_are_merged_by_their_clocks_and_ties_by_their_order),
        cmocka_unit_test(test_a_lone_time_far_off_neither_waits_nor_holds_others_back),
        cmocka_unit_test(test_a_cut_file_ends_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
