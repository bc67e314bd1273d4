/* The sums that quotas are watched by, and the thresholds that they reach. Sums are kept by slot,
 * so that what an event says (in which slot, how much) does not depend on the order in which shards
 * told of them. */
#include "exporter/store/store_quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SECOND_NS = 1000000000;

static const char *const statement_sql[QUOTA_STATEMENT_N] = {
    [QUOTA_USAGE_ADD] =
        "INSERT INTO quota_usage (tariff_id, account_id, slot_ns, up_bytes, down_bytes, none_bytes)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET"
        " up_bytes = up_bytes + excluded.up_bytes,"
        " down_bytes = down_bytes + excluded.down_bytes,"
        " none_bytes = none_bytes + excluded.none_bytes",
    [QUOTA_USAGE_SUM] =
        "SELECT coalesce(sum(up_bytes), 0), coalesce(sum(down_bytes), 0),"
        " coalesce(sum(none_bytes), 0) FROM quota_usage"
        " WHERE tariff_id = ?1 AND account_id = ?2 AND slot_ns >= ?3 AND slot_ns < ?4",
    [QUOTA_USAGE_SLOTS] =
        "SELECT up_bytes, down_bytes, none_bytes, slot_ns FROM quota_usage"
        " WHERE tariff_id = ?1 AND account_id = ?2 AND slot_ns >= ?3 AND slot_ns < ?4"
        " ORDER BY slot_ns",
    [QUOTA_EVENT_LAST] =
        "SELECT coalesce(max(percent), 0), coalesce(max(slot_ns), 0) FROM quota_event"
        " WHERE tariff_id = ?1 AND account_id = ?2 AND begin_ns = ?3 AND quota_bytes = ?4",
    [QUOTA_EVENT_PUT] =
        "INSERT INTO quota_event (tariff_id, account_id, begin_ns, end_ns, percent, quota_bytes,"
        " slot_ns, used_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT DO UPDATE SET slot_ns = excluded.slot_ns, used_bytes = excluded.used_bytes",
};

int store_quota_open(struct store *store, const struct config *config)
{
    struct store_quota *own = calloc(1, sizeof *own);
    if (!own || quota_create(config, &own->quota) < 0) {
        free(own);
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    }
    store->quota = own;
    int result = 0;
    for (size_t i = 0; result == 0 && i < own->quota->n_tariffs; i++)
        result = store_quota_begin_run(store, &own->quota->tariffs[i]);
    for (size_t i = 0; result == 0 && own->quota->n_tariffs > 0 && i < QUOTA_STATEMENT_N; i++)
        if (sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &own->statements[i], NULL) != SQLITE_OK)
            result = store_fail_sqlite(store, "its schema is not what it says it is");
    return result;
}

void store_quota_close(struct store *store)
{
    struct store_quota *own = store->quota;
    if (!own)
        return;
    for (size_t i = 0; i < QUOTA_STATEMENT_N; i++)
        sqlite3_finalize(own->statements[i]);
    quota_destroy(own->quota);
    free(own->events);
    free(own);
    store->quota = NULL;
}

void store_quota_forget(struct store *store)
{
    if (!store->quota)
        return;
    quota_forget(store->quota->quota);
    store->quota->n_events = 0;
}

/* ---- events ---- */

/* What a statement about an account's state begins with. */
struct subject {
    struct store_quota *own;
    const struct quota_tariff *tariff;
    struct quota_state *state;
    uint16_t account; /* its number in records */
    int64_t account_id;
};

static void bind_span(sqlite3_stmt *statement, const struct subject *subject)
{
    int64_t begin_s = subject->state->period.begin_s, end_s = subject->state->period.end_s;
    quota_span(subject->tariff, &begin_s, &end_s);
    store_bind_integer(statement, 1, subject->tariff->row_id);
    store_bind_integer(statement, 2, subject->account_id);
    store_bind_integer(statement, 3, begin_s * SECOND_NS);
    store_bind_integer(statement, 4, end_s * SECOND_NS);
}

