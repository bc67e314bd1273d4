/* shared: the memory that the processes of a run have from the supervisor.
 *
 *     shared_open(&plan, run_directory, &shared);
 *     shared_close(&shared);
 */
#ifndef WANMETER_CLI_SHARED_H
#define WANMETER_CLI_SHARED_H

#include "cli/supervisor.h"

/* In the run directory: what an interface has counted outlives also the supervisor. */
#define SHARED_PAGES_NAME "interfaces.page"

struct shared {
    int config; /* of settings_share(); -1: not open */
    int pages;  /* what an interface's workers share; -1: none */
};

/* 0 or -errno (logged). To be closed in any case. */
int shared_open(const struct supervisor_plan *plan, const char *run_directory,
                struct shared *shared);
void shared_close(struct shared *shared);

#endif
