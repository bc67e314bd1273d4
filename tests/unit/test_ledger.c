/* In = out: whatever is sent again, comes too late, is refused or is cut off, each batch of each
 * stream is in the database once. */
#include "store_case.h"

#include "exporter/ledger.h"
#include "proto/seal.h"

enum { SHARDS = 3, BATCHES = 50, STEPS_MAX = 200000 };

/* A sender as trackers have one, and the receiving end that main.c has. */
struct end {
    int64_t safe_seq;   /* acknowledged: forgotten by the sender */
    int64_t wanted_seq; /* what the receiver takes next */
    bool is_refusing;
    struct totals totals[BATCHES]; /* of the capture stream, before each batch */
};

struct ledger_case {
    struct store_case *store;
    struct ledger *ledger;
    struct spool *spool;
    struct end ends[SHARDS];
    uint64_t n_applied, n_committed, n_undone;
};

static int on_applied(void *state, const struct message *message)
{
    (void)message;
    ((struct ledger_case *)state)->n_applied++;
    return 0;
}

static int on_committed(void *state)
{
    ((struct ledger_case *)state)->n_committed++;
    return 0;
}

static void on_undone(void *state)
{
    ((struct ledger_case *)state)->n_undone++;
}

static void on_safe(void *state, uint32_t shard, int64_t seq)
{
    struct end *end = &((struct ledger_case *)state)->ends[shard];
    assert_true(seq >= end->safe_seq && seq < BATCHES);
    end->safe_seq = seq;
}

static void on_refused(void *state, uint32_t shard)
{
    struct end *end = &((struct ledger_case *)state)->ends[shard];
    end->wanted_seq = end->safe_seq + 1;
    end->is_refusing = true;
}

static void on_wanted(void *state, uint32_t shard)
{
    on_refused(state, shard);
    ((struct ledger_case *)state)->ends[shard].is_refusing = false;
}

static void on_stalled(void *state)
{
    (void)state;
}

static void make_batch(const struct end *end, uint32_t shard, int64_t seq, struct batch *batch)
{
    batch_init(batch, seq, end->totals[seq]);
    snprintf(batch->message.stream.producer, PRODUCER_NAME_MAX, "tracker-%u", shard);
    batch->message.stream.shard = batch->applied.stream.shard = shard;
    batch->message.watermark_ns = seq * 20 * INT64_C(1000000000);
    batch->message.end_of_stream = seq == BATCHES - 1;
    struct usage_delta delta = case_usage();
    delta.slot_ns = seq * 20 / 300 * 300 * INT64_C(1000000000);
    delta.seal = seal_of(delta.slot_ns);
    batch_add_usage(batch, delta);
}

static void open_ledger(struct ledger_case *c, int64_t spool_bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s-spool", c->store->path);
    c->store->config.exporter.commit_rows = 7;
    case_open(c->store);
    if (spool_bytes > 0)
        assert_int_equal(spool_open(path, spool_bytes, &c->spool), 0);
    struct ledger_options options = {.store = c->store->store,
                                     .spool = c->spool,
                                     .config = &c->store->config,
                                     .n_shards = SHARDS,
                                     .on_applied = on_applied,
                                     .on_committed = on_committed,
                                     .on_undone = on_undone,
                                     .on_safe = on_safe,
                                     .on_refused = on_refused,
                                     .on_wanted = on_wanted,
                                     .on_stalled = on_stalled,
                                     .state = c};
    assert_int_equal(ledger_create(&options, &c->ledger), 0);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct stream_id id = case_tracker;
        snprintf(id.producer, sizeof id.producer, "tracker-%u", shard);
        id.shard = shard;
        ledger_resume(c->ledger, &id, -1);
        c->ends[shard] = (struct end){.safe_seq = -1};
        for (int64_t seq = 1; seq < BATCHES; seq++)
            c->ends[shard].totals[seq] =
                (struct totals){(uint64_t)seq, (uint64_t)seq * 100, (uint64_t)seq * 80};
    }
}

/* One that is wanted, or one of before or after it: as the receiver in proto/stream.c has it. */
static void send_one(struct ledger_case *c, uint64_t now_ms)
{
    uint32_t shard = (uint32_t)random() % SHARDS;
    struct end *end = &c->ends[shard];
    int64_t seq = end->wanted_seq + (random() % 8 == 0 ? random() % 5 - 2 : 0);
    if (seq <= end->safe_seq || seq >= BATCHES || seq != end->wanted_seq || end->is_refusing)
        return; /* forgotten, not there yet, out of its turn, or not listened to */
    struct batch batch;
    make_batch(end, shard, seq, &batch);
    end->wanted_seq++;
    assert_int_equal(ledger_put(c->ledger, &batch.message, now_ms), 0);
    if (random() % 5 == 0 && !end->is_refusing && end->wanted_seq == seq + 1)
        assert_int_equal(ledger_put(c->ledger, &batch.message, now_ms), 0); /* and once more */
}

