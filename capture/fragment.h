/* fragment: gives later fragments the ports of their first one, in any order.
 *
 *     fragment_table_create(fragments_max, timeout_ns, on_packet, state, &table);
 *     fragment_table_add(table, &packet, &layers, source_index);     every fragment
 *     fragment_table_expire(table, clock_ns);                        packet time
 *     fragment_table_flush(table);                                   at the end of input
 *     fragment_table_destroy(table);
 *
 * A first fragment is passed on at once and remembered for the timeout; then the later ones that
 * were waiting for it, in their order of arrival, then later ones as they come: with its protocol,
 * ports, class, ICMP fields and inner tuple. What still waits at the timeout, at the end, or when
 * the table is full (oldest first) is passed on as CLASS_FRAG_ORPHAN. A first fragment whose ports
 * are cut (CLASS_NO_PORTS) gives none: its later ones are orphans. A later fragment belongs to the
 * nearest first one before it, else to the first one after it. A fragment is passed on with
 * clock_ns set to the clock at that moment. Nothing is reassembled. Bounded: 'fragments_max'
 * datagrams and as many waiting packets. Key: IPv4 (source, destination, id, protocol), IPv6
 * (source, destination, id) and the source of the capture. Every packet that is added is passed on
 * exactly once. Source: RFC 791, 3.2; RFC 8200, 4.5. Not thread-safe. */
#ifndef WANMETER_CAPTURE_FRAGMENT_H
#define WANMETER_CAPTURE_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "capture/decode.h"
#include "proto/packet.h"

struct fragment_table;

/* 'packet' is borrowed for the call, and may be changed. The table must not be called from here. */
typedef void (*fragment_fn)(void *state, struct packet *packet);

/* 'fragments_max' is 1 or more. 0 or -ENOMEM. */
int fragment_table_create(size_t fragments_max, int64_t timeout_ns, fragment_fn on_packet,
                          void *state, struct fragment_table **out);
void fragment_table_destroy(struct fragment_table *table); /* accepts NULL; what waits is dropped */

/* 'packet' has PACKET_MARK_FIRST_FRAGMENT or PACKET_MARK_LATER_FRAGMENT, and its clock_ns is set;
 * 'layers' are what decode_frame() gave with it. What is due by that clock is expired first. */
void fragment_table_add(struct fragment_table *table, struct packet *packet,
                        const struct layers *layers, uint32_t source_index);

/* Passes on what has waited for the timeout, oldest first, and forgets old first fragments. Cheap
 * when nothing is due: meant for every packet, so that orphans leave at a defined clock. */
void fragment_table_expire(struct fragment_table *table, int64_t clock_ns);

/* Passes on all that waits, in order of arrival, and forgets everything. */
void fragment_table_flush(struct fragment_table *table);

#endif
