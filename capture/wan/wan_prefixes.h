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
#include <string.h>

#include "common/config.h"
#include "proto/packet.h"

struct prefix4 {
    uint32_t network; /* as it lies in memory, both */
    uint32_t mask;
};

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

enum { SOURCE_IS_INSIDE = 1 << 0, DESTINATION_IS_INSIDE = 1 << 1 };

/* Which of an IPv4 packet's ends are inside. Without a branch: it changes from packet to packet. */
static inline unsigned wan_prefixes_inside4(const struct wan_prefixes *prefixes,
                                            const struct packet *packet)
{
    uint32_t source, destination;
    unsigned inside = 0;
    memcpy(&source, packet->source_address, sizeof source);
    memcpy(&destination, packet->destination_address, sizeof destination);
    for (const struct prefix4 *at = prefixes->v4, *end = at + prefixes->n4; at < end; at++) {
        inside |= (source & at->mask) == at->network ? SOURCE_IS_INSIDE : 0;
        inside |= (destination & at->mask) == at->network ? DESTINATION_IS_INSIDE : 0;
    }
    return inside;
}

unsigned wan_prefixes_inside6(const struct wan_prefixes *prefixes, const struct packet *packet);

/* Up: from inside to outside; down: the reverse; none: both ends on one side, or no IP packet. */
static inline enum direction wan_prefixes_direction(const struct wan_prefixes *prefixes,
                                                    const struct packet *packet)
{
    static const uint8_t directions[] = {[SOURCE_IS_INSIDE] = DIRECTION_UP,
                                         [DESTINATION_IS_INSIDE] = DIRECTION_DOWN,
                                         [SOURCE_IS_INSIDE | DESTINATION_IS_INSIDE] =
                                             DIRECTION_NONE};
    if (!wan_prefixes_has_any(prefixes) || !packet_is_ip(packet))
        return DIRECTION_NONE;
    if (packet->marks & PACKET_MARK_IPV6)
        return directions[wan_prefixes_inside6(prefixes, packet)];
    return directions[wan_prefixes_inside4(prefixes, packet)];
}

#endif
