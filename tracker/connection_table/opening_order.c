#include "tracker/connection_table/opening_order.h"

#include <assert.h>
#include <stddef.h>

#include "tracker/connection_table/mapping.h"

enum { SPARE = 4096 }; /* references that may be over, beside as many as are not */

static size_t places_size(const struct opening_order *order)
{
    return (2 * (size_t)order->connections_max + SPARE) * sizeof *order->places;
}

static size_t positions_size(const struct opening_order *order)
{
    return order->connections_max * sizeof *order->positions;
}

int opening_order_init(struct opening_order *order, uint32_t connections_max)
{
    void *memory;
    *order = (struct opening_order){.connections_max = connections_max};
    int result = mapping_create(places_size(order), &memory);
    if (result < 0)
        return result;
    order->places = memory;
    result = mapping_create(positions_size(order), &memory);
    if (result < 0)
        return result;
    order->positions = memory;
    return 0;
}

void opening_order_deinit(struct opening_order *order)
{
    mapping_destroy(order->places, places_size(order));
    mapping_destroy(order->positions, positions_size(order));
}

static bool is_open(const struct opening_order *order, uint32_t position)
{
    return order->positions[order->places[position]] == position + 1;
}

/* Drops those that are over. */
static void compact(struct opening_order *order)
{
    uint32_t n = 0, in_turn = 0;
    for (uint32_t position = 0; position < order->n; position++) {
        if (position == order->in_turn)
            in_turn = n;
        if (!is_open(order, position))
            continue;
        uint32_t place = order->places[position];
        order->places[n++] = place;
        order->positions[place] = n;
    }
    order->in_turn = order->in_turn < order->n ? in_turn : n;
    order->n = n;
}

void opening_order_add(struct opening_order *order, uint32_t place)
{
    assert(order->positions[place] == 0);
    if (order->n - order->n_open >= SPARE && order->n >= 2 * order->n_open)
        compact(order);
    order->places[order->n] = place;
    order->positions[place] = ++order->n;
    order->n_open++;
}

void opening_order_remove(struct opening_order *order, uint32_t place)
{
    assert(order->positions[place] != 0);
    order->positions[place] = 0;
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
