#include "exporter/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/arguments.h"
#include "common/log.h"
#include "proto/seal.h"

enum {
    NS_PER_MS = 1000000,
    SEAL_ROWS_A_TURN = 8192, /* read for closing seals, some 20 ms */
};

/* One tracker's stream. */
struct ledger_input {
    int64_t applied_seq;  /* within the open transaction, or committed */
    int64_t watermark_ns; /* no later batch has an earlier clock */
    bool has_ended;
};

struct ledger {
    struct ledger_options options;
    struct ledger_input inputs[SHARDS_MAX];
    size_t n_rows;     /* in the open transaction */
    uint64_t begun_ms; /* when it began */
    bool has_heard;    /* a batch came since the turn before */
};

/* Had the shard ended before this exporter's predecessor died? */
static int find_ended(struct ledger *ledger, uint32_t shard)
{
    struct high_water *marks;
    size_t n;
    int result = store_find_applied(ledger->options.store, shard, &marks, &n);
    if (result < 0)
        log_error("%s", store_error(ledger->options.store));
    for (size_t i = 0; result == 0 && i < n; i++)
        if (marks[i].is_closed)
            ledger->inputs[shard].has_ended = true;
    free(marks);
    return result;
}

int ledger_create(const struct ledger_options *options, struct ledger **out)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return -ENOMEM;
    ledger->options = *options;
    for (size_t i = 0; i < SHARDS_MAX; i++)
        ledger->inputs[i] = (struct ledger_input){.applied_seq = -1, .watermark_ns = INT64_MIN};
    int result = 0;
    for (uint32_t i = 0; i < options->n_shards && result == 0; i++)
        result = find_ended(ledger, i);
    if (result < 0)
        free(ledger);
    else
        *out = ledger;
    return result;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    store_rollback(ledger->options.store);
    free(ledger);
}

void ledger_resume(struct ledger *ledger, uint32_t shard, int64_t seq)
{
    ledger->inputs[shard].applied_seq = seq;
}

/* ---- seals ---- */

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The first seal that some tracker may still bring packets of. */
static int32_t seal_open(const struct ledger *ledger)
{
    int64_t watermark_ns = INT64_MAX;
    for (uint32_t i = 0; i < ledger->options.n_shards; i++)
        if (ledger->inputs[i].watermark_ns < watermark_ns)
            watermark_ns = ledger->inputs[i].watermark_ns;
    return seal_open_at(watermark_ns);
}

static bool is_seal_due(const struct ledger *ledger)
{
    return store_is_seal_due(ledger->options.store, seal_open(ledger));
}

/* ---- the transaction ---- */

static int fail(struct ledger *ledger, int result)
{
    log_error("%s", store_error(ledger->options.store));
    store_rollback(ledger->options.store);
    return result;
}

/* After this the trackers may forget what is committed, and subscribers may hear of it. */
static int commit(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    int result = 0;
    if (is_seal_due(ledger))
        result = store_seal(options->store, seal_open(ledger), wall_time_ns(), SEAL_ROWS_A_TURN);
    if (result == 0)
        result = store_commit(options->store);
    if (result < 0)
        return fail(ledger, result);
    ledger->n_rows = 0;
    for (uint32_t i = 0; i < options->n_shards; i++)
        options->on_safe(options->state, i, ledger->inputs[i].applied_seq);
    return options->on_committed(options->state);
}

static bool is_transaction_full(const struct ledger *ledger, uint64_t now_ms)
{
    const struct config *config = ledger->options.config;
    return ledger->n_rows >= (size_t)config->exporter.commit_rows ||
           now_ms - ledger->begun_ms >= (uint64_t)(config->exporter.commit_interval_ns / NS_PER_MS);
}

static int apply(struct ledger *ledger, const struct message *message, uint64_t now_ms)
{
    struct store *store = ledger->options.store;
    int result = 0;
    if (!store_has_transaction(store)) {
        ledger->begun_ms = now_ms;
        result = store_begin(store);
    }
    if (result == 0)
        result = store_apply(store, message);
    return result < 0 ? fail(ledger, result) : 0;
}

int ledger_put(struct ledger *ledger, struct message *message, uint64_t now_ms)
{
    int result = apply(ledger, message, now_ms);
    if (result == 0)
        result = ledger->options.on_applied(ledger->options.state, message);
    if (result < 0)
        return result;
    ledger->inputs[message->stream.shard] = (struct ledger_input){
        .applied_seq = message->seq,
        .watermark_ns = message->watermark_ns,
        .has_ended = message->end_of_stream,
    };
    ledger->has_heard = true;
    ledger->n_rows += message->n_usage + message->n_flows + message->n_losses + message->n_events;
    return is_transaction_full(ledger, now_ms) ? commit(ledger) : 0;
}

int ledger_settle(struct ledger *ledger)
{
    return store_has_transaction(ledger->options.store) ? commit(ledger) : 0;
}

/* Seals that one commit did not get to the end of. */
static int seal_more(struct ledger *ledger)
{
    int result = store_begin(ledger->options.store);
    return result < 0 ? fail(ledger, result) : commit(ledger);
}

int ledger_turn(struct ledger *ledger, uint64_t now_ms, bool *is_busy)
{
    (void)now_ms;
    struct store *store = ledger->options.store;
    int result = 0;
    *is_busy = ledger->has_heard;
    /* Nothing waits on the socket: committing now costs nobody, and the trackers go on. */
    if (store_has_transaction(store) && !ledger->has_heard)
        result = commit(ledger);
    ledger->has_heard = false;
    if (result == 0 && !store_has_transaction(store) && is_seal_due(ledger)) {
        result = seal_more(ledger);
        *is_busy = true;
    }
    return result;
}

bool ledger_has_ended(const struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->options.n_shards; i++)
        if (!ledger->inputs[i].has_ended)
            return false;
    return !store_has_transaction(ledger->options.store) && !is_seal_due(ledger);
}
