/* protocol: one module per protocol says what a packet does to its connection's state and timeout.
 *
 *     protocol = protocol_of(packet.protocol, packet.ip_version);
 *     verdict = protocol->on_packet(config, connection, direction, &packet, &timeout_ns);
 *
 * The module reads and writes connection->state, status, protocol_state and protocol_data, nothing
 * else; the tracker counts, refreshes the timer and emits events by the verdict. */
#ifndef WANMETER_TRACKER_PROTOCOL_H
#define WANMETER_TRACKER_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"
#include "tracker/connection_table.h"

enum protocol_verdict {
    VERDICT_ACCEPT,  /* counted, timer := timeout_ns */
    VERDICT_IGNORE,  /* accepted but not counted in ct_ numbers, timer as it was */
    VERDICT_INVALID, /* billed, no effect on the connection */
    VERDICT_REOPEN,  /* ends this connection; the packet begins a new one */
    VERDICT_CLOSE,   /* counted, then the connection is over at once */
};

struct protocol {
    const char *name;
    /* 'direction': FLOW_ORIGINAL or FLOW_REPLY. A connection just made has state STATE_NONE; status
     * SEEN_REPLY is set by the tracker after an accepted or ignored reply. 'timeout_ns' is set with
     * ACCEPT and CLOSE. */
    enum protocol_verdict (*on_packet)(const struct config *config, struct connection *connection,
                                       unsigned direction, const struct packet *packet,
                                       int64_t *timeout_ns);
};

/* Never NULL: what has no module is 'generic'. */
const struct protocol *protocol_of(uint8_t protocol_number, uint8_t ip_version);

/* For the modules: NEW until a packet of the other direction, then ESTABLISHED. */
static inline void protocol_see_direction(struct connection *connection, unsigned direction)
{
    bool has_reply = direction == FLOW_REPLY || (connection->status & STATUS_SEEN_REPLY) != 0;
    connection->state = has_reply ? STATE_ESTABLISHED : STATE_NEW;
}

extern const struct protocol protocol_tcp, protocol_udp, protocol_udplite, protocol_icmp,
    protocol_icmpv6, protocol_sctp, protocol_gre, protocol_generic;

#endif
