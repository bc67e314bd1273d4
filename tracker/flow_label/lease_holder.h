/* lease_holder: who holds which leases. A holder is there while it holds something or reflects.
 *
 * For the rooms of flow_label.c. */
#ifndef WANMETER_TRACKER_LEASE_HOLDER_H
#define WANMETER_TRACKER_LEASE_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "tracker/flow_label.h"

/* Our own bounds, for holders of what others leased: the kernel's is its memory. */
enum { LEASE_HOLDERS_MAX = 4096, LEASE_REFERENCES_MAX = 16384 };

/* A holder's references to one lease. */
struct lease_reference {
    struct lease *lease;
    uint32_t n;
    uint16_t next; /* of the same holder, or free; places from 1 */
};

struct lease_holder {
    char name[FLOW_LABEL_HOLDER_NAME_MAX + 1];
    uint32_t uid;
    uint32_t n_references; /* over its leases */
    uint16_t first;        /* of its references */
    uint16_t next;         /* in its chain, or free */
    bool is_reflecting;
};

enum { HOLDER_CHAINS = 256 };

struct holder_table {
    struct lease_holder holders[LEASE_HOLDERS_MAX];
    struct lease_reference references[LEASE_REFERENCES_MAX];
    uint16_t chains[HOLDER_CHAINS];
    uint16_t first_free_holder;
    uint16_t first_free_reference;
};

void holder_table_init(struct holder_table *table);

/* NULL: it holds nothing. */
struct lease_holder *holder_table_find(struct holder_table *table, uint32_t uid, const char *name);

/* Finds or makes it; NULL: too many. */
struct lease_holder *holder_table_take(struct holder_table *table, uint32_t uid, const char *name);

/* Forgets the holder if nothing is left to know of it. */
void holder_table_settle(struct holder_table *table, struct lease_holder *holder);

/* The holder's reference to the lease of this label; NULL: none. */
struct lease_reference *holder_reference(struct holder_table *table,
                                         const struct lease_holder *holder, uint32_t label);

/* One reference more; false: too many. */
bool holder_link(struct holder_table *table, struct lease_holder *holder, struct lease *lease);

/* One reference less; the lease it was to. */
struct lease *holder_unlink(struct holder_table *table, struct lease_holder *holder,
                            struct lease_reference *reference);

#endif
