/* ICMP and ICMPv6 other than errors (which are about another connection): only a request begins
 * something, one timeout, never assured. Source: RFC 792, 950; RFC 4443, 4620; Linux
 * nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c (6.18). */
#include "tracker/protocol.h"

static bool is_request(uint8_t type)
{
    return type == 8 || type == 13 || type == 15 || type == 17;
}

/* Multicast listeners, neighbours, multicast routers: of the link, not of a connection. */
static bool is_of_the_link(uint8_t type)
{
    return (type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152;
}

static enum protocol_verdict on_icmp(const struct protocol_context *context,
                                     struct connection *connection, unsigned direction,
                                     const struct packet *packet, int64_t *timeout_ns)
{
    if (connection->state == STATE_NONE && !is_request(packet->icmp_type))
        return VERDICT_INVALID;
    protocol_see_direction(connection, direction);
    *timeout_ns = context->timeouts->icmp_ns;
    return VERDICT_ACCEPT;
}

static enum protocol_verdict on_icmpv6(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns)
{
    bool is_query = packet->icmp_type == 128 || packet->icmp_type == 139;
    if (is_of_the_link(packet->icmp_type))
        return VERDICT_UNTRACKED;
    if (connection->state == STATE_NONE && !is_query)
        return VERDICT_INVALID;
    protocol_see_direction(connection, direction);
    *timeout_ns = context->timeouts->icmpv6_ns;
    return VERDICT_ACCEPT;
}

/* ICMP within IPv6, ICMPv6 within IPv4. */
static enum protocol_verdict on_impossible(const struct protocol_context *context,
                                           struct connection *connection, unsigned direction,
                                           const struct packet *packet, int64_t *timeout_ns)
{
    (void)context;
    (void)connection;
    (void)direction;
    (void)packet;
    (void)timeout_ns;
    return VERDICT_INVALID;
}

const struct protocol protocol_icmp = {"icmp", on_icmp};
const struct protocol protocol_icmpv6 = {"icmpv6", on_icmpv6};
const struct protocol protocol_impossible = {"impossible", on_impossible};
