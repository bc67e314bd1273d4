/* Rows as tables, JSON and CSV. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/output.h"

static struct value text(const char *bytes)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = bytes, .size = strlen(bytes)};
}

static struct value integer(int64_t number)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = number};
}

/* One column of rows, as written; the caller frees it. */
static char *written(enum output_format format, const char *column, const struct value *values,
                     size_t n)
{
    char *result = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&result, &size);
    struct output_column columns[] = {{column, column_kind_of(column)}};
    struct output *output;
    assert_int_equal(output_create(stream, format, "test", columns, 1, &output), 0);
    for (size_t i = 0; i < n; i++)
        output_row(output, &values[i]);
    output_destroy(output);
    fclose(stream);
    return result;
}

static void assert_written(enum output_format format, const char *column, struct value value,
                           const char *expected)
{
    char *result = written(format, column, &value, 1);
    assert_string_equal(result, expected);
    free(result);
}

static void test_any_bytes_make_valid_json(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char bytes[] = {(char)first, (char)second, 'x'};
            struct value value = {.kind = VALUE_TEXT, .bytes = bytes, .size = sizeof bytes};
            char *result = written(OUTPUT_JSON, "name", &value, 1);
            json_t *document = json_loads(result, 0, NULL);
            assert_non_null(document);
            json_t *row = json_array_get(json_object_get(document, "rows"), 0);
            assert_true(json_is_string(json_object_get(row, "name")));
            json_decref(document);
            free(result);
        }
    }
}

static void test_json_keeps_all_64_bits(void **state)
{
    (void)state;
    struct value values[] = {integer(INT64_MIN), integer(INT64_MAX), {.kind = VALUE_NULL}};
    char *result = written(OUTPUT_JSON, "n", values, 3);
    json_t *document = json_loads(result, 0, NULL);
    json_t *rows = json_object_get(document, "rows");
    assert_int_equal(json_array_size(rows), 3);
    assert_true(json_integer_value(json_object_get(json_array_get(rows, 0), "n")) == INT64_MIN);
    assert_true(json_integer_value(json_object_get(json_array_get(rows, 1), "n")) == INT64_MAX);
    assert_true(json_is_null(json_object_get(json_array_get(rows, 2), "n")));
    assert_int_equal(json_integer_value(json_object_get(document, "schema")),
                     OUTPUT_SCHEMA_VERSION);
    json_decref(document);
    free(result);
}

static void test_no_rows_are_an_empty_document_of_each_format(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [OUTPUT_TABLE] = "name\n",
        [OUTPUT_JSON] = "{\"schema\": 1, \"command\": \"test\", \"rows\": []}\n",
        [OUTPUT_CSV] = "name\r\n",
    };
    for (int format = OUTPUT_TABLE; format <= OUTPUT_CSV; format++) {
        char *result = written((enum output_format)format, "name", NULL, 0);
        assert_string_equal(result, expected[format]);
        free(result);
    }
}

static void test_a_spreadsheet_takes_no_text_for_a_formula(void **state)
{
    (void)state;
    assert_written(OUTPUT_CSV, "name", text("=1+1"), "name\r\n'=1+1\r\n");
    assert_written(OUTPUT_CSV, "name", text("@x,y"), "name\r\n\"'@x,y\"\r\n");
    assert_written(OUTPUT_CSV, "name", integer(-5), "name\r\n-5\r\n");
}

static void test_csv_quotes_what_would_end_a_cell(void **state)
{
    (void)state;
    assert_written(OUTPUT_CSV, "name", text("a\"b\nc"), "name\r\n\"a\"\"b\nc\"\r\n");
    assert_written(OUTPUT_CSV, "name", (struct value){.kind = VALUE_NULL}, "name\r\n\r\n");
}

static void test_a_terminal_gets_no_control_bytes(void **state)
{
    (void)state;
    char bytes[256 * 3];
    size_t size = 0;
    for (unsigned i = 0; i < 256; i++) {
        bytes[size++] = (char)i;
        bytes[size++] = '\xc2'; /* the C1 controls as UTF-8 */
        bytes[size++] = (char)i;
    }
    struct value value = {.kind = VALUE_TEXT, .bytes = bytes, .size = size};
    char *result = written(OUTPUT_TABLE, "name", &value, 1);
    size_t n_lines = 0;
    for (const unsigned char *at = (const unsigned char *)result; *at != '\0'; at++) {
        n_lines += *at == '\n';
        assert_true((*at >= 0x20 && *at != 0x7f) || *at == '\n');
        assert_false(at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f);
    }
    assert_int_equal(n_lines, 2);
    free(result);
}

static void test_columns_say_by_their_names_how_a_table_shows_them(void **state)
{
    (void)state;
    assert_written(OUTPUT_TABLE, "l2_bytes", integer(1234567), " l2_bytes\n1,234,567\n");
    assert_written(OUTPUT_TABLE, "packets", integer(-123), "packets\n   -123\n");
    assert_written(OUTPUT_TABLE, "first_ns", integer(0), "first\n1970-01-01T00:00:00Z\n");
    assert_written(OUTPUT_TABLE, "port", integer(12345), " port\n12345\n");
}

static void test_a_table_longer_than_what_is_kept_has_every_row_once(void **state)
{
    (void)state;
    enum { ROWS = OUTPUT_TABLE_ROWS * 2 + 1 };
    struct value *values = calloc(ROWS, sizeof *values);
    for (int i = 0; i < ROWS; i++)
        values[i] = integer(i);
    char *result = written(OUTPUT_TABLE, "n", values, ROWS);
    char *rest = result + strcspn(result, "\n");
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(strtol(rest, &rest, 10), i);
        assert_int_equal(*rest, '\n');
    }
    assert_string_equal(rest, "\n");
    free(result);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_bytes_make_valid_json),
        cmocka_unit_test(test_json_keeps_all_64_bits),
        cmocka_unit_test(test_no_rows_are_an_empty_document_of_each_format),
        cmocka_unit_test(test_a_spreadsheet_takes_no_text_for_a_formula),
        cmocka_unit_test(test_csv_quotes_what_would_end_a_cell),
        cmocka_unit_test(test_a_terminal_gets_no_control_bytes),
        cmocka_unit_test(test_columns_say_by_their_names_how_a_table_shows_them),
        cmocka_unit_test(test_a_table_longer_than_what_is_kept_has_every_row_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
