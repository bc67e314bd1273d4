/* store: the one door to SQLite, and the only connection in the system that writes.
 *
 *     store_open("wanmeter.db", checkpoint_bytes, &store, error);
 *     store_start_run(store, &run);
 *     store_begin(store);
 *     store_apply(store, &batch);                 any number of batches
 *     store_commit(store);                        rows, losses and high-water marks together
 *     store_finish_run(store, now_ns);
 *     store_close(store);
 *
 * WAL with synchronous FULL: what store_commit() has returned for survives a crash. The WAL is
 * checkpointed here and nowhere else. A batch that does not add up is refused before anything of it
 * is written. A second exporter on the same database is kept out by flock() on "DATABASE-lock",
 * which exists while the database is open here.
 *
 * Functions return 0 or -errno; store_error() then says what happened, for people. After a failure
 * within a transaction, store_rollback(): nothing of it is there. Not thread-safe. */
#ifndef WANMETER_EXPORTER_STORE_H
#define WANMETER_EXPORTER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/account_names.h"
#include "common/config.h"
#include "common/labels.h"
#include "proto/message.h"

struct store;

enum { STORE_ERROR_MAX = 1024, STORE_PROTOCOLS = 256 };

/* Opens the database at 'path', or makes it, or brings its schema up to date. On failure 'error'
 * names the file and the cause, and the file is as it was: -EISDIR, -EACCES, -EROFS; -EBUSY:
 * another exporter has it; -EEXIST: it is another program's, or no database; -ENOTSUP: its schema
 * is newer than this program's; -EUCLEAN: it is damaged; … */
int store_open(const char *path, int64_t checkpoint_bytes, struct store **out,
               char error[STORE_ERROR_MAX]);

/* Rolls back what is not committed, checkpoints, closes. Accepts NULL. */
void store_close(struct store *store);

const char *store_error(const struct store *store);

struct store_run {
    int64_t started_ns;  /* wall time */
    const char *version; /* of this program */
    const struct config *config;
    bool is_live; /* flows that earlier runs left open go on */
};

/* Writes the run's row, or goes on with the one that began at the same time with the same
 * configuration, and gives every WAN and account of the configuration its number in the database,
 * by name. Call it before the first store_apply(). */
int store_start_run(struct store *store, const struct store_run *run);
int store_finish_run(struct store *store, int64_t finished_ns);

/* Before that, where the run's streams have lost their ends: a loss line that says so for each that
 * has not ended (a transaction of its own; again: nothing more). 0 or -errno. */
int store_declare_unended(struct store *store);

/* Instead of store_start_run(), to seal only: as the run that was last. */
int store_resume_run(struct store *store);

/* Accounts that the run had, by their numbers from 1 on: those of the configuration come first. */
int store_know_accounts(struct store *store, char *const *accounts, size_t n);

/* By which store_start_run() finds the run again. */
int64_t store_run_started_ns(const struct store *store);

/* Does the database take a row? Nothing is left of the trial. */
int store_probe(struct store *store);

int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store); /* nothing where no transaction is open */
bool store_has_transaction(const struct store *store);

/* Applies a RECORDS message within the open transaction. -EALREADY: it was applied before, and
 * nothing was written. -EBADMSG: it does not add up (what is counted and lost in it is not the
 * increase of its capture streams' totals), a total went back, it is not the next of its stream, or
 * it names a WAN or account that the configuration does not have; nothing was written. -ERANGE: a
 * number is beyond SQLite's 64-bit integers. */
int store_apply(struct store *store, const struct message *message);

/* Batches of this shard's stream were acknowledged and are nowhere any more: a spool or a database
 * was damaged. The next may come behind a hole; what its capture streams have grown by and it does
 * not tell is a loss line (exporter, 'records_lost'), exact, from 'first_ns' to its own clock. */
void store_allow_hole(struct store *store, uint32_t shard, int64_t first_ns);

/* A loss line of the exporter's own, of unknown amounts; within the open transaction. */
int store_declare_unknown(struct store *store, const char *reason, const char *evidence,
                          int64_t time_ns);

/* Is there a line of this reason that has 'text' in its evidence? */
bool store_has_loss(struct store *store, const char *reason, const char *text);

/* Is what went wrong the storage's (locked, full, read-only, …), so that the same may go well
 * later? */
bool store_is_trouble(int result);

/* ---- seals (proto/seal.h): what is sealed is not changed any more ---- */

/* Is a seal before 'open_at' still to be closed? */
bool store_is_seal_due(const struct store *store, int32_t open_at);

/* Closes seals before 'open_at' within the open transaction, as far as 'n_rows' rows go: called
 * again while one is due. What comes for them from now on goes into the first that is open.
 * 'sealed_ns': wall time. */
int store_seal(struct store *store, int32_t open_at, int64_t sealed_ns, size_t n_rows);

/* The 'open_at' that closes everything there is to bill; INT32_MIN: nothing. */
int store_seal_end(struct store *store, int32_t *open_at);

/* ---- retention: flow records of closed seals, by age ---- */

struct store_prune {
    int32_t before_seal; /* those of seals before this one */
    bool is_whole;  /* all records are looked at; else from the front, as far as it is of use */
    size_t n_rows;  /* at most so many are looked at in one call */
    int64_t now_ns; /* wall time */
};

/* Deletes within the open transaction; what it deletes is written over. '*after': where it goes on
 * (INT64_MIN at first); INT64_MIN again when it is through. */
int store_prune(struct store *store, const struct store_prune *prune, int64_t *after,
                size_t *n_deleted);

/* ---- quotas ---- */

/* A threshold of a tariff's quota that an account has reached. */
struct store_quota_event {
    const char *tariff; /* of the configuration */
    uint16_t account;   /* its number in records */
    int32_t percent;
    int64_t begin_ns; /* of the billing period */
    int64_t end_ns;
    int64_t quota_bytes;
    uint64_t used_bytes; /* at the end of the slot in which it was reached */
    int64_t slot_ns;
};

/* Those of the transaction that was committed last, until another begins. */
const struct store_quota_event *store_quota_events(const struct store *store, size_t *n);

/* The high-water mark of a stream. -ENOENT: never heard of. */
int store_find_stream(struct store *store, const struct stream_id *id, struct high_water *mark);

/* The high-water marks of the capture streams that lead to 'shard': all of this run, and those of
 * earlier ones that have not ended. '*marks' is malloc'ed; NULL with '*n' 0. */
int store_find_applied(struct store *store, uint32_t shard, struct high_water **marks, size_t *n);

/* ---- what a tracker that takes another's place is given back ---- */

/* The tracker 'id' has said hello; 'predecessor': epoch of the stream that it takes the place of as
 * far as it knows, 0: none; one that has committed since goes before it. 1: there is something to
 * restore in its shard; 0: nothing; or -errno. */
int store_restore_begin(struct store *store, const struct stream_id *id, uint64_t predecessor);

/* A portion of it, from the place 'from'. '*out' is borrowed until the next call. */
int store_restore_portion(struct store *store, uint32_t shard, uint64_t from, struct restored *out);

/* The database's name of an IANA protocol number; "unknown". Valid until store_close(). */
const char *store_protocol_name(const struct store *store, uint8_t protocol);

/* The accounts that there are, for events; valid as long as the store. */
const struct account_names *store_account_names(const struct store *store);

/* The names of label bits as they stand, for events; valid as long as the store. */
const struct label_names *store_label_names(const struct store *store);

#endif
