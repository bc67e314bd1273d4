/* An audit by pages must say what one by SQLite says, or leave it to SQLite. */
#include "store_case.h"

#include <fcntl.h>

#include "cli/audit.h"
#include "cli/audit/audit_pages.h"

/* 3,000 records with integers of every size SQLite has, and of both signs. */
static const char many_sql[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
    "INSERT INTO flow_record SELECT 1 << i % 50, -(1 << i % 45), i % 2, (i % 3) << 40, 0, 0, 0, 0, "
    "i / 1000, i, 7, 0, 0, 1, 2, 0, 0, 0, 0, NULL, 0, 0, i FROM n";

static const char sums_sql[] = "SELECT sum(packets) || ' ' || sum(l2_bytes) || ' ' || sum(l3_bytes)"
                               " || ' ' || sum(billed_bytes) FROM flow_record";

static void make(struct store_case *c, const char *sql)
{
    case_open(c);
    case_close(c);
    case_tamper(c, sql);
}

static bool sum(const struct store_case *c, int64_t sums[AUDIT_SUMS])
{
    struct database database;
    assert_int_equal(database_open(c->path, &database), EXIT_CODE_OK);
    assert_int_equal(sqlite3_exec(database.handle, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    bool is_summed = audit_pages_sum(&database, sums);
    database_close(&database);
    return is_summed;
}

static void assert_sums_are_sqlites(const struct store_case *c)
{
    int64_t sums[AUDIT_SUMS];
    char text[128];
    assert_true(sum(c, sums));
    snprintf(text, sizeof text, "%lld %lld %lld %lld", (long long)sums[0], (long long)sums[1],
             (long long)sums[2], (long long)sums[3]);
    assert_answer(c, sums_sql, text);
}

/* ---- sums ---- */

static void test_pages_add_up_to_what_sqlite_adds_up(void **state)
{
    struct store_case *c = *state;
    make(c, many_sql);
    assert_sums_are_sqlites(c);
    case_tamper(c, "DELETE FROM flow_record WHERE record_id % 3 = 0");
    assert_sums_are_sqlites(c);
}

static void test_a_tree_of_several_levels_is_read_in_whole(void **state)
{
    struct store_case *c = *state;
    make(c, many_sql);
    case_tamper(c, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM");
    assert_answer(c,
                  "SELECT max(length(path) - length(replace(path, '/', ''))) > 2 FROM dbstat "
                  "WHERE name = 'flow_record'",
                  "1");
    assert_sums_are_sqlites(c);
}

static void test_a_database_without_records_adds_up_to_nothing(void **state)
{
    struct store_case *c = *state;
    static const int64_t nothing[AUDIT_SUMS];
    int64_t sums[AUDIT_SUMS];
    make(c, "SELECT 1");
    assert_true(sum(c, sums));
    assert_memory_equal(sums, nothing, sizeof nothing);
}

/* ---- what is left to SQLite ---- */

static void test_a_log_that_is_not_empty_is_left_to_sqlite(void **state)
{
    struct store_case *c = *state;
    int64_t sums[AUDIT_SUMS];
    struct batch batch;
    struct flow_record flow = case_flow();
    case_open(c);
    batch_init(&batch, 0, (struct totals){0});
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_false(sum(c, sums));
    case_close(c);
    assert_true(sum(c, sums));
    assert_int_equal(sums[AUDIT_SUM_L2_BYTES], 100);
}

static void test_sums_beyond_64_bits_are_left_to_sqlite(void **state)
{
    struct store_case *c = *state;
    int64_t sums[AUDIT_SUMS];
    make(c, many_sql);
    case_tamper(c, "UPDATE flow_record SET l3_bytes = 9223372036854775807");
    assert_false(sum(c, sums));
}

static void test_other_columns_are_left_to_sqlite(void **state)
{
    struct store_case *c = *state;
    int64_t sums[AUDIT_SUMS];
    make(c, "DROP TABLE flow_record; CREATE TABLE flow_record (a, b, c, d)");
    assert_false(sum(c, sums));
}

enum { SMALL_PAGE = 512 };

/* Where in the file the first page of this kind of flow_record's begins. */
static off_t page_of(const struct store_case *c, const char *condition)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT pageno FROM dbstat WHERE name = 'flow_record' AND %s LIMIT 1",
             condition);
    return SMALL_PAGE * (off_t)(strtol(case_ask(c, sql), NULL, 10) - 1);
}

/* Each byte in turn is another one: sums may be others, but nothing beyond the page is read. */
static void damage_each_byte(const struct store_case *c, int file, off_t page)
{
    int64_t sums[AUDIT_SUMS];
    for (off_t i = 0; i < SMALL_PAGE; i++) {
        uint8_t sound, byte = (uint8_t)(i * 7 + 0x80);
        assert_int_equal(pread(file, &sound, 1, page + i), 1);
        assert_int_equal(pwrite(file, &byte, 1, page + i), 1);
        sum(c, sums);
        assert_int_equal(pwrite(file, &sound, 1, page + i), 1);
    }
}

static void test_damaged_pages_are_left_to_sqlite(void **state)
{
    struct store_case *c = *state;
    int64_t sums[AUDIT_SUMS];
    make(c, many_sql);
    case_tamper(c, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM");
    off_t root = page_of(c, "path = '/'"), leaf = page_of(c, "pagetype = 'leaf'");
    int file = open(c->path, O_RDWR);
    damage_each_byte(c, file, root);
    damage_each_byte(c, file, leaf);
    assert_sums_are_sqlites(c);
    assert_int_equal(pwrite(file, "\x0a", 1, leaf), 1); /* a page of an index */
    assert_false(sum(c, sums));
    assert_int_equal(pwrite(file, "\x0d\0\0\xff\xff", 5, leaf), 5); /* more cells than it holds */
    assert_false(sum(c, sums));
    uint8_t itself[] = {0, 0, (uint8_t)((root / SMALL_PAGE + 1) >> 8),
                        (uint8_t)(root / SMALL_PAGE + 1)};
    assert_int_equal(pwrite(file, itself, sizeof itself, root + 8), 4); /* its own child */
    assert_false(sum(c, sums));
    close(file);
}

/* ---- the audit ---- */

static void read_audit(const struct store_case *c, bool is_by_pages, struct audit *audit)
{
    struct database database;
    memset(audit, 0, sizeof *audit);
    assert_int_equal(database_open(c->path, &database), EXIT_CODE_OK);
    char *with = is_by_pages ? audit_pages_with(&database) : NULL;
    assert_int_equal(with != NULL, is_by_pages);
    assert_true(audit_read(&database, with, audit));
    sqlite3_free(with);
    database_close(&database);
}

static void test_an_audit_by_pages_says_what_the_views_say(void **state)
{
    struct store_case *c = *state;
    static const char *const changes[] = {
        "SELECT 1",
        "UPDATE flow_record SET packets = 0",
        "UPDATE flow_record SET billed_bytes = billed_bytes + 1",
        "UPDATE usage_slot SET l3_bytes = l3_bytes + 1",
        "UPDATE stream SET packets = packets + 1 WHERE kind = 'capture'",
        "DELETE FROM flow_record",
        "UPDATE run SET has_flow_records = 0; DELETE FROM flow_record",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct audit by_pages, by_sqlite;
        struct batch batch;
        struct flow_record flow = case_flow();
        unlink(c->path);
        case_open(c);
        batch_init(&batch, 0, (struct totals){0});
        batch_add_usage(&batch, case_usage());
        batch_add_flow(&batch, &flow);
        batch.message.end_of_stream = true;
        assert_int_equal(case_apply(c, &batch), 0);
        case_close(c);
        case_tamper(c, changes[i]);
        read_audit(c, false, &by_sqlite);
        read_audit(c, true, &by_pages);
        assert_memory_equal(&by_pages, &by_sqlite, sizeof by_pages);
        bool is_sound = i == 0 || i + 1 == sizeof changes / sizeof *changes;
        assert_string_equal(by_pages.verdict, is_sound ? "exact" : "mismatch");
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pages_add_up_to_what_sqlite_adds_up),
        CASE(test_a_tree_of_several_levels_is_read_in_whole),
        CASE(test_a_database_without_records_adds_up_to_nothing),
        CASE(test_a_log_that_is_not_empty_is_left_to_sqlite),
        CASE(test_sums_beyond_64_bits_are_left_to_sqlite),
        CASE(test_other_columns_are_left_to_sqlite),
        CASE(test_damaged_pages_are_left_to_sqlite),
        CASE(test_an_audit_by_pages_says_what_the_views_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
