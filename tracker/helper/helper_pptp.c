/* PPTP: the control connection tells the two call ids of a call; its GRE packets carry the
 * receiver's only. The client is taken for the PNS, the server for the PAC (RFC 2637, section 1.2),
 * and of several calls the last one is known. Source: Linux nf_conntrack_pptp.c. */
#include <string.h>

#include "tracker/helper.h"

enum { PROTOCOL_GRE = 47, CALLS_OF_A_MASTER = 2 };

/* RFC 2637, section 2 */
enum message {
    START_REQUEST = 1,
    START_REPLY = 2,
    STOP_REQUEST = 3,
    STOP_REPLY = 4,
    OUT_CALL_REQUEST = 7,
    OUT_CALL_REPLY = 8,
    IN_CALL_REQUEST = 9,
    IN_CALL_REPLY = 10,
    IN_CALL_CONNECTED = 11,
    CALL_CLEAR_REQUEST = 12,
    CALL_DISCONNECTED = 13,
    MESSAGE_N = 16,
};

enum {
    HEADER_SIZE = 12, /* length, type, cookie, message type, two of zero */
    TYPE_AT = 2,
    COOKIE_AT = 4,
    MESSAGE_AT = 8,
    CONTROL_TYPE = 1,
    RESULT_OK = 1,
};
static const uint8_t cookie[] = {0x1a, 0x2b, 0x3c, 0x4d};

enum session { SESSION_NONE, SESSION_ERROR, SESSION_STOPPING, SESSION_REQUESTED, SESSION_OPEN };

enum call_state {
    CALL_NONE,
    CALL_OUT_REQUESTED,
    CALL_OUT_OPEN,
    CALL_IN_REQUESTED,
    CALL_IN_REPLIED,
    CALL_IN_OPEN,
    CALL_CLEARING,
};

/* What follows the header, at least; 0: not looked at. */
static const uint8_t body_sizes[MESSAGE_N] = {
    [START_REQUEST] = 144,    [START_REPLY] = 144,       [STOP_REQUEST] = 4,
    [STOP_REPLY] = 4,         [OUT_CALL_REQUEST] = 156,  [OUT_CALL_REPLY] = 20,
    [IN_CALL_REQUEST] = 208,  [IN_CALL_REPLY] = 12,      [IN_CALL_CONNECTED] = 16,
    [CALL_CLEAR_REQUEST] = 4, [CALL_DISCONNECTED] = 136,
};

static uint16_t number_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- the call's tuples ---- */

/* Of the packets that the client sends, or the server. It is IPv4's alone. */
static void key_of(const struct connection *connection, bool of_client, uint16_t call_id,
                   struct call_key *key)
{
    const struct short_tuple *tuple = &connection->tuple;
    bool client_is_high = connection->original_end == ORIGINAL_IS_HIGH;
    bool source_is_high = client_is_high == of_client;
    *key =
        (struct call_key){.call_id = call_id, .zone = tuple->zone, .ip_version = tuple->ip_version};
    memcpy(key->source_address, source_is_high ? tuple->high_address : tuple->low_address, 4);
    memcpy(key->destination_address, source_is_high ? tuple->low_address : tuple->high_address, 4);
}

static bool add_call(const struct helper_step *step, bool of_client, uint16_t sender_call_id,
                     uint16_t receiver_call_id)
{
    struct call call = {.sender_call_id = sender_call_id, .master = step->connection};
    key_of(step->connection, of_client, receiver_call_id, &call.key);
    return call_map_add(step->calls, &call);
}

void helper_forget_calls(struct call_map *calls, struct connection *master)
{
    struct pptp_track *track = &master->extra->helper.pptp;
    if (!track->has_calls)
        return;
    struct call_key key;
    key_of(master, true, track->mapped_pac_call_id, &key);
    call_map_remove(calls, &key, master);
    key_of(master, false, track->mapped_pns_call_id, &key);
    call_map_remove(calls, &key, master);
    track->has_calls = false;
}

static void map_calls(const struct helper_step *step, struct pptp_track *track)
{
    track->has_calls = true;
    track->mapped_pns_call_id = track->pns_call_id;
    track->mapped_pac_call_id = track->pac_call_id;
    if (!add_call(step, true, track->pns_call_id, track->pac_call_id) ||
        !add_call(step, false, track->pac_call_id, track->pns_call_id))
        helper_forget_calls(step->calls, step->connection);
}

static struct expectation expectation_of(const struct helper_step *step, bool of_client)
{
    const struct connection *connection = step->connection;
    const struct pptp_track *track = &connection->extra->helper.pptp;
    uint16_t sender = of_client ? track->pns_call_id : track->pac_call_id;
    uint16_t receiver = of_client ? track->pac_call_id : track->pns_call_id;
    struct expectation expected = helper_expectation(step, PROTOCOL_GRE, receiver);
    struct call_key key;
    key_of(connection, of_client, receiver, &key);
    expected.is_any_address = false;
    expected.is_any_port = false;
    expected.key.source_port = sender;
    memcpy(expected.key.source_address, key.source_address, 16);
    memcpy(expected.key.destination_address, key.destination_address, 16);
    return expected;
}

