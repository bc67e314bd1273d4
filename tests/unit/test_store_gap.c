#include "store_case.h"

#include "proto/seal.h"

enum { LATER_NS = 2000 };

/* Two packets counted, one of them in a record; 'seq' of the tracker's stream. */
static void count_two(struct store_case *c, struct batch *batch, int64_t seq, struct totals before)
{
    struct flow_record flow = case_flow();
    batch_init(batch, seq, before);
    batch->message.watermark_ns = LATER_NS;
    batch_add_usage(batch, case_usage());
    batch_add_usage(batch, case_usage());
    batch_add_flow(batch, &flow);
    assert_int_equal(case_apply(c, batch), 0);
}

static const char sums[] =
    "SELECT usage_packets || '=' || flow_packets || '+' || gap_packets || '+' "
    "|| open_packets || ' ' || verdict FROM audit_flows";

static void test_what_is_in_no_record_yet_is_kept_with_the_stream(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    assert_answer(c, sums, "2=1+0+1 equal");

    struct batch last;
    struct flow_record flow = case_flow();
    batch_init(&last, 1, batch.applied.totals);
    batch_add_flow(&last, &flow);
    last.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &last), 0);
    assert_answer(c, sums, "2=2+0+0 equal");
}

static void test_a_tracker_in_place_of_another_makes_what_that_left_a_gap(void **state)
{
    struct store_case *c = *state;
    struct batch batch, next;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    batch_init(&next, 0, batch.applied.totals);
    next.applied.seq = 1;
    next.message.stream.epoch = 8;
    assert_int_equal(case_apply(c, &next), 0);
    assert_answer(c, sums, "2=1+1+0 equal");
    assert_answer(c,
                  "SELECT last_ns || ' ' || packets || ' ' || l2_bytes || ' ' || l3_bytes || ' '"
                  " || billed_bytes || ' ' || stream FROM flow_gap",
                  "2000 1 100 80 90 tracker-0/0");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
    case_tamper(c, "DELETE FROM gap_line");
    assert_answer(c, "SELECT verdict FROM audit", "mismatch");
}

static void test_an_exporters_successor_leaves_no_gap_of_trackers_that_go_on(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    case_close(c);
    case_open(c);
    count_two(c, &batch, 1, batch.applied.totals);
    assert_answer(c, sums, "4=2+0+2 equal");
    assert_answer(c, "SELECT count(*) FROM loss", "0");
}

static void test_an_exporter_that_goes_on_with_its_run_knows_what_is_open(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    case_close(c);
    case_open_run(c, c->n_runs);
    count_two(c, &batch, 1, batch.applied.totals);
    assert_answer(c, sums, "4=2+0+2 equal");
    assert_answer(c, "SELECT count(*) FROM run", "1");
}

static void test_a_stream_that_ended_has_nothing_open(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    batch_init(&batch, 1, batch.applied.totals);
    batch.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, sums, "2=1+0+1 mismatch");
}

static void test_a_run_without_its_end_is_an_unknown_loss_of_the_next(void **state)
{
    struct store_case *c = *state;
    struct batch batch, next;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    case_close(c);
    case_open(c);
    assert_answer(c, "SELECT count(*) FROM loss", "0");
    batch_init(&next, 0, (struct totals){0});
    next.message.stream.epoch = 8;
    next.applied.stream.epoch = 9;
    assert_int_equal(case_apply(c, &next), 0);
    assert_answer(c,
                  "SELECT count(*) || ' ' || stage || ' ' || reason || ' ' || certainty || ' ' ||"
                  " first_ns || ' ' || run_id || ' ' || (packets IS NULL) FROM loss",
                  "1 capture not_ended unknown 2000 1 1");
    assert_answer(c, "SELECT verdict FROM audit", "bounded");
}

static void test_a_shard_that_never_told_of_a_worker_is_missing(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    c->config.tracker.shards = 2;
    case_open(c);
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    batch.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &batch), 0);
    case_close(c);
    case_open(c);
    assert_int_equal(store_finish_run(c->store, 5), 0);
    assert_answer(c, "SELECT stage || ' ' || certainty || ' ' || count(*) FROM loss",
                  "capture unknown 1");
    assert_answer(c, "SELECT verdict FROM audit", "bounded");
}

static void test_streams_that_nothing_takes_the_place_of_are_told_of_at_a_runs_end(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    case_close(c);
    case_open(c);
    assert_int_equal(store_finish_run(c->store, 5), 0);
    assert_answer(c, "SELECT count(*) FROM loss WHERE reason = 'not_ended'", "1");
    assert_answer(c, sums, "2=1+1+0 equal");
}

static void test_a_run_of_which_nothing_was_committed_is_an_unknown_loss(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    case_open(c);
    assert_answer(c, "SELECT count(*) FROM loss", "0");
    assert_int_equal(store_finish_run(c->store, 5), 0);
    assert_answer(c,
                  "SELECT count(*) || ' ' || stage || ' ' || reason || ' ' || certainty || ' ' ||"
                  " run_id || ' ' || (packets IS NULL) FROM loss",
                  "1 capture not_ended unknown 1 1");
    assert_answer(c, "SELECT verdict FROM audit", "bounded");
    case_close(c);
    case_open(c);
    assert_int_equal(store_finish_run(c->store, 6), 0);
    assert_answer(c, "SELECT count(*) FROM loss", "1");
}

static void test_a_live_run_says_at_its_start_what_came_to_nothing_before(void **state)
{
    struct store_case *c = *state;
    case_open_live(c, 1000);
    case_close(c);
    case_open_live(c, 1000); /* an exporter's successor: the same run */
    assert_answer(c, "SELECT count(*) FROM loss", "0");
    case_close(c);
    case_open_live(c, 3000);
    assert_answer(c, "SELECT count(*) || ' ' || first_ns || ' ' || last_ns FROM loss",
                  "1 1000 3000");
    assert_int_equal(store_finish_run(c->store, 4000), 0);
    assert_answer(c, "SELECT count(*) FROM loss", "1");
}

static void test_a_gap_is_under_its_seals_hash(void **state)
{
    struct store_case *c = *state;
    struct batch batch, next;
    case_open(c);
    count_two(c, &batch, 0, (struct totals){0});
    batch_init(&next, 0, batch.applied.totals);
    next.applied.seq = 1;
    next.message.stream.epoch = 8;
    assert_int_equal(case_apply(c, &next), 0);
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_seal(c->store, 1, 1, SIZE_MAX), 0);
    assert_int_equal(store_commit(c->store), 0);
    assert_answer(c, "SELECT loss_rows FROM seal", "1");
    assert_answer(c, "SELECT line FROM seal_loss", "-299999998000\t2000\tflow_gap\t1\t100\t80\t90");
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_in_no_record_yet_is_kept_with_the_stream),
        CASE(test_a_tracker_in_place_of_another_makes_what_that_left_a_gap),
        CASE(test_an_exporters_successor_leaves_no_gap_of_trackers_that_go_on),
        CASE(test_an_exporter_that_goes_on_with_its_run_knows_what_is_open),
        CASE(test_a_stream_that_ended_has_nothing_open),
        CASE(test_a_run_without_its_end_is_an_unknown_loss_of_the_next),
        CASE(test_a_shard_that_never_told_of_a_worker_is_missing),
        CASE(test_streams_that_nothing_takes_the_place_of_are_told_of_at_a_runs_end),
        CASE(test_a_run_of_which_nothing_was_committed_is_an_unknown_loss),
        CASE(test_a_live_run_says_at_its_start_what_came_to_nothing_before),
        CASE(test_a_gap_is_under_its_seals_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
