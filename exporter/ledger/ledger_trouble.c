/* While the database does not take records: into the spool, and out of it again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "exporter/ledger/ledger_internal.h"
#include "exporter/ledger/spool_run.h"

enum {
    BACK_OFF_MS = 100,
    BACK_OFF_MAX_MS = 10000,
    ALIVE_MS = 500, /* well below a sender's patience (UPLINK_SILENCE_MS) */
    REPLAY_BATCHES_A_TURN = 64,
    STUCK_MS = 15000,
};

/* ---- it begins, and ends ---- */

static void want_all(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    for (uint32_t i = 0; i < options->n_shards; i++)
        options->on_wanted(options->state, i);
}

static void back_off(struct ledger *ledger, uint64_t now_ms)
{
    ledger->retry_ms = now_ms + ledger->back_off_ms;
    ledger->back_off_ms *= 2;
    if (ledger->back_off_ms > BACK_OFF_MAX_MS)
        ledger->back_off_ms = BACK_OFF_MAX_MS;
}

static void begin_trouble(struct ledger *ledger, uint64_t now_ms)
{
    log_warning("%s; until it goes again, records are kept %s%s",
                store_error(ledger->options.store),
                ledger->options.spool ? "in " : "by their senders",
                ledger->options.spool ? spool_path(ledger->options.spool) : "");
    ledger->is_in_trouble = true;
    ledger->counters.n_troubles++;
    ledger->trouble_ms = now_ms;
    ledger->n_spooled_before = ledger->counters.n_spooled;
    ledger->n_refused_before = ledger->counters.n_refused;
    ledger->back_off_ms = BACK_OFF_MS;
}

void ledger_end_trouble(struct ledger *ledger)
{
    const struct ledger_counters *counters = &ledger->counters;
    log_warning("the database takes records again, after %.1f s; %llu batches went through the "
                "spool, %llu were refused and sent again",
                (double)(ledger->now_ms - ledger->trouble_ms) / 1000.0,
                (unsigned long long)(counters->n_spooled - ledger->n_spooled_before),
                (unsigned long long)(counters->n_refused - ledger->n_refused_before));
    ledger->is_in_trouble = false;
    ledger->has_stalled = false;
}

static void put_aside_from_now(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    for (uint32_t i = 0; i < options->n_shards; i++) {
        ledger->inputs[i].spooled_seq = ledger->inputs[i].safe_seq;
        if (!options->spool)
            options->on_refused(options->state, i);
    }
    ledger->mode = options->spool ? LEDGER_SPOOL : LEDGER_STALLED;
    if (options->spool)
        want_all(ledger);
}

/* What the transaction had is nowhere: it is wanted again, and is put aside then. */
int ledger_meet(struct ledger *ledger, int result, uint64_t now_ms)
{
    const struct ledger_options *options = &ledger->options;
    store_rollback(options->store);
    options->on_undone(options->state);
    ledger->n_rows = 0;
    if (!store_is_trouble(result)) {
        if (result != -ECANCELED) /* said by who was called */
            log_error("%s", store_error(options->store));
        return result;
    }
    if (!ledger->is_in_trouble)
        begin_trouble(ledger, now_ms);
    ledger->trouble = result;
    back_off(ledger, now_ms);
    ledger->is_replaying = false;
    for (uint32_t i = 0; i < options->n_shards; i++)
        ledger->inputs[i].applied_seq = ledger->inputs[i].committed_seq;
    if (ledger->mode == LEDGER_DATABASE)
        put_aside_from_now(ledger);
    return 0;
}

/* ---- into the spool ---- */

static int begin_spool(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    size_t size;
    uint8_t *bytes = spool_run_encode(options->store, options->config, &size);
    int result = bytes ? spool_append(options->spool, SPOOL_RUN, bytes, size) : -ENOMEM;
    free(bytes);
    return result;
}

static int append(struct ledger *ledger, const struct message *message)
{
    struct spool *spool = ledger->options.spool;
    size_t size;
    uint8_t *bytes = message_encode(message, &size);
    int result = bytes ? 0 : -ENOMEM;
    if (result == 0 && spool_is_empty(spool))
        result = begin_spool(ledger);
    if (result == 0)
        result = spool_append(spool, SPOOL_BATCH, bytes, size);
    free(bytes);
    if (result == 0) {
        ledger->counters.n_spooled++;
        ledger->counters.spooled_bytes += size;
    }
    return result;
}

static void stall(struct ledger *ledger, int result)
{
    if (ledger->mode != LEDGER_STALLED && !ledger->has_stalled)
        log_warning("%s: takes no more: %s; records are kept by their senders",
                    spool_path(ledger->options.spool),
                    result == -EFBIG ? "exporter.spool_bytes are full" : strerror(-result));
    ledger->has_stalled = true;
    ledger->mode = LEDGER_STALLED;
}

/* Keeps the order: behind one that was refused, all of its stream are. */
int ledger_put_aside(struct ledger *ledger, const struct message *message)
{
    const struct ledger_options *options = &ledger->options;
    struct ledger_input *input = &ledger->inputs[message->stream.shard];
    if (message->seq <= input->spooled_seq || message->seq <= input->safe_seq)
        return 0;
    int result = ledger->mode == LEDGER_SPOOL ? append(ledger, message) : -EFBIG;
    if (result == 0) {
        input->spooled_seq = message->seq;
        return 0;
    }
    stall(ledger, result);
    ledger->counters.n_refused++;
    options->on_refused(options->state, message->stream.shard);
    return 0;
}

