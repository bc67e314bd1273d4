#include "cli/bill/model_bounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/amount.h"
#include "common/overhead.h"

enum { LENGTH_MIN = 20, LENGTH_MAX = 65535 }; /* of an IP packet */

/* A corner of a hull: a length, and its cost in the model's parts of a byte. */
struct corner {
    int64_t length;
    int64_t cost;
};

struct hull {
    struct corner *corners; /* by length */
    size_t n;
};

struct model_bounds {
    char *name;
    struct overhead model;
    struct hull lower;
    struct hull upper;
    int64_t parts; /* of a byte */
    bool is_linear;
};

/* > 0: a to b to c turns left. Costs and lengths have less than 40 bits. */
static amount_integer turn(const struct corner *a, const struct corner *b, const struct corner *c)
{
    return (amount_integer)(b->length - a->length) * (c->cost - a->cost) -
           (amount_integer)(b->cost - a->cost) * (c->length - a->length);
}

/* Andrew's monotone chain: 'side' 1 for the lower hull, -1 for the upper. */
static void add_corner(struct hull *hull, struct corner corner, int side)
{
    while (hull->n >= 2 &&
           turn(&hull->corners[hull->n - 2], &hull->corners[hull->n - 1], &corner) * side <= 0)
        hull->n--;
    hull->corners[hull->n++] = corner;
}

static int make_hulls(struct model_bounds *bounds)
{
    size_t room = LENGTH_MAX - LENGTH_MIN + 1;
    bounds->lower.corners = calloc(room, sizeof(struct corner));
    bounds->upper.corners = calloc(room, sizeof(struct corner));
    if (bounds->lower.corners == NULL || bounds->upper.corners == NULL)
        return -ENOMEM;
    for (uint32_t length = LENGTH_MIN; length <= LENGTH_MAX; length++) {
        struct corner corner = {length, (int64_t)overhead_billed_parts(&bounds->model, length)};
        add_corner(&bounds->lower, corner, 1);
        add_corner(&bounds->upper, corner, -1);
    }
    bounds->is_linear = bounds->parts == 1 && bounds->lower.n == 2 && bounds->upper.n == 2;
    return 0;
}

int model_bounds_create(const char *model, struct model_bounds **out)
{
    struct model_bounds *bounds = calloc(1, sizeof *bounds);
    if (bounds == NULL)
        return -ENOMEM;
    bounds->name = strdup(model);
    int result = bounds->name == NULL                   ? -ENOMEM
                 : overhead_make(model, &bounds->model) ? 0
                                                        : -EINVAL;
    if (result == 0) {
        bounds->parts = overhead_parts(&bounds->model);
        result = make_hulls(bounds);
    }
    if (result < 0)
        model_bounds_destroy(bounds);
    else
        *out = bounds;
    return result;
}

void model_bounds_destroy(struct model_bounds *bounds)
{
    if (bounds == NULL)
        return;
    free(bounds->name);
    free(bounds->lower.corners);
    free(bounds->upper.corners);
    free(bounds);
}

const char *model_bounds_name(const struct model_bounds *bounds)
{
    return bounds->name;
}

bool model_bounds_has_state(const struct model_bounds *bounds)
{
    for (size_t i = 0; i < OVERHEAD_STEPS_MAX; i++) {
        enum overhead_operation operation = bounds->model.steps[i].operation;
        if (operation == OVERHEAD_VJ || operation == OVERHEAD_ESTIMATE)
            return true;
    }
    return false;
}

bool model_bounds_is_linear(const struct model_bounds *bounds)
{
    return bounds->is_linear;
}

int64_t model_bounds_packet(const struct model_bounds *bounds, uint32_t l3_bytes)
{
    return (int64_t)overhead_billed_bytes(&bounds->model, l3_bytes);
}

/* The last corner but one whose length is not above the mean. */
static size_t find_edge(const struct hull *hull, int64_t packets, int64_t bytes)
{
    size_t low = 0, high = hull->n - 2;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if ((amount_integer)hull->corners[middle].length * packets <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* packets * hull(bytes / packets), in bytes, rounded towards the side that keeps it a bound. */
static int64_t evaluate(const struct model_bounds *bounds, const struct hull *hull, int64_t packets,
                        int64_t bytes, bool is_upper)
{
    size_t edge = find_edge(hull, packets, bytes);
    const struct corner *a = &hull->corners[edge], *b = &hull->corners[edge + 1];
    amount_integer width = b->length - a->length;
    amount_integer parts =
        (amount_integer)a->cost * packets * width +
        (amount_integer)(b->cost - a->cost) * (bytes - (amount_integer)a->length * packets);
    amount_integer divisor = width * bounds->parts;
    if (parts <= 0)
        return 0;
    return (int64_t)((parts + (is_upper ? divisor - 1 : 0)) / divisor);
}

void model_bounds_of(const struct model_bounds *bounds, int64_t packets, int64_t l3_bytes,
                     struct model_range *range)
{
    *range = (struct model_range){0, 0};
    if (packets <= 0 || l3_bytes <= 0)
        return;
    if (packets == 1 && l3_bytes <= LENGTH_MAX && bounds->parts == 1) {
        range->low = range->high = model_bounds_packet(bounds, (uint32_t)l3_bytes);
        return;
    }
    range->low = evaluate(bounds, &bounds->lower, packets, l3_bytes, false);
    range->high = evaluate(bounds, &bounds->upper, packets, l3_bytes, true);
    if (bounds->parts == 1)
        return;
    range->low = range->low > packets ? range->low - packets : 0;
    range->high += packets;
}
