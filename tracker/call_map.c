#include "tracker/call_map.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct call_map {
    struct call *items;
    struct call *free;
    struct call **buckets;
    size_t n_buckets; /* a power of two */
    size_t n;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

static_assert(sizeof(struct call_key) == 40, "no holes: it is hashed and compared as bytes");

int call_map_create(size_t n_max, struct call_map **out)
{
    assert(n_max > 0);
    struct call_map *map = calloc(1, sizeof *map);
    if (!map)
        return -ENOMEM;
    map->n_buckets = 1;
    while (map->n_buckets < n_max)
        map->n_buckets *= 2;
    map->items = calloc(n_max, sizeof *map->items);
    map->buckets = calloc(map->n_buckets, sizeof(struct call *));
    randombytes_buf(map->hash_key, sizeof map->hash_key);
    if (!map->items || !map->buckets) {
        call_map_destroy(map);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_max; i++) {
        map->items[i].next = map->free;
        map->free = &map->items[i];
    }
    *out = map;
    return 0;
}

void call_map_destroy(struct call_map *map)
{
    if (!map)
        return;
    free(map->items);
    free(map->buckets);
    free(map);
}

size_t call_map_count(const struct call_map *map)
{
    return map->n;
}

static struct call **bucket_of(const struct call_map *map, const struct call_key *key)
{
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash-2-4 gives 64 bits");
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)key, sizeof *key, map->hash_key);
    return &map->buckets[hash & (map->n_buckets - 1)];
}

bool call_map_add(struct call_map *map, const struct call *call)
{
    struct call *item = map->free;
    if (!item)
        return false;
    struct call **bucket = bucket_of(map, &call->key);
    map->free = item->next;
    *item = *call;
    item->next = *bucket;
    *bucket = item;
    map->n++;
    return true;
}

const struct call *call_map_find(const struct call_map *map, const struct call_key *key)
{
    if (map->n == 0)
        return NULL;
    const struct call *call = *bucket_of(map, key);
    while (call && memcmp(&call->key, key, sizeof *key) != 0)
        call = call->next;
    return call;
}

void call_map_remove(struct call_map *map, const struct call_key *key,
                     const struct connection *master)
{
    struct call **at = bucket_of(map, key);
    while (*at && ((*at)->master != master || memcmp(&(*at)->key, key, sizeof *key) != 0))
        at = &(*at)->next;
    struct call *item = *at;
    if (!item)
        return;
    *at = item->next;
    item->next = map->free;
    map->free = item;
    map->n--;
}
