/* wanmeter seal: closes what is still open of the bill. */
#include "cli/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/database.h"
#include "cli/moment.h"
#include "cli/options.h"
#include "cli/supervisor/process.h"
#include "common/log.h"

enum { PATH_SIZE = 4096, ASSIGNMENT_SIZE = PATH_SIZE + 16 };

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

/* The exporter is the one that writes. */
static bool run_exporter(const char *database)
{
    char assignment[ASSIGNMENT_SIZE];
    char *program = process_program(PROCESS_EXPORTER);
    if (program == NULL)
        return false;
    snprintf(assignment, sizeof assignment, "database=%s", database);
    const char *const words[] = {program, "--seal", "--run-directory", "/", "--set", assignment};
    struct command_line command_line = {0};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        command_line_add(&command_line, words[i]);
    struct process process = {.role = PROCESS_EXPORTER, .name = "exporter"};
    struct process_descriptors descriptors = {.passed = {-1, -1}};
    bool is_done = process_start(&process, &command_line, &descriptors) == 0;
    int status = 0;
    while (is_done && waitpid(process.pid, &status, 0) < 0)
        is_done = errno == EINTR;
    command_line_deinit(&command_line);
    free(program);
    return is_done && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

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

/* It must be there, and ours: the exporter would make one. */
static enum exit_code check(const char *path)
{
    struct database database;
    enum exit_code code = database_open(path, &database);
    if (code == EXIT_CODE_OK)
        database_close(&database);
    return code;
}

enum exit_code cmd_seal(int argc, char **argv)
{
    const char *path = options_default_database;
    options_parse(&argp, argc, argv, &path);
    if (strlen(path) >= PATH_SIZE) {
        log_error("--database: the path is too long");
        return EXIT_CODE_USAGE;
    }
    enum exit_code code = check(path);
    if (code != EXIT_CODE_OK)
        return code;
    struct last_seal last;
    if (!run_exporter(path) || !read_last(path, &last))
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
