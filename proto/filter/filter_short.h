/* filter_short: a filter's program without what it asks of every header of a kind.
 *
 *     result = filter_short_make(&program, &kind, &insns);        0: then insns is the caller's
 *     matches = bpf_filter(insns, header->bytes, …) != 0;         of headers of that kind
 *     free(insns);
 *
 * libpcap's programs begin with the IP version, the protocol, the fragment offset and the header's
 * length. A header that filter_header_make() made has the same of them as any other of its version
 * and protocol: the program is run ahead as far as it asks for nothing else, and what is left
 * begins there, with its two registers set. "tcp dst port 443": 244 instructions of the processor
 * for a header of IPv4 and TCP, since then 95.
 *
 * Source: libpcap, pcap/bpf.h; S. McCanne and V. Jacobson, "The BSD Packet Filter", USENIX 1993. */
#ifndef WANMETER_PROTO_FILTER_SHORT_H
#define WANMETER_PROTO_FILTER_SHORT_H

#include <pcap/pcap.h>
#include <stdint.h>

struct filter_kind {
    uint8_t ip_version; /* 4 or 6 */
    uint8_t protocol;
};

/* 0; -ENOMEM. A program that nothing can be left out of (it goes back, or asks for an address
 * first) is copied. */
int filter_short_make(const struct bpf_program *program, const struct filter_kind *kind,
                      struct bpf_insn **out);

#endif
