/* One JSON document, written row by row: a large result is never in memory as a whole. */
#include "cli/output/output_format.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static void begin(struct output *output)
{
    fprintf(output->stream, "{\"schema\": %d, \"command\": \"%s\", \"rows\": [",
            OUTPUT_SCHEMA_VERSION, output->command);
}

static json_t *value_json(const struct value *value)
{
    if (value->kind == VALUE_NULL || (value->kind == VALUE_REAL && !isfinite(value->real)))
        return json_null();
    if (value->kind == VALUE_INTEGER)
        return json_integer(value->integer);
    if (value->kind == VALUE_REAL)
        return json_real(value->real);
    char *text = value_text(value);
    json_t *string = json_string(text);
    free(text);
    return string;
}

static void row(struct output *output, const struct value *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < output->n_columns; i++) {
        int result = json_object_set_new(object, output->columns[i].name, value_json(&values[i]));
        assert(result == 0);
    }
    fputs(output->n_rows == 0 ? "\n  " : ",\n  ", output->stream);
    json_dumpf(object, output->stream, 0);
    json_decref(object);
}

static void end(struct output *output)
{
    fputs(output->n_rows == 0 ? "]}\n" : "\n]}\n", output->stream);
}

const struct output_writer output_writer_json = {begin, row, end};
