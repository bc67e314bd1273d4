/* What streams left that nobody goes on with, each kind in a row of its own.
 *
 * A tracker counts usage at once and tells of flows later; what of its usage is not in flow records
 * yet is kept with its stream, in the transaction of both. When a tracker with another epoch takes
 * its place, that is a gap: counted, and in no record. A capture stream that another takes the
 * place of before it has ended may have had more: a loss line that says so. A stream that goes on
 * (its worker's ring outlives it) leaves nothing. A run that was stopped before anything of its
 * streams was committed has its row, and gets such a line too; and so do the streams of this run
 * when their ends were acknowledged out of a spool, and lost with it. */
#include "exporter/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NO_RUN = 0 };

/* ---- what is open ---- */

static bool is_of_flows(uint8_t class_index)
{
    return class_index == CLASS_CONNECTION || class_index >= CLASS_USER_FIRST;
}

/* Sums that wrap are refused by store_gap_grow(): what they are made of is checked before. */
static void add(int64_t *sum, uint64_t more)
{
    *sum = (int64_t)((uint64_t)*sum + more);
}

void store_gap_add_usage(struct store *store, const struct usage_delta *delta)
{
    if (!store->has_flow_records || !is_of_flows(delta->class_index))
        return;
    add(&store->growth.packets, delta->packets);
    add(&store->growth.l2_bytes, delta->l2_bytes);
    add(&store->growth.l3_bytes, delta->l3_bytes);
    add(&store->growth.billed_bytes, delta->billed_bytes);
}

void store_gap_add_flow(struct store *store, const struct flow_record *flow)
{
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &flow->counters[i];
        add(&store->growth.packets, -counters->packets);
        add(&store->growth.l2_bytes, -counters->l2_bytes);
        add(&store->growth.l3_bytes, -counters->l3_bytes);
        add(&store->growth.billed_bytes, -counters->billed_bytes);
    }
}

int store_gap_grow(struct store *store, struct store_stream *stream)
{
    struct store_open *open = &stream->open;
    const struct store_open *growth = &store->growth;
    bool is_beyond =
        __builtin_add_overflow(open->packets, growth->packets, &open->packets) ||
        __builtin_add_overflow(open->l2_bytes, growth->l2_bytes, &open->l2_bytes) ||
        __builtin_add_overflow(open->l3_bytes, growth->l3_bytes, &open->l3_bytes) ||
        __builtin_add_overflow(open->billed_bytes, growth->billed_bytes, &open->billed_bytes);
    return is_beyond ? store_fail(store, -ERANGE,
                                  "%s: stream %s: open bytes of flows beyond 64-bit integers",
                                  store->path, stream->mark.stream.producer)
                     : 0;
}

/* ---- trackers ---- */

struct gap {
    int64_t stream_id;
    int64_t last_ns;
    struct store_open open;
};

/* 1: 'gap' is the first there is; 0: none; or -errno. */
static int find_gap(struct store *store, const struct stream_id *id, struct gap *gap)
{
    sqlite3_stmt *find = store->statements[STATEMENT_GAP_FIND];
    if (id) {
        store_bind_integer(find, 1, id->shard);
        store_bind_integer(find, 2, (int64_t)id->epoch);
    } else {
        store_bind_null(find, 1);
        store_bind_null(find, 2);
    }
    int step = sqlite3_step(find);
    if (step == SQLITE_ROW) {
        *gap = (struct gap){
            .stream_id = sqlite3_column_int64(find, 0),
            .last_ns = sqlite3_column_int64(find, 1),
            .open = {sqlite3_column_int64(find, 2), sqlite3_column_int64(find, 3),
                     sqlite3_column_int64(find, 4), sqlite3_column_int64(find, 5)},
        };
    }
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? step == SQLITE_ROW
                     : store_fail_sqlite(store, "cannot read the streams");
    sqlite3_reset(find);
    return result;
}

