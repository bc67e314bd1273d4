#include "store_case.h"

/* A run with one packet counted in usage and in a flow, read from a complete source, and properly
 * ended. */
static void run_of_one_packet(struct store_case *c)
{
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    struct flow_record flow = case_flow();
    batch_add_flow(&batch, &flow);
    batch_add_source(&batch, 1, 100, true);
    batch.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &batch), 0);
    assert_int_equal(store_finish_run(c->store, 2), 0);
    case_close(c);
    assert_answer(c, "SELECT verdict FROM audit", "exact");
    assert_answer(c, "SELECT verdict FROM audit_flows", "equal");
    assert_answer(c, "SELECT verdict FROM audit_sources", "equal");
}

static void test_an_empty_database_is_exact(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    assert_answer(c, "SELECT verdict FROM audit", "exact");
}

static void test_every_changed_count_is_a_mismatch(void **state)
{
    struct store_case *c = *state;
    static const char *const changes[] = {
        "UPDATE usage_slot SET packets = packets + 1",
        "UPDATE usage_slot SET l2_bytes = l2_bytes - 1",
        "UPDATE usage_slot SET l3_bytes = l3_bytes + 1",
        "UPDATE usage_slot SET billed_bytes = billed_bytes + 1", /* the flows say otherwise */
        "UPDATE stream SET packets = packets + 1 WHERE kind = 'capture'",
        "UPDATE stream SET l3_bytes = 0 WHERE kind = 'capture'",
        "UPDATE flow_record SET packets = 0",
        "UPDATE flow_record SET l3_bytes = l3_bytes + 1",
        "UPDATE source SET packets = packets + 1",
        "UPDATE source SET l2_bytes = l2_bytes - 1",
        "DELETE FROM usage_slot",
        "DELETE FROM flow_record",
        ("INSERT INTO loss_line SELECT 9, id, 0, 0, 'capture', 'x', 1, 1, 1, 'exact', '', 0"
         " FROM stream WHERE kind = 'capture'"),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unlink(c->path);
        run_of_one_packet(c);
        case_tamper(c, changes[i]);
        if (strcmp(case_ask(c, "SELECT verdict FROM audit"), "mismatch") != 0)
            fail_msg("not found out: %s", changes[i]);
    }
}

static void test_a_byte_moved_from_one_measure_to_another_is_found(void **state)
{
    struct store_case *c = *state;
    run_of_one_packet(c);
    case_tamper(c, "UPDATE usage_slot SET l2_bytes = l2_bytes + 1, l3_bytes = l3_bytes - 1");
    assert_answer(c, "SELECT difference_l2_bytes || ' ' || difference_l3_bytes FROM audit", "-1 1");
}

static void assert_verdict_after_loss(struct store_case *c, uint8_t stage, uint8_t certainty,
                                      int64_t amount, const char *verdict)
{
    unlink(c->path);
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    struct loss *loss = batch_add_loss(&batch, stage, certainty);
    loss->packets = loss->l2_bytes = loss->l3_bytes = amount;
    assert_int_equal(case_apply(c, &batch), 0);
    case_close(c);
    assert_answer(c, "SELECT verdict FROM audit", verdict);
    assert_answer(c, "SELECT difference_packets FROM audit", "0");
}

static void test_losses_outside_the_totals_make_the_bill_bounded(void **state)
{
    struct store_case *c = *state;
    assert_verdict_after_loss(c, LOSS_NIC, LOSS_DERIVED, 5, "bounded");
    assert_verdict_after_loss(c, LOSS_KERNEL, LOSS_EXACT, 5, "bounded");
    assert_verdict_after_loss(c, LOSS_SOURCE, LOSS_UNKNOWN, LOSS_AMOUNT_UNKNOWN, "bounded");
    assert_verdict_after_loss(c, LOSS_CAPTURE, LOSS_UPPER_BOUND, 5, "bounded");
    assert_verdict_after_loss(c, LOSS_TRACKER, LOSS_UNKNOWN, LOSS_AMOUNT_UNKNOWN, "bounded");
    assert_verdict_after_loss(c, LOSS_CAPTURE, LOSS_EXACT, 0, "exact");
}

