#include "tracker/connection_table/connection_slab.h"

#include "tracker/connection_table/mapping.h"

static_assert(offsetof(struct tuple, low_port) == TUPLE_ADDRESSES_SIZE, "compared as bytes");
static_assert(offsetof(struct ipv6_part, flow_labels) == TUPLE_ADDRESSES_SIZE, "as a tuple has it");
static_assert(sizeof(struct tuple) == TUPLE_ADDRESSES_SIZE + TUPLE_TAIL_SIZE, "compared as bytes");
static_assert(sizeof(struct short_tuple) ==
                  offsetof(struct short_tuple, low_port) + TUPLE_TAIL_SIZE,
              "ends as a tuple does");

static size_t entries_size(const struct connection_slab *slab)
{
    return slab->n_max * sizeof *slab->entries;
}

static size_t ids_size(const struct connection_slab *slab)
{
    return slab->n_max * sizeof *slab->ids;
}

static size_t ipv6_size(const struct connection_slab *slab)
{
    return slab->n_max * sizeof *slab->ipv6;
}

int connection_slab_init(struct connection_slab *slab, uint32_t n_max, const uint8_t hash_key[16])
{
    void *entries, *ids, *ipv6;
    *slab = (struct connection_slab){.n_max = n_max};
    keyed_hash_init(&slab->hash, hash_key);
    int result = mapping_create(entries_size(slab), &entries);
    if (result < 0)
        return result;
    slab->entries = entries;
    result = mapping_create(ids_size(slab), &ids);
    if (result < 0)
        return result;
    slab->ids = ids;
    result = mapping_create(ipv6_size(slab), &ipv6);
    if (result < 0)
        return result;
    slab->ipv6 = ipv6;
    return 0;
}

void connection_slab_deinit(struct connection_slab *slab)
{
    mapping_destroy(slab->entries, entries_size(slab));
    mapping_destroy(slab->ids, ids_size(slab));
    mapping_destroy(slab->ipv6, ipv6_size(slab));
}

/* Where its places are. */
static unsigned end_of(bool is_ipv6)
{
    return is_ipv6 ? SLAB_HIGH : SLAB_LOW;
}

static bool has_unused(const struct connection_slab *slab)
{
    return slab->n_used[SLAB_LOW] + slab->n_used[SLAB_HIGH] < slab->n_max;
}

/* The next place of the end that nobody had. */
static uint32_t unused_place(const struct connection_slab *slab, unsigned end)
{
    return end == SLAB_LOW ? slab->n_used[SLAB_LOW] : slab->n_max - 1 - slab->n_used[SLAB_HIGH];
}

uint32_t connection_slab_peek(const struct connection_slab *slab, bool is_ipv6)
{
    unsigned end = end_of(is_ipv6);
    if (slab->free[end] != 0)
        return slab->free[end] - 1;
    if (has_unused(slab))
        return unused_place(slab, end);
    return slab->free[!end] != 0 ? slab->free[!end] - 1 : CONNECTION_NOWHERE;
}

static uint32_t take_free(struct connection_slab *slab, unsigned end)
{
    uint32_t place = slab->free[end] - 1;
    slab->free[end] = (uint32_t)slab->ids[place];
    return place;
}

uint32_t connection_slab_take(struct connection_slab *slab, bool is_ipv6)
{
    unsigned end = end_of(is_ipv6);
    if (slab->free[end] != 0)
        return take_free(slab, end);
    if (has_unused(slab)) {
        uint32_t place = unused_place(slab, end);
        slab->n_used[end]++;
        slab->entries[place].filed = CONNECTION_NOT_FILED;
        return place;
    }
    return slab->free[!end] != 0 ? take_free(slab, !end) : CONNECTION_NOWHERE;
}

void connection_slab_give(struct connection_slab *slab, uint32_t place)
{
    unsigned end = place < slab->n_used[SLAB_LOW] ? SLAB_LOW : SLAB_HIGH;
    slab->ids[place] = slab->free[end];
    slab->free[end] = place + 1;
}

void connection_slab_put_tuple(struct connection_slab *slab, uint32_t place,
                               const struct tuple *tuple)
{
    struct short_tuple *kept = &slab->entries[place].tuple;
    memcpy((uint8_t *)kept + offsetof(struct short_tuple, low_port),
           (const uint8_t *)tuple + offsetof(struct tuple, low_port), TUPLE_TAIL_SIZE);
    if (tuple->ip_version == 6) {
        memset(kept, 0, offsetof(struct short_tuple, low_port));
        slab->ipv6[place] = (struct ipv6_part){0};
        memcpy(&slab->ipv6[place], tuple, TUPLE_ADDRESSES_SIZE);
    } else {
        memcpy(kept->low_address, tuple->low_address, 4);
        memcpy(kept->high_address, tuple->high_address, 4);
    }
}
