/* Is the database whole? SQLite notices damage when it comes across it, which may be after it has
 * written more. So all of it is looked at before anything is written, if that takes a second or so
 * at most; of a large one, all but the tables that make it large, and the ends of two of these. */
#include "exporter/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CHECKED_WHOLE_BYTES = 128 << 20 };

/* What the first row says is "ok", or what is wrong. */
static int check(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be checked");
    int result = 0;
    int step = sqlite3_step(statement);
    const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (step != SQLITE_ROW)
        result = store_fail_sqlite(store, "cannot be checked");
    else if (!text || strcmp(text, "ok") != 0)
        result = store_fail(store, -EUCLEAN, "%s: is damaged: %s", store->path, text ? text : "?");
    sqlite3_finalize(statement);
    return result;
}

static int check_small_tables(struct store *store)
{
    static const char tables_sql[] =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT IN ('flow_record', 'flow_extra', 'usage_slot')";
    sqlite3_stmt *tables = NULL;
    if (sqlite3_prepare_v2(store->db, tables_sql, -1, &tables, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be checked");
    int result = 0, step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(tables)) == SQLITE_ROW) {
        char sql[256];
        sqlite3_snprintf(sizeof sql, sql, "PRAGMA quick_check(%Q)",
                         (const char *)sqlite3_column_text(tables, 0));
        result = check(store, sql);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot be checked");
    sqlite3_finalize(tables);
    return result;
}

static int check_ends(struct store *store)
{
    int result = check(store, "SELECT iif(count(*) >= 0, 'ok', '') FROM (SELECT * FROM flow_record"
                              " ORDER BY record_id DESC LIMIT 1000)");
    return result < 0 ? result
                      : check(store, "SELECT iif(count(*) >= 0, 'ok', '') FROM (SELECT * FROM "
                                     "usage_slot ORDER BY slot_ns DESC LIMIT 1000)");
}

int store_check(struct store *store)
{
    int64_t n_pages = 0, page_bytes = 0, version = 0;
    int result = store_select_number(store, "PRAGMA user_version", &version);
    if (result == 0)
        result = store_select_number(store, "PRAGMA page_count", &n_pages);
    if (result == 0)
        result = store_select_number(store, "PRAGMA page_size", &page_bytes);
    if (result < 0 || version == 0)
        return result;
    if (n_pages * page_bytes <= CHECKED_WHOLE_BYTES)
        return check(store, "PRAGMA quick_check(1)");
    result = check_small_tables(store);
    return result == 0 ? check_ends(store) : result;
}
