/* tracker: the process's state, and what its parts call of one another.
 *
 * The packet's way is in main.c, commit points are in commit_point.c, and what happens when (the
 * phases, what peers say) in phase.c, what a predecessor left in restore.c. Only these include
 * this. */
#ifndef WANMETER_TRACKER_TRACKER_H
#define WANMETER_TRACKER_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arguments.h"
#include "common/report.h"
#include "common/sandbox.h"
#include "proto/clock_step.h"
#include "proto/message.h"
#include "tracker/control.h"
#include "tracker/flow_restore.h"
#include "tracker/hand.h"
#include "tracker/memory.h"
#include "tracker/merge.h"

enum tracker_phase {
    PHASE_WAITING,   /* for the exporter to say where to resume */
    PHASE_RESTORING, /* what its predecessor had open comes from the exporter */
    PHASE_RUNNING,
    PHASE_FINISHING, /* the input has ended: every flow ends */
    PHASE_DRAINING,  /* everything is sent: wait until it is committed */
    PHASE_PARTING,   /* acknowledged upstream: wait for the goodbyes */
};

/* Which batches of each worker a commit point has the effect of. */
struct point {
    int64_t seq; /* of the record batch */
    int64_t applied_seq[WORKERS_MAX];
};

enum { POINTS_MAX = 4096 };

/* What is given back by the exporter, while it comes. */
struct restoring {
    struct flow_restore restore;
    struct change_bytes
        *changes; /* of connections: done when all flows are there; malloc'ed each */
    size_t n_changes;
    size_t n_flows;
    size_t n_left_out; /* that the table had no place for */
};

struct tracker {
    struct arguments arguments;
    struct sandbox sandbox;
    struct report report;
    struct loop *loop;
    struct bus *bus;
    struct downlink *input;
    struct merge *merge;
    struct account_table *accounts;
    struct link_table *links;
    struct duplicate_table *duplicates; /* NULL: copies are not looked for */
    struct flow_table *flows;
    struct meter *meter;
    struct output *output;
    struct bill_clock clock; /* which seal a packet is in */
    struct control control;
    struct query *query;
    struct memory memory; /* of the last commit point */

    struct hand *hand;
    uint64_t epoch;

    enum tracker_phase phase;
    struct restoring restoring;
    struct high_water *resume; /* of the capture streams, as the exporter has them committed */
    size_t n_resume;
    struct point *points; /* not yet committed: a ring of POINTS_MAX */
    size_t first_point, n_points;
    int64_t committed_seq[WORKERS_MAX]; /* of each worker's stream */
    size_t commit_bytes;
    size_t rows_bytes;    /* that make a commit point */
    int64_t settled_ns;   /* all that is due by then has been done */
    int64_t committed_ns; /* the last commit point's */
    bool is_commit_due;
    uint64_t parting_since_ms;
    bool is_last; /* no worker is there any more, nor comes */
    int status;
    char name[32];
};

/* Ends the process with PROCESS_FAILED. */
void tracker_fail(struct tracker *tracker, const char *what);

/* main.c: what has come since the last commit point makes one due. Of a 'struct tracker'. */
bool tracker_is_pausing(void *state);

/* phase.c: the workers are answered, and what they send is worked on. */
void tracker_start(struct tracker *tracker);

/* ---- commit_point.c ---- */

bool tracker_can_commit(const struct tracker *tracker);

void tracker_commit(struct tracker *tracker, bool end_of_stream);

/* A worker's stream begins, behind 'seq': what is committed from now on lets it forget nothing of
 * the stream that was there before. */
void tracker_begin_stream(struct tracker *tracker, size_t index, int64_t seq);

/* A worker that lost its ring comes with a new stream: what came of the old one is committed first,
 * under the old one's mark. */
bool tracker_can_welcome(void *state, size_t index, const struct stream_id *stream);

/* The exporter has committed: what went into those batches can be forgotten upstream. */
void tracker_on_committed(void *state, int64_t seq);

/* ---- restore.c: handlers; 'state' is the struct tracker ---- */

void tracker_on_restored(void *state, const struct restored *restored);

/* The merge has come to a batch that is set aside. */
void tracker_on_set_aside(void *state, const struct message *batch, const struct loss *loss);

void tracker_restoring_deinit(struct restoring *restoring);

/* ---- phase.c: handlers; 'state' is the struct tracker ---- */

/* Once a turn of the loop. */
void tracker_on_turn(void *state);

void tracker_on_commit_timer(void *state);
void tracker_on_parting_timer(void *state);
void tracker_on_signal(void *state, int signal_number);
void tracker_on_last(void *state, int signal_number);

/* The exporter knows what of each capture stream is committed. */
void tracker_on_welcome(void *state, const struct reply *reply);

void tracker_on_hello(void *state, size_t index, const struct stream_id *stream,
                      struct high_water *resume, const struct high_water **applied,
                      size_t *n_applied);
void tracker_on_batch(void *state, size_t index, struct message *message);

/* The merge has given all that it had of a stream: the next batch is taken from the worker's ring.
 */
void tracker_on_drained(void *state, size_t index);

#endif