static struct quota_bytes read_bytes(sqlite3_stmt *row)
{
    return (struct quota_bytes){.up = (uint64_t)sqlite3_column_int64(row, 0),
                                .down = (uint64_t)sqlite3_column_int64(row, 1),
                                .none = (uint64_t)sqlite3_column_int64(row, 2)};
}

/* The slot in whose course the sum reached the threshold, and the sum at its end. */
static void find_slot(const struct subject *subject, uint64_t threshold,
                      struct store_quota_event *event)
{
    sqlite3_stmt *rows = subject->own->statements[QUOTA_USAGE_SLOTS];
    struct quota_bytes sum = {0, 0, 0};
    bind_span(rows, subject);
    while (event->used_bytes < threshold && sqlite3_step(rows) == SQLITE_ROW) {
        struct quota_bytes slot = read_bytes(rows);
        sum.up += slot.up;
        sum.down += slot.down;
        sum.none += slot.none;
        event->slot_ns = sqlite3_column_int64(rows, 3);
        event->used_bytes = quota_used(subject->tariff->tariff, &sum);
    }
    sqlite3_reset(rows);
}

static int put_event(struct store *store, const struct subject *subject,
                     const struct store_quota_event *event)
{
    sqlite3_stmt *put = subject->own->statements[QUOTA_EVENT_PUT];
    store_bind_integer(put, 1, subject->tariff->row_id);
    store_bind_integer(put, 2, subject->account_id);
    store_bind_integer(put, 3, event->begin_ns);
    store_bind_integer(put, 4, event->end_ns);
    store_bind_integer(put, 5, event->percent);
    store_bind_integer(put, 6, event->quota_bytes);
    store_bind_integer(put, 7, event->slot_ns);
    store_bind_integer(put, 8, (int64_t)event->used_bytes);
    int step = sqlite3_step(put);
    int result = step == SQLITE_DONE ? 0 : store_fail_sqlite(store, "cannot add a quota's event");
    sqlite3_reset(put);
    return result;
}

static int remember(struct store *store, const struct store_quota_event *event)
{
    struct store_quota *own = store->quota;
    if (own->n_events == own->events_room) {
        size_t room = own->events_room ? 2 * own->events_room : 16;
        struct store_quota_event *events = reallocarray(own->events, room, sizeof *events);
        if (!events)
            return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
        own->events = events;
        own->events_room = room;
    }
    own->events[own->n_events++] = *event;
    return 0;
}

/* A threshold that was told already is told again to the database only: a slot before, or of, its
 * own may have got more. */
static int settle_percent(struct store *store, const struct subject *subject, int32_t percent)
{
    struct quota_state *state = subject->state;
    uint64_t threshold = quota_threshold(state->quota_bytes, percent);
    bool is_told = percent <= state->percent;
    if (state->quota_bytes == 0 || (is_told && state->added_ns > state->told_ns) ||
        quota_used(subject->tariff->tariff, &state->bytes) < threshold)
        return 0;
    struct store_quota_event event = {.tariff = subject->tariff->tariff->name,
                                      .account = subject->account,
                                      .begin_ns = state->period.begin_s * SECOND_NS,
                                      .end_ns = state->period.end_s * SECOND_NS,
                                      .percent = percent,
                                      .quota_bytes = state->quota_bytes};
    find_slot(subject, threshold, &event);
    int result = put_event(store, subject, &event);
    if (result == 0 && !is_told) {
        state->percent = percent;
        state->told_ns = event.slot_ns;
        result = remember(store, &event);
    }
    return result;
}

static int settle(struct store *store, const struct subject *subject)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < subject->tariff->n_percents; i++)
        result = settle_percent(store, subject, subject->tariff->percents[i]);
    subject->state->added_ns = INT64_MAX;
    return result;
}

int store_quota_settle(struct store *store)
{
    struct store_quota *own = store->quota;
    int result = 0;
    if (!own)
        return 0;
    for (size_t i = 0; result == 0 && i < own->quota->n_marks; i++) {
        struct quota_mark mark = own->quota->marks[i];
        struct subject subject = {own, &own->quota->tariffs[mark.tariff],
                                  quota_state(own->quota, mark.tariff, mark.account), mark.account,
                                  store->account_ids[mark.account]};
        subject.state->is_marked = false;
        result = settle(store, &subject);
    }
    own->quota->n_marks = 0;
    return result;
}

