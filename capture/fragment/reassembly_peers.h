/* reassembly_peers: how many fragments each source of incomplete datagrams has sent.
 *
 *     reassembly_peers_create(n_max, &peers);
 *     peer = reassembly_peers_join(peers, &key);         a datagram of it begins
 *     n = reassembly_peers_count(peers, peer);           a fragment of it came
 *     reassembly_peers_leave(peers, peer);               that datagram is no more
 *     reassembly_peers_destroy(peers);
 *
 * A peer is kept as long as a datagram of it is: before, its count does not matter. A count wraps;
 * only differences mean anything. Not thread-safe. */
#ifndef WANMETER_CAPTURE_REASSEMBLY_PEERS_H
#define WANMETER_CAPTURE_REASSEMBLY_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "capture/fragment/fragment_key.h"

struct reassembly_peers;

/* 'n_max': of datagrams, and so of peers. 0 or -ENOMEM. */
int reassembly_peers_create(size_t n_max, struct reassembly_peers **out);
void reassembly_peers_destroy(struct reassembly_peers *peers); /* accepts NULL */

/* At most 'n_max' may have joined. */
uint32_t reassembly_peers_join(struct reassembly_peers *peers, const struct fragment_key *key);
void reassembly_peers_leave(struct reassembly_peers *peers, uint32_t peer);

/* Counts one more; the count with it. */
uint32_t reassembly_peers_count(struct reassembly_peers *peers, uint32_t peer);

#endif
