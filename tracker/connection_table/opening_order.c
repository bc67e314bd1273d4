#include "tracker/connection_table/opening_order.h"

#include <assert.h>
#include <stddef.h>

#include "tracker/connection_table/mapping.h"

enum {
    SPARE = 4096, /* references that may be over, beside half as many as are not */
    AHEAD = 16    /* entries that are asked for before they are looked at */
};

static size_t places_size(const struct opening_order *order)
{
    const size_t n_max = order->slab->n_max;
    return (n_max + n_max / 2 + SPARE + 1) * sizeof *order->places;
}

int opening_order_init(struct opening_order *order, const struct connection_slab *slab)
{
    void *memory;
    *order = (struct opening_order){.slab = slab};
    int result = mapping_create(places_size(order), &memory);
    if (result == 0)
        order->places = memory;
    return result;
}

void opening_order_deinit(struct opening_order *order)
{
    if (order->places != NULL)
        mapping_destroy(order->places, places_size(order));
}

static uint32_t *opened_at(const struct opening_order *order, uint32_t position)
{
    return &order->slab->entries[order->places[position]].opened;
}

static bool is_open(const struct opening_order *order, uint32_t position)
{
    return *opened_at(order, position) == position + 1;
}

/* Drops those that are over. */
static void compact(struct opening_order *order)
{
    uint32_t n = 0, in_turn = 0;
    for (uint32_t position = 0; position < order->n; position++) {
        if (position + AHEAD < order->n)
            __builtin_prefetch(opened_at(order, position + AHEAD), 1);
        if (position == order->in_turn)
            in_turn = n;
        if (!is_open(order, position))
            continue;
        order->places[n] = order->places[position];
        *opened_at(order, n) = n + 1;
        n++;
    }
    order->in_turn = order->in_turn < order->n ? in_turn : n;
    order->n = n;
}

void opening_order_add(struct opening_order *order, uint32_t place)
{
    uint32_t *opened = &order->slab->entries[place].opened;
    assert(*opened == 0);
    if (order->n - order->n_open >= SPARE && order->n - order->n_open >= order->n_open / 2)
        compact(order);
    order->places[order->n] = place;
    *opened = ++order->n;
    order->n_open++;
}

void opening_order_remove(struct opening_order *order, uint32_t place)
{
    uint32_t *opened = &order->slab->entries[place].opened;
    assert(*opened != 0);
    *opened = 0;
    order->n_open--;
}

bool opening_order_next(struct opening_order *order, uint32_t *place)
{
    if (order->n_open == 0)
        return false;
    for (;;) {
        if (order->in_turn == order->n)
            order->in_turn = 0;
        uint32_t position = order->in_turn++;
        *place = order->places[position];
        if (is_open(order, position))
            return true;
    }
}
