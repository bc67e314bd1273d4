/* What a tariff with a quota sums goes on from one run to the next; if the run before did not sum,
 * or summed other bytes, all that is in usage is summed anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/store/store_quota.h"

/* What decides which bytes are summed. */
static char *scope_text(const struct config_tariff *tariff)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("accounts", out);
    for (size_t i = 0; i < tariff->accounts.n; i++)
        fprintf(out, " %s", tariff->accounts.items[i]);
    fputs("; wans", out);
    for (size_t i = 0; i < tariff->wans.n; i++)
        fprintf(out, " %s", tariff->wans.items[i]);
    return fclose(out) == 0 ? text : NULL;
}

static int execute(struct store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, "cannot sum quotas");
}

/* The caller binds, steps and finalizes. */
static int prepare(struct store *store, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v2(store->db, sql, -1, statement, NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, "cannot sum quotas");
}

static int run_once(struct store *store, sqlite3_stmt *statement)
{
    int result =
        sqlite3_step(statement) == SQLITE_DONE ? 0 : store_fail_sqlite(store, "cannot sum quotas");
    sqlite3_finalize(statement);
    return result;
}

/* The names of a list as rows of the temporary table. */
static int put_names(struct store *store, int kind, const struct config_text_list *names)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < names->n; i++) {
        sqlite3_stmt *add = NULL;
        result = prepare(store, "INSERT INTO temp.quota_name (kind, name) VALUES (?1, ?2)", &add);
        if (result < 0)
            return result;
        store_bind_integer(add, 1, kind);
        store_bind_text(add, 2, names->items[i], strlen(names->items[i]));
        result = run_once(store, add);
    }
    return result;
}

/* All that is in usage, summed for the tariff. */
static int sum_anew(struct store *store, const struct quota_tariff *tariff)
{
    enum { KIND_ACCOUNT, KIND_WAN };
    sqlite3_stmt *fill = NULL;
    int result = execute(store, "DROP TABLE IF EXISTS temp.quota_name;"
                                "CREATE TEMP TABLE quota_name (kind INTEGER, name TEXT)");
    if (result == 0)
        result = put_names(store, KIND_ACCOUNT, &tariff->tariff->accounts);
    if (result == 0)
        result = put_names(store, KIND_WAN, &tariff->tariff->wans);
    if (result == 0)
        result = prepare(store, "DELETE FROM quota_usage WHERE tariff_id = ?1", &fill);
    if (result < 0)
        return result;
    store_bind_integer(fill, 1, tariff->row_id);
    result = run_once(store, fill);
    if (result == 0)
        result = prepare(store,
                         "INSERT INTO quota_usage SELECT ?1, u.account_id, u.slot_ns,"
                         " sum(iif(u.direction = 1, u.billed_bytes, 0)),"
                         " sum(iif(u.direction = 2, u.billed_bytes, 0)),"
                         " sum(iif(u.direction = 0, u.billed_bytes, 0))"
                         " FROM usage_slot AS u JOIN account AS a ON a.id = u.account_id"
                         " JOIN wan AS w ON w.id = u.wan_id"
                         " WHERE u.class <> (SELECT number FROM class WHERE name = 'duplicate') "
                         "AND (NOT EXISTS (SELECT 1 FROM quota_name WHERE kind = 0)"
                         " OR a.name IN (SELECT name FROM quota_name WHERE kind = 0))"
                         " AND iif(EXISTS (SELECT 1 FROM quota_name WHERE kind = 1),"
                         " w.name IN (SELECT name FROM quota_name WHERE kind = 1), w.id <> 0)"
                         " GROUP BY u.account_id, u.slot_ns",
                         &fill);
    if (result < 0)
        return result;
    store_bind_integer(fill, 1, tariff->row_id);
    return run_once(store, fill);
}

/* Finds the tariff's row. 'is_current': its sums have all that is in usage. */
static int find_tariff(struct store *store, const char *scope, struct quota_tariff *tariff,
                       bool *is_current)
{
    sqlite3_stmt *find = NULL;
    int result = prepare(store,
                         "SELECT id, scope = ?2 AND run_id >= (SELECT coalesce(max(id), 0) FROM run"
                         " WHERE id < ?3) FROM quota_tariff WHERE name = ?1",
                         &find);
    if (result < 0)
        return result;
    store_bind_text(find, 1, tariff->tariff->name, strlen(tariff->tariff->name));
    store_bind_text(find, 2, scope, strlen(scope));
    store_bind_integer(find, 3, store->run_id);
    *is_current = false;
    tariff->row_id = 0;
    if (sqlite3_step(find) == SQLITE_ROW) {
        tariff->row_id = sqlite3_column_int64(find, 0);
        *is_current = sqlite3_column_int(find, 1) != 0;
    }
    sqlite3_finalize(find);
    return 0;
}

static int put_tariff(struct store *store, const char *scope, struct quota_tariff *tariff)
{
    sqlite3_stmt *put = NULL;
    int result = prepare(store,
                         "INSERT INTO quota_tariff (name, scope, run_id) VALUES (?1, ?2, ?3)"
                         " ON CONFLICT (name) DO UPDATE SET scope = ?2, run_id = ?3",
                         &put);
    if (result < 0)
        return result;
    store_bind_text(put, 1, tariff->tariff->name, strlen(tariff->tariff->name));
    store_bind_text(put, 2, scope, strlen(scope));
    store_bind_integer(put, 3, store->run_id);
    result = run_once(store, put);
    if (tariff->row_id == 0)
        tariff->row_id = sqlite3_last_insert_rowid(store->db);
    return result;
}

int store_quota_begin_run(struct store *store, struct quota_tariff *tariff)
{
    char *scope = scope_text(tariff->tariff);
    if (!scope)
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    bool is_current;
    int result = find_tariff(store, scope, tariff, &is_current);
    if (result == 0)
        result = put_tariff(store, scope, tariff);
    if (result == 0 && !is_current)
        result = sum_anew(store, tariff);
    free(scope);
    return result;
}
