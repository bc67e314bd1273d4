/* Rules: what they make of a connection, and what of a packet that they let make none. */
#include "config_case.h"

#include <errno.h>

#include "tracker/flow.h"
#include "tracker/label.h"
#include "tracker/rule.h"

enum { RECORDS_MAX = 16 };

static const int64_t second_ns = 1000000000;

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct flow_record records[RECORDS_MAX];
    size_t n_records;
    uint16_t account; /* of the packet that was added last */
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    assert_true(world->n_records < RECORDS_MAX);
    world->records[world->n_records++] = *record;
}

static void open_world(struct world *world, const char *yaml)
{
    memset(world, 0, sizeof *world);
    init_from(&world->config, yaml);
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

static void end_flows(struct world *world)
{
    while (flow_table_finish(world->flows, 100))
        ;
}

static void close_world(struct world *world)
{
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
}

static struct packet udp_packet(uint16_t source_port, uint16_t destination_port)
{
    return (struct packet){
        .time_ns = second_ns,
        .clock_ns = second_ns,
        .l2_bytes = 60,
        .l3_bytes = 46,
        .protocol = 17,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .source_address = {10, 0, 0, 1},
        .destination_address = {10, 0, 0, 2},
        .source_port = source_port,
        .destination_port = destination_port,
    };
}

static struct packet answer_to(const struct packet *packet)
{
    struct packet answer = *packet;
    memcpy(answer.source_address, packet->destination_address, 16);
    memcpy(answer.destination_address, packet->source_address, 16);
    answer.source_port = packet->destination_port;
    answer.destination_port = packet->source_port;
    answer.marks |= PACKET_MARK_SOURCE_IS_HIGH;
    return answer;
}

static const struct flow_judgement *add(struct world *world, const struct packet *packet)
{
    struct flow_key key;
    flow_table_advance(world->flows, packet->clock_ns);
    flow_table_key(world->flows, packet, &key);
    struct flow_charge charge;
    assert_int_equal(flow_table_add(world->flows, packet, &key, &charge), FLOW_COUNTED);
    world->account = charge.account;
    return flow_table_judgement(world->flows);
}

static void test_all_rules_that_match_count_in_order(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "accounts: [{name: a}, {name: b}]\n"
                       "classes: [x, y]\n"
                       "rules:\n"
                       "  - {ct: \"commit,mark=0xffff0000,class=x,account=a,label=0x1/0x3\"}\n"
                       "  - {match: udp dst port 53, ct: \"commit,mark=0x12/0xff,label=0x2/0x2\"}\n"
                       "  - {match: tcp, ct: \"commit,mark=0\"}\n"
                       "  - {match: udp, ct: \"commit,class=y\"}\n");
    struct packet packet = udp_packet(1000, 53);
    const struct flow_judgement *judgement = add(&world, &packet);
    assert_int_equal(judgement->class_index, CLASS_USER_FIRST + 1);
    assert_int_equal(judgement->ct_state, CT_NEW | CT_TRACKED);
    assert_int_equal(world.account, 1);
    end_flows(&world);
    assert_int_equal(world.n_records, 1);
    assert_int_equal(world.records[0].mark, 0xffff0012);
    assert_int_equal(world.records[0].labels[LABELS_SIZE - 1], 3);
    assert_int_equal(world.records[0].class_index, CLASS_USER_FIRST + 1);
    assert_int_equal(world.records[0].account, 1);
    close_world(&world);
}

static void test_rules_run_at_the_first_packet_only(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "rules: [{match: udp src port 53, ct: \"commit,mark=7\"}, {ct: commit}]\n");
    struct packet packet = udp_packet(1000, 53), answer = answer_to(&packet);
    add(&world, &packet);
    add(&world, &answer);
    end_flows(&world);
    assert_int_equal(world.records[0].mark, 0);
    close_world(&world);
}

