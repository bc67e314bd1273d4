/* query: a statement's rows on standard output. */
#ifndef WANMETER_CLI_QUERY_H
#define WANMETER_CLI_QUERY_H

#include "cli/cmd.h"
#include "cli/database.h"
#include "cli/options.h"

enum query_style {
    QUERY_NAMED, /* the columns' names say what is a time and what a count */
    QUERY_RAW,   /* every value as it is */
};

/* Prints what the statement gives and finalizes it (NULL: it could not be prepared, which has been
 * said). */
enum exit_code query_print(struct database *database, sqlite3_stmt *statement,
                           enum output_format format, const char *command, enum query_style style);

#endif
