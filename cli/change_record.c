#include "cli/change_record.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/database.h"
#include "common/log.h"
#include "proto/change_file.h"

#define IS_LASTING "result = 0 AND json_extract(words, '$[0]') IN ('timeout', 'label', 'account')"
#define COLUMNS    "SELECT change_id, time_ns, uid, pid, seed, words"

static const char *const queries[] = {
    [CHANGE_RECORD_LASTING] =
        COLUMNS ", 1 FROM change_line WHERE " IS_LASTING " ORDER BY run_id, time_ns, change_id",
    [CHANGE_RECORD_ALL] =
        COLUMNS ", run_id < (SELECT max(run_id) FROM change_line) AS is_before FROM change_line"
                " WHERE NOT is_before OR " IS_LASTING " ORDER BY run_id, time_ns, change_id",
};

/* False: no array of texts, or too many. */
static bool read_words(const char *text, struct change *change)
{
    const char *words[CHANGE_WORDS_MAX];
    json_t *array = json_loads(text, 0, NULL);
    size_t n = json_array_size(array);
    bool is_read = json_is_array(array) && n <= CHANGE_WORDS_MAX;
    for (size_t i = 0; is_read && i < n; i++) {
        words[i] = json_string_value(json_array_get(array, i));
        is_read = words[i] != NULL;
    }
    is_read = is_read && change_set_words(change, words, n);
    json_decref(array);
    return is_read;
}

static bool read_change(sqlite3_stmt *statement, struct change *change)
{
    *change = (struct change){
        .id = (uint64_t)sqlite3_column_int64(statement, 0),
        .time_ns = sqlite3_column_int64(statement, 1),
        .uid = (uint32_t)sqlite3_column_int64(statement, 2),
        .pid = (uint32_t)sqlite3_column_int64(statement, 3),
        .seed = (uint64_t)sqlite3_column_int64(statement, 4),
        .is_restored = sqlite3_column_int(statement, 6) != 0,
    };
    const unsigned char *words = sqlite3_column_text(statement, 5);
    return words != NULL && read_words((const char *)words, change);
}

/* Writes all; how many, or -errno (logged). */
static int write_changes(struct database *database, sqlite3_stmt *statement, FILE *file)
{
    int n = 0;
    while (database_step(database, statement)) {
        struct change change;
        bool is_read = read_change(statement, &change);
        int result = is_read ? change_file_write(file, &change) : -EBADMSG;
        if (result < 0) {
            log_error("%s: a recorded change cannot be read: %s", database->path,
                      strerror(-result));
            return result;
        }
        n++;
    }
    return database->is_failed ? -EIO : n;
}

/* A schema of before there were changes has none. */
static bool has_changes(struct database *database)
{
    sqlite3_stmt *statement =
        database_prepare(database, "SELECT 1 FROM sqlite_schema WHERE name = 'change_line'");
    bool is_there = statement != NULL && database_step(database, statement);
    sqlite3_finalize(statement);
    return is_there;
}

static enum exit_code share(struct database *database, enum change_record which, int *descriptor)
{
    if (!has_changes(database))
        return database->is_failed ? EXIT_CODE_RUNTIME : EXIT_CODE_OK;
    sqlite3_stmt *statement = database_prepare(database, queries[which]);
    int copy = memfd_create("changes", MFD_CLOEXEC);
    FILE *file = copy < 0 ? NULL : fdopen(dup(copy), "wb");
    int n = statement != NULL && file != NULL ? write_changes(database, statement, file) : -EIO;
    if (file != NULL && fclose(file) != 0)
        n = -EIO;
    sqlite3_finalize(statement);
    if (n > 0) {
        *descriptor = copy;
        return EXIT_CODE_OK;
    }
    if (copy >= 0)
        close(copy);
    if (n == 0 && which == CHANGE_RECORD_ALL)
        log_warning("%s: no changes are recorded in it", database->path);
    return n == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

enum exit_code change_record_share(const char *path, enum change_record which, int *descriptor)
{
    char why[DATABASE_WHY_MAX];
    enum database_kind kind = database_kind_of(path, why);
    *descriptor = 0;
    if (which == CHANGE_RECORD_LASTING && (kind == DATABASE_MISSING || kind == DATABASE_EMPTY))
        return EXIT_CODE_OK;
    struct database database;
    enum exit_code code = database_open(path, &database);
    if (code == EXIT_CODE_OK)
        code = share(&database, which, descriptor);
    database_close(&database);
    return code;
}
