/* Seals in a database: what the store closes, and what the audit says of it later. */
#include "store_case.h"

#include <assert.h>
#include <sys/stat.h>

#include "cli/audit/audit_seal.h"
#include "proto/seal.h"

static const int64_t slot_length_ns = SLOT_SECONDS * INT64_C(1000000000);

enum { FIRST = 1888888, ALL_ROWS = 1 << 20 }; /* 2023-11-14T22:00:00Z */

/* What a random number generator, a sequence and a stream have come to. */
struct feed {
    uint64_t random;
    int64_t seq;
    struct totals totals;
};

static uint64_t next_random(struct feed *feed)
{
    feed->random ^= feed->random << 13;
    feed->random ^= feed->random >> 7;
    feed->random ^= feed->random << 17;
    return feed->random;
}

/* A packet in slot 0, 1 or 2 of the seal 'number', counted when 'counted' was open. */
static struct usage_delta delta_in(int32_t number, int slot, int32_t counted)
{
    struct usage_delta delta = case_usage();
    delta.slot_ns = seal_start_ns(number) + slot * slot_length_ns;
    delta.seal = counted;
    return delta;
}

static struct flow_record flow_in(int32_t number, uint64_t id)
{
    struct flow_record flow = case_flow();
    flow.id = id;
    flow.start_ns = flow.first_ns = flow.last_ns = seal_start_ns(number) + 5;
    flow.seal = number;
    return flow;
}

static void begin_batch(const struct feed *feed, struct batch *batch)
{
    batch_init(batch, feed->seq, feed->totals);
}

static void apply(struct store_case *c, struct feed *feed, struct batch *batch)
{
    assert_int_equal(case_apply(c, batch), 0);
    feed->totals = batch->applied.totals;
    feed->seq++;
}

static void seal_until(struct store_case *c, int32_t open_at, size_t n_rows)
{
    do {
        assert_int_equal(store_begin(c->store), 0);
        assert_int_equal(store_seal(c->store, open_at, 1, n_rows), 0);
        assert_int_equal(store_commit(c->store), 0);
    } while (store_is_seal_due(c->store, open_at));
}

/* ---- closing ---- */

static void test_only_what_has_passed_is_sealed_and_each_follows_the_one_before(void **state)
{
    struct store_case *c = *state;
    struct feed feed = {0};
    struct batch batch;
    case_open(c);
    begin_batch(&feed, &batch);
    for (int32_t i = 3; i >= 0; i--) /* in whatever order they come */
        batch_add_usage(&batch, delta_in(FIRST + i * 2, 1, FIRST + i * 2));
    apply(c, &feed, &batch);
    seal_until(c, FIRST + 4, ALL_ROWS);
    assert_answer(c, "SELECT group_concat(seal) FROM seal", "1888888,1888890");
    seal_until(c, FIRST + 7, ALL_ROWS);
    assert_answer(c,
                  "SELECT count(*) FROM seal AS s JOIN seal AS b ON b.hash = s.previous AND b.seal"
                  " = s.seal - 2",
                  "3");
    assert_answer(c, "SELECT seal FROM seal WHERE previous = printf('%064d', 0)", "1888888");
    assert_answer(c,
                  "SELECT usage_rows || ' ' || packets || ' ' || l2_bytes || ' ' || l3_bytes ||"
                  " ' ' || billed_bytes FROM seal LIMIT 1",
                  "1 1 100 80 90");
}

static void test_late_packets_are_new_rows_that_name_what_they_correct(void **state)
{
    struct store_case *c = *state;
    struct feed feed = {0};
    struct batch batch;
    case_open(c);
    begin_batch(&feed, &batch);
    batch_add_usage(&batch, delta_in(FIRST, 0, FIRST));
    apply(c, &feed, &batch);
    seal_until(c, FIRST + 1, ALL_ROWS);
    char *sealed = strdup(case_ask(c, "SELECT hash FROM seal"));

    begin_batch(&feed, &batch);
    batch_add_usage(&batch, delta_in(FIRST, 0, FIRST)); /* a tracker that does not know */
    batch_add_usage(&batch, delta_in(FIRST + 1, 0, FIRST + 1));
    batch_add_usage(&batch, delta_in(FIRST + 9, 0, FIRST + 1)); /* a time not to be trusted */
    apply(c, &feed, &batch);
    assert_answer(c,
                  "SELECT group_concat(status || ' ' || seal || ' ' || ifnull(corrects, '-'))"
                  " FROM usage",
                  "final 1888888 -,correction 1888889 1888888,interim 1888889 -,interim 1888889 -");
    seal_until(c, FIRST + 2, ALL_ROWS);
    assert_answer(c, "SELECT hash FROM seal LIMIT 1", sealed);
    assert_answer(c, "SELECT usage_rows FROM seal WHERE seal = 1888889", "3");
    assert_answer(c, "SELECT group_concat(status) FROM usage", "final,correction,final,final");
    free(sealed);
}

