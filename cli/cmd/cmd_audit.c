/* wanmeter audit: does the bill add up, and is what was sealed still what it was? */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/audit/audit_seal.h"
#include "cli/options.h"
#include "cli/query.h"

enum { FINDINGS_SIZE = 16 * 1024 };

struct audit_options {
    struct query_options query;
    const char *seal; /* hash, or NULL */
};

struct audits {
    struct audit audit;
    struct seal_audit seals;
};

static bool is_hash(const char *text)
{
    return strlen(text) == SEAL_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == SEAL_HEX_SIZE - 1;
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct audit_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->query;
        return 0;
    case 's':
        if (!is_hash(argument))
            argp_error(state, "--seal: got '%s', expected 64 hexadecimal digits", argument);
        options->seal = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->query.format == OUTPUT_CSV)
            argp_error(state, "--format: got 'csv', expected table or json");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = (const struct argp_option[]){{"seal", 's', "HASH", 0,
                                             "The chain has the seal with this hash, as a bill or "
                                             "an earlier audit says it",
                                             0},
                                            {0}},
    .parser = on_option,
    .doc = "Proves that everything captured is counted or declared lost, and that nothing of a "
           "sealed time was changed.\v"
           "exact: to the byte. bounded: so, but something outside of the capture was lost, or may "
           "have been (see 'wanmeter losses'). mismatch: the database does not add up, or a seal "
           "does not hold: the lines before say which, and what of it is not as it was.\n\n"
           "Exits 0 if it adds up (exact or bounded), 4 if it does not.\n\n"
           "Examples:\n"
           "  wanmeter audit\n"
           "  wanmeter audit --database /var/lib/wanmeter/wanmeter.db --format json",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

/* "TEXT; TEXT; …", as far as there is room; "" without a finding. */
static void write_findings(const struct seal_audit *seals, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < seals->n_findings && length + AUDIT_SEAL_TEXT_SIZE + 2 < size; i++) {
        char finding[AUDIT_SEAL_TEXT_SIZE];
        audit_seal_text(&seals->findings[i], finding);
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? "; " : "", finding);
    }
}

static enum exit_code print_json(struct database *database, const struct audits *audits)
{
    const struct seal_audit *seals = &audits->seals;
    char findings[FINDINGS_SIZE];
    write_findings(seals, findings, sizeof findings);
    sqlite3_stmt *statement = database_prepare(
        database,
        "SELECT captured_packets, counted_packets, lost_packets, difference_packets, "
        "captured_l2_bytes, counted_l2_bytes, lost_l2_bytes, difference_l2_bytes, "
        "captured_l3_bytes, counted_l3_bytes, lost_l3_bytes, difference_l3_bytes, :verdict AS "
        "verdict, :seals AS seals, nullif(:last, '') AS last_seal, :wrong AS wrong_seals, "
        "nullif(:findings, '') AS seal_findings, nullif(:damage, '') AS damage FROM audit");
    if (statement != NULL) {
        database_bind_text(statement, ":verdict", audits->audit.verdict);
        database_bind_integer(statement, ":seals", seals->n_seals);
        database_bind_text(statement, ":last", seals->last_hash);
        database_bind_integer(statement, ":wrong", (int64_t)seals->n_findings);
        database_bind_text(statement, ":findings", findings);
        database_bind_text(statement, ":damage", seals->damage);
    }
    return query_print(database, statement, OUTPUT_JSON, "audit", QUERY_NAMED);
}

/* One moment of the database for all comparisons, also while it is being written. */
static bool read_all(struct database *database, const char *seal, struct audits *audits)
{
    sqlite3_exec(database->handle, "BEGIN", NULL, NULL, NULL);
    bool is_read = audit_read(database, NULL, &audits->audit) &&
                   audit_seal_read(database, seal, &audits->seals);
    if (is_read && !audit_seal_holds(&audits->seals))
        snprintf(audits->audit.verdict, sizeof audits->audit.verdict, "mismatch");
    return is_read;
}

static void print_table(const struct audits *audits)
{
    audit_print_sums(&audits->audit, stdout);
    audit_seal_print(&audits->seals, stdout);
    printf("audit: %s\n", audits->audit.verdict);
}

static bool has_wanted(const struct audit_options *options, const struct audits *audits)
{
    if (options->seal == NULL || audits->seals.has_wanted)
        return true;
    fprintf(stderr,
            "wanmeter audit: no seal has the hash %s: the bill it is from is not of this "
            "database, or the chain was changed\n",
            options->seal);
    return false;
}

static enum exit_code judge(struct database *database, const struct audit_options *options,
                            const struct audits *audits)
{
    enum exit_code code = EXIT_CODE_OK;
    if (options->query.format == OUTPUT_JSON)
        code = print_json(database, audits);
    else
        print_table(audits);
    bool is_good = has_wanted(options, audits) && audit_is_balanced(&audits->audit);
    return code == EXIT_CODE_OK && !is_good ? EXIT_CODE_MISMATCH : code;
}

enum exit_code cmd_audit(int argc, char **argv)
{
    struct audit_options options = {0};
    options_parse(&argp, argc, argv, &options);

    struct database database;
    enum exit_code code = database_open(options.query.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    struct audits audits = {0};
    if (read_all(&database, options.seal, &audits))
        code = judge(&database, &options, &audits);
    else
        code = database.is_damaged ? EXIT_CODE_MISMATCH : EXIT_CODE_RUNTIME;
    audit_seal_free(&audits.seals);
    database_close(&database);
    return code;
}
