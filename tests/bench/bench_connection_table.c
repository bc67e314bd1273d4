/* Nanoseconds of the connection table's operations, for tables of several sizes: "name value unit".
 *
 *     bench_connection_table [CONNECTIONS…]
 *
 * Finds go to connections in random order, as a worst case for the caches: one at a time, and in
 * batches with prefetch as the tracker does it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tracker/connection_table.h"

enum { BATCH = 32, FINDS = 4000000, TIMER_SPAN_NS = 120000000 };

static uint64_t random_state = 88172645463325252;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t random_below(size_t n)
{
    return ((random_next() & UINT32_MAX) * n) >> 32;
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void print(const char *what, size_t n_connections, double value, const char *unit)
{
    printf("connection_table_%s_%zu %.1f %s\n", what, n_connections, value, unit);
}

static void print_each(const char *what, size_t n_connections, int64_t begin_ns, size_t n)
{
    print(what, n_connections, (double)(cpu_ns() - begin_ns) / (double)n, "ns");
}

static struct tuple tuple_of(uint64_t number)
{
    struct tuple tuple = {.protocol = 6, .has_ports = 1, .ip_version = 4, .high_port = 443};
    uint32_t low = (uint32_t)(0x0a000000 + number / 16), high = (uint32_t)(number * 2654435761u);
    memcpy(tuple.low_address, &low, 4);
    memcpy(tuple.high_address, &high, 4);
    tuple.low_port = (uint16_t)number;
    return tuple;
}

static volatile uint64_t sink;

static void bench_hash(const struct connection_table *table)
{
    struct tuple v4 = tuple_of(1), v6 = tuple_of(2);
    v6.ip_version = 6;
    uint64_t sum = 0;
    int64_t begin_ns = cpu_ns();
    for (unsigned i = 0; i < FINDS; i++) {
        v4.low_port = (uint16_t)i;
        sum += connection_table_hash(table, &v4);
    }
    print_each("hash_ipv4", 1, begin_ns, FINDS);
    begin_ns = cpu_ns();
    for (unsigned i = 0; i < FINDS; i++) {
        v6.low_port = (uint16_t)i;
        sum += connection_table_hash(table, &v6);
    }
    print_each("hash_ipv6", 1, begin_ns, FINDS);
    sink = sum;
}

static void set_timer(struct connection_table *table, struct connection *connection, int64_t at_ns)
{
    connection->expires_ns = at_ns;
    connection_table_set_timer(table, connection);
}

static void add_all(struct connection_table *table, size_t n)
{
    int64_t begin_ns = cpu_ns();
    for (uint64_t i = 0; i < n; i++) {
        struct tuple tuple = tuple_of(i);
        struct connection *connection =
            connection_table_add(table, &tuple, connection_table_hash(table, &tuple));
        if (connection == NULL)
            abort();
        set_timer(table, connection, (int64_t)(random_next() % TIMER_SPAN_NS));
    }
    print_each("grow", n, begin_ns, n);
}

/* What a packet does once its connection is found: both hot lines and its counters. */
static void touch(struct connection_table *table, struct connection *connection, int64_t now_ns)
{
    if (connection == NULL)
        abort();
    connection->last_ns = now_ns;
    connection->counters[now_ns & 1].packets++;
    set_timer(table, connection, now_ns + TIMER_SPAN_NS);
}

static void bench_find(struct connection_table *table, size_t n)
{
    int64_t begin_ns = cpu_ns();
    for (unsigned i = 0; i < FINDS; i++) {
        struct tuple tuple = tuple_of(random_below(n));
        touch(table, connection_table_find(table, &tuple, connection_table_hash(table, &tuple)), i);
    }
    print_each("find", n, begin_ns, FINDS);
}

static void bench_find_batched(struct connection_table *table, size_t n)
{
    struct tuple tuples[BATCH];
    uint64_t hashes[BATCH];
    int64_t begin_ns = cpu_ns();
    for (unsigned i = 0; i < FINDS; i += BATCH) {
        for (unsigned k = 0; k < BATCH; k++) {
            tuples[k] = tuple_of(random_below(n));
            hashes[k] = connection_table_hash(table, &tuples[k]);
            connection_table_prefetch(table, hashes[k]);
        }
        for (unsigned k = 0; k < BATCH; k++)
            connection_table_prefetch_entry(table, &tuples[k], hashes[k]);
        for (unsigned k = 0; k < BATCH; k++)
            touch(table, connection_table_find(table, &tuples[k], hashes[k]), i + k);
    }
    print_each("find_batched", n, begin_ns, FINDS);
}

/* Removes one at random and adds another, n_connections staying the same. */
static void bench_churn(struct connection_table *table, size_t n)
{
    size_t n_done = 0;
    int64_t begin_ns = cpu_ns();
    for (unsigned i = 0; i < FINDS / 4; i++) {
        struct tuple tuple = tuple_of(random_below(n));
        uint64_t hash = connection_table_hash(table, &tuple);
        struct connection *connection = connection_table_find(table, &tuple, hash);
        if (connection == NULL)
            abort();
        connection_table_remove(table, connection);
        connection = connection_table_add(table, &tuple, hash);
        set_timer(table, connection, (int64_t)i + TIMER_SPAN_NS);
        n_done++;
    }
    print_each("remove_add", n, begin_ns, n_done);
}

/* All timers fire while time goes on by 1 us steps, as with a packet each. */
static void bench_timers(struct connection_table *table, size_t n)
{
    struct connection *connection = NULL;
    while ((connection = connection_table_next(table, connection)) != NULL)
        set_timer(table, connection, (int64_t)(random_next() % TIMER_SPAN_NS));
    size_t n_fired = 0;
    int64_t begin_ns = cpu_ns();
    for (int64_t now_ns = 0; now_ns < TIMER_SPAN_NS; now_ns += 1000) {
        while ((connection = connection_table_due(table, now_ns)) != NULL) {
            connection_table_remove(table, connection);
            n_fired++;
        }
    }
    print_each("expire", n, begin_ns, n_fired);
    if (connection_table_count(table) > n / 1000 + 10)
        abort();
}

static void bench_size(size_t n)
{
    struct connection_limits limits = {.connections_max = 4u << 20, .hash_key = "benchmark"};
    struct connection_table *table;
    if (limits.connections_max < n)
        limits.connections_max = n;
    int64_t begin_ns = cpu_ns();
    if (connection_table_create(&limits, &table) < 0)
        abort();
    print("create", n, (double)(cpu_ns() - begin_ns) / 1000.0, "us");
    add_all(table, n);
    bench_find(table, n);
    bench_find_batched(table, n);
    bench_churn(table, n);
    bench_timers(table, n);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    print("memory_peak", n, (double)usage.ru_maxrss, "KiB");
    connection_table_destroy(table);
}

int main(int argc, char **argv)
{
    struct connection_limits limits = {.connections_max = 1, .hash_key = "benchmark"};
    struct connection_table *table;
    if (connection_table_create(&limits, &table) < 0)
        return 1;
    bench_hash(table);
    connection_table_destroy(table);
    const size_t sizes[] = {1000, 100000, 1000000};
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            bench_size(strtoul(argv[i], NULL, 10));
        return 0;
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        bench_size(sizes[i]);
    return 0;
}
