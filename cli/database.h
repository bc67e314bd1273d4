/* database: wanmeter's database, read only. The one place where the program 'wanmeter' opens
 * SQLite.
 *
 *     code = database_open("wanmeter.db", &database);        EXIT_CODE_OK, or it has said why not
 *     statement = database_prepare(database, "SELECT …");
 *     database_bind_text(statement, ":wan", "w1");
 *     while (database_step(database, statement)) …
 *     sqlite3_finalize(statement);
 *     database_close(database);
 *
 * Nothing is ever created or changed: the connection is SQLITE_OPEN_READONLY with query_only, and
 * waits up to BUSY_TIMEOUT for a writer's checkpoint. Not thread-safe. */
#ifndef WANMETER_CLI_DATABASE_H
#define WANMETER_CLI_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cmd.h"

struct database {
    sqlite3 *handle;
    const char *path; /* kept, not copied */
    bool is_failed;   /* an error was met and said */
    bool is_damaged;  /* it was that the file contradicts itself */
};

enum database_kind {
    DATABASE_MISSING,
    DATABASE_EMPTY, /* a file of no bytes, or a SQLite database without any table */
    DATABASE_OURS,
    DATABASE_NEWER,     /* of a later version of this program */
    DATABASE_DAMAGED,   /* ours, by a mark in its first bytes; SQLite cannot read it */
    DATABASE_FOREIGN,   /* another program's, or no SQLite database */
    DATABASE_UNREADABLE /* errno, or SQLite, says why: 'why' */
};

enum { DATABASE_WHY_MAX = 256 };

/* Whose file this is. 'why' is a sentence for all but MISSING, EMPTY and OURS. */
enum database_kind database_kind_of(const char *path, char why[DATABASE_WHY_MAX]);

/* Opens a database of wanmeter's. What stands in the way is logged: EXIT_CODE_RUNTIME if there is
 * none or it cannot be read, EXIT_CODE_USAGE if it is not ours or of a newer version. */
enum exit_code database_open(const char *path, struct database *database);
void database_close(struct database *database); /* accepts a zeroed one */

/* The statement, or NULL: the error is logged. */
sqlite3_stmt *database_prepare(struct database *database, const char *query);

/* A parameter that the statement has not is left out; a NULL text is SQL's NULL. */
void database_bind_text(sqlite3_stmt *statement, const char *name, const char *text);
void database_bind_integer(sqlite3_stmt *statement, const char *name, int64_t integer);

/* True: a row. False: no more, or an error, which is logged and sets 'is_failed'. */
bool database_step(struct database *database, sqlite3_stmt *statement);

/* Says SQLite's last error, of a statement that was not run by database_step(). */
void database_note_error(struct database *database);

#endif
