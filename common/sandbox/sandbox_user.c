#include "common/sandbox/sandbox_user.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

/* A root without these capabilities, as in some containers, stays what it is. */
static bool may_become(void)
{
    return geteuid() == 0 && capng_get_caps_process() == 0 &&
           capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) &&
           capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID) &&
           capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN);
}

int sandbox_user_find(const struct config *config, struct sandbox_user *user)
{
    *user = (struct sandbox_user){geteuid(), getegid()};
    if (!may_become())
        return 0;
    const char *wanted = config->security.user;
    const struct passwd *found = wanted && *wanted ? getpwnam(wanted) : getpwnam("wanmeter");
    if (!found && !(wanted && *wanted))
        found = getpwnam(wanted = "nobody");
    if (!found) {
        log_error("security.user: there is no user '%s' here", wanted);
        return -ENOENT;
    }
    *user = (struct sandbox_user){found->pw_uid, found->pw_gid};
    return 0;
}

static int stat_directory(const char *path, struct stat *state)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!directory)
        return -ENOMEM;
    int result = stat(directory, state) < 0 ? -errno : 0;
    free(directory);
    return result;
}

int sandbox_user_of_database(const char *path, struct sandbox_user *user)
{
    struct stat file, directory;
    *user = (struct sandbox_user){geteuid(), getegid()};
    if (!may_become())
        return 0;
    int result = stat_directory(path, &directory);
    if (result < 0)
        return result;
    bool exists = stat(path, &file) == 0;
    *user = (struct sandbox_user){directory.st_uid, directory.st_gid};
    if (exists)
        *user = (struct sandbox_user){file.st_uid, file.st_gid};
    if (exists && file.st_uid != directory.st_uid)
        log_warning("%s belongs to user %u, its directory to user %u: what is written there is "
                    "written as user %u",
                    path, file.st_uid, directory.st_uid, user->uid);
    return 0;
}

/* The kernel forgets whose end was to be ours when the user changes. */
static int become(const struct sandbox_user *user)
{
    int end_signal = 0;
    pid_t parent = getppid();
    prctl(PR_GET_PDEATHSIG, &end_signal);
    if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    if (end_signal == 0)
        return 0;
    prctl(PR_SET_PDEATHSIG, end_signal);
    if (getppid() != parent)
        raise(end_signal); /* it ended in between */
    return 0;
}

int sandbox_user_become(const struct sandbox_user *user)
{
    if (geteuid() != 0)
        return 0;
    bool stays = user->uid == 0 && !may_become();
    capng_clear(CAPNG_SELECT_BOUNDS);
    capng_apply(CAPNG_SELECT_BOUNDS); /* where we may not: without new privileges it is moot */
    return stays ? 0 : become(user);
}

int sandbox_drop_capabilities(void)
{
    capng_clear(CAPNG_SELECT_ALL);
    int result = capng_apply(CAPNG_SELECT_CAPS);
    if (result == 0)
        result = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return result < 0 ? -EPERM : 0;
}
