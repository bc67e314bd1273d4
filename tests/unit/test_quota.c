/* Quotas: their thresholds are rows, whatever the order in which usage comes. */
#include "store_case.h"

#define S_NS INT64_C(1000000000)
#define KB   UINT64_C(1000)

/* 2026-10-01 in UTC. */
#define OCTOBER (INT64_C(1790812800) * S_NS)
#define DAY     (86400 * S_NS)
#define SLOT    (300 * S_NS)

static char alice[] = "alice", fiber[] = "fiber", name[] = "q", kb[] = "kB", utc[] = "UTC";
static char sum_rule[] = "sum", max_rule[] = "max", volume[] = "volume", none[] = "none";

/* 100 kB of alice's a month, on every WAN. */
static struct config_tariff tariff_of(void)
{
    static char *accounts[] = {alice};
    return (struct config_tariff){.name = name,
                                  .accounts = {accounts, 1},
                                  .kind = volume,
                                  .rule = sum_rule,
                                  .unit = kb,
                                  .quota = 100,
                                  .cycle_day = 1,
                                  .timezone = utc,
                                  .prorate = true,
                                  .commit = -1};
}

static void watch(struct store_case *c, struct config_tariff *tariff)
{
    c->config.tariffs = tariff;
    c->config.n_tariffs = 1;
    case_open(c);
}

static void unwatch(struct store_case *c)
{
    case_close(c);
    c->config.tariffs = NULL;
    c->config.n_tariffs = 0;
}

static struct usage_delta delta_at(int64_t slot_ns, uint64_t bytes)
{
    return (struct usage_delta){.slot_ns = slot_ns,
                                .seal = (int32_t)(slot_ns / (900 * S_NS)),
                                .packets = 1,
                                .l2_bytes = bytes,
                                .l3_bytes = bytes,
                                .billed_bytes = bytes,
                                .account = 1,
                                .wan = 1,
                                .direction = DIRECTION_UP};
}

struct feed {
    int64_t seq;
    struct totals totals;
};

/* One transaction a delta; returns how many thresholds it told of. */
static size_t put(struct store_case *c, struct feed *feed, struct usage_delta delta)
{
    struct batch batch;
    size_t n;
    batch_init(&batch, feed->seq++, feed->totals);
    batch_add_usage(&batch, delta);
    feed->totals = batch.applied.totals;
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_apply(c->store, &batch.message), 0);
    assert_int_equal(store_commit(c->store), 0);
    store_quota_events(c->store, &n);
    return n;
}

static const char events_text[] =
    "SELECT coalesce(group_concat(printf('%d@%d=%d', percent, (slot_ns - 1790812800000000000) / "
    "300000000000, used_bytes), ' '), '') FROM (SELECT * FROM quota_event ORDER BY begin_ns, "
    "percent)";

static void test_a_threshold_is_told_once_by_the_transaction_that_reaches_it(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    watch(c, &tariff);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER, 60 * KB - 1)), 0);
    assert_answer(c, events_text, "");
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + SLOT, 1)), 1);
    size_t n;
    const struct store_quota_event *event = store_quota_events(c->store, &n);
    assert_string_equal(event->tariff, "q");
    assert_int_equal(event->percent, 60);
    assert_int_equal(event->used_bytes, 60 * KB);
    assert_int_equal(event->slot_ns, OCTOBER + SLOT);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + 2 * SLOT, 1)), 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + 3 * SLOT, 50 * KB)), 2);
    assert_answer(c, events_text, "60@1=60000 95@3=110001 100@3=110001");
    assert_answer(c, "SELECT account || tariff || end_ns FROM quota LIMIT 1",
                  "aliceq1793491200000000000");
    unwatch(c);
}

static void test_other_accounts_copies_and_other_periods_do_not_count(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    struct usage_delta other = delta_at(OCTOBER, 90 * KB), copy = other, nowhere = other;
    other.account = 2;
    copy.class_index = CLASS_DUPLICATE;
    nowhere.wan = 0;
    watch(c, &tariff);
    assert_int_equal(put(c, &feed, other) + put(c, &feed, copy) + put(c, &feed, nowhere), 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER - SLOT, 59 * KB)), 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER, 59 * KB)), 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + 31 * DAY, 59 * KB)), 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER - SLOT, 1 * KB)), 1);
    assert_answer(c, "SELECT count(*) FROM quota_event", "1");
    unwatch(c);
}

enum { PIECES = 60 };

/* The pieces in this order, 'n_together' to a transaction. */
static void put_in_order(struct store_case *c, const struct usage_delta *pieces, const int *order,
                         int n_together)
{
    struct feed feed = {0};
    for (int i = 0; i < PIECES;) {
        assert_int_equal(store_begin(c->store), 0);
        for (int end = i + n_together; i < end && i < PIECES; i++) {
            struct batch batch;
            batch_init(&batch, feed.seq++, feed.totals);
            batch_add_usage(&batch, pieces[order[i]]);
            feed.totals = batch.applied.totals;
            assert_int_equal(store_apply(c->store, &batch.message), 0);
        }
        assert_int_equal(store_commit(c->store), 0);
    }
}

