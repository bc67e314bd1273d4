#include "exporter/ledger/ledger_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "proto/seal.h"

enum {
    NS_PER_MS = 1000000,
    SEAL_ROWS_A_TURN = 8192, /* read for closing seals, some 20 ms */
    PRUNE_ROWS_A_TURN = 2048,
    PRUNE_INTERVAL_MS = 10000,
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
            ledger->inputs[shard].ended_seq = -1;
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
        ledger->inputs[i] = (struct ledger_input){.committed_seq = -1,
                                                  .applied_seq = -1,
                                                  .safe_seq = -1,
                                                  .spooled_seq = -1,
                                                  .ended_seq = INT64_MAX,
                                                  .watermark_ns = INT64_MIN};
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

void ledger_resume(struct ledger *ledger, const struct stream_id *stream, int64_t seq)
{
    struct ledger_input *input = &ledger->inputs[stream->shard];
    /* What has ended and is committed stays so: the successor of a tracker that died before its
     * goodbye has nothing to send. */
    input->ended_seq = input->ended_seq <= input->applied_seq ? -1 : INT64_MAX;
    input->stream = *stream;
    input->committed_seq = input->applied_seq = input->safe_seq = input->spooled_seq = seq;
    input->has_sent = false;
}

bool ledger_knows(const struct ledger *ledger, const struct stream_id *stream)
{
    const struct ledger_input *input = &ledger->inputs[stream->shard];
    return input->has_sent && stream_id_equal(&input->stream, stream);
}

bool ledger_is_well(const struct ledger *ledger)
{
    return ledger->mode == LEDGER_DATABASE;
}

const struct ledger_counters *ledger_counters(const struct ledger *ledger)
{
    return &ledger->counters;
}

/* ---- seals ---- */

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* No tracker brings packets of before. */
static int64_t watermark(const struct ledger *ledger)
{
    int64_t watermark_ns = INT64_MAX;
    for (uint32_t i = 0; i < ledger->options.n_shards; i++)
        if (ledger->inputs[i].watermark_ns < watermark_ns)
            watermark_ns = ledger->inputs[i].watermark_ns;
    return watermark_ns;
}

/* The first seal that some tracker may still bring packets of. */
static int32_t seal_open(const struct ledger *ledger)
{
    return seal_open_at(watermark(ledger));
}

static bool is_seal_due(const struct ledger *ledger)
{
    return store_is_seal_due(ledger->options.store, seal_open(ledger));
}

/* ---- retention ---- */

static void look_at_retention(struct ledger *ledger)
{
    if (ledger->options.config->retention.flows_ns == 0 || ledger->now_ms < ledger->prune_ms)
        return;
    ledger->prune_ms = ledger->now_ms + PRUNE_INTERVAL_MS;
    if (!ledger->is_pruning)
        ledger->pruned_after = INT64_MIN;
    ledger->is_pruning = true;
}

/* By the packets' clock, or the wall's where that is behind: a clock that is wrong deletes nothing
 * that is not old by the other. */
static int prune(struct ledger *ledger)
{
    int64_t now_ns = wall_time_ns(), clock_ns = watermark(ledger);
    int64_t age_ns = ledger->options.config->retention.flows_ns;
    clock_ns = clock_ns < now_ns ? clock_ns : now_ns;
    if (clock_ns < INT64_MIN + age_ns) {
        ledger->is_pruning = false;
        return 0;
    }
    struct store_prune due = {
        .before_seal = seal_of(clock_ns - age_ns), .n_rows = PRUNE_ROWS_A_TURN, .now_ns = now_ns};
    size_t n_deleted;
    int result = store_prune(ledger->options.store, &due, &ledger->pruned_after, &n_deleted);
    ledger->is_pruning = ledger->pruned_after != INT64_MIN;
    return result;
}

/* ---- the transaction ---- */

/* After this the trackers may forget what is committed, and subscribers may hear of it. */
int ledger_commit(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    int result = 0;
    if (is_seal_due(ledger))
        result = store_seal(options->store, seal_open(ledger), wall_time_ns(), SEAL_ROWS_A_TURN);
    if (result == 0 && ledger->is_pruning)
        result = prune(ledger);
    if (result == 0)
        result = store_commit(options->store);
    if (result < 0)
        return result;
    if (ledger->is_in_trouble && ledger->mode == LEDGER_DATABASE)
        ledger_end_trouble(ledger);
    ledger->n_rows = 0;
    for (uint32_t i = 0; i < options->n_shards; i++) {
        struct ledger_input *input = &ledger->inputs[i];
        input->committed_seq = input->applied_seq;
        if (input->applied_seq > input->safe_seq)
            input->safe_seq = input->applied_seq;
        options->on_safe(options->state, i, input->safe_seq);
    }
    return options->on_committed(options->state) < 0 ? -ECANCELED : 0;
}

static bool is_transaction_full(const struct ledger *ledger, uint64_t now_ms)
{
    const struct config *config = ledger->options.config;
    return ledger->n_rows >= (size_t)config->exporter.commit_rows ||
           now_ms - ledger->begun_ms >= (uint64_t)(config->exporter.commit_interval_ns / NS_PER_MS);
}

static void note_applied(struct ledger *ledger, const struct message *message)
{
    struct ledger_input *input = &ledger->inputs[message->stream.shard];
    input->applied_seq = message->seq;
    input->watermark_ns = message->watermark_ns;
    ledger->n_rows += message->n_usage + message->n_flows + message->n_losses + message->n_events;
}

int ledger_apply(struct ledger *ledger, const struct message *message, uint64_t now_ms)
{
    const struct ledger_options *options = &ledger->options;
    int result = 0;
    if (!store_has_transaction(options->store)) {
        ledger->begun_ms = now_ms;
        result = store_begin(options->store);
    }
    if (result == 0)
        result = store_apply(options->store, message);
    if (result == 0 && options->on_applied(options->state, message) < 0)
        result = -ECANCELED;
    if (result == 0 || result == -EALREADY)
        note_applied(ledger, message);
    return result == -EALREADY ? 0 : result;
}

static int put_in_database(struct ledger *ledger, const struct message *message, uint64_t now_ms)
{
    int result = ledger_apply(ledger, message, now_ms);
    if (result == 0 && is_transaction_full(ledger, now_ms))
        result = ledger_commit(ledger);
    return result < 0 ? ledger_meet(ledger, result, now_ms) : 0;
}

int ledger_put(struct ledger *ledger, struct message *message, uint64_t now_ms)
{
    ledger->has_heard = true;
    ledger->now_ms = now_ms;
    int result = ledger->mode == LEDGER_DATABASE ? put_in_database(ledger, message, now_ms)
                                                 : ledger_put_aside(ledger, message);
    struct ledger_input *input = &ledger->inputs[message->stream.shard];
    input->has_sent = true;
    input->ended_seq = message->end_of_stream ? message->seq : INT64_MAX;
    return result;
}

static int meet_commit(struct ledger *ledger, uint64_t now_ms)
{
    int result = ledger_commit(ledger);
    return result < 0 ? ledger_meet(ledger, result, now_ms) : 0;
}

int ledger_settle(struct ledger *ledger, uint64_t now_ms)
{
    return store_has_transaction(ledger->options.store) ? meet_commit(ledger, now_ms) : 0;
}

/* Seals, or rows to delete, that one commit did not get to the end of. */
static int do_more(struct ledger *ledger, uint64_t now_ms)
{
    int result = store_begin(ledger->options.store);
    return result < 0 ? ledger_meet(ledger, result, now_ms) : meet_commit(ledger, now_ms);
}

static int turn_of_database(struct ledger *ledger, uint64_t now_ms, bool *is_busy)
{
    struct store *store = ledger->options.store;
    int result = 0;
    *is_busy = ledger->has_heard;
    /* Nothing waits on the socket: committing now costs nobody, and the trackers go on. */
    if (store_has_transaction(store) && !ledger->has_heard)
        result = meet_commit(ledger, now_ms);
    bool is_idle = result == 0 && ledger->mode == LEDGER_DATABASE && !store_has_transaction(store);
    if (is_idle && (is_seal_due(ledger) || ledger->is_pruning)) {
        result = do_more(ledger, now_ms);
        *is_busy = true;
    }
    return result;
}

int ledger_turn(struct ledger *ledger, uint64_t now_ms, bool *is_busy)
{
    ledger->now_ms = now_ms;
    look_at_retention(ledger);
    int result = ledger->mode == LEDGER_DATABASE ? turn_of_database(ledger, now_ms, is_busy)
                                                 : ledger_try_again(ledger, now_ms, is_busy);
    ledger->has_heard = false;
    return result;
}

bool ledger_has_ended(const struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->options.n_shards; i++)
        if (ledger->inputs[i].ended_seq > ledger->inputs[i].applied_seq &&
            ledger->inputs[i].ended_seq > ledger->inputs[i].spooled_seq)
            return false;
    return true;
}

