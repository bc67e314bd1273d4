/* A batch's rows: usage sums, flow records, loss lines, sources and high-water marks. */
#include "exporter/store/store_quota.h"
#include "exporter/store/store_restore.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse_beyond(struct store *store, const char *what)
{
    return store_fail(store, -ERANGE, "%s: %s beyond 64-bit integers", store->path, what);
}

/* ---- usage ---- */

static int add_usage_delta(struct store *store, const struct usage_delta *delta)
{
    if (!store_fits(delta->packets | delta->l2_bytes | delta->l3_bytes | delta->billed_bytes))
        return refuse_beyond(store, "a usage delta");
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, delta->seal, &seal);
    if (result < 0)
        return result;
    seal->has_rows = true;
    store_gap_add_usage(store, delta);
    sqlite3_stmt *add = store->statements[STATEMENT_USAGE_ADD];
    store_bind_integer(add, 1, delta->slot_ns);
    store_bind_integer(add, 2, store->account_ids[delta->account]);
    store_bind_integer(add, 3, store->wan_ids[delta->wan]);
    store_bind_integer(add, 4, delta->direction);
    store_bind_integer(add, 5, store->class_ids[delta->class_index]);
    store_bind_integer(add, 6, delta->cause);
    store_bind_integer(add, 7, store->model_ids[delta->wan * DIRECTION_N + delta->direction]);
    store_bind_integer(add, 8, (int64_t)delta->packets);
    store_bind_integer(add, 9, (int64_t)delta->l2_bytes);
    store_bind_integer(add, 10, (int64_t)delta->l3_bytes);
    store_bind_integer(add, 11, (int64_t)delta->billed_bytes);
    store_bind_integer(add, 12, seal->number);
    result = store_run_statement(store, STATEMENT_USAGE_ADD, "cannot add to usage");
    return result == 0 ? store_quota_add(store, delta) : result;
}

static int add_usage(struct store *store, const struct message *message)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < message->n_usage; i++) {
        struct usage_delta delta;
        usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta); /* checked before */
        result = add_usage_delta(store, &delta);
    }
    return result;
}

/* ---- losses and sources ---- */

static void bind_optional(sqlite3_stmt *add, int position, bool is_there, int64_t value)
{
    if (is_there)
        store_bind_integer(add, position, value);
    else
        store_bind_null(add, position);
}

static void bind_text(sqlite3_stmt *statement, int position, const char *text)
{
    store_bind_text(statement, position, text, strlen(text));
}

int store_add_loss(struct store *store, int64_t stream_id, const struct loss *loss)
{
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, seal_of(loss->last_ns), &seal);
    if (result < 0)
        return result;
    sqlite3_stmt *add = store->statements[STATEMENT_LOSS_ADD];
    store_bind_integer(add, 1, stream_id);
    store_bind_integer(add, 2, loss->first_ns);
    store_bind_integer(add, 3, loss->last_ns);
    bind_text(add, 4, loss_stage_name(loss->stage));
    bind_text(add, 5, loss->reason);
    bind_optional(add, 6, loss->packets >= 0, loss->packets);
    bind_optional(add, 7, loss->l2_bytes >= 0, loss->l2_bytes);
    bind_optional(add, 8, loss->l3_bytes >= 0, loss->l3_bytes);
    bind_text(add, 9, loss_certainty_name(loss->certainty));
    bind_text(add, 10, loss->evidence);
    store_bind_integer(add, 11, seal->number);
    return store_run_statement(store, STATEMENT_LOSS_ADD, "cannot add a loss line");
}

static int add_loss(struct store *store, const struct message *message,
                    const struct stream_loss *line)
{
    bool is_own = stream_id_equal(&line->stream, &message->stream);
    struct store_stream *stream;
    int result = store_stream_get(store, &line->stream, is_own ? "tracker" : "capture", &stream);
    return result == 0 ? store_add_loss(store, stream->row_id, &line->loss) : result;
}

/* The hash as text; false: all zeros, there is none. */
static bool hash_text(const uint8_t hash[32], char text[65])
{
    uint8_t bits = 0;
    for (size_t i = 0; i < 32; i++) {
        bits |= hash[i];
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    }
    return bits != 0;
}

