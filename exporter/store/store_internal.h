/* store_internal: what the parts of the store (store*.c) share. Nobody else includes it or
 * sqlite3.h. */
#ifndef WANMETER_EXPORTER_STORE_INTERNAL_H
#define WANMETER_EXPORTER_STORE_INTERNAL_H

#include <sqlite3.h>

#include "common/arguments.h"
#include "exporter/store.h"
#include "schema/seal_flows.h"
#include "schema/seal_reader.h"

enum store_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_RUN_START,
    STATEMENT_RUN_FIND,
    STATEMENT_RUN_FINISH,
    STATEMENT_RUN_PROBE,
    STATEMENT_RUN_LAST,
    STATEMENT_STREAM_FIND,
    STATEMENT_STREAM_ADD,
    STATEMENT_STREAM_UPDATE,
    STATEMENT_STREAM_CLOSE,
    STATEMENT_STREAM_APPLIED,
    STATEMENT_SOURCE_PUT,
    STATEMENT_LOSS_ADD,
    STATEMENT_LOSS_FIND,
    STATEMENT_GAP_FIND,
    STATEMENT_GAP_ADD,
    STATEMENT_GAP_IS_BEHIND_HOLE,
    STATEMENT_GAP_CLOSE,
    STATEMENT_UNENDED_FIND,
    STATEMENT_UNHEARD_FIND,
    STATEMENT_USAGE_ADD,
    STATEMENT_FLOWS_ADD,
    STATEMENT_FLOWS_APPEND, /* NULL: not by this SQLite (store_append.h) */
    STATEMENT_FLOW_LAST,
    STATEMENT_FLOW_EXTRA_ADD,
    STATEMENT_FLOW_DELETE,
    STATEMENT_FLOW_EXTRA_DELETE,
    STATEMENT_PRUNED_FIND,
    STATEMENT_PRUNED_PUT,
    STATEMENT_SEAL_LAST,
    STATEMENT_SEAL_OPEN,
    STATEMENT_SEAL_ADD,
    STATEMENT_CHANGE_ADD,
    STATEMENT_LABEL_ADD,
    STATEMENT_TRACKER_CHANGE_ADD,
    STATEMENT_TRACKER_CHANGE_MOVE,
    STATEMENT_TRACKER_CHANGE_DROP,
    STATEMENT_TRACKER_CHANGE_END,
    STATEMENT_TRACKER_CHANGE_OF,
    STATEMENT_TRACKER_CHANGE_FIND,
    STATEMENT_TRACKER_MEMORY_PUT,
    STATEMENT_TRACKER_MEMORY_FIND,
    STATEMENT_TRACKER_MEMORY_DROP,
    STATEMENT_TRACKER_MEMORY_END,
    STATEMENT_RESTORE_FIND,
    STATEMENT_RESTORE_LATEST,
    STATEMENT_N,
};

/* What usage of flows has, and flow records do not. */
struct store_open {
    int64_t packets;
    int64_t l2_bytes;
    int64_t l3_bytes;
    int64_t billed_bytes;
};

/* A stream as it stands within the open transaction. */
struct store_stream {
    int64_t row_id;
    struct high_water mark;
    int64_t clock_ns;       /* of a tracker's last batch; INT64_MIN: none */
    struct store_open open; /* of a tracker's */
};

/* A seal with rows, not closed yet. */
struct store_open_seal {
    int32_t number;
    bool has_rows; /* else it has losses only */
    int64_t n_flows;
    struct seal_sum flow_sum;
    int64_t first_record_id; /* INT64_MAX: no flow record */
};

struct store_seals {
    bool is_known;
    int32_t first_open; /* all before are closed: their late rows go into this one */
    struct store_open_seal *open;
    size_t n_open;
    size_t open_room;
    size_t last_place;           /* of the last row's */
    struct seal_name_list names; /* of WANs, accounts and classes */
    int64_t flow_through;        /* flow records up to here are sealed */
    int64_t last_record_id;
    uint8_t previous[SEAL_HASH_SIZE];
    struct seal_reader reader; /* of the first open one, while it closes */
    bool is_reading;
};

