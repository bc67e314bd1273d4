#include "cli/query.h"

#include <assert.h>
#include <stdlib.h>

static struct value column_value(sqlite3_stmt *statement, int i)
{
    struct value value = {.kind = VALUE_NULL};
    switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
        value.kind = VALUE_INTEGER;
        value.integer = sqlite3_column_int64(statement, i);
        break;
    case SQLITE_FLOAT:
        value.kind = VALUE_REAL;
        value.real = sqlite3_column_double(statement, i);
        break;
    case SQLITE_TEXT:
        value.kind = VALUE_TEXT;
        value.bytes = (const char *)sqlite3_column_text(statement, i);
        break;
    case SQLITE_BLOB:
        value.kind = VALUE_BLOB;
        value.bytes = sqlite3_column_blob(statement, i);
        break;
    default:
        break;
    }
    if (value.bytes != NULL)
        value.size = (size_t)sqlite3_column_bytes(statement, i);
    return value;
}

static struct output *open_output(sqlite3_stmt *statement, struct output_column *columns,
                                  enum output_format format, const char *command,
                                  enum query_style style)
{
    size_t n_columns = (size_t)sqlite3_column_count(statement);
    for (size_t i = 0; i < n_columns; i++) {
        const char *name = sqlite3_column_name(statement, (int)i);
        enum column_kind kind = style == QUERY_RAW ? COLUMN_PLAIN : column_kind_of(name);
        columns[i] = (struct output_column){.name = name, .kind = kind};
    }
    struct output *output;
    int result = output_create(stdout, format, command, columns, n_columns, &output);
    assert(result == 0);
    return output;
}

enum exit_code query_print(struct database *database, sqlite3_stmt *statement,
                           enum output_format format, const char *command, enum query_style style)
{
    if (statement == NULL)
        return EXIT_CODE_RUNTIME;
    int n_columns = sqlite3_column_count(statement);
    struct output_column *columns = calloc((size_t)n_columns + 1, sizeof *columns);
    struct value *values = calloc((size_t)n_columns + 1, sizeof *values);
    assert(columns != NULL && values != NULL);

    struct output *output = open_output(statement, columns, format, command, style);
    while (!output_is_failed(output) && database_step(database, statement)) {
        for (int i = 0; i < n_columns; i++)
            values[i] = column_value(statement, i);
        output_row(output, values);
    }
    output_destroy(output);
    free(values);
    free(columns);
    sqlite3_finalize(statement);
    return database->is_failed ? EXIT_CODE_RUNTIME : EXIT_CODE_OK;
}
