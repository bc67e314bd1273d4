/* trait_table: each value of traits that connections have or had, once, by number.
 *
 *     trait_table_init(&table);
 *     number = trait_table_number(&table, &traits);       TRAITS_OWN: there is no room for another
 *     traits = &table.values[number];
 *     trait_table_deinit(&table);
 *
 * Rules write few values, so a number of 16 bits is enough. Values are never forgotten: who changes
 * the marks of single connections fills the table in the end, and new values are kept with their
 * connections from then on. Mapped at start and touched as used. */
#ifndef WANMETER_TRACKER_TRAIT_TABLE_H
#define WANMETER_TRACKER_TRAIT_TABLE_H

#include <stdint.h>

#include "tracker/connection_table.h"

struct trait_table {
    struct connection_traits *values; /* of TRAITS_NONE: all zero */
    uint16_t *places;                 /* open addressing: number; 0: empty */
    uint32_t n;                       /* values, that of TRAITS_NONE with them */
    uint16_t last;                    /* that was asked for */
};

/* 0 or -ENOMEM. */
int trait_table_init(struct trait_table *table);
void trait_table_deinit(struct trait_table *table); /* a zeroed one as well */

uint16_t trait_table_number(struct trait_table *table, const struct connection_traits *traits);

#endif
