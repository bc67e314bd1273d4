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

#include "cli/supervisor/process.h"
#include "cli/supervisor/remains.h"
#include "cli/supervisor/roster.h"
#include "cli/supervisor/supervisor_internal.h"
#include "common/clock_reading.h"
#include "common/log.h"

int64_t supervisor_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t supervisor_wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_interrupt(struct supervisor *supervisor)
{
    if (++supervisor->n_interrupts > 1) {
        log_error("interrupted twice: ended at once, the last packets may be missing");
        supervisor_kill_all(supervisor);
        return;
    }
    service_stopping(&supervisor->service);
    part_interrupt(supervisor);
    log_info("stopping: what was read so far goes into the database (once more: stop at once)");
    for (size_t i = 0; i < supervisor->crew.n; i++)
        if (supervisor->crew.members[i].process.role == PROCESS_CAPTURE)
            process_signal(&supervisor->crew.members[i].process, SIGTERM);
}

static struct crew_member *find_member(struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < supervisor->crew.n; i++)
        if (supervisor->crew.members[i].process.pid == pid)
            return &supervisor->crew.members[i];
    return NULL;
}

static void on_child(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct crew_member *member = find_member(supervisor, pid);
        if (member == NULL)
            continue;
        supervisor_note_end(supervisor, member, status);
        roster_write(&supervisor->directory, &supervisor->crew);
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

/* The signals and the directory: for all that one call does. */
static int supervisor_open(struct supervisor *supervisor, const struct supervisor_plan *plan)
{
    *supervisor = (struct supervisor){.plan = plan,
                                      .directory = {.lock = -1, .role_lock = -1},
                                      .signals = -1,
                                      .shared = {-1, -1}};
    int result = watch_signals(supervisor); /* first: no signal may leave a directory behind */
    if (result == 0)
        result = run_directory_open(plan->settings->config.run_directory, plan->role,
                                    &supervisor->directory);
    return result == 0 ? run_directory_give(&supervisor->directory, &plan->settings->config)
                       : result;
}

/* What the processes of 'plan' need. */
static int crew_open(struct supervisor *supervisor, const struct supervisor_plan *plan,
                     int64_t started_ns)
{
    int result = 0;
    supervisor->plan = plan;
    if (plan->has_progress)
        result = progress_open(&supervisor->progress, crew_workers(plan));
    if (result == 0)
        result = shared_open(plan, supervisor->directory.path, &supervisor->shared);
    struct crew_options options = {
        .run_directory = supervisor->directory.path,
        .progress = plan->has_progress ? &supervisor->progress : NULL,
        .config = supervisor->shared.config,
        .changes = plan->changes,
        .started_ns = started_ns,
        .clock_anchor_ns = clock_reading_difference_ns(),
        .pages = supervisor->shared.pages,
    };
    if (result == 0)
        result = crew_create(plan, &options, &supervisor->crew);
    if (result != 0)
        return result;
    supervisor->polled = calloc(1 + supervisor->progress.n_workers, sizeof *supervisor->polled);
    assert(supervisor->polled != NULL);
    return 0;
}

static void crew_close(struct supervisor *supervisor)
{
    shared_close(&supervisor->shared);
    free(supervisor->polled);
    supervisor->polled = NULL;
    roster_remove(&supervisor->directory);
    crew_deinit(&supervisor->crew);
    progress_close(&supervisor->progress);
    supervisor->kill_ns = 0;
    supervisor->is_complete = false;
}

/* The signals last: one that comes late must not leave a directory behind. */
static void supervisor_close(struct supervisor *supervisor)
{
    run_directory_close(&supervisor->directory);
    if (supervisor->signals >= 0) {
        close(supervisor->signals);
        sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    }
}

static void start(struct supervisor *supervisor, struct crew_member *member)
{
    bool is_worker = member->process.role == PROCESS_CAPTURE;
    const struct progress *progress = supervisor->plan->has_progress ? &supervisor->progress : NULL;
    struct process_descriptors descriptors = {
        .has_standard_input = member->has_standard_input,
        .passed = {supervisor->shared.config, -1, -1, is_worker ? supervisor->shared.pages : -1},
    };
    if (is_worker && progress != NULL)
        descriptors.passed[1] = progress->workers[member->worker].write_end;
    if (is_worker && member->worker == 0 && supervisor->plan->changes != 0)
        descriptors.passed[2] = supervisor->plan->changes;
    restart_begin(&member->restart, supervisor_now_ns());
    if (is_worker && supervisor->n_interrupts > 0 && !member->is_stopping) {
        member->is_stopping = true;
        command_line_insert(&member->command_line, 1, "--stop");
    }
    if (process_start(&member->process, &member->command_line, &descriptors) != 0) {
        member->state = MEMBER_ENDED;
        supervisor_stop_all(supervisor);
        return;
    }
    member->state = MEMBER_RUNNING;
    member->is_last = false;
    if (member->restart.n > 0)
        log_warning("%s: started again (%u)", member->process.name, member->restart.n);
}

/* All, or as many as could be started before one failed. */
static void start_all(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n && !supervisor->is_failed; i++)
        start(supervisor, &supervisor->crew.members[i]);
    roster_write(&supervisor->directory, &supervisor->crew);
}

/* Those whose time to be started again has come. */
static void restart_due(struct supervisor *supervisor)
{
    bool is_over = supervisor->is_failed || supervisor->is_complete || part_has_left(supervisor);
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        struct crew_member *member = &supervisor->crew.members[i];
        if (member->state != MEMBER_WAITING)
            continue;
        if (is_over)
            member->state = MEMBER_ENDED;
        else if (member->restart.due_ns <= supervisor_now_ns())
            start(supervisor, member);
        else
            continue;
        roster_write(&supervisor->directory, &supervisor->crew);
    }
}