static int put_source(struct store *store, const struct stream_source *source)
{
    const struct source_total *total = &source->total;
    if (!store_fits(total->packets | total->l2_bytes))
        return refuse_beyond(store, "a source's total");
    sqlite3_stmt *put = store->statements[STATEMENT_SOURCE_PUT];
    char hash[65];
    store_bind_integer(put, 1, store->run_id);
    bind_text(put, 2, source->stream.producer);
    store_bind_integer(put, 3, (int64_t)source->stream.epoch);
    store_bind_integer(put, 4, total->source_index);
    bind_text(put, 5, total->name);
    if (hash_text(total->sha256, hash))
        bind_text(put, 6, hash);
    else
        store_bind_null(put, 6);
    store_bind_integer(put, 7, (int64_t)total->packets);
    store_bind_integer(put, 8, (int64_t)total->l2_bytes);
    store_bind_integer(put, 9, (int64_t)total->carrier_bytes);
    store_bind_integer(put, 10, total->first_ns);
    store_bind_integer(put, 11, total->last_ns);
    store_bind_integer(put, 12, total->is_complete);
    return store_run_statement(store, STATEMENT_SOURCE_PUT, "cannot add a source");
}

/* ---- a batch ---- */

/* What a batch names must be in the configuration that this exporter was started with. */
static int check_names(struct store *store, const struct message *message)
{
    struct named named = {0};
    for (size_t i = 0; i < message->n_usage; i++) {
        struct usage_delta delta;
        if (!usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta))
            return store_fail(store, -EBADMSG, "a usage delta is out of range");
        named_add(&named, delta.account, delta.wan, delta.class_index);
    }
    for (size_t i = 0; i < message->n_flows; i++) {
        const uint8_t *flow = message->flows + i * FLOW_RECORD_SIZE;
        if (!flow_record_is_valid(flow))
            return store_fail(store, -EBADMSG, "a flow record is out of range");
        flow_record_named(flow, &named);
    }
    if (named.account > store->account_names.n || named.wan > store->n_wans ||
        named.class_index >= store->n_classes)
        return store_fail(store, -EBADMSG,
                          "batch %lld of %s names account %u of %zu, WAN %u of %zu, class %u of "
                          "%zu: the tracker has another configuration",
                          (long long)message->seq, message->stream.producer, named.account,
                          store->account_names.n, named.wan, store->n_wans, named.class_index,
                          store->n_classes);
    return 0;
}

static int move_marks(struct store *store, const struct message *message)
{
    int result = 0;
    struct store_stream *stream;
    for (size_t i = 0; result == 0 && i < message->n_applied; i++) {
        result = store_stream_get(store, &message->applied[i].stream, "capture", &stream);
        if (result == 0) {
            stream->mark = message->applied[i];
            result = store_stream_update(store, stream);
        }
    }
    if (result == 0)
        result = store_stream_get(store, &message->stream, "tracker", &stream);
    if (result < 0)
        return result;
    stream->mark.seq = message->seq;
    stream->mark.totals = message->totals;
    stream->clock_ns = message->watermark_ns;
    result = store_gap_grow(store, stream);
    if (result == 0)
        result = store_stream_update(store, stream);
    if (result == 0 && message->end_of_stream)
        result = store_gap_settle(store, stream);
    return result == 0 && message->end_of_stream ? store_stream_close(store, message) : result;
}

int store_apply(struct store *store, const struct message *message)
{
    assert(store->has_transaction && store->account_ids && message->kind == MESSAGE_RECORDS);
    store->growth = (struct store_open){0};
    int result = store_check_turn(store, message);
    if (result == 0)
        result = store_learn_accounts(store, message);
    if (result == 0)
        result = check_names(store, message);
    if (result == 0)
        result = store_seals_know(store);
    if (result == 0)
        result = store_check_balance(store, message);
    if (result == 0)
        result = add_usage(store, message);
    if (result == 0)
        result = store_add_flows(store, message);
    for (size_t i = 0; result == 0 && i < message->n_losses; i++)
        result = add_loss(store, message, &message->losses[i]);
    for (size_t i = 0; result == 0 && i < message->n_sources; i++)
        result = put_source(store, &message->sources[i]);
    if (result == 0)
        result = store_add_changes(store, message);
    if (result == 0)
        result = store_add_hole(store, message);
    if (result == 0)
        result = store_restore_note_changes(store, message);
    if (result == 0)
        result = store_restore_note_memory(store, message);
    return result == 0 ? move_marks(store, message) : result;
}
