#include "tracker/flow.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/connection_table.h"
#include "tracker/flow_record.h"
#include "tracker/protocol.h"
#include "tracker/tuple.h"

enum {
    ENDS_A_PACKET = 8, /* flows that one packet may end besides its own: bounded work */
    RECORD_PACKETS_MAX = INT32_MAX,
};

struct flow_table {
    const struct config *config;
    const struct account_table *accounts;
    struct connection_table *connections;
    struct flow_sink sink;
    size_t connections_max;
    int64_t clock_ns;
    struct flow_judgement judgement;
    const struct connection *finished; /* up to here every flow has ended for the end of input */
};

int flow_table_create(const struct flow_options *options, struct flow_table **out)
{
    struct flow_table *flows = calloc(1, sizeof *flows);
    if (!flows)
        return -ENOMEM;
    *flows = (struct flow_table){
        .config = options->config,
        .accounts = options->accounts,
        .sink = options->sink,
        .connections_max = options->connections_max,
        .clock_ns = INT64_MIN,
    };
    struct connection_limits limits = {.connections_max = options->connections_max};
    randombytes_buf(limits.hash_key, sizeof limits.hash_key);
    int result = connection_table_create(&limits, &flows->connections);
    if (result < 0) {
        free(flows);
        return result;
    }
    *out = flows;
    return 0;
}

void flow_table_destroy(struct flow_table *flows)
{
    if (!flows)
        return;
    connection_table_destroy(flows->connections);
    free(flows);
}

size_t flow_table_count(const struct flow_table *flows)
{
    return connection_table_count(flows->connections);
}

/* ---- ends ---- */

static void end_flow(struct flow_table *flows, struct connection *connection,
                     enum end_reason reason, int64_t time_ns)
{
    connection->status |= STATUS_DYING;
    flow_record_cut(&flows->sink, connection, reason, time_ns);
    connection_table_remove(flows->connections, connection);
}

/* ---- time ---- */

/* The next instant after 'clock_ns' at which a flow with this id has its interim records cut. */
static int64_t next_interim_ns(const struct flow_table *flows, uint64_t id, int64_t clock_ns)
{
    int64_t interval_ns = flows->config->tracker.interim_interval_ns;
    int64_t phase_ns = (int64_t)(id % (uint64_t)interval_ns);
    int64_t into_ns = (clock_ns - phase_ns) % interval_ns;
    if (into_ns < 0)
        into_ns += interval_ns;
    return clock_ns - into_ns + interval_ns;
}

static void set_timer(struct flow_table *flows, struct connection *connection)
{
    int64_t at_ns = connection->expires_ns;
    if (connection->interim_ns < at_ns)
        at_ns = connection->interim_ns;
    connection_table_set_timer(flows->connections, connection, at_ns);
}

/* Does what the clock says is due: an interim record, the end. False: the connection is gone. */
static bool settle(struct flow_table *flows, struct connection *connection, int64_t clock_ns)
{
    bool is_over = connection->expires_ns <= clock_ns;
    bool is_interim_due =
        connection->interim_ns <= clock_ns && connection->interim_ns < connection->expires_ns;
    if (is_interim_due && flow_record_is_begun(connection))
        flow_record_cut(&flows->sink, connection, END_NONE, connection->interim_ns);
    if (!is_over)
        return true;
    end_flow(flows, connection, END_TIMEOUT, connection->expires_ns);
    return false;
}

/* Settles up to 'n_max' flows whose timer is due; true: there may be more. */
static bool settle_due(struct flow_table *flows, size_t n_max)
{
    for (size_t i = 0; i < n_max; i++) {
        struct connection *connection = connection_table_due(flows->connections, flows->clock_ns);
        if (!connection)
            return false;
        if (settle(flows, connection, flows->clock_ns))
            set_timer(flows, connection);
    }
    return true;
}

bool flow_table_advance(struct flow_table *flows, int64_t clock_ns)
{
    if (clock_ns > flows->clock_ns)
        flows->clock_ns = clock_ns;
    return settle_due(flows, ENDS_A_PACKET);
}

bool flow_table_finish(struct flow_table *flows, size_t n_max)
{
    if (settle_due(flows, n_max))
        return true;
    struct connection *connection = connection_table_next(flows->connections, flows->finished);
    for (size_t i = 0; i < n_max && connection; i++) {
        struct connection *next = connection_table_next(flows->connections, connection);
        end_flow(flows, connection, END_OF_INPUT, flows->clock_ns);
        flows->finished = connection; /* only its place in the slab is looked at */
        connection = next;
    }
    return connection != NULL;
}

