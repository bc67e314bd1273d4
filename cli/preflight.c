#include "cli/preflight.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/source.h"
#include "cli/database.h"
#include "cli/moment.h"
#include "common/arguments.h"
#include "common/log.h"

enum { SHA256_SIZE = 32, SHA256_TEXT_SIZE = SHA256_SIZE * 2 + 1 };

/* A new database needs a directory that can be written to. */
static enum exit_code check_place(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    assert(directory != NULL);
    enum exit_code code = EXIT_CODE_OK;
    if (access(directory, W_OK | X_OK) != 0) {
        log_error("%s: cannot be made: %s: %s", path, directory, strerror(errno));
        code = EXIT_CODE_RUNTIME;
    }
    free(directory);
    return code;
}

enum exit_code preflight_database(const char *path)
{
    char why[DATABASE_WHY_MAX];
    switch (database_kind_of(path, why)) {
    case DATABASE_MISSING:
        return check_place(path);
    case DATABASE_EMPTY:
    case DATABASE_OURS:
    case DATABASE_DAMAGED: /* the exporter knows what becomes of it */
        if (access(path, W_OK) == 0)
            return EXIT_CODE_OK;
        log_error("%s: %s", path, strerror(errno));
        return EXIT_CODE_RUNTIME;
    case DATABASE_UNREADABLE:
        log_error("%s: %s", path, why);
        return EXIT_CODE_RUNTIME;
    default:
        log_error("%s: %s; it is left as it is (--database names another)", path, why);
        return EXIT_CODE_USAGE;
    }
}

static bool is_standard_input(const char *argument)
{
    return strcmp(source_path(argument), "-") == 0;
}

static bool is_regular(const char *argument)
{
    struct stat state;
    return !is_standard_input(argument) && stat(source_path(argument), &state) == 0 &&
           S_ISREG(state.st_mode);
}

static bool check_file(const char *argument)
{
    const char *path = source_path(argument);
    struct stat state;
    if (is_standard_input(argument))
        return true;
    if (stat(path, &state) != 0 || access(path, R_OK) != 0) {
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    if (S_ISDIR(state.st_mode)) {
        log_error("%s: %s", path, strerror(EISDIR));
        return false;
    }
    if (!S_ISREG(state.st_mode))
        return true;
    struct source *source;
    char error[SOURCE_ERROR_MAX];
    if (source_open_files(&argument, 1, 0, INT64_MAX, &source, error) != 0) {
        log_error("%s", error);
        return false;
    }
    source_close(source);
    return true;
}

enum exit_code preflight_files(char *const *files, size_t n_files)
{
    bool are_good = true;
    size_t n_standard_input = 0;
    for (size_t i = 0; i < n_files; i++) {
        are_good = check_file(files[i]) && are_good;
        n_standard_input += is_standard_input(files[i]);
    }
    if (n_standard_input > 1) {
        log_error("standard input ('-') can be read once, not %zu times", n_standard_input);
        are_good = false;
    }
    if (n_standard_input == 1 && isatty(STDIN_FILENO)) {
        log_error("standard input is a terminal, expected a capture: tcpdump -w - | wanmeter "
                  "replay -");
        are_good = false;
    }
    return are_good ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

/* "" for what has no identity. False: the file cannot be read, which is logged. */
static bool read_identity(const char *argument, char text[SHA256_TEXT_SIZE])
{
    uint8_t sha256[SHA256_SIZE];
    text[0] = '\0';
    if (!is_regular(argument))
        return true;
    int result = source_file_identity(argument, sha256);
    if (result != 0) {
        log_error("%s: %s", argument, strerror(-result));
        return false;
    }
    sodium_bin2hex(text, SHA256_TEXT_SIZE, sha256, sizeof sha256);
    return true;
}

/* Says so if the database holds the capture. In one that is damaged nobody knows: the exporter does
 * what is wanted with it. */
static bool is_held(struct database *database, const char *path, const char *identity)
{
    sqlite3_stmt *statement = database_prepare(
        database, "SELECT source.name, run.started_ns FROM source JOIN run ON run.id = "
                  "source.run_id WHERE sha256 = :sha256 ORDER BY run.started_ns LIMIT 1");
    if (statement == NULL)
        return true;
    database_bind_text(statement, ":sha256", identity);
    bool is_found = database_step(database, statement);
    if (is_found) {
        char when[MOMENT_TEXT_SIZE];
        moment_format(sqlite3_column_int64(statement, 1) / 1000000000 * 1000000000, when);
        log_error("%s: %s holds this capture already, as %s, replayed %s (--force counts it again)",
                  path, database->path, (const char *)sqlite3_column_text(statement, 0), when);
    }
    sqlite3_finalize(statement);
    return is_found || (database->is_failed && !database->is_damaged);
}

/* Says so if the file is the same as one before it. */
static bool is_repeated(char *const *files, char (*identities)[SHA256_TEXT_SIZE], size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(identities[i], identities[index]) != 0)
            continue;
        log_error("%s: the same capture as %s (--force counts both)", files[index], files[i]);
        return true;
    }
    return false;
}

static bool are_new(struct database *database, char *const *files, size_t n_files,
                    char (*identities)[SHA256_TEXT_SIZE])
{
    bool are_all_new = true;
    for (size_t i = 0; i < n_files; i++) {
        if (!read_identity(files[i], identities[i]))
            return false;
        if (identities[i][0] == '\0')
            continue;
        bool is_known = is_repeated(files, identities, i) ||
                        (database->handle != NULL && is_held(database, files[i], identities[i]));
        if (is_known)
            are_all_new = false;
    }
    return are_all_new;
}

enum exit_code preflight_new_files(const char *path, char *const *files, size_t n_files)
{
    char why[DATABASE_WHY_MAX];
    struct database database = {.path = path};
    if (database_kind_of(path, why) == DATABASE_OURS) {
        enum exit_code code = database_open(path, &database);
        if (code != EXIT_CODE_OK)
            return code;
    }
    char(*identities)[SHA256_TEXT_SIZE] = calloc(n_files, sizeof *identities);
    assert(identities != NULL);
    bool are_all_new = are_new(&database, files, n_files, identities);
    free(identities);
    database_close(&database);
    return are_all_new ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

enum exit_code preflight_sources(const struct config *config)
{
    int64_t n_workers = 0;
    if (config->n_sources == 0) {
        log_error("there is no interface to listen on: name one under 'sources' in the file that "
                  "--config names");
        return EXIT_CODE_USAGE;
    }
    for (size_t i = 0; i < config->n_sources; i++)
        n_workers += config->sources[i].workers;
    if (n_workers <= WORKERS_MAX)
        return EXIT_CODE_OK;
    log_error("the sources have %lld workers together, expected at most %d", (long long)n_workers,
              WORKERS_MAX);
    return EXIT_CODE_USAGE;
}

enum exit_code preflight_interfaces(const struct config *config)
{
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < config->n_sources; i++) {
        if (if_nametoindex(config->sources[i].interface) != 0)
            continue;
        log_error("interface %s: %s", config->sources[i].interface, strerror(errno));
        code = EXIT_CODE_RUNTIME;
    }
    return code;
}
