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

/* Without a branch: which end is inside changes from packet to packet. */
static inline bool wan_prefixes_has4(const struct wan_prefixes *prefixes, const uint8_t *bytes)
{
    uint32_t address;
    bool is_inside = false;
    memcpy(&address, bytes, sizeof address);
    for (size_t i = 0; i < prefixes->n4; i++)
        is_inside |= (address & prefixes->v4[i].mask) == prefixes->v4[i].network;
    return is_inside;
}

bool wan_prefixes_has6(const struct wan_prefixes *prefixes, const uint8_t *bytes);

/* Up: from inside to outside; down: the reverse; none: both ends on one side, or no IP packet. */
static inline enum direction wan_prefixes_direction(const struct wan_prefixes *prefixes,
                                                    const struct packet *packet)
{
    if (!wan_prefixes_has_any(prefixes) || !packet_is_ip(packet))
        return DIRECTION_NONE;
    static const uint8_t by_inside[2][2] = {{DIRECTION_NONE, DIRECTION_DOWN},
                                            {DIRECTION_UP, DIRECTION_NONE}};
    const uint8_t *source = packet->source_address, *destination = packet->destination_address;
    if (packet->marks & PACKET_MARK_IPV6)
        return by_inside[wan_prefixes_has6(prefixes, source)]
                        [wan_prefixes_has6(prefixes, destination)];
    return by_inside[wan_prefixes_has4(prefixes, source)][wan_prefixes_has4(prefixes, destination)];
}

#endif
