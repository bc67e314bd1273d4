/* flow_counters: what a flow has counted since the record before.
 *
 *     flow_counters_add(connections, connection, direction, &packet, billed_bytes);
 *     flow_counters_ignore(connections, connection, direction, 1, packet.l3_bytes);
 *     flow_counters_read(connection, direction, &counters);
 *     flow_counters_reset(connection);                          a record has them
 *
 * The entry has 32 bits of L3 and billed bytes, 16 of packets and of what their L2 bytes are more
 * than their L3 bytes: some 4,000 packets of a direction. What does not fit goes to the
 * connection's 'extra', so nothing is cut and nothing wraps. What conntrack counts is all packets
 * of a connection but for those that are said to be ignored; of a flow that is none, nothing. Not
 * thread-safe. */
#ifndef WANMETER_TRACKER_FLOW_COUNTERS_H
#define WANMETER_TRACKER_FLOW_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/record.h"
#include "tracker/connection_table.h"

static inline bool flow_counters_are_zero(const struct connection *connection)
{
    return !connection->counters[FLOW_ORIGINAL].packets &&
           !connection->counters[FLOW_REPLY].packets;
}

void flow_counters_add(struct connection_table *connections, struct connection *connection,
                       unsigned direction, const struct packet *packet, uint64_t billed_bytes);

/* Of what was added, conntrack does not count this; l3_bytes modulo 2^64. */
void flow_counters_ignore(struct connection_table *connections, struct connection *connection,
                          unsigned direction, uint64_t packets, uint64_t l3_bytes);

/* The same of all that was added but 'packet', with which the flow becomes a connection. */
void flow_counters_ignore_before(struct connection_table *connections,
                                 struct connection *connection, unsigned direction,
                                 const struct packet *packet);

void flow_counters_add_invalid(struct connection_table *connections, struct connection *connection);
void flow_counters_add_wan_change(struct connection_table *connections,
                                  struct connection *connection);

void flow_counters_read(const struct connection *connection, unsigned direction,
                        struct flow_counters *counters);
uint32_t flow_counters_invalid(const struct connection *connection);
uint32_t flow_counters_wan_changes(const struct connection *connection);

void flow_counters_reset(struct connection *connection);

#endif
