/* Flows whose account changes while they last: who pays from which packet on, what their records
 * say, and what no change moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/control.h"
#include "tracker/flow.h"
#include "tracker/label.h"
#include "tracker/link.h"

enum { RECORDS_MAX = 64, ALICE = 1, BOB = 2, L3_BYTES = 50 };

static const int64_t S = 1000000000;

struct world {
    struct config config;
    struct config_prefix prefix; /* 10.0.0.0/8: alice's */
    struct config_account config_accounts[2];
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct control control;
    struct flow_record records[RECORDS_MAX];
    size_t n_records;
    uint64_t charged[4], recorded[4]; /* bytes, by account */
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    assert_true(world->n_records < RECORDS_MAX);
    world->records[world->n_records++] = *record;
    for (int i = 0; i < FLOW_DIRECTIONS; i++)
        world->recorded[record->account] += record->counters[i].l3_bytes;
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    config_init(&world->config);
    world->config.tracker.interim_interval_ns = 3600 * S;
    world->prefix = (struct config_prefix){.address = {10}, .family = 4, .length = 8};
    world->config_accounts[0] = (struct config_account){
        .name = (char *)"alice", .prefixes = &world->prefix, .n_prefixes = 1};
    world->config_accounts[1] = (struct config_account){.name = (char *)"bob"};
    world->config.accounts = world->config_accounts;
    world->config.n_accounts = 2;
    *state = world;
    int result = account_table_create(&world->config, &world->accounts);
    if (result == 0)
        result = link_table_create(&world->config, &world->links);
    struct flow_options options = {.config = &world->config,
                                   .accounts = world->accounts,
                                   .links = world->links,
                                   .connections_max = RECORDS_MAX,
                                   .sink = {on_record, NULL, world}};
    if (result == 0)
        result = flow_table_create(&options, &world->flows);
    world->control = (struct control){.flows = world->flows,
                                      .accounts = world->accounts,
                                      .names = {&world->config,
                                                label_table_names(flow_table_labels(world->flows)),
                                                account_table_names(world->accounts)}};
    return result;
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    world->config.accounts = NULL; /* ours */
    world->config.n_accounts = 0;
    config_deinit(&world->config);
    free(world);
    return 0;
}

/* Between 10.0.0.1:1000 and 192.0.2.1:53. */
static struct packet datagram(int64_t clock_ns, bool is_answer)
{
    struct packet packet = {
        .time_ns = clock_ns,
        .clock_ns = clock_ns,
        .l2_bytes = L3_BYTES + 14,
        .l3_bytes = L3_BYTES,
        .source_address = {10, 0, 0, 1},
        .destination_address = {192, 0, 2, 1},
        .source_port = 1000,
        .destination_port = 53,
        .protocol = 17,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
    };
    if (is_answer) {
        memcpy(packet.source_address, (const uint8_t[]){192, 0, 2, 1}, 4);
        memcpy(packet.destination_address, (const uint8_t[]){10, 0, 0, 1}, 4);
        packet.source_port = 53;
        packet.destination_port = 1000;
        packet.marks |= PACKET_MARK_SOURCE_IS_HIGH;
    }
    return packet;
}

/* Whom the packet is charged to. */
static uint16_t add(struct world *world, const struct packet *packet)
{
    struct flow_key key;
    struct flow_charge charge;
    flow_table_advance(world->flows, packet->clock_ns);
    flow_table_key(world->flows, packet, &key);
    assert_int_equal(flow_table_add(world->flows, packet, &key, &charge), FLOW_COUNTED);
    world->charged[charge.account] += packet->l3_bytes;
    return charge.account;
}

static uint16_t ask(struct world *world, int64_t clock_ns)
{
    struct packet packet = datagram(clock_ns, false);
    return add(world, &packet);
}

static uint16_t answer(struct world *world, int64_t clock_ns)
{
    struct packet packet = datagram(clock_ns, true);
    return add(world, &packet);
}

static void change(struct world *world, int64_t clock_ns, const char *verb, const char *name,
                   const char *prefix)
{
    const char *words[] = {"account", verb, name, prefix};
    struct change change = {.id = 1, .time_ns = clock_ns};
    struct change_result result;
    assert_true(change_set_words(&change, words, 4));
    flow_table_advance(world->flows, clock_ns);
    control_apply(&world->control, &change, &result);
    assert_int_equal(result.error, 0);
}

/* Ends all; what was charged is what was recorded. */
static void finish(struct world *world)
{
    while (flow_table_finish(world->flows, 1))
        ;
    assert_memory_equal(world->charged, world->recorded, sizeof world->charged);
}

static void test_a_running_flows_next_packet_is_the_new_accounts(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 1 * S), ALICE);
    assert_int_equal(answer(world, 2 * S), ALICE);
    change(world, 3 * S, "add", "bob", "10.0.0.1");
    assert_int_equal(answer(world, 4 * S), BOB);
    assert_int_equal(ask(world, 5 * S), BOB);
    change(world, 6 * S, "remove", "bob", "10.0.0.1");
    change(world, 6 * S, "remove", "alice", "10.0.0.0/8");
    assert_int_equal(ask(world, 7 * S), 0);
    finish(world);
    assert_int_equal(world->n_records, 3);
    static const uint16_t accounts[] = {ALICE, BOB, 0};
    static const int64_t first_s[] = {1, 4, 7}, last_s[] = {2, 5, 7};
    for (size_t i = 0; i < 3; i++) {
        const struct flow_record *record = &world->records[i];
        assert_int_equal(record->id, world->records[0].id);
        assert_int_equal(record->account, accounts[i]);
        assert_int_equal(record->first_ns, first_s[i] * S);
        assert_int_equal(record->last_ns, last_s[i] * S);
        assert_int_equal(record->kind, i < 2 ? RECORD_INTERIM : RECORD_FINAL);
    }
}

