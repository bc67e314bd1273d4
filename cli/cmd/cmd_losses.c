/* wanmeter losses: the named, bounded pieces of ignorance. */
#include "cli/cmd.h"

#include <stdlib.h>

#include "cli/options.h"
#include "cli/query.h"

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

static const struct argp argp = {
    .parser = on_option,
    .doc =
        "The loss lines: what was lost where, why, how much, and how certain that is.\v"
        "An unknown amount is '-' (json: null, csv: empty), never 0. A 'flow_gap' is missing from "
        "the flow records only: its packets are counted in usage.\n\n"
        "Examples:\n"
        "  wanmeter losses\n"
        "  wanmeter losses --database /var/lib/wanmeter/wanmeter.db --format json",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

enum exit_code cmd_losses(int argc, char **argv)
{
    struct query_options options;
    options_parse(&argp, argc, argv, &options);

    struct database database;
    enum exit_code code = database_open(options.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    sqlite3_stmt *statement = database_prepare(
        &database,
        "SELECT first_ns, last_ns, stage, reason, stream, packets, l2_bytes, l3_bytes, certainty, "
        "evidence FROM loss UNION ALL SELECT first_ns, last_ns, 'tracker', 'flow_gap', stream, "
        "packets, l2_bytes, l3_bytes, 'exact', 'not lost: counted in usage, but in no flow record, "
        "as the tracker was killed' FROM flow_gap ORDER BY first_ns, last_ns, stage, reason");
    code = query_print(&database, statement, options.format, "losses", QUERY_NAMED);
    database_close(&database);
    return code;
}
