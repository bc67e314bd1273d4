#include "tracker/flow/flow_internal.h"

#include <string.h>

#include "tracker/flow_counters.h"

/* Of one that talks to itself: what comes after the first packet is a reply, as its tuple is found
 * (of ICMP, what answers the first packet's type). */
unsigned flow_direction_of(const struct connection *connection, const struct packet *packet)
{
    bool is_high = packet->marks & PACKET_MARK_SOURCE_IS_HIGH;
    if (connection->original_end != ORIGINAL_IS_BOTH)
        return is_high == (connection->original_end == ORIGINAL_IS_HIGH) ? FLOW_ORIGINAL
                                                                         : FLOW_REPLY;
    bool is_first_again =
        packet->parts & PACKET_PART_ICMP && packet->icmp_type == connection->track.icmp.type;
    return flow_is_connection(connection) && !is_first_again ? FLOW_REPLY : FLOW_ORIGINAL;
}

const struct protocol_context *flow_context_of(struct flow_table *flows,
                                               const struct connection *connection)
{
    if (connection->traits == TRAITS_NONE)
        return &flows->context;
    flows->own_context.timeouts = flow_timeouts_of(flows, connection);
    return &flows->own_context;
}

/* A fragment is not judged, but the datagram is, with the fragment that completes it. */
static enum protocol_verdict ask_protocol(struct flow_table *flows, struct step *step)
{
    const struct packet *packet = step->packet;
    if (packet->extra & (PACKET_HELD | PACKET_UNTRACKED))
        return VERDICT_UNTRACKED;
    if (packet->is_invalid || packet->marks & PACKET_MARK_BAD_CHECKSUM)
        return VERDICT_INVALID;
    struct connection *connection = step->connection;
    unsigned direction = flow_is_connection(connection) ? step->direction : FLOW_ORIGINAL;
    return protocol_of(connection->tuple.protocol, connection->tuple.ip_version)
        ->on_packet(flow_context_of(flows, connection), connection, direction, packet,
                    &step->timeout_ns);
}

static bool is_accepted(enum protocol_verdict verdict)
{
    const unsigned others = 1 << VERDICT_INVALID | 1 << VERDICT_UNTRACKED | 1 << VERDICT_LOOKUP;
    return !(1U << verdict & others);
}

/* By the rules the packet makes no connection: what its protocol noted of one is forgotten. */
static void look_up_only(struct step *step)
{
    struct connection *connection = step->connection;
    step->verdict = VERDICT_LOOKUP;
    step->timeout_ns = 0;
    connection->protocol_state = 0;
    if (!protocol_is_icmp(connection->tuple.protocol)) /* of ICMP nothing is noted but what it is */
        memset(&connection->track, 0, sizeof connection->track);
}

static void note_held(struct connection *connection, const struct step *step)
{
    bool is_held = step->packet->extra & PACKET_HELD && step->direction == FLOW_ORIGINAL;
    connection->is_held_only = is_held && (step->is_opened || connection->is_held_only);
}

bool flow_is_of_fragments(const struct connection *connection, const struct packet *packet)
{
    return connection->is_held_only && packet->extra & PACKET_COMPLETES &&
           flow_direction_of(connection, packet) == FLOW_ORIGINAL;
}

static void take_back(const struct step *step)
{
    step->connection->state = step->state_before;
    step->connection->status = step->status_before;
}

/* A packet of what is no connection yet, or only now; false: it begins one, and the flow that there
 * was has to end. */
static __attribute__((noinline)) bool stay(struct flow_table *flows, struct step *step)
{
    if (is_accepted(step->verdict) && flow_is_only_lookup(flows, step))
        look_up_only(step);
    if (!is_accepted(step->verdict))
        take_back(step);
    else if (!step->is_opened)
        return false;
    return step->verdict != VERDICT_REOPEN;
}

