#include "capture/decode/decode_walk.h"

/* Sources: RFC 791, section 3.1; RFC 8200, sections 3 and 4; RFC 2675 (jumbo payload); RFC 4302
 * (AH). */

enum {
    IPV4_MORE_FRAGMENTS = 0x2000,
    IPV4_OFFSET_MASK = 0x1fff,
    FRAGMENT_MORE = 0x0001,
    FRAGMENT_OFFSET_MASK = 0xfff8,
    EXTENSION_MIN = 8,
    OPTION_PAD1 = 0,
    OPTION_JUMBO = 0xc2,
    JUMBO_OPTION_SIZE = 4,
};

/* A packet that says it is longer than its frame is refused by whom it is for. */
static inline void set_ip_end(struct walk *walk, uint32_t l3_bytes)
{
    uint32_t captured = walk->captured_bytes - walk->ip_at;
    walk->packet->l3_bytes = l3_bytes;
    walk->packet->is_invalid = l3_bytes > walk->wire_bytes - walk->ip_at;
    walk->ip_end = walk->ip_at + (l3_bytes < captured ? l3_bytes : captured);
}

/* One that is longer than its frame is in no datagram. */
static void mark_fragment(struct packet *packet, const struct fragment *fragment)
{
    if (packet->is_invalid)
        packet->extra |= PACKET_HELD;
    if (fragment->offset_bytes)
        packet->marks |= PACKET_MARK_LATER_FRAGMENT;
    else if (fragment->has_more)
        packet->marks |= PACKET_MARK_FIRST_FRAGMENT;
}

/* 'header_bytes' may be more than is captured, or than the whole packet if it is cut. */
static __attribute__((noinline)) void
note_ipv4_fragment(const struct walk *walk, const uint8_t *header, uint32_t header_bytes)
{
    uint16_t field = read_be16(header + 6);
    walk->layers->is_fragment = true;
    walk->layers->fragment = (struct fragment){
        .bytes = walk->bytes + walk->at,
        .captured_bytes = walk->ip_end - walk->at,
        .payload_bytes = walk->packet->l3_bytes - header_bytes,
        .offset_bytes = (field & IPV4_OFFSET_MASK) * 8u,
        .header_bytes = header_bytes,
        .id = read_be16(header + 4),
        .next_header = walk->packet->protocol,
        .has_more = field & IPV4_MORE_FRAGMENTS,
    };
    mark_fragment(walk->packet, &walk->layers->fragment);
}

/* A header whose options are cut still has addresses and a length that can be billed: the fixed 20
 * bytes suffice, and what follows them is then empty. A length of 0 is what a sender's own capture
 * shows where the network card cuts the segments, and what BIG TCP writes: the rest of the frame.
 */
static enum malformed_cause ipv4_decode(struct walk *walk)
{
    const uint8_t *header = walk->bytes + walk->at;
    uint32_t header_bytes = (header[0] & 0xfu) * 4;
    if (walk->captured_bytes - walk->at < IPV4_HEADER_MIN || header_bytes < IPV4_HEADER_MIN)
        return MALFORMED_IP_HEADER;
    uint32_t l3_bytes = read_be16(header + 2);
    struct packet *packet = walk->packet;
    if (l3_bytes == 0) {
        l3_bytes = walk->wire_bytes - walk->at;
        packet->extra |= PACKET_HELD; /* its receiver looks no further */
    }
    if (l3_bytes < header_bytes)
        return MALFORMED_IP_LENGTH;

    ipv4_read(header, packet);
    set_ip_end(walk, l3_bytes);

    uint32_t captured = walk->ip_end - walk->at;
    walk->at += header_bytes < captured ? header_bytes : captured;
    if (read_be16(header + 6) & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK))
        note_ipv4_fragment(walk, header, header_bytes);
    return MALFORMED_NONE;
}

static uint32_t jumbo_option(const uint8_t *options, uint32_t size)
{
    for (uint32_t at = 0; at + 1 < size;) {
        if (options[at] == OPTION_PAD1) {
            at++;
            continue;
        }
        uint32_t option_bytes = options[at + 1];
        if (option_bytes > size - at - 2)
            break;
        if (options[at] == OPTION_JUMBO && option_bytes == JUMBO_OPTION_SIZE)
            return read_be32(options + at + 2);
        at += 2 + option_bytes;
    }
    return 0;
}

static void read_fragment_header(const uint8_t *header, uint32_t at, struct extensions *extensions)
{
    uint16_t field = read_be16(header + 2);
    extensions->has_fragment_header = true;
    extensions->more_fragments = field & FRAGMENT_MORE;
    extensions->fragment_next_header = header[0];
    extensions->fragment_offset = field & FRAGMENT_OFFSET_MASK;
    extensions->is_later_fragment = extensions->fragment_offset != 0;
    extensions->fragment_id = read_be32(header + 4);
    extensions->fragment_at = at + EXTENSION_MIN;
}

static uint32_t extension_size(uint8_t protocol, const uint8_t *header)
{
    switch (protocol) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_DESTINATION_OPTIONS:
        return (header[1] + 1u) * 8;
    case PROTOCOL_AH:
        return (header[1] + 2u) * 4;
    default:
        return EXTENSION_MIN; /* the fragment header: its second byte is reserved */
    }
}

static bool is_extension(uint8_t protocol)
{
    return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
           protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_AH ||
           protocol == PROTOCOL_DESTINATION_OPTIONS;
}

