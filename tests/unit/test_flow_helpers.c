/* Related connections in the flow table: at home and in a shard that knows the control connection
 * only as a shadow; and calls that end with their control connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"
#include "tracker/flow.h"

enum { RECORDS_MAX = 64, TCP = 6, UDP = 17, GRE = 47 };
enum { FTP_PORT = 21, DATA_PORT = 40001, TFTP_PORT = 69, CLIENT_PORT = 2000, PPTP_PORT = 1723 };

static const int64_t second_ns = 1000000000;
static const char helpers[] = "helpers: [{name: tftp}, {name: pptp}]\n"
                              "conntrack: {tcp_be_liberal: yes}\n"
                              "timeouts: {tcp_established: 5s}\n";

/* A shard, and what it has recorded. */
struct shard {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct flow_record records[RECORDS_MAX];
    size_t n_records;
    int64_t clock_ns;
    int64_t call_end_ns; /* of the last GRE connection */
};

static void on_record(void *state, const struct flow_record *record)
{
    struct shard *shard = state;
    assert_true(shard->n_records < RECORDS_MAX);
    shard->records[shard->n_records++] = *record;
}

static void on_event(void *state, const struct connection_event *event)
{
    struct shard *shard = state;
    if (event->kind == EVENT_DESTROY && event->flow.protocol == GRE)
        shard->call_end_ns = event->time_ns;
}

static struct shard *shard_open(void)
{
    struct shard *shard = calloc(1, sizeof *shard);
    struct config_errors errors = {0};
    assert_non_null(shard);
    config_init(&shard->config);
    config_read(&shard->config, "test.yaml", helpers, sizeof helpers - 1, &errors);
    assert_int_equal(errors.n, 0);
    assert_int_equal(account_table_create(&shard->config, &shard->accounts), 0);
    assert_int_equal(link_table_create(&shard->config, &shard->links), 0);
    struct flow_options options = {
        .config = &shard->config,
        .accounts = shard->accounts,
        .links = shard->links,
        .connections_max = 16,
        .sink = {.on_record = on_record, .on_event = on_event, .state = shard},
    };
    assert_int_equal(flow_table_create(&options, &shard->flows), 0);
    shard->clock_ns = second_ns;
    return shard;
}

static void shard_close(struct shard *shard)
{
    flow_table_destroy(shard->flows);
    link_table_destroy(shard->links);
    account_table_destroy(shard->accounts);
    config_deinit(&shard->config);
    free(shard);
}

static void finish(struct shard *shard)
{
    while (flow_table_finish(shard->flows, 100))
        ;
    assert_int_equal(flow_table_count(shard->flows), 0);
}

/* From 10.0.0.1, or back to it. */
static struct packet packet_of(bool is_reply, uint8_t protocol, uint16_t source_port, uint16_t port)
{
    struct packet packet = {
        .l2_bytes = 100,
        .l3_bytes = 86,
        .source_address = {10, 0, 0, is_reply ? 2 : 1},
        .destination_address = {10, 0, 0, is_reply ? 1 : 2},
        .source_port = source_port,
        .destination_port = port,
        .protocol = protocol,
        .marks = PACKET_MARK_IPV4,
    };
    packet.marks |= protocol == GRE ? 0 : PACKET_MARK_PORTS;
    packet.marks |= is_reply ? PACKET_MARK_SOURCE_IS_HIGH : 0;
    return packet;
}

static uint32_t give(struct shard *shard, struct packet *packet)
{
    packet->time_ns = packet->clock_ns = shard->clock_ns++;
    struct flow_key key;
    struct flow_charge charge = {0};
    flow_table_advance(shard->flows, packet->clock_ns);
    flow_table_key(shard->flows, packet, &key);
    if (packet->extra & PACKET_SHADOW) {
        flow_table_add_shadow(shard->flows, packet, &key);
        return 0;
    }
    assert_int_equal(flow_table_add(shard->flows, packet, &key, &charge), FLOW_COUNTED);
    return flow_table_judgement(shard->flows)->ct_state;
}

/* ---- TFTP ---- */

static void request(struct shard *shard, bool is_shadow)
{
    static const uint8_t read_request[] = {0, 1, 'f', 0};
    struct packet packet = packet_of(false, UDP, CLIENT_PORT, TFTP_PORT);
    packet.payload = read_request;
    packet.payload_bytes = sizeof read_request;
    packet.extra = is_shadow ? PACKET_SHADOW : 0;
    give(shard, &packet);
}

static uint32_t answer(struct shard *shard)
{
    struct packet packet = packet_of(true, UDP, 33333, CLIENT_PORT);
    return give(shard, &packet);
}

static void test_a_connection_is_related_at_home_and_where_its_master_is_a_shadow(void **state)
{
    (void)state;
    struct flow_record children[2];
    for (int is_shadow = 0; is_shadow < 2; is_shadow++) {
        struct shard *shard = shard_open();
        request(shard, is_shadow);
        assert_int_equal(answer(shard), CT_RELATED | CT_TRACKED);
        finish(shard);
        assert_int_equal(shard->n_records, is_shadow ? 1 : 2); /* none of a shadow */
        for (size_t i = 0; i < shard->n_records; i++)
            if (shard->records[i].source_port == 33333)
                children[is_shadow] = shard->records[i];
        shard_close(shard);
    }
    assert_int_not_equal(children[0].master_id, 0);
    assert_memory_equal(&children[0], &children[1], sizeof children[0]);
}

