#include "cli/output/output_format.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_utf8.h"
#include "common/log.h"

static int first_error; /* of standard output; errno is lost by the time the stream is closed */

int output_create(FILE *stream, enum output_format format, const char *command,
                  const struct output_column *columns, size_t n_columns, struct output **out)
{
    static const struct output_writer *const writers[] = {
        [OUTPUT_TABLE] = &output_writer_table,
        [OUTPUT_JSON] = &output_writer_json,
        [OUTPUT_CSV] = &output_writer_csv,
    };
    struct output *output = calloc(1, sizeof *output);
    if (output == NULL)
        return -ENOMEM;
    output->stream = stream;
    output->command = command;
    output->columns = columns;
    output->n_columns = n_columns;
    output->writer = writers[format];
    output->writer->begin(output);
    *out = output;
    return 0;
}

static void note_error(const struct output *output)
{
    if (first_error == 0 && ferror(output->stream))
        first_error = errno != 0 ? errno : EIO;
}

void output_row(struct output *output, const struct value *values)
{
    output->writer->row(output, values);
    output->n_rows++;
    note_error(output);
}

void output_destroy(struct output *output)
{
    if (output == NULL)
        return;
    output->writer->end(output);
    note_error(output);
    free(output);
}

bool output_is_failed(const struct output *output)
{
    return ferror(output->stream) != 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_length = strlen(text);
    size_t end_length = strlen(end);
    return text_length >= end_length && strcmp(text + text_length - end_length, end) == 0;
}

enum column_kind column_kind_of(const char *name)
{
    if (ends_with(name, "_ns"))
        return COLUMN_TIME;
    if (ends_with(name, "packets") || ends_with(name, "bytes"))
        return COLUMN_COUNT;
    return COLUMN_PLAIN;
}

bool output_finish(void)
{
    int error = ferror(stdout) ? first_error : 0;
    if (fflush(stdout) != 0 && error == 0)
        error = errno;
    if (ferror(stdout) && error == 0)
        error = EIO;
    if (error == 0)
        return true;
    if (error != EPIPE)
        log_error("standard output: %s", strerror(error));
    return error == EPIPE; /* the reader has what it wanted */
}

/* A copy in which each byte that is no UTF-8, and each zero byte, is U+FFFD. */
static char *valid_text(const char *bytes, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *text = malloc(size * (sizeof replacement - 1) + 1);
    assert(text != NULL);
    size_t length = 0;
    for (size_t i = 0; i < size;) {
        uint32_t character = 0;
        size_t sequence = config_utf8_decode((const uint8_t *)bytes + i, size - i, &character);
        bool is_valid = sequence > 0 && character != 0;
        size_t copied = is_valid ? sequence : sizeof replacement - 1;
        memcpy(text + length, is_valid ? bytes + i : replacement, copied);
        length += copied;
        i += is_valid ? sequence : 1;
    }
    text[length] = '\0';
    return text;
}

static char *hex_text(const char *bytes, size_t size)
{
    char *text = malloc(size * 2 + 1);
    assert(text != NULL);
    for (size_t i = 0; i < size; i++)
        snprintf(text + i * 2, 3, "%02x", (unsigned)(uint8_t)bytes[i]);
    text[size * 2] = '\0';
    return text;
}

char *value_text(const struct value *value)
{
    char text[VALUE_TEXT_SIZE] = "";
    switch (value->kind) {
    case VALUE_TEXT:
        return valid_text(value->bytes, value->size);
    case VALUE_BLOB:
        return hex_text(value->bytes, value->size);
    case VALUE_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, value->integer);
        break;
    case VALUE_REAL:
        snprintf(text, sizeof text, "%.15g", value->real);
        break;
    case VALUE_NULL:
        break;
    }
    char *copy = strdup(text);
    assert(copy != NULL);
    return copy;
}
