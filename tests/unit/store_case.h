/* store_case: what tests of the store and of the schema begin with: a database in a folder of its
 * own, a small configuration, batches to apply, and a second, read-only connection to ask what is
 * really in the file. */
#ifndef WANMETER_TESTS_UNIT_STORE_CASE_H
#define WANMETER_TESTS_UNIT_STORE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporter/store.h"

enum { CHECKPOINT_BYTES = 1 << 20, BATCH_ROWS_MAX = 40 };

struct store_case {
    char directory[64];
    char path[96];
    char error[STORE_ERROR_MAX];
    struct config config;
    struct config_wan wans[2];
    struct config_account accounts[2];
    struct store *store;
    int64_t n_runs;
};

/* Opens the database and starts a run, as the exporter does; or goes on with it, if it is there. */
static inline void case_start(struct store_case *c, int64_t started_ns, bool is_live)
{
    struct store_run run = {
        .started_ns = started_ns, .version = "0.0.0", .config = &c->config, .is_live = is_live};
    assert_int_equal(store_open(c->path, CHECKPOINT_BYTES, &c->store, c->error), 0);
    assert_int_equal(store_start_run(c->store, &run), 0);
}

static inline void case_open_run(struct store_case *c, int64_t started_ns)
{
    case_start(c, started_ns, false);
}

static inline void case_open_live(struct store_case *c, int64_t started_ns)
{
    case_start(c, started_ns, true);
}

/* A run of its own. */
static inline void case_open(struct store_case *c)
{
    case_open_run(c, ++c->n_runs);
}

static inline void case_close(struct store_case *c)
{
    store_close(c->store);
    c->store = NULL;
}

/* A database that is there, without a run. */
static inline void case_make(struct store_case *c)
{
    assert_int_equal(store_open(c->path, CHECKPOINT_BYTES, &c->store, c->error), 0);
    case_close(c);
}

/* Setup and teardown of every test. */
static inline int case_set_up(void **state)
{
    struct store_case *c = calloc(1, sizeof *c);
    if (!c)
        return -1;
    strcpy(c->directory, "/dev/shm/wanmeter-store-XXXXXX"); /* no disk to wait for at each commit */
    if (!mkdtemp(c->directory))
        return -1;
    snprintf(c->path, sizeof c->path, "%s/test.db", c->directory);
    config_init(&c->config);
    c->wans[0] = (struct config_wan){.name = (char *)"fiber", .overhead = (char *)"ip"};
    c->wans[1] = (struct config_wan){.name = (char *)"dsl", .overhead = (char *)"pppoe"};
    c->accounts[0] = (struct config_account){.name = (char *)"alice"};
    c->accounts[1] = (struct config_account){.name = (char *)"bob"};
    c->config.wans = c->wans;
    c->config.n_wans = 2;
    c->config.accounts = c->accounts;
    c->config.n_accounts = 2;
    *state = c;
    return 0;
}

