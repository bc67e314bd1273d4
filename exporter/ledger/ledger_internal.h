/* ledger_internal: what the parts of the ledger share. */
#ifndef WANMETER_EXPORTER_LEDGER_INTERNAL_H
#define WANMETER_EXPORTER_LEDGER_INTERNAL_H

#include "common/arguments.h"
#include "exporter/ledger.h"

/* One tracker's stream. */
struct ledger_input {
    struct stream_id stream;
    int64_t committed_seq;
    int64_t applied_seq;  /* committed, or within the open transaction */
    int64_t safe_seq;     /* committed, or synced in the spool */
    int64_t spooled_seq;  /* safe, or the last in the spool */
    int64_t ended_seq;    /* its last; INT64_MAX: not known yet */
    int64_t watermark_ns; /* no later batch has an earlier clock */
    bool has_sent;
};

enum ledger_mode {
    LEDGER_DATABASE, /* all is well: batches go into the open transaction */
    LEDGER_SPOOL,    /* batches go to the spool */
    LEDGER_STALLED,  /* neither takes them */
};

struct ledger {
    struct ledger_options options;
    struct ledger_input inputs[SHARDS_MAX];
    size_t n_rows;     /* in the open transaction */
    uint64_t begun_ms; /* when it began */
    bool has_heard;    /* a batch came since the turn before */

    uint64_t prune_ms; /* when retention is looked at next */
    bool is_pruning;   /* there is more to delete */
    bool has_pruned_at_end;
    int64_t pruned_after; /* as store_prune() has it */

    bool has_lost_ends; /* of streams: nobody sends them any more */

    enum ledger_mode mode;
    int trouble;        /* -errno of the last one */
    bool is_in_trouble; /* since trouble_ms, until a commit goes well; its error was logged */
    bool has_stalled;   /* since trouble_ms; that was logged, too */
    bool is_replaying;  /* the database takes records again: the spool's */
    uint64_t trouble_ms;
    uint64_t now_ms;      /* of this turn */
    uint64_t retry_ms;    /* when the database is tried again */
    uint64_t back_off_ms; /* and how long after that */
    uint64_t alive_ms;    /* when senders were last told that somebody is here */
    uint64_t n_spooled_before, n_refused_before; /* the counters when the trouble began */
    struct ledger_counters counters;
};

/* ledger.c: within the open transaction, which it begins if there is none. 0, -errno (not logged).
 */
int ledger_apply(struct ledger *ledger, const struct message *message, uint64_t now_ms);
int ledger_commit(struct ledger *ledger); /* 0 or -errno, not logged */

/* ledger_trouble.c: after a failure of the store: 0, if it is one that may pass. */
int ledger_meet(struct ledger *ledger, int result, uint64_t now_ms);

/* Something was committed. */
void ledger_end_trouble(struct ledger *ledger);

int ledger_put_aside(struct ledger *ledger, const struct message *message);
int ledger_try_again(struct ledger *ledger, uint64_t now_ms, bool *is_busy);
void ledger_sync(struct ledger *ledger);

#endif
