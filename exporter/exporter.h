/* exporter: the process's state, and what its parts call of one another.
 *
 * The records' way is in main.c, what happens when (the phases) in phase.c. Only these include
 * this.
 */
#ifndef WANMETER_EXPORTER_EXPORTER_H
#define WANMETER_EXPORTER_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arguments.h"
#include "common/bus.h"
#include "common/loop.h"
#include "common/sandbox.h"
#include "exporter/activity.h"
#include "exporter/ledger.h"
#include "exporter/privacy.h"
#include "exporter/publish.h"
#include "exporter/publish/publish_keys.h"
#include "exporter/spool.h"
#include "exporter/store.h"
#include "proto/downlink.h"

enum exporter_phase {
    PHASE_WAITING, /* for subscribers: trackers get no welcome yet */
    PHASE_RUNNING,
    PHASE_PARTING, /* all is committed and told: wait for the goodbyes */
};

struct exporter {
    struct arguments arguments;
    struct sandbox sandbox;
    struct loop *loop;
    struct bus *bus;
    struct downlink *input;
    struct publisher *publisher;
    struct publish_keys keys;
    struct activity activity;
    struct privacy *privacy; /* NULL: addresses are kept in full */
    struct spool *spool;
    struct store *store;
    struct ledger *ledger;
    const char *protocol_names[STORE_PROTOCOLS];

    enum exporter_phase phase;
    uint64_t phase_since_ms;
    struct high_water *resume; /* what the last welcome carried */
    uint64_t ended_ms;         /* when the last stream had ended; 0: one has not */
    bool is_corrupt;           /* the database */
    bool is_last;              /* no tracker is there any more, nor comes */
    int n_signals;
    int status;
};

/* Ends the process with a failure; 'what' is logged. */
void exporter_fail(struct exporter *exporter, const char *what);
void exporter_stop(struct exporter *exporter, int result); /* the same; its cause was logged */

/* phase.c */
void exporter_enter(struct exporter *exporter, enum exporter_phase phase);
void exporter_on_turn(void *state);
void exporter_on_tick(void *state);
void exporter_on_signal(void *state, int signal_number);
void exporter_on_last(void *state, int signal_number);

#endif
