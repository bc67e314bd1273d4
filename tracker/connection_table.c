#include "tracker/connection_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/connection_table/connection_index.h"
#include "tracker/connection_table/extra_slab.h"
#include "tracker/connection_table/keyed_hash.h"
#include "tracker/connection_table/mapping.h"
#include "tracker/connection_table/timer_wheel.h"
#include "tracker/connection_table/trait_table.h"

enum { VICTIM_LOOKS_MAX = 64 };

struct connection_table {
    struct keyed_hash hash;
    struct connection *slab;
    size_t slab_size;
    uint32_t connections_max;
    uint32_t count;
    uint32_t free;         /* place + 1, linked by 'slot'; 0: none */
    uint32_t n_touched;    /* places ever used */
    uint32_t victim_place; /* where the next search for one begins */
    struct connection_index index;
    struct timer_wheel wheel;
    struct extra_slab extras;
    struct trait_table traits;
};

static int table_map(struct connection_table *table)
{
    table->slab_size = table->connections_max * sizeof(struct connection);
    void *memory;
    int result = mapping_create(table->slab_size, &memory);
    if (result < 0)
        return result;
    table->slab = memory;
    result = connection_index_init(&table->index, table->slab, table->connections_max);
    if (result < 0)
        return result;
    result = timer_wheel_init(&table->wheel, table->slab, table->connections_max);
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
    timer_wheel_deinit(&table->wheel);
    connection_index_deinit(&table->index);
    mapping_destroy(table->slab, table->slab_size);
    free(table);
}

static uint64_t tuple_ports(const struct tuple *tuple)
{
    return tuple->low_port | (uint64_t)tuple->high_port << 16 | (uint64_t)tuple->zone << 32 |
           (uint64_t)tuple->icmp << 48;
}

/* Reads the fields as they were written: a wide load over narrow stores just made would wait. */
uint64_t connection_table_hash(const struct connection_table *table, const struct tuple *tuple)
{
    uint64_t tail =
        tuple->protocol | (uint64_t)tuple->ip_version << 8 | (uint64_t)tuple->has_ports << 16;
    if (tuple->ip_version == 4) {
        uint32_t low, high;
        memcpy(&low, tuple->low_address, sizeof(low));
        memcpy(&high, tuple->high_address, sizeof(high));
        const uint64_t words[] = {low | (uint64_t)high << 32, tuple_ports(tuple)};
        return keyed_hash(&table->hash, words, 2, tail);
    }
    uint64_t words[6] = {0};
    memcpy(&words[0], tuple->low_address, 16);
    memcpy(&words[2], tuple->high_address, 16);
    words[4] = tuple_ports(tuple);
    return keyed_hash(&table->hash, words, 6, tail);
}

void connection_table_prefetch(const struct connection_table *table, uint64_t hash)
{
    __builtin_prefetch(connection_index_bucket(&table->index, hash));
}

uint32_t connection_table_prefetch_entry(const struct connection_table *table, uint64_t hash)
{
    uint32_t place = connection_index_candidate(&table->index, hash);
    if (place == CONNECTION_INDEX_NONE)
        return CONNECTION_NOWHERE;
    const uint8_t *entry = (const uint8_t *)&table->slab[place];
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + 64, 1);
    __builtin_prefetch(entry + 128, 1);
    __builtin_prefetch(entry + offsetof(struct connection, track), 1);
    __builtin_prefetch(entry + 192, 1);
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
        if (connection_is_used(connection) && tuple_is_equal(&connection->tuple, tuple))
            return connection;
    }
    return connection_table_find(table, tuple, hash);
}

/* A place that is not used, or CONNECTION_INDEX_NONE. */
static uint32_t place_take(struct connection_table *table)
{
    if (table->free != 0) {
        uint32_t place = table->free - 1;
        table->free = table->slab[place].slot;
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
        .timer_ns = INT64_MAX,
        .filed_ns = filed_ns,
        .slot = CONNECTION_SLOT_USED,
        .hash = (uint32_t)hash,
    };
    connection_index_add(&table->index, place, hash);
    table->count++;
    return connection;
}

void connection_table_remove(struct connection_table *table, struct connection *connection)
{
    assert(connection_is_used(connection));
    uint32_t place = (uint32_t)(connection - table->slab);
    connection_index_remove(&table->index, place);
    if (connection->extra != NULL)
        extra_slab_give(&table->extras, connection->extra);
    connection->slot = table->free;
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

void connection_table_set_timer(struct connection_table *table, struct connection *connection,
                                int64_t at_ns)
{
    timer_wheel_set(&table->wheel, connection, at_ns);
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
    uint32_t n_looks = table->n_touched < VICTIM_LOOKS_MAX ? table->n_touched : VICTIM_LOOKS_MAX;
    for (uint32_t i = 0; i < n_looks; i++) {
        if (table->victim_place >= table->n_touched)
            table->victim_place = 0;
        struct connection *connection = &table->slab[table->victim_place++];
        if (connection_is_used(connection) && (connection->status & STATUS_ASSURED) == 0)
            return connection;
    }
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
    return sizeof(struct connection) + sizeof(struct bucket) / BUCKET_ENTRIES_MEAN +
           sizeof(struct wheel_chunk) / WHEEL_CHUNK_REFERENCES;
}
