/* joint: a run whose roles (exporter, tracker, capture) have a supervisor each: how these find each
 * other. All of it is files of the run directory, so they may come and go in any order.
 *
 *     joint_find(&joint)                      the exporter's: is there a run, and is somebody in
 * it? if (joint_enter(&joint)) …              into the run that is there joint_mark(&joint,
 * JOINT_ENDED);        this role's input has ended, all of it is safe joint_has(&joint, "capture",
 * JOINT_ENDED), joint_is_alive(&joint, "capture") joint_leave(&joint);
 *
 * The exporter's supervisor begins a run: it writes "run", and what belongs to it
 * (cli/supervisor/remains.h), and removes it when all is in the database. Who is in the run has a
 * shared lock (flock(2)) on that very file: what is not locked is a run that was killed. The
 * exporter's has a lock on "run.yaml" as well: it has decided that this run goes on, and only then
 * others get in. The marks are files "ended-ROLE" and "stopping-ROLE". */
#ifndef WANMETER_CLI_JOINT_H
#define WANMETER_CLI_JOINT_H

#include <stdbool.h>

struct joint {
    const char *run_directory; /* borrowed */
    const char *role;          /* "exporter", "tracker" or "capture" */
    int run;                   /* descriptor; -1: in none */
    int lead;                  /* the same, of the exporter's second lock */
};

enum joint_state {
    JOINT_NONE,
    JOINT_ALONE,  /* nobody is in it, nor gets in before joint_enter() or joint_leave() */
    JOINT_SHARED, /* others are in it */
};

enum joint_mark { JOINT_ENDED, JOINT_STOPPING };

enum joint_state joint_find(struct joint *joint);

/* False: there is no run, or nobody leads it, or it is one in which this role has ended. */
bool joint_enter(struct joint *joint);
void joint_leave(struct joint *joint);

/* The exporter's, at the end: waits until nobody else is in the run, for two seconds at most. */
void joint_be_last(const struct joint *joint);

/* Of a run that is over nothing is marked. What goes wrong is logged. */
void joint_mark(const struct joint *joint, enum joint_mark mark);
bool joint_has(const struct joint *joint, const char *role, enum joint_mark mark);

/* Has that role a supervisor now? */
bool joint_is_alive(const struct joint *joint, const char *role);

/* All marks: of a run that is over. */
void joint_clear(const char *run_directory);

#endif
