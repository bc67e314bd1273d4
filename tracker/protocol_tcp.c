/* TCP: new, established, closed, by the flags alone.
 *
 * Established once both directions were seen; closed after a RST, or a FIN of each side. A SYN on a
 * closed connection begins another one. 'protocol_state' holds what was seen, enum seen.
 *
 * Source: RFC 9293, section 3.3.2; timeouts of Linux nf_conntrack_proto_tcp.c. */
#include "tracker/protocol.h"

enum seen {
    SEEN_FIN_ORIGINAL = 1 << FLOW_ORIGINAL,
    SEEN_FIN_REPLY = 1 << FLOW_REPLY,
    SEEN_FIN_BOTH = SEEN_FIN_ORIGINAL | SEEN_FIN_REPLY,
    SEEN_RST = 1 << 2,
    SEEN_HANDSHAKE = 1 << 3, /* a packet that is neither SYN nor RST, so the handshake is over */
};

static bool is_first_of_connection(uint8_t flags)
{
    return (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

static void see_flags(struct connection *connection, unsigned direction, uint8_t flags)
{
    if ((flags & TCP_RST) != 0)
        connection->protocol_state |= SEEN_RST;
    else if ((flags & TCP_SYN) == 0)
        connection->protocol_state |= SEEN_HANDSHAKE;
    if ((flags & (TCP_FIN | TCP_RST)) == TCP_FIN)
        connection->protocol_state = (uint8_t)(connection->protocol_state | 1u << direction);
}

static bool is_closed(const struct connection *connection)
{
    return (connection->protocol_state & SEEN_RST) != 0 ||
           (connection->protocol_state & SEEN_FIN_BOTH) == SEEN_FIN_BOTH;
}

/* 'had_reply': before this packet. One that goes on after the reply is assured. */
static int64_t open_timeout(const struct config *config, struct connection *connection,
                            bool had_reply)
{
    if ((connection->protocol_state & SEEN_FIN_BOTH) != 0)
        return config->timeouts.tcp_fin_wait_ns;
    if ((connection->protocol_state & SEEN_HANDSHAKE) == 0)
        return connection->state == STATE_NEW ? config->timeouts.tcp_syn_sent_ns
                                              : config->timeouts.tcp_syn_recv_ns;
    if (!had_reply)
        return config->timeouts.tcp_unacknowledged_ns;
    connection->status |= STATUS_ASSURED;
    return config->timeouts.tcp_established_ns;
}

static enum protocol_verdict on_packet(const struct config *config, struct connection *connection,
                                       unsigned direction, const struct packet *packet,
                                       int64_t *timeout_ns)
{
    bool had_reply = (connection->status & STATUS_SEEN_REPLY) != 0;
    bool was_new = connection->state == STATE_NEW;
    if ((packet->tcp.options & TCP_HEADER_INVALID) != 0)
        return VERDICT_INVALID;
    if (connection->state == STATE_CLOSED && is_first_of_connection(packet->tcp.flags))
        return VERDICT_REOPEN;

    see_flags(connection, direction, packet->tcp.flags);
    if (!is_closed(connection)) {
        protocol_see_direction(connection, direction);
        *timeout_ns = open_timeout(config, connection, had_reply);
        return VERDICT_ACCEPT;
    }
    connection->state = STATE_CLOSED;
    bool is_reset = (connection->protocol_state & SEEN_RST) != 0;
    *timeout_ns = is_reset ? config->timeouts.tcp_close_ns : config->timeouts.tcp_time_wait_ns;
    /* A RST that answers, or takes back, all there was ends it; a lone RST is a flow of its own. */
    return is_reset && was_new ? VERDICT_CLOSE : VERDICT_ACCEPT;
}

const struct protocol protocol_tcp = {"tcp", on_packet};