static void forget_open(struct store *store, int64_t stream_id)
{
    for (size_t i = 0; i < store->n_streams; i++)
        if (store->streams[i].row_id == stream_id)
            store->streams[i].open = (struct store_open){0};
}

/* A flow's records are at most an interim interval apart: what is in none was counted since. */
static int add_gap(struct store *store, const struct gap *gap)
{
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, seal_of(gap->last_ns), &seal);
    if (result < 0)
        return result;
    sqlite3_stmt *insert = store->statements[STATEMENT_GAP_ADD];
    int64_t first_ns = gap->last_ns < INT64_MIN + store->interim_interval_ns
                           ? INT64_MIN
                           : gap->last_ns - store->interim_interval_ns;
    store_bind_integer(insert, 1, gap->stream_id);
    store_bind_integer(insert, 2, first_ns);
    store_bind_integer(insert, 3, gap->last_ns);
    store_bind_integer(insert, 4, gap->open.packets);
    store_bind_integer(insert, 5, gap->open.l2_bytes);
    store_bind_integer(insert, 6, gap->open.l3_bytes);
    store_bind_integer(insert, 7, gap->open.billed_bytes);
    store_bind_integer(insert, 8, seal->number);
    result = store_run_statement(store, STATEMENT_GAP_ADD, "cannot add a gap");
    if (result < 0)
        return result;
    store_bind_integer(store->statements[STATEMENT_GAP_CLOSE], 1, gap->stream_id);
    forget_open(store, gap->stream_id);
    return store_run_statement(store, STATEMENT_GAP_CLOSE, "cannot close a gap");
}

int store_gap_settle(struct store *store, const struct store_stream *stream)
{
    const struct store_open *open = &stream->open;
    if (!open->packets && !open->l2_bytes && !open->l3_bytes && !open->billed_bytes)
        return 0;
    sqlite3_stmt *find = store->statements[STATEMENT_GAP_IS_BEHIND_HOLE];
    store_bind_integer(find, 1, stream->row_id);
    int step = sqlite3_step(find);
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? 0
                     : store_fail_sqlite(store, "cannot read the losses");
    sqlite3_reset(find);
    if (step != SQLITE_ROW)
        return result;
    struct gap gap = {stream->row_id, stream->clock_ns, *open};
    return add_gap(store, &gap);
}

static int close_trackers(struct store *store, const struct stream_id *id)
{
    struct gap gap = {0};
    int result;
    while ((result = find_gap(store, id, &gap)) > 0) {
        result = add_gap(store, &gap);
        if (result < 0)
            return result;
    }
    return result;
}

/* ---- captures ---- */

struct unended {
    int64_t stream_id;
    int64_t seq;
    int64_t run_id;
    int64_t clock_ns;
};

/* 'but_run': is left out, where no 'id' is given. */
static int find_unended(struct store *store, const struct stream_id *id, int64_t but_run,
                        struct unended *unended)
{
    sqlite3_stmt *find = store->statements[STATEMENT_UNENDED_FIND];
    if (id) {
        store_bind_text(find, 1, id->producer, strlen(id->producer));
        store_bind_integer(find, 2, id->shard);
        store_bind_integer(find, 3, (int64_t)id->epoch);
    } else {
        for (int i = 1; i <= 3; i++)
            store_bind_null(find, i);
    }
    store_bind_integer(find, 4, but_run);
    int step = sqlite3_step(find);
    if (step == SQLITE_ROW)
        *unended = (struct unended){sqlite3_column_int64(find, 0), sqlite3_column_int64(find, 1),
                                    sqlite3_column_int64(find, 2), sqlite3_column_int64(find, 3)};
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? step == SQLITE_ROW
                     : store_fail_sqlite(store, "cannot read the streams");
    sqlite3_reset(find);
    return result;
}

