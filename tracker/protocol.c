#include "tracker/protocol.h"

#include <netinet/in.h>

const struct protocol *protocol_of(uint8_t protocol_number, uint8_t ip_version)
{
    switch (protocol_number) {
    case IPPROTO_TCP:
        return &protocol_tcp;
    case IPPROTO_UDP:
        return &protocol_udp;
    case IPPROTO_UDPLITE:
        return &protocol_udplite;
    case IPPROTO_ICMP:
        return ip_version == 4 ? &protocol_icmp : &protocol_impossible;
    case IPPROTO_ICMPV6:
        return ip_version == 6 ? &protocol_icmpv6 : &protocol_impossible;
    case IPPROTO_SCTP:
        return &protocol_sctp;
    case IPPROTO_GRE:
        return &protocol_gre;
    default:
        return &protocol_generic;
    }
}
