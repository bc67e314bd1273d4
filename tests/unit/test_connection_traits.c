/* What the table keeps apart from the entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/connection_table.h"

/* More values than have numbers: each connection has its own all the same. */
static void test_traits_are_kept_however_many_values_there_are(void **state)
{
    (void)state;
    enum { N = 70000 };
    struct connection_table *table;
    struct connection_limits limits = {.connections_max = N};
    assert_int_equal(connection_table_create(&limits, &table), 0);
    struct connection_traits traits = {.labels = {1}, .policy = 7};
    struct connection *connection = NULL;
    for (uint32_t i = 0; i < N; i++) {
        struct tuple tuple = {.protocol = 6, .ip_version = 4, .zone = (uint16_t)i};
        tuple.low_address[0] = (uint8_t)(i >> 16);
        connection = connection_table_add(table, &tuple, connection_table_hash(table, &tuple));
        assert_int_equal(connection_table_traits(table, connection)->mark, 0);
        traits.mark = i;
        connection_table_set_traits(table, connection, &traits);
        connection->first_ns = i;
    }
    connection = NULL;
    while ((connection = connection_table_next(table, connection)) != NULL) {
        traits.mark = (uint32_t)connection->first_ns;
        assert_memory_equal(connection_table_traits(table, connection), &traits, sizeof traits);
        if (connection->first_ns == N - 1)
            assert_int_equal(connection->traits, TRAITS_OWN);
        connection_table_set_traits(table, connection, &(struct connection_traits){0});
        assert_int_equal(connection->traits, TRAITS_NONE);
    }
    connection_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traits_are_kept_however_many_values_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
