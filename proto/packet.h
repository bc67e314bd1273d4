/* packet: what decoding made of a frame, and its packed form on the way to a tracker.
 *
 *     size = packet_encode(&packet, room);                      capture: append to a batch
 *     packet_decode(bytes, size, &packet, &used)                 tracker: read the next one
 *
 * The packed form (the "descriptor") is little-endian: a base of 40 bytes that every packet has,
 * then the parts that 'parts' names, in the order of enum packet_part, each a multiple of 4 bytes:
 *
 *     offset size  base
 *          0    8  time_ns
 *          8    4  l2_bytes
 *         12    4  l3_bytes
 *         16    4  rss
 *         20    2  source_port
 *         22    2  destination_port
 *         24    2  parts and marks       bits 0-7 enum packet_part, bits 8-15 enum packet_mark
 *         26    1  protocol
 *         27    1  class and direction   bits 0-3 enum packet_class, bit 4 has an extension, bits
 *                                        5-6 enum direction, bit 7 is_invalid
 *         28    2  zone
 *         30    2  wan
 *         32    4  source address        IPv4; zero where the part PACKET_PART_IPV6 has the
 * addresses 36    4  destination address
 *
 * With an extension, right after the base and before the parts:
 *
 *          0    2  extra                 enum packet_extra
 *          2    2  payload_bytes         at most PACKET_PAYLOAD_MAX
 *          4    4  datagram_bytes
 *          8    2  header_bytes          at most PACKET_HEADER_MAX
 *         10    2  0
 *         12    8  fingerprint
 *         20    n  the header            zeros up to a multiple of 4
 *               m  the payload           zeros up to a multiple of 4
 *
 * No function here allocates or keeps anything. */
#ifndef WANMETER_PROTO_PACKET_H
#define WANMETER_PROTO_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

/* Where a packet's bytes are counted. CONNECTION: in a flow. All others: in no flow (docs/loss.md).
 */
enum packet_class {
    CLASS_CONNECTION,
    CLASS_ARP,
    CLASS_NON_IP,
    CLASS_MALFORMED,   /* L2 bytes only */
    CLASS_ICMP_ERROR,  /* billed to the WAN and account of the flow it is about */
    CLASS_FRAG_ORPHAN, /* a later fragment whose first never came */
    CLASS_NO_PORTS,    /* cut before the ports */
    CLASS_OVERFLOW,    /* the connection table was full */
    CLASS_DUPLICATE,
    CLASS_BAD_TIME,
    CLASS_N,
    CLASS_USER_FIRST = CONFIG_CLASS_FIRST, /* in flows: classes of the configuration's own */
};

/* Is it one of either kind? */
static inline bool packet_class_is_known(unsigned class_index)
{
    return class_index < CLASS_N ||
           (class_index >= CLASS_USER_FIRST && class_index < CLASS_USER_FIRST + CONFIG_CLASSES_MAX);
}

/* Are its bytes in flows? */
static inline bool packet_class_is_of_flows(unsigned class_index)
{
    return class_index == CLASS_CONNECTION || class_index >= CLASS_USER_FIRST;
}

/* The class's name as in the database, JSON and events; "unknown" out of range. */
const char *packet_class_name(unsigned class_index);

enum direction { DIRECTION_NONE, DIRECTION_UP, DIRECTION_DOWN, DIRECTION_N };

/* "none", "up" (towards the WAN), "down"; "unknown" out of range. */
const char *direction_name(unsigned direction);

/* Why a packet is malformed; goes into the loss-free class 'malformed', counted by cause. */
enum malformed_cause {
    MALFORMED_NONE,
    MALFORMED_LINK_HEADER, /* the frame ends within its link-layer headers */
    MALFORMED_LINK_DEPTH,  /* more stacked tags or labels than LINK_HEADERS_MAX */
    MALFORMED_IP_VERSION,
    MALFORMED_IP_HEADER, /* IPv4 header length below 20, or the header is not all there */
    MALFORMED_IP_LENGTH, /* total length below the header length */
    MALFORMED_CAUSE_N,
};

const char *malformed_cause_name(unsigned cause);

enum packet_part {
    PACKET_PART_IPV6 = 1 << 0,  /* 32 bytes: source and destination address, network order */
    PACKET_PART_TCP = 1 << 1,   /* 20 bytes: struct packet_tcp */
    PACKET_PART_ICMP = 1 << 2,  /* 4 bytes: type, code, two of zero */
    PACKET_PART_INNER = 1 << 3, /* 40 bytes: the packet inside an ICMP error */
    PACKET_PART_CLOCK = 1 << 4, /* 8 bytes: clock_ns, where it is not time_ns */
    PACKET_PART_LABEL = 1 << 5, /* 4 bytes: the IPv6 flow label, where it is not 0 */
    PACKET_PART_L2 = 1 << 6,    /* 4 bytes: l2_account, malformed_cause, wan_match */
    PACKET_PART_SCTP = 1 << 7,  /* 20 bytes: struct packet_sctp; not with PACKET_PART_TCP */
};

