#include "store_case.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- batches ---- */

static void test_deltas_with_one_key_become_one_sum(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct totals totals = {0};
    for (int64_t seq = 0; seq < 3; seq++) {
        struct batch batch;
        batch_init(&batch, seq, totals);
        batch_add_usage(&batch, case_usage());
        batch_add_usage(&batch, case_usage());
        assert_int_equal(case_apply(c, &batch), 0);
        totals = batch.applied.totals;
    }
    assert_answer(c,
                  "SELECT count(*) || ' ' || packets || ' ' || l2_bytes || ' ' || l3_bytes || ' '"
                  " || billed_bytes FROM usage",
                  "1 6 600 480 540");
}

static void test_each_part_of_the_key_makes_its_own_sum(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct usage_delta deltas[6];
    for (size_t i = 0; i < 6; i++)
        deltas[i] = case_usage();
    deltas[1].slot_ns = SLOT_SECONDS * INT64_C(1000000000);
    deltas[2].account = 2;
    deltas[3].wan = 1;
    deltas[4].direction = DIRECTION_DOWN;
    deltas[5].class_index = CLASS_OVERFLOW;
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    for (size_t i = 0; i < 6; i++)
        batch_add_usage(&batch, deltas[i]);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT count(*) FROM usage WHERE packets = 1", "6");
}

static void test_an_unbalanced_batch_is_refused_whatever_is_off_by_one(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    for (int measure = 0; measure < 3; measure++) {
        struct batch batch;
        batch_init(&batch, 0, (struct totals){0});
        batch_add_usage(&batch, case_usage());
        batch_grow(&batch, measure == 0, measure == 1, measure == 2);
        assert_int_equal(case_apply(c, &batch), -EBADMSG);
        assert_non_null(strstr(store_error(c->store), "does not add up"));
    }
    assert_answer(c, "SELECT (SELECT count(*) FROM usage) + (SELECT count(*) FROM stream)", "0");
}

static void test_growth_counts_from_what_is_committed(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
    case_close(c);
    case_open(c); /* the marks now come from the file */

    struct batch next;
    batch_init(&next, 1, (struct totals){0});
    batch_add_usage(&next, case_usage());
    assert_int_equal(case_apply(c, &next), -EBADMSG); /* no growth */
    batch_init(&next, 1, batch.applied.totals);
    batch_add_usage(&next, case_usage());
    assert_int_equal(case_apply(c, &next), 0);
    assert_answer(c, "SELECT packets FROM stream WHERE kind = 'capture'", "2");
}

static void test_an_exact_loss_after_the_capture_is_part_of_the_balance(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    struct loss *loss = batch_add_loss(&batch, LOSS_CAPTURE, LOSS_EXACT);
    loss->packets = 3;
    loss->l2_bytes = 30;
    loss->l3_bytes = 20;
    assert_int_equal(case_apply(c, &batch), -EBADMSG);
    batch_grow(&batch, 3, 30, 20);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT verdict || ' ' || lost_packets || ' ' || lost_l2_bytes FROM audit",
                  "exact 3 30");
}

static void test_a_stream_never_goes_back(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch.applied.seq = 5;
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);

    struct batch back;
    batch_init(&back, 1, batch.applied.totals);
    back.applied.seq = 4;
    assert_int_equal(case_apply(c, &back), -EBADMSG);
    batch_init(&back, 1, (struct totals){0});
    back.applied.seq = 6;
    assert_int_equal(case_apply(c, &back), -EBADMSG);
}

static void test_a_batch_is_applied_once_and_in_its_turn(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch, next;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
    assert_int_equal(case_apply(c, &batch), -EALREADY);
    case_close(c);
    case_open(c);
    assert_int_equal(case_apply(c, &batch), -EALREADY);
    batch_init(&next, 2, batch.applied.totals);
    batch_add_usage(&next, case_usage());
    assert_int_equal(case_apply(c, &next), -EBADMSG); /* 1 is missing */
    assert_answer(c, "SELECT sum(packets) FROM usage", "1");
}

/* Batch 'seq' of one packet, whose capture stream had 'lost' more before it. */
static void batch_behind(struct batch *batch, int64_t seq, struct totals totals, uint64_t lost)
{
    batch_init(batch, seq, totals);
    batch_add_usage(batch, case_usage());
    batch_grow(batch, lost, lost * 100, lost * 80);
    batch->message.watermark_ns = 7;
}