static void test_what_its_master_outlived_is_new(void **state)
{
    (void)state;
    struct shard *shard = shard_open();
    request(shard, false);
    shard->clock_ns += 30 * second_ns; /* an unreplied UDP connection is over */
    assert_int_equal(answer(shard), CT_NEW | CT_TRACKED);
    shard_close(shard);
}

static void test_an_invalid_first_packet_is_no_related_connection(void **state)
{
    (void)state;
    struct shard *shard = shard_open();
    request(shard, false);
    struct packet packet = packet_of(true, UDP, 33333, CLIENT_PORT);
    packet.is_invalid = true;
    assert_int_equal(give(shard, &packet), CT_INVALID | CT_TRACKED);
    assert_int_equal(answer(shard), CT_RELATED | CT_TRACKED);
    finish(shard);
    for (size_t i = 0; i < shard->n_records; i++)
        if (shard->records[i].end_reason == END_REOPENED) {
            assert_int_equal(shard->records[i].status & STATUS_EXPECTED, 0);
            assert_int_equal(shard->records[i].master_id, 0);
        }
    shard_close(shard);
}

/* ---- PPTP ---- */

static void say(struct shard *shard, bool is_reply, uint8_t kind, uint16_t first, uint16_t second,
                uint8_t result)
{
    uint8_t bytes[220] = {[3] = 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, [13] = (uint8_t)first};
    bytes[15] = (uint8_t)second;
    bytes[kind == 2 ? 14 : 16] = result;
    struct packet packet =
        packet_of(is_reply, TCP, is_reply ? PPTP_PORT : 5000, is_reply ? 5000 : PPTP_PORT);
    packet.parts = PACKET_PART_TCP;
    packet.tcp =
        (struct packet_tcp){.sequence = 1, .acknowledgment = 1, .window = 60000, .flags = TCP_ACK};
    packet.payload = bytes;
    packet.payload_bytes = sizeof bytes;
    give(shard, &packet);
}

static struct shard *call(void)
{
    struct shard *shard = shard_open();
    say(shard, false, 0, 0, 0, 0);
    say(shard, true, 0, 0, 0, 0);
    say(shard, false, 1, 0, 0, 0);
    say(shard, true, 2, 1, 0, 1);
    say(shard, false, 7, 0x11, 1, 0);
    say(shard, true, 8, 0x22, 0x11, 1);
    return shard;
}

static uint32_t speak(struct shard *shard, bool is_reply)
{
    struct packet packet = packet_of(is_reply, GRE, 0, is_reply ? 0x11 : 0x22);
    return give(shard, &packet);
}

static const struct flow_record *record_of(const struct shard *shard, uint8_t protocol)
{
    for (size_t i = 0; i < shard->n_records; i++)
        if (shard->records[i].protocol == protocol && shard->records[i].kind == RECORD_FINAL)
            return &shard->records[i];
    return NULL;
}

static void test_both_directions_of_a_call_are_one_connection(void **state)
{
    (void)state;
    struct shard *shard = call();
    assert_int_equal(speak(shard, false), CT_RELATED | CT_TRACKED);
    assert_int_equal(speak(shard, true), CT_ESTABLISHED | CT_REPLY | CT_TRACKED);
    assert_int_equal(speak(shard, false), CT_ESTABLISHED | CT_TRACKED);
    finish(shard);
    const struct flow_record *record = record_of(shard, GRE);
    assert_int_equal(record->counters[FLOW_ORIGINAL].packets, 2);
    assert_int_equal(record->counters[FLOW_REPLY].packets, 1);
    assert_int_equal(record->end_reason, END_OF_INPUT);
    shard_close(shard);
}

static void test_a_call_ends_when_it_is_hung_up(void **state)
{
    (void)state;
    struct shard *shard = call();
    speak(shard, false);
    speak(shard, true);
    say(shard, true, 13, 0x22, 0, 1);
    assert_int_equal(record_of(shard, GRE)->end_reason, END_CLOSED);
    assert_int_equal(speak(shard, false), CT_NEW | CT_TRACKED);
    finish(shard);
    shard_close(shard);
}

/* The control connection's time is over while the call goes on: whether its timer, the call's, or
 * the call's next packet is looked at first, the call ends at that instant. */
static void test_a_call_ends_with_its_control_connection_whoever_notices(void **state)
{
    (void)state;
    for (int who = 0; who < 3; who++) {
        struct shard *shard = call();
        say(shard, false, 0, 0, 0, 0);
        say(shard, true, 0, 0, 0, 0);
        say(shard, false, 0, 0, 0, 0);
        int64_t control_ns = shard->clock_ns - 1;
        speak(shard, false);
        speak(shard, true);
        shard->clock_ns = control_ns + 6 * second_ns;
        if (who == 0) {
            speak(shard, false);
        } else {
            if (who == 2)
                shard->clock_ns += 400 * second_ns; /* both timers are due */
            while (flow_table_advance(shard->flows, shard->clock_ns))
                ;
        }
        const struct flow_record *record = record_of(shard, GRE);
        assert_non_null(record);
        assert_int_equal(record->end_reason, END_CLOSED);
        assert_int_equal(shard->call_end_ns, control_ns + 5 * second_ns);
        finish(shard);
        shard_close(shard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_is_related_at_home_and_where_its_master_is_a_shadow),
        cmocka_unit_test(test_what_its_master_outlived_is_new),
        cmocka_unit_test(test_an_invalid_first_packet_is_no_related_connection),
        cmocka_unit_test(test_both_directions_of_a_call_are_one_connection),
        cmocka_unit_test(test_a_call_ends_when_it_is_hung_up),
        cmocka_unit_test(test_a_call_ends_with_its_control_connection_whoever_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