/* ---- a packet ---- */

/* Makes room in a full table; false: nobody could be evicted. */
static bool make_room(struct flow_table *flows)
{
    while (settle_due(flows, SIZE_MAX))
        ;
    if (connection_table_count(flows->connections) < flows->connections_max)
        return true;
    struct connection *victim = connection_table_victim(flows->connections);
    if (!victim)
        return false;
    end_flow(flows, victim, END_EVICTED, flows->clock_ns);
    return true;
}

static enum original_end original_end_of(const struct tuple *tuple, const struct packet *packet)
{
    bool is_both = tuple->low_port == tuple->high_port &&
                   memcmp(tuple->low_address, tuple->high_address, 16) == 0;
    if (is_both)
        return ORIGINAL_IS_BOTH;
    return packet->marks & PACKET_MARK_SOURCE_IS_HIGH ? ORIGINAL_IS_HIGH : ORIGINAL_IS_LOW;
}

static struct connection *open_flow(struct flow_table *flows, const struct flow_key *key,
                                    const struct packet *packet)
{
    struct connection *connection =
        connection_table_add(flows->connections, &key->tuple, key->hash);
    if (!connection && make_room(flows))
        connection = connection_table_add(flows->connections, &key->tuple, key->hash);
    if (!connection)
        return NULL;
    connection->id = tuple_flow_id(&key->tuple, packet->time_ns);
    connection->start_ns = packet->time_ns;
    connection->last_ns = packet->time_ns;
    connection->expires_ns = INT64_MAX;
    connection->interim_ns = INT64_MAX;
    connection->account = account_of_packet(flows->accounts, packet);
    connection->wan = packet->wan;
    connection->original_end = (uint8_t)original_end_of(&key->tuple, packet);
    connection->icmp_type = packet->icmp_type;
    connection->icmp_code = packet->icmp_code;
    connection->class_index = CLASS_CONNECTION;
    return connection;
}

/* The flow that the packet belongs to, after what the clock ended; NULL: there is none. */
static struct connection *flow_of(struct flow_table *flows, const struct flow_key *key,
                                  const struct packet *packet)
{
    struct connection *connection =
        connection_table_find(flows->connections, &key->tuple, key->hash);
    return connection && settle(flows, connection, packet->clock_ns) ? connection : NULL;
}

static bool is_connection(const struct connection *connection)
{
    return (connection->status & STATUS_CONFIRMED) != 0;
}

/* Of one that talks to itself: what comes after the first packet is a reply, as its tuple is found
 * (of ICMP, what answers the first packet's type). */
static unsigned direction_of(const struct connection *connection, const struct packet *packet)
{
    bool is_high = packet->marks & PACKET_MARK_SOURCE_IS_HIGH;
    if (connection->original_end != ORIGINAL_IS_BOTH)
        return is_high == (connection->original_end == ORIGINAL_IS_HIGH) ? FLOW_ORIGINAL
                                                                         : FLOW_REPLY;
    bool is_first_again =
        packet->parts & PACKET_PART_ICMP && packet->icmp_type == connection->icmp_type;
    return is_connection(connection) && !is_first_again ? FLOW_REPLY : FLOW_ORIGINAL;
}

static void count(struct flow_table *flows, struct connection *connection, unsigned direction,
                  const struct packet *packet, uint64_t billed_bytes)
{
    struct connection_counters *counters = &connection->counters[direction];
    if (counters->packets == RECORD_PACKETS_MAX)
        flow_record_cut(&flows->sink, connection, END_NONE, packet->clock_ns);
    if (!flow_record_is_begun(connection)) {
        connection->first_ns = packet->time_ns;
        connection->wan = packet->wan;
        connection->interim_ns = next_interim_ns(flows, connection->id, packet->clock_ns);
    }
    counters->packets++;
    counters->l2_bytes += packet->l2_bytes;
    counters->l3_bytes += packet->l3_bytes;
    counters->billed_bytes += billed_bytes;
    if (packet->time_ns < connection->first_ns)
        connection->first_ns = packet->time_ns;
    if (packet->time_ns > connection->last_ns)
        connection->last_ns = packet->time_ns;
    connection->wan_changes += packet->wan != connection->wan;
    if (packet->flow_label)
        connection->flow_label[direction] = packet->flow_label;
}

static void count_as_conntrack(struct connection *connection, unsigned direction,
                               const struct packet *packet)
{
    connection->counters[direction].ct_packets++;
    connection->counters[direction].ct_l3_bytes += packet->l3_bytes;
}

