#include "capture/decode/decode_walk.h"

#include "capture/frame.h"

/* Sources: RFC 2784, 2890 (GRE); draft-foschiano-erspan-03; RFC 7348 (VXLAN); TZSP as its senders
 * write it: version, type, protocol, then tags of (type, length, value) up to the end tag. */

enum {
    GRE_SIZE = 4,
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000, /* RFC 1701 only: no length of its own to step over */
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_VERSION_MASK = 0x0007,
    GRE_OPTION_SIZE = 4,
    GRE_ETHERNET = 0x6558,
    GRE_ERSPAN = 0x88be, /* type I without, II with a sequence number */
    GRE_ERSPAN_III = 0x22eb,

    ERSPAN_II_SIZE = 8,
    ERSPAN_II_VERSION = 1,
    ERSPAN_III_SIZE = 12,
    ERSPAN_III_VERSION = 2,
    ERSPAN_III_SUBHEADER = 0x01, /* the O bit, in the last byte */
    ERSPAN_III_SUBHEADER_SIZE = 8,
    ERSPAN_III_ETHERNET = 0,
    ERSPAN_III_IP = 2,

    UDP_SIZE = 8,
    VXLAN_SIZE = 8,
    VXLAN_HAS_ID = 0x08,

    TZSP_SIZE = 4,
    TZSP_VERSION = 1,
    TZSP_RECEIVED = 0,
    TZSP_ETHERNET = 1,
    TZSP_TAG_PADDING = 0,
    TZSP_TAG_END = 1,
};

static bool erspan_ii(struct walk *walk, int32_t *link_type)
{
    const uint8_t *header = walk_take(walk, ERSPAN_II_SIZE);
    *link_type = LINK_ETHERNET;
    return header && header[0] >> 4 == ERSPAN_II_VERSION;
}

static bool erspan_iii(struct walk *walk, int32_t *link_type)
{
    const uint8_t *header = walk_take(walk, ERSPAN_III_SIZE);
    if (!header || header[0] >> 4 != ERSPAN_III_VERSION)
        return false;
    unsigned frame_type = (header[10] >> 2) & 0x1f;
    if (frame_type != ERSPAN_III_ETHERNET && frame_type != ERSPAN_III_IP)
        return false;
    *link_type = frame_type == ERSPAN_III_ETHERNET ? LINK_ETHERNET : LINK_RAW;
    return !(header[11] & ERSPAN_III_SUBHEADER) || walk_take(walk, ERSPAN_III_SUBHEADER_SIZE);
}

static bool gre(const struct decoder *decoder, struct walk *walk, int32_t *link_type)
{
    const uint8_t *header = walk_take(walk, GRE_SIZE);
    if (!header)
        return false;
    uint16_t flags = read_be16(header);
    if (flags & (GRE_ROUTING | GRE_VERSION_MASK))
        return false;
    uint32_t options_bytes = 0;
    options_bytes += flags & GRE_CHECKSUM ? GRE_OPTION_SIZE : 0;
    options_bytes += flags & GRE_KEY ? GRE_OPTION_SIZE : 0;
    options_bytes += flags & GRE_SEQUENCE ? GRE_OPTION_SIZE : 0;
    if (!walk_take(walk, options_bytes))
        return false;

    switch (read_be16(header + 2)) {
    case GRE_ERSPAN:
        *link_type = LINK_ETHERNET;
        return decoder->unwrap_erspan && (!(flags & GRE_SEQUENCE) || erspan_ii(walk, link_type));
    case GRE_ERSPAN_III:
        return decoder->unwrap_erspan && erspan_iii(walk, link_type);
    case GRE_ETHERNET:
        *link_type = LINK_ETHERNET;
        return decoder->unwrap_gre;
    case ETHERTYPE_IPV4:
        *link_type = LINK_IPV4;
        return decoder->unwrap_gre;
    case ETHERTYPE_IPV6:
        *link_type = LINK_IPV6;
        return decoder->unwrap_gre;
    default:
        return false;
    }
}

static bool vxlan(struct walk *walk, int32_t *link_type)
{
    const uint8_t *header = walk_take(walk, VXLAN_SIZE);
    *link_type = LINK_ETHERNET;
    return header && (header[0] & VXLAN_HAS_ID);
}

static bool tzsp(struct walk *walk, int32_t *link_type)
{
    const uint8_t *header = walk_take(walk, TZSP_SIZE);
    if (!header || header[0] != TZSP_VERSION || header[1] != TZSP_RECEIVED ||
        read_be16(header + 2) != TZSP_ETHERNET)
        return false;
    *link_type = LINK_ETHERNET;
    for (;;) {
        const uint8_t *tag = walk_take(walk, 1);
        if (!tag)
            return false;
        if (*tag == TZSP_TAG_END)
            return true;
        if (*tag == TZSP_TAG_PADDING)
            continue;
        const uint8_t *size = walk_take(walk, 1);
        if (!size || !walk_take(walk, *size))
            return false;
    }
}

static bool udp(const struct decoder *decoder, struct walk *walk, int32_t *link_type)
{
    uint16_t port = walk->packet->destination_port;
    if (!walk_take(walk, UDP_SIZE))
        return false;
    if (decoder->unwrap_vxlan && port == decoder->vxlan_port)
        return vxlan(walk, link_type);
    return decoder->unwrap_tzsp && port == decoder->tzsp_port && tzsp(walk, link_type);
}

/* The frame inside begins at carrier->at. Its wire length is what the carrier's IP packet holds
 * behind its headers: padding of the outer frame is no part of it. */
static void begin_inner(const struct walk *carrier, struct walk *inner)
{
    uint32_t wire = carrier->wire_bytes - carrier->at;
    uint32_t by_header = carrier->packet->l3_bytes - (carrier->at - carrier->ip_at);
    *inner = (struct walk){
        .bytes = carrier->bytes + carrier->at,
        .captured_bytes = carrier->ip_end - carrier->at,
        .wire_bytes = by_header < wire ? by_header : wire,
        .packet = carrier->packet,
        .layers = carrier->layers,
    };
}

/* A fragment of a carrier does not tell the length of the frame inside: it counts as it is. */
bool carrier_decode(const struct decoder *decoder, const struct walk *walk, struct walk *inner,
                    int32_t *link_type)
{
    const struct packet *packet = walk->packet;
    if (packet->class_index != CLASS_CONNECTION ||
        (packet->marks & (PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_LATER_FRAGMENT)))
        return false;

    struct walk carrier = *walk;
    carrier.captured_bytes = walk->ip_end;
    bool is_found = false;
    if (packet->protocol == PROTOCOL_GRE && (decoder->unwrap_erspan || decoder->unwrap_gre))
        is_found = gre(decoder, &carrier, link_type);
    else if (packet->protocol == PROTOCOL_UDP && (decoder->unwrap_vxlan || decoder->unwrap_tzsp))
        is_found = udp(decoder, &carrier, link_type);
    if (!is_found || carrier.at == carrier.captured_bytes)
        return false;
    begin_inner(&carrier, inner);
    return true;
}
