/* crew: which processes a plan needs, and each one's command line.
 *
 *     crew_create(&plan, &options, &crew);
 *     for (i = 0; i < crew.n; i++) process_start(&crew.members[i].process, …);
 *     crew_deinit(&crew);
 */
#ifndef WANMETER_CLI_CREW_H
#define WANMETER_CLI_CREW_H

#include "cli/supervisor.h"
#include "cli/supervisor/process.h"
#include "cli/supervisor/progress.h"
#include "cli/supervisor/restart.h"

enum member_state {
    MEMBER_ENDED,   /* well, or not started yet */
    MEMBER_WAITING, /* died, and is to be started again */
    MEMBER_RUNNING,
};

struct crew_member {
    enum member_state state;
    bool has_served; /* it has not failed to start: what follows may be tried again */
    struct restart restart;
    struct process process;
    struct command_line command_line;
    bool has_standard_input;
    bool is_once;     /* its input cannot be read again: it is not started again */
    bool is_stopping; /* it was told to bring to its end what there is */
    bool is_last;     /* it was told that nobody sends to it any more */
    size_t worker;    /* of a capture worker: its number */
};

/* Where the processes find each other, and what they are told; borrowed for as long as the crew. */
struct crew_options {
    const char *run_directory;
    const struct progress *progress; /* a descriptor for each worker; NULL: none */
    int config;                      /* descriptor of settings_share() */
    int changes;                     /* of the first worker; 0: none */
    int64_t started_ns;              /* wall time: names the run's row in the database */
    int64_t clock_anchor_ns;         /* live: wall clock less steady clock, now */
    int pages;                       /* live: what an interface's workers share; -1: none */
};

struct crew {
    struct crew_options options;
    struct crew_member *members; /* exporter, trackers, capture workers: those of the plan's role */
    size_t n;
    size_t n_workers;
};

/* How many capture workers the plan has. */
size_t crew_workers(const struct supervisor_plan *plan);

/* 0 or -errno (logged): a program is missing. */
int crew_create(const struct supervisor_plan *plan, const struct crew_options *options,
                struct crew *crew);
void crew_deinit(struct crew *crew);

#endif
