/* decode: from a frame to a packet.
 *
 *     decode_init(&decoder, &config);
 *     decode_frame(&decoder, &frame, &packet, &layers);      always succeeds
 *
 * What cannot be decoded is a class: 'malformed' where the link layer says IP and the IP header is
 * unusable or not all there, 'no_ports' where only what follows it is not, 'non_ip' else; also a
 * frame that ends within its link-layer headers (malformed_cause tells), and a link type that is
 * not in enum link_type.
 *
 * Counts the outermost IP packet, unless its carrier is named in 'decapsulate:'. Nothing is read
 * past captured_bytes; lengths come from headers and the wire length, never from the captured
 * length. Not decided here: WAN, zone, direction (wan.h), a later fragment's ports (fragment.h),
 * rss (rss.h), clock_ns. Not thread-safe: one decoder a process. */
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
};

/* What the link layer said, for WAN and account matching; of the innermost frame that was
 * unwrapped. -1: absent. */
struct layers {
    const uint8_t *source_mac; /* 6 bytes within the frame; NULL: none */
    const uint8_t *destination_mac;
    int32_t vlan;       /* outermost 802.1Q or 802.1ad id */
    int32_t inner_vlan; /* the next one */
    int32_t pppoe_session;
    int32_t mpls_label;   /* outermost */
    uint32_t fragment_id; /* with PACKET_MARK_FIRST_FRAGMENT or LATER_FRAGMENT */
    bool more_fragments;
    const uint8_t *transport; /* the transport header within the frame; NULL: not reached */
    uint32_t transport_bytes; /* captured of it and what follows, within the IP packet */
};

void decode_init(struct decoder *decoder, const struct config *config);

/* Fills 'packet' (all but what the header above names) and 'layers'. class_index is
 * CLASS_CONNECTION where the packet can be counted in a flow, also for a later fragment (marks
 * tell), else the class it is counted in. */
void decode_frame(const struct decoder *decoder, const struct frame *frame, struct packet *packet,
                  struct layers *layers);

#endif
