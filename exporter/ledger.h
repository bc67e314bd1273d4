/* ledger: how batches of records become rows that are safe: the open transaction, when it is
 * committed, and the seals that are then due.
 *
 *     ledger_create(&options, &ledger);
 *     ledger_put(ledger, &batch, now_ms);         a batch, in its stream's order
 *     ledger_turn(ledger, now_ms);                once a turn of the loop
 *     ledger_settle(ledger);                      what is applied is committed now
 *     ledger_destroy(ledger);
 *
 * What is in a transaction is told as it comes (on_applied), and once it is committed
 * (on_committed); a stream's batches that are safe, so that their sender may forget them, by
 * on_safe. The calls return 0 or -errno, logged: the run has then failed. Times are those of
 * loop_now_ms(). Not thread-safe. */
#ifndef WANMETER_EXPORTER_LEDGER_H
#define WANMETER_EXPORTER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter/store.h"

struct ledger;

struct ledger_options {
    struct store *store; /* with a run under way */
    const struct config *config;
    uint32_t n_shards; /* streams: one each */

    int (*on_applied)(void *state, const struct message *message); /* 0 or -errno */
    int (*on_committed)(void *state);                              /* 0 or -errno */
    void (*on_safe)(void *state, uint32_t shard, int64_t seq);
    void *state;
};

/* 0 or -errno (logged, but for -ENOMEM). 'options' is copied, what it points to kept. */
int ledger_create(const struct ledger_options *options, struct ledger **out);
void ledger_destroy(struct ledger *ledger); /* what is not committed is rolled back; accepts NULL */

/* The stream of 'shard' goes on after 'seq'. */
void ledger_resume(struct ledger *ledger, uint32_t shard, int64_t seq);

int ledger_put(struct ledger *ledger, struct message *message, uint64_t now_ms);
int ledger_settle(struct ledger *ledger);

/* '*is_busy': there is more to do at once. */
int ledger_turn(struct ledger *ledger, uint64_t now_ms, bool *is_busy);

/* Have all streams ended, and is all of them committed and what can be sealed sealed? */
bool ledger_has_ended(const struct ledger *ledger);

#endif
