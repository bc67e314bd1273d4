/* A supervisor of one role: its part of a run whose other parts are elsewhere (joint.h).
 *
 * The exporter's leads: it begins the run, or goes on with the one that is there, and what is
 * written down of that is the configuration of all. The others follow: they wait for a run, and are
 * in it until their input has ended. The capture workers' input ends when somebody asks for it;
 * then the trackers' has, then the exporter's.
 *
 * Who is asked to end while its input goes on has a successor: its processes are killed, and what
 * they had in hand is sent to those that come after (docs/protocol.md, "Starting again"). Who stops
 * all parts at once need not care in which order: what is upstream may still say that it is
 * stopping, and is waited for. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/supervisor/joint.h"
#include "cli/supervisor/remains.h"
#include "cli/supervisor/supervisor_internal.h"
#include "common/log.h"

enum { LOOK_MS = 100, LOOK_LAST_MS = 1000 };

static const int64_t NS_PER_MS = 1000000;
static const int64_t PATIENCE_NS =
    5000000000; /* for somebody upstream to be told to stop as well */

struct part {
    struct joint joint;
    const char *upstream; /* the role whose end is our input's; NULL: capture, which has none */
    struct remains remains;
    struct supervisor_plan plan; /* as asked for, but of the run's configuration */
    int64_t started_ns;
    int64_t interrupted_ns; /* monotonic */
    bool is_in;             /* its processes are in the run */
    bool has_left;
};

static const char *upstream_of(const char *role)
{
    if (strcmp(role, "exporter") == 0)
        return "tracker";
    return strcmp(role, "tracker") == 0 ? "capture" : NULL;
}

/* ---- into a run ---- */

/* The run that is there: its configuration, its start. */
static void adopt(struct part *part)
{
    part->plan.settings = &part->remains.settings;
    part->started_ns = part->remains.started_ns;
}

/* Others are in it: whatever our configuration says by now, it goes on as it began. */
static int go_on_with_others(const struct supervisor *supervisor, struct part *part)
{
    const char *directory = supervisor->directory.path;
    if (!remains_load(directory, &part->remains)) {
        log_error("%s: there is a run, and what it is cannot be read", directory);
        return -1;
    }
    if (!remains_is_same_database(&part->remains, supervisor->plan)) {
        log_error("%s: a run goes on here, with database %s: stop its other parts first", directory,
                  part->remains.settings.config.database);
        return -1;
    }
    log_info("%s: the run goes on", directory);
    if (!remains_is_same(&part->remains, supervisor->plan))
        log_warning("%s: it was begun with another configuration, which holds until all parts of "
                    "it have been stopped",
                    directory);
    adopt(part);
    return 0;
}

static int begin(const struct supervisor *supervisor, struct part *part)
{
    part->started_ns = supervisor_wall_time_ns();
    return remains_prepare(supervisor->directory.path, &part->plan, crew_workers(&part->plan),
                           part->started_ns);
}

/* Nobody is in a run: what was killed goes on if it is the same, else into its database first. */
static int go_on_or_begin(struct supervisor *supervisor, struct part *part)
{
    const char *directory = supervisor->directory.path;
    enum remains_found found = remains_find(directory, &part->remains);
    int result = found == REMAINS_UNKNOWN ? -1 : 0;
    if (found == REMAINS_FOUND && remains_is_same(&part->remains, supervisor->plan)) {
        log_info("%s: a run was killed: it goes on", directory);
        adopt(part);
        return 0;
    }
    if (found == REMAINS_FOUND) {
        log_info("%s: a run was killed: what it has left goes into its database", directory);
        run_directory_clear(&supervisor->directory, NULL);
        result = supervisor_run_crew(supervisor, &part->remains.plan, part->remains.started_ns);
        run_directory_clear(&supervisor->directory, NULL);
        supervisor->plan = &part->plan;
    }
    return result == 0 && supervisor->n_interrupts == 0 ? begin(supervisor, part) : result;
}

static int lead(struct supervisor *supervisor, struct part *part)
{
    bool is_shared = joint_find(&part->joint) == JOINT_SHARED;
    int result = is_shared ? go_on_with_others(supervisor, part) : go_on_or_begin(supervisor, part);
    if (result == 0 && supervisor->n_interrupts == 0 && !joint_enter(&part->joint)) {
        log_error("%s: run: %s", supervisor->directory.path, strerror(errno));
        result = -1;
    }
    return result;
}

static bool find_run(struct supervisor *supervisor, struct part *part)
{
    if (!joint_enter(&part->joint))
        return false;
    if (remains_load(supervisor->directory.path, &part->remains))
        return true;
    remains_deinit(&part->remains);
    part->remains = (struct remains){0};
    joint_leave(&part->joint);
    return false;
}

static int follow(struct supervisor *supervisor, struct part *part)
{
    const char *directory = supervisor->directory.path;
    bool is_told = false;
    while (supervisor->n_interrupts == 0 && !find_run(supervisor, part)) {
        if (!is_told)
            log_info("%s: waiting for the exporter to begin a run", directory);
        is_told = true;
        service_wait(&supervisor->service, supervisor_now_ns());
        supervisor_pause(supervisor, LOOK_MS);
    }
    if (supervisor->n_interrupts > 0)
        return 0;
    adopt(part);
    int changes = part->upstream == NULL ? remains_changes(directory) : 0;
    part->plan.changes = changes > 0 ? changes : 0;
    return changes < 0 ? changes : 0;
}

