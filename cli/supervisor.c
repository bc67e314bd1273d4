#include "cli/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/supervisor/crew.h"
#include "cli/supervisor/process.h"
#include "cli/supervisor/progress.h"
#include "cli/supervisor/run_directory.h"
#include "common/log.h"

static const int64_t STOP_TIME_NS = 5000000000;

struct supervisor {
    const struct supervisor_plan *plan;
    struct run_directory directory;
    struct crew crew;
    struct progress progress;
    struct pollfd *polled; /* the signals, then each worker's progress */
    sigset_t old_mask;
    int signals; /* signalfd; -1: not open */
    int config;  /* of settings_share(); -1: not open */
    size_t n_running;
    unsigned n_interrupts;
    bool is_failed;
    int64_t kill_ns;        /* monotonic; 0: nobody is to be killed */
    const char *left_early; /* the process that this is for, if none has failed */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void signal_all(struct supervisor *supervisor, int signal_number)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        struct process *process = &supervisor->crew.members[i].process;
        process->is_stopped_by_us = true;
        process_signal(process, signal_number);
    }
}

/* One has failed: the others cannot finish without it. */
static void stop_all(struct supervisor *supervisor)
{
    if (supervisor->is_failed)
        return;
    supervisor->is_failed = true;
    supervisor->kill_ns = now_ns() + STOP_TIME_NS;
    signal_all(supervisor, SIGTERM);
}

static void kill_all(struct supervisor *supervisor)
{
    supervisor->is_failed = true;
    supervisor->kill_ns = 0;
    signal_all(supervisor, SIGKILL);
}

static void on_interrupt(struct supervisor *supervisor)
{
    if (++supervisor->n_interrupts > 1) {
        log_error("interrupted twice: ended at once, the last packets may be missing");
        kill_all(supervisor);
        return;
    }
    log_info("stopping: what was read so far goes into the database (once more: stop at once)");
    for (size_t i = 0; i < supervisor->crew.n; i++)
        if (supervisor->crew.members[i].process.role == PROCESS_CAPTURE)
            process_signal(&supervisor->crew.members[i].process, SIGTERM);
}

static struct process *find_process(struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < supervisor->crew.n; i++)
        if (supervisor->crew.members[i].process.pid == pid)
            return &supervisor->crew.members[i].process;
    return NULL;
}

/* Is a process running whose packets or records this one was there to take? */
static bool has_upstream(const struct supervisor *supervisor, const struct process *process)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct process *other = &supervisor->crew.members[i].process;
        if (other->pid != 0 && other->role > process->role)
            return true;
    }
    return false;
}

static const struct process *find_left_early(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct process *process = &supervisor->crew.members[i].process;
        if (process->pid == 0 && has_upstream(supervisor, process))
            return process;
    }
    return NULL;
}

/* One has ended well. Those upstream of it are about to: they have said goodbye, or wait for ever.
 * Once they have, those downstream take the time they need. */
static void limit_upstream(struct supervisor *supervisor)
{
    const struct process *early = find_left_early(supervisor);
    if (supervisor->is_failed)
        return;
    if (early == NULL)
        supervisor->kill_ns = 0;
    else if (supervisor->kill_ns == 0)
        supervisor->kill_ns = now_ns() + STOP_TIME_NS;
    supervisor->left_early = early != NULL ? early->name : NULL;
}

static void on_child(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct process *process = find_process(supervisor, pid);
        if (process == NULL)
            continue;
        supervisor->n_running--;
        if (process_ended(process, status))
            limit_upstream(supervisor);
        else
            stop_all(supervisor);
    }
}

static void on_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            on_child(supervisor);
        else
            on_interrupt(supervisor);
    }
}

/* SIGCHLD and the signals that end a run become readable on a descriptor: they can neither be
 * missed between two looks nor interrupt anything. */