static void shuffle(int *order)
{
    for (int i = PIECES - 1; i > 0; i--) {
        int j = rand() % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* Two months, so that orders go to and fro between them. */
static void test_events_do_not_depend_on_the_order_or_the_transactions(void **state)
{
    struct store_case *c = *state;
    struct usage_delta pieces[PIECES];
    int order[PIECES];
    char expected[4096] = "";
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = delta_at(OCTOBER + (i % 2 ? -10 : 0) * DAY + i / 4 * SLOT,
                             3 * KB + (uint64_t)(rand() % 2000));
        pieces[i].direction = i % 3 ? DIRECTION_UP : DIRECTION_DOWN;
        order[i] = i;
    }
    for (int round = 0; round < 30; round++) {
        struct config_tariff tariff = tariff_of();
        tariff.rule = round < 15 ? sum_rule : max_rule;
        watch(c, &tariff);
        put_in_order(c, pieces, order, 1 + round % 15);
        const char *text = case_ask(c, events_text);
        if (round % 15 == 0)
            snprintf(expected, sizeof expected, "%s", text);
        assert_true(strlen(expected) > 0);
        assert_string_equal(text, expected);
        unwatch(c);
        assert_int_equal(unlink(c->path), 0);
        shuffle(order);
    }
}

static void test_sums_go_on_in_the_next_run(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    watch(c, &tariff);
    put(c, &feed, delta_at(OCTOBER, 50 * KB));
    unwatch(c);
    watch(c, &tariff);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + SLOT, 10 * KB)), 1);
    unwatch(c);
    watch(c, &tariff); /* it is told already */
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + 2 * SLOT, 10 * KB)), 0);
    unwatch(c);
}

static void test_what_was_used_while_nobody_watched_is_summed_later(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    watch(c, &tariff);
    put(c, &feed, delta_at(OCTOBER, 10 * KB));
    unwatch(c);
    case_open(c); /* without the tariff */
    put(c, &feed, delta_at(OCTOBER + SLOT, 45 * KB));
    case_close(c);
    watch(c, &tariff);
    assert_answer(c, "SELECT sum(up_bytes) FROM quota_usage", "55000");
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + 2 * SLOT, 5 * KB)), 1);
    unwatch(c);
    static char *wans[] = {none};
    tariff.wans = (struct config_text_list){wans, 1}; /* another scope: nothing of the above */
    watch(c, &tariff);
    assert_answer(c, "SELECT count(*) FROM quota_usage", "0");
    unwatch(c);
}

static void test_a_quota_that_is_raised_has_thresholds_of_its_own(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    watch(c, &tariff);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER, 100 * KB)), 3);
    unwatch(c);
    tariff.quota = 200;
    watch(c, &tariff);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER + SLOT, 20 * KB)), 1);
    assert_answer(c, "SELECT count(*) FROM quota_event", "4");
    unwatch(c);
}

/* From the 16th on: half of it, and what was before does not count. */
static void test_a_part_of_a_period_has_its_part_of_the_quota(void **state)
{
    struct store_case *c = *state;
    static char begins[] = "2026-09-16";
    static char *wans[] = {fiber};
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    tariff.begins = begins;
    tariff.wans = (struct config_text_list){wans, 1};
    watch(c, &tariff);
    int64_t september = OCTOBER - 30 * DAY;
    assert_int_equal(put(c, &feed, delta_at(september, 90 * KB)), 0);
    assert_int_equal(put(c, &feed, delta_at(september + 15 * DAY, 30 * KB - 1)), 0);
    assert_int_equal(put(c, &feed, delta_at(september + 15 * DAY, 1)), 1);
    assert_answer(c, "SELECT quota_bytes FROM quota_event", "50000");
    unwatch(c);
}

static void test_a_transaction_that_is_rolled_back_has_reached_nothing(void **state)
{
    struct store_case *c = *state;
    struct config_tariff tariff = tariff_of();
    struct feed feed = {0};
    struct batch batch;
    size_t n;
    watch(c, &tariff);
    batch_init(&batch, 0, feed.totals);
    batch_add_usage(&batch, delta_at(OCTOBER, 100 * KB));
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_apply(c->store, &batch.message), 0);
    store_rollback(c->store);
    store_quota_events(c->store, &n);
    assert_int_equal(n, 0);
    assert_int_equal(put(c, &feed, delta_at(OCTOBER, 59 * KB)), 0);
    assert_answer(c, events_text, "");
    unwatch(c);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_a_threshold_is_told_once_by_the_transaction_that_reaches_it),
        CASE(test_other_accounts_copies_and_other_periods_do_not_count),
        CASE(test_events_do_not_depend_on_the_order_or_the_transactions),
        CASE(test_sums_go_on_in_the_next_run),
        CASE(test_what_was_used_while_nobody_watched_is_summed_later),
        CASE(test_a_quota_that_is_raised_has_thresholds_of_its_own),
        CASE(test_a_part_of_a_period_has_its_part_of_the_quota),
        CASE(test_a_transaction_that_is_rolled_back_has_reached_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