/* When something is to be done although nothing happens; INT64_MAX: never. */
static int64_t next_due_ns(const struct supervisor *supervisor)
{
    int64_t due_ns = service_due_ns(&supervisor->service);
    if (part_due_ns(supervisor) < due_ns)
        due_ns = part_due_ns(supervisor);
    if (supervisor->kill_ns != 0 && supervisor->kill_ns < due_ns)
        due_ns = supervisor->kill_ns;
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct crew_member *member = &supervisor->crew.members[i];
        if (member->state == MEMBER_WAITING && member->restart.due_ns < due_ns)
            due_ns = member->restart.due_ns;
    }
    return due_ns;
}

static int wait_ms(const struct supervisor *supervisor)
{
    int64_t due_ns = next_due_ns(supervisor);
    if (due_ns == INT64_MAX)
        return -1;
    int64_t left_ns = due_ns - supervisor_now_ns();
    return left_ns > 0 ? (int)(left_ns / 1000000) + 1 : 0;
}

static void wait_for_news(struct supervisor *supervisor)
{
    struct pollfd *polled = supervisor->polled;
    size_t n_workers = supervisor->progress.n_workers;
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
}

/* Those that had time to end, and have not. */
static void end_late(struct supervisor *supervisor)
{
    bool was_failed = supervisor->is_failed;
    if (!was_failed && supervisor->is_complete)
        log_warning("%s has ended, others have not: they are ended", supervisor->left_early);
    else if (!was_failed)
        log_error("%s: ended before those that send to it", supervisor->left_early);
    supervisor_kill_all(supervisor);
    supervisor->is_failed = was_failed || !supervisor->is_complete;
}

static bool has_members(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n; i++)
        if (supervisor->crew.members[i].state != MEMBER_ENDED)
            return true;
    return false;
}

void supervisor_pause(struct supervisor *supervisor, int wait_ms)
{
    struct pollfd polled = {.fd = supervisor->signals, .events = POLLIN};
    if (poll(&polled, 1, wait_ms) > 0)
        on_signals(supervisor);
}

static void watch(struct supervisor *supervisor)
{
    while (has_members(supervisor)) {
        wait_for_news(supervisor);
        service_turn(&supervisor->service, supervisor->directory.path, supervisor_now_ns());
        part_turn(supervisor);
        restart_due(supervisor);
        supervisor_tell_last(supervisor);
        if (supervisor->kill_ns != 0 && supervisor_now_ns() >= supervisor->kill_ns)
            end_late(supervisor);
    }
}

int supervisor_run_crew(struct supervisor *supervisor, const struct supervisor_plan *plan,
                        int64_t started_ns)
{
    int result = crew_open(supervisor, plan, started_ns);
    if (result == 0) {
        start_all(supervisor);
        watch(supervisor);
    }
    crew_close(supervisor);
    return result < 0 || supervisor->is_failed ? -1 : 0;
}

/* What a run that was killed has left goes into its database, before anything new does. The same
 * run again goes on: '*is_run' says so. */
static int bring_in_remains(struct supervisor *supervisor, bool *is_run)
{
    const char *directory = supervisor->directory.path;
    const struct supervisor_plan *plan = supervisor->plan;
    struct remains remains;
    enum remains_found found = remains_find(directory, &remains);
    int result = found == REMAINS_UNKNOWN ? -1 : 0;
    if (found == REMAINS_FOUND) {
        struct supervisor_plan same = *plan;
        same.settings = &remains.settings;
        *is_run = remains_is_same(&remains, plan);
        log_info("%s: a run was killed: %s", directory,
                 *is_run ? "it goes on" : "what it has left goes into its database");
        result =
            supervisor_run_crew(supervisor, *is_run ? &same : &remains.plan, remains.started_ns);
        supervisor->plan = plan;
    }
    if (found == REMAINS_FOUND && result == 0)
        remains_clear(directory);
    remains_deinit(&remains);
    return result;
}

/* Its own remains are there for the next run only if it is killed with its processes. */
static int run_plan(struct supervisor *supervisor)
{
    const char *directory = supervisor->directory.path;
    const struct supervisor_plan *plan = supervisor->plan;
    int64_t started_ns = supervisor_wall_time_ns();
    int result = remains_prepare(directory, plan, crew_workers(plan), started_ns);
    if (result == 0)
        result = supervisor_run_crew(supervisor, plan, started_ns);
    remains_clear(directory);
    return result;
}

static int run_whole(struct supervisor *supervisor)
{
    bool is_run = false;
    int result = bring_in_remains(supervisor, &is_run);
    if (result == 0 && !is_run && supervisor->n_interrupts == 0)
        result = run_plan(supervisor);
    return result;
}

enum supervisor_result supervisor_run(const struct supervisor_plan *plan)
{
    struct supervisor supervisor;
    bool is_left = false;
    int result = supervisor_open(&supervisor, plan);
    if (result == 0) {
        service_open(&supervisor.service, plan->role);
        result = plan->role != NULL ? part_run(&supervisor, &is_left) : run_whole(&supervisor);
    }
    supervisor_close(&supervisor);
    if (result < 0)
        return SUPERVISOR_FAILED;
    if (is_left)
        return SUPERVISOR_LEFT;
    return supervisor.n_interrupts > 0 ? SUPERVISOR_INTERRUPTED : SUPERVISOR_DONE;
}