/* ---- out of it ---- */

/* All of our input is safe. */
static void end(const struct supervisor *supervisor, const struct part *part)
{
    const char *directory = supervisor->directory.path;
    if (strcmp(part->joint.role, "exporter") == 0) {
        joint_be_last(&part->joint); /* they still have to say that they have ended */
        remains_clear(directory);
        return;
    }
    joint_mark(&part->joint, JOINT_ENDED);
    if (part->upstream == NULL)
        remains_clear_rings(directory);
}

/* Nobody is in the run that we have left, nor has ever captured anything in it. */
static void forget_empty(struct part *part)
{
    struct remains remains;
    const char *directory = part->joint.run_directory;
    if (joint_find(&part->joint) != JOINT_ALONE)
        return;
    if (remains_find(directory, &remains) == REMAINS_NONE)
        remains_clear(directory);
    remains_deinit(&remains);
}

static int run_part(struct supervisor *supervisor, struct part *part)
{
    bool is_leader = strcmp(part->joint.role, "exporter") == 0;
    int result = is_leader ? lead(supervisor, part) : follow(supervisor, part);
    part->is_in = result == 0 && supervisor->n_interrupts == 0;
    part->has_left = !part->is_in;
    if (part->is_in) {
        run_directory_clear(&supervisor->directory, part->joint.role); /* of one that was killed */
        result = supervisor_run_crew(supervisor, &part->plan, part->started_ns);
        run_directory_clear(&supervisor->directory, part->joint.role);
    }
    if (result == 0 && !part->has_left)
        end(supervisor, part);
    else if (result == 0 && is_leader)
        forget_empty(part);
    return result;
}

int part_run(struct supervisor *supervisor, bool *is_left)
{
    const struct supervisor_plan *plan = supervisor->plan;
    struct part part = {
        .joint = {.run_directory = supervisor->directory.path,
                  .role = plan->role,
                  .run = -1,
                  .lead = -1},
        .upstream = upstream_of(plan->role),
        .plan = *plan,
    };
    supervisor->part = &part;
    signal(SIGTERM, SIG_IGN); /* is heard nevertheless (signalfd), and when all has ended no more */
    int result = run_part(supervisor, &part);
    *is_left = part.has_left;
    supervisor->part = NULL;
    supervisor->plan = plan;
    joint_leave(&part.joint);
    remains_deinit(&part.remains);
    if (part.plan.changes != 0 && part.plan.changes != plan->changes)
        close(part.plan.changes);
    return result;
}

/* ---- while it runs ---- */

bool part_has_left(const struct supervisor *supervisor)
{
    return supervisor->part != NULL && supervisor->part->has_left;
}

void part_interrupt(struct supervisor *supervisor)
{
    struct part *part = supervisor->part;
    if (part == NULL || !part->is_in)
        return;
    part->interrupted_ns = supervisor_now_ns();
    joint_mark(&part->joint, JOINT_STOPPING);
}

/* We were asked to end, and our input has not. */
static bool is_waiting(const struct supervisor *supervisor)
{
    const struct part *part = supervisor->part;
    return part != NULL && part->upstream != NULL && part->is_in && !part->has_left &&
           supervisor->n_interrupts > 0 && !supervisor->is_failed &&
           !joint_has(&part->joint, part->upstream, JOINT_ENDED);
}

bool part_is_last(const struct supervisor *supervisor)
{
    const struct part *part = supervisor->part;
    return part != NULL && part->upstream != NULL && part->is_in &&
           joint_has(&part->joint, part->upstream, JOINT_ENDED);
}

/* Is one of ours still to be told that it is the last? */
static bool is_to_tell(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->crew.n; i++) {
        const struct crew_member *member = &supervisor->crew.members[i];
        if (member->process.role != PROCESS_CAPTURE && member->state == MEMBER_RUNNING &&
            !member->is_last)
            return supervisor->part != NULL && supervisor->part->is_in;
    }
    return false;
}

int64_t part_due_ns(const struct supervisor *supervisor)
{
    if (is_waiting(supervisor))
        return supervisor_now_ns() + LOOK_MS * NS_PER_MS;
    return is_to_tell(supervisor) ? supervisor_now_ns() + LOOK_LAST_MS * NS_PER_MS : INT64_MAX;
}

void part_turn(struct supervisor *supervisor)
{
    struct part *part = supervisor->part;
    if (!is_waiting(supervisor))
        return;
    bool may_stop = joint_has(&part->joint, part->upstream, JOINT_STOPPING) ||
                    supervisor_now_ns() - part->interrupted_ns < PATIENCE_NS;
    if (may_stop && joint_is_alive(&part->joint, part->upstream))
        return;
    log_info("%s goes on: what is in hand here is sent to whoever comes after us", part->upstream);
    part->has_left = true;
    supervisor_signal_all(supervisor, SIGKILL);
}
