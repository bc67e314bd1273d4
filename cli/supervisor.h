/* supervisor: the processes of one wanmeter, from the first to the last.
 *
 *     result = supervisor_run(&plan);
 *
 * Starts exporter, trackers and capture workers, and returns when all have ended: when the input
 * has (a replay), after SIGINT, SIGTERM or SIGHUP (then the capture workers are told to stop, and
 * what they have flows downstream to the end), or because one failed for good (then the others are
 * terminated, and killed if they have not ended STOP_TIME later). A second signal kills all at
 * once. No process and no socket is left behind.
 *
 * A process that dies is started again (cli/supervisor/restart.h): what it had not committed is
 * sent to its successor, what a capture worker had not sent is in its ring. Live that goes on for
 * ever; where the run has an end (a replay, or after a signal), it fails when one dies more than
 * RESTARTS_IN_A_ROW_MAX times without a minute of health. What fails to start at all ends the run
 * at once; so does a worker that dies whose input cannot be read again.
 *
 * A plan with a role is one part of a run: the other roles are under supervisors of their own, with
 * the same run directory (cli/supervisor/joint.h).
 *
 * What a run that was killed as a whole has left in the run directory is brought into its database
 * first (cli/supervisor/remains.h).
 *
 * One at a time: it takes over SIGCHLD and these signals while it runs. */
#ifndef WANMETER_CLI_SUPERVISOR_H
#define WANMETER_CLI_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/settings.h"

struct supervisor_plan {
    const struct settings *settings; /* loaded; passed on to every process */
    char *const *files;              /* "-": standard input; dealt to the workers in order */
    size_t n_files;                  /* 0: live, a worker for each interface and fan-out */
    bool has_progress;               /* a progress line on standard error */
    const char *role;                /* live: "exporter", "tracker" or "capture": only these
                                        processes; NULL: all */
    bool is_left;                    /* nothing is read: what a run has left is brought in */
    size_t n_left_workers;           /* … of a replay: how many it had; 0: it was live */
    int changes;                     /* descriptor of recorded changes; 0: none */
};

enum supervisor_result {
    SUPERVISOR_DONE,        /* all input is in the database */
    SUPERVISOR_INTERRUPTED, /* a signal ended the input; what was read is in the database */
    SUPERVISOR_LEFT,        /* a part: a signal ended it before its input did; the run goes on */
    SUPERVISOR_FAILED,      /* why has been logged */
};

enum supervisor_result supervisor_run(const struct supervisor_plan *plan);

#endif
