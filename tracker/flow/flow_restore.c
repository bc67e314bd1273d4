#include "tracker/flow_restore.h"

#include <netinet/in.h>
#include <string.h>

#include "tracker/flow/flow_internal.h"
#include "tracker/protocol/tcp.h"
#include "tracker/tuple.h"

enum { PROTOCOL_GRE = 47, UDP_YOUNG_NS = 2000000000 };

/* ---- the tuple ---- */

static bool source_is_high(const struct flow_record *record)
{
    int order = memcmp(record->source_address, record->destination_address, 16);
    return order > 0 || (order == 0 && record->source_port > record->destination_port);
}

static void key_of(const struct flow_table *flows, const struct flow_record *record,
                   struct flow_key *key)
{
    struct packet packet;
    packet_of_flow_record(record, &packet);
    if (source_is_high(record))
        packet.marks |= PACKET_MARK_SOURCE_IS_HIGH;
    tuple_of_packet(&packet, &key->tuple);
    key->hash = connection_table_hash(flows->connections, &key->tuple);
}

static enum original_end original_end_of(const struct flow_record *record)
{
    bool is_both = record->source_port == record->destination_port &&
                   memcmp(record->source_address, record->destination_address, 16) == 0;
    if (is_both)
        return ORIGINAL_IS_BOTH;
    return source_is_high(record) ? ORIGINAL_IS_HIGH : ORIGINAL_IS_LOW;
}

/* ---- the protocol's own ---- */

static bool is_state_of(uint8_t state, uint8_t first, uint8_t last)
{
    return state >= first && state <= last;
}

static int64_t sctp_timeout_ns(const struct timeouts *timeouts, uint8_t state)
{
    switch (state) {
    case STATE_COOKIE_WAIT:
        return timeouts->sctp_cookie_wait_ns;
    case STATE_COOKIE_ECHOED:
        return timeouts->sctp_cookie_echoed_ns;
    case STATE_ESTABLISHED:
        return timeouts->sctp_established_ns;
    case STATE_SHUTDOWN_SENT:
        return timeouts->sctp_shutdown_sent_ns;
    case STATE_SHUTDOWN_RECD:
        return timeouts->sctp_shutdown_recd_ns;
    case STATE_SHUTDOWN_ACK_SENT:
        return timeouts->sctp_shutdown_ack_sent_ns;
    case STATE_HEARTBEAT_SENT:
        return timeouts->sctp_heartbeat_sent_ns;
    default:
        return timeouts->sctp_closed_ns;
    }
}

static int64_t timeout_ns(const struct protocol_context *context,
                          const struct connection *connection)
{
    const struct timeouts *timeouts = context->timeouts;
    bool is_assured = connection->status & STATUS_ASSURED;
    if (!flow_is_connection(connection))
        return timeouts->untracked_ns;
    switch (connection->tuple.protocol) {
    case IPPROTO_TCP:
        return tcp_timeout_ns(context, connection->protocol_state);
    case IPPROTO_SCTP:
        return sctp_timeout_ns(timeouts, connection->state);
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        return is_assured ? timeouts->udp_stream_ns : timeouts->udp_unreplied_ns;
    case PROTOCOL_GRE:
        return is_assured ? timeouts->gre_stream_ns : timeouts->gre_unreplied_ns;
    case IPPROTO_ICMP:
        return timeouts->icmp_ns;
    case IPPROTO_ICMPV6:
        return timeouts->icmpv6_ns;
    default:
        return timeouts->generic_ns;
    }
}

/* As after a pick-up: no window is known, so no segment is out of it. Who sent the first FIN is
 * not known either; that somebody did, is. */
static void restore_tcp(struct connection *connection)
{
    struct tcp_track *track = &connection->track.tcp;
    for (int i = 0; i < FLOW_DIRECTIONS; i++)
        track->sides[i].flags = TCP_SIDE_SACK | TCP_SIDE_LIBERAL;
    if (!is_state_of(connection->state, STATE_SYN_SENT, STATE_SYN_SENT2))
        return;
    connection->protocol_state = (uint8_t)(TCP_SYN_SENT + (connection->state - STATE_SYN_SENT));
    if (is_state_of(connection->state, STATE_FIN_WAIT, STATE_TIME_WAIT))
        track->sides[FLOW_ORIGINAL].flags |= TCP_SIDE_CLOSED_FIRST;
}