enum packet_mark {
    PACKET_MARK_IPV4 = 1 << 0,           /* has a usable IPv4 header */
    PACKET_MARK_IPV6 = 1 << 1,           /* has a usable IPv6 header */
    PACKET_MARK_PORTS = 1 << 2,          /* ports (or the ICMP id) are valid */
    PACKET_MARK_SOURCE_IS_HIGH = 1 << 3, /* (source, port) orders after (destination, port) */
    PACKET_MARK_FIRST_FRAGMENT = 1 << 4,
    PACKET_MARK_LATER_FRAGMENT = 1 << 5,
    PACKET_MARK_SNAPPED = 1 << 6, /* the capture holds less of the frame than the wire did */
    PACKET_MARK_BAD_CHECKSUM = 1 << 7,
};

/* What only few descriptors have. */
enum packet_extra {
    PACKET_SHADOW = 1 << 0, /* a copy for a shard that is not its home: judged, counted nowhere */
    PACKET_CHANGE = 1 << 1, /* no packet: the payload is a change (proto/change.h) */
    PACKET_HELD = 1 << 2,   /* billed, not judged: a fragment that completes no datagram, or what no
                               receiver would look into */
    PACKET_COMPLETES = 1 << 3, /* the fragment that completes its datagram: judged as that */
    PACKET_UNTRACKED = 1 << 4, /* by a rule: billed, and nothing that conntrack looks at */
    PACKET_LINK = 1 << 5,      /* a copy for a shard that is not its home: its link looks at it */
    PACKET_OPENING = 1 << 6,   /* a copy, for a shard that is not its home, of what may open a
                                connection: uses up what was expected */
    PACKET_EXTRA_ALL = (1 << 7) - 1,
};

enum { WAN_MATCH_MAX = 254 };

enum { PACKET_PAYLOAD_MAX = 2048, PACKET_HEADER_MAX = 120 };

enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32 };

enum {
    TCP_OPTION_SACK_PERMITTED = 1 << 0,
    TCP_OPTION_WINDOW_SCALE = 1 << 1,
    TCP_OPTION_SACK = 1 << 2,
    TCP_OPTION_ANY = 1 << 3,
    TCP_OPTION_MSS = 1 << 6,
    TCP_HEADER_CUT = 1 << 4,
    TCP_HEADER_INVALID = 1 << 5
};

/* All numbers in host order. Source: RFC 9293, section 3.1; RFC 7323; RFC 2018. */
struct packet_tcp {
    uint32_t sequence;
    uint32_t acknowledgment;
    uint32_t sack_right_edge; /* the highest; with TCP_OPTION_MSS: the MSS; valid with either */
    uint16_t window;          /* as sent, not scaled */
    uint16_t payload_bytes;   /* 65535 where it is more */
    uint8_t flags;            /* enum tcp_flag; ECE and CWR are left out */
    uint8_t window_scale;     /* valid with TCP_OPTION_WINDOW_SCALE */
    uint8_t options;          /* TCP_OPTION_*, TCP_HEADER_* */
    uint8_t unused;
};

/* Chunks that say something about the association's state; all others are as one. */
enum sctp_chunk {
    SCTP_INIT,
    SCTP_INIT_ACK,
    SCTP_ABORT,
    SCTP_SHUTDOWN,
    SCTP_SHUTDOWN_ACK,
    SCTP_ERROR,
    SCTP_COOKIE_ECHO,
    SCTP_COOKIE_ACK,
    SCTP_SHUTDOWN_COMPLETE,
    SCTP_HEARTBEAT,
    SCTP_HEARTBEAT_ACK,
    SCTP_CHUNK_N,
    SCTP_CHUNK_MASK = 0xf,
    SCTP_CHUNK_T_BIT = 1 << 4, /* of ABORT and SHUTDOWN COMPLETE: the tag is the peer's */
};

enum { SCTP_CHUNKS_MAX = 10 };

enum {
    SCTP_HAS_DATA = 1 << 0,
    SCTP_HAS_OTHER = 1 << 1, /* chunks that are none of enum sctp_chunk; DATA is one of them */
    SCTP_HAS_SHORT_INIT = 1 << 2,
    SCTP_HEADER_CUT = 1 << 3,
};

/* Source: RFC 9260, section 3. */
struct packet_sctp {
    uint32_t verification_tag;
    uint32_t init_tag;               /* of INIT or INIT ACK, which are alone in their packet */
    uint8_t chunks[SCTP_CHUNKS_MAX]; /* enum sctp_chunk, in order; what is beyond has no room */
    uint8_t n_chunks;
    uint8_t marks; /* SCTP_HAS_*, SCTP_HEADER_CUT */
};

