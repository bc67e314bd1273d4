/* header_compression: what IPHC, CRTP or ROHC may leave of a UDP packet: an estimate.
 *
 *     profile = header_compression_get(step->a);                    of a model's step
 *     bytes = header_compression_bytes(profile, n, ip_version, l3_bytes);
 *
 * What these protocols send depends on context sizes, refresh timers and feedback that a mirror
 * does not see. The estimate: packet 'n' of a flow's direction (from 0) is sent whole, with what
 * its context costs, where n is a multiple of the refresh period, and with a header of the usual
 * size else. What is billed by it is marked as estimated. Source: RFC 2507, 2508, 3095, 5795. */
#ifndef WANMETER_COMMON_HEADER_COMPRESSION_H
#define WANMETER_COMMON_HEADER_COMPRESSION_H

#include <stdint.h>

/* In the step OVERHEAD_ESTIMATE. */
enum header_compression_profile {
    HEADER_COMPRESSION_IPHC_UDP,
    HEADER_COMPRESSION_CRTP,
    HEADER_COMPRESSION_CRTP_CHECKSUM,
    HEADER_COMPRESSION_ROHC_UDP,
    HEADER_COMPRESSION_ROHC_RTP,
    HEADER_COMPRESSION_N,
};

struct header_compression {
    uint8_t header_bytes;     /* IPv4, UDP and what else is compressed; IPv6: 20 more */
    uint8_t compressed_bytes; /* of IPv4 */
    uint8_t compressed6_bytes;
    uint8_t whole_extra_bytes; /* of a packet that is sent whole */
    uint16_t refresh_packets;
};

/* 'profile' is an enum header_compression_profile. */
const struct header_compression *header_compression_get(int profile);

/* The packet's length after compression. */
uint32_t header_compression_bytes(const struct header_compression *profile, uint32_t n,
                                  unsigned ip_version, uint32_t l3_bytes);

#endif
