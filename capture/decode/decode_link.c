#include "capture/decode/decode_walk.h"

#include "capture/frame.h"

/* Sources: IEEE 802.3, 802.1Q, 802.1ad; RFC 1042 (SNAP); RFC 1661, 1662 (PPP); RFC 2516 (PPPoE);
 * RFC 3032 (MPLS); https://www.tcpdump.org/linktypes.html (SLL, SLL2, NULL, LOOP, C_HDLC). */

enum ethertype {
    ETHERTYPE_LENGTH_MAX = 1500, /* up to here it is an 802.3 length, and 802.2 LLC follows */
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_RARP = 0x8035,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_SERVICE_VLAN = 0x88a8,
    ETHERTYPE_QINQ_9100 = 0x9100, /* before 802.1ad had a number */
    ETHERTYPE_QINQ_9200 = 0x9200,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_MULTICAST = 0x8848,
    ETHERTYPE_PPPOE_DISCOVERY = 0x8863,
    ETHERTYPE_PPPOE_SESSION = 0x8864,
};

enum ppp_protocol {
    PPP_IPV4 = 0x0021,
    PPP_IPV6 = 0x0057,
    PPP_MPLS = 0x0281,
    PPP_MPLS_MULTICAST = 0x0283,
};

enum {
    ETHERNET_SIZE = 14,
    TAG_SIZE = 4,
    LABEL_SIZE = 4,
    SNAP_SIZE = 8,
    PPPOE_SIZE = 6,
    PPPOE_PADS = 0x65,
    PPPOE_PADT = 0xa7,
    C_HDLC_SIZE = 4,
    SLL_SIZE = 16,
    SLL2_SIZE = 20,
    FAMILY_SIZE = 4,

    PPP_ADDRESS = 0xff,
    PPP_CONTROL = 0x03,
    C_HDLC_UNICAST = 0x0f,
    C_HDLC_MULTICAST = 0x8f,
    SLL_PROTOCOL_LLC = 0x0004,

    DLT_RAW_BSD = 12, /* LINK_RAW by the numbers of the platforms */
    DLT_RAW_OPENBSD = 14,
};

static enum network ip_by_first_bits(const struct walk *walk)
{
    if (walk->at == walk->captured_bytes)
        return NETWORK_LINK_CUT;
    switch (walk->bytes[walk->at] >> 4) {
    case 4:
        return NETWORK_IPV4;
    case 6:
        return NETWORK_IPV6;
    default:
        return NETWORK_NON_IP; /* a pseudowire, or its control word */
    }
}

static enum network mpls(struct walk *walk)
{
    for (;;) {
        const uint8_t *label = walk_take(walk, LABEL_SIZE);
        if (!label)
            return NETWORK_LINK_CUT;
        if (walk->n_link_headers++ == LINK_HEADERS_MAX)
            return NETWORK_LINK_DEEP;
        if (walk->layers->mpls_label < 0)
            walk->layers->mpls_label = (int32_t)(read_be32(label) >> 12);
        if (label[2] & 1) /* bottom of the stack */
            return ip_by_first_bits(walk);
    }
}

/* The protocol field may be compressed to one byte (RFC 1661, section 6.5): then it is odd. */
static enum network ppp(struct walk *walk)
{
    const uint8_t *field = walk_take(walk, 1);
    if (!field)
        return NETWORK_LINK_CUT;
    unsigned protocol = field[0];
    if (!(protocol & 1)) {
        if (!walk_take(walk, 1))
            return NETWORK_LINK_CUT;
        protocol = read_be16(field);
    }
    switch (protocol) {
    case PPP_IPV4:
        return NETWORK_IPV4;
    case PPP_IPV6:
        return NETWORK_IPV6;
    case PPP_MPLS:
    case PPP_MPLS_MULTICAST:
        return mpls(walk);
    default:
        return NETWORK_NON_IP;
    }
}

static void note_discovery(struct layers *layers, const uint8_t *header)
{
    int32_t session = read_be16(header + 2);
    if (header[1] == PPPOE_PADS && session != 0) /* 0: refused */
        layers->pppoe_opened = session;
    if (header[1] == PPPOE_PADT)
        layers->pppoe_closed = session;
}

/* Discovery is no IP, and as long as it may be: a part of its header says nothing. */
static enum network pppoe_discovery(struct walk *walk)
{
    if (walk->captured_bytes - walk->at >= PPPOE_SIZE)
        note_discovery(walk->layers, walk->bytes + walk->at);
    return NETWORK_NON_IP;
}

