/* Timeout policies: the results and numbers of nfnetlink_cttimeout, and what a connection gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/timeout_policy.h"

static const int64_t second_ns = 1000000000;

struct world {
    struct config config;
    struct timeout_policies *policies;
    struct change_result result;
};

static void setup(struct world *world)
{
    *world = (struct world){0};
    config_init(&world->config);
    assert_int_equal(timeout_policies_create(&world->config, &world->policies), 0);
}

static void teardown(struct world *world)
{
    timeout_policies_destroy(world->policies);
    config_deinit(&world->config);
}

/* "timeout" and these words, a space between. */
static size_t split(const char *words, char *room, const char **out)
{
    size_t n = 0;
    out[n++] = "timeout";
    strcpy(room, words);
    for (char *word = strtok(room, " "); word; word = strtok(NULL, " "))
        out[n++] = word;
    out[n] = NULL;
    return n;
}

static int change(struct world *world, const char *words)
{
    char room[CHANGE_TEXT_MAX];
    struct change change = {0};
    change.n_words = split(words, room, change.words);
    timeout_policies_change(world->policies, &change, &world->result);
    return world->result.error;
}

static const struct timeout_policy *find(struct world *world, const char *name)
{
    const struct timeout_policy *policy;
    for (size_t i = 0; (policy = timeout_policies_at(world->policies, i)); i++)
        if (strcmp(policy->name, name) == 0)
            return policy;
    return NULL;
}

static uint32_t seconds(struct world *world, const char *policy_name, const char *value_name)
{
    const struct timeout_policy *policy = find(world, policy_name);
    assert_non_null(policy);
    const struct timeout_value *value = timeout_kind_value(policy->kind, value_name);
    return timeout_seconds_of_ns(timeout_value_ns(value, &policy->timeouts));
}

static uint16_t id_of(struct world *world, const char *name)
{
    return timeout_policies_find(world->policies, name);
}

/* ---- results ---- */

static void test_a_name_is_taken_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "new p1 inet tcp syn_sent=11 established=33"), 0);
    assert_int_equal(world.result.count, 1);
    assert_int_equal(change(&world, "new p1 inet tcp"), EBUSY);
    assert_int_equal(change(&world, "new p1 inet tcp exclusive syn_sent=12"), EEXIST);
    assert_int_equal(change(&world, "new p1 inet6 dccp"), EBUSY);
    assert_int_equal(change(&world, "new p2 inet tcp exclusive"), 0);
    assert_int_equal(seconds(&world, "p1", "syn_sent"), 11);
    teardown(&world);
}

static void test_only_the_same_kind_is_replaced(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "new p1 inet tcp syn_sent=11"), 0);
    assert_int_equal(change(&world, "replace p1 inet udp"), EINVAL);
    assert_int_equal(change(&world, "replace p1 inet6 tcp"), EINVAL);
    assert_int_equal(change(&world, "replace p1 inet dccp"), EINVAL);
    assert_int_equal(change(&world, "replace p1 inet tcp syn_recv=22"), 0);
    assert_int_equal(seconds(&world, "p1", "syn_recv"), 22);
    assert_int_equal(seconds(&world, "p1", "syn_sent"), 120);
    assert_int_equal(change(&world, "replace p2 inet sctp"), 0);
    assert_non_null(find(&world, "p2"));
    teardown(&world);
}

static void test_protocols_without_timeouts_are_not_supported(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    static const char *const known[] = {"1", "6", "17", "47", "58", "132", "136", "255", "icmp"};
    static const char *const unknown[] = {"0", "2", "33", "50", "99", "dccp", "esp", "TCP"};
    char words[64];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        snprintf(words, sizeof words, "new q%zu inet %s", i, known[i]);
        assert_int_equal(change(&world, words), 0);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        snprintf(words, sizeof words, "new r%zu inet6 %s request=5", i, unknown[i]);
        assert_int_equal(change(&world, words), EOPNOTSUPP);
        snprintf(words, sizeof words, "default set inet %s request=5", unknown[i]);
        assert_int_equal(change(&world, words), EOPNOTSUPP);
    }
    assert_non_null(strstr(world.result.answer, "udplite"));
    teardown(&world);
}

