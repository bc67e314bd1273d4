#include "tracker/flow/flow_expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/helper_ports.h"
#include "tracker/helper.h"
#include "tracker/tuple.h"

enum { PROTOCOL_GRE = 47, CALLS_MAX = 8192 };

struct flow_helpers {
    struct helper_ports *ports; /* NULL: only rules attach helpers */
    struct expectation_table *expectations;
    struct call_map *calls;
    struct expectation *met; /* by the packet under way; NULL: none */
};

int flow_helpers_create(const struct config *config, struct flow_helpers **out)
{
    *out = NULL;
    if (!config_has_helpers(config))
        return 0;
    struct flow_helpers *helpers = calloc(1, sizeof *helpers);
    if (!helpers)
        return -ENOMEM;
    int result = helper_ports_create(config, &helpers->ports);
    if (result == 0)
        result =
            expectation_table_create((size_t)config->conntrack.expect_max, &helpers->expectations);
    if (result == 0)
        result = call_map_create(CALLS_MAX, &helpers->calls);
    if (result < 0) {
        flow_helpers_destroy(helpers);
        return result;
    }
    *out = helpers;
    return 0;
}

void flow_helpers_destroy(struct flow_helpers *helpers)
{
    if (!helpers)
        return;
    helper_ports_destroy(helpers->ports);
    expectation_table_destroy(helpers->expectations);
    call_map_destroy(helpers->calls);
    free(helpers);
}

struct expectation_counters flow_expectation_counters(const struct flow_table *flows,
                                                      size_t *n_waiting)
{
    *n_waiting = flows->helpers ? expectation_table_count(flows->helpers->expectations) : 0;
    return flows->helpers ? *expectation_table_counters(flows->helpers->expectations)
                          : (struct expectation_counters){0};
}

/* ---- a connection that was expected ---- */

/* As the packet's sender writes it; of a known call with both its ids. */
static void key_of_first(const struct tuple *tuple, const struct packet *packet,
                         struct expectation_key *key)
{
    bool is_high = packet->marks & PACKET_MARK_SOURCE_IS_HIGH;
    *key = (struct expectation_key){
        .source_port = is_high ? tuple_high_port(tuple) : tuple->low_port,
        .destination_port = is_high ? tuple->low_port : tuple_high_port(tuple),
        .zone = tuple->zone,
        .protocol = tuple->protocol,
        .ip_version = tuple->ip_version,
    };
    memcpy(key->source_address, packet->source_address, 16);
    memcpy(key->destination_address, packet->destination_address, 16);
}

static void inherit(struct flow_table *flows, struct connection *connection,
                    const struct connection *master)
{
    uint8_t all[LABELS_SIZE];
    memset(all, 0xff, sizeof all);
    const struct connection_traits *masters = connection_table_traits(flows->connections, master);
    struct connection_traits traits = {.mark = masters->mark};
    connection_table_extra(flows->connections, connection)->master_id =
        connection_table_id(flows->connections, master);
    connection->status |= STATUS_EXPECTED;
    if (flows->config->conntrack.related_labels)
        label_table_write(flows->labels, traits.labels, masters->labels, all);
    connection_table_set_traits(flows->connections, connection, &traits);
}

void flow_meet_expectation(struct flow_table *flows, struct step *step)
{
    struct flow_helpers *helpers = flows->helpers;
    if (!helpers)
        return;
    helpers->met = NULL;
    if (expectation_table_count(helpers->expectations) == 0)
        return;
    struct connection *connection = step->connection;
    struct tuple tuple;
    struct expectation_key key;
    connection_table_tuple(flows->connections, connection, &tuple);
    key_of_first(&tuple, step->packet, &key);
    helpers->met = expectation_table_find(helpers->expectations, &key, step->packet->clock_ns);
    if (!helpers->met)
        return;
    inherit(flows, connection, helpers->met->master);
}

