/* SCTP, without looking at its chunks: the times of the handshake's states by who has spoken.
 * INIT alone waits for a cookie; INIT ACK, the first reply, for its echo; then it is established.
 * Source: RFC 9260, section 5.1; Linux nf_conntrack_proto_sctp.c. */
#include "tracker/protocol.h"

static enum protocol_verdict on_packet(const struct config *config, struct connection *connection,
                                       unsigned direction, const struct packet *packet,
                                       int64_t *timeout_ns)
{
    (void)packet;
    protocol_see_direction(connection, direction);
    if ((connection->status & STATUS_SEEN_REPLY) != 0) {
        connection->status |= STATUS_ASSURED;
        *timeout_ns = config->timeouts.sctp_established_ns;
    } else if (direction == FLOW_REPLY) {
        *timeout_ns = config->timeouts.sctp_cookie_echoed_ns;
    } else {
        *timeout_ns = config->timeouts.sctp_cookie_wait_ns;
    }
    return VERDICT_ACCEPT;
}

const struct protocol protocol_sctp = {"sctp", on_packet};
