/* Timeout policies at flows: what a connection's packets set, before and after a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/config.h"
#include "tracker/flow.h"
#include "tracker/timeout_policy.h"

enum { TCP = 6, UDP = 17, GRE = 47, ESP = 50 };

static const int64_t second_ns = 1000000000;

static const char yaml[] = "timeout_policies:\n"
                           "  - {name: short, l4: udp, values: {unreplied: 11s, replied: 22s}}\n"
                           "  - {name: tunnel, l4: gre, values: {unreplied: 33s}}\n"
                           "  - {name: rest, l4: generic, values: {timeout: 44s}}\n"
                           "  - {name: never, l4: tcp, values: {syn_sent: 0s}}\n"
                           "rules:\n"
                           "  - {match: 'udp or tcp', ct: 'commit,timeout=short'}\n"
                           "  - {match: 'ip proto 47', ct: 'commit,timeout=tunnel'}\n"
                           "  - {match: 'ip proto 50', ct: 'commit,timeout=rest'}\n"
                           "  - {match: 'tcp and host 10.0.0.9', ct: 'commit,timeout=never'}\n";

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    size_t n_ends;
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    world->n_ends += record->end_reason == END_TIMEOUT;
}

static void setup(struct world *world)
{
    *world = (struct world){0};
    struct config_errors errors = {0};
    config_init(&world->config);
    config_read(&world->config, "f", yaml, strlen(yaml), &errors);
    config_check(&world->config, &errors);
    config_errors_print(&errors, stderr);
    assert_int_equal(errors.n, 0);
    assert_int_equal(account_table_create(&world->config, &world->accounts), 0);
    assert_int_equal(link_table_create(&world->config, &world->links), 0);
    struct flow_options options = {
        .config = &world->config,
        .accounts = world->accounts,
        .links = world->links,
        .connections_max = 100,
        .sink = {.on_record = on_record, .state = world},
    };
    assert_int_equal(flow_table_create(&options, &world->flows), 0);
}

static void teardown(struct world *world)
{
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
}

/* A packet to 192.0.2.1 from 10.0.0.HOST, or the reply; the timeout that it set, in ns. */
static int64_t send(struct world *world, int64_t clock_ns, uint8_t protocol, uint8_t host,
                    bool is_reply)
{
    struct packet packet = {
        .time_ns = clock_ns,
        .clock_ns = clock_ns,
        .l2_bytes = 74,
        .l3_bytes = 60,
        .protocol = protocol,
        .marks = PACKET_MARK_IPV4 | (is_reply ? PACKET_MARK_SOURCE_IS_HIGH : 0u),
        .source_address = {10, 0, 0, host},
        .destination_address = {192, 0, 2, 1},
    };
    if (protocol == TCP || protocol == UDP) {
        packet.marks |= PACKET_MARK_PORTS;
        packet.source_port = 1000;
        packet.destination_port = 80;
    }
    if (protocol == TCP) {
        packet.parts = PACKET_PART_TCP;
        packet.tcp.flags = TCP_SYN;
    }
    if (is_reply) {
        memcpy(packet.source_address, (uint8_t[4]){192, 0, 2, 1}, 4);
        memcpy(packet.destination_address, (uint8_t[4]){10, 0, 0, host}, 4);
        packet.source_port = packet.source_port ? 80 : 0;
        packet.destination_port = packet.destination_port ? 1000 : 0;
    }
    struct flow_key key;
    struct flow_charge charge;
    while (flow_table_advance(world->flows, clock_ns))
        ;
    flow_table_key(world->flows, &packet, &key);
    assert_int_equal(flow_table_add(world->flows, &packet, &key, &charge), FLOW_COUNTED);
    return flow_table_judgement(world->flows)->timeout_ns;
}

static int change(struct world *world, const char *const *words)
{
    struct change change = {0};
    struct change_result result;
    size_t n = 0;
    while (words[n])
        n++;
    assert_true(change_set_words(&change, words, n));
    timeout_policies_change(flow_table_timeout_policies(world->flows), &change, &result);
    return result.error;
}

#define CHANGE(world, ...) change((world), (const char *const[]){"timeout", __VA_ARGS__, NULL})

