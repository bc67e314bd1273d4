/* Retention: flow records of closed seals are deleted by age, a portion at a time, and what they
 * add up to is kept with their seal in the same transaction (schema/0015_pruned.sql). Rows stand in
 * the order of writing, which is the order of seals but for what shards and clocks make of it: it
 * is read from the front, up to where nothing has been old enough for a while. */
#include "exporter/store/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_KEPT_MAX = 4096 /* one after the other, before it is no use to look on */ };

struct pruned {
    int64_t seal;
    int64_t n_rows;
    struct seal_sum sum;
    int64_t packets, l2_bytes, l3_bytes, billed_bytes;
};

struct portion {
    int64_t *record_ids; /* to delete */
    size_t n;
    struct pruned *seals; /* as they came; the last is looked at first */
    size_t n_seals, seals_room;
};

static int no_memory(struct store *store)
{
    return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
}

static struct pruned *seal_of_portion(struct portion *portion, int64_t seal)
{
    for (size_t i = portion->n_seals; i > 0; i--)
        if (portion->seals[i - 1].seal == seal)
            return &portion->seals[i - 1];
    if (portion->n_seals == portion->seals_room) {
        size_t room = portion->seals_room ? 2 * portion->seals_room : 16;
        struct pruned *seals = reallocarray(portion->seals, room, sizeof *seals);
        if (!seals)
            return NULL;
        portion->seals = seals;
        portion->seals_room = room;
    }
    portion->seals[portion->n_seals] = (struct pruned){.seal = seal};
    return &portion->seals[portion->n_seals++];
}

static void wrap_add(int64_t *sum, uint64_t more)
{
    *sum = (int64_t)((uint64_t)*sum + more);
}

static int take_row(struct store *store, const struct seal_flows *flows, struct portion *portion)
{
    struct pruned *pruned = seal_of_portion(portion, flows->seal);
    if (!pruned)
        return no_memory(store);
    struct seal_names names =
        seal_names_of(&store->seals.names, flows->wan_id, flows->account_id, flows->class_number);
    seal_flow_add(&pruned->sum, &flows->record, &names);
    pruned->n_rows++;
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &flows->record.counters[i];
        wrap_add(&pruned->packets, counters->packets);
        wrap_add(&pruned->l2_bytes, counters->l2_bytes);
        wrap_add(&pruned->l3_bytes, counters->l3_bytes);
        wrap_add(&pruned->billed_bytes, counters->billed_bytes);
    }
    assert(portion->record_ids);
    portion->record_ids[portion->n++] = flows->record_id;
    return 0;
}

/* Fills the portion. '*after': where to go on; INT64_MIN: there is no more. */
static int collect(struct store *store, const struct store_prune *prune, int64_t *after,
                   struct portion *portion)
{
    struct seal_flows flows;
    if (seal_flows_open(store->db, *after, &flows) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot read the flow records");
    int result = 0, step = SQLITE_DONE;
    size_t n_kept = 0, n_read = 0;
    while (result == 0 && n_read < prune->n_rows &&
           (step = seal_flows_next(&flows)) == SQLITE_ROW) {
        bool is_due = flows.seal < prune->before_seal && flows.seal < store->seals.first_open;
        n_read++;
        *after = flows.record_id;
        n_kept = is_due ? 0 : n_kept + 1;
        if (is_due)
            result = take_row(store, &flows, portion);
        else if (n_kept >= ROWS_KEPT_MAX && !prune->is_whole)
            break;
    }
    bool is_failed = result == 0 && step != SQLITE_ROW && step != SQLITE_DONE;
    if (is_failed)
        result = store_fail_sqlite(store, "cannot read the flow records");
    bool is_over = step == SQLITE_DONE || (n_kept >= ROWS_KEPT_MAX && !prune->is_whole);
    if (is_over)
        *after = INT64_MIN;
    seal_flows_close(&flows);
    return result;
}

static int delete_rows(struct store *store, const struct portion *portion)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < portion->n; i++) {
        store_bind_integer(store->statements[STATEMENT_FLOW_DELETE], 1, portion->record_ids[i]);
        store_bind_integer(store->statements[STATEMENT_FLOW_EXTRA_DELETE], 1,
                           portion->record_ids[i]);
        result = store_run_statement(store, STATEMENT_FLOW_DELETE, "cannot delete a flow record");
        if (result == 0)
            result = store_run_statement(store, STATEMENT_FLOW_EXTRA_DELETE,
                                         "cannot delete a flow record");
    }
    return result;
}

/* What was deleted before is in the row; sums of hashes wrap. */
static int add_before(struct store *store, struct pruned *pruned)
{
    sqlite3_stmt *find = store->statements[STATEMENT_PRUNED_FIND];
    store_bind_integer(find, 1, pruned->seal);
    int step = sqlite3_step(find);
    if (step == SQLITE_ROW) {
        pruned->n_rows += sqlite3_column_int64(find, 0);
        for (int i = 0; i < SEAL_LANES; i++)
            pruned->sum.lanes[i] += (uint64_t)sqlite3_column_int64(find, 1 + i);
        wrap_add(&pruned->packets, (uint64_t)sqlite3_column_int64(find, 3));
        wrap_add(&pruned->l2_bytes, (uint64_t)sqlite3_column_int64(find, 4));
        wrap_add(&pruned->l3_bytes, (uint64_t)sqlite3_column_int64(find, 5));
        wrap_add(&pruned->billed_bytes, (uint64_t)sqlite3_column_int64(find, 6));
    }
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? 0
                     : store_fail_sqlite(store, "cannot read what was deleted");
    sqlite3_reset(find);
    return result;
}

static int put_pruned(struct store *store, struct pruned *pruned, int64_t now_ns)
{
    static_assert(SEAL_LANES == 2, "columns of pruned_flows");
    int result = add_before(store, pruned);
    if (result < 0)
        return result;
    sqlite3_stmt *put = store->statements[STATEMENT_PRUNED_PUT];
    store_bind_integer(put, 1, pruned->seal);
    store_bind_integer(put, 2, pruned->n_rows);
    store_bind_integer(put, 3, (int64_t)pruned->sum.lanes[0]);
    store_bind_integer(put, 4, (int64_t)pruned->sum.lanes[1]);
    store_bind_integer(put, 5, pruned->packets);
    store_bind_integer(put, 6, pruned->l2_bytes);
    store_bind_integer(put, 7, pruned->l3_bytes);
    store_bind_integer(put, 8, pruned->billed_bytes);
    store_bind_integer(put, 9, now_ns);
    return store_run_statement(store, STATEMENT_PRUNED_PUT, "cannot keep what was deleted");
}

/* What is deleted is written over in the file, too. */
static int overwrite_from_now(struct store *store)
{
    return sqlite3_exec(store->db, "PRAGMA secure_delete = ON", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, "cannot be told to overwrite");
}

int store_prune(struct store *store, const struct store_prune *prune, int64_t *after,
                size_t *n_deleted)
{
    assert(store->has_transaction);
    struct portion portion = {.record_ids = calloc(prune->n_rows, sizeof *portion.record_ids)};
    int result = portion.record_ids ? store_seals_know(store) : no_memory(store);
    if (result == 0)
        result = overwrite_from_now(store);
    if (result == 0)
        result = collect(store, prune, after, &portion);
    if (result == 0)
        result = delete_rows(store, &portion);
    for (size_t i = 0; result == 0 && i < portion.n_seals; i++)
        result = put_pruned(store, &portion.seals[i], prune->now_ns);
    *n_deleted = portion.n;
    free(portion.seals);
    free(portion.record_ids);
    return result;
}
