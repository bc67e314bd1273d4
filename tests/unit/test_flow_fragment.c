/* Fragments in a flow: each is billed, their datagram is judged and counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"
#include "tracker/flow.h"

enum { RECORDS_MAX = 8, L3_BYTES = 100, DATAGRAM_BYTES = 260 };
enum side { CLIENT, SERVER };

static const int64_t second_ns = 1000000000;

struct records {
    struct flow_record items[RECORDS_MAX];
    size_t n;
    size_t n_new;
};

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct records records;
    int64_t clock_ns;
};

static void on_record(void *state, const struct flow_record *record)
{
    struct records *records = state;
    assert_true(records->n < RECORDS_MAX);
    records->items[records->n++] = *record;
}

static void on_event(void *state, const struct connection_event *event)
{
    struct records *records = state;
    records->n_new += event->kind == EVENT_NEW;
}

static int open_world(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    config_init(&world.config);
    *state = &world;
    int result = account_table_create(&world.config, &world.accounts);
    if (result == 0)
        result = link_table_create(&world.config, &world.links);
    struct flow_options options = {
        .config = &world.config,
        .accounts = world.accounts,
        .links = world.links,
        .connections_max = 10,
        .sink = {.on_record = on_record, .on_event = on_event, .state = &world.records},
    };
    return result ? result : flow_table_create(&options, &world.flows);
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
    return 0;
}

/* UDP, a packet a second; what the tracker says of it. */
static uint32_t add(struct world *world, enum side from, unsigned extra)
{
    struct packet packet = {
        .time_ns = world->clock_ns,
        .clock_ns = world->clock_ns,
        .l2_bytes = L3_BYTES + 14,
        .l3_bytes = L3_BYTES,
        .protocol = 17,
        .extra = (uint16_t)extra,
        .datagram_bytes = extra & PACKET_COMPLETES ? DATAGRAM_BYTES : 0,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .source_address = {10, 0, 0, from == CLIENT ? 1 : 2},
        .destination_address = {10, 0, 0, from == CLIENT ? 2 : 1},
        .source_port = from == CLIENT ? 1000 : 53,
        .destination_port = from == CLIENT ? 53 : 1000,
    };
    if (from == SERVER)
        packet.marks |= PACKET_MARK_SOURCE_IS_HIGH;
    struct flow_key key;
    struct flow_charge charge;
    flow_table_advance(world->flows, world->clock_ns);
    flow_table_key(world->flows, &packet, &key);
    assert_int_equal(flow_table_add(world->flows, &packet, &key, &charge), FLOW_COUNTED);
    world->clock_ns += second_ns;
    return flow_table_judgement(world->flows)->ct_state;
}

static void finish(struct world *world)
{
    while (flow_table_finish(world->flows, 100))
        ;
}

static void assert_counters(const struct flow_counters *counters, uint64_t packets,
                            uint64_t ct_packets, uint64_t ct_l3_bytes)
{
    assert_int_equal(counters->packets, packets);
    assert_int_equal(counters->l3_bytes, packets * L3_BYTES);
    assert_int_equal(counters->ct_packets, ct_packets);
    assert_int_equal(counters->ct_l3_bytes, ct_l3_bytes);
}

static void test_a_datagram_is_one_flow_and_counts_once(void **state)
{
    struct world *world = *state;
    assert_int_equal(add(world, CLIENT, PACKET_HELD), 0);
    assert_int_equal(add(world, CLIENT, PACKET_HELD), 0);
    assert_int_equal(add(world, CLIENT, PACKET_COMPLETES), CT_NEW | CT_TRACKED);
    assert_int_equal(add(world, SERVER, 0), CT_ESTABLISHED | CT_REPLY | CT_TRACKED);
    finish(world);
    assert_int_equal(world->records.n, 1);
    const struct flow_record *record = &world->records.items[0];
    assert_int_equal(record->start_ns, 0);
    assert_counters(&record->counters[FLOW_ORIGINAL], 3, 1, DATAGRAM_BYTES);
    assert_counters(&record->counters[FLOW_REPLY], 1, 1, L3_BYTES);
    assert_int_equal(record->invalid_packets, 0);
    assert_int_equal(world->records.n_new, 1); /* as a connection */
}

static void test_a_datagram_that_is_never_complete_is_no_connection(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(world, CLIENT, PACKET_HELD), 0);
    finish(world);
    assert_int_equal(world->records.n, 1);
    assert_int_equal(world->records.items[0].status & STATUS_CONFIRMED, 0);
    assert_counters(&world->records.items[0].counters[FLOW_ORIGINAL], 3, 0, 0);
    assert_int_equal(world->records.n_new, 1);
}

static void test_fragments_on_a_connection_do_not_keep_it_alive(void **state)
{
    struct world *world = *state;
    add(world, CLIENT, 0);
    for (int i = 0; i < 28; i++)
        assert_int_equal(add(world, SERVER, PACKET_HELD), 0);
    assert_int_equal(add(world, CLIENT, 0) & CT_NEW, CT_NEW); /* no reply yet */
    for (int i = 0; i < 29; i++)
        add(world, SERVER, PACKET_HELD);
    assert_int_equal(world->records.n, 0);
    flow_table_advance(world->flows, world->clock_ns); /* 30 s after what was judged last */
    assert_int_equal(world->records.n, 1);
    assert_int_equal(world->records.items[0].end_reason, END_TIMEOUT);
    assert_counters(&world->records.items[0].counters[FLOW_REPLY], 57, 0, 0);
}

static void check_reopened(struct world *world, enum side then, unsigned extra)
{
    add(world, CLIENT, PACKET_HELD);
    assert_int_equal(add(world, then, extra), CT_NEW | CT_TRACKED);
    assert_int_equal(world->records.n, 1);
    assert_int_equal(world->records.items[0].end_reason, END_REOPENED);
    finish(world);
    assert_int_equal(world->records.n, 2);
    const struct flow_record *record = &world->records.items[1];
    assert_counters(&record->counters[FLOW_ORIGINAL], 1, 1, extra ? DATAGRAM_BYTES : L3_BYTES);
}

static void test_what_the_other_ends_datagram_begins_is_another_flow(void **state)
{
    check_reopened(*state, SERVER, PACKET_COMPLETES);
}

static void test_what_a_packet_in_one_begins_is_another_flow(void **state)
{
    check_reopened(*state, CLIENT, 0);
}

int main(void)
{
#define OF_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
    const struct CMUnitTest tests[] = {
        OF_A_WORLD(test_a_datagram_is_one_flow_and_counts_once),
        OF_A_WORLD(test_a_datagram_that_is_never_complete_is_no_connection),
        OF_A_WORLD(test_fragments_on_a_connection_do_not_keep_it_alive),
        OF_A_WORLD(test_what_the_other_ends_datagram_begins_is_another_flow),
        OF_A_WORLD(test_what_a_packet_in_one_begins_is_another_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
