/* What an ICMP error is about. */
#include "tracker/flow/flow_internal.h"

#include <string.h>

#include "tracker/tuple.h"

/* The flow that an ICMP error is about, unless it is over; NULL: none. */
static const struct connection *flow_about(const struct flow_table *flows,
                                           const struct packet *packet)
{
    struct tuple tuple;
    if (!tuple_of_inner(packet, &tuple))
        return NULL;
    uint64_t hash = connection_table_hash(flows->connections, &tuple);
    const struct connection *connection = connection_table_find(flows->connections, &tuple, hash);
    return connection && connection->expires_ns > packet->clock_ns ? connection : NULL;
}

/* A redirect is of the link (RFC 4861, section 8.1). */
static bool is_error_possible(const struct packet *packet)
{
    enum { ICMPV6_REDIRECT = 137 };
    const uint8_t *source = packet->source_address;
    bool is_redirect = packet->marks & PACKET_MARK_IPV6 && packet->icmp_type == ICMPV6_REDIRECT;
    bool is_link_local = source[0] == 0xfe && (source[1] & 0xc0) == 0x80;
    bool is_damaged = packet->is_invalid || packet->marks & PACKET_MARK_BAD_CHECKSUM;
    return !is_damaged && (!is_redirect || is_link_local);
}

uint32_t flow_table_judge_error(const struct flow_table *flows, const struct packet *packet)
{
    if (packet->extra & PACKET_UNTRACKED)
        return 0;
    const struct connection *connection = flow_about(flows, packet);
    const struct packet_inner *inner = &packet->inner;
    if (!connection || !flow_is_connection(connection) || !is_error_possible(packet) ||
        memcmp(inner->source_address, packet->destination_address, 16) != 0)
        return CT_INVALID | CT_TRACKED;
    struct packet quoted = {
        .marks = tuple_inner_is_high(inner) ? PACKET_MARK_SOURCE_IS_HIGH : 0,
        .parts = packet->parts & PACKET_PART_ICMP,
        .icmp_type = inner->icmp_type,
    };
    bool is_about_original = flow_direction_of(connection, &quoted) == FLOW_ORIGINAL;
    return CT_RELATED | CT_TRACKED | (is_about_original ? CT_REPLY : 0u);
}

uint16_t flow_table_account_about(const struct flow_table *flows, const struct packet *packet,
                                  uint16_t *wan)
{
    const struct connection *connection = flow_about(flows, packet);
    if (!connection)
        return account_of_packet(flows->accounts, packet);
    if (!*wan)
        *wan = connection->wan;
    return flow_account_now(flows, connection);
}
