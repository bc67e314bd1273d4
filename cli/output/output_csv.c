/* Comma-separated values. Source: RFC 4180. */
#include "cli/output/output_format.h"

#include <stdlib.h>
#include <string.h>

static void write_cell(FILE *stream, const char *text, bool is_text)
{
    const char *guard = is_text && text[0] != '\0' && strchr("=+-@\t\r", text[0]) ? "'" : "";
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fprintf(stream, "%s%s", guard, text);
        return;
    }
    fprintf(stream, "\"%s", guard);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void begin(struct output *output)
{
    for (size_t i = 0; i < output->n_columns; i++) {
        if (i > 0)
            fputc(',', output->stream);
        write_cell(output->stream, output->columns[i].name, true);
    }
    fputs("\r\n", output->stream);
}

static void row(struct output *output, const struct value *values)
{
    for (size_t i = 0; i < output->n_columns; i++) {
        if (i > 0)
            fputc(',', output->stream);
        char *text = value_text(&values[i]);
        write_cell(output->stream, text, values[i].kind == VALUE_TEXT);
        free(text);
    }
    fputs("\r\n", output->stream);
}

static void end(struct output *output)
{
    (void)output; /* nothing comes after the last row */
}

const struct output_writer output_writer_csv = {begin, row, end};
