/* The table against a model so simple that it is right by sight: an array with a flag and a time
 * for each of a few tuples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tracker/connection_table.h"

enum { UNIVERSE = 1200 };

struct model {
    struct connection *connection; /* NULL: not in the table */
    int64_t timer_ns;              /* INT64_MAX: none */
};

struct world {
    struct connection *near; /* what was found last */
    struct connection_table *table;
    struct model model[UNIVERSE];
    struct tuple tuples[UNIVERSE];
    size_t connections_max;
    size_t count;
    int64_t now_ns;
    uint64_t random;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct tuple tuple_of(unsigned number)
{
    struct tuple tuple = {.protocol = 6, .has_ports = 1, .ip_version = number % 3 ? 4 : 6};
    tuple.low_address[0] = 10;
    tuple.low_address[number % 3 ? 3 : 15] = (uint8_t)number;
    tuple.high_address[0] = 192;
    tuple.low_port = (uint16_t)(1024 + number / 256);
    tuple.high_port = 443;
    tuple.zone = (uint16_t)(number % 2);
    return tuple;
}

static uint64_t hash_of(const struct world *world, unsigned number)
{
    return connection_table_hash(world->table, &world->tuples[number]);
}

/* Bits that the hashes of a world's tuples do not have: 256 tags, and chains of many buckets that
 * splits by bits 6 to 9 take apart; one chain that no split takes apart. */
static const uint64_t none = 0, tags_and_low_bits = UINT64_C(0xff) << 48 | 0x3c,
                      all_low_bits = 0x3ff;

static struct tuple colliding_tuple(const struct connection_table *table, unsigned number,
                                    uint64_t bits)
{
    struct tuple tuple = tuple_of(number);
    for (uint32_t n = 0; connection_table_hash(table, &tuple) & bits; n++)
        memcpy(tuple.high_address, &n, 3);
    return tuple;
}

static struct connection *find(struct world *world, unsigned number)
{
    const struct tuple *tuple = &world->tuples[number];
    uint64_t hash = hash_of(world, number);
    connection_table_prefetch(world->table, hash);
    struct connection *near = connection_table_prefetch_entry(world->table, tuple, hash);
    struct connection *found = connection_table_find(world->table, tuple, hash);
    assert_ptr_equal(connection_table_find_near(world->table, tuple, hash, near), found);
    /* Of another time and another tuple: what is there now does not matter. */
    assert_ptr_equal(connection_table_find_near(world->table, tuple, hash, world->near), found);
    world->near = near;
    return found;
}

/* 'bits': that no tuple's hash has. */
static void world_open(struct world *world, size_t connections_max, uint64_t seed, uint64_t bits)
{
    *world = (struct world){.connections_max = connections_max, .random = seed};
    struct connection_limits limits = {.connections_max = connections_max,
                                       .hash_key = "0123456789"};
    assert_int_equal(connection_table_create(&limits, &world->table), 0);
    for (unsigned i = 0; i < UNIVERSE; i++) {
        world->model[i].timer_ns = INT64_MAX;
        world->tuples[i] = colliding_tuple(world->table, i, bits);
    }
    world->now_ns = (int64_t)(random_next(&world->random) >> 2);
}

static unsigned number_of(const struct connection *connection)
{
    return (unsigned)connection->first_ns;
}

static void do_add(struct world *world, unsigned number)
{
    const struct tuple *tuple = &world->tuples[number];
    struct connection *connection =
        connection_table_add(world->table, tuple, hash_of(world, number));
    if (world->count == world->connections_max) {
        assert_null(connection);
        return;
    }
    assert_non_null(connection);
    struct connection expected = {.tuple = connection->tuple,
                                  .expires_ns = INT64_MAX,
                                  .interim_ns = INT64_MAX,
                                  .filed = connection->filed,
                                  .opened = connection->opened};
    assert_memory_equal(connection, &expected, sizeof(expected));
    struct tuple kept;
    connection_table_tuple(world->table, connection, &kept);
    assert_memory_equal(&kept, tuple, sizeof kept);
    connection->first_ns = number;
    world->model[number] = (struct model){connection, INT64_MAX};
    world->count++;
}

static void do_remove(struct world *world, unsigned number)
{
    connection_table_remove(world->table, world->model[number].connection);
    world->model[number] = (struct model){NULL, INT64_MAX};
    world->count--;
}

/* From the past over nanoseconds to centuries. */
static int64_t random_time(struct world *world)
{
    uint64_t kind = random_next(&world->random);
    if (kind % 97 == 0)
        return INT64_MIN;
    if (kind % 97 == 1)
        return INT64_MAX;
    int64_t span = (int64_t)(random_next(&world->random) >> (2 + kind % 61));
    int64_t at_ns;
    if (__builtin_add_overflow(world->now_ns, kind % 7 ? span : -span, &at_ns))
        at_ns = INT64_MAX;
    return at_ns;
}

/* Due for its end or for a record: it does not matter which. */
static void set_timer(struct world *world, struct connection *connection, int64_t at_ns)
{
    bool is_interim = at_ns & 1;
    connection->expires_ns = is_interim ? INT64_MAX : at_ns;
    connection->interim_ns = is_interim ? at_ns : INT64_MAX;
    connection_table_set_timer(world->table, connection);
}

static void do_set_timer(struct world *world, unsigned number)
{
    int64_t at_ns = random_time(world);
    set_timer(world, world->model[number].connection, at_ns);
    world->model[number].timer_ns = at_ns;
}

/* Gives exactly those that the model says are due, each once, and a timer set meanwhile too. */
static void do_time(struct world *world)
{
    int64_t at_ns = random_time(world);
    if (at_ns > world->now_ns && (at_ns < INT64_MAX / 2 || world->random % 512 == 0))
        world->now_ns = at_ns;
    struct connection *connection;
    while ((connection = connection_table_due(world->table, world->now_ns)) != NULL) {
        unsigned number = number_of(connection);
        assert_ptr_equal(world->model[number].connection, connection);
        assert_true(world->model[number].timer_ns <= world->now_ns);
        connection->expires_ns = connection->interim_ns = INT64_MAX;
        world->model[number].timer_ns = INT64_MAX;
        uint64_t then = random_next(&world->random) % 3;
        if (then == 0)
            do_remove(world, number);
        else if (then == 1 && world->now_ns < INT64_MAX)
            do_set_timer(world, number);
    }
    for (unsigned i = 0; i < UNIVERSE; i++)
        assert_true(world->model[i].timer_ns > world->now_ns ||
                    world->model[i].timer_ns == INT64_MAX);
}

static void do_any(struct world *world)
{
    uint64_t choice = random_next(&world->random);
    unsigned number = (unsigned)(choice >> 32) % UNIVERSE;
    struct connection *connection = find(world, number);
    assert_ptr_equal(connection, world->model[number].connection);
    assert_int_equal(connection_table_count(world->table), world->count);
    if (choice % 64 == 0)
        do_time(world);
    else if (connection == NULL)
        do_add(world, number);
    else if (choice % 4 == 0)
        do_remove(world, number);
    else
        do_set_timer(world, number);
}

static void assert_next_gives_each_once(struct world *world)
{
    size_t n = 0;
    struct connection *connection = NULL;
    while ((connection = connection_table_next(world->table, connection)) != NULL) {
        assert_ptr_equal(world->model[number_of(connection)].connection, connection);
        n++;
    }
    assert_int_equal(n, world->count);
}

static void run_random(size_t connections_max, unsigned n_operations, uint64_t bits)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world world;
        world_open(&world, connections_max, seed * 0x9e3779b97f4a7c15, bits);
        for (unsigned i = 0; i < n_operations; i++) {
            do_any(&world);
            if (i % 8192 == 0)
                assert_next_gives_each_once(&world);
        }
        assert_next_gives_each_once(&world);
        connection_table_destroy(world.table);
    }
}

