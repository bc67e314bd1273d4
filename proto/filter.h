/* filter: pcap-filter expressions over the header of a packet whose frame is gone.
 *
 *     if (filter_create("tcp dst port 443", &filter, error) < 0) … error: libpcap's words
 *     filter_header_make(&packet, false, &header);            once a packet, for all filters
 *     if (filter_matches(filter, &header)) …
 *     filter_destroy(filter);
 *
 * The header is made again from the descriptor, and says what the descriptor knows: IPv4 or IPv6
 * (IPv6 without extension headers), lengths, addresses, protocol, flow label; ports; TCP's numbers,
 * flags and window; ICMP's type, code and id; SCTP's verification tag. All else (TTL, DSCP,
 * options, checksums, payload) is 0. A fragment appears as the datagram that it is of, as
 * netfilter's rules see it, once its ports are known. No link layer: 'ether', 'vlan' and their like
 * do not compile. A filter may be used by several threads. Source: pcap-filter(7); DLT_RAW. */
#ifndef WANMETER_PROTO_FILTER_H
#define WANMETER_PROTO_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"

struct filter;

enum { FILTER_ERROR_SIZE = 256, FILTER_HEADER_SIZE = 40 + 20 };

/* 0; -EINVAL: 'error' says what libpcap has against the expression; -ENOMEM. */
int filter_create(const char *expression, struct filter **out, char error[FILTER_ERROR_SIZE]);
void filter_destroy(struct filter *filter); /* accepts NULL */

/* Can no packet match it, as far as libpcap sees? An expression that does not compile has none. */
bool filter_is_impossible(const char *expression);

/* Is it about frames that are neither IPv4 nor IPv6, and about no others ("arp")? */
bool filter_is_without_family(const char *expression);

struct filter_header {
    uint8_t bytes[FILTER_HEADER_SIZE];
    uint32_t size;       /* of 'bytes'; 0: no IP packet, which nothing matches */
    uint32_t wire_bytes; /* what 'len' is */
};

/* 'is_swapped': as a packet in the other direction, with addresses and ports exchanged. */
void filter_header_make(const struct packet *packet, bool is_swapped, struct filter_header *header);

bool filter_matches(const struct filter *filter, const struct filter_header *header);

/* An expression over whole frames, as the capture has them: 'ether', 'vlan', 'pppoes' and 'mpls'
 * too. Compiled for each link type when the first frame of it comes; of a link type that the
 * expression does not fit, no frame matches. */
struct frame_filter;

enum { FRAME_FILTER_LINK_TYPES_MAX = 8 };

/* 0; -EINVAL: it does not compile for Ethernet: 'error' has libpcap's words; -ENOMEM. 'expression'
 * is kept, not copied. */
int frame_filter_create(const char *expression, struct frame_filter **out,
                        char error[FILTER_ERROR_SIZE]);
void frame_filter_destroy(struct frame_filter *filter); /* accepts NULL */

bool frame_filter_matches(struct frame_filter *filter, int link_type, const uint8_t *bytes,
                          uint32_t captured_bytes, uint32_t wire_bytes);

#endif