static void test_what_a_rule_names_stays(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "delete p1"), ENOENT);
    change(&world, "new p1 inet tcp");
    change(&world, "new p2 inet tcp");
    change(&world, "new p3 inet tcp");
    timeout_policies_use(world.policies, id_of(&world, "p2"));
    assert_int_equal(change(&world, "delete p2"), EBUSY);
    assert_int_equal(change(&world, "replace p2 inet tcp close=1"), 0);
    assert_int_equal(change(&world, "delete p1"), 0);
    assert_int_equal(change(&world, "flush"), 0);
    assert_int_equal(world.result.count, 1);
    assert_ptr_equal(timeout_policies_at(world.policies, 0), find(&world, "p2"));
    assert_null(timeout_policies_at(world.policies, 1));
    teardown(&world);
}

static void test_names_have_31_bytes_at_most(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "new aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa inet tcp"), 0);
    assert_int_equal(change(&world, "new bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb inet tcp"), EINVAL);
    assert_int_equal(change(&world, "new a,b inet tcp"), EINVAL);
    assert_int_equal(change(&world, "delete bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), EINVAL);
    assert_int_equal(change(&world, "new a\x1b inet tcp"), EINVAL);
    teardown(&world);
}

static void test_what_is_not_a_change_is_invalid(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "new",
        "new p",
        "new p inet",
        "new p ipx tcp",
        "new p inet tcp bogus=1",
        "new p inet tcp established",
        "new p inet tcp established=",
        "new p inet tcp established=-1",
        "new p inet tcp established=1x",
        "new p inet tcp established=4294967296",
        "new p inet tcp established=99999999999999999999",
        "new p inet tcp close=1 exclusive",
        "replace p inet tcp exclusive",
        "delete",
        "delete p q",
        "flush p",
        "default",
        "default get inet tcp",
        "default set tcp established=1",
        "default set inet udp established=1",
        "list",
    };
    struct world world;
    setup(&world);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(change(&world, wrong[i]), EINVAL);
        assert_true(world.result.answer[0] != '\0');
        assert_int_equal(world.result.count, 0);
    }
    assert_null(timeout_policies_at(world.policies, 0));
    teardown(&world);
}

static void test_the_policies_are_bounded(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    char words[64];
    for (int i = 0; i < CONFIG_TIMEOUT_POLICIES_MAX; i++) {
        snprintf(words, sizeof words, "new p%d inet udp", i);
        assert_int_equal(change(&world, words), 0);
    }
    assert_int_equal(change(&world, "new more inet udp"), ENOSPC);
    assert_int_equal(change(&world, "new p7 inet udp"), EBUSY);
    assert_int_equal(change(&world, "delete p7"), 0);
    assert_int_equal(change(&world, "new more inet udp"), 0);
    teardown(&world);
}

/* ---- values ---- */

static void test_values_wrap_as_32_bits_of_ticks(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "new huge inet udp unreplied=4294967295 replied=0"), 0);
    assert_int_equal(seconds(&world, "huge", "unreplied"), 17179868);
    assert_int_equal(seconds(&world, "huge", "replied"), 0);
    assert_int_equal(timeout_ns_of_seconds(0), TIMEOUT_AT_ONCE_NS);
    assert_int_equal(timeout_ns_of_seconds(UINT32_C(1) << 31), TIMEOUT_AT_ONCE_NS);
    assert_true(timeout_ns_of_seconds(4294967295) < 0);
    assert_int_equal(timeout_ns_of_seconds(8589934), 8589934 * second_ns);
    assert_true(timeout_ns_of_seconds(8589935) < 0);
    assert_int_equal(timeout_ns_of_seconds(17179870), second_ns * 816 / 1000);
    teardown(&world);
}