static void test_without_commit_nothing_is_made(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "accounts: [{name: a}]\n"
                       "rules:\n"
                       "  - {match: udp dst port 53, ct: account=a}\n"
                       "  - {match: udp src port 53, ct: commit}\n");
    struct packet packet = udp_packet(1000, 53), answer = answer_to(&packet);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(add(&world, &packet)->ct_state, CT_NEW | CT_TRACKED);
        assert_int_equal(flow_table_judgement(world.flows)->status & STATUS_CONFIRMED, 0);
        assert_int_equal(world.account, 1);
    }
    assert_int_equal(world.n_records, 0); /* one flow, of state none */
    assert_int_equal(add(&world, &answer)->ct_state, CT_NEW | CT_TRACKED); /* this one makes it */
    assert_int_equal(world.n_records, 1);
    assert_int_equal(world.records[0].state, STATE_NONE);
    assert_int_equal(world.records[0].counters[FLOW_ORIGINAL].packets, 3);
    assert_int_equal(world.records[0].counters[FLOW_ORIGINAL].ct_packets, 0);
    assert_int_equal(add(&world, &packet)->ct_state, CT_ESTABLISHED | CT_REPLY | CT_TRACKED);
    close_world(&world);
}

static void test_where_no_rule_matches_it_is_as_in_the_kernel(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "rules: [{match: tcp, ct: \"\"}]\n");
    struct packet packet = udp_packet(1000, 53);
    add(&world, &packet);
    assert_true(flow_table_judgement(world.flows)->status & STATUS_CONFIRMED);
    close_world(&world);
}

static void test_a_rule_with_a_zone_is_for_packets_of_that_zone(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "rules: [{match: udp, ct: \"commit,zone=9,mark=9\"}, {zone: 0, ct: "
                       "\"commit,mark=1\"}]\n");
    struct packet packet = udp_packet(1000, 53), zoned = packet;
    zoned.zone = 9; /* as the capture does it */
    add(&world, &packet);
    add(&world, &zoned);
    end_flows(&world);
    assert_int_equal(world.n_records, 2); /* one tuple, two zones, two connections */
    for (int i = 0; i < 2; i++)
        assert_int_equal(world.records[i].mark, world.records[i].zone == 9 ? 9 : 1);
    assert_true(world.records[0].id != world.records[1].id);
    close_world(&world);
}

static void test_at_the_first_reply_marks_and_labels_are_written(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "rules: [{ct: \"commit,mark=0x1200\"}, {state: reply, ct: "
                       "\"commit,mark=0x56/0xff,label=0x8/0x8\"}]\n");
    struct packet packet = udp_packet(1000, 53), answer = answer_to(&packet);
    add(&world, &packet);
    add(&world, &answer);
    end_flows(&world);
    assert_int_equal(world.records[0].mark, 0x1256);
    assert_int_equal(world.records[0].labels[LABELS_SIZE - 1], 8);
    close_world(&world);
}

static void test_an_untracked_packet_is_billed_and_leaves_no_connection(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, "rules: [{match: udp dst port 53, ct: notrack}]\n");
    struct packet packet = udp_packet(1000, 53);
    packet.extra = PACKET_UNTRACKED; /* as the capture does it */
    assert_int_equal(add(&world, &packet)->ct_state, 0);
    end_flows(&world);
    assert_int_equal(world.records[0].state, STATE_NONE);
    assert_int_equal(world.records[0].counters[FLOW_ORIGINAL].packets, 1);
    close_world(&world);
}

/* ---- labels by name ---- */

static void make_change(const char *words, struct change *change)
{
    *change = (struct change){.time_ns = second_ns};
    const char *list[8];
    char copy[128];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        list[n++] = word;
    assert_true(change_set_words(change, list, n));
}

static int apply(struct label_table *table, const char *words)
{
    struct change change;
    make_change(words, &change);
    struct change_result result = {0};
    label_table_change(table, &change, &result);
    return result.error;
}

