#include "cli/database.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "schema/migrations.h"

enum { BUSY_TIMEOUT_MS = 5000, PATH_SIZE = 4096 };

/* "file:" with what a URI gives a meaning of its own escaped. */
static bool immutable_uri(const char *path, char *uri, size_t size)
{
    size_t length = (size_t)snprintf(uri, size, "file:");
    for (; *path != '\0' && length + 4 < size; path++) {
        bool is_plain = strchr("%?#", *path) == NULL;
        length += (size_t)snprintf(uri + length, size - length, is_plain ? "%c" : "%%%02X",
                                   (unsigned char)*path);
    }
    size_t rest = size - length;
    return *path == '\0' && (size_t)snprintf(uri + length, rest, "?immutable=1") < rest;
}

/* A database in WAL mode needs its -shm file even for reading. Where that cannot be made (a
 * directory or a medium that is read-only) and no log is left over, nobody writes either. */
static bool is_at_rest(const char *path)
{
    char other[PATH_SIZE];
    struct stat state;
    bool is_short = (size_t)snprintf(other, sizeof other, "%s-wal", path) < sizeof other;
    if (!is_short || (stat(other, &state) == 0 && state.st_size > 0))
        return false;
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    snprintf(other, sizeof other, "%.*s", length, slash == NULL ? "." : path);
    return access(other, W_OK) != 0;
}

