/* process_state: what is known of one process of a running daemon: from the supervisor's roster,
 * from the process's own report, and from the kernel.
 *
 *     n = process_states_read("/run/wanmeter", states);
 *     process_state_is_well(&states[i])
 *
 * Nothing is asked of the process: it may hang, or be gone. */
#ifndef WANMETER_CLI_PROCESS_STATE_H
#define WANMETER_CLI_PROCESS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/report.h"

enum { PROCESS_STATES_MAX = 160 };

struct process_state {
    char name[REPORT_NAME_SIZE];
    char state[16]; /* "running", "starting", "waiting", "ended", "hangs", "gone" */
    int pid;        /* 0: none now */
    int restarts;   /* -1: nobody counts them */
    bool has_report;
    struct report_page report;
    int64_t uptime_ns; /* of what reported */
    int64_t silent_ns; /* since it last did */

    /* as the kernel has it */
    bool has_kernel;
    uint32_t uid;
    uint64_t capabilities; /* effective */
    int no_new_privileges;
    int seccomp; /* 2: a filter */
};

/* By name. Returns how many there are: 0: no daemon has that run directory. */
size_t process_states_read(const char *run_directory,
                           struct process_state states[PROCESS_STATES_MAX]);

bool process_state_is_well(const struct process_state *state);

#endif