/* SCTP's verification tags are learned from the next packets. */
static void restore_protocol(const struct protocol_context *context,
                             const struct flow_record *record, struct connection *connection)
{
    switch (connection->tuple.protocol) {
    case IPPROTO_TCP:
        restore_tcp(connection);
        break;
    case IPPROTO_SCTP:
        protocol_sctp_restore(connection);
        break;
    case IPPROTO_UDP:
        connection->track.young_until_ns = connection->first_ns + UDP_YOUNG_NS;
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        connection->track.icmp.type = record->icmp_type;
        connection->track.icmp.code = record->icmp_code;
        break;
    case PROTOCOL_GRE:
        connection->track.gre = (struct gre_track){context->timeouts->gre_unreplied_ns,
                                                   context->timeouts->gre_stream_ns};
        break;
    default:
        break;
    }
}

/* ---- the flow ---- */

static void restore_traits(struct flow_table *flows, struct connection *connection,
                           const struct flow_record *record)
{
    static const uint8_t all[LABELS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint16_t policy = (uint16_t)(record->resume >> RESUME_POLICY_SHIFT);
    struct connection_traits traits = {
        .mark = record->mark,
        .policy = timeout_policies_has(flows->policies, policy) ? policy : 0,
    };
    label_table_write(flows->labels, traits.labels, record->labels, all);
    connection_table_set_traits(flows->connections, connection, &traits);
}

static void restore_extra(struct flow_table *flows, struct connection *connection,
                          const struct flow_record *record)
{
    uint8_t helper = flows->helpers ? (uint8_t)(record->resume >> RESUME_HELPER_SHIFT) : 0;
    if (!helper && !record->master_id)
        return;
    struct connection_extra *extra = connection_table_extra(flows->connections, connection);
    extra->master_id = record->master_id;
    extra->helper_number = helper;
}

static uint32_t flow_label_of(const struct flow_record *record, unsigned direction)
{
    bool is_seen = direction == FLOW_ORIGINAL || record->status & STATUS_SEEN_REPLY;
    return is_seen ? record->flow_label[direction] | FLOW_LABEL_SEEN : 0;
}

static void copy_record(struct flow_table *flows, const struct flow_record *record,
                        const struct flow_restore *restore, struct connection *connection)
{
    uint32_t resume = record->resume;
    bool is_account_due =
        resume & RESUME_ACCOUNT_ANEW || restore->account_changes_ns > record->last_ns;
    connection_table_set_id(flows->connections, connection, record->id);
    connection->first_ns = record->start_ns;
    connection->last_ns = record->last_ns;
    connection->state = record->state;
    connection->status = (uint16_t)record->status;
    connection->original_end = original_end_of(record) & 3u;
    connection->class_index = record->class_index;
    connection->wan = record->wan;
    connection->wan_match = record->wan_match ? (uint8_t)(record->wan_match - 1) : 0;
    connection->account = record->account;
    connection->account_changes = is_account_due ? 0 : flows->account_changes;
    connection->is_account_fixed = resume & RESUME_ACCOUNT_FIXED;
    connection->first_direction = resume >> RESUME_DIRECTION_SHIFT & 3;
    if (record->ip_version == 6)
        for (unsigned i = 0; i < FLOW_DIRECTIONS; i++)
            connection_table_flow_labels(flows->connections, connection)[i] =
                flow_label_of(record, i);
}

bool flow_table_restore(struct flow_table *flows, const struct flow_record *record,
                        const struct flow_restore *restore)
{
    struct flow_key key;
    key_of(flows, record, &key);
    if (connection_table_find(flows->connections, &key.tuple, key.hash))
        return false;
    struct connection *connection = connection_table_add(flows->connections, &key.tuple, key.hash);
    if (!connection)
        return false;
    copy_record(flows, record, restore, connection);
    restore_traits(flows, connection, record);
    restore_extra(flows, connection, record);
    struct protocol_context context = flows->context;
    context.timeouts = flow_timeouts_of(flows, connection);
    restore_protocol(&context, record, connection);
    connection->expires_ns = restore->clock_ns + timeout_ns(&context, connection);
    connection_table_set_timer(flows->connections, connection);
    return true;
}
