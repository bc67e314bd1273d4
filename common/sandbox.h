/* sandbox: what a process of the pipeline may still do once it has what it needs.
 *
 *     sandbox_enter(SANDBOX_TRACKER, &arguments, &sandbox);     user, capabilities, files
 *     … the loop, the sockets, the threads …
 *     sandbox_filter(&sandbox);                                 system calls; then the first packet
 *
 * sandbox_enter() goes before any thread is started: users, capabilities and Landlock are a
 * thread's own. sandbox_filter() is for all threads that there are (SECCOMP_FILTER_FLAG_TSYNC).
 *
 *     what             capture             tracker             exporter
 *     user             security.user       security.user       who owns the database
 *     capabilities     none                none                none
 *     files            run directory, the  run directory       run directory, the database's
 *                      interface's figures                     directory; reads time zones
 *     new sockets      unix                unix                unix; tcp where one is configured
 *     processes        none: no exec, no fork, no new privileges, no memory that is made executable
 *
 * Started by root, all of it is in force; started by another user, or by a root that may not become
 * another, the user stays. By 'security.sandbox', what the kernel cannot do fails the start
 * (strict), is left out (best_effort), or nothing is done (off).
 *
 * A system call that is not allowed ends the process with SIGSYS, and its number and name are
 * logged. Builds with a sanitizer have neither Landlock nor a filter: LeakSanitizer traces itself.
 * Sources: landlock(7), seccomp(2), capabilities(7). */
#ifndef WANMETER_COMMON_SANDBOX_H
#define WANMETER_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/arguments.h"

enum sandbox_role { SANDBOX_CAPTURE, SANDBOX_TRACKER, SANDBOX_EXPORTER, SANDBOX_ROLES };
enum sandbox_mode { SANDBOX_STRICT, SANDBOX_BEST_EFFORT, SANDBOX_OFF };

struct sandbox {
    enum sandbox_role role;
    enum sandbox_mode mode;
    uid_t uid; /* as whom it goes on */
    gid_t gid;
    bool has_tcp; /* exporter: an endpoint is tcp */
    /* in force: */
    bool is_without_capabilities;
    bool is_without_new_privileges;
    int landlock_version; /* 0: not */
    bool is_filtered;
};

/* 0, or -errno (logged). After arguments_enter_run_directory(). */
int sandbox_enter(enum sandbox_role role, const struct arguments *arguments,
                  struct sandbox *sandbox);

/* 0, or -errno (logged). */
int sandbox_filter(struct sandbox *sandbox);

/* The words of 'security.sandbox'. */
enum sandbox_mode sandbox_mode_of(const struct config *config);

#endif