static void test_a_later_run_goes_on_with_the_chain_and_closes_nothing_twice(void **state)
{
    struct store_case *c = *state;
    struct feed feed = {0};
    for (int32_t i = 0; i < 6; i++) {
        struct batch batch;
        case_open(c);
        begin_batch(&feed, &batch);
        batch_add_usage(&batch, delta_in(FIRST + i, 2, FIRST + i));
        struct flow_record flow = flow_in(FIRST + i, (uint64_t)i + 1);
        batch_add_flow(&batch, &flow);
        flow = flow_in(FIRST + i + 1, (uint64_t)i + 100);
        batch_add_flow(&batch, &flow);
        apply(c, &feed, &batch);
        seal_until(c, FIRST + i, ALL_ROWS);
        case_close(c);
    }
    assert_answer(c, "SELECT group_concat(flow_rows) FROM seal", "1,2,2,2,2");
    struct database database;
    struct seal_audit audit;
    assert_int_equal(database_open(c->path, &database), EXIT_CODE_OK);
    assert_true(audit_seal_read(&database, NULL, &audit));
    assert_int_equal(audit.n_findings, 0);
    assert_int_equal(audit.n_seals, 5);
    audit_seal_free(&audit);
    database_close(&database);
}

static void test_everything_can_be_closed_at_once(void **state)
{
    struct store_case *c = *state;
    struct feed feed = {0};
    struct batch batch;
    int32_t open_at;
    case_open(c);
    assert_int_equal(store_seal_end(c->store, &open_at), 0);
    assert_int_equal(open_at, INT32_MIN);
    begin_batch(&feed, &batch);
    batch_add_usage(&batch, delta_in(FIRST, 0, FIRST));
    batch_add_usage(&batch, delta_in(FIRST + 3, 0, FIRST + 3));
    batch_add_loss(&batch, LOSS_KERNEL, LOSS_UNKNOWN)->last_ns = seal_start_ns(FIRST + 50);
    apply(c, &feed, &batch);
    assert_int_equal(store_seal_end(c->store, &open_at), 0);
    assert_int_equal(open_at,
                     FIRST + 4); /* a lone loss far ahead does not close the time between */
    seal_until(c, open_at, ALL_ROWS);
    assert_answer(c, "SELECT count(*) FROM usage WHERE status <> 'final'", "0");
}

static void test_a_rollback_is_forgotten_by_the_seals_too(void **state)
{
    struct store_case *c = *state;
    struct feed feed = {0};
    struct batch batch;
    case_open(c);
    begin_batch(&feed, &batch);
    struct flow_record flow = flow_in(FIRST, 1);
    batch_add_flow(&batch, &flow);
    batch_add_usage(&batch, delta_in(FIRST, 0, FIRST));
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_apply(c->store, &batch.message), 0);
    assert_int_equal(store_seal(c->store, FIRST + 1, 1, ALL_ROWS), 0);
    store_rollback(c->store);
    assert_answer(c, "SELECT count(*) FROM seal", "0");
    apply(c, &feed, &batch);
    seal_until(c, FIRST + 1, ALL_ROWS);
    assert_answer(c, "SELECT usage_rows || ' ' || flow_rows FROM seal", "1 1");
}

/* ---- properties ---- */

/* Rows of a random hour and a half, some late: cut into batches, with restarts and seals between,
 * as 'shuffle' says; what is counted does not depend on it. */