/* The tuple of the packet that an ICMP error quotes, as that packet's sender wrote it. */
struct packet_inner {
    uint8_t source_address[16];
    uint8_t destination_address[16];
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t protocol;
    uint8_t icmp_type; /* of a quoted ICMP packet */
    uint8_t icmp_code;
    uint8_t has_ports;
};

struct packet {
    /* The first 32 bytes are those of the base, but for what shares a byte with the class. */
    int64_t time_ns;   /* the capture's timestamp, since 1970 UTC */
    uint32_t l2_bytes; /* on the wire, as the capture states it; never the captured length */
    uint32_t
        l3_bytes; /* IPv4 total length, 40 + IPv6 payload length; 0 without a usable IP header */
    uint32_t rss; /* Toeplitz hash of the canonical endpoints (proto/rss.h) */
    uint16_t source_port;      /* host order; ICMP with an id: the id, in both */
    uint16_t destination_port; /* GRE of PPTP: the call id, without PACKET_MARK_PORTS */
    uint8_t parts;       /* enum packet_part; encode decides IPV6 and CLOCK, LABEL and L2 itself */
    uint8_t marks;       /* enum packet_mark */
    uint8_t protocol;    /* IANA number; of IPv6 the first that is no extension header */
    uint8_t class_index; /* enum packet_class */
    uint16_t zone;
    uint16_t wan; /* index into config.wans + 1; 0: none */

    uint8_t source_address[16]; /* network order; IPv4: the first 4, the others 0 */
    uint8_t destination_address[16];

    int64_t clock_ns;   /* the stream's clock: the largest time_ns that it has had so far */
    uint8_t direction;  /* enum direction */
    uint8_t is_invalid; /* what follows the IP header cannot be right: INVALID to conntrack */
    uint8_t icmp_type;  /* with PACKET_PART_ICMP */
    uint8_t icmp_code;
    uint32_t flow_label;
    uint16_t l2_account; /* index into config.accounts + 1 that a MAC, VLAN or PPPoE session chose;
                            0: none */
    uint8_t malformed_cause;
    uint8_t wan_match; /* which of the WAN's matches, from 0; 254: that or a later one */

    uint16_t extra; /* enum packet_extra */
    uint16_t payload_bytes;
    uint32_t datagram_bytes; /* L3 bytes of the datagram that fragments made; 0: no fragment */
    uint16_t header_bytes;
    uint64_t fingerprint;   /* its copies have the same; 0: not asked for */
    const uint8_t *header;  /* IP and TCP header, where the link looks at it; borrowed */
    const uint8_t *payload; /* what follows the transport header, as far as it was asked for;
                               borrowed: of the frame, or of the bytes it was decoded from */

    union {
        struct packet_tcp tcp;   /* with PACKET_PART_TCP */
        struct packet_sctp sctp; /* with PACKET_PART_SCTP */
    };
    struct packet_inner inner; /* with PACKET_PART_INNER; else anything */
};

enum {
    PACKET_BASE_SIZE = 40,
    PACKET_EXTENSION_SIZE = 20,
    PACKET_SIZE_MAX = 40 + PACKET_EXTENSION_SIZE + PACKET_HEADER_MAX + PACKET_PAYLOAD_MAX + 32 +
                      20 + 4 + 40 + 8 + 4 + 4
};

/* Writes 'packet' to 'room', which has PACKET_SIZE_MAX bytes or more; returns the bytes written. */
size_t packet_encode(const struct packet *packet, uint8_t *room);

enum packet_decode_result {
    PACKET_DECODED,
    PACKET_TRUNCATED, /* 'size' ends within the descriptor */
    PACKET_INVALID,   /* a class, direction or part that does not exist */
};

/* Reads the descriptor at 'bytes'. On PACKET_DECODED '*used' is its size. Fields of absent parts
 * are 0 but for 'inner', which is left as it is; clock_ns without its part is time_ns. */
enum packet_decode_result packet_decode(const uint8_t *bytes, size_t size, struct packet *packet,
                                        size_t *used);

/* The descriptor's size from its first PACKET_BASE_SIZE + PACKET_EXTENSION_SIZE bytes, or all there
 * are if it is shorter. */
size_t packet_encoded_size(const uint8_t *base);

/* Whether it is counted: it is no copy, and no change. */
static inline bool packet_is_counted(const struct packet *packet)
{
    return (packet->extra & (PACKET_SHADOW | PACKET_CHANGE | PACKET_LINK | PACKET_OPENING)) == 0;
}

static inline bool packet_is_ip(const struct packet *packet)
{
    return (packet->marks & (PACKET_MARK_IPV4 | PACKET_MARK_IPV6)) != 0;
}

#endif
