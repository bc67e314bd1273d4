/* Leases of flow labels: what comparing with the kernel (conformance/test_flow_label.py) does not
 * show: words, packets, chance, what is refused that the kernel does not know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/flow_label.h"

static const int64_t second_ns = 1000000000;

struct world {
    struct config config;
    struct flow_label_table *labels;
    struct change_result result;
};

static void set(struct config *config, const char *assignment)
{
    struct config_errors errors = {0};
    config_set(config, assignment, &errors);
    assert_int_equal(errors.n, 0);
}

static int open_world(void **state)
{
    static const char text[] = "accounts:\n"
                               "  - name: alice\n    prefixes: [192.0.2.1/32]\n"
                               "  - name: bob\n    prefixes: [192.0.2.2/32]\n"
                               "classes: [voice, bulk]\n";
    struct config_errors errors = {0};
    struct world *world = calloc(1, sizeof *world);
    config_init(&world->config);
    config_read(&world->config, "test", text, strlen(text), &errors);
    assert_int_equal(errors.n, 0);
    assert_int_equal(flow_label_table_create(&world->config, &world->labels), 0);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_label_table_destroy(world->labels);
    config_deinit(&world->config);
    free(world);
    return 0;
}

/* The errno of "flowlabel " and what 'line' says, asked by 'uid' after some seconds. */
static int ask_as(struct world *world, uint32_t uid, int64_t at_s, const char *line)
{
    char text[512];
    const char *words[CHANGE_WORDS_MAX] = {"flowlabel"};
    size_t n = 1;
    char *rest = NULL;
    strncpy(text, line, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[n++] = word;
    struct change change = {.time_ns = at_s * second_ns, .uid = uid, .pid = 7, .seed = 1};
    assert_true(change_set_words(&change, words, n));
    flow_label_change(world->labels, &change, &world->result);
    return world->result.error;
}

static int ask(struct world *world, int64_t at_s, const char *line)
{
    return ask_as(world, 0, at_s, line);
}

static struct packet packet_to(uint8_t last, uint32_t label, int64_t at_s)
{
    struct packet packet = {.flow_label = label, .clock_ns = at_s * second_ns, .protocol = 17};
    packet.destination_address[0] = 0x20;
    packet.destination_address[1] = 0x01;
    packet.destination_address[15] = last;
    return packet;
}

/* ---- packets ---- */

static void test_a_packet_is_of_the_lease_with_its_label_and_destination(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 0x12345 dst=2001::1 create account=bob class=bulk"), 0);
    struct packet packet = packet_to(1, 0x12345, 1);
    const struct lease *lease = flow_label_find(world->labels, &packet);
    assert_non_null(lease);
    assert_int_equal(lease->account, 2);
    assert_int_equal(lease->class_index, CONFIG_CLASS_FIRST + 1);
    packet = packet_to(2, 0x12345, 1);
    assert_null(flow_label_find(world->labels, &packet));
    packet = packet_to(1, 0x12346, 1);
    assert_null(flow_label_find(world->labels, &packet));
    packet = packet_to(1, 0, 1);
    assert_null(flow_label_find(world->labels, &packet));
}

static void test_a_lease_has_its_packets_until_it_has_lingered(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 create linger=10"), 0);
    struct packet packet = packet_to(1, 5, 1000);
    assert_non_null(flow_label_find(world->labels, &packet));
    assert_int_equal(ask(world, 1001, "put 5"), 0);
    packet.clock_ns = 1011 * second_ns - 1;
    assert_non_null(flow_label_find(world->labels, &packet));
    packet.clock_ns = 1011 * second_ns;
    assert_null(flow_label_find(world->labels, &packet));
}

static void turn_round(struct packet *packet)
{
    memcpy(packet->source_address, packet->destination_address, 16);
    memset(packet->destination_address, 0xfe, 16);
}

static void test_a_label_that_comes_back_counts_where_reflection_says_so(void **state)
{
    static const struct {
        uint8_t parts, flags, icmp_type;
        unsigned reflect;
    } cases[] = {
        {PACKET_PART_TCP, TCP_ACK, 0, 1},
        {PACKET_PART_TCP, TCP_RST | TCP_ACK, 0, 2},
        {PACKET_PART_ICMP, 0, 129, 4},
        {PACKET_PART_ICMP, 0, 128, 0},
        {0, 0, 0, 0},
    };
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 create"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct packet packet = packet_to(1, 5, 1);
        turn_round(&packet);
        packet.parts = cases[i].parts;
        packet.tcp.flags = cases[i].flags;
        packet.icmp_type = cases[i].icmp_type;
        for (unsigned reflect = 0; reflect < 8; reflect++) {
            world->config.flow_labels.reflect = reflect;
            bool is_found = flow_label_find(world->labels, &packet) != NULL;
            assert_int_equal(is_found, (reflect & cases[i].reflect) != 0);
        }
    }
}

