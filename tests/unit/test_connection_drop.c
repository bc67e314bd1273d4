/* The end of a table: its connections go one after the other, and none comes any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tracker/connection_table.h"

enum { N = 100 };

static struct tuple tuple_of(unsigned number)
{
    return (struct tuple){.protocol = 6,
                          .ip_version = number % 3 ? 4 : 6,
                          .has_ports = 1,
                          .low_port = (uint16_t)(1000 + number)};
}

static struct connection *find(struct connection_table *table, unsigned number)
{
    struct tuple tuple = tuple_of(number);
    return connection_table_find(table, &tuple, connection_table_hash(table, &tuple));
}

static struct connection_table *filled_table(void)
{
    struct connection_limits limits = {.connections_max = N};
    struct connection_table *table;
    assert_int_equal(connection_table_create(&limits, &table), 0);
    for (unsigned i = 0; i < N; i++) {
        struct tuple tuple = tuple_of(i);
        struct connection *connection =
            connection_table_add(table, &tuple, connection_table_hash(table, &tuple));
        assert_non_null(connection);
        connection->expires_ns = 100;
        connection_table_set_timer(table, connection);
    }
    return table;
}

/* Others may be removed meanwhile, as calls are with their control connection. */
static void test_what_is_dropped_is_neither_found_nor_due(void **state)
{
    (void)state;
    struct connection_table *table = filled_table();
    for (unsigned i = 0; i < N; i++) {
        struct connection *connection = find(table, i);
        assert_non_null(connection);
        if (i % 7 == 3)
            connection_table_remove(table, connection);
        else
            connection_table_drop(table, connection);
        assert_null(find(table, i));
        assert_int_equal(connection_table_count(table), N - 1 - i);
    }
    assert_null(connection_table_next(table, NULL));
    assert_null(connection_table_due(table, 200));
    connection_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_dropped_is_neither_found_nor_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
