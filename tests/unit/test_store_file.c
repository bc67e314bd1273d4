/* Writes that are gathered must leave a file as if each had been made, and be read before. */
#include "store_case.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "exporter/store/store_file.h"

enum { MODEL_SIZE = 1 << 20, WRITE_MAX = 1 << 16, N_STEPS = 20000 };

static uint32_t random_number(uint32_t *seed)
{
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return *seed >> 8;
}

/* A log that is new. */
static sqlite3_file *open_file(const struct store_case *c)
{
    assert_int_equal(store_file_register(), SQLITE_OK);
    assert_int_equal(store_file_register(), SQLITE_OK);
    sqlite3_vfs *vfs = sqlite3_vfs_find(STORE_FILE_VFS);
    assert_non_null(vfs);
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL;
    assert_int_equal(vfs->xOpen(vfs, c->path, file, flags, &flags), SQLITE_OK);
    return file;
}

static void close_file(sqlite3_file *file)
{
    assert_int_equal(file->pMethods->xClose(file), SQLITE_OK);
    free(file);
}

static off_t size_of(const struct store_case *c)
{
    struct stat state;
    assert_int_equal(stat(c->path, &state), 0);
    return state.st_size;
}

/* ---- cases ---- */

static void test_what_follows_the_write_before_is_written_at_once(void **state)
{
    struct store_case *c = *state;
    static const uint8_t bytes[4096] = {1};
    sqlite3_file *file = open_file(c);
    for (int i = 0; i < 8; i++)
        assert_int_equal(file->pMethods->xWrite(file, bytes, sizeof bytes, i * 4096), SQLITE_OK);
    assert_int_equal(size_of(c), 0);
    assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_int_equal(size_of(c), 8 * 4096);
    close_file(file);
}

static void test_a_file_reads_as_if_each_write_had_been_made(void **state)
{
    struct store_case *c = *state;
    static uint8_t model[MODEL_SIZE + WRITE_MAX], bytes[WRITE_MAX];
    sqlite3_file *file = open_file(c);
    sqlite3_int64 offset = 0, end = 0, size;
    uint32_t seed = 1;
    for (int i = 0; i < N_STEPS; i++) {
        int n = 1 + (int)(random_number(&seed) % (i % 5 ? 24 : WRITE_MAX));
        if (random_number(&seed) % 8 == 0 || offset > MODEL_SIZE)
            offset = random_number(&seed) % (uint32_t)(end < MODEL_SIZE ? end + 1 : MODEL_SIZE);
        if (random_number(&seed) % 4 != 0) {
            memset(bytes, i, (size_t)n);
            memcpy(model + offset, bytes, (size_t)n);
            assert_int_equal(file->pMethods->xWrite(file, bytes, n, offset), SQLITE_OK);
            offset += n;
            end = offset > end ? offset : end;
        } else if (offset + n <= end) {
            assert_int_equal(file->pMethods->xRead(file, bytes, n, offset), SQLITE_OK);
            assert_memory_equal(bytes, model + offset, (size_t)n);
        } else {
            assert_int_equal(file->pMethods->xFileSize(file, &size), SQLITE_OK);
            assert_int_equal(size, end);
        }
    }
    close_file(file);
    int again = open(c->path, O_RDONLY);
    static uint8_t found[MODEL_SIZE + WRITE_MAX];
    assert_int_equal(read(again, found, sizeof found), end);
    assert_memory_equal(found, model, (size_t)end);
    close(again);
}

static void test_a_file_that_is_cut_has_nothing_that_was_gathered_behind(void **state)
{
    struct store_case *c = *state;
    static const uint8_t bytes[4096] = {1};
    sqlite3_file *file = open_file(c);
    assert_int_equal(file->pMethods->xWrite(file, bytes, sizeof bytes, 0), SQLITE_OK);
    assert_int_equal(file->pMethods->xTruncate(file, 100), SQLITE_OK);
    close_file(file);
    assert_int_equal(size_of(c), 100);
}

/* As on a full disk: a file may not grow beyond a limit. */
static void test_a_write_that_fails_is_told_of_by_the_sync_at_the_latest(void **state)
{
    struct store_case *c = *state;
    static const uint8_t bytes[4096] = {1};
    struct rlimit before, small = {.rlim_cur = 8192};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    sqlite3_file *file = open_file(c);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(file->pMethods->xWrite(file, bytes, sizeof bytes, i * 4096), SQLITE_OK);
    int synchronized = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(synchronized, SQLITE_OK);
    close_file(file);
}

static void test_a_commit_that_does_not_fit_is_no_commit(void **state)
{
    struct store_case *c = *state;
    struct rlimit before, small;
    struct batch batch;
    struct flow_record flow = case_flow();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    case_open(c);
    batch_init(&batch, 0, (struct totals){0});
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    batch.message.seq = batch.applied.seq = 1;
    assert_int_equal(store_begin(c->store), 0);
    int result = store_apply(c->store, &batch.message);
    if (result == 0)
        result = store_commit(c->store);
    store_rollback(c->store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(store_is_trouble(result));
    assert_answer(c, "SELECT count(*) FROM flow_record", "1");
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT count(*) FROM flow_record", "2");
    assert_answer(c, "PRAGMA integrity_check", "ok");
}

static void run(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static sqlite3 *open_database(const struct store_case *c, const char *vfs)
{
    sqlite3 *db;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(c->path, &db, flags, vfs), SQLITE_OK);
    return db;
}

/* Who reads on holds the checkpoint back, and then the database is not synchronized. What has been
 * copied to it is no longer read from the log. */
static void test_a_checkpoint_that_a_reader_holds_back_is_whole_for_others(void **state)
{
    struct store_case *c = *state;
    assert_int_equal(store_file_register(), SQLITE_OK);
    sqlite3 *db = open_database(c, STORE_FILE_VFS);
    run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
            "CREATE TABLE t(x); CREATE INDEX i ON t(x)");
    sqlite3 *early = open_database(c, NULL), *late = open_database(c, NULL);
    for (int i = 0; i < 20; i++) {
        run(db, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20)"
                "INSERT INTO t SELECT hex(randomblob(200)) FROM c");
        if (i == 10)
            run(early, "BEGIN; SELECT count(*) FROM t");
    }
    int n_log, n_copied;
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &n_log, &n_copied),
        SQLITE_OK);
    assert_true(n_copied > 0 && n_copied < n_log);
    run(late, "CREATE TEMP TABLE answer(x CHECK (x = 'ok'));"
              "INSERT INTO answer SELECT integrity_check FROM pragma_integrity_check");
    sqlite3_close(late);
    sqlite3_close(early);
    sqlite3_close(db);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_follows_the_write_before_is_written_at_once),
        CASE(test_a_file_reads_as_if_each_write_had_been_made),
        CASE(test_a_file_that_is_cut_has_nothing_that_was_gathered_behind),
        CASE(test_a_write_that_fails_is_told_of_by_the_sync_at_the_latest),
        CASE(test_a_commit_that_does_not_fit_is_no_commit),
        CASE(test_a_checkpoint_that_a_reader_holds_back_is_whole_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
