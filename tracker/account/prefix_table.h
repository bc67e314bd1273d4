/* prefix_table: address prefixes and whose they are; the longest that holds an address has it.
 *
 *     prefix_table_init(&table);
 *     prefix_table_put(&table, &prefix, &owner);           0 or -ENOMEM
 *     account = prefix_table_lookup(&table, 4, address);
 *     entry = prefix_table_find(&table, &prefix);          this very prefix; NULL: it is nobody's
 *     prefix_table_remove(&table, &prefix);
 *     prefix_table_deinit(&table);
 *
 * One hash table per prefix length in use, asked from the longest to the shortest: a lookup costs
 * as many probes as there are different lengths, however many prefixes. Which slot an entry has
 * comes from a random key (clients may choose their addresses), and no answer depends on it but the
 * order of a walk. Not thread-safe. */
#ifndef WANMETER_TRACKER_PREFIX_TABLE_H
#define WANMETER_TRACKER_PREFIX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

enum { PREFIX_FAMILIES = 2, PREFIX_LENGTHS = 129 };

struct prefix_owner {
    int64_t since_ns; /* packet time; 0 with is_of_file */
    uint16_t account; /* 0: empty */
    bool is_of_file;  /* the configuration's, not a change's */
};

struct prefix_entry {
    uint64_t address[2]; /* its bits behind the prefix are 0 */
    struct prefix_owner owner;
};

/* The prefixes of one family and length: open addressing, at most half full. */
struct prefix_length {
    uint64_t mask[2];
    struct prefix_entry *entries; /* slots_mask + 1, a power of two */
    size_t slots_mask;
    size_t n;
    uint8_t length;
};

struct prefix_table {
    struct prefix_length lengths[PREFIX_FAMILIES][PREFIX_LENGTHS]; /* longest first */
    size_t n_lengths[PREFIX_FAMILIES];
    size_t n;
    uint64_t key[2];
};

void prefix_table_init(struct prefix_table *table);
void prefix_table_deinit(struct prefix_table *table);

/* 'family' is 4 or 6; 'address' has 4 or 16 bytes, network order. 0: nobody's. */
uint16_t prefix_table_lookup(const struct prefix_table *table, unsigned family,
                             const uint8_t *address);

const struct prefix_entry *prefix_table_find(const struct prefix_table *table,
                                             const struct config_prefix *prefix);

/* Also in place of another owner. */
int prefix_table_put(struct prefix_table *table, const struct config_prefix *prefix,
                     const struct prefix_owner *owner);

/* False: it was not there. */
bool prefix_table_remove(struct prefix_table *table, const struct config_prefix *prefix);

/* All of an account's; how many. */
size_t prefix_table_remove_account(struct prefix_table *table, uint16_t account);

/* The first entry at '*place' or behind it, and its prefix; '*place' is then behind it. NULL: no
 * more. Start with 0. */
const struct prefix_entry *prefix_table_next(const struct prefix_table *table, uint64_t *place,
                                             struct config_prefix *prefix);

#endif
