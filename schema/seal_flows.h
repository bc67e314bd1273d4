/* seal_flows: the flow records of a database, as proto/seal.h sums them up.
 *
 *     seal_names_load(db, &names);
 *     seal_flows_open(db, after_record_id, &flows);
 *     while (seal_flows_next(&flows) == SQLITE_ROW)
 *         seal_flow_add(&sum, &flows.record, …seal_names_of(&names, &flows));
 *     seal_flows_close(&flows);
 *     seal_names_free(&names);
 *
 * A row is read back into the record that it was written from. What the exporter never writes (a
 * number out of its field's range, an address that is not in its one form) makes it unsound. Not
 * thread-safe. */
#ifndef WANMETER_SCHEMA_SEAL_FLOWS_H
#define WANMETER_SCHEMA_SEAL_FLOWS_H

#include <sqlite3.h>

#include "proto/seal.h"

enum seal_name_table { SEAL_NAMES_WAN, SEAL_NAMES_ACCOUNT, SEAL_NAMES_CLASS, SEAL_NAME_TABLES };

/* seal_name() of each name, by its number in this database; 0: there is none. */
struct seal_name_list {
    uint64_t *names[SEAL_NAME_TABLES];
    int64_t n[SEAL_NAME_TABLES];
};

/* SQLITE_OK, SQLITE_NOMEM or another result of SQLite's. */
int seal_names_load(sqlite3 *db, struct seal_name_list *list);

/* A name that was added since; also in place of another. SQLITE_OK or SQLITE_NOMEM. */
int seal_names_put(struct seal_name_list *list, enum seal_name_table table, int64_t number,
                   const char *name);

void seal_names_free(struct seal_name_list *list); /* accepts a zeroed one */

/* By the numbers of the database. */
struct seal_names seal_names_of(const struct seal_name_list *list, int64_t wan_id,
                                int64_t account_id, int64_t class_number);

struct seal_flows {
    sqlite3_stmt *statement;

    /* the row */
    int64_t record_id;
    int64_t seal;
    int64_t wan_id, account_id, class_number;
    struct flow_record record;
    bool is_sound;
};

/* Rows with a record_id above 'after', in its order. SQLITE_OK or SQLite's result. */
int seal_flows_open(sqlite3 *db, int64_t after, struct seal_flows *flows);

/* One row; after seal_flows_seek() another. SQLITE_OK or SQLite's result. */
int seal_flows_open_one(sqlite3 *db, int64_t record_id, struct seal_flows *flows);
int seal_flows_seek(struct seal_flows *flows, int64_t record_id);

/* SQLITE_ROW, SQLITE_DONE, or an error. */
int seal_flows_next(struct seal_flows *flows);

void seal_flows_close(struct seal_flows *flows); /* accepts a zeroed one */

#endif
