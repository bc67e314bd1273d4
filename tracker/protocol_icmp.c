/* ICMP and ICMPv6 other than errors (which are about another connection): one timeout, never
 * assured. Source: RFC 792; RFC 4443; Linux nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c.
 */
#include "tracker/protocol.h"

static enum protocol_verdict on_icmp(const struct config *config, struct connection *connection,
                                     unsigned direction, const struct packet *packet,
                                     int64_t *timeout_ns)
{
    (void)packet;
    protocol_see_direction(connection, direction);
    *timeout_ns = config->timeouts.icmp_ns;
    return VERDICT_ACCEPT;
}

static enum protocol_verdict on_icmpv6(const struct config *config, struct connection *connection,
                                       unsigned direction, const struct packet *packet,
                                       int64_t *timeout_ns)
{
    (void)packet;
    protocol_see_direction(connection, direction);
    *timeout_ns = config->timeouts.icmpv6_ns;
    return VERDICT_ACCEPT;
}

const struct protocol protocol_icmp = {"icmp", on_icmp};
const struct protocol protocol_icmpv6 = {"icmpv6", on_icmpv6};
