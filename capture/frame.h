/* frame: bytes as captured, borrowed until the next one is read. */
#ifndef WANMETER_CAPTURE_FRAME_H
#define WANMETER_CAPTURE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* Link-layer types as in pcap files (LINKTYPE_*, https://www.tcpdump.org/linktypes.html). libpcap's
 * DLT_* of a live interface are mapped to these where they differ (RAW is 101 here, 12 there). */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_PPP_HDLC = 50,
    LINK_PPP_ETHER = 51,
    LINK_RAW = 101,
    LINK_C_HDLC = 104,
    LINK_LOOP = 108,
    LINK_LINUX_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_LINUX_SLL2 = 276,
};

/* FRAME_BYTES_MAX: the largest captured length that any common capture program writes (libpcap's
 * MAXIMUM_SNAPLEN). FRAME_TIME_MAX_NS: year 2255; what lies beyond is clamped to it, and leaves
 * room for adding timeouts. */
enum { FRAME_BYTES_MAX = 262144 };
#define FRAME_TIME_MAX_NS INT64_C(9000000000000000000)

struct frame {
    const uint8_t *bytes;
    uint32_t captured_bytes; /* in the capture, at most FRAME_BYTES_MAX */
    uint32_t wire_bytes;     /* on the wire; at least captured_bytes */
    int64_t time_ns;         /* 0 to FRAME_TIME_MAX_NS; with is_bad_time: clock_ns */
    int64_t clock_ns;        /* the largest time_ns that this file has had so far; live: time_ns */
    int32_t link_type;       /* enum link_type, or another of the registry: class non_ip */
    uint32_t source_index;   /* over all workers of the run: the order of the command line */
    const char *interface;   /* pcapng if_name, live interface, or the source's name; never NULL;
                                valid until the source is closed */
    bool is_bad_time;        /* a lone outlier in time (time_check.h): class bad_time */
};

#endif
