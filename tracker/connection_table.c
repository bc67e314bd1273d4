#include "tracker/connection_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/connection_table/connection_index.h"
#include "tracker/connection_table/connection_slab.h"
#include "tracker/connection_table/extra_slab.h"
#include "tracker/connection_table/opening_order.h"
#include "tracker/connection_table/timer_wheel.h"
#include "tracker/connection_table/trait_table.h"
#include "tracker/connection_table/tuple_hash.h"

enum { VICTIM_LOOKS_MAX = 64, CACHE_LINE = 64 };

struct connection_table {
    struct connection_slab slab;
    uint32_t count;
    bool is_ending; /* connection_table_drop() was called */
    struct opening_order order;
    struct connection_index index;
    struct timer_wheel wheel;
    struct extra_slab extras;
    struct trait_table traits;
};

static int table_map(struct connection_table *table, const struct connection_limits *limits)
{
    const uint32_t connections_max = (uint32_t)limits->connections_max;
    int result = connection_slab_init(&table->slab, connections_max, limits->hash_key);
    if (result < 0)
        return result;
    result = connection_index_init(&table->index, &table->slab);
    if (result < 0)
        return result;
    result = timer_wheel_init(&table->wheel, &table->slab);
    if (result < 0)
        return result;
    result = opening_order_init(&table->order, &table->slab);
    if (result < 0)
        return result;
    result = extra_slab_init(&table->extras, connections_max);
    if (result < 0)
        return result;
    return trait_table_init(&table->traits);
}

int connection_table_create(const struct connection_limits *limits, struct connection_table **out)
{
    assert(limits->connections_max > 0 && limits->connections_max <= CONNECTIONS_MAX);
    struct connection_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return -ENOMEM;
    int result = table_map(table, limits);
    if (result < 0) {
        connection_table_destroy(table);
        return result;
    }
    *out = table;
    return 0;
}

void connection_table_destroy(struct connection_table *table)
{
    if (table == NULL)
        return;
    trait_table_deinit(&table->traits);
    extra_slab_deinit(&table->extras);
    opening_order_deinit(&table->order);
    timer_wheel_deinit(&table->wheel);
    connection_index_deinit(&table->index);
    connection_slab_deinit(&table->slab);
    free(table);
}

uint64_t connection_table_hash(const struct connection_table *table, const struct tuple *tuple)
{
    return tuple_hash(&table->slab.hash, tuple);
}

void connection_table_prefetch(const struct connection_table *table, uint64_t hash)
{
    __builtin_prefetch(connection_index_bucket(&table->index, hash));
}

struct connection *connection_table_prefetch_entry(const struct connection_table *table,
                                                   const struct tuple *tuple, uint64_t hash)
{
    uint32_t place = connection_index_candidate(&table->index, hash);
    if (place == CONNECTION_NOWHERE)
        return NULL;
    connection_slab_prefetch(&table->slab, place, tuple->ip_version == 6);
    return &table->slab.entries[place];
}

struct connection *connection_table_find(struct connection_table *table, const struct tuple *tuple,
                                         uint64_t hash)
{
    uint32_t place = connection_index_find(&table->index, tuple, hash);
    return place == CONNECTION_NOWHERE ? NULL : &table->slab.entries[place];
}

struct connection *connection_table_near(struct connection_table *table, const struct tuple *tuple,
                                         struct connection *near)
{
    return near && connection_slab_has(&table->slab, near, tuple) ? near : NULL;
}

/* A tuple is in the table once: the entry that has it is the one. */
struct connection *connection_table_find_near(struct connection_table *table,
                                              const struct tuple *tuple, uint64_t hash,
                                              struct connection *near)
{
    struct connection *connection = connection_table_near(table, tuple, near);
    return connection ? connection : connection_table_find(table, tuple, hash);
}

struct connection *connection_table_add(struct connection_table *table, const struct tuple *tuple,
                                        uint64_t hash)
{
    const bool is_ipv6 = tuple->ip_version == 6;
    uint32_t place = CONNECTION_NOWHERE;
    struct index_room room;
    assert(!table->is_ending);
    if (connection_index_has_room(&table->index, hash, &room))
        place = connection_slab_take(&table->slab, is_ipv6);
    if (place == CONNECTION_NOWHERE)
        return NULL;
    struct connection *connection = &table->slab.entries[place];
    uint32_t filed = connection->filed;
    *connection = (struct connection){
        .expires_ns = INT64_MAX,
        .interim_ns = INT64_MAX,
        .filed = filed,
    };
    connection_slab_put_tuple(&table->slab, place, tuple);
    assert(connection_is_used(connection));
    connection_index_add(&table->index, &room, place, hash);
    opening_order_add(&table->order, place);
    table->count++;
    uint32_t next = connection_slab_peek(&table->slab, is_ipv6);
    if (next != CONNECTION_NOWHERE)
        connection_slab_prefetch(&table->slab, next, is_ipv6);
    return connection;
}

/* From now on it is in the table's count and lists no more. */
static void forget(struct connection_table *table, struct connection *connection)
{
    connection->tuple.ip_version = 0; /* not used, as no tuple is */
    connection->expires_ns = connection->interim_ns = INT64_MAX;
    table->count--;
}

void connection_table_remove(struct connection_table *table, struct connection *connection)
{
    assert(connection_is_used(connection));
    uint32_t place = connection_slab_place(&table->slab, connection);
    connection_index_remove(&table->index, place, connection_slab_hash(&table->slab, place));
    opening_order_remove(&table->order, place);
    if (connection->extra != NULL)
        extra_slab_give(&table->extras, connection->extra);
    connection->extra = NULL;
    forget(table, connection);
    connection_slab_give(&table->slab, place);
}

