#include "common/sandbox/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights and fields that are younger than Debian 12's header. */
enum {
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
};

enum { VERSION_REFER = 2, VERSION_TRUNCATE, VERSION_TCP, VERSION_IOCTL, VERSION_SCOPE };

enum {
    ALL_OF_FIRST = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
    READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITE = READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
            LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | FS_TRUNCATE,
    OF_A_FILE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE,
};

struct ruleset {
    uint64_t files, tcp, scopes;
};

static uint64_t files_of(int version)
{
    uint64_t files = ALL_OF_FIRST;
    if (version >= VERSION_REFER)
        files |= FS_REFER;
    if (version >= VERSION_TRUNCATE)
        files |= FS_TRUNCATE;
    if (version >= VERSION_IOCTL)
        files |= FS_IOCTL_DEV;
    return files;
}

int sandbox_landlock_open(bool has_tcp, struct sandbox_landlock *landlock)
{
    *landlock = (struct sandbox_landlock){.ruleset = -1};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    landlock->version = (int)version;
    landlock->files = files_of(landlock->version);
    struct ruleset ruleset = {.files = landlock->files};
    size_t size = sizeof ruleset.files;
    if (version >= VERSION_TCP && !has_tcp)
        ruleset.tcp = NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= VERSION_TCP)
        size += sizeof ruleset.tcp;
    if (version >= VERSION_SCOPE) {
        ruleset.scopes = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size += sizeof ruleset.scopes;
    }
    landlock->ruleset = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    return landlock->ruleset < 0 ? -errno : 0;
}

int sandbox_landlock_allow(const struct sandbox_landlock *landlock, const char *path,
                           enum sandbox_access access)
{
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0)
        return errno == ENOENT ? 0 : -errno;
    struct stat state;
    uint64_t rights = access == SANDBOX_READ ? (uint64_t)READ : (uint64_t)WRITE;
    if (fstat(descriptor, &state) == 0 && !S_ISDIR(state.st_mode))
        rights &= OF_A_FILE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & landlock->files,
                                              .parent_fd = descriptor};
    int result =
        syscall(SYS_landlock_add_rule, landlock->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
            ? -errno
            : 0;
    close(descriptor);
    return result;
}

int sandbox_landlock_enforce(struct sandbox_landlock *landlock)
{
    int result = syscall(SYS_landlock_restrict_self, landlock->ruleset, 0) < 0 ? -errno : 0;
    close(landlock->ruleset);
    landlock->ruleset = -1;
    return result;
}
