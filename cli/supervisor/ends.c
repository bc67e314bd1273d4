/* What follows from the end of a process: a restart, patience, or the end of all. */
#include <signal.h>
#include <sys/wait.h>

#include "cli/supervisor/restart.h"
#include "cli/supervisor/supervisor_internal.h"
#include "common/log.h"
#include "common/process_status.h"

static const int64_t STOP_TIME_NS = 5000000000;

void supervisor_signal_all(struct supervisor *supervisor, int signal_number)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        struct process *process = &supervisor->crew.members[i].process;
        process->is_stopped_by_us = true;
        process_signal(process, signal_number);
    }
}

/* One has failed: the others cannot finish without it. */
void supervisor_stop_all(struct supervisor *supervisor)
{
    if (supervisor->is_failed)
        return;
    supervisor->is_failed = true;
    supervisor->kill_ns = supervisor_now_ns() + STOP_TIME_NS;
    supervisor_signal_all(supervisor, SIGTERM);
}

void supervisor_kill_all(struct supervisor *supervisor)
{
    supervisor->is_failed = true;
    supervisor->kill_ns = 0;
    supervisor_signal_all(supervisor, SIGKILL);
}

/* Is a process there whose packets or records this one was there to take? */
static bool has_upstream(const struct supervisor *supervisor, const struct process *process)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct crew_member *other = &supervisor->crew.members[i];
        if (other->state != MEMBER_ENDED && other->process.role > process->role)
            return true;
    }
    return false;
}

void supervisor_tell_last(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        struct crew_member *member = &supervisor->crew.members[i];
        if (member->process.role == PROCESS_CAPTURE || member->state != MEMBER_RUNNING ||
            member->is_last || supervisor->is_failed)
            continue;
        member->is_last = supervisor->plan->role != NULL
                              ? part_is_last(supervisor)
                              : !has_upstream(supervisor, &member->process);
        if (member->is_last)
            process_signal(&member->process, PROCESS_IS_LAST);
    }
}

static const struct process *find_left_early(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct crew_member *member = &supervisor->crew.members[i];
        if (member->state == MEMBER_ENDED && has_upstream(supervisor, &member->process))
            return &member->process;
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
        supervisor->kill_ns = supervisor_now_ns() + STOP_TIME_NS;
    supervisor->left_early = early != NULL ? early->name : NULL;
}

static void on_good_end(struct supervisor *supervisor, struct crew_member *member)
{
    if (member->process.role == PROCESS_EXPORTER)
        supervisor->is_complete = true;
    limit_upstream(supervisor);
}

/* Did it find that it need not be tried, or not again? */
static bool is_final(const struct crew_member *member, int status)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) == PROCESS_FAILED)
        return false;
    return WEXITSTATUS(status) != PROCESS_CANNOT_START || !member->has_served;
}

/* Live, and nobody waits for its end: it is tried for ever. */
static bool is_hopeless(const struct supervisor *supervisor, const struct crew_member *member)
{
    const struct supervisor_plan *plan = supervisor->plan;
    bool has_an_end = plan->n_files > 0 || plan->is_left || supervisor->n_interrupts > 0;
    return has_an_end && restart_is_hopeless(&member->restart);
}

static void give_up(struct supervisor *supervisor, const struct crew_member *member)
{
    bool is_needed_by_all = member->process.role != PROCESS_CAPTURE && !member->has_served;
    if (is_needed_by_all)
        supervisor_kill_all(supervisor); /* nothing was ever counted */
    else
        supervisor_stop_all(supervisor);
}

static void on_bad_end(struct supervisor *supervisor, struct crew_member *member, int status)
{
    if (supervisor->is_complete || supervisor->is_failed || part_has_left(supervisor))
        return; /* nothing was left for it to do */
    if (is_final(member, status)) {
        give_up(supervisor, member);
        return;
    }
    if (member->is_once) {
        log_error("%s: its input cannot be read again", member->process.name);
        supervisor_stop_all(supervisor);
        return;
    }
    member->has_served = true;
    restart_die(&member->restart, supervisor_now_ns());
    if (is_hopeless(supervisor, member)) {
        log_error("%s: died %u times in a row: given up", member->process.name,
                  member->restart.n_in_a_row);
        supervisor_stop_all(supervisor);
        return;
    }
    member->state = MEMBER_WAITING;
}

void supervisor_note_end(struct supervisor *supervisor, struct crew_member *member, int status)
{
    member->state = MEMBER_ENDED;
    if (process_ended(&member->process, status))
        on_good_end(supervisor, member);
    else
        on_bad_end(supervisor, member, status);
}
