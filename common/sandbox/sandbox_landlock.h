/* sandbox_landlock: which files may still be opened, and to where TCP may go (Landlock). The
 * sandbox's own.
 *
 *     sandbox_landlock_open(&landlock);
 *     sandbox_landlock_allow(&landlock, "/run/wanmeter", SANDBOX_WRITE);      what is not there: no
 *     sandbox_landlock_enforce(&landlock);
 *
 * What the kernel's version does not know is left out: 1 files, 2 moving them between directories,
 * 3 truncating, 4 TCP, 5 ioctl on devices, 6 signals and abstract sockets. For this thread and what
 * it starts. Needs no new privileges to be off (PR_SET_NO_NEW_PRIVS). */
#ifndef WANMETER_COMMON_SANDBOX_LANDLOCK_H
#define WANMETER_COMMON_SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_access { SANDBOX_READ, SANDBOX_WRITE };

struct sandbox_landlock {
    int ruleset; /* descriptor */
    int version;
    uint64_t files; /* rights that the ruleset handles */
};

/* 0; -ENOSYS, -EOPNOTSUPP: not with this kernel; or another -errno. Without 'has_tcp' no TCP at
 * all. */
int sandbox_landlock_open(bool has_tcp, struct sandbox_landlock *landlock);

/* A file, or a directory and all below. 0 or -errno; not there: 0. */
int sandbox_landlock_allow(const struct sandbox_landlock *landlock, const char *path,
                           enum sandbox_access access);

/* Also closes it. 0 or -errno. */
int sandbox_landlock_enforce(struct sandbox_landlock *landlock);

#endif
