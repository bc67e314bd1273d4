#include "exporter/store/store_append.h"

#include "exporter/store/store_internal.h"
#include "exporter/store/store_page.h"

/* OR ROLLBACK: as STATEMENT_FLOWS_ADD. */
static const char append_sql[] =
    "INSERT OR ROLLBACK INTO main." FLOW_APPEND " SELECT * FROM batch.flow_record";
static const char cannot_add[] = "cannot add flow records";

char *store_append_definition(const char *name)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "CREATE TABLE %s (", name);
    for (int i = 0; i < ROW_RECORD_ID; i++)
        sqlite3_str_appendf(sql, "%s%s", i ? ", " : "", store_page_column(i));
    sqlite3_str_appendchar(sql, 1, ')');
    return sqlite3_str_finish(sql);
}

/* A definition, in this connection's memory only, of the B-tree that has this root. */
static void define(sqlite3 *db, const char *definition, int64_t root_page)
{
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, db, "main", 1, (int)root_page);
    sqlite3_exec(db, definition, NULL, NULL, NULL);
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, db, "main", 0, 0);
}

/* ---- at the start ---- */

static bool is_true(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    bool is_so = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1;
    sqlite3_finalize(statement);
    return is_so;
}

/* In memory: behind a row 6, what is added by the second definition is row 7 of the first, and the
 * database knows of one table only. */
static bool does_sqlite_append(void)
{
    enum { ROOT_OF_FIRST_TABLE = 2 };
    sqlite3 *db = NULL;
    bool does = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                NULL) == SQLITE_OK &&
                sqlite3_exec(db,
                             "CREATE TABLE flow (a, record_id INTEGER PRIMARY KEY);"
                             "INSERT INTO flow VALUES (1, 6)",
                             NULL, NULL, NULL) == SQLITE_OK;
    if (does) {
        define(db, "CREATE TABLE " FLOW_APPEND " (a)", ROOT_OF_FIRST_TABLE);
        does = sqlite3_exec(db, "INSERT INTO " FLOW_APPEND " VALUES (2)", NULL, NULL, NULL) ==
                   SQLITE_OK &&
               is_true(db, "SELECT (SELECT count(*) FROM sqlite_schema) = 1 AND count(*) = 2 AND"
                           " max(a) = 2 AND max(record_id) = 7 FROM flow");
    }
    sqlite3_close(db);
    return does;
}

/* 0: somebody has given it an index or a trigger, which rows of another table would pass by. */
static const char root_sql[] =
    "SELECT ifnull((SELECT rootpage FROM main.sqlite_schema WHERE name = 'flow_record' AND NOT"
    " EXISTS (SELECT 1 FROM main.sqlite_schema WHERE tbl_name = 'flow_record' COLLATE NOCASE AND"
    " type IN ('index', 'trigger'))), 0)";

static int define_append(struct store *store)
{
    int64_t root_page = 0;
    int result = store_select_number(store, root_sql, &root_page);
    char *definition = root_page > 0 ? store_append_definition(FLOW_APPEND) : NULL;
    if (definition)
        define(store->db, definition, root_page);
    sqlite3_free(definition);
    return result;
}

int store_append_attach(struct store *store)
{
    int result = does_sqlite_append() ? define_append(store) : 0;
    sqlite3_prepare_v3(store->db, append_sql, -1, SQLITE_PREPARE_PERSISTENT,
                       &store->statements[STATEMENT_FLOWS_APPEND], NULL); /* or it stays NULL */
    return result;
}

/* ---- an insert ---- */

static int last_number(struct store *store, int64_t *record_id)
{
    sqlite3_stmt *last = store->statements[STATEMENT_FLOW_LAST];
    bool has_row = sqlite3_step(last) == SQLITE_ROW;
    *record_id = has_row ? sqlite3_column_int64(last, 0) : 0;
    int result = has_row ? 0 : store_fail_sqlite(store, "cannot read the flow records");
    sqlite3_reset(last);
    return result;
}

int store_append_is_next(struct store *store, int64_t record_id, bool *is_next)
{
    *is_next = false;
    if (!store->statements[STATEMENT_FLOWS_APPEND])
        return 0;
    int64_t last;
    int result = last_number(store, &last);
    *is_next = result == 0 && last + 1 == record_id;
    return result;
}

static bool is_defined(sqlite3 *db)
{
    return sqlite3_table_column_metadata(db, "main", FLOW_APPEND, NULL, NULL, NULL, NULL, NULL,
                                         NULL) == SQLITE_OK;
}

/* SQLite forgets the second definition when it reads the database's own again: somebody changed
 * one, or a transaction was rolled back. It notices before it inserts anything. */
int store_append_run(struct store *store)
{
    int result = store_run_statement(store, STATEMENT_FLOWS_APPEND, cannot_add);
    if (result == 0 || is_defined(store->db))
        return result;
    result = define_append(store);
    return result == 0 ? store_run_statement(store, STATEMENT_FLOWS_ADD, cannot_add) : result;
}
