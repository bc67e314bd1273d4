#include "capture/wan/wan_index.h"

#include <errno.h>
#include <stdlib.h>

enum { KIND_SHIFT = 56 };

int wan_index_create(size_t n_max, struct wan_index *index)
{
    size_t n_buckets = 4;
    while (n_buckets < 2 * n_max)
        n_buckets *= 2;
    *index = (struct wan_index){.bucket_mask = n_buckets - 1};
    index->buckets = calloc(n_buckets, sizeof *index->buckets);
    index->entries = calloc(n_max ? n_max : 1, sizeof *index->entries);
    if (index->buckets && index->entries)
        return 0;
    wan_index_destroy(index);
    return -ENOMEM;
}

void wan_index_destroy(struct wan_index *index)
{
    free(index->buckets);
    free(index->entries);
    *index = (struct wan_index){0};
}

static uint64_t key_of(enum wan_key kind, uint64_t value)
{
    return (uint64_t)kind << KIND_SHIFT | value;
}

/* The keys come from the configuration, not from the wire: a multiplication spreads them well
 * enough (Knuth, The Art of Computer Programming, 6.4: 2^64 by the golden ratio). */
static uint32_t *bucket_of(const struct wan_index *index, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    return &index->buckets[hash >> 32 & index->bucket_mask];
}

void wan_index_add(struct wan_index *index, enum wan_key kind, uint64_t value, uint32_t place)
{
    uint64_t key = key_of(kind, value);
    uint32_t *bucket = bucket_of(index, key);
    index->entries[index->n_entries] =
        (struct wan_index_entry){.key = key, .place = place, .next = *bucket};
    *bucket = (uint32_t)++index->n_entries;
    index->kinds |= 1U << kind;
}

static const struct wan_index_entry *entry_of_key(const struct wan_index *index, uint32_t at,
                                                  uint64_t key)
{
    for (; at; at = index->entries[at - 1].next)
        if (index->entries[at - 1].key == key)
            return &index->entries[at - 1];
    return NULL;
}

const struct wan_index_entry *wan_index_first(const struct wan_index *index, enum wan_key kind,
                                              uint64_t value)
{
    uint64_t key = key_of(kind, value);
    return entry_of_key(index, *bucket_of(index, key), key);
}

const struct wan_index_entry *wan_index_next(const struct wan_index *index,
                                             const struct wan_index_entry *entry)
{
    return entry_of_key(index, entry->next, entry->key);
}
