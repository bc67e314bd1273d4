#include "cli/supervisor/run_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/report.h"
#include "common/sandbox.h"
#include "common/sandbox/sandbox_user.h"

static const char *const LOCK_NAME = "lock";
enum { MODE = 0750 };

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

static int take_lock(struct run_directory *directory)
{
    char path[RUN_DIRECTORY_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", directory->path, LOCK_NAME);
    directory->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (directory->lock < 0)
        return fail(directory->path, errno);
    if (flock(directory->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int error = errno;
    close(directory->lock);
    directory->lock = -1;
    if (error != EWOULDBLOCK)
        return fail(directory->path, error);
    log_error("run directory %s: another wanmeter uses it", directory->path);
    return -error;
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

/* Sockets and reports; at the end of a run also the trackers' pages (tracker/hand.h), which a
 * killed run leaves for the next. What was set aside stays. */
static void clear(const struct run_directory *directory, bool is_end)
{
    DIR *entries = opendir(directory->path);
    if (entries == NULL)
        return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        struct stat state;
        if (fstatat(dirfd(entries), entry->d_name, &state, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bool is_left_page = is_end && S_ISREG(state.st_mode) && is_page(entry->d_name);
        if (is_passing(entry->d_name, &state) || is_left_page)
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
}

int run_directory_open(const char *wanted, struct run_directory *directory)
{
    *directory = (struct run_directory){.lock = -1};
    int result =
        wanted == NULL || wanted[0] == '\0' ? make_own(directory) : make_wanted(wanted, directory);
    if (result == 0)
        result = take_lock(directory);
    if (result == 0)
        clear(directory, false);
    else if (directory->is_made_here)
        rmdir(directory->path);
    return result;
}

/* Besides our lock. */
static bool is_empty(const struct run_directory *directory)
{
    DIR *entries = opendir(directory->path);
    size_t n = 0;
    if (entries == NULL)
        return false;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, LOCK_NAME) != 0)
            n++;
    closedir(entries);
    return n == 0;
}

static int give_to(const struct run_directory *directory, const struct sandbox_user *user)
{
    struct stat state;
    if (geteuid() != 0 || stat(directory->path, &state) != 0 || state.st_uid == user->uid)
        return 0;
    bool is_roots = state.st_uid == 0 && (state.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    if (!is_roots || !is_empty(directory)) {
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
    char lock[RUN_DIRECTORY_PATH_MAX + 16];
    if (directory->lock < 0)
        return;
    clear(directory, true);
    snprintf(lock, sizeof lock, "%s/%s", directory->path, LOCK_NAME);
    unlink(lock);
    if (directory->is_made_here && rmdir(directory->path) != 0)
        log_warning("run directory %s: %s", directory->path, strerror(errno));
    close(directory->lock);
    directory->lock = -1;
}
