#include "capture/decode/decode_walk.h"

/* Sources: RFC 9293, section 3.1; RFC 2018 (SACK); RFC 7323 (window scale); RFC 792, 950; RFC 4443,
 * 4620, 4861; Linux nf_conntrack for what a quoted packet must show. */

enum {
    PORTS_SIZE = 4,
    TCP_FLAGS_MASK = 0x3f,
    TCP_WINDOW_SCALE_MAX = 14, /* RFC 7323, section 2.3: more counts as 14 */
    UDP_LENGTH_AT = 4,         /* UDP-Lite: the checksum's coverage */
    UDP_CHECKSUM_AT = 6,
    GRE_VERSION_MASK = 0x7,
    GRE_VERSION_PPTP = 1,
    GRE_PROTOCOL_PPP = 0x880b,
    GRE_PPTP_SIZE = 8,
    GRE_CALL_ID_AT = 6,
    ICMP_ID_AT = 4,
    ICMPV6_ERROR_MAX = 127, /* RFC 4443, section 2.1 */
    ICMPV6_REDIRECT = 137,
    ICMPV6_REDIRECT_SIZE = 40,
    ND_OPTION_REDIRECTED_HEADER = 4,
    ND_REDIRECTED_HEADER_SIZE = 8,
    IPV4_OFFSET_MASK = 0x1fff,
};

enum tcp_option_kind {
    KIND_END = 0,
    KIND_NOP = 1,
    KIND_MSS = 2,
    KIND_WINDOW_SCALE = 3,
    KIND_SACK_PERMITTED = 4,
    KIND_SACK = 5
};

static inline bool has_ports(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE ||
           protocol == PROTOCOL_SCTP || protocol == PROTOCOL_DCCP;
}

/* The highest right edge, by sequence order, from the acknowledgment on. Of several such options
 * the first counts. */
static void read_sack(const uint8_t *blocks, uint32_t size, struct packet_tcp *tcp)
{
    if (tcp->options & TCP_OPTION_SACK)
        return;
    tcp->options &= (uint8_t)~TCP_OPTION_MSS; /* there is room for one of them */
    tcp->sack_right_edge = tcp->acknowledgment;
    tcp->options |= TCP_OPTION_SACK;
    for (uint32_t at = 0; at + 8 <= size; at += 8) {
        uint32_t right_edge = read_be32(blocks + at + 4);
        if ((int32_t)(tcp->sack_right_edge - right_edge) < 0)
            tcp->sack_right_edge = right_edge;
    }
}

static void read_tcp_option(const uint8_t *option, struct packet_tcp *tcp)
{
    uint32_t size = option[1];
    if (option[0] == KIND_WINDOW_SCALE && size == 3) {
        tcp->options |= TCP_OPTION_WINDOW_SCALE;
        tcp->window_scale = option[2] < TCP_WINDOW_SCALE_MAX ? option[2] : TCP_WINDOW_SCALE_MAX;
    } else if (option[0] == KIND_MSS && size == 4 && tcp->flags & TCP_SYN &&
               !(tcp->options & TCP_OPTION_SACK)) {
        tcp->options |= TCP_OPTION_MSS;
        tcp->sack_right_edge = read_be16(option + 2);
    } else if (option[0] == KIND_SACK_PERMITTED && size == 2) {
        tcp->options |= TCP_OPTION_SACK_PERMITTED;
    } else if (option[0] == KIND_SACK && size >= 10 && (size - 2) % 8 == 0) {
        read_sack(option + 2, size - 2, tcp);
    }
}

static void read_tcp_options(const uint8_t *options, uint32_t size, struct packet_tcp *tcp)
{
    static const uint8_t timestamps_only[] = {KIND_NOP, KIND_NOP, 8, 10};

    tcp->options |= TCP_OPTION_ANY;
    if (size == 12 && memcmp(options, timestamps_only, sizeof timestamps_only) == 0)
        return; /* most segments of most connections */
    for (uint32_t at = 0; at < size;) {
        if (options[at] == KIND_END)
            return;
        if (options[at] == KIND_NOP) {
            at++;
            continue;
        }
        if (size - at < 2 || options[at + 1] < 2 || options[at + 1] > size - at)
            return;
        read_tcp_option(options + at, tcp);
        at += options[at + 1];
    }
}

