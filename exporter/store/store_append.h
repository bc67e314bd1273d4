/* store_append: rows behind the last one of flow_record, whose numbers SQLite gives.
 *
 *     store_append_attach(store);                           when the database is opened
 *     store_append_is_next(store, record_id, &is_next);     within a transaction
 *     if (is_next) store_append_run(store);                 all rows of batch.flow_record
 *
 * To copy a row into a table with an INTEGER PRIMARY KEY, SQLite looks in its B-tree whether the
 * number is there, and again where the row goes: a third of what a flow record took. Into a table
 * without one it gives the next number itself, and its cursor stays at the end. So this connection
 * knows flow_record's B-tree by a second definition as well, FLOW_APPEND, that is without: what
 * SQLite calls an imposter table. It is in no file and for no other connection; rows are the same
 * to the byte.
 *
 * SQLite has that for analysis and tests, and promises nothing
 * (docs/adr/0036-flow-records-are-appended.md). So it is tried at each start, in memory; where it
 * has no effect, and where the table's last number is not the one before, rows are inserted by
 * number, as into any table. */
#ifndef WANMETER_EXPORTER_STORE_APPEND_H
#define WANMETER_EXPORTER_STORE_APPEND_H

#include <stdbool.h>
#include <stdint.h>

struct store;

#define FLOW_APPEND "flow_append"

/* 0 or -errno; also 0 where this SQLite does not do it. In no transaction. */
int store_append_attach(struct store *store);

/* Would the next row that is appended have this number? 0 or -errno. */
int store_append_is_next(struct store *store, int64_t record_id, bool *is_next);

/* 0 or -errno. */
int store_append_run(struct store *store);

/* 'CREATE TABLE name (…)': flow_record's columns but for record_id, without types or rules, as
 * there is nothing to be checked. sqlite3_free() takes it; NULL: no memory. */
char *store_append_definition(const char *name);

#endif