static inline int case_tear_down(void **state)
{
    struct store_case *c = *state;
    store_close(c->store);
    DIR *directory = opendir(c->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
    int result = rmdir(c->directory);
    c->config.wans = NULL; /* ours */
    c->config.n_wans = 0;
    c->config.accounts = NULL;
    c->config.n_accounts = 0;
    config_deinit(&c->config);
    free(c);
    return result;
}

/* The first column of the first row of 'sql', as text ("NULL" for NULL, "" without a row). */
static inline const char *case_ask(const struct store_case *c, const char *sql)
{
    static char text[4096];
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int step = sqlite3_step(statement);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const char *value = step == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "";
    snprintf(text, sizeof text, "%s", value ? value : "NULL");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

#define assert_answer(c, sql, expected) assert_string_equal(case_ask(c, sql), expected)

/* Runs 'sql' on the file, past the store. */
static inline void case_tamper(const struct store_case *c, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}

/* ---- batches ---- */

/* A RECORDS message and the room for what it points to. Its capture stream is "capture-0". */
struct batch {
    struct message message;
    struct high_water applied;
    struct stream_loss losses[BATCH_ROWS_MAX];
    struct stream_source sources[BATCH_ROWS_MAX];
    uint8_t usage[BATCH_ROWS_MAX * USAGE_DELTA_SIZE];
    uint8_t flows[BATCH_ROWS_MAX * FLOW_RECORD_SIZE];
    uint8_t events[BATCH_ROWS_MAX * CONNECTION_EVENT_SIZE];
};

static const struct stream_id case_tracker = {.producer = "tracker-0", .epoch = 7};
static const struct stream_id case_capture = {.producer = "capture-0", .epoch = UINT64_MAX - 1};

/* Batch number 'seq', with nothing in it; the capture stream stays at 'totals'. */
static inline void batch_init(struct batch *batch, int64_t seq, struct totals totals)
{
    *batch = (struct batch){
        .message = {.kind = MESSAGE_RECORDS, .stream = case_tracker, .seq = seq, .n_applied = 1},
        .applied = {.stream = case_capture, .seq = seq, .totals = totals},
    };
    batch->message.applied = &batch->applied;
    batch->message.usage = batch->usage;
    batch->message.flows = batch->flows;
    batch->message.events = batch->events;
    batch->message.losses = batch->losses;
    batch->message.sources = batch->sources;
}

static inline void batch_grow(struct batch *batch, uint64_t packets, uint64_t l2, uint64_t l3)
{
    batch->applied.totals.packets += packets;
    batch->applied.totals.l2_bytes += l2;
    batch->applied.totals.l3_bytes += l3;
}

/* Adds a delta, and its amounts to the capture stream's totals. */
static inline void batch_add_usage(struct batch *batch, struct usage_delta delta)
{
    assert_true(batch->message.n_usage < BATCH_ROWS_MAX);
    usage_delta_put(&delta, batch->usage + batch->message.n_usage++ * USAGE_DELTA_SIZE);
    batch_grow(batch, delta.packets, delta.l2_bytes, delta.l3_bytes);
}

static inline void batch_add_flow(struct batch *batch, const struct flow_record *flow)
{
    assert_true(batch->message.n_flows < BATCH_ROWS_MAX);
    flow_record_put(flow, batch->flows + batch->message.n_flows++ * FLOW_RECORD_SIZE);
}

static inline void batch_add_event(struct batch *batch, const struct connection_event *event)
{
    assert_true(batch->message.n_events < BATCH_ROWS_MAX);
    connection_event_put(event, batch->events + batch->message.n_events++ * CONNECTION_EVENT_SIZE);
}

static inline struct loss *batch_add_loss(struct batch *batch, uint8_t stage, uint8_t certainty)
{
    assert_true(batch->message.n_losses < BATCH_ROWS_MAX);
    struct stream_loss *line = &batch->losses[batch->message.n_losses++];
    *line = (struct stream_loss){
        .stream = case_capture,
        .loss = {.stage = stage,
                 .certainty = certainty,
                 .packets = LOSS_AMOUNT_UNKNOWN,
                 .l2_bytes = LOSS_AMOUNT_UNKNOWN,
                 .l3_bytes = LOSS_AMOUNT_UNKNOWN,
                 .reason = "ring_full",
                 .evidence = "a test"},
    };
    return &line->loss;
}

static inline void batch_add_source(struct batch *batch, uint64_t packets, uint64_t l2_bytes,
                                    bool is_complete)
{
    assert_true(batch->message.n_sources < BATCH_ROWS_MAX);
    batch->sources[batch->message.n_sources++] = (struct stream_source){
        .stream = case_capture,
        .total = {.name = "a.pcap",
                  .sha256 = {0xab},
                  .packets = packets,
                  .l2_bytes = l2_bytes,
                  .first_ns = 10,
                  .last_ns = 20,
                  .is_complete = is_complete},
    };
}

/* An IPv4 UDP flow of 1 packet of 100/80 bytes up. */
static inline struct flow_record case_flow(void)
{
    return (struct flow_record){
        .id = UINT64_C(0xfedcba9876543210),
        .start_ns = 100,
        .first_ns = 100,
        .last_ns = 100,
        .counters = {{.packets = 1, .l2_bytes = 100, .l3_bytes = 80, .billed_bytes = 90}},
        .source_address = {192, 0, 2, 1},
        .destination_address = {198, 51, 100, 255},
        .source_port = 40000,
        .destination_port = 53,
        .ip_version = 4,
        .protocol = 17,
        .has_ports = 1,
        .wan = 2,
        .account = 1,
        .state = STATE_FIRST,
        .kind = RECORD_FINAL,
        .end_reason = END_OF_INPUT,
    };
}

/* The usage that case_flow() makes. */
static inline struct usage_delta case_usage(void)
{
    return (struct usage_delta){.packets = 1,
                                .l2_bytes = 100,
                                .l3_bytes = 80,
                                .billed_bytes = 90,
                                .account = 1,
                                .wan = 2,
                                .direction = DIRECTION_UP};
}

/* Applies and commits; what store_apply() says. */
static inline int case_apply(struct store_case *c, const struct batch *batch)
{
    assert_int_equal(store_begin(c->store), 0);
    int result = store_apply(c->store, &batch->message);
    if (result == 0)
        assert_int_equal(store_commit(c->store), 0);
    else
        store_rollback(c->store);
    return result;
}

#endif
