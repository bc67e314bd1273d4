/* output: rows on standard output, as a table for people, JSON or CSV for programs.
 *
 *     output_create(stdout, OUTPUT_JSON, "usage", columns, n_columns, &output);
 *     output_row(output, values);                 one value a column
 *     output_destroy(output);                     writes what comes after the last row
 *
 * table: a header; numbers to the right, those of COLUMN_COUNT in groups of three digits;
 *     COLUMN_TIME as RFC 3339; no control characters. Widths are those of the first
 *     OUTPUT_TABLE_ROWS rows, which are kept until they are known.
 * json:  {"schema": 1, "command": "usage", "rows": [{"column": value, …}, …]}; numbers as they are.
 * csv:   RFC 4180; text that a spreadsheet would take for a formula gets a ' before it.
 *
 * A write that fails is remembered, see output_is_failed(). Not thread-safe. */
#ifndef WANMETER_CLI_OUTPUT_H
#define WANMETER_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OUTPUT_SCHEMA_VERSION = 1, OUTPUT_COLUMNS_MAX = 2000, OUTPUT_TABLE_ROWS = 1000 };

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

enum column_kind {
    COLUMN_PLAIN, /* as it is */
    COLUMN_COUNT, /* packets, bytes */
    COLUMN_TIME,  /* nanoseconds since 1970, UTC */
};

struct output_column {
    const char *name;
    enum column_kind kind;
};

enum value_kind { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
    enum value_kind kind;
    int64_t integer;
    double real;
    const char *bytes; /* TEXT (any bytes; made valid UTF-8 before it is written) and BLOB */
    size_t size;
};

struct output;

/* 'columns' and their names are kept, not copied. 0 or -ENOMEM. */
int output_create(FILE *stream, enum output_format format, const char *command,
                  const struct output_column *columns, size_t n_columns, struct output **out);
void output_row(struct output *output, const struct value *values);
void output_destroy(struct output *output); /* accepts NULL */

/* Nobody reads any more, or the disk is full: there is no use in going on. */
bool output_is_failed(const struct output *output);

/* The kind that goes with a column's name: "…_ns" a time, "…packets" and "…bytes" counts. */
enum column_kind column_kind_of(const char *name);

/* Flushes standard output and says what failed, if it was more than a closed pipe. Returns false
 * then. To be called once, at the end. */
bool output_finish(void);

#endif
