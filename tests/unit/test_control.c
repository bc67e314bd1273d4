/* What is asked and answered at the control sockets: what was encoded comes back, a portion ends
 * where it is full, and what is not ours does not come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bus.h"
#include "control.pb-c.h"
#include "proto/change_file.h"
#include "proto/control.h"

static struct control_request request_of(const char *const *words)
{
    struct control_request request = {.cursor = 7, .rows_max = 9};
    for (; words[request.n_words]; request.n_words++)
        request.words[request.n_words] = words[request.n_words];
    return request;
}

static void test_a_request_comes_back(void **state)
{
    (void)state;
    static const char *const words[] = {"label", "add", "", "gold and \xc3\xa9", NULL};
    struct control_request request = request_of(words), again;
    size_t size;
    uint8_t *bytes = control_request_encode(&request, &size);
    assert_true(control_request_decode(bytes, size, &again));
    assert_int_equal(again.n_words, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(again.words[i], words[i]);
    assert_null(again.words[4]);
    assert_int_equal(again.cursor, 7);
    assert_int_equal(again.rows_max, 9);
    free(bytes);
}

/* A Request of one word of these bytes. */
static bool decodes(const char *word, size_t length)
{
    ProtobufCBinaryData wire_word = {.len = length, .data = (uint8_t *)(uintptr_t)word};
    Wanmeter__Control__Request wire = WANMETER__CONTROL__REQUEST__INIT;
    wire.n_words = 1;
    wire.words = &wire_word;
    size_t size = wanmeter__control__request__get_packed_size(&wire);
    uint8_t *bytes = malloc(size);
    wanmeter__control__request__pack(&wire, bytes);
    struct control_request request;
    bool is_decoded = control_request_decode(bytes, size, &request);
    free(bytes);
    return is_decoded;
}

static void test_words_with_a_nul_or_too_long_are_refused(void **state)
{
    (void)state;
    static char longest[CHANGE_TEXT_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_true(decodes("ct", 2));
    assert_false(decodes("c\0t", 3));
    assert_true(decodes(longest, CHANGE_TEXT_MAX - 1));
    assert_false(decodes(longest, CHANGE_TEXT_MAX));
    static uint8_t large[BUS_REQUEST_MAX + 1];
    struct control_request request;
    assert_false(control_request_decode(large, sizeof large, &request));
    assert_false(control_request_decode((const uint8_t *)"\xff\xff", 2, &request));
}

static void test_more_words_than_a_change_has_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[2 * (CHANGE_WORDS_MAX + 1)];
    for (size_t i = 0; i < sizeof bytes; i += 2)
        memcpy(bytes + i, "\x0a\x00", 2); /* an empty word */
    struct control_request request;
    assert_true(control_request_decode(bytes, sizeof bytes - 2, &request));
    assert_false(control_request_decode(bytes, sizeof bytes, &request));
}

static Wanmeter__Control__Reply *sent(const struct control_reply *reply)
{
    size_t size;
    uint8_t *bytes = control_reply_encode(reply, &size);
    Wanmeter__Control__Reply *wire = wanmeter__control__reply__unpack(NULL, size, bytes);
    assert_non_null(wire);
    free(bytes);
    return wire;
}

static void test_rows_come_back_with_their_columns(void **state)
{
    (void)state;
    struct control_reply reply;
    control_reply_init(&reply, 0);
    control_reply_columns(&reply, (const char *const[]){"name", "value"}, 2);
    assert_true(control_reply_row(&reply, (const char *const[]){"short", "100"}, 2));
    assert_true(control_reply_row(&reply, (const char *const[]){"", "x"}, 2));
    reply.count = 2;
    reply.cursor = 5;
    Wanmeter__Control__Reply *wire = sent(&reply);
    assert_int_equal(wire->n_columns, 2);
    assert_int_equal(wire->n_rows, 2);
    assert_memory_equal(wire->columns[1].data, "value", 5);
    assert_memory_equal(wire->rows[0]->values[0].data, "short", 5);
    assert_int_equal(wire->rows[1]->n_values, 2);
    assert_int_equal(wire->rows[1]->values[0].len, 0);
    assert_int_equal(wire->count, 2);
    assert_int_equal(wire->cursor, 5);
    wanmeter__control__reply__free_unpacked(wire, NULL);
    control_reply_deinit(&reply);
}

