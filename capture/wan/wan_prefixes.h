/* wan_prefixes: on which side of a set of address blocks a packet's ends are.
 *
 *     wan_prefixes_create(items, n, &prefixes);
 *     direction = wan_prefixes_direction(&prefixes, &packet);
 *     wan_prefixes_destroy(&prefixes);
 *
 * Blocks are tried one by one, a masked compare each: sets are small (a site's own addresses). */
#ifndef WANMETER_CAPTURE_WAN_PREFIXES_H
#define WANMETER_CAPTURE_WAN_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"

struct prefix4;
struct prefix6;

struct wan_prefixes {
    struct prefix4 *v4;
    struct prefix6 *v6;
    size_t n4;
    size_t n6;
};

/* 0 or -ENOMEM. */
int wan_prefixes_create(const struct config_prefix *items, size_t n, struct wan_prefixes *prefixes);
void wan_prefixes_destroy(struct wan_prefixes *prefixes); /* also what is zeroed */

static inline bool wan_prefixes_has_any(const struct wan_prefixes *prefixes)
{
    return prefixes->n4 + prefixes->n6 > 0;
}

/* Up: from inside to outside; down: the reverse; none: both ends on one side, or no IP packet. */
enum direction wan_prefixes_direction(const struct wan_prefixes *prefixes,
                                      const struct packet *packet);

#endif