/* What is synced may be forgotten by its sender. */
void ledger_sync(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    if (!options->spool || spool_is_empty(options->spool))
        return;
    int result = spool_sync(options->spool);
    for (uint32_t i = 0; i < options->n_shards; i++) {
        struct ledger_input *input = &ledger->inputs[i];
        if (result < 0) {
            input->spooled_seq = input->safe_seq;
            options->on_refused(options->state, i);
        } else if (input->spooled_seq > input->safe_seq) {
            input->safe_seq = input->spooled_seq;
            options->on_safe(options->state, i, input->safe_seq);
        }
    }
    if (result < 0)
        stall(ledger, result);
}

/* ---- and out of it ---- */

static int replay_batch(struct ledger *ledger, const struct spool_record *record, uint64_t now_ms)
{
    struct message message;
    if (record->kind != SPOOL_BATCH)
        return 0;
    if (message_decode(record->bytes, record->size, &message) != MESSAGE_OK) {
        message_release(&message);
        return -ENOMEM; /* it was decoded before, and has its checksum */
    }
    int result = ledger_apply(ledger, &message, now_ms);
    message_release(&message);
    return result;
}

/* A transaction of what is in the spool. */
static int replay(struct ledger *ledger, uint64_t now_ms)
{
    struct spool *spool = ledger->options.spool;
    struct spool_record record;
    uint64_t n = 0;
    int result = 0;
    while (result == 0 && n < REPLAY_BATCHES_A_TURN &&
           ledger->n_rows < (size_t)ledger->options.config->exporter.commit_rows) {
        result = spool_next(spool, &record);
        if (result == 0)
            result = replay_batch(ledger, &record, now_ms);
        n += result == 0;
    }
    if (result == -ENODATA)
        result = 0;
    if (result == 0 && store_has_transaction(ledger->options.store))
        result = ledger_commit(ledger);
    if (result < 0) {
        spool_rewind(spool);
        return ledger_meet(ledger, result, now_ms);
    }
    spool_keep(spool);
    ledger->counters.n_replayed += n;
    ledger->back_off_ms = BACK_OFF_MS;
    ledger->is_replaying = true;
    return 0;
}

/* Records of the spool that are not to be read any more had been acknowledged. */
static int declare_damage(struct ledger *ledger)
{
    const struct ledger_options *options = &ledger->options;
    bool is_damaged = false;
    int64_t time_ns = INT64_MIN;
    for (uint32_t i = 0; i < options->n_shards; i++) {
        const struct ledger_input *input = &ledger->inputs[i];
        if (input->watermark_ns > time_ns)
            time_ns = input->watermark_ns;
        if (input->committed_seq < input->safe_seq) {
            store_allow_hole(options->store, i, input->watermark_ns);
            is_damaged = true;
        }
    }
    return is_damaged ? spool_declare_damage(options->store, options->spool, time_ns) : 0;
}

/* The senders bring what they have; if the database does not take it, they hear that again. */
static void go_on(struct ledger *ledger)
{
    bool was_stalled = ledger->mode == LEDGER_STALLED;
    if (ledger->options.spool)
        spool_clear(ledger->options.spool);
    for (uint32_t i = 0; i < ledger->options.n_shards; i++) {
        struct ledger_input *input = &ledger->inputs[i];
        input->committed_seq = input->applied_seq = input->spooled_seq = input->safe_seq;
    }
    ledger->mode = LEDGER_DATABASE;
    ledger->is_replaying = false;
    if (was_stalled)
        want_all(ledger);
}

static int finish_replay(struct ledger *ledger, uint64_t now_ms)
{
    int result = declare_damage(ledger);
    if (result < 0)
        return ledger_meet(ledger, result, now_ms);
    go_on(ledger);
    ledger_end_trouble(ledger);
    return 0;
}

/* With nothing in the spool; the first batch is the trial then. */
static int probe(struct ledger *ledger, uint64_t now_ms)
{
    int result = store_probe(ledger->options.store);
    if (result < 0)
        return ledger_meet(ledger, result, now_ms);
    go_on(ledger);
    return 0;
}

/* After errors of the disk or a lack of memory SQLite may not find back in the same process. What
 * is safe is in the spool, the rest with its senders. */
static bool is_stuck(const struct ledger *ledger, uint64_t now_ms)
{
    return ledger->is_in_trouble && ledger->mode != LEDGER_DATABASE && !ledger->is_replaying &&
           (ledger->trouble == -EIO || ledger->trouble == -ENOMEM) &&
           now_ms - ledger->trouble_ms >= STUCK_MS;
}

int ledger_try_again(struct ledger *ledger, uint64_t now_ms, bool *is_busy)
{
    const struct ledger_options *options = &ledger->options;
    int result = 0;
    ledger_sync(ledger);
    if (ledger->mode == LEDGER_STALLED && now_ms - ledger->alive_ms >= ALIVE_MS) {
        ledger->alive_ms = now_ms;
        options->on_stalled(options->state);
    }
    *is_busy = ledger->has_heard;
    if (!ledger->is_replaying && now_ms < ledger->retry_ms)
        return 0;
    if (options->spool && spool_has_unread(options->spool))
        result = replay(ledger, now_ms);
    else if (ledger->is_replaying)
        result = finish_replay(ledger, now_ms);
    else
        result = probe(ledger, now_ms);
    *is_busy |= ledger->is_replaying || ledger->mode == LEDGER_DATABASE;
    if (result == 0 && is_stuck(ledger, now_ms)) {
        log_error("%s, for %d s: a successor opens it anew", store_error(options->store),
                  STUCK_MS / 1000);
        result = -ECANCELED;
    }
    return result;
}