static void test_random_operations_agree_with_the_model(void **state)
{
    (void)state;
    run_random(UNIVERSE, 200000, none);
}

static void test_random_operations_agree_when_tags_and_buckets_collide(void **state)
{
    (void)state;
    run_random(UNIVERSE, 60000, tags_and_low_bits);
    run_random(UNIVERSE, 20000, all_low_bits);
}

static void test_random_operations_agree_when_the_table_is_often_full(void **state)
{
    (void)state;
    run_random(100, 100000, none);
    run_random(1, 20000, none);
}

/* Who knew the key could send tuples that all fall into one chain. The chain has an end; and with
 * another key they are spread as any others are. */
static void
test_a_flood_that_collides_under_one_key_is_bounded_and_harmless_under_another(void **state)
{
    (void)state;
    enum { FLOOD = 3000, LOW_BITS = 1023, ENTRIES_OF_A_CHAIN = 1280 };
    struct connection_table *known, *secret;
    struct connection_limits limits = {.connections_max = 8192, .hash_key = "known"};
    assert_int_equal(connection_table_create(&limits, &known), 0);
    randombytes_buf(limits.hash_key, sizeof limits.hash_key);
    assert_int_equal(connection_table_create(&limits, &secret), 0);
    size_t n_taken = 0;
    for (uint32_t n = 0, n_sent = 0; n_sent < FLOOD; n++) {
        struct tuple tuple = {.protocol = 6, .has_ports = 1, .ip_version = 4};
        memcpy(tuple.low_address, &n, sizeof n);
        uint64_t hash = connection_table_hash(known, &tuple);
        if (hash & LOW_BITS)
            continue;
        n_sent++;
        n_taken += connection_table_add(known, &tuple, hash) != NULL;
        assert_non_null(
            connection_table_add(secret, &tuple, connection_table_hash(secret, &tuple)));
    }
    assert_int_equal(n_taken, ENTRIES_OF_A_CHAIN);
    assert_int_equal(connection_table_chain_max(known), 128);
    assert_true(connection_table_chain_max(secret) <= 4);
    connection_table_destroy(known);
    connection_table_destroy(secret);
}

