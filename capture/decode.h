/* decode: from a frame to a packet.
 *
 *     decode_init(&decoder, &config);
 *     decode_frame(&decoder, &frame, &packet, &layers);      always succeeds
 *     decode_datagram(&decoder, &datagram, &packet);         what fragments made together
 *
 * What cannot be decoded is a class: 'malformed' where the link layer says IP and the IP header is
 * unusable or not all there, 'no_ports' where only what follows it is not, 'non_ip' else; also a
 * frame that ends within its link-layer headers (malformed_cause tells), and a link type that is
 * not in enum link_type.
 *
 * Counts the outermost IP packet, unless its carrier is named in 'decapsulate:'. Nothing is read
 * past captured_bytes; lengths come from headers and the wire length, never from the captured
 * length. An IPv4 length of 0, which only a sender's own capture shows, makes a packet PACKET_HELD,
 * as its receiver would not look into it; so does a wrong IPv4 header with 'verifies_checksums',
 * and a wrong transport checksum of a packet that is all captured makes it
 * PACKET_MARK_BAD_CHECKSUM. Not decided
 * here: WAN, zone, direction (wan.h), a later fragment's ports (fragment.h), rss (rss.h), clock_ns.
 * Not thread-safe: one decoder a process. */
#ifndef WANMETER_CAPTURE_DECODE_H
#define WANMETER_CAPTURE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/frame.h"
#include "common/config.h"
#include "proto/packet.h"

enum { LINK_HEADERS_MAX = 16, EXTENSION_HEADERS_MAX = 256, DECAPSULATIONS_MAX = 4 };

struct decoder {
    bool unwrap_erspan, unwrap_tzsp, unwrap_vxlan, unwrap_gre;
    uint16_t tzsp_port, vxlan_port;
    bool verifies_checksums; /* conntrack.checksum */
    bool may_go_straight;    /* neither looks inside a packet nor verifies */
};

/* A fragment: its place in its datagram, and what it brings. */
struct fragment {
    const uint8_t *bytes; /* behind the IPv4 header, or the IPv6 fragment header; in the frame */
    uint32_t captured_bytes;
    uint32_t payload_bytes; /* as its IP header says, from 'bytes' on */
    uint32_t offset_bytes;
    uint32_t header_bytes; /* IPv4 header; IPv6 header and what precedes the fragment header */
    uint32_t id;
    uint8_t next_header;
    bool has_more;
    bool lacks_headers; /* IPv6, offset 0: it ends before the header that a tracker needs */
};

/* What fragments made together: the bytes behind its IP header. */
struct datagram {
    const uint8_t *bytes;
    uint32_t captured_bytes; /* from the beginning on without a gap */
    uint32_t payload_bytes;
    uint32_t l3_bytes; /* with one header, of IPv6 without the fragment header */
    uint8_t next_header;
    bool is_lone_later; /* IPv6: a later fragment that is taken for a packet of its own */
};

/* What the link layer said, for WAN and account matching; of the innermost frame that was
 * unwrapped. -1: absent. */
struct layers {
    const uint8_t *source_mac; /* 6 bytes within the frame; NULL: none */
    const uint8_t *destination_mac;
    int32_t vlan;       /* outermost 802.1Q or 802.1ad id */
    int32_t inner_vlan; /* the next one */
    int32_t pppoe_session;
    int32_t pppoe_opened; /* the session that a PADS confirms */
    int32_t pppoe_closed; /* the session that a PADT ends */
    int32_t mpls_label;   /* outermost */
    bool is_fragment; /* also an IPv6 packet with a fragment header that is the whole datagram */
    struct fragment fragment; /* with is_fragment */
    const uint8_t *network;   /* the IP header within the frame; NULL: no usable one */
    uint32_t network_bytes;   /* captured of it and what follows, within the IP packet */
    const uint8_t *transport; /* the transport header within the frame; NULL: not reached */
    uint32_t transport_bytes; /* captured of it and what follows, within the IP packet */
};

void decode_init(struct decoder *decoder, const struct config *config);

/* Fills 'packet' (all but what the header above names) and 'layers'. class_index is
 * CLASS_CONNECTION where the packet can be counted in a flow, also for a later fragment (marks
 * tell), else the class it is counted in. */
void decode_frame(const struct decoder *decoder, const struct frame *frame, struct packet *packet,
                  struct layers *layers);

/* 'packet', decoded from a fragment, is judged as the datagram: PACKET_COMPLETES, datagram_bytes,
 * is_invalid, and a wrong checksum if the decoder verifies them. Where the datagram's tuple is
 * known (true) its class, protocol, ports and parts replace the fragment's; where its ports are cut
 * (false) the fragment keeps its own. 'layers': transport is set, within the datagram. */
bool decode_datagram(const struct decoder *decoder, const struct datagram *datagram,
                     struct packet *packet, struct layers *layers);

#endif
