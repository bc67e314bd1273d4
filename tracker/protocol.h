/* protocol: one module per protocol says what a packet does to its connection's state and timeout.
 *
 *     protocol = protocol_of(packet.protocol, packet.ip_version);
 *     verdict = protocol->on_packet(&context, connection, direction, &packet, &timeout_ns);
 *
 * The module reads and writes connection->state, status, protocol_state and track, nothing else
 * (TCP also reads expires_ns); the tracker counts, refreshes the timer and emits events by the
 * verdict. With VERDICT_INVALID on a connection just made it may leave any of them changed. */
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
    VERDICT_INVALID, /* billed, no effect on the connection, but timer := timeout_ns if that is set
                      */
    VERDICT_REOPEN,  /* ends this connection; the packet begins a new one */
    VERDICT_CLOSE,   /* counted, then the connection is over at once */
    VERDICT_UNTRACKED, /* billed; nothing that conntrack looks at */
    VERDICT_LOOKUP,    /* the tracker's own: billed; by the rules it makes no connection */
};

/* What a verdict depends on besides the connection: the settings, and the timeouts that are in
 * force for this connection (a policy's, or the defaults). */
struct protocol_context {
    const struct config *config;
    const struct timeouts *timeouts;
};

struct protocol {
    const char *name;
    /* 'direction': FLOW_ORIGINAL or FLOW_REPLY. A connection just made has state STATE_NONE; status
     * SEEN_REPLY is set by the tracker after an accepted or ignored reply. 'timeout_ns' is set with
     * ACCEPT. */
    enum protocol_verdict (*on_packet)(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns);
};

/* Never NULL: what has no module is 'generic'. */
const struct protocol *protocol_of(uint8_t protocol_number, uint8_t ip_version);

/* For the modules without states of their own: one packet, several of one direction, both. */
static inline void protocol_see_direction(struct connection *connection, unsigned direction)
{
    bool has_reply = direction == FLOW_REPLY || (connection->status & STATUS_SEEN_REPLY) != 0;
    if (has_reply)
        connection->state = STATE_BIDIRECTIONAL;
    else
        connection->state = connection->state == STATE_NONE ? STATE_FIRST : STATE_MULTIPLE;
}

/* protocol_tcp.c: as on_packet(), of what most segments are: they acknowledge and may have data or
 * a FIN, are within the window, and go on with a connection in ESTABLISHED to TIME_WAIT. True: that
 * accepts it. False: it is another; nothing was done. */
bool protocol_tcp_go_on(const struct protocol_context *context, struct connection *connection,
                        unsigned direction, const struct packet *packet, int64_t *timeout_ns);

/* protocol_sctp.c: of a connection of which only the state is known. */
void protocol_sctp_restore(struct connection *connection);

extern const struct protocol protocol_tcp, protocol_udp, protocol_udplite, protocol_icmp,
    protocol_icmpv6, protocol_impossible, protocol_sctp, protocol_gre, protocol_generic;

#endif