static void test_values_not_given_are_the_defaults_of_that_moment(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    change(&world, "new before inet tcp close=4");
    assert_int_equal(change(&world, "default set inet6 tcp established=777"), 0);
    change(&world, "new after inet tcp close=5");
    assert_int_equal(seconds(&world, "before", "established"), 432000);
    assert_int_equal(seconds(&world, "after", "established"), 777);
    change(&world, "replace before inet tcp");
    assert_int_equal(seconds(&world, "before", "established"), 777);
    assert_int_equal(seconds(&world, "before", "close"), 10);
    teardown(&world);
}

static void test_udp_and_udplite_have_the_same_defaults(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_int_equal(change(&world, "default set inet udplite unreplied=44"), 0);
    change(&world, "new p inet udp");
    assert_int_equal(seconds(&world, "p", "unreplied"), 44);
    assert_int_equal(timeout_policies_in_force(world.policies, 0)->udp_unreplied_ns,
                     44 * second_ns);
    teardown(&world);
}

static void test_the_configurations_policies_are_there(void **state)
{
    (void)state;
    static const char yaml[] = "timeouts: {tcp_close: 11s}\n"
                               "timeout_policies:\n"
                               "  - {name: short, l4: tcp, values: {established: 100s}}\n"
                               "  - {name: six, l3: inet6, l4: generic}\n";
    struct world world = {0};
    struct config_errors errors = {0};
    config_init(&world.config);
    config_read(&world.config, "f", yaml, strlen(yaml), &errors);
    assert_int_equal(errors.n, 0);
    assert_int_equal(timeout_policies_create(&world.config, &world.policies), 0);
    assert_int_equal(seconds(&world, "short", "established"), 100);
    assert_int_equal(seconds(&world, "short", "close"), 11);
    assert_int_equal(find(&world, "six")->ip_version, 6);
    assert_int_equal(change(&world, "new short inet tcp"), EBUSY);
    teardown(&world);
}

/* ---- connections ---- */

static void test_a_policy_is_for_its_protocols_connections(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    change(&world, "new tcp inet tcp");
    change(&world, "new rest inet6 generic");
    uint16_t tcp = id_of(&world, "tcp"), rest = id_of(&world, "rest");
    assert_int_equal(timeout_policies_attach(world.policies, tcp, 4, 6), tcp);
    assert_int_equal(timeout_policies_attach(world.policies, tcp, 6, 6), 0);
    assert_int_equal(timeout_policies_attach(world.policies, tcp, 4, 17), 0);
    assert_int_equal(timeout_policies_attach(world.policies, rest, 6, 50), rest);
    assert_int_equal(timeout_policies_attach(world.policies, rest, 6, 33), rest);
    assert_int_equal(timeout_policies_attach(world.policies, rest, 6, 6), 0);
    assert_int_equal(timeout_policies_attach(world.policies, 0, 4, 6), 0);
    teardown(&world);
}

static void test_a_connection_follows_its_policy_until_that_is_removed(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    change(&world, "new p inet tcp close=4");
    uint16_t id = id_of(&world, "p");
    assert_int_equal(timeout_policies_in_force(world.policies, id)->tcp_close_ns, 4 * second_ns);
    change(&world, "replace p inet tcp close=5");
    assert_int_equal(timeout_policies_in_force(world.policies, id)->tcp_close_ns, 5 * second_ns);
    change(&world, "delete p");
    assert_int_equal(timeout_policies_in_force(world.policies, id)->tcp_close_ns, 10 * second_ns);
    change(&world, "new p inet tcp close=6");
    assert_int_not_equal(id_of(&world, "p"), id);
    assert_int_equal(timeout_policies_in_force(world.policies, id)->tcp_close_ns, 10 * second_ns);
    teardown(&world);
}

struct holder {
    const struct timeout_policies *policies;
    uint16_t held;
    unsigned n_rounds;
};