static inline void set_tcp_payload(struct packet_tcp *tcp, uint32_t bytes)
{
    tcp->payload_bytes = bytes < UINT16_MAX ? (uint16_t)bytes : UINT16_MAX;
}

/* The fixed part, all of it. */
static inline void read_tcp(const uint8_t *header, struct packet_tcp *tcp)
{
    tcp->sequence = read_be32(header + 4);
    tcp->acknowledgment = read_be32(header + 8);
    tcp->flags = header[13] & TCP_FLAGS_MASK;
    tcp->window = read_be16(header + 14);
}

/* What is captured of a TCP header whose fixed part is cut. */
static void read_cut_tcp(const uint8_t *header, uint32_t size, struct packet_tcp *tcp)
{
    if (size >= 8)
        tcp->sequence = read_be32(header + 4);
    if (size >= 12)
        tcp->acknowledgment = read_be32(header + 8);
    if (size >= 14)
        tcp->flags = header[13] & TCP_FLAGS_MASK;
    if (size >= 16)
        tcp->window = read_be16(header + 14);
}

/* One whose header is cut, or says that it is shorter or longer than it can be. A fragment may hold
 * less than the header without being wrong. */
static __attribute__((noinline)) void odd_tcp_decode(const struct packet *packet,
                                                     const uint8_t *header, uint32_t captured,
                                                     uint32_t length, struct packet_tcp *tcp)
{
    uint32_t header_bytes = captured > 12 ? (header[12] >> 4) * 4u : TCP_HEADER_MIN;
    bool is_short = length < TCP_HEADER_MIN || length < header_bytes;
    if (header_bytes < TCP_HEADER_MIN ||
        (is_short && !(packet->marks & PACKET_MARK_FIRST_FRAGMENT)))
        tcp->options |= TCP_HEADER_INVALID;
    if (header_bytes < TCP_HEADER_MIN)
        header_bytes = TCP_HEADER_MIN;
    set_tcp_payload(tcp, length > header_bytes ? length - header_bytes : 0);
    if (captured < TCP_HEADER_MIN) {
        tcp->options |= TCP_HEADER_CUT;
        read_cut_tcp(header, captured, tcp);
        return;
    }
    read_tcp(header, tcp);
    if (captured < header_bytes) {
        tcp->options |= TCP_HEADER_CUT;
        header_bytes = captured;
    }
    if (header_bytes > TCP_HEADER_MIN)
        read_tcp_options(header + TCP_HEADER_MIN, header_bytes - TCP_HEADER_MIN, tcp);
}

/* 'captured': bytes from the header on that are captured; 'length': that the IP length says. */
static inline void tcp_decode(struct packet *packet, const uint8_t *header, uint32_t captured,
                              uint32_t length)
{
    struct packet_tcp *tcp = &packet->tcp;
    packet->parts |= PACKET_PART_TCP;
    uint32_t header_bytes = captured < TCP_HEADER_MIN ? 0 : (header[12] >> 4) * 4u;
    if (header_bytes < TCP_HEADER_MIN || header_bytes > captured || header_bytes > length) {
        odd_tcp_decode(packet, header, captured, length, tcp);
        return;
    }
    set_tcp_payload(tcp, length - header_bytes);
    read_tcp(header, tcp);
    if (header_bytes > TCP_HEADER_MIN)
        read_tcp_options(header + TCP_HEADER_MIN, header_bytes - TCP_HEADER_MIN, tcp);
}