/* A stream of records may go on behind a hole: see store_allow_hole(). */
struct store_hole {
    bool is_allowed;    /* the next batch may have a higher number than is its turn */
    bool is_here;       /* the batch that is being applied has */
    bool is_pending;    /* one of the open transaction had */
    bool is_before;     /* one that is committed had */
    int64_t first_ns;   /* of what is missing */
    struct totals lost; /* of the batch that is being applied */
};

struct change;

enum { STORE_CLASSES_MAX = CONFIG_CLASS_FIRST + CONFIG_CLASSES_MAX };

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_N];
    struct store_page *page; /* store_page.h */
    char *path;
    char *lock_path;
    int lock_descriptor; /* -1: none */
    bool has_transaction;
    bool is_damaged;
    int64_t run_id;
    int64_t run_started_ns;
    bool has_addresses;                    /* in full: see exporter/privacy.h */
    uint8_t config_sha256[SEAL_HASH_SIZE]; /* of the run */

    /* Configuration index + 1 (0: none) to the row's id. */
    int64_t *account_ids;
    size_t account_ids_room;
    struct account_names account_names;
    uint16_t n_accounts_committed; /* numbers up to here have a row for certain */
    int64_t *wan_ids;
    int64_t *model_ids; /* by WAN * DIRECTION_N + direction: the overhead model */
    size_t n_wans;
    int64_t class_ids[STORE_CLASSES_MAX]; /* by class_index of records */
    size_t n_classes;

    struct label_names label_names;
    int64_t first_record_id; /* of the run's flow records */

    bool has_flow_records;       /* of the run */
    int64_t interim_interval_ns; /* of the run */
    struct store_open growth;    /* of what is open, by the batch under way */

    struct store_stream *streams; /* those heard of since the last rollback */
    size_t n_streams;
    size_t streams_room;

    struct store_hole holes[SHARDS_MAX];

    struct store_seals seals;
    struct store_quota *quota;     /* store_quota.h; NULL: no run was started */
    struct store_restore *restore; /* store_restore.h; the same */

    char *protocol_names[STORE_PROTOCOLS]; /* NULL: without a name */

    int64_t checkpoint_bytes;
    int64_t page_bytes;
    int wal_pages;        /* after the last commit */
    int wal_pages_at_try; /* when a checkpoint was last tried */
    char error[STORE_ERROR_MAX];
};

