/* Accounts that changes name while a run goes on: their numbers, whichever shard tells of them
 * first, their rows, their topics, and what quotas and seals make of them. */
#include "store_case.h"

#include "exporter/publish/event_log.h"
#include "exporter/quota.h"
#include "proto/change.h"

enum { CAROL = 3, DAVE, CHANGES_MAX = 4 };

struct told {
    struct change_line lines[CHANGES_MAX];
    uint8_t rooms[CHANGES_MAX][PACKET_PAYLOAD_MAX];
    size_t n;
};

static void tell(struct told *told, uint64_t id, const char *verb, const char *name,
                 bool is_restored, uint32_t error)
{
    const char *words[] = {"account", verb, name, "10.0.0.1"};
    struct change change = {.id = id, .time_ns = 50, .is_restored = is_restored};
    assert_true(change_set_words(&change, words, 4));
    size_t size = change_encode(&change, told->rooms[told->n]);
    assert_true(size > 0);
    told->lines[told->n] = (struct change_line){
        .change = told->rooms[told->n], .change_bytes = size, .error = error, .count = 1};
    told->n++;
}

/* A batch of a shard's: what it tells, then a flow of 'account'. */
static int apply(struct store_case *c, uint32_t shard, int64_t seq, const struct told *told,
                 uint16_t account)
{
    struct batch batch;
    struct totals before = {(uint64_t)seq, 100 * (uint64_t)seq, 80 * (uint64_t)seq};
    struct usage_delta usage = case_usage();
    struct flow_record flow = case_flow();
    usage.account = account;
    flow.account = account;
    batch_init(&batch, seq, before);
    snprintf(batch.message.stream.producer, sizeof batch.message.stream.producer, "tracker-%u",
             shard);
    batch.message.stream.shard = shard;
    batch.applied.stream.shard = shard;
    batch.message.changes = told->lines;
    batch.message.n_changes = told->n;
    batch_add_usage(&batch, usage);
    batch_add_flow(&batch, &flow);
    return case_apply(c, &batch);
}

static void test_a_new_account_has_one_number_whichever_shard_tells_first(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct told told = {0};
    tell(&told, 1, "add", "carol", false, 0);
    tell(&told, 2, "add", "erin", false, 17); /* refused */
    tell(&told, 3, "move", "dave", false, 0);
    tell(&told, 4, "remove", "frank", false, 0);
    assert_int_equal(apply(c, 1, 0, &told, DAVE), 0);
    assert_answer(c, "SELECT count(*) FROM change", "0");
    assert_int_equal(apply(c, 0, 0, &told, CAROL), 0);
    assert_answer(c, "SELECT group_concat(id || words, ' ') FROM change",
                  "1[\"account\",\"add\",\"carol\",\"10.0.0.1\"] "
                  "2[\"account\",\"add\",\"erin\",\"10.0.0.1\"] "
                  "3[\"account\",\"move\",\"dave\",\"10.0.0.1\"] "
                  "4[\"account\",\"remove\",\"frank\",\"10.0.0.1\"]");
    assert_answer(c,
                  "SELECT group_concat(account, ' ') FROM (SELECT account FROM usage ORDER BY 1)",
                  "carol dave");
    assert_answer(c, "SELECT group_concat(account, ' ') FROM (SELECT account FROM flow ORDER BY 1)",
                  "carol dave");
    const struct account_names *names = store_account_names(c->store);
    assert_int_equal(names->n, 4);
    assert_string_equal(account_names_of(names, CAROL), "carol");
    assert_string_equal(account_names_of(names, DAVE), "dave");
}

static void test_what_was_restored_is_known_and_not_recorded_again(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct told told = {0};
    tell(&told, 1, "add", "carol", true, 0);
    assert_int_equal(apply(c, 0, 0, &told, CAROL), 0);
    assert_answer(c, "SELECT count(*) FROM change", "0");
    assert_answer(c, "SELECT account FROM usage", "carol");
}

static void test_an_account_that_nobody_told_of_is_refused(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct told told = {0};
    assert_int_equal(apply(c, 0, 0, &told, CAROL), -EBADMSG);
}

static void test_a_name_that_no_account_may_have_is_refused(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct told told = {0};
    tell(&told, 1, "add", "no name", false, 0);
    assert_int_equal(apply(c, 0, 0, &told, 1), -EBADMSG);
}