/* A fragment's length says nothing of the datagram's. */
static bool udp_is_invalid(const struct packet *packet, const uint8_t *header, uint32_t captured,
                           uint32_t length)
{
    if (packet->marks & PACKET_MARK_FIRST_FRAGMENT)
        return false;
    if (length < UDP_HEADER_SIZE)
        return true;
    if (captured < UDP_HEADER_SIZE)
        return false;
    uint32_t stated = read_be16(header + UDP_LENGTH_AT);
    if (packet->protocol == PROTOCOL_UDP)
        return stated < UDP_HEADER_SIZE || stated > length;
    bool is_bad_coverage = stated != 0 && (stated < UDP_HEADER_SIZE || stated > length);
    return is_bad_coverage || read_be16(header + UDP_CHECKSUM_AT) == 0;
}

/* Calls of PPTP are connections of their own; all other GRE between two addresses is one. */
static void gre_decode(struct packet *packet, const uint8_t *header, uint32_t captured)
{
    if (captured < GRE_PPTP_SIZE || (header[1] & GRE_VERSION_MASK) != GRE_VERSION_PPTP)
        return;
    if (read_be16(header + 2) == GRE_PROTOCOL_PPP)
        packet->destination_port = read_be16(header + GRE_CALL_ID_AT);
    else
        packet->is_invalid = true;
}

