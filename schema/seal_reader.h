/* seal_reader: what a database has in one seal: its usage rows and its losses, as proto/seal.h
 * wants them.
 *
 *     seal_reader_open(db, &reader);
 *     seal_reader_begin(&reader, number);
 *     while (seal_reader_step(&reader, n_rows) == SQLITE_ROW) …    other work
 *     reader.seal                                    n_usage … usage_sha256, n_losses, loss_sha256
 *     seal_reader_close(&reader);
 *
 * The one that seals and the one that verifies read with it, so they cannot differ. Works over any
 * number of transactions: rows of a seal that is due do not change. Not thread-safe. */
#ifndef WANMETER_SCHEMA_SEAL_READER_H
#define WANMETER_SCHEMA_SEAL_READER_H

#include <sqlite3.h>

#include "proto/seal.h"

enum seal_part { SEAL_USAGE, SEAL_USAGE_ELSEWHERE, SEAL_LOSSES, SEAL_PARTS };

struct seal_reader {
    sqlite3_stmt *statements[SEAL_PARTS];
    enum seal_part part; /* which is being read */
    struct seal_lines lines;
    struct seal seal;
};

/* SQLITE_OK or SQLite's result; reader is then closed. */
int seal_reader_open(sqlite3 *db, struct seal_reader *reader);

/* Begins with another seal. */
void seal_reader_begin(struct seal_reader *reader, int32_t number);

/* Reads up to 'n_rows'. SQLITE_ROW: there are more; SQLITE_DONE: that was all; else an error. */
int seal_reader_step(struct seal_reader *reader, size_t n_rows);

void seal_reader_close(struct seal_reader *reader); /* accepts a zeroed one */

#endif
