/* Seals: which rows are in which, and closing those that are due. What is known of the open ones is
 * kept in memory as rows are written, and read again from the database after a start or a rollback;
 * usage rows and losses are read when their seal closes. */
#include "exporter/store/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_A_SEAL = 64 /* what closing one costs besides its rows, in rows */ };

/* ---- the open ones, by number ---- */

static size_t place_of(const struct store_seals *seals, int32_t number)
{
    size_t low = 0, high = seals->n_open;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (seals->open[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct store *store, size_t place, int32_t number)
{
    struct store_seals *seals = &store->seals;
    if (seals->n_open == seals->open_room) {
        size_t room = seals->open_room ? 2 * seals->open_room : 16;
        struct store_open_seal *open = reallocarray(seals->open, room, sizeof *open);
        if (!open)
            return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
        seals->open = open;
        seals->open_room = room;
    }
    memmove(&seals->open[place + 1], &seals->open[place],
            (seals->n_open - place) * sizeof *seals->open);
    seals->open[place] = (struct store_open_seal){.number = number, .first_record_id = INT64_MAX};
    seals->n_open++;
    return 0;
}

int store_seal_of_row(struct store *store, int32_t number, struct store_open_seal **out)
{
    struct store_seals *seals = &store->seals;
    if (number < seals->first_open)
        number = seals->first_open;
    size_t place = seals->last_place;
    if (place >= seals->n_open || seals->open[place].number != number) {
        place = place_of(seals, number);
        if (place == seals->n_open || seals->open[place].number != number) {
            int result = insert(store, place, number);
            if (result < 0)
                return result;
        }
        seals->last_place = place;
    }
    *out = &seals->open[place];
    return 0;
}

static void add_flow(struct store_seals *seals, struct store_open_seal *open, int64_t record_id,
                     const struct flow_record *record, const struct seal_names *names)
{
    seal_flow_add(&open->flow_sum, record, names);
    open->n_flows++;
    open->has_rows = true;
    if (record_id < open->first_record_id)
        open->first_record_id = record_id;
    seals->last_record_id = record_id;
}

int64_t store_seal_next_record(const struct store *store)
{
    return store->seals.last_record_id + 1;
}

void store_seal_flow(struct store *store, struct store_open_seal *open, int64_t record_id,
                     const struct flow_record *record)
{
    struct seal_names names =
        seal_names_of(&store->seals.names, store->wan_ids[record->wan],
                      store->account_ids[record->account], store->class_ids[record->class_index]);
    add_flow(&store->seals, open, record_id, record, &names);
}

/* ---- what the database knows ---- */

void store_seals_forget(struct store *store)
{
    struct store_seals *seals = &store->seals;
    seal_reader_close(&seals->reader);
    seal_names_free(&seals->names);
    free(seals->open);
    *seals = (struct store_seals){0};
}

static int read_last(struct store *store)
{
    struct store_seals *seals = &store->seals;
    seals->first_open = INT32_MIN;
    sqlite3_stmt *last = store->statements[STATEMENT_SEAL_LAST];
    int step = sqlite3_step(last);
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? 0
                     : store_fail_sqlite(store, "cannot read the seals");
    if (step == SQLITE_ROW) {
        const char *hash = (const char *)sqlite3_column_text(last, 1);
        size_t size = 0;
        seals->first_open = sqlite3_column_int(last, 0) + 1;
        seals->flow_through = sqlite3_column_int64(last, 2);
        if (!hash ||
            sodium_hex2bin(seals->previous, sizeof seals->previous, hash, strlen(hash), NULL, &size,
                           NULL) != 0 ||
            size != sizeof seals->previous)
            result = store_fail(store, -EUCLEAN, "%s: seal %d has no hash", store->path,
                                seals->first_open - 1);
    }
    sqlite3_reset(last);
    seals->last_record_id = seals->flow_through;
    return result;
}

/* Seals with usage rows or losses. */
static int read_open(struct store *store)
{
    struct store_seals *seals = &store->seals;
    sqlite3_stmt *open = store->statements[STATEMENT_SEAL_OPEN];
    bool is_first = seals->first_open == INT32_MIN;
    store_bind_integer(open, 1, seals->first_open);
    store_bind_integer(open, 2, is_first ? INT64_MIN : seal_start_ns(seals->first_open));
    int result = 0;
    int step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(open)) == SQLITE_ROW) {
        struct store_open_seal *seal;
        result = store_seal_of_row(store, sqlite3_column_int(open, 0), &seal);
        if (result == 0 && sqlite3_column_int(open, 1))
            seal->has_rows = true;
    }
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the open seals");
    sqlite3_reset(open);
    return result;
}

