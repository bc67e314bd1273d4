/* Flow labels of a flow's packets: which of them a record has, and how often they changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tracker/account.h"
#include "tracker/flow.h"

static const int64_t second_ns = 1000000000;

enum { CLIENT = 1, SERVER = 2, RECORDS_MAX = 16, PORT = 5000, PROTOCOL_UDP = 17 };

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct flow_record records[RECORDS_MAX];
    size_t n;
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    assert_true(world->n < RECORDS_MAX);
    world->records[world->n++] = *record;
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    config_init(&world->config);
    assert_int_equal(account_table_create(&world->config, &world->accounts), 0);
    assert_int_equal(link_table_create(&world->config, &world->links), 0);
    struct flow_options options = {.config = &world->config,
                                   .accounts = world->accounts,
                                   .links = world->links,
                                   .connections_max = 8,
                                   .sink = {.on_record = on_record, .state = world}};
    assert_int_equal(flow_table_create(&options, &world->flows), 0);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
    free(world);
    return 0;
}

/* A UDP packet over IPv6, or over IPv4 if it has no label that could be: UINT32_MAX. */
static void send(struct world *world, uint8_t from, int64_t at_s, uint32_t label)
{
    bool is_ipv6 = label != UINT32_MAX;
    struct packet packet = {
        .time_ns = at_s * second_ns,
        .clock_ns = at_s * second_ns,
        .l2_bytes = 100,
        .l3_bytes = 86,
        .flow_label = is_ipv6 ? label : 0,
        .source_port = PORT,
        .destination_port = PORT,
        .protocol = PROTOCOL_UDP,
        .class_index = CLASS_CONNECTION,
        .marks = (uint8_t)((is_ipv6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4) | PACKET_MARK_PORTS |
                           (from == SERVER ? PACKET_MARK_SOURCE_IS_HIGH : 0)),
    };
    packet.source_address[0] = from;
    packet.destination_address[0] = from == CLIENT ? SERVER : CLIENT;
    struct flow_key key;
    struct flow_charge charge;
    flow_table_advance(world->flows, packet.clock_ns);
    flow_table_key(world->flows, &packet, &key);
    assert_int_equal(flow_table_add(world->flows, &packet, &key, &charge), FLOW_COUNTED);
}

static void finish(struct world *world)
{
    while (flow_table_finish(world->flows, SIZE_MAX))
        ;
    assert_true(world->n > 0);
}

static uint32_t changes_of(const struct world *world)
{
    uint32_t n = 0;
    for (size_t i = 0; i < world->n; i++)
        n += world->records[i].flow_label_changes;
    return n;
}

static void assert_labels(struct world *world, uint32_t original, uint32_t reply, uint32_t changes)
{
    finish(world);
    const struct flow_record *last = &world->records[world->n - 1];
    assert_int_equal(last->flow_label[FLOW_ORIGINAL], original);
    assert_int_equal(last->flow_label[FLOW_REPLY], reply);
    assert_int_equal(changes_of(world), changes);
}

static void test_a_flow_has_the_label_of_each_directions_first_packet(void **state)
{
    struct world *world = *state;
    send(world, CLIENT, 1, 0x12345);
    send(world, SERVER, 2, 0xfffff);
    send(world, CLIENT, 3, 0x12345);
    send(world, SERVER, 4, 0xfffff);
    assert_labels(world, 0x12345, 0xfffff, 0);
}

static void test_a_label_of_zero_is_a_label(void **state)
{
    struct world *world = *state;
    send(world, CLIENT, 1, 0);
    send(world, CLIENT, 2, 7);
    send(world, CLIENT, 3, 0);
    assert_labels(world, 0, 0, 2);
}

static void test_each_change_of_either_direction_is_counted(void **state)
{
    struct world *world = *state;
    static const uint32_t labels[] = {1, 1, 2, 2, 1, 3, 3};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        send(world, CLIENT, 1 + (int64_t)i, labels[i]);
        send(world, SERVER, 1 + (int64_t)i, 9 + labels[i]);
    }
    assert_labels(world, 1, 10, 6);
}

static void test_changes_are_those_of_one_record(void **state)
{
    struct world *world = *state;
    int64_t interim_s = world->config.tracker.interim_interval_ns / second_ns;
    uint32_t n_changes = 0;
    for (int64_t at_s = 1; at_s <= 3 * interim_s; at_s += 10) {
        send(world, CLIENT, at_s, at_s % 3 == 0 ? 1 : 2);
        n_changes += at_s > 1 && (at_s % 3 == 0) != ((at_s - 10) % 3 == 0);
    }
    finish(world);
    assert_true(world->n >= 3);
    assert_int_equal(changes_of(world), n_changes);
    assert_true(world->records[0].flow_label_changes < n_changes);
}

static void test_ipv4_has_no_labels(void **state)
{
    struct world *world = *state;
    send(world, CLIENT, 1, UINT32_MAX);
    send(world, SERVER, 2, UINT32_MAX);
    assert_labels(world, 0, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_flow_has_the_label_of_each_directions_first_packet),
        TEST(test_a_label_of_zero_is_a_label),
        TEST(test_each_change_of_either_direction_is_counted),
        TEST(test_changes_are_those_of_one_record),
        TEST(test_ipv4_has_no_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
