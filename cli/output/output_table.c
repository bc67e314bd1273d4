/* Columns for people, aligned. */
#include "cli/output/output_format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/moment.h"

enum { GAP = 2 };

static const char *const NOTHING = "-"; /* a NULL */

/* Characters, not bytes; a character is taken to be one place wide. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Drops what a terminal obeys: C0, DEL, C1, and the marks that turn the direction of writing. */
static void strip_controls(char *text)
{
    const unsigned char *from = (const unsigned char *)text;
    unsigned char *to = (unsigned char *)text;
    while (*from != '\0') {
        bool is_c1 = from[0] == 0xc2 && from[1] >= 0x80 && from[1] <= 0x9f;
        bool is_turn =
            from[0] == 0xe2 && ((from[1] == 0x80 && from[2] >= 0xaa && from[2] <= 0xae) ||
                                (from[1] == 0x81 && from[2] >= 0xa6 && from[2] <= 0xa9));
        if (*from < 0x20 || *from == 0x7f)
            from++;
        else if (is_c1)
            from += 2;
        else if (is_turn)
            from += 3;
        else
            *to++ = *from++;
    }
    *to = '\0';
}

static char *grouped(int64_t number)
{
    char digits[VALUE_TEXT_SIZE];
    char text[VALUE_TEXT_SIZE * 2];
    snprintf(digits, sizeof digits, "%" PRId64, number);
    size_t length = strlen(digits);
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_after_digit = i > 0 && digits[i - 1] != '-';
        if (is_after_digit && (length - i) % 3 == 0)
            text[written++] = ',';
        text[written++] = digits[i];
    }
    text[written] = '\0';
    return strdup(text);
}

static char *cell_text(const struct output_column *column, const struct value *value)
{
    if (value->kind == VALUE_NULL)
        return strdup(NOTHING);
    if (value->kind == VALUE_INTEGER && column->kind == COLUMN_COUNT)
        return grouped(value->integer);
    if (value->kind == VALUE_INTEGER && column->kind == COLUMN_TIME) {
        char text[MOMENT_TEXT_SIZE];
        moment_format(value->integer, text);
        return strdup(text);
    }
    char *text = value_text(value);
    strip_controls(text);
    return text;
}

/* "first_ns" is shown as a date: its heading loses the unit. */
static void heading(const struct output_column *column, char *text, size_t size)
{
    int length = (int)strlen(column->name) - (column->kind == COLUMN_TIME ? 3 : 0);
    snprintf(text, size, "%.*s", length > 0 ? length : 0, column->name);
    strip_controls(text);
}

static void write_cell(const struct output *output, size_t column, const char *text)
{
    size_t width = text_width(text);
    size_t padding = output->widths[column] > width ? output->widths[column] - width : 0;
    bool is_last = column + 1 == output->n_columns;
    if (output->is_number[column])
        fprintf(output->stream, "%*s", (int)padding, "");
    fputs(text, output->stream);
    if (is_last)
        fputc('\n', output->stream);
    else
        fprintf(output->stream, "%*s", (int)(output->is_number[column] ? 0 : padding) + GAP, "");
}

static void write_kept(struct output *output)
{
    for (size_t i = 0; i < output->n_columns; i++) {
        char text[256];
        heading(&output->columns[i], text, sizeof text);
        size_t width = text_width(text);
        if (output->widths[i] < width)
            output->widths[i] = width;
        write_cell(output, i, text);
    }
    assert(output->n_columns > 0 || output->n_cells == 0);
    for (size_t i = 0; i < output->n_cells; i++) {
        write_cell(output, i % output->n_columns, output->cells[i]);
        free(output->cells[i]);
    }
    output->n_cells = 0;
    output->are_widths_known = true;
}

static void keep(struct output *output, char *text)
{
    if (output->n_cells == output->cells_room) {
        output->cells_room = output->cells_room == 0 ? 256 : output->cells_room * 2;
        output->cells = reallocarray(output->cells, output->cells_room, sizeof *output->cells);
        assert(output->cells != NULL);
    }
    size_t column = output->n_cells % output->n_columns;
    size_t width = text_width(text);
    if (output->widths[column] < width)
        output->widths[column] = width;
    output->cells[output->n_cells++] = text;
}

static void begin(struct output *output)
{
    output->is_number = calloc(output->n_columns, sizeof *output->is_number);
    output->widths = calloc(output->n_columns, sizeof *output->widths);
    assert(output->is_number != NULL && output->widths != NULL);
    for (size_t i = 0; i < output->n_columns; i++)
        output->is_number[i] = output->columns[i].kind == COLUMN_COUNT;
}

static void row(struct output *output, const struct value *values)
{
    for (size_t i = 0; i < output->n_columns; i++) {
        bool is_number = values[i].kind == VALUE_INTEGER || values[i].kind == VALUE_REAL;
        if (is_number && output->columns[i].kind != COLUMN_TIME && !output->are_widths_known)
            output->is_number[i] = true;
        char *text = cell_text(&output->columns[i], &values[i]);
        assert(text != NULL);
        if (!output->are_widths_known) {
            keep(output, text);
            continue;
        }
        write_cell(output, i, text);
        free(text);
    }
    if (!output->are_widths_known && output->n_rows + 1 == OUTPUT_TABLE_ROWS)
        write_kept(output);
}

static void end(struct output *output)
{
    if (!output->are_widths_known)
        write_kept(output);
    free(output->cells);
    free(output->is_number);
    free(output->widths);
}

const struct output_writer output_writer_table = {begin, row, end};