void flow_use_up_expectation(struct flow_table *flows, const struct packet *packet)
{
    struct flow_helpers *helpers = flows->helpers;
    bool is_syn = packet->parts & PACKET_PART_TCP &&
                  (packet->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
    if (!helpers || !is_syn || expectation_table_count(helpers->expectations) == 0)
        return;
    struct tuple tuple;
    struct expectation_key key;
    tuple_of_packet(packet, &tuple);
    key_of_first(&tuple, packet, &key);
    struct expectation *found =
        expectation_table_find(helpers->expectations, &key, packet->clock_ns);
    if (found && !found->is_lasting)
        expectation_table_remove(helpers->expectations, found);
}

/* As if it had not been expected: it is no connection. */
static void disinherit(struct flow_table *flows, struct connection *connection)
{
    connection->status &= (uint16_t)~STATUS_EXPECTED;
    struct connection_traits traits = *connection_table_traits(flows->connections, connection);
    label_table_release(flows->labels, traits.labels);
    traits = (struct connection_traits){.policy = traits.policy};
    connection_table_set_traits(flows->connections, connection, &traits);
    connection->extra->helper_number = HELPER_NONE;
    connection->extra->master_id = 0;
}

static uint8_t reader_of(const struct connection *connection)
{
    return connection->extra ? connection->extra->helper_number : (uint8_t)HELPER_NONE;
}

/* The rules' helper goes before the port's. */
static void attach_helper(struct flow_table *flows, struct connection *connection,
                          const struct packet *packet)
{
    const struct short_tuple *tuple = &connection->tuple;
    bool is_by_rule = flows->rules && flows->outcome.attributes & CT_ACTION_HELPER;
    enum helper_number by_port = helper_ports_find(flows->helpers->ports, tuple->protocol,
                                                   tuple->ip_version, packet->destination_port);
    if (!is_by_rule && by_port != HELPER_NONE)
        connection_table_extra(flows->connections, connection)->helper_number = (uint8_t)by_port;
    uint8_t number = reader_of(connection);
    if (number && !helper_reads(number, tuple->protocol, tuple->ip_version))
        connection->extra->helper_number = HELPER_NONE;
    else if (number && (is_by_rule || by_port != HELPER_NONE))
        connection->status |= STATUS_HELPER;
}

void flow_settle_helper(struct flow_table *flows, struct step *step)
{
    struct flow_helpers *helpers = flows->helpers;
    struct connection *connection = step->connection;
    if (!helpers || !step->is_opened)
        return;
    bool is_connection = flow_is_connection(connection);
    uint8_t expected = helpers->met ? helpers->met->helper : HELPER_NONE;
    if (helpers->met && is_connection)
        expectation_table_use(helpers->expectations, helpers->met);
    else if (helpers->met)
        disinherit(flows, connection);
    if (expected && is_connection)
        connection->extra->helper_number =
            expected; /* before that of a rule or a port, as in the kernel */
    else if (is_connection)
        attach_helper(flows, connection, step->packet);
}

/* ---- ends ---- */

/* Of the GRE packets of a PPTP control connection's last call. */
static void tuple_of_call(const struct flow_table *flows, const struct connection *master,
                          struct tuple *tuple)
{
    const struct pptp_track *track = &master->extra->helper.pptp;
    bool client_is_high = master->original_end == ORIGINAL_IS_HIGH;
    connection_table_tuple(flows->connections, master, tuple);
    tuple->low_port = client_is_high ? track->pac_call_id : track->pns_call_id;
    tuple->high_port = client_is_high ? track->pns_call_id : track->pac_call_id;
    tuple->protocol = PROTOCOL_GRE;
    tuple->has_ports = 0;
}

static void hang_up(struct flow_table *flows, struct connection *master, int64_t time_ns)
{
    struct tuple tuple;
    tuple_of_call(flows, master, &tuple);
    expectation_table_forget(flows->helpers->expectations, master);
    helper_forget_calls(flows->helpers->calls, master);
    uint64_t hash = connection_table_hash(flows->connections, &tuple);
    struct connection *call = connection_table_find(flows->connections, &tuple, hash);
    if (call && flow_settle(flows, call, time_ns))
        flow_end(flows, call, END_CLOSED, time_ns);
}

void flow_forget_expected(struct flow_table *flows, struct connection *master,
                          enum end_reason reason, int64_t time_ns)
{
    if (!flows->helpers || !master->extra)
        return;
    if (master->extra->helper_number == HELPER_PPTP && reason != END_OF_INPUT)
        hang_up(flows, master, time_ns);
    else if (master->extra->helper_number == HELPER_PPTP)
        helper_forget_calls(flows->helpers->calls, master);
    expectation_table_forget(flows->helpers->expectations, master);
}

/* ---- a connection that announces others ---- */

void flow_ask_helper(struct flow_table *flows, struct step *step)
{
    struct connection *connection = step->connection;
    bool is_accepted = step->verdict == VERDICT_ACCEPT || step->verdict == VERDICT_IGNORE;
    uint8_t number = reader_of(connection);
    if (!number || !is_accepted)
        return;
    struct helper_step reading = {
        .packet = step->packet,
        .connection = connection,
        .expectations = flows->helpers->expectations,
        .calls = flows->helpers->calls,
        .direction = step->direction,
        .is_established =
            step->direction == FLOW_REPLY || (step->status_before & STATUS_SEEN_REPLY) != 0,
    };
    helper_of(number)->on_packet(&reading);
    if (reading.timeout_ns > 0) {
        step->timeout_ns = reading.timeout_ns;
        connection->expires_ns = step->packet->clock_ns + reading.timeout_ns;
    }
    if (reading.has_hung_up)
        hang_up(flows, connection, step->packet->clock_ns);
}

/* ---- GRE of PPTP ---- */

static const struct call *call_of(const struct flow_table *flows, const struct tuple *tuple,
                                  bool source_is_high, uint16_t call_id)
{
    struct call_key key = {
        .call_id = call_id, .zone = tuple->zone, .ip_version = tuple->ip_version};
    memcpy(key.source_address, source_is_high ? tuple->high_address : tuple->low_address, 16);
    memcpy(key.destination_address, source_is_high ? tuple->low_address : tuple->high_address, 16);
    return call_map_find(flows->helpers->calls, &key);
}

const struct flow_key *flow_key_of_call(struct flow_table *flows, const struct packet *packet,
                                        const struct flow_key *key, struct flow_key *room)
{
    if (!flows->helpers || packet->protocol != PROTOCOL_GRE ||
        call_map_count(flows->helpers->calls) == 0)
        return key;
    bool is_high = packet->marks & PACKET_MARK_SOURCE_IS_HIGH;
    const struct call *call = call_of(flows, &key->tuple, is_high, packet->destination_port);
    if (!call || !flow_settle(flows, call->master, packet->clock_ns))
        return key;
    *room = *key;
    *(is_high ? &room->tuple.high_port : &room->tuple.low_port) = call->sender_call_id;
    room->hash = connection_table_hash(flows->connections, &room->tuple);
    room->near = NULL;
    return room;
}

bool flow_settle_call(struct flow_table *flows, const struct connection *connection,
                      int64_t clock_ns)
{
    if (!flows->helpers || !(connection->status & STATUS_EXPECTED))
        return true;
    struct tuple tuple;
    connection_table_tuple(flows->connections, connection, &tuple);
    const struct call *call = call_of(flows, &tuple, false, tuple.high_port);
    if (!call || call->sender_call_id != tuple.low_port || call->master->expires_ns > clock_ns)
        return true;
    struct tuple last;
    tuple_of_call(flows, call->master, &last);
    bool ends_with_it = memcmp(&last, &tuple, sizeof last) == 0;
    flow_settle(flows, call->master, clock_ns);
    return !ends_with_it;
}
