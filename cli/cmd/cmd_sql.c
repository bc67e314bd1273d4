/* wanmeter sql: any question, as long as it changes nothing. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/moment.h"
#include "cli/options.h"
#include "cli/query.h"
#include "common/log.h"

enum {
    STEPS_BETWEEN_LOOKS = 10000, /* of SQLite's machine, before it looks at the clock */
    VALUE_BYTES_MAX = 16 * 1024 * 1024,
    HEAP_BYTES_MAX = 512 * 1024 * 1024,
};

struct sql_options {
    struct query_options query;
    const char *text;
    int64_t timeout_ns;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct sql_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->query;
        return 0;
    case 't':
        if (!moment_parse_duration(argument, &options->timeout_ns))
            argp_error(state, "--timeout: got '%s', expected a number and ms, s, min or h",
                       argument);
        return 0;
    case ARGP_KEY_ARG:
        if (options->text != NULL)
            argp_error(state, "one QUERY is expected: put it in quotes");
        options->text = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a QUERY is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){{"timeout", 't', "TIME", 0,
                                      "Give up after TIME, such as 500ms or 5min (default: 60s)",
                                      0},
                                     {0}},
    .parser = on_option,
    .args_doc = "QUERY",
    .doc = "Answers one SQL query; nothing can be changed by it.\v"
           "Views to ask: flow, usage, usage_hourly, usage_daily, loss, stream, source, run, "
           "audit. Times are nanoseconds since 1970, UTC.\n\n"
           "Examples:\n"
           "  wanmeter sql \"SELECT account, sum(billed_bytes) FROM usage GROUP BY account\"\n"
           "  wanmeter sql --format csv \"SELECT * FROM usage_daily\" >days.csv",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

/* PRAGMAs that only tell; others may write, or change the connection's limits. */
static bool is_harmless_pragma(const char *name)
{
    static const char *const names[] = {
        "application_id",  "compile_options",  "database_list", "foreign_key_check",
        "function_list",   "index_info",       "index_list",    "index_xinfo",
        "integrity_check", "page_count",       "page_size",     "pragma_list",
        "quick_check",     "table_info",       "table_list",    "table_xinfo",
        "user_version",    "foreign_key_list", "journal_mode",  "encoding",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* An argument sets these; of the others it names a table. */
static bool is_setting(const char *name)
{
    static const char *const names[] = {"application_id", "user_version", "page_size",
                                        "journal_mode", "encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static int on_authorize(void *state, int action, const char *first, const char *second,
                        const char *database, const char *trigger)
{
    (void)state, (void)database, (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return strcasecmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        return is_harmless_pragma(first) && (second == NULL || !is_setting(first)) ? SQLITE_OK
                                                                                   : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int on_progress(void *state)
{
    const int64_t *deadline_ns = state;
    return now_ns() > *deadline_ns; /* not 0: interrupts the statement */
}

static void guard(sqlite3 *handle, int64_t *deadline_ns)
{
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_hard_heap_limit64(HEAP_BYTES_MAX);
    sqlite3_set_authorizer(handle, on_authorize, NULL);
    sqlite3_progress_handler(handle, STEPS_BETWEEN_LOOKS, on_progress, deadline_ns);
}

/* The one statement in 'text'; NULL: there is none, or more than one, which is said. */
static sqlite3_stmt *prepare_one(sqlite3 *handle, const char *text)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_stmt *second = NULL;
    const char *rest = NULL;
    if (sqlite3_prepare_v2(handle, text, -1, &statement, &rest) != SQLITE_OK) {
        log_error("%s", sqlite3_errmsg(handle));
        return NULL;
    }
    if (statement == NULL) {
        log_error("the query is empty");
        return NULL;
    }
    while (*rest != '\0' && second == NULL) {
        const char *from = rest;
        if (sqlite3_prepare_v2(handle, from, -1, &second, &rest) != SQLITE_OK || second != NULL) {
            log_error("one statement is expected, got more: '%s'", from);
            sqlite3_finalize(second);
            sqlite3_finalize(statement);
            return NULL;
        }
    }
    return statement;
}

static enum exit_code answer(struct database *database, const struct sql_options *options)
{
    int64_t deadline_ns;
    if (__builtin_add_overflow(now_ns(), options->timeout_ns, &deadline_ns))
        deadline_ns = INT64_MAX;
    guard(database->handle, &deadline_ns);
    sqlite3_stmt *statement = prepare_one(database->handle, options->text);
    if (statement == NULL)
        return EXIT_CODE_USAGE;
    return query_print(database, statement, options->query.format, "sql", QUERY_RAW);
}

enum exit_code cmd_sql(int argc, char **argv)
{
    struct sql_options options = {.timeout_ns = 60000000000};
    options_parse(&argp, argc, argv, &options);

    struct database database;
    enum exit_code code = database_open(options.query.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    code = answer(&database, &options);
    database_close(&database);
    return code;
}
