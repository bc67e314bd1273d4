#include "common/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox/sandbox_filter.h"
#include "common/sandbox/sandbox_landlock.h"
#include "common/sandbox/sandbox_user.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HAS_SANITIZER = true };
#else
enum { HAS_SANITIZER = false };
#endif

enum sandbox_mode sandbox_mode_of(const struct config *config)
{
    const char *word = config->security.sandbox ? config->security.sandbox : "best_effort";
    if (strcmp(word, "off") == 0)
        return SANDBOX_OFF;
    return strcmp(word, "strict") == 0 ? SANDBOX_STRICT : SANDBOX_BEST_EFFORT;
}

static bool is_tcp(const char *endpoint)
{
    return endpoint && strncmp(endpoint, "tcp://", strlen("tcp://")) == 0;
}

/* What the kernel cannot do: fatal where all of it was asked for. */
static int settle(const struct sandbox *sandbox, const char *what, int result)
{
    if (result == 0 || sandbox->mode != SANDBOX_STRICT)
        return 0;
    log_error("security.sandbox: strict: %s: %s", what, strerror(-result));
    return result;
}

/* ---- files ---- */

static int allow_database(const struct sandbox_landlock *landlock, const char *path)
{
    char *directory = strdup(path);
    if (!directory)
        return -ENOMEM;
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory ? 1 : 0] = '\0';
    else
        memcpy(directory, ".", 2);
    int result = sandbox_landlock_allow(landlock, directory, SANDBOX_WRITE);
    setenv("SQLITE_TMPDIR", directory, 1); /* what SQLite cannot sort in memory */
    free(directory);
    return result;
}

static int allow_exporter(const struct sandbox_landlock *landlock, const struct config *config)
{
    static const char *const readable[] = {"/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom"};
    int result = allow_database(landlock, config->database);
    const char *spool = config->exporter.spool_directory;
    if (result == 0 && spool && *spool)
        result = sandbox_landlock_allow(landlock, spool, SANDBOX_WRITE);
    for (size_t i = 0; i < sizeof readable / sizeof *readable && result == 0; i++)
        result = sandbox_landlock_allow(landlock, readable[i], SANDBOX_READ);
    return result ? result : sandbox_landlock_allow(landlock, "/dev/null", SANDBOX_WRITE);
}

/* The interface's counters: links from there lead to its device. */
static int allow_interface(const struct sandbox_landlock *landlock, const char *interface)
{
    char link[PATH_MAX], *device;
    snprintf(link, sizeof link, "/sys/class/net/%s", interface);
    device = realpath(link, NULL);
    int result = device ? sandbox_landlock_allow(landlock, device, SANDBOX_READ) : 0;
    free(device);
    return result;
}

static int restrict_files(struct sandbox *sandbox, const struct arguments *arguments)
{
    struct sandbox_landlock landlock;
    if (HAS_SANITIZER)
        return 0;
    int result = sandbox_landlock_open(sandbox->has_tcp, &landlock);
    if (result < 0)
        return result;
    if (strcmp(arguments->run_directory, ".") == 0) /* there is a run, and we are in it */
        result = sandbox_landlock_allow(&landlock, arguments->run_directory, SANDBOX_WRITE);
    if (result == 0 && sandbox->role == SANDBOX_EXPORTER)
        result = allow_exporter(&landlock, &arguments->config);
    if (result == 0 && arguments->interface)
        result = allow_interface(&landlock, arguments->interface);
    int enforced = sandbox_landlock_enforce(&landlock);
    if (result == 0 && enforced == 0)
        sandbox->landlock_version = landlock.version;
    return result ? result : enforced;
}

/* ---- who ---- */

static int find_user(struct sandbox *sandbox, const struct config *config)
{
    struct sandbox_user user;
    int result = sandbox->role == SANDBOX_EXPORTER
                     ? sandbox_user_of_database(config->database, &user)
                     : sandbox_user_find(config, &user);
    sandbox->uid = user.uid;
    sandbox->gid = user.gid;
    return result;
}

/* In this order: a path is found by who we were; becoming another needs capabilities; Landlock
 * needs that there are no new privileges. */
static int restrict_all(struct sandbox *sandbox, const struct arguments *arguments)
{
    struct sandbox_user user = {sandbox->uid, sandbox->gid};
    int landlock = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
    sandbox->is_without_new_privileges = landlock == 0;
    if (landlock == 0)
        landlock = restrict_files(sandbox, arguments);
    bool stays_root = sandbox->role != SANDBOX_EXPORTER && user.uid == 0;
    int result = settle(sandbox, "user", stays_root ? -EPERM : sandbox_user_become(&user));
    if (result == 0)
        result = sandbox_drop_capabilities();
    sandbox->is_without_capabilities = result == 0;
    if (result < 0)
        log_error("capabilities cannot be dropped: %s", strerror(-result));
    sandbox->uid = geteuid();
    sandbox->gid = getegid();
    if (HAS_SANITIZER)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return result ? result : settle(sandbox, "Landlock", landlock);
}

int sandbox_enter(enum sandbox_role role, const struct arguments *arguments,
                  struct sandbox *sandbox)
{
    const struct config *config = &arguments->config;
    *sandbox = (struct sandbox){
        .role = role,
        .mode = sandbox_mode_of(config),
        .uid = geteuid(),
        .gid = getegid(),
        .has_tcp = role == SANDBOX_EXPORTER &&
                   (is_tcp(config->events.endpoint) || is_tcp(config->events.control_endpoint)),
    };
    if (sandbox->mode == SANDBOX_OFF)
        return 0;
    int result = find_user(sandbox, config);
    return result ? result : restrict_all(sandbox, arguments);
}

int sandbox_filter(struct sandbox *sandbox)
{
    if (sandbox->mode == SANDBOX_OFF || HAS_SANITIZER)
        return 0;
    int result = sandbox_filter_apply(sandbox);
    sandbox->is_filtered = result == 0;
    return settle(sandbox, "seccomp", result);
}
