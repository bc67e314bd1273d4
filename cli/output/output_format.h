/* output_format: what output.c and the writers of its formats share. */
#ifndef WANMETER_CLI_OUTPUT_FORMAT_H
#define WANMETER_CLI_OUTPUT_FORMAT_H

#include "cli/output.h"

struct output_writer {
    void (*begin)(struct output *output);
    void (*row)(struct output *output, const struct value *values);
    void (*end)(struct output *output);
};

extern const struct output_writer output_writer_table, output_writer_json, output_writer_csv;

struct output {
    FILE *stream;
    const char *command;
    const struct output_column *columns;
    size_t n_columns;
    const struct output_writer *writer;
    size_t n_rows;

    /* table: */
    char **cells; /* of the first rows, row by row */
    size_t n_cells;
    size_t cells_room;
    bool *is_number; /* a column: right-aligned */
    size_t *widths;
    bool are_widths_known;
};

enum { VALUE_TEXT_SIZE = 48 };

/* The value as text, malloc'ed: valid UTF-8; BLOBs as hexadecimal digits; NULL as "". Aborts
 * without memory. */
char *value_text(const struct value *value);

#endif
