/* What a tracker had in hand, as its successor finds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tracker/hand.h"

static const struct stream_id stream = {.producer = "capture-1", .epoch = 7};

static int make_place(void **state)
{
    char *path = strdup("/tmp/wanmeter-hand-XXXXXX");
    int descriptor = mkstemp(path);
    *state = path;
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_place(void **state)
{
    unlink(*state);
    free(*state);
    return 0;
}

static struct hand *begin(const char *path)
{
    struct hand *hand;
    assert_int_equal(hand_open(path, &hand), 0);
    return hand;
}

/* Dies at this packet of batch 'seq' of worker 1. */
static void die_at(const char *path, int64_t seq, uint64_t packet)
{
    struct hand *hand = begin(path);
    volatile struct hand_watch *watch = hand_watch(hand);
    watch->batch[1].epoch = stream.epoch;
    watch->batch[1].seq = seq;
    watch->packet = packet;
    watch->worker = 1;
    hand_close(hand, false);
}

static void die_idle(const char *path)
{
    hand_close(begin(path), false);
}

static bool is_poison(const char *path, int64_t seq)
{
    struct hand *hand = begin(path);
    bool is = hand_is_poison(hand, 1, &stream, seq);
    assert_false(hand_is_poison(hand, 0, &stream, seq));
    hand_close(hand, false);
    return is;
}

static void test_the_first_has_no_predecessor_and_no_poison(void **state)
{
    struct hand *hand = begin(*state);
    assert_int_equal(hand_predecessor(hand), 0);
    assert_false(hand_is_poison(hand, 0, &stream, 0));
    hand_close(hand, false);
}

static void test_a_predecessor_is_one_that_has_committed(void **state)
{
    struct hand *hand = begin(*state);
    hand_note_committed(hand, 5);
    hand_close(hand, false);
    die_idle(*state); /* before it commits: not heard of */
    hand = begin(*state);
    assert_int_equal(hand_predecessor(hand), 5);
    hand_close(hand, true);
    assert_int_not_equal(access(*state, F_OK), 0);
}

static void test_a_batch_is_poison_after_two_deaths_at_one_packet(void **state)
{
    die_at(*state, 3, 40);
    assert_false(is_poison(*state, 3));
    die_at(*state, 3, 40);
    die_at(*state, 3, 40);
    assert_true(is_poison(*state, 3));
    assert_false(is_poison(*state, 4));
    assert_true(is_poison(*state, 3)); /* until somebody dies elsewhere */
    die_at(*state, 9, 1);
    assert_false(is_poison(*state, 3));
}

static void test_deaths_at_other_packets_or_between_packets_accuse_nobody(void **state)
{
    die_at(*state, 3, 40);
    die_at(*state, 3, 41);
    die_at(*state, 4, 41);
    assert_false(is_poison(*state, 3));
    die_at(*state, 3, 40);
    die_idle(*state);
    die_idle(*state);
    die_at(*state, 3, 40);
    assert_false(is_poison(*state, 3) || is_poison(*state, 4));
}

static void test_a_page_that_is_none_of_ours_counts_as_none(void **state)
{
    FILE *file = fopen(*state, "wb");
    assert_non_null(file);
    for (int i = 0; i < 4000; i++)
        putc(0xff, file);
    fclose(file);
    test_the_first_has_no_predecessor_and_no_poison(state);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        CASE(test_the_first_has_no_predecessor_and_no_poison),
        CASE(test_a_predecessor_is_one_that_has_committed),
        CASE(test_a_batch_is_poison_after_two_deaths_at_one_packet),
        CASE(test_deaths_at_other_packets_or_between_packets_accuse_nobody),
        CASE(test_a_page_that_is_none_of_ours_counts_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
