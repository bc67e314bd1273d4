#include "cli/supervisor/run_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/report.h"
#include "common/sandbox.h"
#include "common/sandbox/sandbox_user.h"

static const char *const LOCK_NAME = "lock";
enum { MODE = 0750, LOCK_TRIES = 20, LOCK_PATH_SIZE = RUN_DIRECTORY_PATH_MAX + 24 };

static int fail(const char *path, int error)
{
    log_error("run directory %s: %s", path, strerror(error));
    return -error;
}

/* A directory of its own below $XDG_RUNTIME_DIR, $TMPDIR or /tmp: the first that is set, short and
 * open. */
static int make_own(struct run_directory *directory)
{
    const char *places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == NULL || places[i][0] != '/')
            continue;
        int length =
            snprintf(directory->path, sizeof directory->path, "%s/wanmeter-XXXXXX", places[i]);
        if (length > RUN_DIRECTORY_PATH_MAX || mkdtemp(directory->path) == NULL)
            continue;
        directory->is_made_here = true;
        return chmod(directory->path, MODE) == 0 ? 0 : fail(directory->path, errno);
    }
    return fail(directory->path, errno);
}

static int make_wanted(const char *wanted, struct run_directory *directory)
{
    size_t length = strlen(wanted);
    if (length > RUN_DIRECTORY_PATH_MAX)
        return fail(wanted, ENAMETOOLONG);
    memcpy(directory->path, wanted, length + 1);
    if (mkdir(directory->path, MODE) == 0)
        directory->is_made_here = true;
    else if (errno != EEXIST)
        return fail(directory->path, errno);
    return 0;
}

void run_directory_lock_path(const char *path, const char *role, char *lock_path, size_t size)
{
    snprintf(lock_path, size, role != NULL ? "%s/%s-%s" : "%s/%s", path, LOCK_NAME, role);
}

/* Descriptor, or -errno. Who had it before may have removed the file since we opened it: then that
 * keeps nobody out. */
static int lock_file(const char *path, int operation)
{
    for (;;) {
        struct stat state;
        int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (descriptor < 0)
            return -errno;
        int error = flock(descriptor, operation | LOCK_NB) == 0 ? 0 : errno;
        if (error == 0 && fstat(descriptor, &state) == 0 && state.st_nlink > 0)
            return descriptor;
        close(descriptor);
        if (error != 0)
            return -error;
    }
}

/* Others look at a lock by taking it for a moment. */
static int lock_patiently(const char *path, int operation)
{
    static const struct timespec pause = {.tv_nsec = 50000000};
    int descriptor = lock_file(path, operation);
    for (int i = 0; i < LOCK_TRIES && descriptor == -EWOULDBLOCK; i++) {
        nanosleep(&pause, NULL);
        descriptor = lock_file(path, operation);
    }
    return descriptor;
}

static int refuse(const struct run_directory *directory, const char *role, int error)
{
    if (error != EWOULDBLOCK)
        return fail(directory->path, error);
    if (role != NULL)
        log_error("run directory %s: another wanmeter has the role %s in it", directory->path,
                  role);
    else
        log_error("run directory %s: another wanmeter uses it", directory->path);
    return -error;
}

static int take_lock(struct run_directory *directory)
{
    char path[LOCK_PATH_SIZE];
    const char *role = directory->role;
    run_directory_lock_path(directory->path, NULL, path, sizeof path);
    int lock = role != NULL ? lock_patiently(path, LOCK_SH) : lock_file(path, LOCK_EX);
    if (lock < 0)
        return refuse(directory, NULL, -lock);
    directory->lock = lock;
    if (role == NULL)
        return 0;
    run_directory_lock_path(directory->path, role, path, sizeof path);
    lock = lock_patiently(path, LOCK_EX);
    if (lock >= 0) {
        directory->role_lock = lock;
        return 0;
    }
    close(directory->lock);
    directory->lock = -1;
    return refuse(directory, role, -lock);
}

