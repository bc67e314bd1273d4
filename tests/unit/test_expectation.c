/* Expectations: what fits, what is in the way, who goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/expectation.h"

enum { EXPECTATIONS_MAX = 8, TIMEOUT = 100 };

static const struct expectation_policy policy = {.expectations_max = 2, .timeout_ns = TIMEOUT};

struct master {
    struct connection connection;
    struct connection_extra extra;
};

struct world {
    struct expectation_table *table;
    struct master masters[EXPECTATIONS_MAX + 1];
};

static int open_world(void **state)
{
    struct world *world = aligned_alloc(_Alignof(struct world), sizeof *world);
    assert_non_null(world);
    memset(world, 0, sizeof *world);
    assert_int_equal(expectation_table_create(EXPECTATIONS_MAX, &world->table), 0);
    for (size_t i = 0; i <= EXPECTATIONS_MAX; i++) {
        world->masters[i].connection.extra = &world->masters[i].extra;
        world->masters[i].connection.expires_ns = INT64_MAX;
    }
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i <= EXPECTATIONS_MAX; i++)
        expectation_table_forget(world->table, &world->masters[i].connection);
    assert_int_equal(expectation_table_count(world->table), 0);
    expectation_table_destroy(world->table);
    free(world);
    return 0;
}

static struct expectation_key key_of(uint8_t source, uint16_t source_port, uint16_t port)
{
    return (struct expectation_key){
        .source_address = {10, 0, 0, source},
        .destination_address = {10, 0, 0, 1},
        .source_port = source_port,
        .destination_port = port,
        .protocol = 6,
        .ip_version = 4,
    };
}

/* From 10.0.0.2, any port, to 10.0.0.1. */
static struct expectation wanted_by(struct world *world, size_t master, uint16_t port)
{
    return (struct expectation){
        .key = key_of(2, 0, port),
        .is_any_port = true,
        .master = &world->masters[master].connection,
    };
}

static enum expectation_result add(struct world *world, size_t master, uint16_t port,
                                   int64_t clock_ns)
{
    struct expectation wanted = wanted_by(world, master, port);
    return expectation_table_add(world->table, &wanted, &policy, clock_ns);
}

static struct expectation *find(struct world *world, uint16_t source_port, uint16_t port,
                                int64_t clock_ns)
{
    struct expectation_key key = key_of(2, source_port, port);
    return expectation_table_find(world->table, &key, clock_ns);
}

static void test_what_the_mask_leaves_open_does_not_matter(void **state)
{
    struct world *world = *state;
    assert_int_equal(add(world, 0, 80, 0), EXPECTATION_ADDED);
    struct expectation *found = find(world, 1234, 80, 0);
    assert_non_null(found);
    assert_ptr_equal(found->master, &world->masters[0].connection);
    assert_ptr_equal(find(world, 4321, 80, 0), found);

    struct expectation_key key = key_of(3, 1234, 80);
    assert_null(expectation_table_find(world->table, &key, 0));
    assert_null(find(world, 1234, 81, 0));
    key = key_of(2, 1234, 80);
    key.zone = 1;
    assert_null(expectation_table_find(world->table, &key, 0));
    key = key_of(2, 1234, 80);
    key.protocol = 17;
    assert_null(expectation_table_find(world->table, &key, 0));
    key = key_of(2, 1234, 80);
    key.ip_version = 6;
    assert_null(expectation_table_find(world->table, &key, 0));
}

static void test_it_is_over_at_its_time_or_with_its_master(void **state)
{
    struct world *world = *state;
    add(world, 0, 80, 0);
    assert_non_null(find(world, 1, 80, TIMEOUT - 1));
    assert_null(find(world, 1, 80, TIMEOUT));
    world->masters[0].connection.expires_ns = 10;
    assert_non_null(find(world, 1, 80, 9));
    assert_null(find(world, 1, 80, 10));
    expectation_table_forget(world->table, &world->masters[0].connection);
    assert_int_equal(expectation_table_count(world->table), 0);
}

static void test_an_equal_one_begins_its_time_anew(void **state)
{
    struct world *world = *state;
    assert_int_equal(add(world, 0, 80, 0), EXPECTATION_ADDED);
    assert_int_equal(add(world, 0, 80, TIMEOUT - 1), EXPECTATION_ADDED);
    assert_int_equal(expectation_table_count(world->table), 1);
    assert_non_null(find(world, 1, 80, TIMEOUT + 1));
}

