/* supervisor_internal: the supervisor's state, and what its rooms call of one another.
 *
 * cli/supervisor.c starts, waits and hears signals; ends.c is what follows from the end of a
 * process; part.c is what a supervisor of one role does beside. Only these include this. */
#ifndef WANMETER_CLI_SUPERVISOR_INTERNAL_H
#define WANMETER_CLI_SUPERVISOR_INTERNAL_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/supervisor.h"
#include "cli/supervisor/crew.h"
#include "cli/supervisor/progress.h"
#include "cli/supervisor/run_directory.h"
#include "cli/supervisor/service.h"
#include "cli/supervisor/shared.h"

struct part;

struct supervisor {
    const struct supervisor_plan *plan;
    struct run_directory directory;
    struct crew crew;
    struct progress progress;
    struct service service;
    struct pollfd *polled; /* the signals, then each worker's progress */
    sigset_t old_mask;
    int signals; /* signalfd; -1: not open */
    struct shared shared;
    struct part *part; /* of a run whose other roles are elsewhere; NULL: all are here */
    unsigned n_interrupts;
    bool is_failed;
    bool is_complete;       /* the exporter has ended well: all is in the database */
    int64_t kill_ns;        /* monotonic; 0: nobody is to be killed */
    const char *left_early; /* the process that this is for, if none has failed */
};

int64_t supervisor_now_ns(void); /* monotonic */
int64_t supervisor_wall_time_ns(void);

/* Starts the processes of 'plan' and waits until they have ended. 0, or -1: it failed. */
int supervisor_run_crew(struct supervisor *supervisor, const struct supervisor_plan *plan,
                        int64_t started_ns);

/* Hears signals, for so long at most. */
void supervisor_pause(struct supervisor *supervisor, int wait_ms);

/* ---- ends.c ---- */

/* The supervisor is to be told what these do: nobody is blamed for the end that follows. */
void supervisor_signal_all(struct supervisor *supervisor, int signal_number);
void supervisor_stop_all(struct supervisor *supervisor);
void supervisor_kill_all(struct supervisor *supervisor);

/* A process has ended: its member is waiting to be started again, or not. */
void supervisor_note_end(struct supervisor *supervisor, struct crew_member *member, int status);

/* An exporter whose trackers have all ended is told so, a tracker whose workers have: what it still
 * waits for, it waits for in vain. */
void supervisor_tell_last(struct supervisor *supervisor);

/* ---- part.c ---- */

/* All of a supervisor with a role. 0, or -1: failed. '*is_left': the run goes on without it. */
int part_run(struct supervisor *supervisor, bool *is_left);

/* A signal has asked for the end. */
void part_interrupt(struct supervisor *supervisor);

/* At part_due_ns() (INT64_MAX: never) at the latest, and after every wait. */
int64_t part_due_ns(const struct supervisor *supervisor);
void part_turn(struct supervisor *supervisor);

/* Has the role that sends to ours ended, wherever it was? */
bool part_is_last(const struct supervisor *supervisor);

/* The run goes on without us: what ends now was ended by us. */
bool part_has_left(const struct supervisor *supervisor);

#endif
