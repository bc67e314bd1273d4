#include "cli/exporter_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/database.h"
#include "cli/supervisor/process.h"
#include "common/log.h"

enum { PATH_SIZE = 4096, ASSIGNMENT_SIZE = PATH_SIZE + 16 };

static bool run_exporter(const char *database, const char *const *words, size_t n_words)
{
    char assignment[ASSIGNMENT_SIZE];
    char *program = process_program(PROCESS_EXPORTER);
    if (program == NULL)
        return false;
    snprintf(assignment, sizeof assignment, "database=%s", database);
    const char *const first[] = {program, "--run-directory", "/", "--set", assignment};
    struct command_line command_line = {0};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        command_line_add(&command_line, first[i]);
    for (size_t i = 0; i < n_words; i++)
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

/* The exporter would make one. */
static enum exit_code check(const char *path)
{
    struct database database;
    enum exit_code code = database_open(path, &database);
    if (code == EXIT_CODE_OK)
        database_close(&database);
    return code;
}

enum exit_code exporter_job(const char *path, const char *const *words, size_t n_words)
{
    if (strlen(path) >= PATH_SIZE) {
        log_error("--database: the path is too long");
        return EXIT_CODE_USAGE;
    }
    enum exit_code code = check(path);
    if (code != EXIT_CODE_OK)
        return code;
    return run_exporter(path, words, n_words) ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
