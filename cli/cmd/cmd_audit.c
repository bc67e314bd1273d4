/* wanmeter audit: does the bill add up? */
#include "cli/cmd.h"

#include <stdlib.h>

#include "cli/audit.h"
#include "cli/options.h"
#include "cli/query.h"

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct query_options *options = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options;
        return 0;
    case ARGP_KEY_END:
        if (options->format == OUTPUT_CSV)
            argp_error(state, "--format: got 'csv', expected table or json");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = on_option,
    .doc = "Proves that everything captured is counted or declared lost.\v"
           "exact: to the byte. bounded: so, but something outside of the capture was lost, or may "
           "have been (see 'wanmeter losses'). mismatch: the database does not add up.\n\n"
           "Exits 0 if it adds up (exact or bounded), 4 if it does not.\n\n"
           "Examples:\n"
           "  wanmeter audit\n"
           "  wanmeter audit --database /var/lib/wanmeter/wanmeter.db --format json",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

static enum exit_code print_json(struct database *database)
{
    sqlite3_stmt *statement = database_prepare(database, "SELECT * FROM audit");
    return query_print(database, statement, OUTPUT_JSON, "audit", QUERY_NAMED);
}

enum exit_code cmd_audit(int argc, char **argv)
{
    struct query_options options;
    options_parse(&argp, argc, argv, &options);

    struct database database;
    enum exit_code code = database_open(options.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    struct audit audit;
    if (!audit_read(&database, &audit))
        code = EXIT_CODE_RUNTIME;
    else if (options.format == OUTPUT_JSON)
        code = print_json(&database);
    else
        audit_print(&audit, stdout);
    if (code == EXIT_CODE_OK && !audit_is_balanced(&audit))
        code = EXIT_CODE_MISMATCH;
    database_close(&database);
    return code;
}
