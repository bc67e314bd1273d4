#include "exporter/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "exporter/store/store_file.h"
#include "exporter/store/store_page.h"
#include "exporter/store/store_quota.h"
#include "exporter/store/store_restore.h"
#include "schema/migrations.h"

enum {
    OWNER_OFFSET = 68,         /* of a database's application id */
    BUSY_TIMEOUT_MS = 5000,    /* at the start: readers hold the database for moments only */
    BUSY_TIMEOUT_RUN_MS = 200, /* later there is somewhere else to put things */
    CLOSE_TIMEOUT_MS = 500,    /* what is not folded in at the end is so at the next start */
};

/* ---- opening ---- */

/* SQLite takes a file of a few bytes for an empty database, and would write over it. */
static int check_header(struct store *store)
{
    static const char magic[16] = "SQLite format 3";
    static const char own[4] = {'w', 'a', 'n', 'm'}; /* SCHEMA_APPLICATION_ID */
    char header[OWNER_OFFSET + sizeof own] = {0};
    FILE *file = fopen(store->path, "rb");
    if (!file)
        return store_fail(store, -errno, "%s: %s", store->path, strerror(errno));
    size_t size = fread(header, 1, sizeof header, file);
    fclose(file);
    if (size == 0 || (size >= sizeof magic && memcmp(header, magic, sizeof magic) == 0))
        return 0;
    if (memcmp(header + OWNER_OFFSET, own, sizeof own) == 0)
        return store_fail(store, -EUCLEAN, "%s: is damaged: its first bytes are not a database's",
                          store->path);
    return store_fail(store, -EEXIST, "%s: not a database; it was not touched", store->path);
}

/* What SQLite would answer with less clear words, or by making the file. */
static int check_path(struct store *store)
{
    struct stat status;
    if (stat(store->path, &status) < 0)
        return errno == ENOENT ? 0
                               : store_fail(store, -errno, "%s: %s", store->path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return store_fail(store, -EISDIR, "%s: a directory, not a database", store->path);
    if (!S_ISREG(status.st_mode))
        return store_fail(store, -EEXIST, "%s: not a regular file", store->path);
    return check_header(store);
}

static int execute(struct store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, "cannot be opened");
}

static int remember_wal_pages(void *state, sqlite3 *db, const char *name, int n_pages)
{
    (void)db;
    (void)name;
    struct store *store = state;
    store->wal_pages = n_pages;
    return SQLITE_OK;
}

/* Settings that change no byte of the file. */
static int configure_connection(struct store *store)
{
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

/* One thread uses SQLite, and nobody asks how much memory it has: a row takes 7 % less without the
 * locks and the counts. Without effect once SQLite has begun. */
static void configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int open_connection(struct store *store)
{
    configure_library();
    int opened = store_file_register();
    if (opened == SQLITE_OK)
        opened = sqlite3_open_v2(store->path, &store->db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 STORE_FILE_VFS);
    if (!store->db)
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    if (opened != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be opened");
    int result = configure_connection(store);
    if (result == 0)
        result = store_check_owner(store);
    if (result == 0)
        result = store_check(store);
    if (result == 0 && sqlite3_db_readonly(store->db, "main") == 1)
        result = store_fail(store, -EROFS, "%s: cannot be written", store->path);
    return result;
}

/* From here on the database is ours. */
static int configure_database(struct store *store)
{
    char page_size[64];
    snprintf(page_size, sizeof page_size, "PRAGMA page_size = %d", SCHEMA_PAGE_BYTES);
    int result = execute(store, page_size); /* of a new one; no effect on others */
    if (result == 0)
        result = execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY");
    if (result == 0) /* not before its log: who reads its tables then keeps us from beginning one */
        result = store_make_new(store);
    if (result == 0)
        result = store_migrate(store);
    sqlite3_wal_autocheckpoint(store->db, 0);
    sqlite3_wal_hook(store->db, remember_wal_pages, store);
    return result;
}

static int load_protocol_names(struct store *store)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->db, "SELECT number, name FROM protocol", -1, &statement, NULL) !=
        SQLITE_OK)
        return store_fail_sqlite(store, "cannot be read");
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t number = sqlite3_column_int64(statement, 0);
        if (number >= 0 && number < STORE_PROTOCOLS && !store->protocol_names[number])
            store->protocol_names[number] = strdup((const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return step == SQLITE_DONE ? 0 : store_fail_sqlite(store, "cannot be read");
}

static int open_all(struct store *store)
{
    int result = check_path(store);
    if (result == 0)
        result = store_lock(store);
    if (result == 0)
        result = open_connection(store);
    if (result == 0)
        result = configure_database(store);
    if (result == 0)
        result = store_select_number(store, "PRAGMA page_size", &store->page_bytes);
    if (result == 0)
        result = load_protocol_names(store);
    if (result == 0)
        result = store_page_attach(store);
    if (result == 0)
        result = store_prepare(store);
    return result;
}

int store_open(const char *path, int64_t checkpoint_bytes, struct store **out,
               char error[STORE_ERROR_MAX])
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        snprintf(error, STORE_ERROR_MAX, "%s: %s", path, strerror(ENOMEM));
        return -ENOMEM;
    }
    store->lock_descriptor = -1;
    store->checkpoint_bytes = checkpoint_bytes;
    store->path = strdup(path);
    if (asprintf(&store->lock_path, "%s-lock", path) < 0)
        store->lock_path = NULL;
    int result = store->path && store->lock_path ? open_all(store) : -ENOMEM;
    if (result < 0) {
        memcpy(error, store->error, STORE_ERROR_MAX);
        store_close(store);
        return result;
    }
    *out = store;
    return 0;
}

