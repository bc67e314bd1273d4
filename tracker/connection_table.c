#include "tracker/connection_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/connection_table/connection_index.h"
#include "tracker/connection_table/extra_slab.h"
#include "tracker/connection_table/keyed_hash.h"
#include "tracker/connection_table/mapping.h"
#include "tracker/connection_table/opening_order.h"
#include "tracker/connection_table/timer_wheel.h"
#include "tracker/connection_table/trait_table.h"

enum { VICTIM_LOOKS_MAX = 64 };

struct connection_table {
    struct keyed_hash hash;
    struct connection *slab;
    uint32_t *hashes; /* by place, of the tuples; of a place that is free: 'free' before it was */
    uint64_t *ids;    /* by place */
    uint32_t (*flow_labels)[FLOW_DIRECTIONS]; /* by place; touched of IPv6 only */
    uint32_t connections_max;
    uint32_t count;
    uint32_t free;      /* place + 1; 0: none */
    uint32_t n_touched; /* places ever used */
    struct opening_order order;
    struct connection_index index;
    struct timer_wheel wheel;
    struct extra_slab extras;
    struct trait_table traits;
};

/* What there is of each place. */
static int map_places(struct connection_table *table)
{
    const size_t n = table->connections_max;
    struct {
        size_t size;
        void *memory;
    } parts[] = {
        {n * sizeof *table->slab, NULL},
        {n * sizeof *table->hashes, NULL},
        {n * sizeof *table->ids, NULL},
        {n * sizeof *table->flow_labels, NULL},
    };
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof parts / sizeof parts[0]; i++)
        result = mapping_create(parts[i].size, &parts[i].memory);
    table->slab = parts[0].memory;
    table->hashes = parts[1].memory;
    table->ids = parts[2].memory;
    table->flow_labels = parts[3].memory;
    return result;
}

static void unmap_places(struct connection_table *table)
{
    const size_t n = table->connections_max;
    mapping_destroy(table->slab, n * sizeof *table->slab);
    mapping_destroy(table->hashes, n * sizeof *table->hashes);
    mapping_destroy(table->ids, n * sizeof *table->ids);
    mapping_destroy(table->flow_labels, n * sizeof *table->flow_labels);
}

static int table_map(struct connection_table *table)
{
    int result = map_places(table);
    if (result < 0)
        return result;
    result =
        connection_index_init(&table->index, table->slab, table->hashes, table->connections_max);
    if (result < 0)
        return result;
    result = timer_wheel_init(&table->wheel, table->slab, table->connections_max);
    if (result < 0)
        return result;
    result = opening_order_init(&table->order, table->connections_max);
    if (result < 0)
        return result;
    result = extra_slab_init(&table->extras, table->connections_max);
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
    table->connections_max = (uint32_t)limits->connections_max;
    keyed_hash_init(&table->hash, limits->hash_key);
    int result = table_map(table);
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
    unmap_places(table);
    free(table);
}

static uint64_t tuple_tail(const struct tuple *tuple)
{
    return tuple->low_port | (uint64_t)tuple->high_port << 16 | (uint64_t)tuple->zone << 32 |
           (uint64_t)tuple->protocol << 48 | (uint64_t)tuple->ip_version << 56 |
           (uint64_t)tuple->has_ports << 60;
}

/* Reads the fields as they were written: a wide load over narrow stores just made would wait. */
uint64_t connection_table_hash(const struct connection_table *table, const struct tuple *tuple)
{
    if (tuple->ip_version == 4) {
        uint32_t low, high;
        memcpy(&low, tuple->low_address, sizeof(low));
        memcpy(&high, tuple->high_address, sizeof(high));
        const uint64_t words[] = {low | (uint64_t)high << 32, tuple_tail(tuple)};
        return keyed_hash(&table->hash, words, 2);
    }
    uint64_t words[6] = {0};
    memcpy(&words[0], tuple->low_address, 16);
    memcpy(&words[2], tuple->high_address, 16);
    words[4] = tuple_tail(tuple);
    return keyed_hash(&table->hash, words, 6);
}

void connection_table_prefetch(const struct connection_table *table, uint64_t hash)
{
    __builtin_prefetch(connection_index_bucket(&table->index, hash));
}

static void prefetch_entry(const struct connection_table *table, uint32_t place)
{
    const struct connection *entry = &table->slab[place];
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(&entry->counters, 1);
    __builtin_prefetch(&entry->track, 1);
}

uint32_t connection_table_prefetch_entry(const struct connection_table *table, uint64_t hash)
{
    uint32_t place = connection_index_candidate(&table->index, hash);
    if (place == CONNECTION_INDEX_NONE)
        return CONNECTION_NOWHERE;
    prefetch_entry(table, place);
    return place;
}