/* SQLite opens lazily: the first look at the file is what can fail. */
static int look(sqlite3 *handle)
{
    return sqlite3_exec(handle, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
}

/* One thread reads, and nobody asks how much memory that takes: a tenth less without the locks and
 * the counts. Without effect once SQLite has begun. */
static void configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* SQLITE_OK and a handle; else the result, and a handle (or NULL) that has the message. */
static int open_handle(const char *path, sqlite3 **handle)
{
    configure_library();
    int result = sqlite3_open_v2(path, handle, SQLITE_OPEN_READONLY, NULL);
    if (result == SQLITE_OK) {
        sqlite3_extended_result_codes(*handle, 1);
        sqlite3_busy_timeout(*handle, BUSY_TIMEOUT_MS);
        result = look(*handle);
    }
    char uri[PATH_SIZE + 32];
    bool has_no_shared_memory =
        (result & 0xff) == SQLITE_CANTOPEN || (result & 0xff) == SQLITE_READONLY;
    if (has_no_shared_memory && is_at_rest(path) && immutable_uri(path, uri, sizeof uri)) {
        sqlite3_close(*handle);
        result = sqlite3_open_v2(uri, handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
        if (result == SQLITE_OK)
            result = look(*handle);
    }
    return result;
}

static int64_t integer_of(sqlite3 *handle, const char *query)
{
    sqlite3_stmt *statement = NULL;
    int64_t integer = -1;
    if (sqlite3_prepare_v2(handle, query, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        integer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return integer;
}

static enum database_kind kind_of_handle(sqlite3 *handle, char why[DATABASE_WHY_MAX])
{
    int64_t application = integer_of(handle, "PRAGMA application_id");
    int64_t version = integer_of(handle, "PRAGMA user_version");
    if (application == 0 && integer_of(handle, "SELECT count(*) FROM sqlite_master") == 0)
        return DATABASE_EMPTY;
    if (application != SCHEMA_APPLICATION_ID) {
        snprintf(why, DATABASE_WHY_MAX, "it is another program's database");
        return DATABASE_FOREIGN;
    }
    if (version > n_migrations) {
        snprintf(why, DATABASE_WHY_MAX,
                 "it was made by a newer wanmeter (schema version %lld, this one knows up to %d)",
                 (long long)version, n_migrations);
        return DATABASE_NEWER;
    }
    return DATABASE_OURS;
}

/* Where a database has its application id. */
static bool has_our_mark(const char *path)
{
    static const uint8_t mark[] = {'w', 'a', 'n', 'm'}; /* SCHEMA_APPLICATION_ID */
    uint8_t bytes[68 + sizeof mark];
    FILE *file = fopen(path, "rb");
    bool is_read = file != NULL && fread(bytes, sizeof bytes, 1, file) == 1;
    if (file != NULL)
        fclose(file);
    return is_read && memcmp(bytes + 68, mark, sizeof mark) == 0;
}

/* As database_kind_of(), and leaves the handle open where it is OURS. */
static enum database_kind open_kind(const char *path, char why[DATABASE_WHY_MAX], sqlite3 **handle)
{
    struct stat state;
    *handle = NULL;
    why[0] = '\0';
    if (stat(path, &state) != 0) {
        snprintf(why, DATABASE_WHY_MAX, "%s", strerror(errno));
        return errno == ENOENT ? DATABASE_MISSING : DATABASE_UNREADABLE;
    }
    if (!S_ISREG(state.st_mode)) {
        snprintf(why, DATABASE_WHY_MAX, "it is not a regular file");
        return DATABASE_FOREIGN;
    }
    if (state.st_size == 0)
        return DATABASE_EMPTY;

    enum database_kind kind;
    int result = open_handle(path, handle);
    if (result == SQLITE_OK) {
        kind = kind_of_handle(*handle, why);
    } else if (((result & 0xff) == SQLITE_NOTADB || (result & 0xff) == SQLITE_CORRUPT) &&
               has_our_mark(path)) {
        snprintf(why, DATABASE_WHY_MAX, "it is damaged: %s", sqlite3_errmsg(*handle));
        kind = DATABASE_DAMAGED;
    } else if ((result & 0xff) == SQLITE_NOTADB) {
        snprintf(why, DATABASE_WHY_MAX, "it is not a SQLite database");
        kind = DATABASE_FOREIGN;
    } else {
        snprintf(why, DATABASE_WHY_MAX, "%s",
                 access(path, R_OK) != 0 ? strerror(errno) : sqlite3_errmsg(*handle));
        kind = DATABASE_UNREADABLE;
    }
    if (kind != DATABASE_OURS) {
        sqlite3_close(*handle);
        *handle = NULL;
    }
    return kind;
}

enum database_kind database_kind_of(const char *path, char why[DATABASE_WHY_MAX])
{
    sqlite3 *handle;
    enum database_kind kind = open_kind(path, why, &handle);
    sqlite3_close(handle);
    return kind;
}

enum exit_code database_open(const char *path, struct database *database)
{
    char why[DATABASE_WHY_MAX];
    *database = (struct database){.path = path};
    switch (open_kind(path, why, &database->handle)) {
    case DATABASE_OURS:
        break;
    case DATABASE_MISSING:
        log_error("%s: there is no such database (--database names another)", path);
        return EXIT_CODE_RUNTIME;
    case DATABASE_EMPTY:
        log_error("%s: the file is empty, it holds no database", path);
        return EXIT_CODE_RUNTIME;
    case DATABASE_UNREADABLE:
        log_error("%s: %s", path, why);
        return EXIT_CODE_RUNTIME;
    case DATABASE_NEWER:
    case DATABASE_DAMAGED:
    case DATABASE_FOREIGN:
        log_error("%s: %s", path, why);
        return EXIT_CODE_USAGE;
    }
    sqlite3_exec(database->handle, "PRAGMA query_only = 1", NULL, NULL, NULL);
    return EXIT_CODE_OK;
}

void database_close(struct database *database)
{
    sqlite3_close(database->handle);
    database->handle = NULL;
}

/* What a query named is not there: perhaps because an older wanmeter made the database. */
static void tell_age(struct database *database)
{
    int64_t version = integer_of(database->handle, "PRAGMA user_version");
    if (version < n_migrations)
        log_error("%s: its schema version is %lld, this wanmeter's %d: the next run or replay, or "
                  "'wanmeter seal', brings it up to date",
                  database->path, (long long)version, n_migrations);
}

void database_note_error(struct database *database)
{
    int result = sqlite3_errcode(database->handle) & 0xff;
    log_error("%s: %s", database->path,
              result == SQLITE_INTERRUPT ? "the query took longer than --timeout allows"
                                         : sqlite3_errmsg(database->handle));
    database->is_failed = true;
    database->is_damaged |= result == SQLITE_CORRUPT;
    if (result == SQLITE_ERROR)
        tell_age(database);
}

sqlite3_stmt *database_prepare(struct database *database, const char *query)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(database->handle, query, -1, &statement, NULL) != SQLITE_OK)
        database_note_error(database);
    return statement;
}

void database_bind_text(sqlite3_stmt *statement, const char *name, const char *text)
{
    int index = sqlite3_bind_parameter_index(statement, name);
    if (index > 0)
        sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

void database_bind_integer(sqlite3_stmt *statement, const char *name, int64_t integer)
{
    int index = sqlite3_bind_parameter_index(statement, name);
    if (index > 0)
        sqlite3_bind_int64(statement, index, integer);
}

bool database_step(struct database *database, sqlite3_stmt *statement)
{
    if (statement == NULL)
        return false;
    int result = sqlite3_step(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        database_note_error(database);
    return result == SQLITE_ROW;
}
