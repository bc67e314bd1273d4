/* Copies of packets: against a model that remembers everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tracker/duplicate.h"

static void test_a_copy_is_one_within_the_window_after_the_first(void **state)
{
    (void)state;
    struct duplicate_table *duplicates;
    assert_int_equal(duplicate_table_create(100, &duplicates), 0);
    assert_false(duplicate_table_has(duplicates, 7, 1000));
    assert_true(duplicate_table_has(duplicates, 7, 1000));
    assert_true(duplicate_table_has(duplicates, 7, 1100));
    assert_false(duplicate_table_has(duplicates, 8, 1100));
    assert_false(duplicate_table_has(duplicates, 7, 1101)); /* after the first, not the last */
    assert_true(duplicate_table_has(duplicates, 7, 1201));
    duplicate_table_destroy(duplicates);
}

/* Another process goes on. */
static void hand_over(struct duplicate_table **duplicates, int64_t window_ns)
{
    struct memory memory = {0};
    duplicate_table_write(*duplicates, &memory);
    duplicate_table_destroy(*duplicates);
    assert_int_equal(duplicate_table_create(window_ns, duplicates), 0);
    struct memory_reader reader = {memory.bytes, memory.size};
    assert_true(duplicate_table_read(*duplicates, &reader));
    assert_true(memory_is_over(&reader));
    for (size_t size = 0; size < memory.size && size < 100; size++)
        assert_false(
            duplicate_table_read(*duplicates, &(struct memory_reader){memory.bytes, size}));
    memory_deinit(&memory);
}

static void test_it_says_what_remembering_everything_says(void **state)
{
    (void)state;
    enum { KINDS = 5000, PACKETS = 400000 };
    static int64_t first_ns[KINDS];
    for (int64_t window_ns = 1; window_ns < 100000; window_ns *= 10) {
        struct duplicate_table *duplicates;
        int64_t clock_ns = -1000;
        unsigned n_copies = 0;
        assert_int_equal(duplicate_table_create(window_ns, &duplicates), 0);
        for (unsigned i = 0; i < KINDS; i++)
            first_ns[i] = INT64_MIN;
        for (unsigned i = 0; i < PACKETS; i++) {
            unsigned kind = (unsigned)rand() % KINDS;
            clock_ns += rand() % 1000 == 0 ? 3 * window_ns : rand() % 3;
            bool is_copy = first_ns[kind] != INT64_MIN && clock_ns - first_ns[kind] <= window_ns;
            if (!is_copy)
                first_ns[kind] = clock_ns;
            n_copies += is_copy;
            if (rand() % 20000 == 0)
                hand_over(&duplicates, window_ns);
            assert_int_equal(duplicate_table_has(
                                 duplicates, (kind + 1) * UINT64_C(0x9e3779b97f4a7c15), clock_ns),
                             is_copy);
        }
        assert_true(window_ns < 1000 || n_copies > 1000);
        duplicate_table_destroy(duplicates);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_one_within_the_window_after_the_first),
        cmocka_unit_test(test_it_says_what_remembering_everything_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
