/* remains: what a run whose processes were all killed has left in its run directory: batches that
 * are in no database yet.
 *
 *     remains_find(run_directory, &remains)          are there any? Whose?
 *     if (remains_is_same(&remains, &plan)) …        it goes on
 *     … else a crew of remains.plan, which brings them in …
 *     remains_clear(run_directory);
 *     remains_deinit(&remains);
 *
 *     remains_prepare(run_directory, plan, started_ns);     at a run's start: for the next, and for
 *                                                           the supervisors of other roles
 *     remains_load(run_directory, &remains)                 these: what run there is
 *
 * The rings (proto/ring.h) mean something only by the configuration that they were written under:
 * it is kept beside them ("run.yaml"), with the run's start and shape ("run") and, for another
 * role's supervisor, the changes that it begins with ("run.changes"). Only files that nobody but us
 * can have written are believed. */
#ifndef WANMETER_CLI_REMAINS_H
#define WANMETER_CLI_REMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/supervisor.h"

struct remains {
    struct settings settings;
    struct supervisor_plan plan; /* of processes that read nothing, and end */
    int64_t started_ns;          /* of the run that was killed */
};

enum remains_found {
    REMAINS_NONE,
    REMAINS_FOUND,
    REMAINS_UNKNOWN, /* (logged) rings that nobody can say the configuration of */
};

/* '*remains' is to be deinitialised in any case. */
enum remains_found remains_find(const char *run_directory, struct remains *remains);
void remains_deinit(struct remains *remains);

/* The run that is there, whether or not it has left something; false: none that can be read. */
bool remains_load(const char *run_directory, struct remains *remains);

/* Descriptor of a copy of the changes that it begins with; 0: none. Or -errno (logged). */
int remains_changes(const char *run_directory);

/* Is 'plan' the same live run again? Then it can go on: under the configuration of the one that was
 * killed, which differs in what was drawn by lot. */
bool remains_is_same(const struct remains *remains, const struct supervisor_plan *plan);
bool remains_is_same_database(const struct remains *remains, const struct supervisor_plan *plan);

/* 0 or -errno (logged). */
int remains_prepare(const char *run_directory, const struct supervisor_plan *plan, size_t n_workers,
                    int64_t started_ns);

/* The rings, and what was kept beside them. */
void remains_clear(const char *run_directory);

/* Of the capture workers alone: all that is in the rings is in the database. */
void remains_clear_rings(const char *run_directory);

#endif
