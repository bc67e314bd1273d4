/* Both ends of a stream without a socket: whatever the wire repeats, drops or delays, each batch is
 * applied once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/stream.h"

enum { EPOCH = 7 };

static void push(struct sender *sender, int64_t number)
{
    uint8_t *bytes = malloc(sizeof number);
    assert_non_null(bytes);
    memcpy(bytes, &number, sizeof number);
    assert_int_equal(sender_push(sender, bytes, sizeof number, true), 0);
}

static int64_t number_of(const uint8_t *bytes, size_t size)
{
    int64_t number;
    assert_int_equal(size, sizeof number);
    memcpy(&number, bytes, sizeof number);
    return number;
}

static void test_nothing_is_sent_before_the_welcome(void **state)
{
    (void)state;
    struct sender sender;
    assert_int_equal(sender_init(&sender, 100), 0);
    push(&sender, 0);
    assert_null(sender_next(&sender));
    sender_rewind(&sender, 0);
    assert_non_null(sender_next(&sender));
    sender_deinit(&sender);
}

static void test_a_sender_has_room_again_when_batches_are_committed(void **state)
{
    (void)state;
    struct sender sender;
    assert_int_equal(sender_init(&sender, 3 * sizeof(int64_t)), 0);
    for (int64_t i = 0; i < 3; i++) {
        assert_true(sender_has_room(&sender));
        push(&sender, i);
    }
    assert_false(sender_has_room(&sender));
    sender_commit(&sender, 0);
    assert_true(sender_has_room(&sender));
    sender_commit(&sender, 2);
    assert_true(sender_is_empty(&sender));
    sender_deinit(&sender);
}

static void test_a_duplicate_is_not_applied_twice(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    receiver_hello(&receiver, EPOCH, -1);
    assert_int_equal(receiver_accept(&receiver, EPOCH, 0), RECEIVER_APPLY);
    assert_int_equal(receiver_accept(&receiver, EPOCH, 0), RECEIVER_DUPLICATE);
    assert_int_equal(receiver_accept(&receiver, EPOCH, 1), RECEIVER_APPLY);
}

static void test_a_gap_is_not_applied(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    receiver_hello(&receiver, EPOCH, -1);
    assert_int_equal(receiver_accept(&receiver, EPOCH, 1), RECEIVER_GAP);
    assert_int_equal(receiver.next_seq, 0);
}

static void test_an_epoch_that_no_hello_announced_is_refused(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    assert_int_equal(receiver_accept(&receiver, EPOCH, 0), RECEIVER_FOREIGN);
    receiver_hello(&receiver, EPOCH, -1);
    assert_int_equal(receiver_accept(&receiver, EPOCH + 1, 0), RECEIVER_FOREIGN);
}

static void test_a_known_epoch_goes_on_where_it_was_after_another_hello(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    receiver_hello(&receiver, EPOCH, -1);
    assert_int_equal(receiver_accept(&receiver, EPOCH, 0), RECEIVER_APPLY);
    receiver_hello(&receiver, EPOCH, -1);
    assert_int_equal(receiver.next_seq, 1);
    receiver_hello(&receiver, EPOCH + 1, 41);
    assert_int_equal(receiver.next_seq, 42);
}

/* One end-to-end run: a wire that loses, repeats and delays; a receiver that commits now and then;
 * reconnects. */
static void run_over_a_bad_wire(unsigned seed, int64_t n_batches)
{
    srand(seed);
    struct sender sender;
    struct receiver receiver = {0};
    assert_int_equal(sender_init(&sender, 50 * sizeof(int64_t)), 0);
    receiver_hello(&receiver, EPOCH, -1);
    sender_rewind(&sender, receiver.next_seq);
    int64_t n_applied = 0;
    int64_t pushed = 0;
    while (receiver.committed_seq < n_batches - 1) {
        while (pushed < n_batches && sender_has_room(&sender))
            push(&sender, pushed++);
        const struct sender_slot *slot = sender_next(&sender);
        if (slot) {
            int64_t seq = sender.send_seq;
            int64_t number = number_of(slot->bytes, slot->size);
            assert_int_equal(number, seq);
            sender_sent(&sender);
            int repeats = rand() % 8 == 0 ? 0 : 1 + rand() % 2;
            for (int i = 0; i < repeats; i++) {
                enum receiver_verdict verdict = receiver_accept(&receiver, EPOCH, seq);
                if (verdict == RECEIVER_APPLY)
                    assert_int_equal(number, n_applied++);
                if (verdict == RECEIVER_GAP)
                    sender_rewind(&sender, receiver.next_seq);
            }
        } else {
            sender_rewind(&sender,
                          receiver.next_seq); /* the last one was lost: the next hello tells */
        }
        if (rand() % 4 == 0) {
            receiver.committed_seq = receiver.next_seq - 1;
            sender_commit(&sender, receiver.committed_seq);
        }
    }
    assert_int_equal(n_applied, n_batches);
    sender_commit(&sender, n_batches - 1);
    assert_true(sender_is_empty(&sender));
    assert_int_equal(sender.held_bytes, 0);
    sender_deinit(&sender);
}

static void test_over_any_wire_each_batch_is_applied_once_and_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++)
        run_over_a_bad_wire(seed, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_sent_before_the_welcome),
        cmocka_unit_test(test_a_sender_has_room_again_when_batches_are_committed),
        cmocka_unit_test(test_a_duplicate_is_not_applied_twice),
        cmocka_unit_test(test_a_gap_is_not_applied),
        cmocka_unit_test(test_an_epoch_that_no_hello_announced_is_refused),
        cmocka_unit_test(test_a_known_epoch_goes_on_where_it_was_after_another_hello),
        cmocka_unit_test(test_over_any_wire_each_batch_is_applied_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
