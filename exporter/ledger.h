/* ledger: how batches of records become rows that are safe: the open transaction, when it is
 * committed, and the seals that are then due; and where they wait while the database does not take
 * them.
 *
 *     ledger_create(&options, &ledger);
 *     ledger_put(ledger, &batch, now_ms);         a batch, in its stream's order
 *     ledger_turn(ledger, now_ms, &is_busy);      once a turn of the loop
 *     ledger_settle(ledger, now_ms);              what is applied is committed now
 *     ledger_finish(ledger, now_ms);              all streams have ended
 *     ledger_destroy(ledger);
 *
 * Trouble is what may pass: a lock that somebody else holds, a full disk, a file system that is
 * read-only, an I/O error, no memory. The transaction is rolled back, its batches are wanted again
 * (on_wanted), and from then on batches go to the spool: what is synced there is as safe as what
 * is committed, so it is acknowledged. The database is tried again after 0.1 s, then twice as long
 * each time, up to 10 s; once it takes records, the spool's go first, in their order. Where the
 * spool takes nothing either, batches are refused (on_refused) until one of the two does: their
 * senders keep them, and are told now and then that somebody is here (on_stalled). A new epoch of
 * a stream waits until all that was before it is in the database (ledger_knows()).
 *
 * What is in a transaction is told as it comes (on_applied), and once it is committed
 * (on_committed) or rolled back (on_undone). The calls return 0 or -errno, logged: the run has then
 * failed. Times are those of loop_now_ms(). Not thread-safe. */
#ifndef WANMETER_EXPORTER_LEDGER_H
#define WANMETER_EXPORTER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter/spool.h"
#include "exporter/store.h"

struct ledger;

struct ledger_options {
    struct store *store; /* with a run under way */
    struct spool *spool; /* empty; NULL: there is none */
    const struct config *config;
    uint32_t n_shards; /* streams: one each */

    int (*on_applied)(void *state, const struct message *message); /* 0 or -errno */
    int (*on_committed)(void *state);                              /* 0 or -errno */
    void (*on_undone)(void *state);

    /* Of a stream: what its sender may forget; its batches after that are refused until they are
     * wanted again; … are wanted again. */
    void (*on_safe)(void *state, uint32_t shard, int64_t seq);
    void (*on_refused)(void *state, uint32_t shard);
    void (*on_wanted)(void *state, uint32_t shard);
    void (*on_stalled)(void *state);
    void *state;
};

/* Since the start. */
struct ledger_counters {
    uint64_t n_troubles;
    uint64_t n_spooled;     /* batches */
    uint64_t spooled_bytes; /* of these */
    uint64_t n_replayed;    /* batches, out of the spool */
    uint64_t n_refused;     /* batches that neither took */
};

/* 0 or -errno (logged, but for -ENOMEM). 'options' is copied, what it points to kept. */
int ledger_create(const struct ledger_options *options, struct ledger **out);
void ledger_destroy(struct ledger *ledger); /* what is not committed is rolled back; accepts NULL */

/* The stream goes on after 'seq'; it leads its shard now. */
void ledger_resume(struct ledger *ledger, const struct stream_id *stream, int64_t seq);

/* Is it the one that leads its shard, and has it sent something? */
bool ledger_knows(const struct ledger *ledger, const struct stream_id *stream);

int ledger_put(struct ledger *ledger, struct message *message, uint64_t now_ms);
int ledger_settle(struct ledger *ledger, uint64_t now_ms);

/* '*is_busy': there is more to do at once. */
int ledger_turn(struct ledger *ledger, uint64_t now_ms, bool *is_busy);

/* Is everything that came in the database, but for the open transaction? */
bool ledger_is_well(const struct ledger *ledger);

/* Have all streams ended? */
bool ledger_has_ended(const struct ledger *ledger);

/* No sender comes any more. A stream whose end is not here has lost it, in a spool that was
 * damaged: it counts as ended, and ledger_finish() declares what it may have had. */
void ledger_end_all(struct ledger *ledger);

/* Ends the run, once all streams have ended, and all of them is committed and what can be sealed
 * sealed. -EAGAIN: not yet (nothing is logged). */
int ledger_finish(struct ledger *ledger, uint64_t now_ms);

const struct ledger_counters *ledger_counters(const struct ledger *ledger);

#endif