/* What is unsound is summed up as it reads; the audit says so. */
static int read_flows(struct store *store)
{
    struct store_seals *seals = &store->seals;
    struct seal_flows flows;
    if (seal_flows_open(store->db, seals->flow_through, &flows) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot read the flow records");
    int result = 0;
    int step = SQLITE_DONE;
    while (result == 0 && (step = seal_flows_next(&flows)) == SQLITE_ROW) {
        struct store_open_seal *open;
        seals->last_record_id = flows.record_id;
        if (flows.seal < seals->first_open)
            continue; /* sealed, but among others that are not */
        struct seal_names names =
            seal_names_of(&seals->names, flows.wan_id, flows.account_id, flows.class_number);
        result = store_seal_of_row(store, (int32_t)flows.seal, &open);
        if (result == 0)
            add_flow(seals, open, flows.record_id, &flows.record, &names);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the flow records");
    seal_flows_close(&flows);
    return result;
}

int store_seals_know(struct store *store)
{
    if (store->seals.is_known)
        return 0;
    store_seals_forget(store);
    int result = seal_names_load(store->db, &store->seals.names) == SQLITE_OK
                     ? 0
                     : store_fail_sqlite(store, "cannot read the names");
    if (result == 0)
        result = read_last(store);
    if (result == 0)
        result = read_open(store);
    if (result == 0)
        result = read_flows(store);
    store->seals.is_known = result == 0;
    return result;
}

/* ---- closing ---- */

static int64_t flow_through(const struct store_seals *seals)
{
    int64_t through = seals->last_record_id;
    for (size_t i = 0; i < seals->n_open; i++)
        if (seals->open[i].first_record_id <= through)
            through = seals->open[i].first_record_id - 1;
    return through;
}

static int put_seal(struct store *store, const struct seal *seal, int64_t sealed_ns)
{
    char previous[SEAL_HEX_SIZE], usage[SEAL_HEX_SIZE], flows[SEAL_HEX_SIZE], losses[SEAL_HEX_SIZE],
        hash[SEAL_HEX_SIZE];
    seal_hex(seal->previous, previous);
    seal_hex(seal->usage_sha256, usage);
    seal_sum_hex(&seal->flow_sum, flows);
    seal_hex(seal->loss_sha256, losses);
    seal_hex(seal->hash, hash);
    sqlite3_stmt *add = store->statements[STATEMENT_SEAL_ADD];
    store_bind_integer(add, 1, seal->number);
    store_bind_text(add, 2, previous, strlen(previous));
    store_bind_integer(add, 3, seal->n_usage);
    store_bind_integer(add, 4, seal->packets);
    store_bind_integer(add, 5, seal->l2_bytes);
    store_bind_integer(add, 6, seal->l3_bytes);
    store_bind_integer(add, 7, seal->billed_bytes);
    store_bind_text(add, 8, usage, strlen(usage));
    store_bind_integer(add, 9, seal->n_flows);
    store_bind_text(add, 10, flows, strlen(flows));
    store_bind_integer(add, 11, seal->n_losses);
    store_bind_text(add, 12, losses, strlen(losses));
    store_bind_text(add, 13, hash, strlen(hash));
    store_bind_integer(add, 14, sealed_ns);
    if (store->run_id)
        store_bind_integer(add, 15, store->run_id);
    else
        store_bind_null(add, 15);
    store_bind_integer(add, 16, flow_through(&store->seals));
    return store_run_statement(store, STATEMENT_SEAL_ADD, "cannot add a seal");
}

/* The reader has all of the first open one. */
static int close_first(struct store *store, int64_t sealed_ns)
{
    struct store_seals *seals = &store->seals;
    struct seal seal = seals->reader.seal;
    seal.n_flows = seals->open[0].n_flows;
    seal.flow_sum = seals->open[0].flow_sum;
    memcpy(seal.previous, seals->previous, sizeof seal.previous);
    memcpy(seal.config_sha256, store->config_sha256, sizeof seal.config_sha256);
    seal_close(&seal);
    seals->n_open--;
    memmove(&seals->open[0], &seals->open[1], seals->n_open * sizeof *seals->open);
    seals->last_place = 0;
    seals->is_reading = false;
    memcpy(seals->previous, seal.hash, sizeof seals->previous);
    return put_seal(store, &seal, sealed_ns);
}

static int begin_first(struct store *store)
{
    struct store_seals *seals = &store->seals;
    if (!seals->reader.statements[0] && seal_reader_open(store->db, &seals->reader) != SQLITE_OK)
        return store_fail_sqlite(store, "its schema is not what it says it is");
    seal_reader_begin(&seals->reader, seals->open[0].number);
    seals->is_reading = true;
    return 0;
}

bool store_is_seal_due(const struct store *store, int32_t open_at)
{
    const struct store_seals *seals = &store->seals;
    int32_t first_open = open_at > seals->first_open ? open_at : seals->first_open;
    return seals->is_known && seals->n_open > 0 && seals->open[0].number < first_open;
}

int store_seal(struct store *store, int32_t open_at, int64_t sealed_ns, size_t n_rows)
{
    assert(store->has_transaction);
    struct store_seals *seals = &store->seals;
    int result = store_seals_know(store);
    if (result == 0 && open_at > seals->first_open)
        seals->first_open = open_at; /* from here on nothing goes into those before */
    while (result == 0 && n_rows > 0 && store_is_seal_due(store, open_at)) {
        if (!seals->is_reading)
            result = begin_first(store);
        int step = result == 0 ? seal_reader_step(&seals->reader, n_rows) : SQLITE_ERROR;
        if (step == SQLITE_ROW)
            return 0;
        size_t cost = ROWS_A_SEAL + (size_t)(seals->reader.seal.n_usage);
        n_rows = n_rows > cost ? n_rows - cost : 0;
        if (step == SQLITE_DONE)
            result = close_first(store, sealed_ns);
        else if (result == 0)
            result = store_fail_sqlite(store, "cannot read what is to be sealed");
    }
    return result;
}

int store_seal_end(struct store *store, int32_t *open_at)
{
    int result = store_seals_know(store);
    const struct store_seals *seals = &store->seals;
    *open_at = INT32_MIN;
    for (size_t i = 0; result == 0 && i < seals->n_open; i++)
        if (seals->open[i].has_rows)
            *open_at = seals->open[i].number + 1;
    return result;
}