/* ---- sums ---- */

static int add_to_slot(struct store *store, const struct subject *subject,
                       const struct usage_delta *delta)
{
    sqlite3_stmt *add = subject->own->statements[QUOTA_USAGE_ADD];
    struct quota_state alone = {0};
    quota_state_add(&alone, delta);
    store_bind_integer(add, 1, subject->tariff->row_id);
    store_bind_integer(add, 2, subject->account_id);
    store_bind_integer(add, 3, delta->slot_ns);
    store_bind_integer(add, 4, (int64_t)alone.bytes.up);
    store_bind_integer(add, 5, (int64_t)alone.bytes.down);
    store_bind_integer(add, 6, (int64_t)alone.bytes.none);
    int step = sqlite3_step(add);
    int result = step == SQLITE_DONE ? 0 : store_fail_sqlite(store, "cannot add to a quota's sum");
    sqlite3_reset(add);
    return result;
}

/* What the database has of the period, the delta included. */
static int load(struct store *store, const struct subject *subject, const struct period *period,
                int64_t slot_ns)
{
    struct quota_state *state = subject->state;
    sqlite3_stmt *sum = subject->own->statements[QUOTA_USAGE_SUM];
    sqlite3_stmt *last = subject->own->statements[QUOTA_EVENT_LAST];
    quota_state_begin(subject->own->quota, subject->tariff, period, state);
    bind_span(sum, subject);
    int result = sqlite3_step(sum) == SQLITE_ROW ? 0 : store_fail_sqlite(store, "cannot sum");
    if (result == 0)
        state->bytes = read_bytes(sum);
    sqlite3_reset(sum);
    store_bind_integer(last, 1, subject->tariff->row_id);
    store_bind_integer(last, 2, subject->account_id);
    store_bind_integer(last, 3, period->begin_s * SECOND_NS);
    store_bind_integer(last, 4, state->quota_bytes);
    if (result == 0 && sqlite3_step(last) == SQLITE_ROW) {
        state->percent = sqlite3_column_int(last, 0);
        state->told_ns = sqlite3_column_int64(last, 1);
    }
    state->added_ns = slot_ns;
    sqlite3_reset(last);
    return result;
}

/* In memory there is one period an account: another one's is settled before it goes. */
static int change_period(struct store *store, const struct subject *subject,
                         const struct period *period, int64_t slot_ns)
{
    int result = 0;
    bool is_pending =
        subject->state->is_marked && subject->state->generation == subject->own->quota->generation;
    if (is_pending)
        result = settle(store, subject);
    return result == 0 ? load(store, subject, period, slot_ns) : result;
}

static int add_to(struct store *store, const struct quota_at *at, const struct usage_delta *delta)
{
    struct store_quota *own = store->quota;
    struct subject subject = {own, &own->quota->tariffs[at->tariff],
                              quota_state(own->quota, at->tariff, delta->account), delta->account,
                              store->account_ids[delta->account]};
    int result = add_to_slot(store, &subject, delta);
    if (result < 0)
        return result;
    if (quota_is_loaded(own->quota, subject.state, &at->period))
        quota_state_add(subject.state, delta);
    else
        result = change_period(store, &subject, &at->period, delta->slot_ns);
    if (result == 0 && quota_mark(own->quota, at->tariff, delta->account) < 0)
        result = store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    return result;
}

int store_quota_add(struct store *store, const struct usage_delta *delta)
{
    int result = 0;
    if (!store->quota || store->quota->quota->n_tariffs == 0 || delta->billed_bytes == 0)
        return 0;
    struct quota_at at = {.tariff = 0};
    while (result == 0 && quota_next(store->quota->quota, delta, &at)) {
        result = add_to(store, &at, delta);
        at.tariff++;
    }
    return result;
}

void store_quota_begin(struct store *store)
{
    if (store->quota)
        store->quota->n_events = 0;
}

const struct store_quota_event *store_quota_events(const struct store *store, size_t *n)
{
    *n = store->quota ? store->quota->n_events : 0;
    return store->quota ? store->quota->events : NULL;
}
