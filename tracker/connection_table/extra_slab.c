#include "tracker/connection_table/extra_slab.h"

#include <assert.h>

#include "tracker/connection_table/mapping.h"

int extra_slab_init(struct extra_slab *slab, uint32_t n_max)
{
    void *memory;
    slab->size = n_max * sizeof(struct connection_extra);
    int result = mapping_create(slab->size, &memory);
    if (result < 0)
        return result;
    slab->items = memory;
    slab->n_max = n_max;
    return 0;
}

void extra_slab_deinit(struct extra_slab *slab)
{
    if (slab->items != NULL)
        mapping_destroy(slab->items, slab->size);
}

struct connection_extra *extra_slab_take(struct extra_slab *slab)
{
    struct connection_extra *extra = slab->free;
    if (extra != NULL) {
        slab->free = extra->next_free;
    } else {
        assert(slab->n_touched < slab->n_max);
        extra = &slab->items[slab->n_touched++];
    }
    *extra = (struct connection_extra){0};
    return extra;
}

void extra_slab_give(struct extra_slab *slab, struct connection_extra *extra)
{
    extra->next_free = slab->free;
    slab->free = extra;
}
