#include "cli/bill/tariff_book.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "proto/seal.h"

enum { STEPS_MAX = 8, NAME_SIZE = 64 };

static const int64_t SECOND_NS = 1000000000;

static void copy_text(sqlite3_stmt *row, int column, size_t size, char *out)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    snprintf(out, size, "%s", text != NULL ? text : "");
}

/* The number that the statement selects, 0 for none; finalizes it. */
static int64_t select_number(struct database *database, sqlite3_stmt *statement)
{
    int64_t number = database_step(database, statement) ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return number;
}

/* ---- seals ---- */

static int64_t seal_at(int64_t time_s)
{
    int64_t rest = time_s % SEAL_SECONDS;
    return (time_s - (rest < 0 ? rest + SEAL_SECONDS : rest)) / SEAL_SECONDS;
}

/* The seal by which the span was whole: its last, or, where that had no rows, the next. */
static void read_end(struct database *database, struct tariff_seals *seals)
{
    sqlite3_stmt *row =
        database_prepare(database, "SELECT sealed_ns, coalesce(run_id, (SELECT max(id) FROM run "
                                   "WHERE started_ns <= sealed_ns), 0) FROM period_seal "
                                   "WHERE number >= :last ORDER BY number LIMIT 1");
    if (row != NULL)
        database_bind_integer(row, ":last", seals->end - 1);
    if (database_step(database, row)) {
        seals->is_sealed = true;
        seals->sealed_ns = sqlite3_column_int64(row, 0);
        seals->run_id = sqlite3_column_int64(row, 1);
    }
    sqlite3_finalize(row);
}

bool tariff_seals_read(struct database *database, int64_t begin_s, int64_t end_s,
                       struct tariff_seals *seals)
{
    *seals =
        (struct tariff_seals){.begin = seal_at(begin_s), .end = seal_at(end_s + SEAL_SECONDS - 1)};
    sqlite3_stmt *row = database_prepare(
        database, "SELECT count(*) OVER (), number, hash FROM period_seal "
                  "WHERE number >= :begin AND number < :end ORDER BY number DESC LIMIT 1");
    if (row != NULL) {
        database_bind_integer(row, ":begin", seals->begin);
        database_bind_integer(row, ":end", seals->end);
    }
    if (database_step(database, row)) {
        seals->n = sqlite3_column_int64(row, 0);
        seals->last = sqlite3_column_int64(row, 1);
        copy_text(row, 2, sizeof seals->hash, seals->hash);
    }
    sqlite3_finalize(row);
    read_end(database, seals);
    return !database->is_failed;
}

/* ---- configurations ---- */

size_t tariff_find(const struct config *config, const char *account, size_t from)
{
    size_t i = from;
    while (i < config->n_tariffs && !config_tariff_covers(&config->tariffs[i].accounts, account))
        i++;
    return i;
}

/* The configuration that this run kept. Its WANs and accounts may not be today's: it is read, and
 * not checked once more. */
static bool load_run(struct database *database, int64_t run_id, struct tariff_book *book)
{
    struct config_errors errors = {0};
    *book = (struct tariff_book){.run_id = run_id};
    config_init(&book->config);
    sqlite3_stmt *row =
        database_prepare(database, "SELECT config, config_sha256, version FROM run WHERE id = :id");
    if (row != NULL)
        database_bind_integer(row, ":id", run_id);
    if (database_step(database, row)) {
        const char *text = (const char *)sqlite3_column_text(row, 0);
        config_read(&book->config, database->path, text != NULL ? text : "",
                    (size_t)sqlite3_column_bytes(row, 0), &errors);
        copy_text(row, 1, sizeof book->config_sha256, book->config_sha256);
        copy_text(row, 2, sizeof book->version, book->version);
    }
    sqlite3_finalize(row);
    bool is_read = errors.n == 0 && !database->is_failed;
    if (errors.n > 0)
        log_error("%s: the configuration of run %lld cannot be read: %s", database->path,
                  (long long)run_id, errors.items[0].text);
    config_errors_deinit(&errors);
    return is_read;
}

static int64_t newest_run(struct database *database)
{
    return select_number(database, database_prepare(database, "SELECT max(id) FROM run"));
}

static int64_t newest_run_within(struct database *database, int64_t begin_s, int64_t end_s)
{
    sqlite3_stmt *row = database_prepare(
        database, "SELECT max(run_id) FROM source WHERE packets > 0 AND last_ns >= :from "
                  "AND first_ns < :to");
    if (row != NULL) {
        database_bind_integer(row, ":from", begin_s * SECOND_NS);
        database_bind_integer(row, ":to", end_s * SECOND_NS);
    }
    return select_number(database, row);
}

/* The run whose configuration counts for the period, as this one's first tariff has it; 0: none
 * says. */
static int64_t run_in_force(struct database *database, const struct config *config, size_t tariff,
                            int32_t year, int32_t month)
{
    struct period period;
    struct tariff_seals seals;
    const struct config_tariff *first = &config->tariffs[tariff];
    period_of(first->timezone, first->cycle_day, year, month, &period);
    if (!tariff_seals_read(database, period.begin_s, period.end_s, &seals))
        return 0;
    return seals.is_sealed && seals.run_id > 0
               ? seals.run_id
               : newest_run_within(database, period.begin_s, period.end_s);
}

/* A configuration says which period it is, the period which configuration: from the newest on,
 * until both agree. One without a tariff for the account has UTC's months. */
static bool settle(struct database *database, const char *account, int32_t year, int32_t month,
                   struct tariff_book *book)
{
    for (int step = 0; step < STEPS_MAX; step++) {
        static const struct config_tariff month_of_utc = {.timezone = "UTC", .cycle_day = 1};
        struct config calendar = {.tariffs = (struct config_tariff *)(uintptr_t)&month_of_utc};
        size_t first = tariff_find(&book->config, account, 0);
        bool has_tariff = first < book->config.n_tariffs;
        int64_t run_id = run_in_force(database, has_tariff ? &book->config : &calendar,
                                      has_tariff ? first : 0, year, month);
        if (run_id == 0 || run_id == book->run_id || database->is_failed)
            break;
        tariff_book_close(book);
        if (!load_run(database, run_id, book))
            return false;
    }
    return !database->is_failed;
}

enum exit_code tariff_book_open_newest(struct database *database, struct tariff_book *book)
{
    *book = (struct tariff_book){0};
    int64_t run_id = newest_run(database);
    if (run_id == 0 && !database->is_failed) {
        log_error("%s: nothing was metered yet", database->path);
        return EXIT_CODE_USAGE;
    }
    return load_run(database, run_id, book) ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

enum exit_code tariff_book_open(struct database *database, const char *account, int32_t year,
                                int32_t month, struct tariff_book *book)
{
    enum exit_code code = tariff_book_open_newest(database, book);
    if (code != EXIT_CODE_OK)
        return code;
    if (!settle(database, account, year, month, book))
        return EXIT_CODE_RUNTIME;
    if (tariff_find(&book->config, account, 0) < book->config.n_tariffs)
        return EXIT_CODE_OK;
    log_error("%s: the configuration of run %lld, which is in force for %04d-%02d, has no tariff "
              "for account '%s'",
              database->path, (long long)book->run_id, year, month, account);
    return EXIT_CODE_USAGE;
}

void tariff_book_close(struct tariff_book *book)
{
    if (book->run_id != 0)
        config_deinit(&book->config);
    *book = (struct tariff_book){0};
}