static void on_round(void *state)
{
    struct holder *holder = state;
    holder->n_rounds++;
    if (!timeout_policies_has(holder->policies, holder->held))
        holder->held = 0;
}

static void test_an_id_is_given_again_only_after_a_round_is_told(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct holder gone = {.policies = world.policies};
    timeout_policies_on_round(world.policies, on_round, &gone);
    change(&world, "new stays inet udp");
    change(&world, "new gone inet udp");
    gone.held = id_of(&world, "gone");
    change(&world, "delete gone");
    uint16_t stays = id_of(&world, "stays");
    for (int i = 0; i < 3 * 65536; i++) {
        assert_int_equal(change(&world, "new p inet udp"), 0);
        assert_int_not_equal(id_of(&world, "p"), gone.held);
        assert_int_not_equal(id_of(&world, "p"), stays);
        change(&world, "delete p");
    }
    assert_true(gone.n_rounds >= 3);
    assert_int_equal(gone.held, 0);
    assert_int_equal(id_of(&world, "stays"), stays);
    teardown(&world);
}

/* ---- answers ---- */

static void test_questions_that_cannot_be_answered_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int error;
    } wrong[] = {
        {"", EINVAL},
        {"get", EINVAL},
        {"get nope", ENOENT},
        {"list all", EINVAL},
        {"default get inet", EINVAL},
        {"default get ipx tcp", EINVAL},
        {"default get inet 33", EOPNOTSUPP},
    };
    struct world world;
    setup(&world);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char room[CHANGE_TEXT_MAX];
        struct control_request request = {0};
        struct control_reply reply;
        request.n_words = split(wrong[i].words, room, request.words);
        control_reply_init(&reply, 0);
        timeout_policies_query(world.policies, &request, &reply);
        assert_int_equal(reply.error, wrong[i].error);
        assert_true(reply.answer[0] != '\0');
        assert_int_equal(reply.n_rows, 0);
        control_reply_deinit(&reply);
    }
    teardown(&world);
}

static void test_a_long_list_is_told_in_portions(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    for (int i = 0; i < 10; i++) {
        char words[64];
        snprintf(words, sizeof words, "new p%d inet tcp", i);
        change(&world, words);
    }
    struct control_request request = {.rows_max = 4, .n_words = 2, .words = {"timeout", "list"}};
    size_t n_rows = 0, n_portions = 0;
    do {
        struct control_reply reply;
        control_reply_init(&reply, request.rows_max);
        timeout_policies_query(world.policies, &request, &reply);
        n_rows += reply.n_rows;
        n_portions++;
        request.cursor = reply.cursor;
        control_reply_deinit(&reply);
    } while (request.cursor != 0);
    assert_int_equal(n_rows, 10);
    assert_int_equal(n_portions, 3);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_taken_once),
        cmocka_unit_test(test_only_the_same_kind_is_replaced),
        cmocka_unit_test(test_protocols_without_timeouts_are_not_supported),
        cmocka_unit_test(test_what_a_rule_names_stays),
        cmocka_unit_test(test_names_have_31_bytes_at_most),
        cmocka_unit_test(test_what_is_not_a_change_is_invalid),
        cmocka_unit_test(test_the_policies_are_bounded),
        cmocka_unit_test(test_values_wrap_as_32_bits_of_ticks),
        cmocka_unit_test(test_values_not_given_are_the_defaults_of_that_moment),
        cmocka_unit_test(test_udp_and_udplite_have_the_same_defaults),
        cmocka_unit_test(test_the_configurations_policies_are_there),
        cmocka_unit_test(test_a_policy_is_for_its_protocols_connections),
        cmocka_unit_test(test_a_connection_follows_its_policy_until_that_is_removed),
        cmocka_unit_test(test_an_id_is_given_again_only_after_a_round_is_told),
        cmocka_unit_test(test_questions_that_cannot_be_answered_say_why),
        cmocka_unit_test(test_a_long_list_is_told_in_portions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