static void test_a_rules_policy_counts_from_the_first_packet(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(send(&world, second_ns, UDP, 1, false), 11 * second_ns);
    assert_int_equal(send(&world, 2 * second_ns, UDP, 1, true), 11 * second_ns);
    assert_int_equal(send(&world, 4 * second_ns, UDP, 1, false), 22 * second_ns);
    assert_int_equal(send(&world, 5 * second_ns, GRE, 1, false), 33 * second_ns);
    assert_int_equal(send(&world, 5 * second_ns, GRE, 1, true), 33 * second_ns);
    assert_int_equal(send(&world, 5 * second_ns, GRE, 1, false), 180 * second_ns);
    assert_int_equal(send(&world, 5 * second_ns, ESP, 1, false), 44 * second_ns);
    teardown(&world);
}

static void test_a_policy_of_another_protocol_is_not_given(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(send(&world, second_ns, TCP, 1, false), 120 * second_ns);
    teardown(&world);
}

static void test_a_replaced_policy_counts_from_the_next_packet_on(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    send(&world, second_ns, UDP, 1, false);
    assert_int_equal(CHANGE(&world, "replace", "short", "inet", "udp", "unreplied=100"), 0);
    assert_int_equal(send(&world, 2 * second_ns, UDP, 1, false), 100 * second_ns);
    assert_int_equal(CHANGE(&world, "replace", "short", "inet", "udp", "unreplied=1"), 0);
    while (flow_table_advance(world.flows, 101 * second_ns))
        ;
    assert_int_equal(flow_table_count(world.flows), 1);
    while (flow_table_advance(world.flows, 102 * second_ns))
        ;
    assert_int_equal(flow_table_count(world.flows), 0);
    teardown(&world);
}

static void test_a_rules_policy_cannot_be_deleted(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(CHANGE(&world, "delete", "short"), EBUSY);
    assert_int_equal(CHANGE(&world, "flush"), 0);
    assert_int_equal(send(&world, second_ns, UDP, 1, false), 11 * second_ns);
    teardown(&world);
}

static void test_changed_defaults_count_from_the_next_packet_on_but_for_gre(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    send(&world, second_ns, TCP, 1, false);
    send(&world, second_ns, GRE, 1, false);
    assert_int_equal(CHANGE(&world, "default", "set", "inet", "tcp", "syn_recv=7"), 0);
    assert_int_equal(CHANGE(&world, "replace", "tunnel", "inet", "gre", "unreplied=9"), 0);
    assert_int_equal(send(&world, 2 * second_ns, GRE, 1, false), 33 * second_ns);
    assert_int_equal(send(&world, 2 * second_ns, GRE, 2, false), 9 * second_ns);
    assert_int_equal(CHANGE(&world, "default", "set", "inet", "tcp", "syn_sent=7"), 0);
    assert_int_equal(send(&world, 2 * second_ns, TCP, 2, false), 7 * second_ns);
    teardown(&world);
}

static void test_a_timeout_of_zero_ends_a_connection_at_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(send(&world, second_ns, TCP, 9, false), TIMEOUT_AT_ONCE_NS);
        assert_int_equal(world.n_ends, i);
    }
    teardown(&world);
}

static void test_a_timeout_past_31_bits_of_ticks_ends_a_connection_at_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(CHANGE(&world, "replace", "short", "inet", "udp", "unreplied=8589934"), 0);
    assert_int_equal(send(&world, second_ns, UDP, 1, false), 8589934 * second_ns);
    assert_int_equal(CHANGE(&world, "replace", "short", "inet", "udp", "unreplied=8589935"), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_true(send(&world, 2 * second_ns, UDP, 1, false) < 0);
        assert_int_equal(world.n_ends, i);
    }
    teardown(&world);
}

static void test_the_given_ids_come_round_and_connections_do_not_mind(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    send(&world, second_ns, UDP, 1, false);
    for (int i = 0; i < 70000; i++) {
        assert_int_equal(CHANGE(&world, "new", "p", "inet", "udp", "unreplied=99"), 0);
        assert_int_equal(CHANGE(&world, "delete", "p"), 0);
    }
    assert_int_equal(send(&world, second_ns, UDP, 1, false), 11 * second_ns);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rules_policy_counts_from_the_first_packet),
        cmocka_unit_test(test_a_policy_of_another_protocol_is_not_given),
        cmocka_unit_test(test_a_replaced_policy_counts_from_the_next_packet_on),
        cmocka_unit_test(test_a_rules_policy_cannot_be_deleted),
        cmocka_unit_test(test_changed_defaults_count_from_the_next_packet_on_but_for_gre),
        cmocka_unit_test(test_a_timeout_of_zero_ends_a_connection_at_once),
        cmocka_unit_test(test_a_timeout_past_31_bits_of_ticks_ends_a_connection_at_once),
        cmocka_unit_test(test_the_given_ids_come_round_and_connections_do_not_mind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
