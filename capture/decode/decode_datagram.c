#include "capture/decode/decode_walk.h"

/* What the datagram says of itself. False: its extension headers are not all there. */
static bool decode_whole(const struct datagram *datagram, struct packet *whole, struct walk *walk)
{
    struct extensions extensions = {0};
    bool is_complete = true;
    whole->protocol = datagram->next_header;
    if (whole->marks & PACKET_MARK_IPV6)
        is_complete = ipv6_skip_extensions(walk->bytes, walk->ip_end, &walk->at, &whole->protocol,
                                           &extensions);
    bool is_later = datagram->is_lone_later || extensions.is_later_fragment;
    if (!is_complete || is_later) {
        whole->class_index = CLASS_NO_PORTS;
        whole->is_invalid = is_later || datagram->captured_bytes == datagram->payload_bytes;
        return false;
    }
    transport_decode(walk);
    whole->is_invalid |=
        whole->class_index == CLASS_NO_PORTS && datagram->captured_bytes == datagram->payload_bytes;
    return whole->class_index != CLASS_NO_PORTS;
}

static void take_transport(struct packet *packet, const struct packet *whole)
{
    packet->class_index = whole->class_index;
    packet->protocol = whole->protocol;
    packet->source_port = whole->source_port;
    packet->destination_port = whole->destination_port;
    packet->marks |= whole->marks & PACKET_MARK_PORTS;
    packet->parts = whole->parts;
    packet->icmp_type = whole->icmp_type;
    packet->icmp_code = whole->icmp_code;
    if (whole->parts & PACKET_PART_SCTP)
        packet->sctp = whole->sctp;
    else
        packet->tcp = whole->tcp;
    packet->inner = whole->inner;
}

bool decode_datagram(const struct decoder *decoder, const struct datagram *datagram,
                     struct packet *packet, struct layers *layers)
{
    struct packet whole = {
        .l3_bytes = datagram->payload_bytes,
        .marks = packet->marks & (PACKET_MARK_IPV4 | PACKET_MARK_IPV6),
    };
    memcpy(whole.source_address, packet->source_address, sizeof whole.source_address);
    memcpy(whole.destination_address, packet->destination_address,
           sizeof whole.destination_address);
    if (datagram->captured_bytes < datagram->payload_bytes)
        whole.marks |= PACKET_MARK_SNAPPED;

    struct walk walk = {
        .bytes = datagram->bytes,
        .packet = &whole,
        .layers = layers,
        .captured_bytes = datagram->captured_bytes,
        .ip_end = datagram->captured_bytes,
        .wire_bytes = datagram->payload_bytes,
    };
    layers->transport = NULL;
    bool has_tuple = decode_whole(datagram, &whole, &walk);
    packet->extra |= PACKET_COMPLETES;
    packet->datagram_bytes = datagram->l3_bytes;
    packet->is_invalid = whole.is_invalid;
    if (!has_tuple)
        return false;
    bool is_all_captured = datagram->captured_bytes == datagram->payload_bytes;
    if (decoder->verifies_checksums && is_all_captured &&
        !checksum_is_right(&whole, walk.bytes + walk.at, walk.ip_end - walk.at))
        packet->marks |= PACKET_MARK_BAD_CHECKSUM;
    take_transport(packet, &whole);
    return true;
}