static void test_a_removed_place_can_be_taken_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2, 7, none);
    do_add(&world, 1);
    do_add(&world, 2);
    do_add(&world, 3); /* full: asserts NULL */
    do_remove(&world, 1);
    do_add(&world, 3);
    assert_null(find(&world, 1));
    assert_non_null(find(&world, 2));
    assert_non_null(find(&world, 3));
    connection_table_destroy(world.table);
}

static void test_a_removed_connections_timer_is_not_its_successors(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1, 7, none);
    do_add(&world, 1);
    set_timer(&world, find(&world, 1), 100);
    do_remove(&world, 1);
    do_add(&world, 2);
    assert_null(connection_table_due(world.table, 150));
    set_timer(&world, find(&world, 2), 200);
    assert_null(connection_table_due(world.table, 199));
    assert_ptr_equal(connection_table_due(world.table, 200), find(&world, 2));
    connection_table_destroy(world.table);
}

static void test_timers_set_earlier_again_and_again_do_not_fill_the_wheel(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1, 7, none);
    do_add(&world, 1);
    struct connection *connection = find(&world, 1);
    for (int64_t now_ns = 1; now_ns < 1000000; now_ns++) {
        set_timer(&world, connection, INT64_MAX - now_ns);
        set_timer(&world, connection, now_ns);
        assert_ptr_equal(connection_table_due(world.table, now_ns), connection);
        assert_null(connection_table_due(world.table, now_ns));
    }
    connection_table_destroy(world.table);
}

static void test_centuries_without_timers_pass_at_once(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 10, 7, none);
    do_add(&world, 1);
    struct connection *connection = find(&world, 1);
    for (int64_t now_ns = INT64_MIN + 1; now_ns < INT64_MAX / 2; now_ns += INT64_MAX / 100000) {
        set_timer(&world, connection, now_ns + 3000000000);
        assert_null(connection_table_due(world.table, now_ns + 2999999999));
        assert_ptr_equal(connection_table_due(world.table, now_ns + 3000000000), connection);
    }
    connection_table_destroy(world.table);
}

static void test_what_few_connections_have_goes_with_them(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 4, 7, none);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            do_add(&world, i);
            struct connection *connection = find(&world, i);
            assert_null(connection->extra);
            struct connection_extra *extra = connection_table_extra(world.table, connection);
            assert_int_equal(extra->master_id, 0);
            extra->master_id = i + 1;
            assert_ptr_equal(connection_table_extra(world.table, connection), extra);
        }
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(find(&world, i)->extra->master_id, i + 1);
        for (unsigned i = 0; i < 4; i++)
            do_remove(&world, i);
    }
    connection_table_destroy(world.table);
}

static void test_the_victim_never_became_assured_and_each_in_turn(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 16, 7, none);
    assert_null(connection_table_victim(world.table));
    for (unsigned i = 0; i < 16; i++) {
        do_add(&world, i);
        find(&world, i)->status = i % 4 ? STATUS_ASSURED : STATUS_SEEN_REPLY;
    }
    for (unsigned i = 0; i < 12; i++)
        assert_ptr_equal(connection_table_victim(world.table), find(&world, i % 4 * 4));
    for (unsigned i = 0; i < 16; i += 4)
        do_remove(&world, i);
    assert_null(connection_table_victim(world.table));
    connection_table_destroy(world.table);
}

