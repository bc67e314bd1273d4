/* timer_wheel, by the table: instants about the boundaries of its ticks and of what an entry keeps
 * of them. Random times against a model are in test_connection_table.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/connection_slab.h"
#include "tracker/connection_table/timer_wheel.h"

static const int64_t TICK = 4096, HORIZON = INT64_C(4096) << 30;

static struct connection *add(struct connection_table *table, uint16_t port)
{
    struct tuple tuple = {.protocol = 6, .ip_version = 4, .has_ports = 1, .low_port = port};
    return connection_table_add(table, &tuple, connection_table_hash(table, &tuple));
}

static void set(struct connection_table *table, struct connection *connection, int64_t at_ns)
{
    connection->expires_ns = at_ns;
    connection_table_set_timer(table, connection);
}

/* Set at 'now_ns', it is due at 'at_ns' and not before. */
static void assert_exact(int64_t now_ns, int64_t at_ns)
{
    struct connection_limits limits = {.connections_max = 4};
    struct connection_table *table;
    assert_int_equal(connection_table_create(&limits, &table), 0);
    struct connection *connection = add(table, 1), *moved = add(table, 2), *late = add(table, 3);
    assert_null(connection_table_due(table, now_ns));
    set(table, connection, at_ns);
    set(table, moved, at_ns - 1);
    set(table, moved, at_ns + 1);
    set(table, late, at_ns + 2);
    assert_null(connection_table_due(table, at_ns - 1));
    assert_ptr_equal(connection_table_due(table, at_ns), connection);
    set(table, connection, INT64_MAX);
    assert_null(connection_table_due(table, at_ns));
    set(table, late, at_ns + 1); /* earlier, in the tick under way as a rule */
    struct connection *first = connection_table_due(table, at_ns + 1);
    assert_true(first == moved || first == late);
    connection_table_remove(table, first);
    struct connection *second = connection_table_due(table, at_ns + 1);
    assert_ptr_equal(second, first == moved ? late : moved);
    connection_table_remove(table, second);
    assert_null(connection_table_due(table, INT64_MAX - 1));
    connection_table_destroy(table);
}

static void test_timers_are_exact_about_every_boundary(void **state)
{
    (void)state;
    for (unsigned bit = 13; bit < 62; bit++) {
        const int64_t boundary = INT64_C(1) << bit;
        const int64_t offsets[] = {-TICK - 1, -TICK, -TICK + 1, -2, -1, 0, 1, TICK - 1, TICK};
        const int64_t leads[] = {1,           2,       TICK,           1000000000,
                                 HORIZON - 1, HORIZON, HORIZON + TICK, 4 * HORIZON};
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
            for (size_t j = 0; j < sizeof leads / sizeof leads[0]; j++) {
                assert_exact(boundary + offsets[i] - leads[j], boundary + offsets[i]);
                assert_exact(-boundary + offsets[i] - leads[j], -boundary + offsets[i]);
            }
    }
}

/* Asked every hour: further ahead than references go, and each is moved on when it is passed. */
static void test_a_timer_of_a_hundred_days_is_exact(void **state)
{
    (void)state;
    const int64_t hour_ns = INT64_C(3600) * 1000000000, start_ns = INT64_C(1700000000) * 1000000000;
    struct connection_limits limits = {.connections_max = 2};
    struct connection_table *table;
    assert_int_equal(connection_table_create(&limits, &table), 0);
    struct connection *connection = add(table, 1);
    assert_null(connection_table_due(table, start_ns));
    set(table, connection, start_ns + 2400 * hour_ns + 12345);
    for (int64_t hour = 1; hour <= 2400; hour++)
        assert_null(connection_table_due(table, start_ns + hour * hour_ns));
    assert_null(connection_table_due(table, start_ns + 2400 * hour_ns + 12344));
    assert_ptr_equal(connection_table_due(table, start_ns + 2400 * hour_ns + 12345), connection);
    connection_table_destroy(table);
}

static void test_what_is_not_due_yet_in_the_tick_under_way_is_not_looked_for(void **state)
{
    (void)state;
    struct connection_limits limits = {.connections_max = 2};
    struct connection_table *table;
    assert_int_equal(connection_table_create(&limits, &table), 0);
    struct connection *connection = add(table, 1);
    assert_null(connection_table_due(table, 10 * TICK));
    set(table, connection, 11 * TICK + 1000);
    assert_null(connection_table_due(table, 11 * TICK + 10));
    assert_false(connection_table_may_be_due(table, 11 * TICK + 999));
    assert_true(connection_table_may_be_due(table, 11 * TICK + 1000));
    set(table, connection, 11 * TICK + 500);
    assert_false(connection_table_may_be_due(table, 11 * TICK + 499));
    assert_true(connection_table_may_be_due(table, 11 * TICK + 500));
    assert_ptr_equal(connection_table_due(table, 11 * TICK + 500), connection);
    connection_table_destroy(table);
}

/* As TCP's: 120 s for its SYN, 60 for the answer, 30 for the last ACK. */
static void test_a_new_connection_s_timer_that_becomes_earlier_has_one_reference(void **state)
{
    (void)state;
    static const uint8_t key[16];
    const int64_t second_ns = 1000000000, start_ns = INT64_C(1700000000) * second_ns;
    const int64_t timers_s[] = {120, 2 + 60, 10 + 30};
    struct connection_slab slab;
    struct timer_wheel wheel;
    assert_int_equal(connection_slab_init(&slab, 1, key), 0);
    assert_int_equal(timer_wheel_init(&wheel, &slab), 0);
    assert_null(timer_wheel_due(&wheel, start_ns));
    struct connection *connection = &slab.entries[connection_slab_take(&slab, false)];
    connection->interim_ns = INT64_MAX;
    for (size_t i = 0; i < sizeof timers_s / sizeof timers_s[0]; i++) {
        connection->expires_ns = start_ns + timers_s[i] * second_ns;
        timer_wheel_set(&wheel, connection);
        assert_int_equal(wheel.n_references, 1);
    }
    assert_null(timer_wheel_due(&wheel, start_ns + 40 * second_ns - 1));
    assert_int_equal(wheel.n_references, 1);
    assert_ptr_equal(timer_wheel_due(&wheel, start_ns + 40 * second_ns), connection);
    timer_wheel_deinit(&wheel);
    connection_slab_deinit(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_are_exact_about_every_boundary),
        cmocka_unit_test(test_a_timer_of_a_hundred_days_is_exact),
        cmocka_unit_test(test_what_is_not_due_yet_in_the_tick_under_way_is_not_looked_for),
        cmocka_unit_test(test_a_new_connection_s_timer_that_becomes_earlier_has_one_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