/* Writes store->error. Returns 'result', so that a failure is one line. */
int store_fail(struct store *store, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, of SQLite's last error: "PATH: what: SQLite's words". Returns its -errno. */
int store_fail_sqlite(struct store *store, const char *what);

/* Runs a statement to its end and resets it. 0 or -errno. */
int store_run_statement(struct store *store, enum store_statement statement, const char *what);

/* The single number that 'sql' selects. */
int store_select_number(struct store *store, const char *sql, int64_t *number);

int store_prepare(struct store *store);
void store_finalize(struct store *store);

/* store.c: from now on others' locks are not waited for. */
void store_be_impatient(struct store *store);

/* store_lock.c */
int store_lock(struct store *store);
void store_unlock(struct store *store);

/* store_check.c: -EUCLEAN: it is damaged. */
int store_check(struct store *store);

/* store_migrate.c: refuses what is not ours; makes a new one of what is empty; brings it up to
 * date. */
int store_check_owner(struct store *store);
int store_make_new(struct store *store);
int store_migrate(struct store *store);

/* store_stream.c: finds, or adds with nothing applied. The pointer holds until the next call. */
int store_stream_get(struct store *store, const struct stream_id *id, const char *kind,
                     struct store_stream **out);
int store_stream_update(struct store *store, const struct store_stream *stream);

/* Ends the tracker's stream, and the capture streams that it has applied. */
int store_stream_close(struct store *store, const struct message *last);

/* The row of the stream that an exporter's own losses in a run are of: it is nobody's. */
int store_stream_own(struct store *store, int64_t run_id, int64_t *stream_id);
void store_streams_forget(struct store *store);

/* store_flow.c: the flow records of a batch. */
int store_add_flows(struct store *store, const struct message *message);

/* store_rows.c: a loss line, within the open transaction. */
int store_add_loss(struct store *store, int64_t stream_id, const struct loss *loss);

/* store_gap.c: what streams left that nobody goes on with. */

/* Before a stream is added: those that it takes the place of. */
int store_gap_replace(struct store *store, const struct stream_id *id, const char *kind);

/* At a live run's start: runs before that were stopped before anything of them was committed. */
int store_gap_begin(struct store *store);

/* At its end: what a stream behind a hole (store_hole.c) tells of that this database has no usage
 * of. */
int store_gap_settle(struct store *store, const struct store_stream *stream);

/* At a run's end: those that nothing took the place of. */
int store_gap_finish(struct store *store);

/* What a batch's usage and flow records make of the growth. */
void store_gap_add_usage(struct store *store, const struct usage_delta *delta);
void store_gap_add_flow(struct store *store, const struct flow_record *flow);

/* -ERANGE: beyond 64 bits. */
int store_gap_grow(struct store *store, struct store_stream *stream);

/* store_seal.c: what is open is known after store_seals_know(). The seal of a row whose own is
 * 'number'; the pointer holds until the next call. */
int store_seals_know(struct store *store);
void store_seals_forget(struct store *store);
int store_seal_of_row(struct store *store, int32_t number, struct store_open_seal **out);

/* The record_id of the next flow record: none that was ever sealed is used again. */
int64_t store_seal_next_record(const struct store *store);

/* A flow record that is inserted as that. */
void store_seal_flow(struct store *store, struct store_open_seal *open, int64_t record_id,
                     const struct flow_record *record);

/* store_model.c */
struct store_model {
    char definition[1024];
    char sha256[SEAL_HEX_SIZE];
};

/* Empty, with its hash, for a name that is no model. */
void store_model_definition(const char *name, struct store_model *model);

/* store_run.c: the row and number of an account that has none yet. */
int store_add_account(struct store *store, const char *name);

/* store_change.c: before the records of a message. */
int store_learn_accounts(struct store *store, const struct message *message);

/* store_label.c: the configuration's names of label bits, from the next flow record on; and what a
 * change makes of them. */
int store_put_labels(struct store *store, const struct config *config);
int store_change_label(struct store *store, const struct change *change);

/* store_change.c: 0 or -errno. */
int store_add_changes(struct store *store, const struct message *message);

/* store_run.c: those that a rollback took the rows of have them again. */
int store_restore_accounts(struct store *store);

/* store_hole.c: is the batch the next of its stream? -EALREADY: it was applied before. */
int store_check_turn(struct store *store, const struct message *message);

/* May the batch tell of less than its capture streams have grown by? */
bool store_is_hole(struct store *store, const struct message *message);

/* The line of what is missing, if something is. */
int store_add_hole(struct store *store, const struct message *message);

/* The transaction is over. */
void store_holes_settle(struct store *store, bool is_committed);

/* store_balance.c: 0, or -EBADMSG with both sides in store->error. */
int store_check_balance(struct store *store, const struct message *message);

/* ---- binding: by position, checked ---- */

/* False: beyond SQLite's integers. */
static inline bool store_fits(uint64_t value)
{
    return value <= INT64_MAX;
}

void store_bind_integer(sqlite3_stmt *statement, int position, int64_t value);
void store_bind_null(sqlite3_stmt *statement, int position);

/* Not copied: valid until the statement is reset. 'length' in bytes. */
void store_bind_text(sqlite3_stmt *statement, int position, const char *text, size_t length);
void store_bind_blob(sqlite3_stmt *statement, int position, const void *bytes, size_t size);

#endif
