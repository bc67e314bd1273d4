/* tuple_hash: where a tuple is looked for.
 *
 * Fields are read as they were written: a wide load over narrow stores just made would wait. Of
 * IPv4, 16 bytes are hashed. */
#ifndef WANMETER_TRACKER_TUPLE_HASH_H
#define WANMETER_TRACKER_TUPLE_HASH_H

#include <stdint.h>
#include <string.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/keyed_hash.h"

static inline uint64_t tuple_tail(const struct tuple *tuple)
{
    return tuple->low_port | (uint64_t)tuple->high_port << 16 | (uint64_t)tuple->zone << 32 |
           (uint64_t)tuple->protocol << 48 | (uint64_t)tuple->ip_version << 56 |
           (uint64_t)tuple->has_ports << 60;
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
