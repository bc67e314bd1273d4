/* Who takes a tracker's place is given what the shard's last commit had, whoever made it. */
#include "store_case.h"

/* A batch of the tracker of that epoch, committed, that leaves 'memory'; NULL: it is its last. */
static void commit(struct store_case *c, uint64_t epoch, int64_t seq, const char *memory)
{
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch.message.stream.epoch = epoch;
    batch.message.seq = seq;
    batch.message.memory = (const uint8_t *)memory;
    batch.message.memory_size = memory ? strlen(memory) : 0;
    batch.message.end_of_stream = !memory;
    assert_int_equal(case_apply(c, &batch), 0);
}

static void assert_restored(struct store_case *c, uint64_t epoch, uint64_t predecessor,
                            const char *memory)
{
    struct stream_id id = case_tracker;
    struct restored restored;
    id.epoch = epoch;
    assert_int_equal(store_restore_begin(c->store, &id, predecessor), 1);
    assert_int_equal(store_restore_portion(c->store, 0, 0, &restored), 0);
    assert_int_equal(restored.memory_size, strlen(memory));
    assert_memory_equal(restored.memory, memory, restored.memory_size);
}

static void test_a_successor_is_given_what_its_predecessor_committed(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    commit(c, 7, 0, "first");
    assert_restored(c, 8, 7, "first");
}

/* It was killed before it heard of its commit, so its successor names the one before. */
static void test_a_predecessor_that_did_not_hear_of_its_commit_is_found(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    commit(c, 7, 0, "first");
    assert_restored(c, 8, 7, "first");
    commit(c, 8, 0, "second");
    assert_restored(c, 9, 7, "second");
    assert_restored(c, 9, 0, "second");
}

/* As when the exporter is another one: the tracker is the same. */
static void test_no_tracker_is_its_own_predecessor(void **state)
{
    struct store_case *c = *state;
    struct stream_id id = case_tracker;
    case_open(c);
    commit(c, id.epoch, 0, "its own");
    assert_int_equal(store_restore_begin(c->store, &id, 0), 0);
}

static void test_a_tracker_that_ended_properly_leaves_nothing(void **state)
{
    struct store_case *c = *state;
    struct stream_id id = case_tracker;
    case_open(c);
    commit(c, 7, 0, "first");
    commit(c, 8, 0, NULL);
    id.epoch = 9;
    assert_int_equal(store_restore_begin(c->store, &id, 0), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_successor_is_given_what_its_predecessor_committed),
        CASE(test_a_predecessor_that_did_not_hear_of_its_commit_is_found),
        CASE(test_no_tracker_is_its_own_predecessor),
        CASE(test_a_tracker_that_ended_properly_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