/* A packet on its way through its flow. */
struct step {
    const struct packet *packet;
    struct connection *connection;
    enum protocol_verdict verdict;
    unsigned direction;
    bool is_opened; /* the packet opened the flow */
    uint8_t state_before;
    uint32_t status_before;
    int64_t timeout_ns;
};

/* Tells NEW, or UPDATE where the status or the state of a protocol that has states is another than
 * before. */
static void tell_progress(const struct flow_table *flows, const struct step *step)
{
    const struct connection *connection = step->connection;
    bool has_moved = connection->state != step->state_before && connection->state >= STATE_SYN_SENT;
    if (step->is_opened)
        flow_record_tell(&flows->sink, connection, EVENT_NEW, step->packet->clock_ns);
    else if (has_moved || connection->status != step->status_before)
        flow_record_tell(&flows->sink, connection, EVENT_UPDATE, step->packet->clock_ns);
}

/* A later fragment has no header to be judged by; its datagram is judged by its first one. */
static enum protocol_verdict ask_protocol(struct flow_table *flows, struct step *step)
{
    const struct packet *packet = step->packet;
    if (packet->marks & PACKET_MARK_LATER_FRAGMENT)
        return VERDICT_UNTRACKED;
    if (packet->is_invalid || packet->marks & PACKET_MARK_BAD_CHECKSUM)
        return VERDICT_INVALID;
    const struct tuple *tuple = &step->connection->tuple;
    unsigned direction = is_connection(step->connection) ? step->direction : FLOW_ORIGINAL;
    return protocol_of(tuple->protocol, tuple->ip_version)
        ->on_packet(flows->config, step->connection, direction, packet, &step->timeout_ns);
}

/* Sets all of the step but its packet; false: what there was has to end, and the packet begins
 * anew. */
static bool judge(struct flow_table *flows, struct step *step, struct connection *connection)
{
    step->connection = connection;
    step->direction = direction_of(connection, step->packet);
    step->state_before = connection->state;
    step->status_before = connection->status;
    step->timeout_ns = 0;
    step->verdict = ask_protocol(flows, step);
    bool is_refused = step->verdict == VERDICT_INVALID || step->verdict == VERDICT_UNTRACKED;
    bool was_connection = is_connection(connection);
    bool begins_anew =
        step->verdict == VERDICT_REOPEN || (!was_connection && !step->is_opened && !is_refused);
    if (begins_anew || (!was_connection && is_refused)) {
        connection->state = step->state_before;
        connection->status = step->status_before;
    }
    return !begins_anew;
}

/* Finds or opens the packet's flow and judges it there; false: no room. */
static bool enter(struct flow_table *flows, const struct flow_key *key, struct step *step)
{
    struct connection *connection = flow_of(flows, key, step->packet);
    if (connection) {
        if (judge(flows, step, connection))
            return true;
        end_flow(flows, connection, END_REOPENED, step->packet->clock_ns);
    }
    connection = open_flow(flows, key, step->packet);
    if (!connection)
        return false;
    step->is_opened = true;
    bool is_judged = judge(flows, step, connection);
    assert(is_judged);
    (void)is_judged;
    return true;
}

/* What the protocol's verdict means for the connection; the packet is already counted. */
static void apply(struct flow_table *flows, const struct step *step)
{
    struct connection *connection = step->connection;
    int64_t clock_ns = step->packet->clock_ns;
    bool is_accepted = step->verdict != VERDICT_INVALID && step->verdict != VERDICT_UNTRACKED;
    if (step->verdict == VERDICT_ACCEPT || step->verdict == VERDICT_CLOSE)
        count_as_conntrack(connection, step->direction, step->packet);
    if (step->verdict == VERDICT_INVALID)
        connection->invalid_packets++;
    if (is_accepted)
        connection->status |= STATUS_CONFIRMED;
    if (is_accepted && step->direction == FLOW_REPLY && step->verdict != VERDICT_CLOSE)
        connection->status |= STATUS_SEEN_REPLY;
    if (step->timeout_ns > 0)
        connection->expires_ns = clock_ns + step->timeout_ns;
    else if (!is_connection(connection) || connection->expires_ns == INT64_MAX)
        connection->expires_ns = clock_ns + flows->config->timeouts.untracked_ns;
}

/* Before the packet's own effect: the first reply makes it ESTABLISHED, what the original sends
 * before it is NEW. */