static void test_a_portion_is_bounded_in_rows_and_bytes(void **state)
{
    (void)state;
    struct control_reply reply;
    control_reply_init(&reply, 3);
    const char *const row[] = {"value"};
    for (int i = 0; i < 3; i++)
        assert_true(control_reply_row(&reply, row, 1));
    assert_false(control_reply_row(&reply, row, 1));
    control_reply_deinit(&reply);

    static char large[CONTROL_PORTION_BYTES + 1];
    memset(large, 'x', sizeof large - 1);
    control_reply_init(&reply, 0);
    assert_true(
        control_reply_row(&reply, (const char *const[]){large}, 1)); /* the first one always */
    assert_false(control_reply_row(&reply, row, 1));
    Wanmeter__Control__Reply *wire = sent(&reply);
    assert_int_equal(wire->n_rows, 1);
    assert_int_equal(wire->rows[0]->values[0].len, sizeof large - 1);
    wanmeter__control__reply__free_unpacked(wire, NULL);
    control_reply_deinit(&reply);
}

static void test_why_is_cut_where_it_is_too_long(void **state)
{
    (void)state;
    struct control_reply reply;
    control_reply_init(&reply, 0);
    control_reply_fail(&reply, 22, "%*s", CHANGE_ANSWER_MAX * 2, "no");
    Wanmeter__Control__Reply *wire = sent(&reply);
    assert_int_equal(wire->error, 22);
    assert_int_equal(wire->answer.len, CHANGE_ANSWER_MAX);
    wanmeter__control__reply__free_unpacked(wire, NULL);
    control_reply_deinit(&reply);
}

/* ---- files of changes ---- */

static struct change change_of(uint64_t id, const char *const *words, size_t n_words)
{
    struct change change = {
        .id = id, .time_ns = -5, .pid = 7, .uid = 1000, .seed = UINT64_MAX, .is_restored = true};
    assert_true(change_set_words(&change, words, n_words));
    return change;
}

static void test_changes_in_a_file_come_back_in_order(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    for (uint64_t id = 1; id <= 3; id++) {
        struct change change = change_of(id, (const char *const[]){"ct", "flush"}, (size_t)id - 1);
        assert_int_equal(change_file_write(file, &change), 0);
    }
    rewind(file);
    struct change change;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(change_file_read(file, &change), 1);
        assert_int_equal(change.id, id);
        assert_int_equal(change.time_ns, -5);
        assert_int_equal(change.seed, UINT64_MAX);
        assert_true(change.is_restored);
        assert_int_equal(change.n_words, id - 1);
    }
    assert_string_equal(change.words[1], "flush");
    assert_int_equal(change_file_read(file, &change), 0);
    fclose(file);
}

static void test_every_cut_file_of_changes_is_refused(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    FILE *whole = open_memstream(&bytes, &size);
    struct change change = change_of(1, (const char *const[]){"ct", "flush"}, 2);
    assert_int_equal(change_file_write(whole, &change), 0);
    fclose(whole);
    for (size_t length = 1; length < size; length++) {
        FILE *cut = fmemopen(bytes, length, "rb");
        assert_true(change_file_read(cut, &change) < 0);
        fclose(cut);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_comes_back),
        cmocka_unit_test(test_words_with_a_nul_or_too_long_are_refused),
        cmocka_unit_test(test_more_words_than_a_change_has_are_refused),
        cmocka_unit_test(test_rows_come_back_with_their_columns),
        cmocka_unit_test(test_a_portion_is_bounded_in_rows_and_bytes),
        cmocka_unit_test(test_why_is_cut_where_it_is_too_long),
        cmocka_unit_test(test_changes_in_a_file_come_back_in_order),
        cmocka_unit_test(test_every_cut_file_of_changes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