static void seal_all(struct store_case *c)
{
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_seal(c->store, INT32_MAX, 1, 1000), 0);
    assert_int_equal(store_commit(c->store), 0);
}

/* Of one store the names are in memory when carol comes; another reads them all from the file. */
static void test_a_seal_has_the_names_of_accounts_that_came_later(void **state)
{
    struct store_case *c = *state;
    void *other_state = NULL;
    assert_int_equal(case_set_up(&other_state), 0);
    struct store_case *other = other_state;
    struct told none = {0}, told = {0};
    tell(&told, 1, "add", "carol", false, 0);
    struct store_case *both[] = {c, other};
    for (int i = 0; i < 2; i++) {
        case_open(both[i]);
        assert_int_equal(apply(both[i], 0, 0, &none, 1), 0);
        assert_int_equal(apply(both[i], 0, 1, &told, CAROL), 0);
    }
    case_close(other);
    case_open(other);
    seal_all(c);
    seal_all(other);
    char hash[65];
    snprintf(hash, sizeof hash, "%.64s", case_ask(c, "SELECT hash FROM seal"));
    assert_int_equal(strlen(hash), 64);
    assert_answer(other, "SELECT hash FROM seal", hash);
    assert_int_equal(case_tear_down(&other_state), 0);
}

/* ---- in memory ---- */

static void test_a_quota_counts_accounts_that_came_later(void **state)
{
    struct store_case *c = *state;
    static char *names[] = {(char *)"carol"};
    struct config_tariff tariffs[2] = {
        {.name = (char *)"all",
         .rule = (char *)"sum",
         .timezone = (char *)"UTC",
         .cycle_day = 1,
         .quota = 1,
         .unit = (char *)"kB"},
        {.name = (char *)"carols",
         .rule = (char *)"sum",
         .timezone = (char *)"UTC",
         .cycle_day = 1,
         .quota = 1,
         .unit = (char *)"kB",
         .accounts = {names, 1}},
    };
    struct config config = c->config;
    config.tariffs = tariffs;
    config.n_tariffs = 2;
    struct quota *quota;
    assert_int_equal(quota_create(&config, &quota), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(quota_add_account(quota, i == 40 ? "carol" : "other"), 0);
    for (uint16_t account = 1; account <= 102; account++) {
        struct usage_delta delta = case_usage();
        struct quota_at at = {0};
        size_t n = 0;
        delta.account = account;
        for (; quota_next(quota, &delta, &at); at.tariff++, n++)
            assert_int_equal(quota_state(quota, at.tariff, account)->generation, 0);
        assert_int_equal(n, account == 43 ? 2 : 1);
    }
    quota_destroy(quota);
}

static void test_topics_of_accounts_that_came_later_count_for_themselves(void **state)
{
    struct store_case *c = *state;
    struct account_names names;
    assert_int_equal(account_names_init(&names, &c->config), 0);
    struct event_context context = {.config = &c->config, .accounts = &names};
    struct event_log log;
    assert_int_equal(event_log_init(&log, &context, 4), 0);
    struct event event = {.kind = TOPIC_NEW};
    assert_int_equal(event_log_append(&log, 1, &event), 0);
    for (unsigned i = 3; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(account_names_add(&names, name), i);
        event = (struct event){.kind = TOPIC_USAGE};
        assert_int_equal(event_log_append(&log, (uint16_t)i, &event), 0);
        assert_int_equal(event.seq, 0);
    }
    assert_string_equal(event.topic, "usage.n299");
    event = (struct event){.kind = TOPIC_NEW};
    assert_int_equal(event_log_append(&log, 1, &event), 0);
    assert_string_equal(event.topic, "new.alice");
    assert_int_equal(event.seq, 1);
    event_log_deinit(&log);
    account_names_deinit(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_setup_teardown(test, case_set_up, case_tear_down)
        CASE(test_a_new_account_has_one_number_whichever_shard_tells_first),
        CASE(test_what_was_restored_is_known_and_not_recorded_again),
        CASE(test_an_account_that_nobody_told_of_is_refused),
        CASE(test_a_name_that_no_account_may_have_is_refused),
        CASE(test_a_seal_has_the_names_of_accounts_that_came_later),
        CASE(test_a_quota_counts_accounts_that_came_later),
        CASE(test_topics_of_accounts_that_came_later_count_for_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
