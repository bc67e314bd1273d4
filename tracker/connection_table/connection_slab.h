/* connection_slab: the places of a table's connections, and what there is of each place.
 *
 *     connection_slab_init(&slab, connections_max, hash_key);
 *     place = connection_slab_take(&slab, is_ipv6);              CONNECTION_NOWHERE: none is left
 *     connection = &slab.entries[place];
 *     connection_slab_put_tuple(&slab, place, &tuple);
 *     connection_slab_give(&slab, place);
 *     connection_slab_deinit(&slab);
 *
 * IPv4 fills it from the first place on, IPv6 from the last one down, so that what only IPv6 has
 * (40 bytes: addresses and flow labels) is touched where it is used, and nowhere else. Where the
 * two have met, either takes what the other has left.
 *
 * All is mapped at its full size at start and touched as used. Not thread-safe. */
#ifndef WANMETER_TRACKER_CONNECTION_SLAB_H
#define WANMETER_TRACKER_CONNECTION_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/keyed_hash.h"
#include "tracker/connection_table/tuple_hash.h"

enum { SLAB_LOW, SLAB_HIGH, SLAB_ENDS };

/* Of a tuple: its addresses, and what is behind them. */
enum { TUPLE_ADDRESSES_SIZE = 32, TUPLE_TAIL_SIZE = 8 };

struct ipv6_part {
    uint8_t low_address[16], high_address[16];
    uint32_t flow_labels[FLOW_DIRECTIONS];
};

struct connection_slab {
    struct connection *entries;
    uint64_t *ids;          /* of a free place: the next free one of its end + 1; 0: none */
    struct ipv6_part *ipv6; /* of places that IPv6 has */
    uint32_t n_max;
    uint32_t n_used[SLAB_ENDS]; /* ever: from the first place on, from the last one down */
    uint32_t free[SLAB_ENDS];   /* place + 1, linked by 'ids'; 0: none */
    struct keyed_hash hash;
};

/* 0 or -ENOMEM. */
int connection_slab_init(struct connection_slab *slab, uint32_t n_max, const uint8_t hash_key[16]);
void connection_slab_deinit(struct connection_slab *slab); /* a zeroed one as well */

/* What is there is that of who had the place before, but for the timer wheel's part. */
uint32_t connection_slab_take(struct connection_slab *slab, bool is_ipv6);
void connection_slab_give(struct connection_slab *slab, uint32_t place);

/* The place that connection_slab_take() gives next, as far as that can be said at once. */
uint32_t connection_slab_peek(const struct connection_slab *slab, bool is_ipv6);

/* The first place at 'place' or behind it that was ever used; CONNECTION_NOWHERE: none. */
static inline uint32_t connection_slab_from(const struct connection_slab *slab, uint32_t place)
{
    uint32_t high = slab->n_max - slab->n_used[SLAB_HIGH];
    if (place >= slab->n_used[SLAB_LOW] && place < high)
        place = high;
    return place < slab->n_max ? place : CONNECTION_NOWHERE;
}

static inline uint32_t connection_slab_place(const struct connection_slab *slab,
                                             const struct connection *connection)
{
    return (uint32_t)(connection - slab->entries);
}

void connection_slab_put_tuple(struct connection_slab *slab, uint32_t place,
                               const struct tuple *tuple);

static inline void connection_slab_tuple(const struct connection_slab *slab, uint32_t place,
                                         struct tuple *tuple)
{
    const struct short_tuple *kept = &slab->entries[place].tuple;
    memset(tuple, 0, TUPLE_ADDRESSES_SIZE);
    memcpy((uint8_t *)tuple + offsetof(struct tuple, low_port),
           (const uint8_t *)kept + offsetof(struct short_tuple, low_port), TUPLE_TAIL_SIZE);
    if (kept->ip_version == 6) {
        memcpy(tuple->low_address, slab->ipv6[place].low_address, 16);
        memcpy(tuple->high_address, slab->ipv6[place].high_address, 16);
    } else {
        memcpy(tuple->low_address, kept->low_address, 4);
        memcpy(tuple->high_address, kept->high_address, 4);
    }
}

/* As tuple_hash() has it: of IPv4, what is kept are its two words. */
static inline uint64_t connection_slab_hash(const struct connection_slab *slab, uint32_t place)
{
    const struct short_tuple *kept = &slab->entries[place].tuple;
    struct tuple tuple;
    if (kept->ip_version == 4) {
        uint64_t words[sizeof *kept / 8];
        memcpy(words, kept, sizeof words);
        return keyed_hash(&slab->hash, words, 2);
    }
    connection_slab_tuple(slab, place, &tuple);
    return tuple_hash(&slab->hash, &tuple);
}

/* Is it the one with this tuple? */
static inline bool connection_slab_has(const struct connection_slab *slab,
                                       const struct connection *entry, const struct tuple *tuple)
{
    const struct short_tuple *kept = &entry->tuple;
    bool is_tail_equal =
        memcmp((const uint8_t *)kept + offsetof(struct short_tuple, low_port),
               (const uint8_t *)tuple + offsetof(struct tuple, low_port), TUPLE_TAIL_SIZE) == 0;
    if (!is_tail_equal)
        return false;
    if (tuple->ip_version == 6)
        return memcmp(&slab->ipv6[connection_slab_place(slab, entry)], tuple,
                      TUPLE_ADDRESSES_SIZE) == 0;
    return memcmp(kept->low_address, tuple->low_address, 4) == 0 &&
           memcmp(kept->high_address, tuple->high_address, 4) == 0;
}

/* Asks for the cache lines that a packet of the connection needs. */
static inline void connection_slab_prefetch(const struct connection_slab *slab, uint32_t place,
                                            bool is_ipv6)
{
    const struct connection *entry = &slab->entries[place];
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(&entry->expires_ns, 1);
    __builtin_prefetch((const uint8_t *)(entry + 1) - 1, 1);
    if (is_ipv6) {
        __builtin_prefetch(&slab->ipv6[place]);
        __builtin_prefetch(slab->ipv6[place].flow_labels);
    }
}

#endif