static void test_every_field_of_a_tuple_counts(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 10, 7, none);
    enum { UNUSED_BITS = 3 };
    struct tuple v4 = tuple_of(1), v6 = tuple_of(3);
    for (size_t i = 0; i < sizeof(struct tuple) * 8 - UNUSED_BITS; i++) {
        struct tuple flipped = v6;
        ((uint8_t *)&flipped)[i / 8] ^= (uint8_t)(1 << i % 8);
        if (flipped.ip_version != 4)
            assert_true(connection_table_hash(world.table, &flipped) !=
                        connection_table_hash(world.table, &v6));
        size_t at = i / 8;
        if ((at >= 4 && at < 16) || (at >= 20 && at < 32))
            continue; /* IPv4: unused, 0 */
        flipped = v4;
        ((uint8_t *)&flipped)[at] ^= (uint8_t)(1 << i % 8);
        assert_true(connection_table_hash(world.table, &flipped) !=
                    connection_table_hash(world.table, &v4));
    }
    connection_table_destroy(world.table);
}

static void test_another_key_gives_another_hash(void **state)
{
    (void)state;
    struct world a, b;
    world_open(&a, 1, 7, none);
    struct connection_limits limits = {.connections_max = 1, .hash_key = "0123456788"};
    assert_int_equal(connection_table_create(&limits, &b.table), 0);
    assert_true(hash_of(&a, 5) != hash_of(&b, 5));
    connection_table_destroy(a.table);
    connection_table_destroy(b.table);
}

/* Tuples that differ in little, as those of real traffic do: neither the bits that choose a bucket
 * nor those of the tag are alike more often than by chance. */
static void test_hashes_of_near_tuples_are_spread_evenly(void **state)
{
    (void)state;
    enum { N_TUPLES = 1 << 16, N_PLACES = 1 << 12, MEAN = N_TUPLES / N_PLACES };
    struct connection_limits limits = {.connections_max = 1, .hash_key = "0123456789abcde"};
    struct connection_table *table;
    assert_int_equal(connection_table_create(&limits, &table), 0);
    for (unsigned version = 4; version <= 6; version += 2) {
        static unsigned buckets[N_PLACES], tags[N_PLACES];
        memset(buckets, 0, sizeof buckets);
        memset(tags, 0, sizeof tags);
        for (unsigned i = 0; i < N_TUPLES; i++) {
            struct tuple tuple = {.ip_version = version & 15u, .protocol = 6, .has_ports = 1};
            size_t last = version == 4 ? 3 : 15;
            tuple.low_address[last] = (uint8_t)i;
            tuple.high_address[last] = (uint8_t)(i >> 8 & 0xf);
            tuple.low_port = (uint16_t)(1024 + (i >> 12));
            tuple.high_port = 443;
            uint64_t hash = connection_table_hash(table, &tuple);
            buckets[hash % N_PLACES]++;
            tags[hash >> 52]++;
        }
        for (unsigned i = 0; i < N_PLACES; i++) /* 8 standard deviations */
            assert_true(buckets[i] < MEAN + 32 && tags[i] < MEAN + 32);
    }
    connection_table_destroy(table);
}

static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident;
}

static void test_a_large_table_costs_address_space_only(void **state)
{
    (void)state;
    struct connection_limits limits = {.connections_max = 64u << 20};
    struct connection_table *table;
    long before = resident_pages();
    assert_int_equal(connection_table_create(&limits, &table), 0);
    assert_int_equal(connection_table_count(table), 0);
    assert_true(resident_pages() - before < 64);
    assert_in_range(connection_table_entry_bytes(), sizeof(struct connection), 192);
    connection_table_destroy(table);
    connection_table_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_agree_with_the_model),
        cmocka_unit_test(test_random_operations_agree_when_tags_and_buckets_collide),
        cmocka_unit_test(test_random_operations_agree_when_the_table_is_often_full),
        cmocka_unit_test(
            test_a_flood_that_collides_under_one_key_is_bounded_and_harmless_under_another),
        cmocka_unit_test(test_a_removed_place_can_be_taken_again),
        cmocka_unit_test(test_a_removed_connections_timer_is_not_its_successors),
        cmocka_unit_test(test_timers_set_earlier_again_and_again_do_not_fill_the_wheel),
        cmocka_unit_test(test_centuries_without_timers_pass_at_once),
        cmocka_unit_test(test_what_few_connections_have_goes_with_them),
        cmocka_unit_test(test_the_victim_never_became_assured_and_each_in_turn),
        cmocka_unit_test(test_every_field_of_a_tuple_counts),
        cmocka_unit_test(test_another_key_gives_another_hash),
        cmocka_unit_test(test_hashes_of_near_tuples_are_spread_evenly),
        cmocka_unit_test(test_a_large_table_costs_address_space_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