/* An entry remembers the last change by a number of 8 bits. */
static void test_a_flow_that_slept_through_many_changes_is_asked_for_its_account(void **state)
{
    struct world *world = *state;
    static const unsigned n_changes[] = {1, 2, 253, 254, 255, 256, 257, 509, 510, 511, 1000};
    ask(world, 1 * S);
    for (size_t i = 0; i < sizeof n_changes / sizeof n_changes[0]; i++) {
        change(world, 2 * S, i % 2 ? "remove" : "add", "bob", "10.0.0.1");
        for (unsigned n = 1; n < n_changes[i]; n++)
            flow_table_accounts_changed(world->flows);
        assert_int_equal(ask(world, 2 * S), i % 2 ? ALICE : BOB);
    }
    finish(world);
}

static void test_a_change_that_is_not_the_flows_cuts_nothing(void **state)
{
    struct world *world = *state;
    ask(world, 1 * S);
    change(world, 2 * S, "add", "bob", "10.0.0.2");
    change(world, 2 * S, "add", "bob", "192.0.2.0/24"); /* the other end */
    change(world, 2 * S, "add", "alice", "10.0.0.1");
    assert_int_equal(ask(world, 3 * S), ALICE);
    assert_int_equal(answer(world, 4 * S), ALICE);
    finish(world);
    assert_int_equal(world->n_records, 1);
}

static void test_there_and_back_between_two_packets_is_no_change(void **state)
{
    struct world *world = *state;
    ask(world, 1 * S);
    change(world, 2 * S, "add", "bob", "10.0.0.1");
    change(world, 3 * S, "remove", "bob", "10.0.0.1");
    assert_int_equal(ask(world, 4 * S), ALICE);
    finish(world);
    assert_int_equal(world->n_records, 1);
}

static void test_a_flow_without_another_packet_keeps_its_account(void **state)
{
    struct world *world = *state;
    ask(world, 1 * S);
    change(world, 2 * S, "add", "bob", "10.0.0.1");
    finish(world);
    assert_int_equal(world->n_records, 1);
    assert_int_equal(world->records[0].account, ALICE);
}

static void test_what_the_link_layer_chose_no_change_moves(void **state)
{
    struct world *world = *state;
    struct packet packet = datagram(1 * S, false);
    packet.l2_account = BOB;
    assert_int_equal(add(world, &packet), BOB);
    change(world, 2 * S, "move", "carol", "10.0.0.1");
    assert_int_equal(answer(world, 3 * S), BOB);
    finish(world);
    assert_int_equal(world->n_records, 1);
}

/* The direction of the first packet says which end is local, also for those that have none. */
static void test_the_local_end_stays_the_same_one(void **state)
{
    struct world *world = *state;
    struct packet packet = datagram(1 * S, true);
    packet.direction = DIRECTION_DOWN;
    assert_int_equal(add(world, &packet), ALICE);
    change(world, 2 * S, "add", "bob", "192.0.2.1");
    assert_int_equal(ask(world, 3 * S), ALICE);
    change(world, 4 * S, "add", "carol", "10.0.0.1");
    assert_int_equal(ask(world, 5 * S), 3);
    finish(world);
    assert_int_equal(world->n_records, 2);
}

static void test_an_error_is_charged_to_who_has_the_address_now(void **state)
{
    struct world *world = *state;
    uint16_t wan = 0;
    ask(world, 1 * S);
    struct packet error = {
        .time_ns = 3 * S,
        .clock_ns = 3 * S,
        .marks = PACKET_MARK_IPV4,
        .source_address = {203, 0, 113, 1},
        .destination_address = {10, 0, 0, 1},
        .protocol = 1,
        .icmp_type = 3,
        .class_index = CLASS_ICMP_ERROR,
        .parts = PACKET_PART_ICMP | PACKET_PART_INNER,
        .inner = {.source_address = {10, 0, 0, 1},
                  .destination_address = {192, 0, 2, 1},
                  .source_port = 1000,
                  .destination_port = 53,
                  .protocol = 17,
                  .has_ports = true},
    };
    assert_int_equal(flow_table_account_about(world->flows, &error, &wan), ALICE);
    change(world, 2 * S, "add", "bob", "10.0.0.1");
    assert_int_equal(flow_table_account_about(world->flows, &error, &wan), BOB);
    finish(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
        CASE(test_a_running_flows_next_packet_is_the_new_accounts),
        CASE(test_a_flow_that_slept_through_many_changes_is_asked_for_its_account),
        CASE(test_a_change_that_is_not_the_flows_cuts_nothing),
        CASE(test_there_and_back_between_two_packets_is_no_change),
        CASE(test_a_flow_without_another_packet_keeps_its_account),
        CASE(test_what_the_link_layer_chose_no_change_moves),
        CASE(test_the_local_end_stays_the_same_one),
        CASE(test_an_error_is_charged_to_who_has_the_address_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