void connection_table_drop(struct connection_table *table, struct connection *connection)
{
    assert(connection_is_used(connection));
    table->is_ending = true;
    forget(table, connection);
}

void connection_table_tuple(const struct connection_table *table,
                            const struct connection *connection, struct tuple *tuple)
{
    connection_slab_tuple(&table->slab, connection_slab_place(&table->slab, connection), tuple);
}

struct connection_extra *connection_table_extra(struct connection_table *table,
                                                struct connection *connection)
{
    if (connection->extra == NULL)
        connection->extra = extra_slab_take(&table->extras);
    return connection->extra;
}

const struct connection_traits *connection_table_traits(const struct connection_table *table,
                                                        const struct connection *connection)
{
    if (connection->traits == TRAITS_OWN)
        return &connection->extra->traits;
    return &table->traits.values[connection->traits];
}

void connection_table_set_traits(struct connection_table *table, struct connection *connection,
                                 const struct connection_traits *traits)
{
    uint16_t number = trait_table_number(&table->traits, traits);
    if (number == TRAITS_OWN)
        connection_table_extra(table, connection)->traits = *traits;
    connection->traits = number;
}

uint64_t connection_table_id(const struct connection_table *table,
                             const struct connection *connection)
{
    return table->slab.ids[connection_slab_place(&table->slab, connection)];
}

void connection_table_set_id(struct connection_table *table, const struct connection *connection,
                             uint64_t id)
{
    table->slab.ids[connection_slab_place(&table->slab, connection)] = id;
}

uint32_t *connection_table_flow_labels(const struct connection_table *table,
                                       const struct connection *connection)
{
    return table->slab.ipv6[connection_slab_place(&table->slab, connection)].flow_labels;
}

void connection_table_set_timer(struct connection_table *table, struct connection *connection)
{
    timer_wheel_set(&table->wheel, connection);
}

struct connection *connection_table_due(struct connection_table *table, int64_t now_ns)
{
    return timer_wheel_due(&table->wheel, now_ns);
}

bool connection_table_may_be_due(const struct connection_table *table, int64_t now_ns)
{
    return timer_wheel_may_be_due(&table->wheel, now_ns);
}

struct connection *connection_table_victim(struct connection_table *table)
{
    uint32_t n_looks = table->count < VICTIM_LOOKS_MAX ? table->count : VICTIM_LOOKS_MAX;
    uint32_t place;
    for (uint32_t i = 0; i < n_looks && opening_order_next(&table->order, &place); i++)
        if ((table->slab.entries[place].status & STATUS_ASSURED) == 0)
            return &table->slab.entries[place];
    return NULL;
}

struct connection *connection_table_next(struct connection_table *table,
                                         const struct connection *before)
{
    const struct connection_slab *slab = &table->slab;
    uint32_t first = before == NULL ? 0 : connection_slab_place(slab, before) + 1;
    uint32_t place = connection_slab_from(slab, first);
    for (; place != CONNECTION_NOWHERE; place = connection_slab_from(slab, place + 1)) {
        if (connection_is_used(&slab->entries[place]))
            return &slab->entries[place];
    }
    return NULL;
}

void connection_table_prefetch_behind(const struct connection_table *table,
                                      const struct connection *connection, uint32_t n)
{
    const struct connection_slab *slab = &table->slab;
    uint32_t place = connection_slab_place(slab, connection);
    uint32_t near = connection_slab_from(slab, place + n);
    uint32_t far = connection_slab_from(slab, place + 2 * n);
    if (far != CONNECTION_NOWHERE)
        connection_slab_prefetch(slab, far, slab->entries[place].tuple.ip_version == 6);
    const struct connection_extra *extra =
        near == CONNECTION_NOWHERE ? NULL : slab->entries[near].extra;
    for (size_t at = 0; extra && at < offsetof(struct connection_extra, next_free);
         at += CACHE_LINE)
        __builtin_prefetch((const uint8_t *)extra + at, 1);
}

/* Turn by turn from both ends of the slab, each of which grows: so nobody changes its number. */
static uint32_t place_of_number(const struct connection_slab *slab, size_t number)
{
    uint32_t n = (uint32_t)(number / 2);
    return number % 2 == 0 ? n : slab->n_max - 1 - n;
}

size_t connection_table_places(const struct connection_table *table)
{
    const uint32_t *n_used = table->slab.n_used;
    return 2 *
           (size_t)(n_used[SLAB_LOW] > n_used[SLAB_HIGH] ? n_used[SLAB_LOW] : n_used[SLAB_HIGH]);
}

const struct connection *connection_table_at(const struct connection_table *table, size_t number)
{
    const struct connection_slab *slab = &table->slab;
    if (number / 2 >= slab->n_used[number % 2 == 0 ? SLAB_LOW : SLAB_HIGH])
        return NULL;
    const struct connection *connection = &slab->entries[place_of_number(slab, number)];
    return connection_is_used(connection) ? connection : NULL;
}

size_t connection_table_count(const struct connection_table *table)
{
    return table->count;
}

size_t connection_table_chain_max(const struct connection_table *table)
{
    return table->index.chain_max;
}

size_t connection_table_entry_bytes(void)
{
    return sizeof(struct connection) + sizeof(uint64_t) /* id */ +
           3 * sizeof(uint32_t) / 2 /* opening_order */ +
           sizeof(struct bucket) / BUCKET_ENTRIES_MEAN +
           sizeof(struct wheel_chunk) / WHEEL_CHUNK_REFERENCES;
}