static bool icmp_has_id(bool is_ipv6, uint8_t type)
{
    if (is_ipv6)
        return type == 128 || type == 129 || type == 139 || type == 140;
    return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

static bool icmp_is_error(bool is_ipv6, uint8_t type)
{
    if (is_ipv6)
        return type <= ICMPV6_ERROR_MAX;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* Finds the transport header of a quoted packet. False: its header is not all there, or it is a
 * later fragment. */
static bool read_quoted_ip(const uint8_t *bytes, uint32_t size, bool is_ipv6,
                           struct packet_inner *inner, uint32_t *at)
{
    if (is_ipv6) {
        struct extensions extensions;
        if (size < IPV6_HEADER_SIZE || bytes[0] >> 4 != 6)
            return false;
        memcpy(inner->source_address, bytes + 8, 16);
        memcpy(inner->destination_address, bytes + 24, 16);
        inner->protocol = bytes[6];
        *at = IPV6_HEADER_SIZE;
        return ipv6_skip_extensions(bytes, size, at, &inner->protocol, &extensions) &&
               !extensions.is_later_fragment;
    }
    if (size < IPV4_HEADER_MIN || bytes[0] >> 4 != 4 || (bytes[0] & 0xf) < 5 ||
        (read_be16(bytes + 6) & IPV4_OFFSET_MASK))
        return false;
    memcpy(inner->source_address, bytes + 12, 4);
    memcpy(inner->destination_address, bytes + 16, 4);
    inner->protocol = bytes[9];
    *at = (bytes[0] & 0xfu) * 4;
    return *at <= size;
}

static bool read_quote(const uint8_t *bytes, uint32_t size, bool is_ipv6,
                       struct packet_inner *inner)
{
    uint32_t at;
    if (!read_quoted_ip(bytes, size, is_ipv6, inner, &at))
        return false;
    const uint8_t *header = bytes + at;
    if (has_ports(inner->protocol)) {
        if (size - at < PORTS_SIZE)
            return false;
        inner->source_port = read_be16(header);
        inner->destination_port = read_be16(header + 2);
        inner->has_ports = 1;
    } else if (inner->protocol == (is_ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP)) {
        if (size - at < ICMP_HEADER_SIZE)
            return false;
        inner->icmp_type = header[0];
        inner->icmp_code = header[1];
        inner->has_ports = icmp_has_id(is_ipv6, header[0]);
        if (inner->has_ports)
            inner->source_port = inner->destination_port = read_be16(header + ICMP_ID_AT);
    }
    return true;
}

static void quote_decode(struct packet *packet, const uint8_t *bytes, uint32_t size, bool is_ipv6)
{
    packet->class_index = CLASS_ICMP_ERROR;
    struct packet_inner inner = {0};
    if (read_quote(bytes, size, is_ipv6, &inner)) {
        packet->inner = inner;
        packet->parts |= PACKET_PART_INNER;
    }
}

/* A redirect quotes a packet if its first option is the redirected header (RFC 4861, 4.6.3). */
static bool redirect_quotes(const uint8_t *header, uint32_t size)
{
    return header[0] == ICMPV6_REDIRECT && header[1] == 0 &&
           size >= ICMPV6_REDIRECT_SIZE + ND_REDIRECTED_HEADER_SIZE &&
           header[ICMPV6_REDIRECT_SIZE] == ND_OPTION_REDIRECTED_HEADER;
}

static void icmp_decode(struct packet *packet, const uint8_t *header, uint32_t size, bool is_ipv6)
{
    enum { REDIRECT_QUOTE_AT = ICMPV6_REDIRECT_SIZE + ND_REDIRECTED_HEADER_SIZE };

    if (size < 2) {
        packet->class_index = CLASS_NO_PORTS;
        return;
    }
    packet->parts |= PACKET_PART_ICMP;
    packet->icmp_type = header[0];
    packet->icmp_code = header[1];
    bool is_short = size < ICMP_HEADER_SIZE && !(packet->marks & PACKET_MARK_SNAPPED);
    packet->is_invalid |= is_short && !(packet->marks & PACKET_MARK_FIRST_FRAGMENT);
    if (icmp_is_error(is_ipv6, header[0])) {
        uint32_t quote_at = size < ICMP_HEADER_SIZE ? size : ICMP_HEADER_SIZE;
        quote_decode(packet, header + quote_at, size - quote_at, is_ipv6);
    } else if (is_ipv6 && redirect_quotes(header, size)) {
        quote_decode(packet, header + REDIRECT_QUOTE_AT, size - REDIRECT_QUOTE_AT, is_ipv6);
    } else if (icmp_has_id(is_ipv6, header[0])) {
        if (size < ICMP_ID_AT + 2) {
            packet->class_index = CLASS_NO_PORTS;
            return;
        }
        packet->source_port = packet->destination_port = read_be16(header + ICMP_ID_AT);
        packet->marks |= PACKET_MARK_PORTS;
    }
}

/* Of a protocol without ports, or with what stands for them. */
static __attribute__((noinline)) void portless_decode(struct packet *packet, const uint8_t *header,
                                                      uint32_t captured)
{
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    if (packet->protocol == (is_ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP))
        icmp_decode(packet, header, captured, is_ipv6);
    else if (packet->protocol == PROTOCOL_GRE)
        gre_decode(packet, header, captured);
    else
        packet->is_invalid |= is_ipv6 && packet->protocol == PROTOCOL_NO_NEXT_HEADER;
}

void transport_decode_at(struct packet *packet, const uint8_t *header, uint32_t captured,
                         uint32_t length)
{
    if (!has_ports(packet->protocol)) {
        portless_decode(packet, header, captured);
        return;
    }
    if (captured < PORTS_SIZE) {
        packet->class_index = CLASS_NO_PORTS;
        return;
    }
    packet->source_port = read_be16(header);
    packet->destination_port = read_be16(header + 2);
    packet->marks |= PACKET_MARK_PORTS;
    if (packet->protocol == PROTOCOL_TCP)
        tcp_decode(packet, header, captured, length);
    else if (packet->protocol == PROTOCOL_SCTP)
        sctp_decode(packet, header, captured, length);
    else if (packet->protocol != PROTOCOL_DCCP)
        packet->is_invalid |= udp_is_invalid(packet, header, captured, length);
}

void transport_decode(struct walk *walk)
{
    struct packet *packet = walk->packet;
    if (packet->marks & PACKET_MARK_LATER_FRAGMENT)
        return;
    const uint8_t *header = walk->bytes + walk->at;
    uint32_t captured = walk->ip_end - walk->at;
    walk->layers->transport = header;
    walk->layers->transport_bytes = captured;
    transport_decode_at(packet, header, captured, packet->l3_bytes - (walk->at - walk->ip_at));
}