void ledger_end_all(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->options.n_shards; i++) {
        if (ledger->inputs[i].ended_seq != INT64_MAX)
            continue;
        log_warning("tracker-%u has ended, and its last batches are not here: that something is "
                    "missing is declared",
                    i);
        ledger->inputs[i].ended_seq = -1;
        ledger->has_lost_ends = true;
    }
}

static int finish(struct ledger *ledger)
{
    struct store *store = ledger->options.store;
    int result = ledger->has_lost_ends ? store_declare_unended(store) : 0;
    return result == 0 ? store_finish_run(store, wall_time_ns()) : result;
}

int ledger_finish(struct ledger *ledger, uint64_t now_ms)
{
    struct store *store = ledger->options.store;
    if (ledger->mode != LEDGER_DATABASE || store_has_transaction(store) || is_seal_due(ledger) ||
        ledger->is_pruning)
        return -EAGAIN;
    if (ledger->options.config->retention.flows_ns > 0 && !ledger->has_pruned_at_end) {
        ledger->has_pruned_at_end = ledger->is_pruning = true;
        ledger->pruned_after = INT64_MIN;
        return -EAGAIN;
    }
    int result = finish(ledger);
    if (result == 0 && ledger->is_in_trouble)
        ledger_end_trouble(ledger);
    if (result == 0)
        return 0;
    result = ledger_meet(ledger, result, now_ms);
    return result == 0 ? -EAGAIN : result;
}
