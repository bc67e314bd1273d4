#include "tracker/flow.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/flow/flow_expect.h"
#include "tracker/flow/flow_internal.h"
#include "tracker/flow_counters.h"
#include "tracker/flow_record.h"
#include "tracker/tuple.h"

enum {
    PROTOCOL_GRE = 47,
    FINISH_AHEAD = 8,
    ENDS_A_PACKET = 8, /* flows that one packet may end besides its own: bounded work */
};

int flow_table_create(const struct flow_options *options, struct flow_table **out)
{
    struct flow_table *flows = calloc(1, sizeof *flows);
    if (!flows)
        return -ENOMEM;
    *flows = (struct flow_table){
        .config = options->config,
        .context = {options->config, &options->config->timeouts},
        .own_context = {options->config, &options->config->timeouts},
        .accounts = options->accounts,
        .links = options->links,
        .sink = options->sink,
        .connections_max = options->connections_max,
        .account_changes = 1,
        .clock_ns = INT64_MIN,
    };
    struct connection_limits limits = {.connections_max = options->connections_max};
    randombytes_buf(limits.hash_key, sizeof limits.hash_key);
    int result = connection_table_create(&limits, &flows->connections);
    if (result == 0)
        result = rule_table_create(options->config, &flows->rules);
    if (result == 0)
        result = label_table_create(options->config, &flows->labels);
    if (result == 0)
        result = flow_helpers_create(options->config, &flows->helpers);
    if (result == 0)
        result = flow_label_table_create(options->config, &flows->flow_labels);
    if (result == 0)
        result = flow_open_policies(flows);
    if (result < 0) {
        flow_table_destroy(flows);
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
    rule_table_destroy(flows->rules);
    label_table_destroy(flows->labels);
    flow_helpers_destroy(flows->helpers);
    flow_label_table_destroy(flows->flow_labels);
    timeout_policies_destroy(flows->policies);
    free(flows);
}

size_t flow_table_probe_lines(const struct flow_table *flows)
{
    return connection_table_chain_max(flows->connections);
}

size_t flow_table_count(const struct flow_table *flows)
{
    return connection_table_count(flows->connections);
}

struct label_table *flow_table_labels(const struct flow_table *flows)
{
    return flows->labels;
}

struct flow_label_table *flow_table_flow_labels(const struct flow_table *flows)
{
    return flows->flow_labels;
}

int64_t flow_table_clock_ns(const struct flow_table *flows)
{
    return flows->clock_ns;
}

/* ---- ends ---- */

/* All of it but its place in the table. */
static void end(struct flow_table *flows, struct connection *connection, enum end_reason reason,
                int64_t time_ns)
{
    connection->status |= STATUS_DYING;
    if (!connection->is_shadow)
        flow_record_cut(flows->connections, &flows->sink, connection, reason, time_ns);
    flow_forget_expected(flows, connection, reason, time_ns);
    if (connection->traits != TRAITS_NONE)
        label_table_release(flows->labels,
                            connection_table_traits(flows->connections, connection)->labels);
}

void flow_end(struct flow_table *flows, struct connection *connection, enum end_reason reason,
              int64_t time_ns)
{
    end(flows, connection, reason, time_ns);
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

/* What it has counted before is kept with it, for who asks for its totals. */
void flow_cut_interim(struct flow_table *flows, struct connection *connection, int64_t time_ns)
{
    if (flow_is_connection(connection))
        connection_table_extra(flows->connections, connection);
    flow_record_cut(flows->connections, &flows->sink, connection, END_NONE, time_ns);
}

/* Of a deleted one 'expires_ns' is when that was, 'interim_ns' when it would have been over. */
static void end_in_time(struct flow_table *flows, struct connection *connection)
{
    int64_t time_ns = connection->expires_ns;
    bool is_deleted = connection->status & STATUS_DYING;
    if (is_deleted)
        connection->expires_ns = connection->interim_ns;
    flow_end(flows, connection, is_deleted ? END_DELETED : END_TIMEOUT, time_ns);
}

bool flow_settle(struct flow_table *flows, struct connection *connection, int64_t clock_ns)
{
    if (connection->tuple.protocol == PROTOCOL_GRE &&
        !flow_settle_call(flows, connection, clock_ns))
        return false;
    bool is_over = connection->expires_ns <= clock_ns;
    bool is_interim_due =
        connection->interim_ns <= clock_ns && connection->interim_ns < connection->expires_ns;
    if (is_interim_due && flow_record_is_begun(connection))
        flow_cut_interim(flows, connection, connection->interim_ns);
    if (!is_over)
        return true;
    end_in_time(flows, connection);
    return false;
}

/* Seldom anything is due: what is done then is kept out of the packet's way. */
__attribute__((noinline)) bool flow_settle_due(struct flow_table *flows, size_t n_max)
{
    for (size_t i = 0; i < n_max; i++) {
        struct connection *connection = connection_table_due(flows->connections, flows->clock_ns);
        if (!connection)
            return false;
        if (flow_settle(flows, connection, flows->clock_ns))
            connection_table_set_timer(flows->connections, connection);
    }
    return true;
}

bool flow_table_advance(struct flow_table *flows, int64_t clock_ns)
{
    if (clock_ns > flows->clock_ns)
        flows->clock_ns = clock_ns;
    return connection_table_may_be_due(flows->connections, flows->clock_ns) &&
           flow_settle_due(flows, ENDS_A_PACKET);
}

bool flow_table_finish(struct flow_table *flows, size_t n_max)
{
    if (flow_settle_due(flows, n_max))
        return true;
    struct connection *connection = connection_table_next(flows->connections, flows->finished);
    for (size_t i = 0; i < n_max && connection; i++) {
        connection_table_prefetch_behind(flows->connections, connection, FINISH_AHEAD);
        struct connection *next = connection_table_next(flows->connections, connection);
        end(flows, connection, END_OF_INPUT, flows->clock_ns);
        connection_table_drop(flows->connections, connection);
        flows->finished = connection; /* only its place in the slab is looked at */
        connection = next;
    }
    return connection != NULL;
}

/* ---- a packet ---- */

/* The flow that the packet belongs to, after what the clock ended; NULL: there is none. */
static struct connection *flow_of(struct flow_table *flows, const struct flow_key *key,
                                  const struct packet *packet)
{
    struct connection *connection =
        connection_table_find_near(flows->connections, &key->tuple, key->hash, key->near);
    if (!connection)
        return NULL;
    bool may_be_due = connection_due_ns(connection) <= packet->clock_ns ||
                      connection->tuple.protocol == PROTOCOL_GRE;
    return may_be_due && !flow_settle(flows, connection, packet->clock_ns) ? NULL : connection;
}

/* What the packet costs where that depends on more than its length and its link. */
static __attribute__((noinline)) uint64_t
charge_closely(struct flow_table *flows, struct connection *connection, unsigned direction,
               const struct packet *packet, uint16_t receiver_mss)
{
    struct link_flow known = {.receiver_mss = receiver_mss};
    struct link_charge charge;
    if (link_table_remembers(flows->links, packet)) {
        struct connection_extra *extra = connection_table_extra(flows->connections, connection);
        known.n_before = extra->n_sent[direction]++;
        known.rest_64ths = &extra->billed_rest_64ths[direction];
    }
    link_table_charge(flows->links, packet, &known, &charge);
    if (charge.is_merged)
        connection_table_extra(flows->connections, connection)->merged_packets++;
    return charge.billed_bytes;
}

uint64_t flow_charge_for(struct flow_table *flows, struct connection *connection,
                         unsigned direction, const struct packet *packet)
{
    uint16_t receiver_mss = 0;
    uint64_t billed_bytes;
    if (connection->tuple.protocol == IPPROTO_TCP)
        receiver_mss = connection->track.tcp.sides[!direction].mss;
    if (link_table_charge_plain(flows->links, packet, receiver_mss, &billed_bytes))
        return billed_bytes;
    return charge_closely(flows, connection, direction, packet, receiver_mss);
}

/* When the flow began is kept apart from now on. */
static __attribute__((noinline)) void set_first(struct flow_table *flows,
                                                struct connection *connection, int64_t time_ns)
{
    if (connection->first_ns == time_ns)
        return;
    struct connection_extra *extra = connection_table_extra(flows->connections, connection);
    if (!extra->has_start)
        extra->start_ns = connection->first_ns;
    extra->has_start = true;
    connection->first_ns = time_ns;
}

static __attribute__((noinline)) void
begin_record(struct flow_table *flows, struct connection *connection, const struct packet *packet)
{
    uint64_t id = connection_table_id(flows->connections, connection);
    set_first(flows, connection, packet->time_ns);
    connection->wan = packet->wan;
    connection->wan_match = packet->wan_match;
    connection->interim_ns = next_interim_ns(flows, id, packet->clock_ns);
}

void flow_count(struct flow_table *flows, struct connection *connection, unsigned direction,
                const struct packet *packet, uint64_t billed_bytes)
{
    if (flow_counters_are_zero(connection))
        begin_record(flows, connection, packet);
    flow_counters_add(flows->connections, connection, direction, packet, billed_bytes);
    if (packet->time_ns > connection->last_ns) /* then it is not before the first, either */
        connection->last_ns = packet->time_ns;
    else if (packet->time_ns < connection->first_ns)
        set_first(flows, connection, packet->time_ns);
    if (packet->wan != connection->wan)
        flow_counters_add_wan_change(flows->connections, connection);
    if (packet->marks & PACKET_MARK_IPV6)
        flow_count_label(flows, connection, direction, packet);
}

/* What fragments opened waits: it may become a connection. */
__attribute__((noinline)) void flow_tell_progress(const struct flow_table *flows,
                                                  const struct step *step)
{
    struct connection *connection = step->connection;
    bool has_moved = connection->state != step->state_before && connection->state >= STATE_SYN_SENT;
    if (step->is_opened && connection->is_held_only)
        connection->is_untold = true;
    else if (step->is_opened)
        flow_record_tell_new(flows->connections, &flows->sink, connection, step->packet->clock_ns);
    else if (has_moved || connection->status != step->status_before)
        flow_record_tell(flows->connections, &flows->sink, connection, EVENT_UPDATE,
                         step->packet->clock_ns);
}

/* The packet begins a flow, or with 'connection' completes the datagram that began it; false: no
 * room. */
static __attribute__((noinline)) bool begin(struct flow_table *flows, const struct flow_key *key,
                                            struct step *step, struct connection *connection)
{
    if (!connection)
        connection = flow_open(flows, key, step->packet);
    step->connection = connection;
    if (!connection)
        return false;
    step->is_opened = true;
    flow_meet_expectation(flows, step);
    flow_meet_rules(flows, step, connection);
    bool is_judged = flow_judge(flows, step, connection);
    assert(is_judged);
    (void)is_judged;
    return true;
}

/* Finds or opens the packet's flow and judges it there; false: no room. */
static bool enter(struct flow_table *flows, const struct flow_key *key, struct step *step)
{
    struct connection *connection = flow_of(flows, key, step->packet);
    if (connection && !flow_is_of_fragments(connection, step->packet)) {
        if (flow_judge(flows, step, connection))
            return true;
        flow_end(flows, connection, END_REOPENED, step->packet->clock_ns);
        connection = NULL;
    }
    return begin(flows, key, step, connection);
}

void flow_table_key(const struct flow_table *flows, const struct packet *packet,
                    struct flow_key *key)
{
    tuple_of_packet(packet, &key->tuple);
    key->hash = connection_table_hash(flows->connections, &key->tuple);
    key->near = NULL;
    connection_table_prefetch(flows->connections, key->hash);
}

void flow_table_prefetch(const struct flow_table *flows, struct flow_key *key)
{
    key->near = connection_table_prefetch_entry(flows->connections, &key->tuple, key->hash);
}

/* After the packet's effect. */
static void leave(struct flow_table *flows, const struct step *step)
{
    if (step->verdict == VERDICT_CLOSE)
        flow_end(flows, step->connection, END_CLOSED, step->packet->clock_ns);
    else
        connection_table_set_timer(flows->connections, step->connection);
}

/* What the packet does to its connection. */
static void take_effect(struct flow_table *flows, struct step *step)
{
    flow_apply(flows, step);
    if (!flows->helpers)
        return;
    flow_settle_helper(flows, step);
    flow_ask_helper(flows, step);
}

/* The table is full. */
static __attribute__((noinline)) void
charge_overflow(struct flow_table *flows, const struct packet *packet, struct flow_charge *charge)
{
    struct link_charge without_flow;
    link_table_charge(flows->links, packet, NULL, &without_flow);
    *charge = (struct flow_charge){
        .account = account_of_packet(flows->accounts, packet),
        .class_index = CLASS_OVERFLOW,
        .billed_bytes = without_flow.billed_bytes,
    };
}

/* A packet that may do anything; out of the way of those that go on. */
static __attribute__((noinline)) enum flow_result add_any(struct flow_table *flows,
                                                          const struct packet *packet,
                                                          const struct flow_key *key,
                                                          struct flow_charge *charge)
{
    struct step *step = &flows->step;
    struct flow_key room;
    *step = (struct step){.packet = packet};
    if (flows->helpers && packet->protocol == PROTOCOL_GRE)
        key = flow_key_of_call(flows, packet, key, &room);
    if (!enter(flows, key, step)) {
        charge_overflow(flows, packet, charge);
        return FLOW_OVERFLOW;
    }
    struct connection *connection = step->connection;
    if (connection->account_changes != flows->account_changes)
        flow_renew_account(flows, connection, packet->clock_ns);
    charge->billed_bytes = flow_charge_for(flows, connection, step->direction, packet);
    flow_count(flows, connection, step->direction, packet, charge->billed_bytes);
    take_effect(flows, step);
    if (flows->helpers)
        flow_use_up_expectation(flows, packet);
    step->status_after = connection->status;
    step->state_after = connection->state;
    if (flows->sink.on_event)
        flow_tell_progress(flows, step);
    charge->account = connection->account;
    charge->class_index = connection->class_index;
    leave(flows, step);
    return FLOW_COUNTED;
}

/* What the rest of the way writes to has an address, so it is not the caller's 'charge', which then
 * stays in registers on the short way. */
enum flow_result flow_table_add(struct flow_table *flows, const struct packet *packet,
                                const struct flow_key *key, struct flow_charge *charge)
{
    if (flow_go_on(flows, packet, key, charge))
        return FLOW_COUNTED;
    struct flow_charge any;
    enum flow_result result = add_any(flows, packet, key, &any);
    *charge = any;
    return result;
}

void flow_table_note_opening(struct flow_table *flows, const struct packet *packet)
{
    flow_use_up_expectation(flows, packet);
}

void flow_table_add_shadow(struct flow_table *flows, const struct packet *packet,
                           const struct flow_key *key)
{
    struct step step = {.packet = packet};
    if (!enter(flows, key, &step))
        return;
    take_effect(flows, &step);
    if (flows->helpers)
        flow_use_up_expectation(flows, packet);
    leave(flows, &step);
}

uint64_t flow_table_judged_id(const struct flow_table *flows)
{
    const struct connection *connection = flows->step.connection;
    return connection ? connection_table_id(flows->connections, connection) : 0;
}