bool ipv6_skip_extensions(const uint8_t *bytes, uint32_t end, uint32_t *at, uint8_t *protocol,
                          struct extensions *extensions)
{
    memset(extensions, 0, sizeof *extensions);
    for (int n = 0; is_extension(*protocol); n++) {
        const uint8_t *header = bytes + *at;
        if (n == EXTENSION_HEADERS_MAX || end - *at < EXTENSION_MIN)
            return false;
        uint32_t size = extension_size(*protocol, header);
        if (size > end - *at)
            return false;
        if (*protocol == PROTOCOL_HOP_BY_HOP && !extensions->jumbo_bytes)
            extensions->jumbo_bytes = jumbo_option(header + 2, size - 2);
        if (*protocol == PROTOCOL_FRAGMENT && !extensions->has_fragment_header)
            read_fragment_header(header, *at, extensions);
        *protocol = header[0];
        *at += size;
        if (extensions->is_later_fragment)
            return true;
    }
    return true;
}

/* A payload length of 0: none with no next header; a jumbogram's with its option, as far as the
 * frame on the wire can hold it (RFC 2675, section 3: above 65535); else the rest of the frame. */
static uint32_t ipv6_length(const struct walk *walk, uint16_t payload_bytes, uint8_t next_header)
{
    if (payload_bytes)
        return IPV6_HEADER_SIZE + payload_bytes;
    if (next_header == PROTOCOL_NO_NEXT_HEADER)
        return IPV6_HEADER_SIZE;

    uint32_t at = walk->at + IPV6_HEADER_SIZE;
    uint32_t rest_of_frame = walk->wire_bytes - walk->at;
    struct extensions extensions;
    ipv6_skip_extensions(walk->bytes, walk->captured_bytes, &at, &next_header, &extensions);
    if (extensions.jumbo_bytes > UINT16_MAX &&
        extensions.jumbo_bytes <= rest_of_frame - IPV6_HEADER_SIZE)
        return IPV6_HEADER_SIZE + extensions.jumbo_bytes;
    return rest_of_frame;
}

/* RFC 8200, section 4.5: a first fragment has all headers up to the upper layer's. How much of that
 * one Linux wants to see: ipv6frag_thdr_truncated(). */
static bool lacks_headers(uint8_t protocol, uint32_t bytes)
{
    if (protocol == PROTOCOL_TCP)
        return bytes < TCP_HEADER_MIN;
    if (protocol == PROTOCOL_UDP)
        return bytes < UDP_HEADER_SIZE;
    if (protocol == PROTOCOL_ICMPV6)
        return bytes < ICMP_HEADER_SIZE;
    return protocol != PROTOCOL_NO_NEXT_HEADER && bytes == 0;
}

/* 'is_complete': walk->at is behind all extension headers. */
static __attribute__((noinline)) void
note_ipv6_fragment(const struct walk *walk, const struct extensions *extensions, bool is_complete)
{
    uint32_t ip_bytes = walk->packet->l3_bytes;
    uint32_t fragment_at = extensions->fragment_at - walk->ip_at;
    bool is_first = extensions->fragment_offset == 0;
    walk->layers->is_fragment = true;
    walk->layers->fragment = (struct fragment){
        .bytes = walk->bytes + extensions->fragment_at,
        .captured_bytes = walk->ip_end - extensions->fragment_at,
        .payload_bytes = ip_bytes - fragment_at,
        .offset_bytes = extensions->fragment_offset,
        .header_bytes = fragment_at - EXTENSION_MIN,
        .id = extensions->fragment_id,
        .next_header = extensions->fragment_next_header,
        .has_more = extensions->more_fragments,
        .lacks_headers = is_first && is_complete &&
                         lacks_headers(walk->packet->protocol, ip_bytes - (walk->at - walk->ip_at)),
    };
    mark_fragment(walk->packet, &walk->layers->fragment);
}

/* Of an empty packet its receiver sees no header, whatever follows in the frame: does it look for
 * one? Behind hop-by-hop options the length may be a jumbo payload's. */
static bool needs_payload(uint8_t next_header)
{
    switch (next_header) {
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case PROTOCOL_UDPLITE:
    case PROTOCOL_ICMPV6:
    case PROTOCOL_SCTP:
        return true;
    default:
        return next_header != PROTOCOL_HOP_BY_HOP && is_extension(next_header);
    }
}

static enum malformed_cause ipv6_decode(struct walk *walk)
{
    const uint8_t *header = walk->bytes + walk->at;
    if (walk->captured_bytes - walk->at < IPV6_HEADER_SIZE)
        return MALFORMED_IP_HEADER;

    struct packet *packet = walk->packet;
    uint8_t next_header = header[6];
    ipv6_read(header, packet);
    uint16_t payload_bytes = read_be16(header + 4);
    set_ip_end(walk, ipv6_length(walk, payload_bytes, next_header));
    packet->is_invalid |= payload_bytes == 0 && needs_payload(next_header);
    walk->at += IPV6_HEADER_SIZE;

    struct extensions extensions;
    bool is_complete =
        ipv6_skip_extensions(walk->bytes, walk->ip_end, &walk->at, &next_header, &extensions);
    packet->protocol = next_header;
    if (extensions.has_fragment_header)
        note_ipv6_fragment(walk, &extensions, is_complete);
    if (!is_complete)
        packet->class_index = CLASS_NO_PORTS;
    return MALFORMED_NONE;
}

enum malformed_cause ip_decode(struct walk *walk, enum network network)
{
    if (walk->at == walk->captured_bytes)
        return MALFORMED_IP_HEADER;
    walk->ip_at = walk->at;
    unsigned version = walk->bytes[walk->at] >> 4;
    if (version == 4 && network != NETWORK_IPV6)
        return ipv4_decode(walk);
    if (version == 6 && network != NETWORK_IPV4)
        return ipv6_decode(walk);
    return MALFORMED_IP_VERSION;
}