/* The last one out removes the lock of all. */
static void give_locks_back(struct run_directory *directory)
{
    char path[LOCK_PATH_SIZE];
    if (directory->role != NULL) {
        run_directory_lock_path(directory->path, directory->role, path, sizeof path);
        unlink(path);
    }
    run_directory_lock_path(directory->path, NULL, path, sizeof path);
    if (directory->role == NULL || flock(directory->lock, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
}

/* Closed, and with that free, only when the directory is ours no more. */
static void close_locks(struct run_directory *directory)
{
    if (directory->role_lock >= 0)
        close(directory->role_lock);
    close(directory->lock);
    directory->lock = directory->role_lock = -1;
}

static bool is_page(const char *name)
{
    const char *end = strrchr(name, '.');
    return end != NULL && strcmp(end, ".page") == 0;
}

/* What processes make there in any case: sockets, and what they report. */
static bool is_passing(const char *name, const struct stat *state)
{
    return S_ISSOCK(state->st_mode) || strncmp(name, REPORT_PREFIX, strlen(REPORT_PREFIX)) == 0;
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Is it what that role's processes make? */
static bool is_of_role(const char *role, const char *name)
{
    static const char *const sockets[][4] = {{"exporter", "exporter.", "events.", "control."},
                                             {"tracker", "tracker-", "ct-", "ct-"},
                                             {"capture", "change.", "change.", "change."}};
    if (role == NULL)
        return true;
    if (begins_with(name, REPORT_PREFIX))
        return begins_with(name + strlen(REPORT_PREFIX), role);
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
        if (strcmp(sockets[i][0], role) == 0)
            return begins_with(name, sockets[i][1]) || begins_with(name, sockets[i][2]) ||
                   begins_with(name, sockets[i][3]);
    return false;
}

/* Sockets and reports; at the end of a run also the pages of its processes (tracker/hand.h,
 * capture/source/interface_page.h), which a killed run leaves for the next. What was set aside
 * stays. */
static void clear(const struct run_directory *directory, const char *role, bool is_end)
{
    DIR *entries = opendir(directory->path);
    if (entries == NULL)
        return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        struct stat state;
        if (fstatat(dirfd(entries), entry->d_name, &state, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bool is_left_page = is_end && S_ISREG(state.st_mode) && is_page(entry->d_name);
        bool is_ours = is_of_role(role, entry->d_name);
        if ((is_passing(entry->d_name, &state) && is_ours) || is_left_page)
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
}

int run_directory_open(const char *wanted, const char *role, struct run_directory *directory)
{
    *directory = (struct run_directory){.role = role, .lock = -1, .role_lock = -1};
    int result =
        wanted == NULL || wanted[0] == '\0' ? make_own(directory) : make_wanted(wanted, directory);
    if (result == 0)
        result = take_lock(directory);
    if (result == 0 && role == NULL)
        clear(directory, NULL, false);
    else if (result != 0 && directory->is_made_here)
        rmdir(directory->path);
    return result;
}

void run_directory_clear(const struct run_directory *directory, const char *role)
{
    clear(directory, role, false);
}

/* Besides locks. */
static bool is_empty(const struct run_directory *directory)
{
    DIR *entries = opendir(directory->path);
    size_t n = 0;
    if (entries == NULL)
        return false;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !begins_with(entry->d_name, LOCK_NAME))
            n++;
    closedir(entries);
    return n == 0;
}

static int give_to(const struct run_directory *directory, const struct sandbox_user *user)
{
    struct stat state;
    bool was_empty =
        is_empty(directory); /* before: another role's supervisor gives it, then fills it */
    if (geteuid() != 0 || stat(directory->path, &state) != 0 || state.st_uid == user->uid)
        return 0;
    bool is_roots = state.st_uid == 0 && (state.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    if (!is_roots || !was_empty) {
        log_error("run directory %s: it is not user %u's, whom the processes become "
                  "(security.user), and not root's and empty",
                  directory->path, user->uid);
        return -EACCES;
    }
    return lchown(directory->path, user->uid, user->gid) == 0 ? 0 : fail(directory->path, errno);
}

int run_directory_give(const struct run_directory *directory, const struct config *config)
{
    struct sandbox_user user;
    if (sandbox_mode_of(config) == SANDBOX_OFF)
        return 0;
    int result = sandbox_user_find(config, &user);
    return result == 0 ? give_to(directory, &user) : result;
}

void run_directory_close(struct run_directory *directory)
{
    if (directory->lock < 0)
        return;
    if (directory->role == NULL)
        clear(directory, NULL, true);
    give_locks_back(directory);
    bool is_left = directory->is_made_here && rmdir(directory->path) != 0;
    if (is_left && directory->role == NULL)
        log_warning("run directory %s: %s", directory->path, strerror(errno));
    close_locks(directory);
}
