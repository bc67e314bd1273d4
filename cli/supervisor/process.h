/* process: one process of the pipeline, started and watched by the supervisor.
 *
 *     program = process_program(PROCESS_TRACKER);
 *     command_line_add(&command_line, program); …
 *     process_start(&process, &command_line, &descriptors);
 *     process_signal(&process, SIGTERM);
 *     process_ended(&process, status);                         after waitpid()
 *
 * A process dies with its supervisor (PR_SET_PDEATHSIG), is in a process group of its own, so that
 * a terminal's Ctrl-C reaches the supervisor only, and has no descriptor but the standard three and
 * what it is given. */
#ifndef WANMETER_CLI_PROCESS_H
#define WANMETER_CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_NAME_MAX = 31, PROCESS_PATH_MAX = 4096 };

enum process_role { PROCESS_EXPORTER, PROCESS_TRACKER, PROCESS_CAPTURE, PROCESS_ROLES };

struct process {
    enum process_role role;
    char name[PROCESS_NAME_MAX + 1]; /* "tracker-0", for messages */
    pid_t pid;                       /* 0: not running */
    bool is_stopped_by_us;
};

/* A NULL-terminated argv that owns its strings. Lack of memory aborts. */
struct command_line {
    char **items;
    size_t n;
};

void command_line_add(struct command_line *command_line, const char *text);
void command_line_insert(struct command_line *command_line, size_t place, const char *text);
void command_line_add_number(struct command_line *command_line, size_t number);
void command_line_deinit(struct command_line *command_line);

/* The path of a role's program: beside this one in a build tree, else where they are installed.
 * NULL (logged): it cannot be run. The caller frees it. */
char *process_program(enum process_role role);

struct process_descriptors {
    bool has_standard_input; /* else /dev/null */
    int passed[4];           /* stay open, by their numbers; -1: none */
};

/* Starts it. 0 or -errno (logged). */
int process_start(struct process *process, const struct command_line *command_line,
                  const struct process_descriptors *descriptors);

void process_signal(const struct process *process, int signal_number);

/* Notes its end; false, and a log line that says how, if it failed. 'status' as of waitpid(). */
bool process_ended(struct process *process, int status);

#endif