static void test_a_mismatch_is_not_excused_by_a_loss(void **state)
{
    struct store_case *c = *state;
    run_of_one_packet(c);
    case_tamper(c, "INSERT INTO loss_line SELECT 9, id, 0, 0, 'kernel', 'x', NULL, NULL, NULL,"
                   " 'unknown', '', 0 FROM stream WHERE kind = 'capture'");
    assert_answer(c, "SELECT verdict FROM audit", "bounded");
    case_tamper(c, "UPDATE usage_slot SET packets = 0");
    assert_answer(c, "SELECT verdict FROM audit", "mismatch");
}

static void test_flows_of_a_run_under_way_are_compared_too(void **state)
{
    struct store_case *c = *state;
    run_of_one_packet(c);
    case_tamper(c, "UPDATE run SET finished_ns = NULL; DELETE FROM flow_record");
    assert_answer(c, "SELECT verdict FROM audit_flows", "mismatch");

    unlink(c->path);
    run_of_one_packet(c);
    case_tamper(c, "UPDATE run SET finished_ns = NULL;"
                   "UPDATE flow_record SET packets = packets + 1");
    assert_answer(c, "SELECT verdict FROM audit", "mismatch");
}

static void test_a_usage_only_run_has_no_flows_to_compare(void **state)
{
    struct store_case *c = *state;
    c->config.tracker.flow_records = false;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
    assert_int_equal(store_finish_run(c->store, 2), 0);
    assert_answer(c, "SELECT verdict FROM audit_flows", "not_compared");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
}

static void test_sources_are_compared_once_they_are_complete(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    batch_add_source(&batch, 5, 500, false); /* read ahead of what is committed */
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT verdict FROM audit_sources", "not_compared");
    assert_answer(c, "SELECT verdict FROM audit", "exact");

    struct batch last;
    batch_init(&last, 1, batch.applied.totals);
    batch_add_source(&last, 6, 500, true);
    last.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &last), 0);
    assert_answer(c, "SELECT verdict || ' ' || difference_packets FROM audit_sources",
                  "mismatch 5");
    assert_answer(c, "SELECT verdict FROM audit", "mismatch");
}

static void test_a_source_told_of_again_keeps_its_largest_totals(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_source(&batch, 5, 500, true);
    batch_add_source(&batch, 3, 300, false);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(
        c,
        "SELECT count(*) || ' ' || packets || ' ' || l2_bytes || ' ' || is_complete || ' '"
        " || substr(sha256, 1, 4) || ' ' || length(sha256) FROM source",
        "1 5 500 1 ab00 64");
}

static void test_several_runs_add_up(void **state)
{
    struct store_case *c = *state;
    run_of_one_packet(c);
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch.applied.stream.epoch = 1234;
    batch.message.stream.epoch = 5678;
    batch_add_usage(&batch, case_usage());
    struct flow_record flow = case_flow();
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_int_equal(store_finish_run(c->store, 4), 0);
    assert_answer(c, "SELECT verdict || ' ' || captured_packets FROM audit", "exact 2");
    assert_answer(c, "SELECT count(*) FROM run WHERE length(config_sha256) = 64", "2");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_an_empty_database_is_exact),
        CASE(test_every_changed_count_is_a_mismatch),
        CASE(test_a_byte_moved_from_one_measure_to_another_is_found),
        CASE(test_losses_outside_the_totals_make_the_bill_bounded),
        CASE(test_a_mismatch_is_not_excused_by_a_loss),
        CASE(test_flows_of_a_run_under_way_are_compared_too),
        CASE(test_a_usage_only_run_has_no_flows_to_compare),
        CASE(test_sources_are_compared_once_they_are_complete),
        CASE(test_a_source_told_of_again_keeps_its_largest_totals),
        CASE(test_several_runs_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