/* What a worker had captured that nothing is known of. Without its evidence. */
static struct loss not_ended(int64_t first_ns, int64_t last_ns)
{
    return (struct loss){
        .first_ns = first_ns < last_ns ? first_ns : last_ns, /* the wall clock may have stepped */
        .last_ns = last_ns,
        .packets = LOSS_AMOUNT_UNKNOWN,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = LOSS_CAPTURE,
        .certainty = LOSS_UNKNOWN,
        .reason = "not_ended",
    };
}

static int add_unended(struct store *store, const struct unended *unended)
{
    struct loss loss = not_ended(unended->clock_ns, unended->clock_ns);
    snprintf(
        loss.evidence, sizeof loss.evidence,
        "run %lld stopped without the end of this worker's streams: what it had captured after "
        "batch %lld is not here",
        (long long)unended->run_id, (long long)unended->seq);
    return store_add_loss(store, unended->stream_id, &loss);
}

static int close_captures(struct store *store, const struct stream_id *id, int64_t but_run)
{
    struct unended unended = {0};
    int result;
    while ((result = find_unended(store, id, but_run, &unended)) > 0) {
        result = add_unended(store, &unended);
        if (result < 0)
            return result;
    }
    return result;
}

/* ---- runs ---- */

struct unheard {
    int64_t run_id;
    int64_t started_ns;   /* wall time */
    int64_t last_slot_ns; /* of any run; 0: none */
};

static int find_unheard(struct store *store, int64_t but_run, struct unheard *unheard)
{
    sqlite3_stmt *find = store->statements[STATEMENT_UNHEARD_FIND];
    store_bind_integer(find, 1, but_run);
    int step = sqlite3_step(find);
    if (step == SQLITE_ROW)
        *unheard = (struct unheard){sqlite3_column_int64(find, 0), sqlite3_column_int64(find, 1),
                                    sqlite3_column_int64(find, 2)};
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? step == SQLITE_ROW
                     : store_fail_sqlite(store, "cannot read the runs");
    sqlite3_reset(find);
    return result;
}

/* Live, what it captured came between its start and ours; of files nobody knows when it was. */
static int add_unheard(struct store *store, const struct unheard *unheard, bool is_live)
{
    int64_t stream_id;
    struct loss loss = not_ended(is_live ? unheard->started_ns : unheard->last_slot_ns,
                                 is_live ? store->run_started_ns : unheard->last_slot_ns);
    snprintf(loss.evidence, sizeof loss.evidence,
             "run %lld stopped before anything of it was committed: what it had captured is not "
             "here",
             (long long)unheard->run_id);
    int result = store_stream_own(store, unheard->run_id, &stream_id);
    return result == 0 ? store_add_loss(store, stream_id, &loss) : result;
}

static int close_runs(struct store *store, int64_t but_run, bool is_live)
{
    struct unheard unheard = {0};
    int result;
    while ((result = find_unheard(store, but_run, &unheard)) > 0) {
        result = add_unheard(store, &unheard, is_live);
        if (result < 0)
            return result;
    }
    return result;
}

int store_gap_begin(struct store *store)
{
    int result = store_seals_know(store);
    return result == 0 ? close_runs(store, store->run_id, true) : result;
}

/* ---- all ---- */

int store_gap_replace(struct store *store, const struct stream_id *id, const char *kind)
{
    int result = store_seals_know(store);
    if (result < 0)
        return result;
    return strcmp(kind, "tracker") == 0 ? close_trackers(store, id)
                                        : close_captures(store, id, store->run_id);
}

int store_gap_finish(struct store *store)
{
    int result = store_seals_know(store);
    if (result == 0)
        result = close_trackers(store, NULL);
    if (result == 0)
        result = close_captures(store, NULL, store->run_id);
    return result == 0 ? close_runs(store, store->run_id, false) : result;
}

int store_declare_unended(struct store *store)
{
    int result = store_begin(store);
    if (result == 0)
        result = store_seals_know(store);
    if (result == 0)
        result = close_captures(store, NULL, NO_RUN);
    if (result == 0)
        result = close_runs(store, NO_RUN, false);
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    return result;
}
