#include "schema/seal_reader.h"

#include <string.h>

/* In the order in which they are hashed: the rows of the seal's own time, what was counted in it
 * for other times, the losses. */
static const char *const part_sql[SEAL_PARTS] = {
    [SEAL_USAGE] = "SELECT line, packets, l2_bytes, l3_bytes, billed_bytes FROM seal_usage"
                   " WHERE seal = ?1 AND slot_ns >= ?2 AND slot_ns < ?3"
                   " AND seal = slot_ns / 900000000000 ORDER BY slot_ns, line",
    [SEAL_USAGE_ELSEWHERE] = "SELECT line, packets, l2_bytes, l3_bytes, billed_bytes"
                             " FROM seal_usage WHERE seal = ?1 AND seal <> slot_ns / 900000000000"
                             " ORDER BY slot_ns, line",
    [SEAL_LOSSES] = "SELECT line FROM seal_loss WHERE seal = ?1 ORDER BY first_ns, line",
};

int seal_reader_open(sqlite3 *db, struct seal_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    int result = SQLITE_OK;
    for (int i = 0; result == SQLITE_OK && i < SEAL_PARTS; i++)
        result = sqlite3_prepare_v3(db, part_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &reader->statements[i], NULL);
    if (result != SQLITE_OK)
        seal_reader_close(reader);
    return result;
}

void seal_reader_close(struct seal_reader *reader)
{
    for (int i = 0; i < SEAL_PARTS; i++)
        sqlite3_finalize(reader->statements[i]);
    memset(reader, 0, sizeof *reader);
}

void seal_reader_begin(struct seal_reader *reader, int32_t number)
{
    for (int i = 0; i < SEAL_PARTS; i++) {
        sqlite3_reset(reader->statements[i]);
        sqlite3_bind_int(reader->statements[i], 1, number);
    }
    /* The slots around 1970 are rounded towards it: a seal more than its own covers them all. */
    sqlite3_bind_int64(reader->statements[SEAL_USAGE], 2, seal_start_ns((int64_t)number - 1));
    sqlite3_bind_int64(reader->statements[SEAL_USAGE], 3, seal_start_ns((int64_t)number + 1));
    reader->seal = (struct seal){.number = number};
    reader->part = SEAL_USAGE;
    seal_lines_init(&reader->lines);
}

/* Sums that wrap are hashed as such: a row that makes them is one that nobody wrote. */
static void add(int64_t *sum, int64_t more)
{
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)more);
}

static void take(struct seal_reader *reader, sqlite3_stmt *row)
{
    const char *line = (const char *)sqlite3_column_text(row, 0);
    size_t length = (size_t)sqlite3_column_bytes(row, 0);
    seal_lines_add(&reader->lines, line ? line : "", line ? length : 0);
    if (reader->part == SEAL_LOSSES)
        return;
    add(&reader->seal.packets, sqlite3_column_int64(row, 1));
    add(&reader->seal.l2_bytes, sqlite3_column_int64(row, 2));
    add(&reader->seal.l3_bytes, sqlite3_column_int64(row, 3));
    add(&reader->seal.billed_bytes, sqlite3_column_int64(row, 4));
}

static void end_part(struct seal_reader *reader)
{
    sqlite3_reset(reader->statements[reader->part]);
    if (reader->part == SEAL_USAGE_ELSEWHERE) {
        reader->seal.n_usage = reader->lines.n;
        seal_lines_end(&reader->lines, reader->seal.usage_sha256);
        seal_lines_init(&reader->lines);
    } else if (reader->part == SEAL_LOSSES) {
        reader->seal.n_losses = reader->lines.n;
        seal_lines_end(&reader->lines, reader->seal.loss_sha256);
    }
    reader->part++;
}

int seal_reader_step(struct seal_reader *reader, size_t n_rows)
{
    for (size_t i = 0; reader->part < SEAL_PARTS; i++) {
        if (i == n_rows)
            return SQLITE_ROW;
        sqlite3_stmt *statement = reader->statements[reader->part];
        int step = sqlite3_step(statement);
        if (step == SQLITE_ROW)
            take(reader, statement);
        else if (step == SQLITE_DONE)
            end_part(reader);
        else
            return step;
    }
    return SQLITE_DONE;
}