struct connection *connection_table_find(struct connection_table *table, const struct tuple *tuple,
                                         uint64_t hash)
{
    uint32_t place = connection_index_find(&table->index, tuple, hash);
    return place == CONNECTION_INDEX_NONE ? NULL : &table->slab[place];
}

/* A tuple is in the table once: the entry that has it is the one. */
struct connection *connection_table_find_near(struct connection_table *table,
                                              const struct tuple *tuple, uint64_t hash,
                                              uint32_t near)
{
    if (near != CONNECTION_NOWHERE) {
        struct connection *connection = &table->slab[near];
        if (tuple_is_equal(&connection->tuple, tuple))
            return connection;
    }
    return connection_table_find(table, tuple, hash);
}

/* A place that is not used, or CONNECTION_INDEX_NONE. */
static uint32_t place_take(struct connection_table *table)
{
    if (table->free != 0) {
        uint32_t place = table->free - 1;
        table->free = table->hashes[place];
        return place;
    }
    if (table->n_touched == table->connections_max)
        return CONNECTION_INDEX_NONE;
    timer_wheel_add_place(&table->wheel);
    return table->n_touched++;
}

struct connection *connection_table_add(struct connection_table *table, const struct tuple *tuple,
                                        uint64_t hash)
{
    uint32_t place = CONNECTION_INDEX_NONE;
    if (connection_index_has_room(&table->index, hash))
        place = place_take(table);
    if (place == CONNECTION_INDEX_NONE)
        return NULL;
    struct connection *connection = &table->slab[place];
    int64_t filed_ns = connection->filed_ns;
    *connection = (struct connection){
        .tuple = *tuple,
        .expires_ns = INT64_MAX,
        .interim_ns = INT64_MAX,
        .filed_ns = filed_ns,
    };
    assert(connection_is_used(connection));
    table->hashes[place] = (uint32_t)hash;
    table->ids[place] = 0;
    if (tuple->ip_version == 6)
        memset(table->flow_labels[place], 0, sizeof table->flow_labels[place]);
    connection_index_add(&table->index, place, hash);
    opening_order_add(&table->order, place);
    table->count++;
    prefetch_entry(table, table->free != 0 ? table->free - 1 : place + 1);
    return connection;
}

void connection_table_remove(struct connection_table *table, struct connection *connection)
{
    assert(connection_is_used(connection));
    uint32_t place = (uint32_t)(connection - table->slab);
    connection_index_remove(&table->index, place);
    opening_order_remove(&table->order, place);
    if (connection->extra != NULL)
        extra_slab_give(&table->extras, connection->extra);
    connection->extra = NULL;
    connection->tuple.ip_version = 0; /* not used, as no tuple is */
    connection->expires_ns = connection->interim_ns = INT64_MAX;
    table->hashes[place] = table->free;
    table->free = place + 1;
    table->count--;
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

static uint32_t place_of(const struct connection_table *table, const struct connection *connection)
{
    return (uint32_t)(connection - table->slab);
}

uint64_t connection_table_id(const struct connection_table *table,
                             const struct connection *connection)
{
    return table->ids[place_of(table, connection)];
}

void connection_table_set_id(struct connection_table *table, const struct connection *connection,
                             uint64_t id)
{
    table->ids[place_of(table, connection)] = id;
}

uint32_t *connection_table_flow_labels(const struct connection_table *table,
                                       const struct connection *connection)
{
    return table->flow_labels[place_of(table, connection)];
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
        if ((table->slab[place].status & STATUS_ASSURED) == 0)
            return &table->slab[place];
    return NULL;
}

struct connection *connection_table_next(struct connection_table *table,
                                         const struct connection *before)
{
    uint32_t place = before == NULL ? 0 : (uint32_t)(before - table->slab) + 1;
    for (; place < table->n_touched; place++) {
        if (connection_is_used(&table->slab[place]))
            return &table->slab[place];
    }
    return NULL;
}

void connection_table_prefetch_behind(const struct connection_table *table,
                                      const struct connection *connection, uint32_t n)
{
    uint32_t place = place_of(table, connection) + n;
    if (place >= table->n_touched)
        return;
    prefetch_entry(table, place);
    __builtin_prefetch(connection_index_bucket(&table->index, table->hashes[place]), 1);
}

size_t connection_table_places(const struct connection_table *table)
{
    return table->n_touched;
}

const struct connection *connection_table_at(const struct connection_table *table, size_t place)
{
    return connection_is_used(&table->slab[place]) ? &table->slab[place] : NULL;
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
    return sizeof(struct connection) + sizeof(uint32_t) + sizeof(uint64_t) +
           3 * sizeof(uint32_t) /* opening_order */ + sizeof(struct bucket) / BUCKET_ENTRIES_MEAN +
           sizeof(struct wheel_chunk) / WHEEL_CHUNK_REFERENCES;
}
