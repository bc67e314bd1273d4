/* connection_index: from a tuple's hash to its place in the slab.
 *
 *     connection_index_init(&index, slab);
 *     place = connection_index_find(&index, &tuple, hash);       CONNECTION_NOWHERE: not there
 *     if (connection_index_has_room(&index, hash, &room))
 *         connection_index_add(&index, &room, place, hash);
 *     connection_index_remove(&index, place, hash);
 *     connection_index_deinit(&index);
 *
 * A bucket is one cache line: 10 tags of 16 bits, 10 places, and the number of an overflow bucket
 * that continues it. Entries are dense: a removal puts the chain's last into the hole, so a lookup
 * reads no more lines than the chain needs, and there are no tombstones.
 *
 * The index grows by linear hashing: past 5 entries a bucket, each new entry splits one bucket, in
 * order. Nothing is ever rehashed as a whole, so there is no pause, and memory follows the number
 * of connections; it does not shrink. It begins with a bucket for each 128 connections that there
 * may be, 32,768 at most. Hashes are not kept: who is split apart is hashed again, and the entries
 * of the next bucket in turn are asked for one split before.
 *
 * Source: W. Litwin, "Linear hashing", VLDB 1980. Not thread-safe. */
#ifndef WANMETER_TRACKER_CONNECTION_INDEX_H
#define WANMETER_TRACKER_CONNECTION_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/connection_slab.h"

/* Chains end at CHAIN_BUCKETS_MAX: 1,280 entries where 5 are the mean is no chance but a hash that
 * somebody has seen through. */
enum { BUCKET_SLOTS = 10, BUCKET_ENTRIES_MEAN = 5, CHAIN_BUCKETS_MAX = 128 };

struct bucket {
    uint16_t tags[BUCKET_SLOTS]; /* 0: empty, and so are all behind it */
    uint32_t next;               /* overflow bucket + 1; 0: none */
    uint32_t places[BUCKET_SLOTS];
};

struct connection_index {
    const struct connection_slab *slab; /* kept, not copied */
    struct bucket *buckets;
    struct bucket *overflow;
    size_t buckets_size;
    size_t overflow_size;
    uint32_t n_entries;
    uint32_t n_buckets;        /* from base to 2 * base - 1 */
    uint32_t base;             /* a power of two */
    uint32_t overflow_free;    /* overflow bucket + 1, linked by 'next' */
    uint32_t overflow_touched; /* those from here on were never used */
    uint32_t chain_max;        /* the longest chain there was, in buckets */
};

/* 0 or -ENOMEM. */
int connection_index_init(struct connection_index *index, const struct connection_slab *slab);
void connection_index_deinit(struct connection_index *index); /* safe on a zeroed index */

uint32_t connection_index_find(const struct connection_index *index, const struct tuple *tuple,
                               uint64_t hash);

/* Where a chain's next entry goes. */
struct index_room {
    struct bucket *last;
    unsigned slot;      /* of 'last'; BUCKET_SLOTS: it is full */
    uint32_t n_buckets; /* that the chain has */
};

/* Can an entry with this hash be added? 'room' is good until the index is changed. */
bool connection_index_has_room(const struct connection_index *index, uint64_t hash,
                               struct index_room *room);

/* The entry at 'place' has its tuple already, and is not in the index. 'hash' is the slab's, of its
 * tuple, and 'room' what there is for it. */
void connection_index_add(struct connection_index *index, struct index_room *room, uint32_t place,
                          uint64_t hash);

/* The entry at 'place' is in the index. */
void connection_index_remove(struct connection_index *index, uint32_t place, uint64_t hash);

/* The bucket where a chain begins. */
const struct bucket *connection_index_bucket(const struct connection_index *index, uint64_t hash);

/* The first place in that bucket whose tag is the hash's, or CONNECTION_NOWHERE. */
uint32_t connection_index_candidate(const struct connection_index *index, uint64_t hash);

#endif