/* Somebody else takes the lock, and gives it back. */
static void change_lock(sqlite3 *other, bool *is_locked)
{
    const char *sql = *is_locked ? "ROLLBACK" : "BEGIN IMMEDIATE";
    if (sqlite3_exec(other, sql, NULL, NULL, NULL) == SQLITE_OK)
        *is_locked = !*is_locked;
}

static void run_to_the_end(struct ledger_case *c)
{
    sqlite3 *other;
    bool is_wanted = false, is_locked = false;
    assert_int_equal(sqlite3_open(c->store->path, &other), SQLITE_OK);
    int result = -EAGAIN;
    uint64_t now_ms = 1;
    for (int step = 0; result == -EAGAIN && step < STEPS_MAX; step++) {
        bool is_busy;
        if (step == 5 || random() % (is_wanted ? 6 : 15) == 0)
            is_wanted = !is_wanted;
        if (is_wanted != is_locked) /* as soon as the ledger has no transaction open */
            change_lock(other, &is_locked);
        for (long n = random() % 6; n > 0; n--)
            send_one(c, now_ms);
        now_ms += (uint64_t)random() % 400;
        assert_int_equal(ledger_turn(c->ledger, now_ms, &is_busy), 0);
        if (ledger_has_ended(c->ledger))
            result = ledger_finish(c->ledger, now_ms);
    }
    sqlite3_close(other);
    assert_int_equal(result, 0);
}

static void assert_all_is_there_once(struct ledger_case *c)
{
    char text[64];
    snprintf(text, sizeof text, "%d %d", SHARDS * BATCHES, SHARDS * BATCHES * 100);
    assert_answer(c->store, "SELECT sum(packets) || ' ' || sum(l2_bytes) FROM usage", text);
    assert_answer(c->store, "SELECT verdict FROM audit", "exact");
    assert_answer(c->store, "SELECT count(*) FROM loss", "0");
    assert_answer(c->store, "SELECT count(*) FROM stream WHERE closed = 0", "0");
}

static void run_with_spool(struct store_case *store, int64_t spool_bytes, unsigned seed)
{
    struct ledger_case c = {.store = store};
    srandom(seed);
    open_ledger(&c, spool_bytes);
    run_to_the_end(&c);
    assert_all_is_there_once(&c);
    const struct ledger_counters *counters = ledger_counters(c.ledger);
    assert_true(counters->n_troubles > 0);
    assert_int_equal(counters->n_spooled > 0, spool_bytes > 0);
    assert_true(counters->n_refused == 0 || spool_bytes < 1 << 26);
    ledger_destroy(c.ledger);
    spool_close(c.spool);
}

static void test_each_batch_is_in_once_with_a_spool(void **state)
{
    run_with_spool(*state, 1 << 26, 1);
}

static void test_each_batch_is_in_once_with_a_spool_that_is_often_full(void **state)
{
    run_with_spool(*state, 16 << 10, 2);
}

static void test_each_batch_is_in_once_without_a_spool(void **state)
{
    run_with_spool(*state, 0, 3);
}

/* A tracker that dies after its end was committed: its successor has nothing to send. */
static void test_a_shard_that_has_ended_stays_so_whoever_comes_after(void **state)
{
    struct ledger_case c = {.store = *state};
    struct stream_id successor = case_tracker;
    open_ledger(&c, 0);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct batch batch;
        make_batch(&c.ends[shard], shard, 0, &batch);
        batch.message.end_of_stream = shard != 2;
        assert_int_equal(ledger_put(c.ledger, &batch.message, 1), 0);
    }
    assert_int_equal(ledger_settle(c.ledger, 1), 0);
    successor.epoch++;
    for (successor.shard = 1; successor.shard <= 2; successor.shard++) {
        assert_false(ledger_has_ended(c.ledger));
        ledger_resume(c.ledger, &successor, -1);
        c.ends[successor.shard].safe_seq = -1;
    }
    struct batch last;
    make_batch(&c.ends[2], 2, 0, &last);
    last.message.stream.epoch = successor.epoch;
    last.message.end_of_stream = true;
    last.applied.stream.epoch++;
    assert_int_equal(ledger_put(c.ledger, &last.message, 2), 0);
    assert_int_equal(ledger_settle(c.ledger, 2), 0);
    assert_true(ledger_has_ended(c.ledger));
    ledger_destroy(c.ledger);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_each_batch_is_in_once_with_a_spool),
        CASE(test_each_batch_is_in_once_with_a_spool_that_is_often_full),
        CASE(test_each_batch_is_in_once_without_a_spool),
        CASE(test_a_shard_that_has_ended_stays_so_whoever_comes_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
