/* reassembly: which fragment completes its datagram, as the Linux kernel would put it together.
 *
 *     reassembly_create(&limits, &reassembly);
 *     result = reassembly_add(reassembly, &key, &fragment, clock_ns, &datagram);      in order
 *     reassembly_forget(reassembly);                                                  at the end
 *     reassembly_destroy(reassembly);
 *
 * Fragments may come in any order. What is wholly within one run of what is there is a duplicate
 * and ignored; what overlaps otherwise discards all (a run grows at the end of the datagram only;
 * what fills a gap is a run of its own). So does, in IPv4, what contradicts the end; in IPv6 it is
 * ignored. IPv4: a fragment with more to follow is cut to a multiple of 8 bytes; an empty one
 * discards all; more than FRAGMENT_DISTANCE_MAX of the source's fragments between two of a datagram
 * begin it anew. IPv6: a fragment with more to follow that is no multiple of 8 discards all and is
 * a packet of its own, and so is a first one that ends before the header that a tracker needs; an
 * empty one is ignored. A datagram above 65535 bytes is discarded. What is not complete a timeout
 * after its first fragment came is forgotten.
 *
 * Bounded: 'memory_bytes', of which each datagram takes as many KiB as its fragments touch. When
 * it is used up the datagram that is nearest to its timeout is forgotten, which is where Linux
 * refuses the new one. Not thread-safe. Source: RFC 791, section 3.2; RFC 5722; RFC 8200, section
 * 4.5; observed of Linux 6.18 (net.ipv4.ipfrag_*, nf_conntrack_frag6_*). */
#ifndef WANMETER_CAPTURE_REASSEMBLY_H
#define WANMETER_CAPTURE_REASSEMBLY_H

#include <stddef.h>
#include <stdint.h>

#include "capture/decode.h"
#include "capture/fragment/fragment_key.h"

enum { FRAGMENT_DISTANCE_MAX = 64, REASSEMBLY_MEMORY_MIN = 256 * 1024 };

struct reassembly;

struct reassembly_limits {
    size_t memory_bytes; /* REASSEMBLY_MEMORY_MIN or more */
    int64_t ipv4_timeout_ns;
    int64_t ipv6_timeout_ns;
};

enum reassembly_result {
    REASSEMBLY_HELD,     /* nothing to judge yet, or never */
    REASSEMBLY_COMPLETE, /* 'datagram' is whole */
    REASSEMBLY_ALONE,    /* 'datagram' is the fragment, as a packet of its own */
};

/* 0 or -ENOMEM. */
int reassembly_create(const struct reassembly_limits *limits, struct reassembly **out);
void reassembly_destroy(struct reassembly *reassembly); /* accepts NULL */

/* 'datagram' is set unless the result is REASSEMBLY_HELD; its bytes are the frame's or our own, and
 * valid until the next call. */
enum reassembly_result reassembly_add(struct reassembly *reassembly, const struct fragment_key *key,
                                      const struct fragment *fragment, int64_t clock_ns,
                                      struct datagram *datagram);

/* Forgets everything. */
void reassembly_forget(struct reassembly *reassembly);

/* Datagrams that were forgotten for want of memory. */
uint64_t reassembly_given_up(const struct reassembly *reassembly);

#endif
