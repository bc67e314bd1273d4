#include "exporter/open_flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 1024 };

/* Linear probing from the id's own place: ids are random already. record_id 0: free. */
struct open_flows {
    struct open_flow *places;
    size_t room; /* a power of two */
    size_t n;
};

int open_flows_create(struct open_flows **out)
{
    struct open_flows *open = calloc(1, sizeof *open);
    if (open)
        open->places = calloc(ROOM_MIN, sizeof *open->places);
    if (!open || !open->places) {
        free(open);
        return -ENOMEM;
    }
    open->room = ROOM_MIN;
    *out = open;
    return 0;
}

void open_flows_destroy(struct open_flows *open)
{
    if (!open)
        return;
    free(open->places);
    free(open);
}

static size_t place_of(const struct open_flows *open, uint64_t id)
{
    size_t place = id & (open->room - 1);
    while (open->places[place].record_id && open->places[place].id != id)
        place = (place + 1) & (open->room - 1);
    return place;
}

void open_flows_prefetch(const struct open_flows *open, uint64_t id)
{
    __builtin_prefetch(&open->places[id & (open->room - 1)]);
}

static int grow(struct open_flows *open)
{
    struct open_flows larger = {.room = 2 * open->room, .n = open->n};
    larger.places = calloc(larger.room, sizeof *larger.places);
    if (!larger.places)
        return -ENOMEM;
    for (size_t i = 0; i < open->room; i++)
        if (open->places[i].record_id)
            larger.places[place_of(&larger, open->places[i].id)] = open->places[i];
    free(open->places);
    *open = larger;
    return 0;
}

int open_flows_put(struct open_flows *open, const struct open_flow *flow)
{
    if (2 * (open->n + 1) > open->room && grow(open) < 0)
        return -ENOMEM;
    struct open_flow *place = &open->places[place_of(open, flow->id)];
    open->n += place->record_id == 0;
    *place = *flow;
    return 0;
}

/* What comes behind moves up, as far as its own place allows: no probe may end at the hole. */
void open_flows_remove(struct open_flows *open, uint64_t id)
{
    size_t mask = open->room - 1;
    size_t hole = place_of(open, id);
    if (!open->places[hole].record_id)
        return;
    for (size_t next = (hole + 1) & mask; open->places[next].record_id; next = (next + 1) & mask) {
        size_t own = open->places[next].id & mask;
        if (((next - own) & mask) < ((next - hole) & mask))
            continue;
        open->places[hole] = open->places[next];
        hole = next;
    }
    open->places[hole] = (struct open_flow){0};
    open->n--;
}

void open_flows_clear(struct open_flows *open)
{
    memset(open->places, 0, open->room * sizeof *open->places);
    open->n = 0;
}

size_t open_flows_room(const struct open_flows *open)
{
    return open->room;
}

const struct open_flow *open_flows_at(const struct open_flows *open, size_t place)
{
    return open->places[place].record_id ? &open->places[place] : NULL;
}