static void feed_randomly(struct store_case *c, uint64_t shuffle)
{
    struct feed feed = {.random = 99}; /* the rows: the same for every shuffle */
    struct feed cut = {.random = shuffle};
    struct batch batch;
    case_open(c);
    begin_batch(&feed, &batch);
    for (int32_t i = 0; i < 300; i++) {
        int32_t clock = FIRST + i / 50;
        int32_t number = clock - (int32_t)(next_random(&feed) % 8 == 0);
        struct usage_delta delta = delta_in(number, (int)(next_random(&feed) % 3), clock);
        delta.account = (uint16_t)(next_random(&feed) % 3);
        delta.wan = (uint16_t)(next_random(&feed) % 3);
        delta.billed_bytes = next_random(&feed) % 1000;
        batch_add_usage(&batch, delta);
        struct flow_record flow = flow_in(clock, next_random(&feed));
        flow.account = delta.account;
        batch_add_flow(&batch, &flow);
        if (next_random(&cut) % 4 && batch.message.n_usage < BATCH_ROWS_MAX)
            continue;
        apply(c, &feed, &batch);
        if (next_random(&cut) % 3 == 0)
            seal_until(c, clock, 1 + next_random(&cut) % 20);
        if (next_random(&cut) % 8 == 0) {
            case_close(c);
            case_open(c);
        }
        begin_batch(&feed, &batch);
    }
    apply(c, &feed, &batch);
    seal_until(c, FIRST + 6, ALL_ROWS);
    case_close(c);
}

static void test_seals_do_not_depend_on_batches_restarts_or_when_they_are_made(void **state)
{
    struct store_case *c = *state;
    char *last = NULL;
    for (uint64_t shuffle = 1; shuffle <= 8; shuffle++) {
        unlink(c->path);
        feed_randomly(c, shuffle * UINT64_C(0x9e3779b97f4a7c15));
        if (!last)
            last = strdup(case_ask(c, "SELECT hash FROM seal ORDER BY seal DESC"));
        assert_answer(c, "SELECT hash FROM seal ORDER BY seal DESC", last);
        assert_answer(c, "SELECT count(*) FROM seal", "6");
    }
    free(last);
}

static void test_what_is_counted_is_the_same_with_corrections_as_without(void **state)
{
    struct store_case *c = *state;
    feed_randomly(c, 5);
    assert_answer(c, "SELECT count(*) > 5 FROM usage WHERE status = 'correction'", "1");
    assert_answer(c, "SELECT sum(packets) = 300 AND sum(l2_bytes) = 30000 FROM usage", "1");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
    assert_answer(c,
                  "SELECT sum(s.packets) || ' ' || (sum(s.billed_bytes) = (SELECT sum(billed_bytes)"
                  " FROM usage)) FROM seal AS s",
                  "300 1");
    assert_answer(c,
                  "SELECT count(*) FROM usage WHERE corrects >= seal OR status <> 'correction'"
                  " AND corrects IS NOT NULL",
                  "0");
}

/* ---- a flipped bit ---- */

/* All that a seal covers, as one reads it. */
static const char *const sealed_sql[] = {
    "SELECT * FROM seal_usage",
    "SELECT seal, line FROM seal_loss",
    "SELECT packets, l2_bytes, l3_bytes, billed_bytes, reply_packets,"
    " reply_l2_bytes, reply_l3_bytes, reply_billed_bytes, seal, id, start_ns, first_after_ns,"
    " last_after_ns, src_address, dst_address, tuple, traits, owner, status, labels, flow_labels,"
    " resume FROM flow_record",
    "SELECT * FROM flow_extra",
    "SELECT number, previous, usage_rows, packets, l2_bytes, l3_bytes, billed_bytes, usage_sha256,"
    " flow_rows, flow_sum, loss_rows, loss_sha256, hash, config_sha256 FROM period_seal LEFT JOIN "
    "run"
    " ON run.id = run_id",
};