static void test_one_too_many_of_a_class_takes_the_place_of_the_oldest(void **state)
{
    struct world *world = *state;
    struct expectation other = wanted_by(world, 0, 79);
    other.class_index = 1;
    expectation_table_add(world->table, &other, &policy, 0);
    for (uint16_t port = 80; port < 83; port++)
        assert_int_equal(add(world, 0, port, 1), EXPECTATION_ADDED);
    assert_null(find(world, 1, 80, 1));
    assert_non_null(find(world, 1, 81, 1));
    assert_non_null(find(world, 1, 82, 1));
    assert_non_null(find(world, 1, 79, 1)); /* of another class */
}

static void test_one_that_could_be_anothers_is_refused(void **state)
{
    struct world *world = *state;
    add(world, 0, 80, 0);
    assert_int_equal(add(world, 1, 80, 0), EXPECTATION_BUSY);
    struct expectation from_anywhere = wanted_by(world, 0, 80);
    from_anywhere.is_any_address = true;
    memset(from_anywhere.key.source_address, 0, 16);
    assert_int_equal(expectation_table_add(world->table, &from_anywhere, &policy, 0),
                     EXPECTATION_BUSY);
    assert_int_equal(expectation_table_counters(world->table)->n_busy, 2);
    /* But not by one that is over. */
    assert_int_equal(add(world, 1, 80, TIMEOUT), EXPECTATION_ADDED);
    assert_int_equal(expectation_table_count(world->table), 1);
}

static void test_one_that_is_shared_is_content_with_anothers(void **state)
{
    struct world *world = *state;
    add(world, 0, 80, 0);
    struct expectation shared = wanted_by(world, 1, 80);
    shared.is_shared = true;
    assert_int_equal(expectation_table_add(world->table, &shared, &policy, 0), EXPECTATION_KNOWN);
    shared.master = &world->masters[0].connection;
    shared.class_index = 1;
    assert_int_equal(expectation_table_add(world->table, &shared, &policy, 0), EXPECTATION_KNOWN);
    assert_int_equal(expectation_table_count(world->table), 1);
}

static void test_a_full_table_takes_no_more_until_something_is_over(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < EXPECTATIONS_MAX; i++)
        assert_int_equal(add(world, i, (uint16_t)(100 + i), (int64_t)i), EXPECTATION_ADDED);
    assert_int_equal(add(world, EXPECTATIONS_MAX, 99, 9), EXPECTATION_FULL);
    assert_int_equal(expectation_table_counters(world->table)->n_full, 1);
    assert_int_equal(add(world, EXPECTATIONS_MAX, 99, TIMEOUT), EXPECTATION_ADDED);
    assert_null(find(world, 1, 100, TIMEOUT));
    assert_non_null(find(world, 1, 99, TIMEOUT));
}

static void test_one_for_a_single_tuple_is_used_up_and_one_for_many_serves_on(void **state)
{
    struct world *world = *state;
    add(world, 0, 80, 0);
    expectation_table_use(world->table, find(world, 1234, 80, 0));
    assert_non_null(find(world, 1235, 80, 0));

    struct expectation single = wanted_by(world, 0, 81);
    single.is_any_port = false;
    single.key.source_port = 7;
    expectation_table_add(world->table, &single, &policy, 0);
    expectation_table_use(world->table, find(world, 7, 81, 0));
    assert_null(find(world, 7, 81, 0));
    single.is_lasting = true;
    expectation_table_add(world->table, &single, &policy, 0);
    expectation_table_use(world->table, find(world, 7, 81, 0));
    assert_non_null(find(world, 7, 81, 0));
    assert_int_equal(expectation_table_counters(world->table)->n_used, 3);
}

static void test_an_inactive_one_fits_nothing_but_is_in_the_way(void **state)
{
    struct world *world = *state;
    struct expectation inactive = wanted_by(world, 0, 80);
    inactive.is_inactive = true;
    expectation_table_add(world->table, &inactive, &policy, 0);
    assert_null(find(world, 1, 80, 0));
    assert_int_equal(add(world, 1, 80, 0), EXPECTATION_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_the_mask_leaves_open_does_not_matter, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(test_it_is_over_at_its_time_or_with_its_master, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(test_an_equal_one_begins_its_time_anew, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(test_one_too_many_of_a_class_takes_the_place_of_the_oldest,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(test_one_that_could_be_anothers_is_refused, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(test_one_that_is_shared_is_content_with_anothers,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(test_a_full_table_takes_no_more_until_something_is_over,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(
            test_one_for_a_single_tuple_is_used_up_and_one_for_many_serves_on, open_world,
            close_world),
        cmocka_unit_test_setup_teardown(test_an_inactive_one_fits_nothing_but_is_in_the_way,
                                        open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
