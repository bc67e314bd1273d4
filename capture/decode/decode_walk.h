/* decode_walk: how far into a frame the decoder has come; what its parts share.
 *
 *     network = link_decode(&walk, link_type);     decode_link.c: to the network header
 *     cause = ip_decode(&walk, network);           decode_ip.c: to the transport header
 *     transport_decode(&walk);                     decode_transport.c: ports, TCP, ICMP
 *     carrier_decode(decoder, &walk, &inner)       decode_carrier.c: to the frame inside
 *     checksum_verify(&walk);                      decode_checksum.c: are its sums right
 *
 * Offsets count from the beginning of the frame that is looked at (the captured one, or one inside
 * a mirror's carrier). 'at' never passes captured_bytes; nothing at or past it has been read. */
#ifndef WANMETER_CAPTURE_DECODE_WALK_H
#define WANMETER_CAPTURE_DECODE_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "capture/decode.h"

/* What the link layer says comes next. */
enum network {
    NETWORK_NON_IP,
    NETWORK_ARP,
    NETWORK_IP, /* IP of the version that its first bits name */
    NETWORK_IPV4,
    NETWORK_IPV6,
    NETWORK_LINK_CUT,  /* the frame ends within a link-layer header */
    NETWORK_LINK_DEEP, /* more than LINK_HEADERS_MAX of them */
};

/* IANA protocol numbers. */
enum protocol_number {
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_ICMP = 1,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_DCCP = 33,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_GRE = 47,
    PROTOCOL_AH = 51,
    PROTOCOL_ICMPV6 = 58,
    PROTOCOL_NO_NEXT_HEADER = 59,
    PROTOCOL_DESTINATION_OPTIONS = 60,
    PROTOCOL_SCTP = 132,
    PROTOCOL_UDPLITE = 136,
};

enum {
    IPV4_HEADER_MIN = 20,
    IPV6_HEADER_SIZE = 40,
    TCP_HEADER_MIN = 20,
    UDP_HEADER_SIZE = 8,
    ICMP_HEADER_SIZE = 8,
    SCTP_HEADER_SIZE = 12,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd
};

struct walk {
    const uint8_t *bytes;
    struct packet *packet;
    struct layers *layers;
    uint32_t captured_bytes;
    uint32_t at;             /* of the next header */
    uint32_t n_link_headers; /* tags and labels so far */
    uint32_t ip_at;          /* of the IP header */
    uint32_t ip_end;         /* of what is captured of the IP packet; padding lies behind it */
    uint32_t wire_bytes;
};

/* What stands before the first protocol that is no IPv6 extension header. */
struct extensions {
    uint32_t jumbo_bytes;     /* 0: no jumbo payload option */
    bool has_fragment_header; /* of several the first counts */
    bool more_fragments;
    bool is_later_fragment; /* the walk stops there: what follows is no header */
    uint8_t fragment_next_header;
    uint16_t fragment_offset;
    uint32_t fragment_id;
    uint32_t fragment_at; /* of what follows the fragment header */
};

static inline uint16_t read_be16(const uint8_t *bytes)
{
    uint16_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap16(number);
}

static inline uint32_t read_be32(const uint8_t *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap32(number);
}

/* The next 'size' bytes, and steps over them; NULL: not all of them are captured. */
static inline const uint8_t *walk_take(struct walk *walk, uint32_t size)
{
    if (walk->captured_bytes - walk->at < size)
        return NULL;
    const uint8_t *header = walk->bytes + walk->at;
    walk->at += size;
    return header;
}

/* A tag with id 0 carries a priority only and names no VLAN (802.1Q, table 9-2). */
static inline void layers_note_vlan(struct layers *layers, const uint8_t *tag)
{
    int32_t id = read_be16(tag) & 0x0fff;
    if (id == 0)
        return;
    if (layers->vlan < 0)
        layers->vlan = id;
    else if (layers->inner_vlan < 0)
        layers->inner_vlan = id;
}

/* What the fixed headers say for themselves, whatever their frame says: 20 and 40 bytes. */
static inline void ipv4_read(const uint8_t *header, struct packet *packet)
{
    packet->marks |= PACKET_MARK_IPV4;
    packet->protocol = header[9];
    memcpy(packet->source_address, header + 12, 4);
    memcpy(packet->destination_address, header + 16, 4);
}

static inline void ipv6_read(const uint8_t *header, struct packet *packet)
{
    enum { FLOW_LABEL_MASK = 0xfffff };
    packet->marks |= PACKET_MARK_IPV6;
    packet->protocol = header[6];
    packet->flow_label = read_be32(header) & FLOW_LABEL_MASK;
    memcpy(packet->source_address, header + 8, 16);
    memcpy(packet->destination_address, header + 24, 16);
}

/* The two ways of a frame to a packet, of which decode_frame() takes the one that it may: the
 * straight one is for what most frames are (true), and gives what the long one gives, which is for
 * every frame. */
bool decode_straight(const struct frame *frame, struct packet *packet, struct layers *layers);
void decode_long(const struct decoder *decoder, const struct frame *frame, struct packet *packet,
                 struct layers *layers);

/* Steps over all link-layer headers of a frame of 'link_type', and notes them in walk->layers. */
enum network link_decode(struct walk *walk, int32_t link_type);

/* Reads the IP header at walk->at and steps over it and its extensions. On MALFORMED_NONE the
 * packet has addresses, l3_bytes and marks, and CLASS_NO_PORTS if its extension headers are not all
 * there. */
enum malformed_cause ip_decode(struct walk *walk, enum network network);

/* Walks from '*at', where a header of '*protocol' begins, to the first that is no extension header,
 * as in RFC 8200, section 4. False: the chain is not all before 'end', or longer than
 * EXTENSION_HEADERS_MAX. */
bool ipv6_skip_extensions(const uint8_t *bytes, uint32_t end, uint32_t *at, uint8_t *protocol,
                          struct extensions *extensions);

/* Reads ports, TCP, SCTP and ICMP fields of what begins at walk->at and ends at walk->ip_end; sets
 * the class. */
void transport_decode(struct walk *walk);

/* The same of what begins at 'header'. 'captured': bytes from there on that are captured; 'length':
 * that the IP length says. */
void transport_decode_at(struct packet *packet, const uint8_t *header, uint32_t captured,
                         uint32_t length);

/* 'captured': bytes from the SCTP header on that are captured; 'length': that the IP length says.
 */
void sctp_decode(struct packet *packet, const uint8_t *header, uint32_t captured, uint32_t length);

/* Verifies the decoded packet as its receiver would: marks it where a sum or length is wrong. Of a
 * fragment only the IP header. */
void checksum_verify(struct walk *walk);

/* Is the transport checksum right of 'size' bytes, all there are of 'packet' behind its IP headers?
 * True where its protocol has none. */
bool checksum_is_right(const struct packet *packet, const uint8_t *bytes, uint32_t size);

/* Is the decoded packet the carrier of a mirrored frame that the decoder is to look into? Then
 * 'inner' is a walk at the beginning of that frame, and '*link_type' its link layer. */
bool carrier_decode(const struct decoder *decoder, const struct walk *walk, struct walk *inner,
                    int32_t *link_type);

#endif
