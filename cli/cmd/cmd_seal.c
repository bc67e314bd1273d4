/* wanmeter seal: closes what is still open of the bill. */
#include "cli/cmd.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/exporter_job.h"
#include "cli/moment.h"
#include "cli/options.h"

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    const char **database = state->input;
    if (key != 'd')
        return ARGP_ERR_UNKNOWN;
    *database = argument;
    return 0;
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0, "The database (default: wanmeter.db)", 0}, {0}},
    .parser = on_option,
    .doc = "Closes the seals of all that the database has.\v"
           "A run closes a quarter hour once all its traffic is sure to be there, a minute after "
           "its end by the packets' clock; the last one of a capture stays open, for a capture "
           "that goes on with it. This closes what is open now: what is counted for it later is a "
           "correction. It is refused while a run has the database.\n\n"
           "Examples:\n"
           "  wanmeter seal\n"
           "  wanmeter seal --database /var/lib/wanmeter/wanmeter.db",
};

/* A seal's number and its hash, "" where there is none. */
struct last_seal {
    int64_t n_seals;
    int64_t end_ns;
    char hash[65];
};

static bool read_last(const char *path, struct last_seal *last)
{
    struct database database;
    *last = (struct last_seal){0};
    if (database_open(path, &database) != EXIT_CODE_OK)
        return false;
    sqlite3_stmt *statement = database_prepare(
        &database, "SELECT hash, end_ns, (SELECT count(*) FROM seal) FROM seal ORDER BY seal DESC "
                   "LIMIT 1");
    if (database_step(&database, statement)) {
        snprintf(last->hash, sizeof last->hash, "%s", sqlite3_column_text(statement, 0));
        last->end_ns = sqlite3_column_int64(statement, 1);
        last->n_seals = sqlite3_column_int64(statement, 2);
    }
    sqlite3_finalize(statement);
    bool is_read = !database.is_failed;
    database_close(&database);
    return is_read;
}

enum exit_code cmd_seal(int argc, char **argv)
{
    const char *path = options_default_database;
    options_parse(&argp, argc, argv, &path);
    static const char *const words[] = {"--seal"};
    enum exit_code code = exporter_job(path, words, 1);
    struct last_seal last;
    if (code != EXIT_CODE_OK)
        return code;
    if (!read_last(path, &last))
        return EXIT_CODE_RUNTIME;
    if (last.n_seals == 0) {
        printf("nothing to seal\n");
        return EXIT_CODE_OK;
    }
    char end[MOMENT_TEXT_SIZE];
    moment_format(last.end_ns, end);
    printf("%" PRId64 " seals, the last until %s: %s\n", last.n_seals, end, last.hash);
    return EXIT_CODE_OK;
}