bool flow_judge(struct flow_table *flows, struct step *step, struct connection *connection)
{
    step->connection = connection;
    step->direction = flow_direction_of(connection, step->packet);
    step->state_before = connection->state;
    step->status_before = connection->status;
    step->timeout_ns = 0;
    step->verdict = ask_protocol(flows, step);
    bool was_connection = flow_is_connection(connection);
    bool begins_anew = was_connection ? step->verdict == VERDICT_REOPEN : !stay(flows, step);
    if (begins_anew)
        take_back(step);
    if (step->packet->extra & PACKET_HELD || connection->is_held_only)
        note_held(connection, step);
    return !begins_anew;
}

/* Conntrack counts what it accepts; and fragments as the one datagram that they make. */
static void count_as_conntrack(struct flow_table *flows, const struct step *step)
{
    const struct packet *packet = step->packet;
    bool is_counted = step->verdict == VERDICT_ACCEPT || step->verdict == VERDICT_CLOSE;
    bool is_as_billed = is_counted && !packet->datagram_bytes;
    if (is_as_billed || packet->extra & PACKET_SHADOW)
        return;
    uint64_t l3_bytes = packet->l3_bytes;
    if (is_counted)
        l3_bytes -= packet->datagram_bytes;
    flow_counters_ignore(flows->connections, step->connection, step->direction, !is_counted,
                         l3_bytes);
}

/* The packet begins a connection: what fragments counted before is the flow's only. */
static __attribute__((noinline)) void confirm(struct flow_table *flows, const struct step *step)
{
    step->connection->status |= STATUS_CONFIRMED;
    if (!(step->packet->extra & PACKET_SHADOW))
        flow_counters_ignore_before(flows->connections, step->connection, step->direction,
                                    step->packet);
}

static __attribute__((noinline)) void see_first_reply(struct flow_table *flows,
                                                      const struct step *step)
{
    flow_meet_reply(flows, step);
    step->connection->status |= STATUS_SEEN_REPLY;
}

void flow_apply(struct flow_table *flows, const struct step *step)
{
    struct connection *connection = step->connection;
    int64_t clock_ns = step->packet->clock_ns;
    bool is_taken = is_accepted(step->verdict);
    if (step->verdict == VERDICT_INVALID)
        flow_counters_add_invalid(flows->connections, connection);
    if (is_taken && !flow_is_connection(connection))
        confirm(flows, step);
    if (flow_is_connection(connection))
        count_as_conntrack(flows, step);
    if (is_taken && step->is_opened)
        flow_write_rules(flows, connection);
    if (!(connection->status & STATUS_SEEN_REPLY) && is_taken && step->direction == FLOW_REPLY &&
        step->verdict != VERDICT_CLOSE)
        see_first_reply(flows, step);
    if (step->timeout_ns)
        connection->expires_ns = flow_expiry(clock_ns, step->timeout_ns);
    else if (!flow_is_connection(connection) || connection->expires_ns == INT64_MAX)
        connection->expires_ns = clock_ns + flows->context.timeouts->untracked_ns;
}

/* Before the packet's own effect: the first reply makes it ESTABLISHED, what the original sends
 * before it is NEW, or RELATED if a helper expected it. */
static uint32_t ct_state_of(const struct step *step)
{
    if (step->verdict == VERDICT_UNTRACKED)
        return 0;
    if (step->verdict == VERDICT_INVALID)
        return CT_INVALID | CT_TRACKED;
    if (step->verdict == VERDICT_LOOKUP)
        return CT_NEW | CT_TRACKED;
    if (step->direction == FLOW_REPLY)
        return CT_ESTABLISHED | CT_REPLY | CT_TRACKED;
    if (step->status_before & STATUS_SEEN_REPLY)
        return CT_ESTABLISHED | CT_TRACKED;
    return (step->status_after & STATUS_EXPECTED ? CT_RELATED : CT_NEW) | CT_TRACKED;
}

const struct flow_judgement *flow_table_judgement(struct flow_table *flows)
{
    const struct step *step = &flows->step;
    flows->judgement = (struct flow_judgement){0};
    if (step->connection)
        flows->judgement = (struct flow_judgement){
            .timeout_ns = step->timeout_ns,
            .ct_state = ct_state_of(step),
            .status = step->status_after,
            .state = step->state_after,
            .class_index = step->connection->class_index,
        };
    return &flows->judgement;
}