static void test_what_a_hole_had_is_declared_to_the_byte(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch, next;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
    store_allow_hole(c->store, 0, 5);
    batch_behind(&next, 9, batch.applied.totals, 4);
    assert_int_equal(case_apply(c, &next), 0);
    assert_answer(c,
                  "SELECT first_ns || ' ' || last_ns || ' ' || stage || ' ' || reason || ' ' || "
                  "packets || ' ' || l2_bytes || ' ' || l3_bytes || ' ' || certainty FROM loss",
                  "5 7 exporter records_lost 4 400 320 exact");
    assert_answer(c, "SELECT verdict FROM audit", "exact");

    batch_behind(&batch, 10, next.applied.totals, 1); /* once only */
    assert_int_equal(case_apply(c, &batch), -EBADMSG);
}

static void test_a_hole_that_was_rolled_back_is_one_again(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    store_allow_hole(c->store, 0, 5);
    batch_behind(&batch, 9, (struct totals){0}, 4);
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_apply(c->store, &batch.message), 0);
    store_rollback(c->store);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT count(*) || ' ' || sum(packets) FROM loss", "1 4");
}

static void test_a_capture_stream_that_comes_later_is_behind_the_hole_too(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    store_allow_hole(c->store, 0, 5);
    batch_behind(&batch, 9, (struct totals){0}, 4);
    assert_int_equal(case_apply(c, &batch), 0);
    batch_behind(&batch, 10, (struct totals){0}, 3);
    strcpy(batch.applied.stream.producer, "capture-1");
    assert_int_equal(case_apply(c, &batch), 0);
    batch_behind(&batch, 11, batch.applied.totals, 1);
    strcpy(batch.applied.stream.producer, "capture-1");
    assert_int_equal(case_apply(c, &batch), -EBADMSG);
    assert_answer(c, "SELECT count(*) || ' ' || sum(packets) FROM loss", "2 7");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
}

static void test_one_stream_twice_in_a_batch_is_refused(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    const struct high_water twice[2] = {batch.applied, batch.applied};
    batch.message.applied = twice;
    batch.message.n_applied = 2;
    assert_int_equal(case_apply(c, &batch), -EBADMSG);
}

static void test_a_name_that_the_configuration_does_not_have_is_refused(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    struct usage_delta delta = case_usage();
    delta.account = 3;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, delta);
    assert_int_equal(case_apply(c, &batch), -EBADMSG);

    struct flow_record flow = case_flow();
    flow.wan = 3;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), -EBADMSG);
}

static void test_numbers_beyond_64_bits_are_refused_never_wrapped(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct usage_delta huge = case_usage();
    huge.l2_bytes = (uint64_t)INT64_MAX + 1;
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, huge);
    assert_int_equal(case_apply(c, &batch), -ERANGE);

    huge.l2_bytes = INT64_MAX; /* fits, but the sum with the next does not */
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, huge);
    assert_int_equal(case_apply(c, &batch), 0);
    struct batch next;
    batch_init(&next, 1, batch.applied.totals);
    batch_add_usage(&next, case_usage());
    assert_int_equal(case_apply(c, &next), -ERANGE);
    assert_answer(c, "SELECT l2_bytes FROM usage", "9223372036854775807");
}

static void test_marks_and_streams_come_back_as_they_went_in(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    store_allow_hole(c->store, 0, 0);
    batch_init(&batch, 41, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    batch.applied.packets_into_next = 17;
    assert_int_equal(case_apply(c, &batch), 0);

    struct high_water mark;
    assert_int_equal(store_find_stream(c->store, &case_tracker, &mark), 0);
    assert_int_equal(mark.seq, 41);
    struct stream_id unknown = {.producer = "tracker-0", .epoch = 8};
    assert_int_equal(store_find_stream(c->store, &unknown, &mark), -ENOENT);

    struct high_water *marks;
    size_t n;
    assert_int_equal(store_find_applied(c->store, 0, &marks, &n), 0);
    assert_int_equal(n, 1);
    assert_true(stream_id_equal(&marks[0].stream, &case_capture));
    assert_int_equal(marks[0].packets_into_next, 17);
    assert_int_equal(marks[0].totals.l2_bytes, 100);
    free(marks);
    assert_int_equal(store_find_applied(c->store, 1, &marks, &n), 0);
    assert_int_equal(n, 0);
    assert_null(marks);
}

static void test_of_a_stream_that_ended_it_is_said_so(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch.message.end_of_stream = true;
    assert_int_equal(case_apply(c, &batch), 0);
    struct high_water *marks;
    size_t n;
    assert_int_equal(store_find_applied(c->store, 0, &marks, &n), 0);
    assert_int_equal(n, 1);
    assert_true(marks[0].is_closed);
    free(marks);
    assert_answer(c, "SELECT sum(closed) FROM stream", "2");
    case_close(c);

    case_open(c);
    assert_int_equal(store_find_applied(c->store, 0, &marks, &n), 0);
    assert_int_equal(n, 0); /* of another run */
}

/* ---- transactions ---- */

static void test_a_rollback_leaves_nothing_and_forgets_the_marks(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_apply(c->store, &batch.message), 0);
    store_rollback(c->store);
    assert_answer(c, "SELECT count(*) FROM usage", "0");
    assert_int_equal(case_apply(c, &batch), 0); /* balances against nothing, not against itself */
}

