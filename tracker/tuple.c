#include "tracker/tuple.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { PROTOCOL_ICMPV6 = 58 };

static uint8_t paired_type_ipv6(uint8_t type)
{
    if (type == 128 || type == 129)
        return (uint8_t)(257 - type);
    if (type == 139 || type == 140)
        return (uint8_t)(279 - type);
    return type;
}

/* The other type of the pairs of request and reply; others: the type itself. Source: RFC 792, 950;
 * RFC 4443, 4620. */
static uint8_t paired_type(uint8_t protocol, uint8_t type)
{
    if (protocol == PROTOCOL_ICMPV6)
        return paired_type_ipv6(type);
    switch (type) {
    case 0:
        return 8;
    case 8:
        return 0;
    case 13:
    case 14:
        return 27 - type;
    case 15:
    case 16:
        return 31 - type;
    case 17:
    case 18:
        return 35 - type;
    default:
        return type;
    }
}

/* Requests of one end are another connection than those of the other. Where an end talks to itself,
 * the greater type stands for the pair. */
uint16_t tuple_icmp(const struct packet *packet, bool is_high)
{
    uint8_t protocol = packet->protocol, type = packet->icmp_type;
    uint8_t other = paired_type(protocol, type);
    if (memcmp(packet->source_address, packet->destination_address, 16) == 0)
        type = type > other ? type : other;
    else if (is_high)
        type = other;
    return (uint16_t)(type << 8 | packet->icmp_code);
}

bool tuple_inner_is_high(const struct packet_inner *inner)
{
    int order = memcmp(inner->source_address, inner->destination_address, 16);
    return order > 0 || (order == 0 && inner->source_port > inner->destination_port);
}

bool tuple_of_inner(const struct packet *packet, struct tuple *tuple)
{
    if (!(packet->parts & PACKET_PART_INNER))
        return false;
    const struct packet_inner *inner = &packet->inner;
    struct packet quoted = {
        .zone = packet->zone,
        .protocol = inner->protocol,
        .icmp_type = inner->icmp_type,
        .icmp_code = inner->icmp_code,
        .source_port = inner->source_port,
        .destination_port = inner->destination_port,
    };
    unsigned marks = packet->marks & (PACKET_MARK_IPV4 | PACKET_MARK_IPV6);
    marks |= inner->has_ports ? PACKET_MARK_PORTS : 0;
    marks |= tuple_inner_is_high(inner) ? PACKET_MARK_SOURCE_IS_HIGH : 0;
    quoted.marks = (uint8_t)marks;
    memcpy(quoted.source_address, inner->source_address, 16);
    memcpy(quoted.destination_address, inner->destination_address, 16);
    tuple_of_packet(&quoted, tuple);
    return true;
}

/* Written by words, which the hash reads without waiting. They are, in this order: low_address,
 * high_address; low_port, high_port, zone, the ICMP types that each end sends; protocol,
 * ip_version, has_ports and five zeros; start_ns. */
uint64_t tuple_flow_id(const struct tuple *tuple, int64_t start_ns)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "wanmeter flow id";
    uint64_t words[7], id;
    uint64_t icmp = tuple_is_icmp(tuple) ? tuple->icmp : 0;
    memcpy(&words[0], tuple->low_address, 16);
    memcpy(&words[2], tuple->high_address, 16);
    words[4] = tuple->low_port | (uint64_t)tuple_high_port(tuple) << 16 |
               (uint64_t)tuple->zone << 32 | icmp << 48;
    words[5] =
        tuple->protocol | (uint64_t)tuple->ip_version << 8 | (uint64_t)tuple->has_ports << 16;
    words[6] = (uint64_t)start_ns;
    static_assert(sizeof id == crypto_shorthash_BYTES, "SipHash-2-4 gives 64 bits");
    crypto_shorthash((uint8_t *)&id, (const uint8_t *)words, sizeof words, key);
    return id;
}
