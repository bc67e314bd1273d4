/* model_bounds: what packets would cost by another overhead model, of which only the number and the
 * sum of their lengths are known.
 *
 *     model_bounds_create("pppoe-llcsnap", &bounds);
 *     model_bounds_of(bounds, packets, l3_bytes, &range);      range.low <= billed <= range.high
 *     model_bounds_destroy(bounds);
 *
 * A model that adds the same to every packet is exact (low = high), as is a single packet. Of
 * others the sum lies between the two convex hulls of the cost by length, at the mean length: the
 * narrowest range that number and sum allow, up to rounding to whole bytes. A model that costs
 * parts of a byte carries them from packet to packet of a flow: a byte a packet either way, at
 * most. One that compresses headers is taken as if it did not: what it leaves depends on packets
 * before. */
#ifndef WANMETER_CLI_BILL_MODEL_BOUNDS_H
#define WANMETER_CLI_BILL_MODEL_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

struct model_bounds;

struct model_range {
    int64_t low;
    int64_t high;
};

/* 0; -EINVAL: no such model; -ENOMEM. */
int model_bounds_create(const char *model, struct model_bounds **out);
void model_bounds_destroy(struct model_bounds *bounds); /* accepts NULL */

/* Of 'packets' packets of together 'l3_bytes' bytes; packets without an IP header (length 0) cost
 * nothing and are not to be among them. */
void model_bounds_of(const struct model_bounds *bounds, int64_t packets, int64_t l3_bytes,
                     struct model_range *range);

/* What one packet of this length costs. */
int64_t model_bounds_packet(const struct model_bounds *bounds, uint32_t l3_bytes);

/* As it was given. */
const char *model_bounds_name(const struct model_bounds *bounds);

/* Does the cost depend on packets before? Then there are no bounds: it costs less than 'high'. */
bool model_bounds_has_state(const struct model_bounds *bounds);

/* The same cost more for a packet of any length. */
bool model_bounds_is_linear(const struct model_bounds *bounds);

#endif
