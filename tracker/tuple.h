/* tuple: a packet's key in the connection table.
 *
 * Both directions give one tuple: the lower end first, as the capture's PACKET_MARK_SOURCE_IS_HIGH
 * says. */
#ifndef WANMETER_TRACKER_TUPLE_H
#define WANMETER_TRACKER_TUPLE_H

#include <stdbool.h>

#include "proto/packet.h"
#include "tracker/connection_table.h"

/* The packet's own tuple. 'packet' has an IP header. */
void tuple_of_packet(const struct packet *packet, struct tuple *tuple);

/* The tuple of the packet that an ICMP error quotes; false: it quotes none. */
bool tuple_of_inner(const struct packet *packet, struct tuple *tuple);

/* Whether the quoted packet's sender is its tuple's high end. */
bool tuple_inner_is_high(const struct packet_inner *inner);

/* 64 bits from content only: zone, tuple and the first packet's time. Unkeyed: the same in every
 * run. */
uint64_t tuple_flow_id(const struct tuple *tuple, int64_t start_ns);

#endif
