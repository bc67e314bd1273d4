/* fragment: finds the ports of fragments, and which of them completes its datagram.
 *
 *     fragment_table_create(&config, &decoder, on_packet, state, &table);
 *     fragment_table_add(table, &packet, &layers, source_index);     every fragment
 *     fragment_table_expire(table, clock_ns);                        packet time
 *     fragment_table_flush(table);                                   at the end of input
 *     fragment_table_destroy(table);
 *
 * Every fragment is passed on exactly once, with its own bytes: one whose arrival completes its
 * datagram with PACKET_COMPLETES and all that the datagram says (decode_datagram()), all others
 * with PACKET_HELD. Datagrams are put together as Linux would (fragment/reassembly.h), in the order
 * of arrival; that an IPv6 fragment is a packet of its own counts as complete.
 *
 * A first fragment is passed on at once and remembered for the timeout; then the later ones that
 * were waiting for it, in their order of arrival, then later ones as they come: with its protocol,
 * ports, class, ICMP fields and inner tuple. What still waits at the timeout, at the end, or when
 * the table is full (oldest first) is passed on as CLASS_FRAG_ORPHAN. A first fragment whose ports
 * are cut (CLASS_NO_PORTS) gives none: its later ones are orphans. A later fragment belongs to the
 * datagram it completes, else to the nearest first one before it, else to the first one after it. A
 * fragment is passed on with clock_ns set to the clock at that moment; one that timed out, to its
 * timeout, which does not depend on when a packet comes that moves the clock past it. Bounded:
 * 'fragments_max' datagrams and as many waiting packets, and what reassembly takes. Key:
 * fragment/fragment_key.h. Not thread-safe. */
#ifndef WANMETER_CAPTURE_FRAGMENT_H
#define WANMETER_CAPTURE_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "capture/decode.h"
#include "common/config.h"
#include "proto/packet.h"

struct fragment_table;

/* 'packet' is borrowed for the call, and may be changed. Of the table only fragment_table_whole()
 * may be called from here. */
typedef void (*fragment_fn)(void *state, struct packet *packet);

/* By 'config': capture.fragments_max and fragment_timeout, conntrack.ipfrag_time, frag6_timeout and
 * fragment_memory. 'decoder' is kept, not copied. 0 or -ENOMEM. */
int fragment_table_create(const struct config *config, const struct decoder *decoder,
                          fragment_fn on_packet, void *state, struct fragment_table **out);
void fragment_table_destroy(struct fragment_table *table); /* accepts NULL; what waits is dropped */

/* 'packet' is a fragment (layers->is_fragment), and its clock_ns and zone are set; 'layers' are
 * what decode_frame() gave with it, and the frame they are of is still there. What is due by that
 * clock is expired first. */
void fragment_table_add(struct fragment_table *table, struct packet *packet,
                        const struct layers *layers, uint32_t source_index);

/* Passes on what has waited for the timeout, oldest first, and forgets old first fragments. Cheap
 * when nothing is due. To be called before anything else learns that the clock has moved. */
void fragment_table_expire(struct fragment_table *table, int64_t clock_ns);

/* Passes on all that waits, in order of arrival, and forgets everything. */
void fragment_table_flush(struct fragment_table *table);

/* Of a packet that is passed on with PACKET_COMPLETES: where the transport header of the datagram
 * is (transport, transport_bytes; the other fields mean nothing). */
const struct layers *fragment_table_whole(const struct fragment_table *table);

/* Logs how many datagrams were not judged, as there was no memory to put them together. */
void fragment_table_tell_given_up(const struct fragment_table *table);

#endif