static enum network pppoe(struct walk *walk)
{
    const uint8_t *header = walk_take(walk, PPPOE_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    if (header[1] != 0) { /* PPP_ETHER has discovery, too: its codes are not 0 */
        note_discovery(walk->layers, header);
        return NETWORK_NON_IP;
    }
    if (walk->layers->pppoe_session < 0)
        walk->layers->pppoe_session = read_be16(header + 2);
    return ppp(walk);
}

/* 802.2 LLC with a SNAP header of an EtherType (RFC 1042) or of a bridge tunnel (802.1H). */
static bool snap(struct walk *walk, uint16_t *ethertype)
{
    static const uint8_t rfc1042[] = {0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00};
    static const uint8_t bridge_tunnel[] = {0xaa, 0xaa, 0x03, 0x00, 0x00, 0xf8};

    const uint8_t *header = walk_take(walk, SNAP_SIZE);
    if (!header || (memcmp(header, rfc1042, sizeof rfc1042) != 0 &&
                    memcmp(header, bridge_tunnel, sizeof bridge_tunnel) != 0))
        return false;
    *ethertype = read_be16(header + 6);
    return *ethertype > ETHERTYPE_LENGTH_MAX;
}

static enum network by_ethertype(struct walk *walk, uint16_t ethertype)
{
    for (;;) {
        const uint8_t *tag;
        switch (ethertype) {
        case ETHERTYPE_IPV4:
            return NETWORK_IPV4;
        case ETHERTYPE_IPV6:
            return NETWORK_IPV6;
        case ETHERTYPE_ARP:
        case ETHERTYPE_RARP:
            return NETWORK_ARP;
        case ETHERTYPE_MPLS:
        case ETHERTYPE_MPLS_MULTICAST:
            return mpls(walk);
        case ETHERTYPE_PPPOE_DISCOVERY:
            return pppoe_discovery(walk);
        case ETHERTYPE_PPPOE_SESSION:
            return pppoe(walk);
        case ETHERTYPE_VLAN:
        case ETHERTYPE_SERVICE_VLAN:
        case ETHERTYPE_QINQ_9100:
        case ETHERTYPE_QINQ_9200:
            tag = walk_take(walk, TAG_SIZE);
            if (!tag)
                return NETWORK_LINK_CUT;
            layers_note_vlan(walk->layers, tag);
            ethertype = read_be16(tag + 2);
            break;
        default:
            if (ethertype > ETHERTYPE_LENGTH_MAX || !snap(walk, &ethertype))
                return NETWORK_NON_IP;
        }
        if (walk->n_link_headers++ == LINK_HEADERS_MAX)
            return NETWORK_LINK_DEEP;
    }
}

static enum network ethernet(struct walk *walk)
{
    const uint8_t *header = walk_take(walk, ETHERNET_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    walk->layers->destination_mac = header;
    walk->layers->source_mac = header + 6;
    return by_ethertype(walk, read_be16(header + 12));
}

static enum network c_hdlc(struct walk *walk)
{
    const uint8_t *header = walk_take(walk, C_HDLC_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    uint16_t protocol = read_be16(header + 2);
    if (protocol == ETHERTYPE_RARP) /* on such a line the number means SLARP, a keepalive */
        return NETWORK_NON_IP;
    return by_ethertype(walk, protocol);
}

/* PPP as captured on a line: HDLC's address and control may be left out (RFC 1661, section 6.6),
 * and Cisco's framing is told by its addresses. */
static enum network ppp_line(struct walk *walk)
{
    const uint8_t *header = walk->bytes + walk->at;
    uint32_t size = walk->captured_bytes - walk->at;
    if (size > 0 && (header[0] == C_HDLC_UNICAST || header[0] == C_HDLC_MULTICAST))
        return c_hdlc(walk);
    if (size > 1 && header[0] == PPP_ADDRESS && header[1] == PPP_CONTROL)
        walk->at += 2;
    return ppp(walk);
}

/* The family is in the byte order of the machine that captured (NULL) or in network order (LOOP);
 * the numbers are below 65536, so the order shows. */
static enum network address_family(struct walk *walk)
{
    enum {
        INET = 2,
        INET6_LINUX = 10,
        INET6_WINSOCK = 23,
        INET6_BSD = 24,
        INET6_FREEBSD = 28,
        INET6_DARWIN = 30
    };

    const uint8_t *header = walk_take(walk, FAMILY_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    uint32_t family = read_be32(header);
    if (family > UINT16_MAX)
        family = __builtin_bswap32(family);
    switch (family) {
    case INET:
        return NETWORK_IPV4;
    case INET6_LINUX:
    case INET6_WINSOCK:
    case INET6_BSD:
    case INET6_FREEBSD:
    case INET6_DARWIN:
        return NETWORK_IPV6;
    default:
        return NETWORK_NON_IP;
    }
}

/* The protocol is an EtherType for hardware that has such; the other hardware types have numbers of
 * their own there. */
static enum network cooked(struct walk *walk, uint16_t hardware, uint16_t protocol)
{
    enum { HARDWARE_FRAD = 770, HARDWARE_80211_RADIOTAP = 803, HARDWARE_NETLINK = 824 };

    if (hardware == HARDWARE_FRAD || hardware == HARDWARE_80211_RADIOTAP ||
        hardware == HARDWARE_NETLINK)
        return NETWORK_NON_IP;
    if (protocol <= ETHERTYPE_LENGTH_MAX && protocol != SLL_PROTOCOL_LLC)
        return NETWORK_NON_IP;
    return by_ethertype(walk, protocol);
}

static enum network sll(struct walk *walk)
{
    const uint8_t *header = walk_take(walk, SLL_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    return cooked(walk, read_be16(header + 2), read_be16(header + 14));
}

static enum network sll2(struct walk *walk)
{
    const uint8_t *header = walk_take(walk, SLL2_SIZE);
    if (!header)
        return NETWORK_LINK_CUT;
    return cooked(walk, read_be16(header + 8), read_be16(header));
}

enum network link_decode(struct walk *walk, int32_t link_type)
{
    switch (link_type) {
    case LINK_ETHERNET:
        return ethernet(walk);
    case LINK_NULL:
    case LINK_LOOP:
        return address_family(walk);
    case LINK_PPP:
    case LINK_PPP_HDLC:
        return ppp_line(walk);
    case LINK_PPP_ETHER:
        return pppoe(walk);
    case LINK_C_HDLC:
        return c_hdlc(walk);
    case LINK_LINUX_SLL:
        return sll(walk);
    case LINK_LINUX_SLL2:
        return sll2(walk);
    case LINK_RAW:
    case DLT_RAW_BSD:
    case DLT_RAW_OPENBSD:
        return NETWORK_IP;
    case LINK_IPV4:
        return NETWORK_IPV4;
    case LINK_IPV6:
        return NETWORK_IPV6;
    default:
        return NETWORK_NON_IP;
    }
}