static void hash_value(crypto_hash_sha256_state *state, sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    double real = sqlite3_column_double(row, column);
    int64_t integer = sqlite3_column_int64(row, column);
    const void *bytes = sqlite3_column_blob(row, column);
    int size = sqlite3_column_bytes(row, column);
    crypto_hash_sha256_update(state, (const uint8_t *)&type, sizeof type);
    crypto_hash_sha256_update(state, (const uint8_t *)&size, sizeof size);
    if (type == SQLITE_FLOAT)
        crypto_hash_sha256_update(state, (const uint8_t *)&real, sizeof real);
    else if (type == SQLITE_INTEGER)
        crypto_hash_sha256_update(state, (const uint8_t *)&integer, sizeof integer);
    else if (bytes)
        crypto_hash_sha256_update(state, bytes, (unsigned long long)size);
}

/* False: it cannot even be read. */
static bool read_sealed(const char *path, uint8_t hash[crypto_hash_sha256_BYTES])
{
    sqlite3 *db;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    int step = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK ? SQLITE_DONE
                                                                                   : SQLITE_ERROR;
    for (size_t i = 0; step == SQLITE_DONE && i < sizeof sealed_sql / sizeof *sealed_sql; i++) {
        sqlite3_stmt *statement = NULL;
        step = sqlite3_prepare_v2(db, sealed_sql[i], -1, &statement, NULL);
        while (statement && (step = sqlite3_step(statement)) == SQLITE_ROW)
            for (int k = 0; k < sqlite3_column_count(statement); k++)
                hash_value(&state, statement, k);
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
    crypto_hash_sha256_final(&state, hash);
    return step == SQLITE_DONE;
}

/* Four seals: usage, a correction, flows of every kind, a loss. */
static void make_sealed(struct store_case *c)
{
    struct feed feed = {0};
    struct batch batch;
    case_open(c);
    begin_batch(&feed, &batch);
    for (int32_t i = 0; i < 3; i++)
        batch_add_usage(&batch, delta_in(FIRST + i, i, FIRST + i));
    batch_add_usage(&batch, delta_in(FIRST, 1, FIRST + 3));
    struct flow_record flows[] = {flow_in(FIRST, 1), flow_in(FIRST + 1, 2), flow_in(FIRST + 1, 3),
                                  flow_in(FIRST + 2, UINT64_MAX)};
    flows[1].ip_version = 6;
    memcpy(flows[1].source_address, (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
    flows[1].labels[3] = 8;
    flows[1].master_id = 77;
    flows[2].protocol = 1;
    flows[2].icmp_type = 8;
    flows[3].protocol = 47;
    flows[3].has_ports = 0;
    flows[3].master_id = UINT64_MAX;
    flows[3].start_ns = INT64_MIN; /* too far from its last packet */
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++)
        batch_add_flow(&batch, &flows[i]);
    struct loss *loss = batch_add_loss(&batch, LOSS_KERNEL, LOSS_UNKNOWN);
    loss->first_ns = loss->last_ns = seal_start_ns(FIRST + 2);
    loss->packets = 12;
    apply(c, &feed, &batch);
    seal_until(c, FIRST + 4, ALL_ROWS);
    case_close(c);
    assert_answer(c, "SELECT count(*) FROM seal", "4");
}

static bool is_found(const char *path)
{
    struct database database;
    struct seal_audit audit = {0};
    if (database_open(path, &database) != EXIT_CODE_OK)
        return true;
    bool is_found = !audit_seal_read(&database, NULL, &audit) || !audit_seal_holds(&audit);
    audit_seal_free(&audit);
    database_close(&database);
    return is_found;
}

struct image {
    uint8_t *bytes;
    size_t size;
    size_t page_size;
};

static void read_image(const struct store_case *c, struct image *image)
{
    FILE *file = fopen(c->path, "rb");
    struct stat status;
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    image->size = (size_t)status.st_size;
    image->bytes = malloc(image->size);
    assert_int_equal(fread(image->bytes, 1, image->size, file), image->size);
    image->page_size = (size_t)image->bytes[16] << 8 | image->bytes[17];
    fclose(file);
}

static void poke(const char *path, size_t offset, uint8_t byte)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), byte);
    assert_int_equal(fclose(file), 0);
}

/* Where a table of one page has its rows: from the first cell to the page's end. */
static size_t first_cell(const struct store_case *c, const struct image *image, const char *table,
                         size_t *end)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
    size_t page = strtoul(case_ask(c, sql), NULL, 10);
    const uint8_t *header = image->bytes + (page - 1) * image->page_size;
    *end = page * image->page_size;
    return (page - 1) * image->page_size + ((size_t)header[5] << 8 | header[6]);
}

