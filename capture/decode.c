#include "capture/decode.h"

#include <assert.h>

#include "capture/decode/decode_walk.h"

static bool names(const struct config_text_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

void decode_init(struct decoder *decoder, const struct config *config)
{
    const struct config_text_list *carriers = &config->capture.decapsulate;
    *decoder = (struct decoder){
        .unwrap_erspan = names(carriers, "erspan"),
        .unwrap_tzsp = names(carriers, "tzsp"),
        .unwrap_vxlan = names(carriers, "vxlan"),
        .unwrap_gre = names(carriers, "gre"),
        .tzsp_port = (uint16_t)config->capture.tzsp_port,
        .vxlan_port = (uint16_t)config->capture.vxlan_port,
        .verifies_checksums = config->conntrack.checksum,
    };
    decoder->may_go_straight = !decoder->unwrap_erspan && !decoder->unwrap_tzsp &&
                               !decoder->unwrap_vxlan && !decoder->unwrap_gre &&
                               !decoder->verifies_checksums;
}

static void set_malformed(struct packet *packet, enum malformed_cause cause)
{
    packet->class_index = CLASS_MALFORMED;
    packet->malformed_cause = (uint8_t)cause;
}

/* In pieces: GCC makes of a memset of more than 80 bytes a 'rep stos', which takes as long as a
 * third of all decoding. */
static inline void clear_packet(struct packet *packet)
{
    enum { PIECE = 64, REST = sizeof *packet - 2 * PIECE };
    static_assert(REST <= 80, "no 'rep stos'");
    memset(packet, 0, PIECE);
    memset((uint8_t *)packet + PIECE, 0, PIECE);
    memset((uint8_t *)packet + 2 * PIECE, 0, REST);
}

/* 'fragment' is set where it is one. */
static inline void clear_layers(struct layers *layers)
{
    layers->source_mac = layers->destination_mac = NULL;
    layers->vlan = layers->inner_vlan = layers->pppoe_session = layers->mpls_label = -1;
    layers->pppoe_opened = layers->pppoe_closed = -1;
    layers->is_fragment = false;
    layers->transport = layers->network = NULL;
}

static void decode_ip_packet(struct walk *walk, enum network network)
{
    enum malformed_cause cause = ip_decode(walk, network);
    if (cause != MALFORMED_NONE) {
        set_malformed(walk->packet, cause);
        return;
    }
    walk->layers->network = walk->bytes + walk->ip_at;
    walk->layers->network_bytes = walk->ip_end - walk->ip_at;
    if (walk->packet->class_index == CLASS_CONNECTION)
        transport_decode(walk);
}

/* One frame, without looking into what it carries. */
static void decode_layers(struct walk *walk, int32_t link_type, int64_t time_ns)
{
    struct packet *packet = walk->packet;
    clear_packet(packet);
    packet->time_ns = time_ns;
    packet->l2_bytes = walk->wire_bytes;
    if (walk->captured_bytes < walk->wire_bytes)
        packet->marks = PACKET_MARK_SNAPPED;
    clear_layers(walk->layers);

    enum network network = link_decode(walk, link_type);
    switch (network) {
    case NETWORK_IP:
    case NETWORK_IPV4:
    case NETWORK_IPV6:
        decode_ip_packet(walk, network);
        break;
    case NETWORK_ARP:
        packet->class_index = CLASS_ARP;
        break;
    case NETWORK_NON_IP:
        packet->class_index = CLASS_NON_IP;
        break;
    case NETWORK_LINK_CUT: /* nothing says that an IP packet was to follow */
        packet->class_index = CLASS_NON_IP;
        packet->malformed_cause = MALFORMED_LINK_HEADER;
        break;
    case NETWORK_LINK_DEEP:
        set_malformed(packet, MALFORMED_LINK_DEPTH);
        break;
    }
}

/* Replaces the carrier by the frame inside, and that by the one inside it. A carrier whose inside
 * cannot be decoded counts itself. */
static __attribute__((noinline)) void unwrap(const struct decoder *decoder, struct walk *walk)
{
    struct walk inner;
    int32_t link_type;
    for (int n = 0; n < DECAPSULATIONS_MAX; n++) {
        if (!carrier_decode(decoder, walk, &inner, &link_type))
            return;
        struct packet carrier = *walk->packet;
        struct layers carrier_layers = *walk->layers;
        decode_layers(&inner, link_type, carrier.time_ns);
        if (walk->packet->malformed_cause != MALFORMED_NONE) {
            *walk->packet = carrier;
            *walk->layers = carrier_layers;
            return;
        }
        *walk = inner;
    }
}

/* ---- the straight way ---- */

enum { ETHERNET_SIZE = 14, TAG_SIZE = 4, ETHERTYPE_AT = 12, ETHERTYPE_VLAN = 0x8100 };

/* The size of the IP header at 'at', where all is as it mostly is: no option, extension or
 * fragment, the header is captured, and the packet not longer than its frame. 0: else. */
static inline uint32_t plain_header(const struct frame *frame, uint32_t at, uint32_t *l3_bytes)
{
    enum { VERSION_AND_SIZE = 0x45, IPV4_FRAGMENT = 0x3fff };
    const uint8_t *header = frame->bytes + at;
    if (frame->captured_bytes < at + IPV4_HEADER_MIN || frame->captured_bytes > frame->wire_bytes)
        return 0;
    uint32_t ethertype = read_be16(header - 2), size = 0;
    if (ethertype == ETHERTYPE_IPV4 && header[0] == VERSION_AND_SIZE &&
        !(read_be16(header + 6) & IPV4_FRAGMENT)) {
        size = IPV4_HEADER_MIN;
        *l3_bytes = read_be16(header + 2);
    } else if (ethertype == ETHERTYPE_IPV6 && header[0] >> 4 == 6 &&
               (header[6] == PROTOCOL_TCP || header[6] == PROTOCOL_UDP) &&
               read_be16(header + 4) != 0 && frame->captured_bytes >= at + IPV6_HEADER_SIZE) {
        size = IPV6_HEADER_SIZE;
        *l3_bytes = IPV6_HEADER_SIZE + read_be16(header + 4);
    }
    return size && *l3_bytes >= size && *l3_bytes <= frame->wire_bytes - at ? size : 0;
}

/* An IP header at 'at', a constant where it is called. */
static inline __attribute__((always_inline)) bool
straight_from(uint32_t at, const struct frame *frame, struct packet *packet, struct layers *layers)
{
    uint32_t l3_bytes;
    uint32_t header_bytes = plain_header(frame, at, &l3_bytes);
    if (!header_bytes)
        return false;
    const uint8_t *header = frame->bytes + at;
    uint32_t captured = frame->captured_bytes - at;
    uint32_t network_bytes = l3_bytes < captured ? l3_bytes : captured;

    clear_packet(packet);
    packet->time_ns = frame->time_ns;
    packet->l2_bytes = frame->wire_bytes;
    packet->l3_bytes = l3_bytes;
    packet->marks = frame->captured_bytes < frame->wire_bytes ? PACKET_MARK_SNAPPED : 0;
    if (header_bytes == IPV4_HEADER_MIN)
        ipv4_read(header, packet);
    else
        ipv6_read(header, packet);

    clear_layers(layers);
    layers->destination_mac = frame->bytes;
    layers->source_mac = frame->bytes + 6;
    if (at != ETHERNET_SIZE)
        layers_note_vlan(layers, frame->bytes + ETHERNET_SIZE);
    layers->network = header;
    layers->network_bytes = network_bytes;
    layers->transport = header + header_bytes;
    layers->transport_bytes = network_bytes - header_bytes;
    transport_decode_at(packet, layers->transport, layers->transport_bytes,
                        l3_bytes - header_bytes);
    return true;
}

static __attribute__((noinline)) bool straight_tagged(const struct frame *frame,
                                                      struct packet *packet, struct layers *layers)
{
    return straight_from(ETHERNET_SIZE + TAG_SIZE, frame, packet, layers);
}

/* As decode_layers() and with the same result, in half the instructions. False: it is not one of
 * those that can go this way, and nothing was done. */
bool decode_straight(const struct frame *frame, struct packet *packet, struct layers *layers)
{
    if (frame->link_type != LINK_ETHERNET || frame->captured_bytes < ETHERNET_SIZE)
        return false;
    if (read_be16(frame->bytes + ETHERTYPE_AT) == ETHERTYPE_VLAN)
        return straight_tagged(frame, packet, layers);
    return straight_from(ETHERNET_SIZE, frame, packet, layers);
}

/* ---- both ways ---- */

/* A frame that holds more than it says was on the wire is looked at as far as the wire goes. */
void decode_long(const struct decoder *decoder, const struct frame *frame, struct packet *packet,
                 struct layers *layers)
{
    struct walk walk = {
        .bytes = frame->bytes,
        .captured_bytes =
            frame->captured_bytes < frame->wire_bytes ? frame->captured_bytes : frame->wire_bytes,
        .wire_bytes = frame->wire_bytes,
        .packet = packet,
        .layers = layers,
    };
    decode_layers(&walk, frame->link_type, frame->time_ns);
    if (packet->protocol == PROTOCOL_UDP || packet->protocol == PROTOCOL_GRE)
        unwrap(decoder, &walk);
    if (decoder->verifies_checksums)
        checksum_verify(&walk);
}

void decode_frame(const struct decoder *decoder, const struct frame *frame, struct packet *packet,
                  struct layers *layers)
{
    if (!decoder->may_go_straight || !decode_straight(frame, packet, layers))
        decode_long(decoder, frame, packet, layers);
}
