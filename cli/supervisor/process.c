#include "cli/supervisor/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process_status.h"

static const char *const role_names[PROCESS_ROLES] = {
    [PROCESS_EXPORTER] = "exporter",
    [PROCESS_TRACKER] = "tracker",
    [PROCESS_CAPTURE] = "capture",
};

void command_line_add(struct command_line *command_line, const char *text)
{
    command_line->items =
        reallocarray(command_line->items, command_line->n + 2, sizeof *command_line->items);
    assert(command_line->items != NULL);
    command_line->items[command_line->n] = strdup(text);
    assert(command_line->items[command_line->n] != NULL);
    command_line->items[++command_line->n] = NULL;
}

void command_line_insert(struct command_line *command_line, size_t place, const char *text)
{
    assert(place <= command_line->n);
    command_line_add(command_line, text);
    char *added = command_line->items[command_line->n - 1];
    memmove(command_line->items + place + 1, command_line->items + place,
            (command_line->n - 1 - place) * sizeof *command_line->items);
    command_line->items[place] = added;
}

void command_line_add_number(struct command_line *command_line, size_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", number);
    command_line_add(command_line, text);
}

void command_line_deinit(struct command_line *command_line)
{
    for (size_t i = 0; i < command_line->n; i++)
        free(command_line->items[i]);
    free(command_line->items);
    *command_line = (struct command_line){0};
}

/* The directory of this program; "" where that is not known. */
static void own_directory(char directory[PROCESS_PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", directory, PROCESS_PATH_MAX - 1);
    directory[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        *slash = '\0';
}

char *process_program(enum process_role role)
{
    char directory[PROCESS_PATH_MAX];
    char *path = NULL;
    const char *name = role_names[role];
    own_directory(directory);
    int length = asprintf(&path, "%s/../%s/wanmeter-%s", directory, name, name);
    assert(length > 0);
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    length = asprintf(&path, "%s/wanmeter-%s", PROCESS_DIRECTORY, name);
    assert(length > 0);
    if (access(path, X_OK) == 0)
        return path;
    log_error("%s: %s", path, strerror(errno));
    free(path);
    return NULL;
}

static void take_descriptors(const struct process_descriptors *descriptors)
{
    if (!descriptors->has_standard_input) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0)
            dup2(null, STDIN_FILENO);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO); /* standard output is for the command's result */
    for (size_t i = 0; i < sizeof descriptors->passed / sizeof *descriptors->passed; i++)
        if (descriptors->passed[i] >= 0)
            fcntl(descriptors->passed[i], F_SETFD, 0);
}

/* systemd hears of the supervisor, not of each process. */
static void leave_service(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
}

/* Signals that come before it listens (common/loop.h) wait until it does. */
static void set_held(sigset_t *held)
{
    sigemptyset(held);
    sigaddset(held, SIGINT);
    sigaddset(held, SIGTERM);
    sigaddset(held, PROCESS_IS_LAST);
}

/* In the child. Does not return. */
static void become(const struct command_line *command_line, pid_t parent, const sigset_t *held,
                   const struct process_descriptors *descriptors)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before prctl() */
        _exit(EXIT_FAILURE);
    take_descriptors(descriptors);
    leave_service();
    sigprocmask(SIG_SETMASK, held, NULL);
    execv(command_line->items[0], command_line->items);
    log_error("%s: %s", command_line->items[0], strerror(errno));
    _exit(EXIT_FAILURE);
}

int process_start(struct process *process, const struct command_line *command_line,
                  const struct process_descriptors *descriptors)
{
    pid_t parent = getpid();
    fflush(NULL); /* nothing buffered may be written twice */
    sigset_t held, before;
    set_held(&held);
    sigprocmask(SIG_BLOCK, &held, &before); /* none may come between fork() and execv() */
    pid_t pid = fork();
    if (pid == 0)
        become(command_line, parent, &held, descriptors);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        log_error("%s: fork: %s", process->name, strerror(error));
        return -error;
    }
    process->pid = pid;
    return 0;
}

void process_signal(const struct process *process, int signal_number)
{
    if (process->pid > 0)
        kill(process->pid, signal_number);
}

bool process_ended(struct process *process, int status)
{
    process->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (process->is_stopped_by_us)
        return false; /* what came first has been said */
    if (WIFSIGNALED(status))
        log_error("%s: killed by signal %d (%s)%s%s", process->name, WTERMSIG(status),
                  strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "",
                  WTERMSIG(status) == SIGSYS ? ": which one it has said, or the kernel's log has"
                                             : "");
    else
        log_error("%s: ended with exit status %d", process->name, WEXITSTATUS(status));
    return false;
}