static uint32_t ct_state_of(const struct step *step)
{
    if (step->verdict == VERDICT_UNTRACKED)
        return 0;
    if (step->verdict == VERDICT_INVALID)
        return CT_INVALID | CT_TRACKED;
    if (step->direction == FLOW_REPLY)
        return CT_ESTABLISHED | CT_REPLY | CT_TRACKED;
    return (step->status_before & STATUS_SEEN_REPLY ? CT_ESTABLISHED : CT_NEW) | CT_TRACKED;
}

static void note_judgement(struct flow_table *flows, const struct step *step)
{
    const struct connection *connection = step->connection;
    flows->judgement = (struct flow_judgement){
        .flow_id = connection->id,
        .timeout_ns = step->timeout_ns,
        .ct_state = ct_state_of(step),
        .status = connection->status,
        .state = connection->state,
    };
}

void flow_table_key(const struct flow_table *flows, const struct packet *packet,
                    struct flow_key *key)
{
    tuple_of_packet(packet, &key->tuple);
    key->hash = connection_table_hash(flows->connections, &key->tuple);
    connection_table_prefetch(flows->connections, key->hash);
}

void flow_table_prefetch(const struct flow_table *flows, const struct flow_key *key)
{
    connection_table_prefetch_entry(flows->connections, key->hash);
}

enum flow_result flow_table_add(struct flow_table *flows, const struct packet *packet,
                                const struct flow_key *key, uint64_t billed_bytes,
                                uint16_t *account)
{
    struct step step = {.packet = packet};
    if (!enter(flows, key, &step)) {
        *account = account_of_packet(flows->accounts, packet);
        flows->judgement = (struct flow_judgement){0};
        return FLOW_OVERFLOW;
    }
    struct connection *connection = step.connection;
    count(flows, connection, step.direction, packet, billed_bytes);
    apply(flows, &step);
    note_judgement(flows, &step);
    tell_progress(flows, &step);
    *account = connection->account;
    if (step.verdict == VERDICT_CLOSE)
        end_flow(flows, connection, END_CLOSED, packet->clock_ns);
    else
        set_timer(flows, connection);
    return FLOW_COUNTED;
}

const struct flow_judgement *flow_table_judgement(const struct flow_table *flows)
{
    return &flows->judgement;
}

/* ---- ICMP errors ---- */

/* The flow that an ICMP error is about, unless it is over; NULL: none. */
static const struct connection *flow_about(const struct flow_table *flows,
                                           const struct packet *packet)
{
    struct tuple tuple;
    if (!tuple_of_inner(packet, &tuple))
        return NULL;
    uint64_t hash = connection_table_hash(flows->connections, &tuple);
    const struct connection *connection = connection_table_find(flows->connections, &tuple, hash);
    return connection && connection->expires_ns > packet->clock_ns ? connection : NULL;
}

/* A redirect is of the link (RFC 4861, section 8.1). */
static bool is_error_possible(const struct packet *packet)
{
    enum { ICMPV6_REDIRECT = 137 };
    const uint8_t *source = packet->source_address;
    bool is_redirect = packet->marks & PACKET_MARK_IPV6 && packet->icmp_type == ICMPV6_REDIRECT;
    bool is_link_local = source[0] == 0xfe && (source[1] & 0xc0) == 0x80;
    return !packet->is_invalid && (!is_redirect || is_link_local);
}

uint32_t flow_table_judge_error(const struct flow_table *flows, const struct packet *packet)
{
    const struct connection *connection = flow_about(flows, packet);
    const struct packet_inner *inner = &packet->inner;
    if (!connection || !is_connection(connection) || !is_error_possible(packet) ||
        memcmp(inner->source_address, packet->destination_address, 16) != 0)
        return CT_INVALID | CT_TRACKED;
    struct packet quoted = {
        .marks = tuple_inner_is_high(inner) ? PACKET_MARK_SOURCE_IS_HIGH : 0,
        .parts = packet->parts & PACKET_PART_ICMP,
        .icmp_type = inner->icmp_type,
    };
    bool is_about_original = direction_of(connection, &quoted) == FLOW_ORIGINAL;
    return CT_RELATED | CT_TRACKED | (is_about_original ? CT_REPLY : 0u);
}

uint16_t flow_table_account_about(const struct flow_table *flows, const struct packet *packet,
                                  uint16_t *wan)
{
    const struct connection *connection = flow_about(flows, packet);
    if (!connection)
        return account_of_packet(flows->accounts, packet);
    if (!*wan)
        *wan = connection->wan;
    return connection->account;
}
