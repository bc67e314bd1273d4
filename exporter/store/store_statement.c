/* The statements, and what binding and running them has in common. */
#include "exporter/store/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const statement_sql[STATEMENT_N] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_RUN_START] =
        "INSERT INTO run (started_ns, version, sqlite_version, config, config_sha256,"
        " has_flow_records, shards, first_record_id) VALUES (?1, ?2, sqlite_version(), ?3, ?4, ?5,"
        " ?6, (SELECT coalesce(max(record_id), 0) + 1 FROM flow_record))",
    [STATEMENT_RUN_FIND] = "SELECT id FROM run WHERE started_ns = ?1 AND config_sha256 = ?2",
    [STATEMENT_RUN_FINISH] = "UPDATE run SET finished_ns = ?1 WHERE id = ?2",
    [STATEMENT_LOSS_FIND] = "SELECT 1 FROM loss_line WHERE reason = ?1 AND instr(evidence, ?2)",
    [STATEMENT_RUN_PROBE] = "UPDATE run SET finished_ns = finished_ns WHERE id = ?1",
    [STATEMENT_RUN_LAST] = "SELECT id, config_sha256 FROM run ORDER BY id DESC LIMIT 1",
    [STATEMENT_STREAM_FIND] = "SELECT id, seq, packets_into_next, packets, l2_bytes, l3_bytes,"
                              " open_packets, open_l2_bytes, open_l3_bytes, open_billed_bytes"
                              " FROM stream WHERE producer = ?1 AND epoch = ?2 AND shard = ?3",
    [STATEMENT_STREAM_ADD] = "INSERT INTO stream (run_id, kind, producer, epoch, shard, seq,"
                             " packets_into_next, packets, l2_bytes, l3_bytes)"
                             " VALUES (?1, ?2, ?3, ?4, ?5, -1, 0, 0, 0, 0)",
    [STATEMENT_STREAM_UPDATE] = "UPDATE stream SET seq = ?1, packets_into_next = ?2, packets = ?3,"
                                " l2_bytes = ?4, l3_bytes = ?5, clock_ns = ?6,"
                                " open_packets = ?7, open_l2_bytes = ?8, open_l3_bytes = ?9,"
                                " open_billed_bytes = ?10 WHERE id = ?11",
    [STATEMENT_STREAM_CLOSE] = "UPDATE stream SET closed = 1 WHERE id = ?1",
    [STATEMENT_STREAM_APPLIED] =
        "SELECT producer, epoch, shard, seq, packets_into_next, packets, l2_bytes, l3_bytes, closed"
        " FROM stream WHERE kind = 'capture' AND shard = ?1 AND (closed = 0 OR run_id = ?2)"
        " ORDER BY id",
    /* A live source is told of again and again, and by each of its worker's streams. */
    [STATEMENT_SOURCE_PUT] =
        "INSERT INTO source (run_id, producer, epoch, source_index, name, sha256, packets,"
        " l2_bytes, carrier_bytes, first_ns, last_ns, is_complete)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (producer, epoch, source_index) DO UPDATE SET"
        " packets = max(packets, excluded.packets), l2_bytes = max(l2_bytes, excluded.l2_bytes),"
        " carrier_bytes = max(carrier_bytes, excluded.carrier_bytes), first_ns ="
        " iif(packets = 0, excluded.first_ns, min(first_ns, excluded.first_ns)), last_ns = "
        "max(last_ns, excluded.last_ns),"
        " is_complete = max(is_complete, excluded.is_complete)",
    [STATEMENT_LOSS_ADD] =
        "INSERT INTO loss_line (stream_id, first_ns, last_ns, stage, reason, packets, l2_bytes,"
        " l3_bytes, certainty, evidence, seal)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    /* Of the trackers' streams of a shard (NULL: of all) but for the one with this epoch. */
    [STATEMENT_GAP_FIND] =
        "SELECT id, coalesce(clock_ns, (SELECT max(slot_ns) FROM usage_slot), 0), open_packets, "
        "open_l2_bytes, open_l3_bytes, open_billed_bytes"
        " FROM stream WHERE kind = 'tracker' AND (shard = ?1 AND epoch <> ?2 OR ?1 IS NULL) AND"
        " (open_packets OR open_l2_bytes OR open_l3_bytes OR open_billed_bytes) ORDER BY id LIMIT "
        "1",
    [STATEMENT_GAP_ADD] =
        "INSERT INTO gap_line (stream_id, first_ns, last_ns, packets, l2_bytes, l3_bytes,"
        " billed_bytes, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STATEMENT_GAP_IS_BEHIND_HOLE] =
        "SELECT 1 FROM loss_line WHERE stream_id = ?1 AND reason = 'records_lost' LIMIT 1",
    [STATEMENT_GAP_CLOSE] = "UPDATE stream SET open_packets = 0, open_l2_bytes = 0,"
                            " open_l3_bytes = 0, open_billed_bytes = 0 WHERE id = ?1",
    /* Capture streams that have not ended, nor has their run: of a worker and shard but for the one
     * with this epoch; or (NULL) of all runs but for this one, and there one of each worker that
     * some shard has not told of. */
    [STATEMENT_UNENDED_FIND] =
        "SELECT s.id, s.seq, s.run_id, coalesce((SELECT max(t.clock_ns) FROM stream AS t"
        " WHERE t.kind = 'tracker' AND t.shard = s.shard AND t.run_id <= s.run_id),"
        " (SELECT max(slot_ns) FROM usage_slot), 0)"
        " FROM stream AS s WHERE s.kind = 'capture' AND (s.closed = 0 OR ?1 IS NULL AND"
        " (SELECT count(*) FROM stream AS o WHERE o.producer = s.producer AND o.epoch = s.epoch)"
        " < (SELECT shards FROM run WHERE id = s.run_id) AND NOT EXISTS (SELECT 1 FROM stream AS o"
        " JOIN loss_line AS l ON l.stream_id = o.id AND l.reason = 'not_ended'"
        " WHERE o.producer = s.producer AND o.epoch = s.epoch))"
        " AND s.run_id IN (SELECT id FROM run WHERE finished_ns IS NULL)"
        " AND (s.producer = ?1 AND s.shard = ?2 AND s.epoch <> ?3"
        " OR ?1 IS NULL AND s.run_id <> ?4)"
        " AND NOT EXISTS (SELECT 1 FROM loss_line AS l WHERE l.stream_id = s.id"
        " AND l.reason = 'not_ended') ORDER BY s.id LIMIT 1",
    /* Runs but for this one that have not ended, and of none of whose workers anything is here. */
    [STATEMENT_UNHEARD_FIND] =
        "SELECT r.id, r.started_ns, coalesce((SELECT max(slot_ns) FROM usage_slot), 0)"
        " FROM run AS r WHERE r.finished_ns IS NULL AND r.id <> ?1"
        " AND NOT EXISTS (SELECT 1 FROM stream AS s WHERE s.kind = 'capture' AND s.run_id = r.id)"
        " AND NOT EXISTS (SELECT 1 FROM stream AS s JOIN loss_line AS l ON l.stream_id = s.id"
        " WHERE s.producer = 'exporter' AND s.run_id = r.id AND l.reason = 'not_ended')"
        " ORDER BY r.id LIMIT 1",
    /* Of a change to connections every shard tells what it did: done, if one did it. */
    [STATEMENT_CHANGE_ADD] =
        "INSERT INTO change_line (run_id, change_id, time_ns, words, uid, pid, seed, result,"
        " affected, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        " ON CONFLICT (run_id, change_id) DO UPDATE SET"
        " answer = iif(result <> 0 AND excluded.result = 0, excluded.answer, answer),"
        " result = iif(excluded.result = 0, 0, result),"
        " affected = affected + excluded.affected",
    /* A sum past 64 bits turns REAL, which a STRICT table refuses: never a wrong number. */
    [STATEMENT_USAGE_ADD] =
        "INSERT INTO usage_slot (slot_ns, account_id, wan_id, direction, class, cause, model_id,"
        " packets, l2_bytes, l3_bytes, billed_bytes, seal)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT DO UPDATE SET packets = packets + excluded.packets,"
        " l2_bytes = l2_bytes + excluded.l2_bytes, l3_bytes = l3_bytes + excluded.l3_bytes,"
        " billed_bytes = billed_bytes + excluded.billed_bytes",
    [STATEMENT_FLOW_EXTRA_ADD] =
        "INSERT INTO flow_extra (record_id, first_ns, last_ns, master_id, orig_ct_packets,"
        " orig_ct_l3_bytes, reply_ct_packets, reply_ct_l3_bytes, invalid_packets, wan_changes,"
        " flow_label_changes, merged_packets)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [STATEMENT_FLOW_DELETE] = "DELETE FROM flow_record WHERE record_id = ?1",
    [STATEMENT_FLOW_EXTRA_DELETE] = "DELETE FROM flow_extra WHERE record_id = ?1",
    [STATEMENT_PRUNED_FIND] = "SELECT flow_rows, sum_0, sum_1, packets, l2_bytes, l3_bytes,"
                              " billed_bytes FROM pruned_flows WHERE seal = ?1",
    [STATEMENT_PRUNED_PUT] =
        "INSERT OR REPLACE INTO pruned_flows (seal, flow_rows, sum_0, sum_1, packets, l2_bytes,"
        " l3_bytes, billed_bytes, pruned_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_SEAL_LAST] =
        "SELECT number, hash, flow_through FROM period_seal ORDER BY number DESC LIMIT 1",
    [STATEMENT_SEAL_OPEN] =
        "SELECT DISTINCT seal, 1 FROM usage_slot WHERE slot_ns >= ?2 AND seal >= ?1"
        " UNION ALL SELECT DISTINCT seal, 1 FROM usage_slot"
        " WHERE seal >= ?1 AND seal <> slot_ns / 900000000000"
        " UNION ALL SELECT DISTINCT seal, 0 FROM loss_line WHERE seal >= ?1"
        " UNION ALL SELECT DISTINCT seal, 0 FROM gap_line WHERE seal >= ?1",
    [STATEMENT_SEAL_ADD] =
        "INSERT INTO period_seal (number, previous, usage_rows, packets, l2_bytes, l3_bytes,"
        " billed_bytes, usage_sha256, flow_rows, flow_sum, loss_rows, loss_sha256, hash,"
        " sealed_ns, run_id, flow_through)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    /* Where STATEMENT_FLOWS_APPEND cannot copy them as they are: store_append.h. OR ROLLBACK:
     * without it SQLite keeps a copy of each page that a statement of several rows changes, to take
     * back half of one. Here a failure takes back the transaction. */
    [STATEMENT_FLOWS_ADD] =
        "INSERT OR ROLLBACK INTO main.flow_record SELECT *, rowid FROM batch.flow_record",
    [STATEMENT_FLOW_LAST] = "SELECT max(record_id) FROM main.flow_record",
    [STATEMENT_TRACKER_CHANGE_ADD] =
        "INSERT INTO tracker_change (stream_id, position, change) VALUES (?1, (SELECT"
        " coalesce(max(position), -1) + 1 FROM tracker_change WHERE stream_id = ?1), ?2)",
    [STATEMENT_TRACKER_CHANGE_MOVE] =
        "UPDATE tracker_change SET stream_id = ?1 WHERE stream_id = (SELECT id FROM stream"
        " WHERE kind = 'tracker' AND shard = ?2 AND epoch = ?3)",
    [STATEMENT_TRACKER_CHANGE_DROP] =
        "DELETE FROM tracker_change WHERE stream_id IN (SELECT id FROM stream"
        " WHERE kind = 'tracker' AND shard = ?2 AND id <> ?1)",
    [STATEMENT_TRACKER_CHANGE_END] = "DELETE FROM tracker_change WHERE stream_id = ?1",
    [STATEMENT_TRACKER_CHANGE_OF] =
        "SELECT c.change FROM tracker_change AS c JOIN stream AS s ON s.id = c.stream_id"
        " WHERE s.kind = 'tracker' AND s.shard = ?1 AND s.epoch = ?2 ORDER BY c.position",
    [STATEMENT_TRACKER_CHANGE_FIND] =
        "SELECT change FROM tracker_change WHERE stream_id = ?1 AND position = ?2",
    [STATEMENT_TRACKER_MEMORY_PUT] =
        "INSERT OR REPLACE INTO tracker_memory (stream_id, bytes) VALUES (?1, ?2)",
    [STATEMENT_TRACKER_MEMORY_FIND] = "SELECT bytes FROM tracker_memory WHERE stream_id = ?1",
    [STATEMENT_TRACKER_MEMORY_DROP] =
        "DELETE FROM tracker_memory WHERE stream_id IN (SELECT id FROM stream"
        " WHERE kind = 'tracker' AND shard = ?2 AND id <> ?1)",
    [STATEMENT_TRACKER_MEMORY_END] = "DELETE FROM tracker_memory WHERE stream_id = ?1",
    [STATEMENT_RESTORE_FIND] =
        "SELECT s.id, coalesce(s.clock_ns, 0), max(r.first_record_id, 1),"
        " (SELECT count(*) FROM tracker_change AS c WHERE c.stream_id = s.id)"
        " FROM stream AS s JOIN run AS r ON r.id = s.run_id"
        " WHERE s.kind = 'tracker' AND s.shard = ?1 AND s.epoch = ?2 AND s.run_id = ?3",
    [STATEMENT_RESTORE_LATEST] =
        "SELECT epoch FROM (SELECT epoch, closed FROM stream WHERE kind = 'tracker' AND shard = ?1"
        " AND run_id = ?2 AND epoch <> ?3 ORDER BY id DESC LIMIT 1) WHERE closed = 0",
    /* Nothing, where the bit's name is the same already. */
    [STATEMENT_LABEL_ADD] =
        "INSERT INTO label_name (bit, name, since_ns, from_record_id) SELECT ?1, ?2, ?3, ?4"
        " WHERE (SELECT name FROM label_name WHERE bit = ?1 ORDER BY id DESC LIMIT 1) IS NOT ?2",
};

