/* extra_slab: room for what few connections have, one for each place of the table at most, mapped
 * at start and touched as used. */
#ifndef WANMETER_TRACKER_EXTRA_SLAB_H
#define WANMETER_TRACKER_EXTRA_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "tracker/connection_table.h"

struct extra_slab {
    struct connection_extra *items;
    struct connection_extra *free; /* linked by 'next_free' */
    size_t size;                   /* bytes */
    uint32_t n_max;
    uint32_t n_touched; /* ever used */
};

/* 0 or -ENOMEM. */
int extra_slab_init(struct extra_slab *slab, uint32_t n_max);
void extra_slab_deinit(struct extra_slab *slab); /* a zeroed one as well */

/* A zeroed one. There are as many as connections: it never ends while each takes one. */
struct connection_extra *extra_slab_take(struct extra_slab *slab);
void extra_slab_give(struct extra_slab *slab, struct connection_extra *extra);

#endif
