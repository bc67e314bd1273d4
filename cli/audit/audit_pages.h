/* audit_pages: an audit that reads flow records from the pages of the database file.
 *
 *     char *with = audit_pages_with(&database);
 *     audit_read(&database, with, &audit);
 *     sqlite3_free(with);
 *
 * What an audit needs of a flow record are the four sums at its front. SQLite takes some 130 ns to
 * give them, which made the audit a thirtieth of a replay; read from a leaf of the table's B-tree
 * (https://www.sqlite.org/fileformat2.html, 1.6 and 2.1) they take 20. So all records' pages are
 * added up here, and the views' own text is asked with one row of these sums in flow_record's
 * place. The file is read within a transaction, by SQLite's own handle.
 *
 * SQLite reads the records itself, as it does in 'wanmeter audit', where this does not apply: what
 * is committed is still in the log, the columns are an older version's, or a page is not as a sound
 * one is. */
#ifndef WANMETER_CLI_AUDIT_AUDIT_PAGES_H
#define WANMETER_CLI_AUDIT_AUDIT_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/database.h"

enum audit_sum {
    AUDIT_SUM_PACKETS,
    AUDIT_SUM_L2_BYTES,
    AUDIT_SUM_L3_BYTES,
    AUDIT_SUM_BILLED_BYTES,
    AUDIT_SUMS
};

/* What all flow records add up to, both directions. False: SQLite is to be asked. Within a
 * transaction that has begun to read. */
bool audit_pages_sum(struct database *database, int64_t sums[AUDIT_SUMS]);

/* Does so. What is to stand in front of a query of the views 'audit' and 'audit_flows', so that
 * they take these sums; it holds in the transaction that is open from then on. For sqlite3_free();
 * NULL: SQLite is to be asked, in no transaction. */
char *audit_pages_with(struct database *database);

#endif
