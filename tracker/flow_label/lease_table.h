/* lease_table: the leases by label, in chains as the kernel's, so that they are listed in its
 * order. For the rooms of flow_label.c. */
#ifndef WANMETER_TRACKER_LEASE_TABLE_H
#define WANMETER_TRACKER_LEASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "tracker/flow_label.h"

enum { LEASE_CHAINS = 256 };

/* Places are numbered from 1; 0: none. */
struct lease_table {
    struct lease leases[FLOW_LABEL_LEASES_MAX];
    uint16_t chains[LEASE_CHAINS]; /* the newest first */
    uint16_t first_free;
    size_t n;
};

void lease_table_init(struct lease_table *table);
void lease_table_deinit(struct lease_table *table);

/* NULL: none has this label. */
struct lease *lease_table_find(const struct lease_table *table, uint32_t label);

/* A zeroed lease of this label, which none has; NULL: there are FLOW_LABEL_LEASES_MAX. */
struct lease *lease_table_add(struct lease_table *table, uint32_t label);

/* Forgets what has no users and whose time is over. */
void lease_table_expire(struct lease_table *table, int64_t now_ns);

/* In the order of the chains: pass NULL first. NULL: that was the last. */
const struct lease *lease_table_next(const struct lease_table *table, const struct lease *before);

bool lease_is_over(const struct lease *lease, int64_t now_ns);

#endif