static int prepare(struct store *store, enum store_statement statement, const char *sql)
{
    return sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              &store->statements[statement], NULL) == SQLITE_OK
               ? 0
               : store_fail_sqlite(store, "its schema is not what it says it is");
}

int store_prepare(struct store *store)
{
    int result = 0;
    for (int i = 0; result == 0 && i < STATEMENT_N; i++)
        if (statement_sql[i])
            result = prepare(store, i, statement_sql[i]);
    return result;
}

void store_finalize(struct store *store)
{
    for (int i = 0; i < STATEMENT_N; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
}

int store_run_statement(struct store *store, enum store_statement statement, const char *what)
{
    int step = sqlite3_step(store->statements[statement]);
    int result = step == SQLITE_DONE ? 0 : store_fail_sqlite(store, what);
    sqlite3_reset(store->statements[statement]);
    return result;
}

int store_select_number(struct store *store, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be read");
    bool has_row = sqlite3_step(statement) == SQLITE_ROW;
    *number = has_row ? sqlite3_column_int64(statement, 0) : 0;
    int result = has_row ? 0 : store_fail_sqlite(store, "cannot be read");
    sqlite3_finalize(statement);
    return result;
}

int store_fail(struct store *store, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(store->error, sizeof store->error, format, arguments);
    va_end(arguments);
    if (result == -EUCLEAN && store->db) { /* it stays as it is, with its log beside it */
        store->is_damaged = true;
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    return result;
}

static int errno_of(int sqlite_result)
{
    switch (sqlite_result & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_READONLY:
        return EROFS;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return EACCES;
    case SQLITE_NOTADB: /* its header was looked at before */
    case SQLITE_CORRUPT:
        return EUCLEAN;
    case SQLITE_CONSTRAINT: /* STRICT: a sum that is no 64-bit integer any more */
        return ERANGE;
    default:
        return EIO;
    }
}

int store_fail_sqlite(struct store *store, const char *what)
{
    int error = errno_of(sqlite3_extended_errcode(store->db));
    return store_fail(store, -error, "%s: %s%s: %s", store->path,
                      error == EUCLEAN ? "is damaged: " : "", what, sqlite3_errmsg(store->db));
}

/* Binding fails only on a wrong position or a text past SQLite's limits: ours to get right. */

void store_bind_integer(sqlite3_stmt *statement, int position, int64_t value)
{
    int result = sqlite3_bind_int64(statement, position, value);
    assert(result == SQLITE_OK);
}

void store_bind_null(sqlite3_stmt *statement, int position)
{
    int result = sqlite3_bind_null(statement, position);
    assert(result == SQLITE_OK);
}

void store_bind_text(sqlite3_stmt *statement, int position, const char *text, size_t length)
{
    int result = sqlite3_bind_text64(statement, position, text, length, SQLITE_STATIC, SQLITE_UTF8);
    assert(result == SQLITE_OK);
}

void store_bind_blob(sqlite3_stmt *statement, int position, const void *bytes, size_t size)
{
    int result = sqlite3_bind_blob64(statement, position, bytes, size, SQLITE_STATIC);
    assert(result == SQLITE_OK);
}
