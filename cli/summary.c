#include "cli/summary.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/audit/audit_pages.h"
#include "cli/database.h"
#include "cli/query.h"
#include "common/log.h"

/* The losses and unfinished captures of the newest run; older ones have been told. */
#define NEWEST_RUN "run_id = (SELECT max(id) FROM run)"

static int64_t count(struct database *database, const char *query)
{
    sqlite3_stmt *statement = database_prepare(database, query);
    int64_t n = database_step(database, statement) ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return n;
}

static bool print_rows(struct database *database, const char *heading, const char *query)
{
    printf("%s\n", heading);
    sqlite3_stmt *statement = database_prepare(database, query);
    bool is_printed =
        query_print(database, statement, OUTPUT_TABLE, "summary", QUERY_NAMED) == EXIT_CODE_OK;
    printf("\n");
    return is_printed;
}

static bool print_tables(struct database *database, int64_t n_losses)
{
    char heading[512];
    snprintf(heading, sizeof heading, "%s holds:", database->path);
    bool is_printed = print_rows(
        database, heading,
        "SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes, "
        "coalesce(sum(l3_bytes), 0) AS l3_bytes, coalesce(sum(billed_bytes), 0) AS billed_bytes, "
        "count(DISTINCT nullif(account, 'none')) AS accounts, count(DISTINCT nullif(wan, 'none')) "
        "AS wans FROM usage");
    is_printed =
        is_printed && print_rows(database, "By WAN:",
                                 "SELECT wan, direction, sum(packets) AS packets, sum(l2_bytes) AS "
                                 "l2_bytes, sum(l3_bytes) AS l3_bytes, sum(billed_bytes) AS "
                                 "billed_bytes FROM usage GROUP BY wan, direction "
                                 "ORDER BY wan, direction");
    if (is_printed && n_losses > 0)
        is_printed = print_rows(database, "Lost in this run:",
                                "SELECT stage, reason, count(*) AS lines, sum(packets) AS packets, "
                                "sum(l2_bytes) AS l2_bytes, certainty, min(evidence) AS evidence "
                                "FROM loss WHERE " NEWEST_RUN " GROUP BY stage, reason, certainty "
                                "ORDER BY stage, reason, certainty");
    return is_printed;
}

/* Offloading on the capturing machine makes one packet of several: they are billed as what they
 * were, as far as that is known. */
static void warn_of_merged(struct database *database)
{
    int64_t n = count(database, "SELECT coalesce(sum(merged_packets), 0) FROM flow_extra");
    if (n > 0)
        log_warning("%lld packets were longer than their link takes, and are billed as the ones "
                    "that offloading merged: turn it off where you capture (docs/overhead.md)",
                    (long long)n);
}

/* Captures of the newest run that were not read to their end. */
static int64_t count_unread(struct database *database, const struct supervisor_plan *plan)
{
    if (plan->n_files == 0)
        return 0; /* an interface has no end */
    return count(database, "SELECT count(*) FROM source WHERE NOT is_complete AND " NEWEST_RUN);
}

static enum exit_code judge(struct database *database, const struct audit *audit, int64_t n_losses,
                            int64_t n_unread)
{
    if (database->is_failed)
        return EXIT_CODE_RUNTIME;
    if (!audit_is_balanced(audit))
        return EXIT_CODE_MISMATCH;
    return n_losses > 0 || n_unread > 0 ? EXIT_CODE_LOSS : EXIT_CODE_OK;
}

enum exit_code summary_of_run(const struct supervisor_plan *plan, enum supervisor_result result,
                              bool is_quiet)
{
    struct database database;
    struct audit audit;
    if (result == SUPERVISOR_FAILED)
        return EXIT_CODE_RUNTIME;
    enum exit_code code = database_open(plan->settings->config.database, &database);
    if (code != EXIT_CODE_OK)
        return code;

    int64_t n_losses =
        count(&database, "SELECT count(*) FROM loss WHERE packets IS NOT 0 AND " NEWEST_RUN);
    int64_t n_unread = count_unread(&database, plan);
    if (result == SUPERVISOR_INTERRUPTED && n_unread > 0)
        log_warning("interrupted: %lld of %zu captures were not read to their end",
                    (long long)n_unread, plan->n_files);
    warn_of_merged(&database);
    bool is_printed = is_quiet || print_tables(&database, n_losses);
    char *with = audit_pages_with(&database);
    if (!is_printed || !audit_read(&database, with, &audit)) {
        code = EXIT_CODE_RUNTIME;
    } else {
        if (!is_quiet)
            audit_print(&audit, stdout);
        code = judge(&database, &audit, n_losses, n_unread);
    }
    sqlite3_free(with);
    database_close(&database);
    return code;
}
