#include "cli/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char *const unit_names[AUDIT_UNITS] = {
    [AUDIT_PACKETS] = "packets",
    [AUDIT_L2_BYTES] = "l2_bytes",
    [AUDIT_L3_BYTES] = "l3_bytes",
};

static void read_row(sqlite3_stmt *statement, struct audit *audit)
{
    for (int i = 0; i < AUDIT_UNITS; i++)
        audit->lines[i] = (struct audit_line){
            .captured = sqlite3_column_int64(statement, i * 4),
            .counted = sqlite3_column_int64(statement, i * 4 + 1),
            .lost = sqlite3_column_int64(statement, i * 4 + 2),
            .difference = sqlite3_column_int64(statement, i * 4 + 3),
        };
    const unsigned char *verdict = sqlite3_column_text(statement, AUDIT_UNITS * 4);
    snprintf(audit->verdict, sizeof audit->verdict, "%s",
             verdict != NULL ? (const char *)verdict : "unknown");
}

static sqlite3_stmt *prepare(struct database *database, const char *with, const char *query)
{
    char *sql = sqlite3_mprintf("%s%s", with ? with : "", query);
    assert(sql != NULL);
    sqlite3_stmt *statement = database_prepare(database, sql);
    sqlite3_free(sql);
    return statement;
}

/* What the verdict stands on beside the three differences. */
static void read_rest(struct database *database, const char *with, struct audit *audit)
{
    sqlite3_stmt *statement =
        prepare(database, with,
                "SELECT usage_packets, flow_packets, verdict = 'mismatch', (SELECT count(*) FROM "
                "audit_sources WHERE verdict = 'mismatch'), gap_packets, open_packets "
                "FROM audit_flows");
    if (database_step(database, statement)) {
        audit->usage_packets = sqlite3_column_int64(statement, 0);
        audit->flow_packets = sqlite3_column_int64(statement, 1);
        audit->are_flows_wrong = sqlite3_column_int(statement, 2) != 0;
        audit->n_wrong_sources = sqlite3_column_int64(statement, 3);
        audit->gap_packets = sqlite3_column_int64(statement, 4);
        audit->open_packets = sqlite3_column_int64(statement, 5);
    }
    sqlite3_finalize(statement);
}

static bool has_gaps(struct database *database)
{
    sqlite3_stmt *statement = database_prepare(database, "SELECT EXISTS (SELECT 1 FROM gap_line)");
    bool has_some = database_step(database, statement) && sqlite3_column_int(statement, 0) != 0;
    sqlite3_finalize(statement);
    return has_some;
}

bool audit_read(struct database *database, const char *with, struct audit *audit)
{
    *audit = (struct audit){0};
    sqlite3_stmt *statement =
        prepare(database, with,
                "SELECT captured_packets, counted_packets, lost_packets, difference_packets, "
                "captured_l2_bytes, counted_l2_bytes, lost_l2_bytes, difference_l2_bytes, "
                "captured_l3_bytes, counted_l3_bytes, lost_l3_bytes, difference_l3_bytes, "
                "verdict FROM audit");
    bool is_read = database_step(database, statement);
    if (is_read)
        read_row(statement, audit);
    sqlite3_finalize(statement);
    /* All flow records are read again for it: only where there is something to tell. */
    if (is_read && (strcmp(audit->verdict, "mismatch") == 0 || has_gaps(database)))
        read_rest(database, with, audit);
    return is_read && !database->is_failed;
}

bool audit_is_balanced(const struct audit *audit)
{
    for (int i = 0; i < AUDIT_UNITS; i++)
        if (audit->lines[i].difference != 0)
            return false;
    return strcmp(audit->verdict, "exact") == 0 || strcmp(audit->verdict, "bounded") == 0;
}

void audit_print_sums(const struct audit *audit, FILE *out)
{
    for (int i = 0; i < AUDIT_UNITS; i++) {
        const struct audit_line *line = &audit->lines[i];
        fprintf(out,
                "%-8s  captured %" PRId64 " = counted %" PRId64 " + lost %" PRId64
                ", difference %" PRId64 "\n",
                unit_names[i], line->captured, line->counted, line->lost, line->difference);
    }
    if (audit->are_flows_wrong || audit->gap_packets != 0)
        fprintf(out,
                "flows     usage %" PRId64 " packets = records %" PRId64 " + gaps %" PRId64
                " + open %" PRId64 "%s (view audit_flows)\n",
                audit->usage_packets, audit->flow_packets, audit->gap_packets, audit->open_packets,
                audit->are_flows_wrong ? ": does not hold" : "");
    if (audit->n_wrong_sources > 0)
        fprintf(out,
                "sources   %" PRId64 " workers read other than they sent on (view audit_sources)\n",
                audit->n_wrong_sources);
}

void audit_print(const struct audit *audit, FILE *out)
{
    audit_print_sums(audit, out);
    fprintf(out, "audit: %s\n", audit->verdict);
}
