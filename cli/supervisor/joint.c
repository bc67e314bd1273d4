#include "cli/supervisor/joint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/supervisor/run_directory.h"
#include "common/log.h"

enum { PATH_SIZE = RUN_DIRECTORY_PATH_MAX + 32, LOCK_TRIES = 100 };

static const char *const roles[] = {"exporter", "tracker", "capture"};
static const char *const marks[] = {[JOINT_ENDED] = "ended", [JOINT_STOPPING] = "stopping"};

static void path_of_mark(const char *run_directory, const char *role, enum joint_mark mark,
                         char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s-%s", run_directory, marks[mark], role);
}

/* ---- the run ---- */

static int open_file(const struct joint *joint, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", joint->run_directory, name);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Others look at a lock by taking it for a moment. */
static bool lock_patiently(int descriptor, int operation)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    bool is_locked = flock(descriptor, operation | LOCK_NB) == 0;
    for (int i = 0; i < LOCK_TRIES && !is_locked; i++) {
        nanosleep(&pause, NULL);
        is_locked = flock(descriptor, operation | LOCK_NB) == 0;
    }
    return is_locked;
}

static bool is_held(int descriptor)
{
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

static bool take_lead(struct joint *joint)
{
    char path[PATH_SIZE];
    joint->lead = open_file(joint, "run.yaml", path);
    return joint->lead >= 0 && lock_patiently(joint->lead, LOCK_EX);
}

static bool is_led(const struct joint *joint)
{
    char path[PATH_SIZE];
    int lead = open_file(joint, "run.yaml", path);
    bool has_leader = lead >= 0 && is_held(lead);
    if (lead >= 0)
        close(lead);
    return has_leader;
}

enum joint_state joint_find(struct joint *joint)
{
    char path[PATH_SIZE];
    joint_leave(joint);
    joint->run = open_file(joint, "run", path);
    if (joint->run < 0)
        return JOINT_NONE;
    return flock(joint->run, LOCK_EX | LOCK_NB) == 0 ? JOINT_ALONE : JOINT_SHARED;
}

/* Is the file still there by that name? */
static bool is_there(int descriptor, const char *path)
{
    struct stat ours, there;
    return fstat(descriptor, &ours) == 0 && stat(path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

bool joint_enter(struct joint *joint)
{
    char path[PATH_SIZE];
    joint_leave(joint);
    joint->run = open_file(joint, "run", path);
    if (joint->run < 0)
        return false;
    /* In this order: one that is not led must seem to have nobody in it, and a run's end removes
     * the run first and the marks after it. */
    bool is_leader = strcmp(joint->role, "exporter") == 0;
    bool is_in = (is_leader ? take_lead(joint) : is_led(joint)) &&
                 flock(joint->run, LOCK_SH | LOCK_NB) == 0 &&
                 !joint_has(joint, joint->role, JOINT_ENDED) && is_there(joint->run, path);
    if (is_in) {
        path_of_mark(joint->run_directory, joint->role, JOINT_STOPPING, path);
        unlink(path);
        return true;
    }
    joint_leave(joint);
    return false;
}

void joint_leave(struct joint *joint)
{
    if (joint->run >= 0)
        close(joint->run);
    if (joint->lead >= 0)
        close(joint->lead);
    joint->run = joint->lead = -1;
}

void joint_be_last(const struct joint *joint)
{
    lock_patiently(joint->run, LOCK_EX);
}

/* ---- what the others are told ---- */

void joint_mark(const struct joint *joint, enum joint_mark mark)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/run", joint->run_directory);
    if (!is_there(joint->run, path))
        return;
    path_of_mark(joint->run_directory, joint->role, mark, path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (descriptor < 0)
        log_error("%s: %s", path, strerror(errno));
    else
        close(descriptor);
}

bool joint_has(const struct joint *joint, const char *role, enum joint_mark mark)
{
    char path[PATH_SIZE];
    path_of_mark(joint->run_directory, role, mark, path);
    return access(path, F_OK) == 0;
}

bool joint_is_alive(const struct joint *joint, const char *role)
{
    char path[PATH_SIZE];
    run_directory_lock_path(joint->run_directory, role, path, sizeof path);
    int lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0)
        return false;
    bool is_alive = is_held(lock);
    close(lock);
    return is_alive;
}

void joint_clear(const char *run_directory)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        path_of_mark(run_directory, roles[i], JOINT_ENDED, path);
        unlink(path);
        path_of_mark(run_directory, roles[i], JOINT_STOPPING, path);
        unlink(path);
    }
}
