/* tuple: a packet's key in the connection table.
 *
 * Both directions give one tuple: the lower end first, as the capture's PACKET_MARK_SOURCE_IS_HIGH
 * says. */
#ifndef WANMETER_TRACKER_TUPLE_H
#define WANMETER_TRACKER_TUPLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/packet.h"
#include "tracker/connection_table.h"

/* Of an ICMP packet: the type that the low end sends << 8 | the code. */
uint16_t tuple_icmp(const struct packet *packet, bool is_high);

static_assert(offsetof(struct packet, destination_address) ==
                  offsetof(struct packet, source_address) + 16,
              "the ends' addresses lie together");
static_assert(offsetof(struct packet, destination_port) == offsetof(struct packet, source_port) + 2,
              "and their ports");
static_assert(PACKET_MARK_IPV6 == 2, "as 6 is 4 and 2");

/* The packet's own tuple. 'packet' has an IP header. Which end is the lower one cannot be
 * predicted, so nothing branches by it. The last eight bytes are made in a register, so that the
 * hash has them there. */
static inline void tuple_of_packet(const struct packet *packet, struct tuple *tuple)
{
    unsigned marks = packet->marks;
    bool is_high = marks & PACKET_MARK_SOURCE_IS_HIGH;
    uint32_t ports;
    memcpy(&ports, (const uint8_t *)packet + offsetof(struct packet, source_port), sizeof ports);
    ports = is_high ? ports >> 16 | ports << 16 : ports;
    if (protocol_is_icmp(packet->protocol))
        ports = (ports & UINT16_MAX) | (uint32_t)tuple_icmp(packet, is_high) << 16;
    uint64_t ip_version = 4u | (marks & PACKET_MARK_IPV6);
    uint64_t has_ports = (marks & PACKET_MARK_PORTS) != 0;
    uint64_t tail = ports | (uint64_t)packet->zone << 32 | (uint64_t)packet->protocol << 48 |
                    ip_version << 56 | has_ports << 60;

    const uint8_t *source = (const uint8_t *)packet + offsetof(struct packet, source_address);
    size_t low = is_high ? 16 : 0;
    memcpy(tuple->low_address, source + low, 16);
    memcpy(tuple->high_address, source + 16 - low, 16);
    memcpy((uint8_t *)tuple + offsetof(struct tuple, low_port), &tail, sizeof tail);
}

/* The tuple of the packet that an ICMP error quotes; false: it quotes none. */
bool tuple_of_inner(const struct packet *packet, struct tuple *tuple);

/* Whether the quoted packet's sender is its tuple's high end. */
bool tuple_inner_is_high(const struct packet_inner *inner);

/* 64 bits from content only: zone, tuple and the first packet's time. Unkeyed: the same in every
 * run. */
uint64_t tuple_flow_id(const struct tuple *tuple, int64_t start_ns);

#endif