static int watch_signals(struct supervisor *supervisor)
{
    static const int watched[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        sigaddset(&mask, watched[i]);
    sigprocmask(SIG_BLOCK, &mask, &supervisor->old_mask);
    supervisor->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (supervisor->signals >= 0)
        return 0;
    int error = errno;
    sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    log_error("signalfd: %s", strerror(error));
    return -error;
}

static int share_config(struct supervisor *supervisor)
{
    supervisor->config = settings_share(supervisor->plan->settings);
    if (supervisor->config >= 0)
        return 0;
    log_error("the configuration cannot be passed on: %s", strerror(-supervisor->config));
    return supervisor->config;
}

static int supervisor_open(struct supervisor *supervisor, const struct supervisor_plan *plan)
{
    *supervisor =
        (struct supervisor){.plan = plan, .directory = {.lock = -1}, .signals = -1, .config = -1};
    int result = watch_signals(supervisor); /* first: no signal may leave a directory behind */
    if (result == 0)
        result = run_directory_open(plan->settings->config.run_directory, &supervisor->directory);
    if (result == 0 && plan->has_progress)
        result = progress_open(&supervisor->progress, crew_workers(plan));
    if (result == 0)
        result = share_config(supervisor);
    struct crew_options options = {
        .run_directory = supervisor->directory.path,
        .progress = plan->has_progress ? &supervisor->progress : NULL,
        .config = supervisor->config,
        .changes = plan->changes,
    };
    if (result == 0)
        result = crew_create(plan, &options, &supervisor->crew);
    if (result != 0)
        return result;
    supervisor->polled = calloc(1 + supervisor->progress.n_workers, sizeof *supervisor->polled);
    assert(supervisor->polled != NULL);
    return 0;
}

static void supervisor_close(struct supervisor *supervisor)
{
    if (supervisor->signals >= 0) {
        close(supervisor->signals);
        sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    }
    if (supervisor->config >= 0)
        close(supervisor->config);
    free(supervisor->polled);
    crew_deinit(&supervisor->crew);
    progress_close(&supervisor->progress);
    run_directory_close(&supervisor->directory);
}

/* From now on only the worker holds the pipe: its end is seen. */
static void give_away(struct progress_worker *worker)
{
    close(worker->write_end);
    worker->write_end = -1;
}

/* All, or as many as could be started before one failed. */
static void start_all(struct supervisor *supervisor)
{
    bool has_progress = supervisor->plan->has_progress;
    for (size_t i = 0; i < supervisor->crew.n && !supervisor->is_failed; i++) {
        struct crew_member *member = &supervisor->crew.members[i];
        bool is_worker = has_progress && member->process.role == PROCESS_CAPTURE;
        bool is_first = member->process.role == PROCESS_CAPTURE && member->worker == 0 &&
                        supervisor->plan->changes != 0;
        struct progress_worker *progress =
            is_worker ? &supervisor->progress.workers[member->worker] : NULL;
        struct process_descriptors descriptors = {
            .has_standard_input = member->has_standard_input,
            .passed = {supervisor->config, progress != NULL ? progress->write_end : -1,
                       is_first ? supervisor->plan->changes : -1},
        };
        if (process_start(&member->process, &member->command_line, &descriptors) == 0)
            supervisor->n_running++;
        else
            stop_all(supervisor);
        if (progress != NULL)
            give_away(progress);
    }
}

static int wait_ms(const struct supervisor *supervisor)
{
    if (supervisor->kill_ns == 0)
        return -1;
    int64_t left_ns = supervisor->kill_ns - now_ns();
    return left_ns > 0 ? (int)(left_ns / 1000000) + 1 : 0;
}

static void watch(struct supervisor *supervisor)
{
    struct pollfd *polled = supervisor->polled;
    size_t n_workers = supervisor->progress.n_workers;
    while (supervisor->n_running > 0) {
        polled[0] = (struct pollfd){.fd = supervisor->signals, .events = POLLIN};
        for (size_t i = 0; i < n_workers; i++)
            polled[1 + i] =
                (struct pollfd){.fd = supervisor->progress.workers[i].read_end, .events = POLLIN};
        if (poll(polled, 1 + n_workers, wait_ms(supervisor)) < 0 && errno != EINTR)
            log_warning("poll: %s", strerror(errno));
        if (polled[0].revents != 0)
            on_signals(supervisor);
        for (size_t i = 0; i < n_workers; i++)
            if (polled[1 + i].revents != 0)
                progress_read(&supervisor->progress, i);
        if (supervisor->kill_ns == 0 || now_ns() < supervisor->kill_ns)
            continue;
        if (!supervisor->is_failed)
            log_error("%s: ended before those that send to it", supervisor->left_early);
        kill_all(supervisor);
    }
}

enum supervisor_result supervisor_run(const struct supervisor_plan *plan)
{
    struct supervisor supervisor;
    enum supervisor_result result = SUPERVISOR_FAILED;
    if (supervisor_open(&supervisor, plan) == 0) {
        start_all(&supervisor);
        watch(&supervisor);
        if (!supervisor.is_failed)
            result = supervisor.n_interrupts > 0 ? SUPERVISOR_INTERRUPTED : SUPERVISOR_DONE;
    }
    supervisor_close(&supervisor);
    return result;
}