/* The server tells that the call is there: GRE packets may come both ways. A second call's ids find
 * no room in the map, and then it is not expected either. */
static void expect_call(struct helper_step *step)
{
    struct pptp_track *track = &step->connection->extra->helper.pptp;
    struct expectation from_client = expectation_of(step, true);
    struct expectation from_server = expectation_of(step, false);
    if (helper_expect(step, &from_client) != EXPECTATION_ADDED)
        return;
    bool is_same = track->mapped_pns_call_id == track->pns_call_id &&
                   track->mapped_pac_call_id == track->pac_call_id;
    if (helper_expect(step, &from_server) != EXPECTATION_ADDED || (track->has_calls && !is_same))
        expectation_table_forget(step->expectations, step->connection);
    else if (!track->has_calls)
        map_calls(step, track);
}

/* ---- messages ---- */

static void from_client(struct pptp_track *track, unsigned message, const uint8_t *body)
{
    switch (message) {
    case START_REQUEST:
        if (track->session == SESSION_NONE)
            track->session = SESSION_REQUESTED;
        break;
    case STOP_REQUEST:
        track->session = SESSION_STOPPING;
        break;
    case OUT_CALL_REQUEST:
        if (track->session != SESSION_OPEN)
            break;
        track->call = CALL_OUT_REQUESTED;
        track->pns_call_id = number_at(body);
        break;
    case IN_CALL_REPLY: /* its call id, the peer's, the result */
        if ((track->call != CALL_IN_REQUESTED && track->call != CALL_IN_REPLIED) ||
            number_at(body + 2) != track->pac_call_id)
            break;
        track->call = body[4] == RESULT_OK ? CALL_IN_REPLIED : CALL_NONE;
        if (track->call == CALL_IN_REPLIED)
            track->pns_call_id = number_at(body);
        break;
    case CALL_CLEAR_REQUEST:
        if (track->session == SESSION_OPEN)
            track->call = CALL_CLEARING;
        break;
    default:
        break;
    }
}

static void open_out_call(struct helper_step *step, struct pptp_track *track, const uint8_t *body)
{
    bool is_awaited = track->call == CALL_OUT_REQUESTED || track->call == CALL_OUT_OPEN;
    if (track->session != SESSION_OPEN || !is_awaited || number_at(body + 2) != track->pns_call_id)
        return;
    if (body[4] != RESULT_OK) {
        track->call = CALL_NONE;
        return;
    }
    track->call = CALL_OUT_OPEN;
    track->pac_call_id = number_at(body);
    expect_call(step);
}

static void open_in_call(struct helper_step *step, struct pptp_track *track, const uint8_t *body)
{
    bool is_awaited = track->call == CALL_IN_REPLIED || track->call == CALL_IN_OPEN;
    if (track->session != SESSION_OPEN || !is_awaited || number_at(body) != track->pns_call_id)
        return;
    track->call = CALL_IN_OPEN;
    expect_call(step);
}

static void from_server(struct helper_step *step, struct pptp_track *track, unsigned message,
                        const uint8_t *body)
{
    switch (message) {
    case START_REPLY: /* version, result */
        if (track->session >= SESSION_REQUESTED)
            track->session = body[2] == RESULT_OK ? SESSION_OPEN : SESSION_ERROR;
        break;
    case STOP_REPLY:
        if (track->session <= SESSION_STOPPING)
            track->session = body[0] == RESULT_OK ? SESSION_NONE : SESSION_ERROR;
        break;
    case OUT_CALL_REPLY: /* its call id, the peer's, the result */
        open_out_call(step, track, body);
        break;
    case IN_CALL_REQUEST:
        if (track->session != SESSION_OPEN)
            break;
        track->call = CALL_IN_REQUESTED;
        track->pac_call_id = number_at(body);
        break;
    case IN_CALL_CONNECTED: /* the peer's call id */
        open_in_call(step, track, body);
        break;
    case CALL_DISCONNECTED:
        track->call = CALL_NONE;
        step->has_hung_up = true;
        break;
    default:
        break;
    }
}

static void on_packet(struct helper_step *step)
{
    const uint8_t *bytes = step->packet->payload;
    size_t size = step->packet->payload_bytes;
    if (!step->is_established || size < HEADER_SIZE || number_at(bytes + TYPE_AT) != CONTROL_TYPE ||
        memcmp(bytes + COOKIE_AT, cookie, sizeof cookie) != 0)
        return;
    unsigned message = number_at(bytes + MESSAGE_AT);
    if (message >= MESSAGE_N || body_sizes[message] == 0 ||
        size - HEADER_SIZE < body_sizes[message])
        return;
    struct pptp_track *track = &step->connection->extra->helper.pptp;
    if (step->direction == FLOW_ORIGINAL)
        from_client(track, message, bytes + HEADER_SIZE);
    else
        from_server(step, track, message, bytes + HEADER_SIZE);
}

const struct helper helper_pptp = {
    .classes = {{.expectations_max = CALLS_OF_A_MASTER, .timeout_ns = 300 * INT64_C(1000000000)}},
    .on_packet = on_packet,
};
