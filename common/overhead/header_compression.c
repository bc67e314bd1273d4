#include "common/overhead/header_compression.h"

#include <assert.h>

enum { IP_UDP = 28, IP_UDP_RTP = 40, IPV6_MORE = 20 };

static const struct header_compression profiles[HEADER_COMPRESSION_N] = {
    [HEADER_COMPRESSION_IPHC_UDP] = {IP_UDP, 6, 4, 0, 256},
    [HEADER_COMPRESSION_CRTP] = {IP_UDP_RTP, 2, 2, 0, 256},
    [HEADER_COMPRESSION_CRTP_CHECKSUM] = {IP_UDP_RTP, 4, 4, 0, 256},
    [HEADER_COMPRESSION_ROHC_UDP] = {IP_UDP, 3, 3, 3, 64},
    [HEADER_COMPRESSION_ROHC_RTP] = {IP_UDP_RTP, 3, 3, 3, 64},
};

const struct header_compression *header_compression_get(int profile)
{
    assert(profile >= 0 && profile < HEADER_COMPRESSION_N);
    return &profiles[profile];
}

uint32_t header_compression_bytes(const struct header_compression *profile, uint32_t n,
                                  unsigned ip_version, uint32_t l3_bytes)
{
    uint32_t header = profile->header_bytes + (ip_version == 6 ? IPV6_MORE : 0u);
    if (l3_bytes < header)
        return l3_bytes;
    if (n % profile->refresh_packets == 0)
        return l3_bytes + profile->whole_extra_bytes;
    return l3_bytes - header +
           (ip_version == 6 ? profile->compressed6_bytes : profile->compressed_bytes);
}