/* ---- accounts and classes ---- */

static void test_who_names_another_account_does_not_mean_this_lease(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any create account=alice"), 0);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any account=bob"), EPERM);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any class=voice"), EPERM);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any account=alice"), 0);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any"), 0);
}

static void test_a_name_that_the_configuration_has_not_is_refused(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 create account=carol"), EINVAL);
    assert_string_equal(world->result.answer, "account: there is none of the name 'carol'");
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 create class=connection"), EINVAL);
    assert_null(flow_label_next(world->labels, NULL, 0));
}

/* ---- chance ---- */

static void test_the_same_seed_gives_the_same_labels(void **state)
{
    struct world *world = *state;
    char first[CHANGE_ANSWER_MAX + 1];
    assert_int_equal(ask(world, 0, "get new dst=2001::1"), 0);
    snprintf(first, sizeof first, "%s", world->result.answer);
    assert_int_equal(ask(world, 0, "get new dst=2001::1"), 0);
    assert_string_not_equal(world->result.answer, first); /* of the same seed the next free one */
    assert_int_equal(ask(world, 0, "put all"), 0);
    assert_int_equal(ask(world, 100, "get new dst=2001::1"), 0);
    assert_string_equal(world->result.answer, first);
}

/* ---- who asks ---- */

static void test_only_root_asks_for_others(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask_as(world, 1000, 0, "get new dst=2001::1 uid=1001"), EPERM);
    assert_int_equal(ask_as(world, 1000, 0, "get new dst=2001::1 pid=8"), EPERM);
    assert_int_equal(ask_as(world, 1000, 0, "get new dst=2001::1 uid=1000"), 0);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=user create uid=1000"), 0);
    assert_int_equal(ask_as(world, 1000, 0, "get 5 dst=2001::1 share=user"), 0);
}

static void test_for_another_root_has_the_others_privilege(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get new dst=2001::1 linger=151"), 0);
    assert_int_equal(ask(world, 0, "get new dst=2001::1 linger=151 uid=1000"), EPERM);
}

static void test_holders_of_two_users_are_two(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask_as(world, 1000, 0, "get 5 dst=2001::1 share=any create holder=a"), 0);
    assert_int_equal(ask_as(world, 1001, 0, "put 5 holder=a"), ESRCH);
    assert_int_equal(ask_as(world, 1000, 0, "put 5 holder=b"), ESRCH);
    assert_int_equal(ask_as(world, 1000, 0, "put 5 holder=a"), 0);
}

static void test_put_all_lets_go_of_everything(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any create"), 0);
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any"), 0);
    assert_int_equal(ask(world, 0, "get 6 dst=2001::1 create"), 0);
    assert_int_equal(ask(world, 1, "put all"), 0);
    assert_non_null(flow_label_next(world->labels, NULL, 6 * second_ns));
    assert_null(flow_label_next(world->labels, NULL, 7 * second_ns));
}

/* ---- bounds ---- */