static void test_a_sticky_bit_is_never_cleared_a_maskable_one_is(void **state)
{
    (void)state;
    struct config config;
    struct label_table *table;
    init_from(&config, "labels: [1 soft, 3 stone]\nsticky_labels: [stone]\n");
    assert_int_equal(label_table_create(&config, &table), 0);
    assert_int_equal(apply(table, "label add hard 2 sticky"), 0);
    uint8_t labels[LABELS_SIZE] = {0}, all[LABELS_SIZE], none[LABELS_SIZE] = {0};
    uint8_t three[LABELS_SIZE] = {[LABELS_SIZE - 1] = 14};
    memset(all, 0xff, sizeof all);
    assert_true(label_table_write(table, labels, three, all));
    assert_true(label_table_write(table, labels, none, all));
    assert_int_equal(labels[LABELS_SIZE - 1], 12);
    assert_false(label_table_write(table, labels, none, all));
    label_table_destroy(table);
    config_deinit(&config);
}

static size_t n_listed(const struct label_table *table)
{
    struct control_request request = {.n_words = 2, .words = {"label", "list"}};
    struct control_reply reply;
    control_reply_init(&reply, 0);
    label_table_query(table, &request, &reply);
    size_t n = reply.n_rows;
    control_reply_deinit(&reply);
    return n;
}

static void test_a_removed_name_is_listed_until_the_last_connection_lets_go(void **state)
{
    (void)state;
    struct config config;
    struct label_table *table;
    init_from(&config, "labels: [1 gold]\n");
    assert_int_equal(label_table_create(&config, &table), 0);
    uint8_t labels[LABELS_SIZE] = {0}, gold[LABELS_SIZE] = {[LABELS_SIZE - 1] = 2};
    label_table_write(table, labels, gold, gold);
    assert_int_equal(apply(table, "label remove gold"), 0);
    assert_int_equal(apply(table, "label remove gold"), ENOENT);
    assert_int_equal(n_listed(table), 1);
    label_table_release(table, labels);
    assert_int_equal(n_listed(table), 0);
    assert_int_equal(apply(table, "label add silver 1"), 0);
    assert_int_equal(n_listed(table), 1);
    label_table_destroy(table);
    config_deinit(&config);
}

static void test_changes_of_labels_have_their_errors(void **state)
{
    (void)state;
    struct config config;
    struct label_table *table;
    init_from(&config, "labels: [1 gold]\n");
    assert_int_equal(label_table_create(&config, &table), 0);
    assert_int_equal(apply(table, "label add gold"), EEXIST);
    assert_int_equal(apply(table, "label add silver 1"), EBUSY);
    assert_int_equal(apply(table, "label add silver 128"), ERANGE);
    assert_int_equal(apply(table, "label add sil_ver"), EINVAL);
    assert_int_equal(apply(table, "label add"), EINVAL);
    assert_int_equal(apply(table, "label rename a b"), EINVAL);
    char words[32];
    for (int i = 0; i < LABEL_BITS - 1; i++) {
        snprintf(words, sizeof words, "label add n%d", i);
        assert_int_equal(apply(table, words), 0);
    }
    assert_int_equal(apply(table, "label add more"), ENOSPC);
    label_table_destroy(table);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_rules_that_match_count_in_order),
        cmocka_unit_test(test_rules_run_at_the_first_packet_only),
        cmocka_unit_test(test_without_commit_nothing_is_made),
        cmocka_unit_test(test_where_no_rule_matches_it_is_as_in_the_kernel),
        cmocka_unit_test(test_a_rule_with_a_zone_is_for_packets_of_that_zone),
        cmocka_unit_test(test_at_the_first_reply_marks_and_labels_are_written),
        cmocka_unit_test(test_an_untracked_packet_is_billed_and_leaves_no_connection),
        cmocka_unit_test(test_a_sticky_bit_is_never_cleared_a_maskable_one_is),
        cmocka_unit_test(test_a_removed_name_is_listed_until_the_last_connection_lets_go),
        cmocka_unit_test(test_changes_of_labels_have_their_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
