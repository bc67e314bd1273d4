/* wanmeter prune: deletes flow records by age. */
#include "cli/cmd.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/exporter_job.h"
#include "cli/moment.h"
#include "cli/options.h"

struct prune_options {
    const char *database;
    bool has_before;
    int64_t before_ns;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct prune_options *options = state->input;
    switch (key) {
    case 'd':
        options->database = argument;
        return 0;
    case 'b':
        if (!moment_parse(argument, &options->before_ns))
            argp_error(state,
                       "--before: got '%s', expected a time such as 2026-01-31 or "
                       "2026-01-31T12:00:00Z",
                       argument);
        options->has_before = true;
        return 0;
    case ARGP_KEY_END:
        if (!options->has_before)
            argp_error(state, "--before is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"before", 'b', "TIME", 0, "Records of quarter hours that ended before this go", 0},
            {"database", 'd', "FILE", 0, "The database (default: wanmeter.db)", 0},
            {0}},
    .parser = on_option,
    .doc =
        "Deletes flow records, and with them the addresses in them, of before a time.\v"
        "Usage sums, losses and seals stay. Only records of quarter hours that are sealed go "
        "('wanmeter seal' closes the last ones); what they add up to is kept with their seal, so "
        "that the audit holds as before. What is deleted is written over in the file. A run "
        "does the same by itself with retention.flows; this is refused while one has the "
        "database.\n\n"
        "Examples:\n"
        "  wanmeter prune --before 2026-01-01\n"
        "  wanmeter prune --before 2026-01-31T12:00:00Z --database /var/lib/wanmeter/wanmeter.db",
};

static bool count(const char *path, int64_t *n_pruned)
{
    struct database database;
    if (database_open(path, &database) != EXIT_CODE_OK)
        return false;
    sqlite3_stmt *statement =
        database_prepare(&database, "SELECT coalesce(sum(flow_rows), 0) FROM pruned");
    bool is_read = database_step(&database, statement);
    *n_pruned = is_read ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    is_read = is_read && !database.is_failed;
    database_close(&database);
    return is_read;
}

enum exit_code cmd_prune(int argc, char **argv)
{
    struct prune_options options = {.database = options_default_database};
    options_parse(&argp, argc, argv, &options);
    char before[32];
    snprintf(before, sizeof before, "%" PRId64, options.before_ns);
    const char *const words[] = {"--prune", before};
    enum exit_code code = exporter_job(options.database, words, 2);
    int64_t n_pruned;
    if (code != EXIT_CODE_OK)
        return code;
    if (!count(options.database, &n_pruned))
        return EXIT_CODE_RUNTIME;
    printf("%" PRId64 " flow records are deleted in all\n", n_pruned);
    return EXIT_CODE_OK;
}