static void test_holders_past_the_bound_are_refused_and_nothing_is_left_behind(void **state)
{
    struct world *world = *state;
    char line[128];
    assert_int_equal(ask(world, 0, "get 5 dst=2001::1 share=any create"), 0);
    int error = 0;
    for (int i = 0; i < 10000 && !error; i++) {
        snprintf(line, sizeof line, "get 5 dst=2001::1 share=any holder=h%d", i);
        error = ask(world, 0, line);
    }
    assert_int_equal(error, ENOMEM);
    const struct lease *lease = flow_label_next(world->labels, NULL, 0);
    uint32_t n_users = lease->n_users;
    assert_int_equal(ask(world, 0, line), ENOMEM);
    assert_int_equal(lease->n_users, n_users);
    assert_int_equal(ask(world, 0, "put 5 holder=h0"), 0);
    assert_int_equal(ask(world, 0, line), 0);
}

/* ---- words ---- */

static void test_words_that_are_none_are_refused_with_their_name(void **state)
{
    static const char *const lines[][2] = {
        {"get", "expected get, renew or put, and a label"},
        {"take 5", "unknown action 'take', expected get, renew or put"},
        {"get five dst=2001::1", "got 'five', expected a label, as 0x12345"},
        {"get 0xg dst=2001::1", "got '0xg', expected a label, as 0x12345"},
        {"get 5 dst=192.0.2.1", "got '192.0.2.1', expected an IPv6 address"},
        {"get 5 dst=2001::1 linger=65536", "got '65536', expected seconds from 0 to 65535"},
        {"get 5 dst=2001::1 linger=", "got '', expected seconds from 0 to 65535"},
        {"get 5 dst=2001::1 share=both",
         "share: got 'both', expected exclusive, process, user or any"},
        {"get 5 dst=2001::1 hopopts=123", "got '123', expected a header as hexadecimal digits"},
        {"get 5 dst=2001::1 hopopts=1x", "got '1x', expected a header as hexadecimal digits"},
        {"get 5 dst=2001::1 ttl=5", "unknown word 'ttl=5'"},
        {"get 5 dst=2001::1 now", "unknown word 'now'"},
        {"get 5 dst=2001::1 holder=", "holder: got '', expected 1 to 31 characters"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(ask(world, 0, lines[i][0]), EINVAL);
        assert_string_equal(world->result.answer, lines[i][1]);
    }
}

static void test_new_is_what_create_and_no_label_are(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get 0 dst=2001::1"), ENOENT);
    assert_int_equal(ask(world, 0, "get new dst=2001::1"), 0);
    assert_int_equal(world->result.count, 1);
    assert_int_equal(strncmp(world->result.answer, "0x", 2), 0);
    assert_int_equal(ask(world, 0, "put new"), EINVAL);
}

static void test_a_reflecting_holder_needs_tcp_and_no_consistency(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 0, "get new reflect protocol=tcp"), EPERM);
    flow_label_table_destroy(world->labels);
    set(&world->config, "flow_labels.consistency=no");
    assert_int_equal(flow_label_table_create(&world->config, &world->labels), 0);
    assert_int_equal(ask(world, 0, "get new reflect"), ENOPROTOOPT);
    assert_int_equal(ask(world, 0, "get new reflect protocol=tcp"), 0);
    assert_int_equal(ask(world, 0, "put 0 reflect protocol=tcp"), 0);
    assert_int_equal(ask(world, 0, "put 0 reflect protocol=tcp"), ESRCH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_packet_is_of_the_lease_with_its_label_and_destination),
        TEST(test_a_lease_has_its_packets_until_it_has_lingered),
        TEST(test_a_label_that_comes_back_counts_where_reflection_says_so),
        TEST(test_who_names_another_account_does_not_mean_this_lease),
        TEST(test_a_name_that_the_configuration_has_not_is_refused),
        TEST(test_the_same_seed_gives_the_same_labels),
        TEST(test_only_root_asks_for_others),
        TEST(test_for_another_root_has_the_others_privilege),
        TEST(test_holders_of_two_users_are_two),
        TEST(test_put_all_lets_go_of_everything),
        TEST(test_holders_past_the_bound_are_refused_and_nothing_is_left_behind),
        TEST(test_words_that_are_none_are_refused_with_their_name),
        TEST(test_new_is_what_create_and_no_label_are),
        TEST(test_a_reflecting_holder_needs_tcp_and_no_consistency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
