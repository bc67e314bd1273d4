#include "cli/bill/account_check.h"

#include <stdbool.h>
#include <string.h>

#include "common/config/config_value.h"
#include "common/log.h"

static enum exit_code check(struct database *database, const char *kind, const char *query,
                            const char *name)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    bool is_known = false;
    sqlite3_stmt *rows = database_prepare(database, query);
    while (database_step(database, rows)) {
        const char *known = (const char *)sqlite3_column_text(rows, 0);
        is_known = is_known || strcmp(known, name) == 0;
        config_suggestion_offer(&suggestion, known, strlen(known));
    }
    sqlite3_finalize(rows);
    if (database->is_failed)
        return EXIT_CODE_RUNTIME;
    if (!is_known)
        log_error("%s: no %s '%s'%s%s%s", database->path, kind, name,
                  suggestion.word[0] != '\0' ? "; did you mean '" : "", suggestion.word,
                  suggestion.word[0] != '\0' ? "'?" : "");
    return is_known ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

enum exit_code account_check(struct database *database, const char *account)
{
    return check(database, "account", "SELECT name FROM account ORDER BY id", account);
}

enum exit_code account_check_wan(struct database *database, const char *wan)
{
    return check(database, "WAN", "SELECT name FROM wan ORDER BY id", wan);
}