/* One bit of each byte. */
static void flip_all(struct store_case *c, const struct image *image, const char *table)
{
    uint8_t before[crypto_hash_sha256_BYTES], after[crypto_hash_sha256_BYTES];
    size_t end, n_changing = 0;
    assert_true(read_sealed(c->path, before));
    for (size_t at = first_cell(c, image, table, &end); at < end; at++) {
        size_t bit = at % 8;
        poke(c->path, at, image->bytes[at] ^ (uint8_t)(1 << bit));
        bool is_readable = read_sealed(c->path, after);
        bool is_the_same = is_readable && memcmp(before, after, sizeof before) == 0;
        n_changing += !is_the_same; /* the others: a row number, or what no seal is about */
        if (!is_the_same && !is_found(c->path))
            fail_msg("%s: byte %zu, bit %zu: not found", table, at, bit);
        poke(c->path, at, image->bytes[at]);
    }
    assert_true(n_changing > 50);
}

static void test_a_flipped_bit_of_what_is_sealed_is_found(void **state)
{
    struct store_case *c = *state;
    static const char *const tables[] = {"usage_slot", "flow_record", "flow_extra", "loss_line",
                                         "period_seal"};
    struct image image;
    make_sealed(c);
    assert_false(is_found(c->path));
    read_image(c, &image);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        flip_all(c, &image, tables[i]);
    assert_false(is_found(c->path));
    free(image.bytes);
}

/* ---- what the audit says ---- */

static void test_the_audit_names_the_seal_and_what_differs(void **state)
{
    struct store_case *c = *state;
    static const struct {
        const char *change;
        const char *found;
    } cases[] = {
        {"UPDATE usage_slot SET billed_bytes = 91 WHERE seal = 1888889",
         "1888889 of 2023-11-14T22:15:00Z: usage rows, totals"},
        {"UPDATE account SET name = 'mallory' WHERE name = 'alice'", "usage rows, flow records"},
        {"UPDATE flow_record SET status = 1 WHERE seal = 1888890",
         "1888890 of 2023-11-14T22:30:00Z: "
         "flow records"},
        {"DELETE FROM loss_line", "1888890 of 2023-11-14T22:30:00Z: loss lines, totals"},
        {"UPDATE period_seal SET packets = 2 WHERE number = 1888889",
         "1888889 of 2023-11-14T22:15:00Z: totals, hash"},
        {"DELETE FROM period_seal WHERE number = 1888889",
         "1888889 of 2023-11-14T22:15:00Z: rows without a seal"},
        {"INSERT INTO usage_slot SELECT slot_ns, 99, wan_id, direction, class, cause, model_id, 5,"
         " 0, 0, 0, 0 FROM usage_slot LIMIT 1",
         "5 of 1970-01-01T01:15:00Z: rows without a seal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct database database;
        struct seal_audit audit;
        char text[AUDIT_SEAL_TEXT_SIZE];
        unlink(c->path);
        make_sealed(c);
        case_tamper(c, cases[i].change);
        assert_int_equal(database_open(c->path, &database), EXIT_CODE_OK);
        assert_true(audit_seal_read(&database, NULL, &audit));
        assert_true(audit.n_findings > 0);
        audit_seal_text(&audit.findings[0], text);
        if (!strstr(text, cases[i].found))
            fail_msg("%s: %s", cases[i].change, text);
        audit_seal_free(&audit);
        database_close(&database);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_only_what_has_passed_is_sealed_and_each_follows_the_one_before),
        CASE(test_late_packets_are_new_rows_that_name_what_they_correct),
        CASE(test_a_later_run_goes_on_with_the_chain_and_closes_nothing_twice),
        CASE(test_everything_can_be_closed_at_once),
        CASE(test_a_rollback_is_forgotten_by_the_seals_too),
        CASE(test_seals_do_not_depend_on_batches_restarts_or_when_they_are_made),
        CASE(test_what_is_counted_is_the_same_with_corrections_as_without),
        CASE(test_a_flipped_bit_of_what_is_sealed_is_found),
        CASE(test_the_audit_names_the_seal_and_what_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
