/* tuple_hash: where a tuple is looked for.
 *
 * Fields are read as they were written: a wide load over narrow stores just made would wait; so
 * who makes a tuple writes the eight bytes behind the addresses at once. Of IPv4, 16 bytes are
 * hashed. */
#ifndef WANMETER_TRACKER_TUPLE_HASH_H
#define WANMETER_TRACKER_TUPLE_HASH_H

#include <stdint.h>
#include <string.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/keyed_hash.h"

/* All behind the addresses. */
static inline uint64_t tuple_tail(const struct tuple *tuple)
{
    uint64_t tail;
    static_assert(sizeof(struct tuple) == offsetof(struct tuple, low_port) + sizeof tail, "all");
    memcpy(&tail, (const uint8_t *)tuple + offsetof(struct tuple, low_port), sizeof tail);
    return tail;
}

static inline uint64_t tuple_hash(const struct keyed_hash *hash, const struct tuple *tuple)
{
    if (tuple->ip_version == 4) {
        uint32_t low, high;
        memcpy(&low, tuple->low_address, sizeof low);
        memcpy(&high, tuple->high_address, sizeof high);
        const uint64_t words[] = {low | (uint64_t)high << 32, tuple_tail(tuple)};
        return keyed_hash(hash, words, 2);
    }
    uint64_t words[6] = {0};
    memcpy(&words[0], tuple->low_address, 16);
    memcpy(&words[2], tuple->high_address, 16);
    words[4] = tuple_tail(tuple);
    return keyed_hash(hash, words, 6);
}

#endif
