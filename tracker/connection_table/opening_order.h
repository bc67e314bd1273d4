/* opening_order: the connections of a table in the order in which they were opened.
 *
 *     opening_order_init(&order, slab);
 *     opening_order_add(&order, place);               one was opened there
 *     opening_order_remove(&order, place);            it is over
 *     while (opening_order_next(&order, &place)) …     the next one in turn, each once a search
 *     opening_order_deinit(&order);
 *
 * Whom a full table evicts must depend on its packets alone. Places do not do for that: which one
 * is free depends on who was found to be over first, and that on when batches came. Of a packet
 * that opens a connection everybody before it is known, so this order is always the same.
 *
 * References to places, in order, and in each entry where its own is; of those that are over some
 * are left, and dropped when they are half as many as the rest. Mapped at start and touched as
 * used: 4 to 6 bytes a connection beside the entry's 4. Not thread-safe. */
#ifndef WANMETER_TRACKER_OPENING_ORDER_H
#define WANMETER_TRACKER_OPENING_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "tracker/connection_table/connection_slab.h"

/* An entry's 'opened': where in 'places' it is, + 1; 0: nobody is there. */
struct opening_order {
    const struct connection_slab *slab; /* kept, not copied */
    uint32_t *places;                   /* in the order of opening; some are over */
    uint32_t n;                         /* of 'places' */
    uint32_t n_open;                    /* of them, those that are not over */
    uint32_t in_turn;                   /* where the next search goes on, in 'places' */
};

/* 0 or -ENOMEM. */
int opening_order_init(struct opening_order *order, const struct connection_slab *slab);
void opening_order_deinit(struct opening_order *order); /* a zeroed one as well */

void opening_order_add(struct opening_order *order, uint32_t place);
void opening_order_remove(struct opening_order *order, uint32_t place);

/* Behind the last one it is the first one's turn. False: nobody is there. */
bool opening_order_next(struct opening_order *order, uint32_t *place);

#endif