static void apply_and_die(struct store_case *c, const struct batch *committed,
                          const struct batch *open)
{
    case_open(c);
    if (case_apply(c, committed) != 0 || store_begin(c->store) != 0 ||
        store_apply(c->store, &open->message) != 0)
        _exit(1);
    raise(SIGKILL);
}

static void test_a_kill_before_the_commit_leaves_nothing_half_applied(void **state)
{
    struct store_case *c = *state;
    struct batch committed, open;
    batch_init(&committed, 0, (struct totals){0});
    batch_add_usage(&committed, case_usage());
    batch_init(&open, 1, committed.applied.totals);
    batch_add_usage(&open, case_usage());
    struct flow_record flow = case_flow();
    batch_add_flow(&open, &flow);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        apply_and_die(c, &committed, &open);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    case_open(c); /* its lock died with it */
    assert_answer(c, "SELECT packets || ' ' || (SELECT count(*) FROM flow) FROM usage", "1 0");
    assert_int_equal(case_apply(c, &open), 0); /* and what was not acknowledged is sent again */
    assert_answer(c, "SELECT packets || ' ' || (SELECT count(*) FROM flow) FROM usage", "2 1");
}

/* ---- the WAL ---- */

static int64_t file_bytes(const struct store_case *c, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", c->path, suffix);
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void test_the_wal_stays_bounded_and_goes_at_close(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct totals totals = {0};
    for (int64_t seq = 0; seq < 500; seq++) {
        struct batch batch;
        batch_init(&batch, seq, totals);
        batch_add_usage(&batch, case_usage());
        assert_int_equal(case_apply(c, &batch), 0);
        totals = batch.applied.totals;
    }
    int64_t wal_bytes = file_bytes(c, "-wal");
    assert_in_range(wal_bytes, 1, 2 * CHECKPOINT_BYTES); /* 500 commits write some 12 MB */
    case_close(c);
    assert_true(file_bytes(c, "-wal") <= 0);
    assert_int_equal(file_bytes(c, "-lock"), -1);
    assert_answer(c, "PRAGMA integrity_check", "ok");
}

static void test_a_reader_does_not_stop_the_writer(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    sqlite3 *reader;
    assert_int_equal(sqlite3_open_v2(c->path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM usage_slot", NULL, NULL, NULL), 0);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
    sqlite3_close(reader);
    assert_answer(c, "SELECT packets FROM usage", "1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_deltas_with_one_key_become_one_sum),
        CASE(test_each_part_of_the_key_makes_its_own_sum),
        CASE(test_an_unbalanced_batch_is_refused_whatever_is_off_by_one),
        CASE(test_growth_counts_from_what_is_committed),
        CASE(test_an_exact_loss_after_the_capture_is_part_of_the_balance),
        CASE(test_a_stream_never_goes_back),
        CASE(test_a_batch_is_applied_once_and_in_its_turn),
        CASE(test_what_a_hole_had_is_declared_to_the_byte),
        CASE(test_a_hole_that_was_rolled_back_is_one_again),
        CASE(test_a_capture_stream_that_comes_later_is_behind_the_hole_too),
        CASE(test_one_stream_twice_in_a_batch_is_refused),
        CASE(test_a_name_that_the_configuration_does_not_have_is_refused),
        CASE(test_numbers_beyond_64_bits_are_refused_never_wrapped),
        CASE(test_marks_and_streams_come_back_as_they_went_in),
        CASE(test_of_a_stream_that_ended_it_is_said_so),
        CASE(test_a_rollback_leaves_nothing_and_forgets_the_marks),
        CASE(test_a_kill_before_the_commit_leaves_nothing_half_applied),
        CASE(test_the_wal_stays_bounded_and_goes_at_close),
        CASE(test_a_reader_does_not_stop_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