void store_be_impatient(struct store *store)
{
    sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_RUN_MS);
}

/* ---- closing ---- */

static void checkpoint_at_close(struct store *store)
{
    if (!store->statements[STATEMENT_COMMIT] || store->is_damaged)
        return; /* it was never opened in full */
    sqlite3_busy_timeout(store->db, CLOSE_TIMEOUT_MS);
    int result =
        sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (result != SQLITE_OK && result != SQLITE_BUSY) /* busy: a reader, no fault of anybody's */
        log_warning("%s: %s; what is committed stays in %s-wal, which is part of the database",
                    store->path, sqlite3_errmsg(store->db), store->path);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_rollback(store);
    store_seals_forget(store);
    checkpoint_at_close(store);
    store_quota_close(store);
    store_restore_close(store);
    store_finalize(store);
    sqlite3_close(store->db);
    store_page_destroy(store->page);
    store_unlock(store);
    for (int i = 0; i < STORE_PROTOCOLS; i++)
        free(store->protocol_names[i]);
    free(store->streams);
    account_names_deinit(&store->account_names);
    free(store->account_ids);
    free(store->wan_ids);
    free(store->model_ids);
    free(store->lock_path);
    free(store->path);
    free(store);
}

const char *store_error(const struct store *store)
{
    return store->error;
}

const char *store_protocol_name(const struct store *store, uint8_t protocol)
{
    const char *name = store->protocol_names[protocol];
    return name ? name : "unknown";
}

/* ---- transactions ---- */

bool store_has_transaction(const struct store *store)
{
    return store->has_transaction;
}

int store_begin(struct store *store)
{
    int result = store_run_statement(store, STATEMENT_BEGIN, "cannot begin a transaction");
    store->has_transaction = result == 0;
    store_quota_begin(store);
    return result == 0 && store->account_ids ? store_restore_accounts(store) : result;
}

/* Never waits for a reader: what one still needs is checkpointed at a later try, when the WAL has
 * grown by as much again. */
static void checkpoint_if_due(struct store *store)
{
    if (store->wal_pages < store->wal_pages_at_try)
        store->wal_pages_at_try = 0; /* it began anew */
    int64_t grown = (int64_t)(store->wal_pages - store->wal_pages_at_try) * store->page_bytes;
    if (grown < store->checkpoint_bytes)
        return;
    store->wal_pages_at_try = store->wal_pages;
    sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int store_commit(struct store *store)
{
    int result = store_quota_settle(store);
    if (result == 0)
        result = store_run_statement(store, STATEMENT_COMMIT, "cannot commit");
    if (result < 0)
        return result;
    store->has_transaction = false;
    store->n_accounts_committed = (uint16_t)store->account_names.n;
    store_holes_settle(store, true);
    checkpoint_if_due(store);
    return 0;
}

int store_probe(struct store *store)
{
    int result = store_begin(store);
    store_bind_integer(store->statements[STATEMENT_RUN_PROBE], 1, store->run_id);
    if (result == 0)
        result = store_run_statement(store, STATEMENT_RUN_PROBE, "cannot write");
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    return result;
}

void store_rollback(struct store *store)
{
    /* SQLite has rolled back itself after a full disk or an I/O error. */
    if (store->has_transaction && !sqlite3_get_autocommit(store->db)) {
        sqlite3_step(store->statements[STATEMENT_ROLLBACK]);
        sqlite3_reset(store->statements[STATEMENT_ROLLBACK]);
    }
    store->has_transaction = false;
    store_holes_settle(store, false);
    store_streams_forget(store);
    store_quota_forget(store);
    store_restore_forget(store);
    store_seals_forget(store);
}
