/* sandbox_filter: the system calls that a role is left with (seccomp, by libseccomp). The sandbox's
 * own.
 *
 * A call that is not on the list ends the process: SIGSYS, whose handler logs the call and lets the
 * signal do its work. The filter itself keeps that handler from being replaced. Files are opened
 * only where Landlock says which: without it open() is answered with EACCES. */
#ifndef WANMETER_COMMON_SANDBOX_FILTER_H
#define WANMETER_COMMON_SANDBOX_FILTER_H

#include "common/sandbox.h"

/* Of all threads. 0 or -errno. */
int sandbox_filter_apply(const struct sandbox *sandbox);

#endif
