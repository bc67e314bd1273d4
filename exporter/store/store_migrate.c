/* Whose database is it, and which steps does it still need? */
#include "exporter/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema/migrations.h"

int store_check_owner(struct store *store)
{
    int64_t application_id = 0, version = 0, n_objects = 0;
    int result = store_select_number(store, "PRAGMA application_id", &application_id);
    if (result == 0)
        result = store_select_number(store, "PRAGMA user_version", &version);
    if (result == 0)
        result = store_select_number(store, "SELECT count(*) FROM sqlite_schema", &n_objects);
    if (result < 0)
        return result;

    if (application_id == 0 && version == 0 && n_objects == 0)
        return 0; /* empty: ours from now on */
    if (application_id != SCHEMA_APPLICATION_ID)
        return store_fail(store, -EEXIST,
                          "%s: a database of another program (application id 0x%08x, %lld tables "
                          "and views); it was not touched",
                          store->path, (unsigned)application_id, (long long)n_objects);
    if (version > n_migrations)
        return store_fail(store, -ENOTSUP,
                          "%s: its schema version is %lld, this wanmeter knows up to %d: use the "
                          "newer wanmeter; it was not touched",
                          store->path, (long long)version, n_migrations);
    return 0;
}

static int execute(struct store *store, const char *sql, const char *what)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, what);
}

static int apply_step(struct store *store, const struct migration *step)
{
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version = %d", step->version);
    int result = execute(store, step->sql, step->name);
    return result < 0 ? result : execute(store, version, step->name);
}

/* The name of a view, or "" when there is none. */
static int find_view(struct store *store, char *name, size_t size)
{
    static const char sql[] = "SELECT name FROM sqlite_schema WHERE type = 'view' LIMIT 1";
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be read");
    name[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW)
        snprintf(name, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return 0;
}

static int drop_views(struct store *store)
{
    for (;;) {
        char name[128] = "", sql[192];
        int result = find_view(store, name, sizeof name);
        if (result < 0 || name[0] == '\0')
            return result;
        snprintf(sql, sizeof sql, "DROP VIEW \"%s\"", name);
        result = execute(store, sql, "cannot be written");
        if (result < 0)
            return result;
    }
}

/* The tables' steps, and the views anew: they may not stand in the way of a step. */
static int apply_steps(struct store *store, int version)
{
    int result = drop_views(store);
    for (int i = version; result == 0 && i < n_migrations; i++)
        result = apply_step(store, &migrations[i]);
    if (result == 0)
        result = drop_views(store); /* those of early steps */
    return result < 0 ? result : execute(store, schema_views, "views.sql");
}

/* The database of schema_new, in memory that becomes SQLite's. */
static int open_new(sqlite3 **out)
{
    unsigned char *image = sqlite3_malloc64((sqlite3_uint64)schema_new_size);
    if (!image)
        return SQLITE_NOMEM;
    memset(image, 0, (size_t)schema_new_size);
    for (int i = 0; i < n_schema_runs; i++)
        memcpy(image + schema_new[i].offset, schema_new[i].bytes, (size_t)schema_new[i].size);
    int result =
        sqlite3_open_v2(":memory:", out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        sqlite3_free(image);
        return result;
    }
    return sqlite3_deserialize(*out, "main", image, schema_new_size, schema_new_size,
                               SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
}

/* A new database is a copy of one that has had all steps: half of the time that making its tables
 * takes. The copy is one transaction. */
static int copy_new(struct store *store)
{
    sqlite3 *from = NULL;
    int result = open_new(&from);
    sqlite3_backup *backup =
        result == SQLITE_OK ? sqlite3_backup_init(store->db, "main", from, "main") : NULL;
    if (backup)
        result = sqlite3_backup_step(backup, -1);
    if (backup && sqlite3_backup_finish(backup) == SQLITE_OK && result == SQLITE_DONE)
        result = SQLITE_OK;
    sqlite3_close(from);
    return backup && result == SQLITE_OK ? 0 : store_fail_sqlite(store, "cannot be written");
}

/* All in one transaction: a database is never between two versions. */
static int migrate(struct store *store, int version)
{
    char own[64];
    snprintf(own, sizeof own, "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
    int result = execute(store, "BEGIN IMMEDIATE", "cannot be written");
    if (result == 0)
        result = execute(store, own, "cannot be written");
    if (result == 0)
        result = apply_steps(store, version);
    if (result == 0)
        result = execute(store, "COMMIT", "cannot be written");
    if (result < 0)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int store_make_new(struct store *store)
{
    int64_t n_objects = 0, page_bytes = 0;
    int result = store_select_number(store, "SELECT count(*) FROM sqlite_schema", &n_objects);
    if (result == 0)
        result = store_select_number(store, "PRAGMA page_size", &page_bytes);
    /* An empty database that somebody made with other pages keeps them. */
    bool is_new = result == 0 && n_objects == 0 && page_bytes == SCHEMA_PAGE_BYTES;
    return is_new ? copy_new(store) : result;
}

int store_migrate(struct store *store)
{
    int64_t version = 0;
    int result = store_select_number(store, "PRAGMA user_version", &version);
    return result < 0 || version == n_migrations ? result : migrate(store, (int)version);
}
