/* The short way of a packet: of a TCP or UDP connection of which both ends were heard. Its protocol
 * judges it, and where that accepts it, it is counted and the connection lives longer; of all that
 * flow_table_add() looks for besides, nothing can be there. Nearly all packets go so. */
#include <netinet/in.h>

#include "tracker/flow/flow_internal.h"
#include "tracker/flow_record.h"

/* No fragment, no datagram that fragments made, and for its protocol to judge. */
static bool is_plain_packet(const struct packet *packet)
{
    return (packet->extra | packet->datagram_bytes | packet->is_invalid |
            (packet->marks & PACKET_MARK_BAD_CHECKSUM)) == 0;
}

/* Nothing is due, nothing is for the first time, its account is the one it had, and no helper reads
 * it: that is in 'extra'. */
static bool is_plain_flow(const struct flow_table *flows, const struct connection *connection,
                          int64_t clock_ns)
{
    const unsigned heard = STATUS_CONFIRMED | STATUS_SEEN_REPLY;
    return (connection->status & heard) == heard && !connection->is_held_only &&
           connection->original_end != ORIGINAL_IS_BOTH && flow_record_is_begun(connection) &&
           connection->account_changes == flows->account_changes &&
           connection->expires_ns > clock_ns && connection->interim_ns > clock_ns &&
           !(flows->helpers && connection->extra);
}

/* Does its protocol accept it, and nothing else? Otherwise nothing was done. */
static bool is_accepted(const struct protocol_context *context, struct connection *connection,
                        unsigned direction, const struct packet *packet, int64_t *timeout_ns)
{
    switch (connection->tuple.protocol) {
    case IPPROTO_TCP:
        return protocol_tcp_go_on(context, connection, direction, packet, timeout_ns);
    case IPPROTO_UDP:
        return protocol_udp.on_packet(context, connection, direction, packet, timeout_ns) ==
               VERDICT_ACCEPT;
    default:
        return false;
    }
}

/* What flow_table_judgement() and events read, and nothing else. */
static void begin_step(struct step *step, const struct packet *packet,
                       struct connection *connection, unsigned direction)
{
    step->packet = packet;
    step->connection = connection;
    step->verdict = VERDICT_ACCEPT;
    step->direction = direction;
    step->is_opened = false;
    step->state_before = connection->state;
    step->status_before = connection->status;
}

static void end_step(struct step *step, int64_t timeout_ns)
{
    step->timeout_ns = timeout_ns;
    step->status_after = step->connection->status;
    step->state_after = step->connection->state;
}

/* Its timer is told only where the flow is over earlier than before. */
static void renew(struct flow_table *flows, struct connection *connection, int64_t clock_ns,
                  int64_t timeout_ns)
{
    int64_t before_ns = connection->expires_ns;
    if (timeout_ns)
        connection->expires_ns = flow_expiry(clock_ns, timeout_ns);
    if (connection->expires_ns < before_ns)
        connection_table_set_timer(flows->connections, connection);
}

__attribute__((flatten)) bool flow_go_on(struct flow_table *flows, const struct packet *packet,
                                         const struct flow_key *key, struct flow_charge *charge)
{
    struct connection *connection =
        connection_table_near(flows->connections, &key->tuple, key->near);
    if (!connection || !is_plain_packet(packet) ||
        !is_plain_flow(flows, connection, packet->clock_ns))
        return false;
    unsigned direction = flow_direction_of(connection, packet);
    int64_t timeout_ns = 0;
    begin_step(&flows->step, packet, connection, direction);
    if (!is_accepted(flow_context_of(flows, connection), connection, direction, packet,
                     &timeout_ns))
        return false;
    end_step(&flows->step, timeout_ns);
    charge->account = connection->account;
    charge->class_index = connection->class_index;
    charge->billed_bytes = flow_charge_for(flows, connection, direction, packet);
    flow_count(flows, connection, direction, packet, charge->billed_bytes);
    renew(flows, connection, packet->clock_ns, timeout_ns);
    if (flows->sink.on_event)
        flow_tell_progress(flows, &flows->step);
    return true;
}
