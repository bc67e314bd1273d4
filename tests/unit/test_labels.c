/* Label bits and their names: a number of 128 bits, names as in connlabel.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/labels.h"

static void test_a_bit_is_where_the_number_has_it(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < LABEL_BITS; bit++) {
        uint8_t labels[LABELS_SIZE] = {0}, again[LABELS_SIZE];
        char text[LABELS_TEXT_SIZE], expected[LABELS_TEXT_SIZE] = "0x";
        labels_set(labels, bit);
        for (unsigned i = 0; i < LABEL_BITS; i++)
            assert_int_equal(labels_has(labels, i), i == bit);
        labels_text(labels, text);
        expected[2] = "1248"[bit % 4];
        memset(expected + 3, '0', bit / 4);
        assert_string_equal(text, expected);
        assert_true(labels_read(text, strlen(text), again));
        assert_memory_equal(again, labels, LABELS_SIZE);
    }
}

static void test_what_is_no_number_of_128_bits_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "0x", "17", "x1", "0xg", "0x1 ", "0x100000000000000000000000000000000"};
    uint8_t labels[LABELS_SIZE];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(labels_read(texts[i], strlen(texts[i]), labels));
}

static void test_a_masked_write_keeps_all_other_bits(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        uint8_t labels[LABELS_SIZE], old[LABELS_SIZE], value[LABELS_SIZE], mask[LABELS_SIZE];
        for (size_t i = 0; i < LABELS_SIZE; i++) {
            old[i] = labels[i] = (uint8_t)rand();
            mask[i] = (uint8_t)rand();
            value[i] = (uint8_t)(rand() & mask[i]);
        }
        labels_write(labels, value, mask);
        for (size_t i = 0; i < LABELS_SIZE; i++) {
            assert_int_equal(labels[i] & mask[i], value[i]);
            assert_int_equal(labels[i] & ~mask[i] & 0xff, old[i] & ~mask[i] & 0xff);
        }
    }
}

static void test_names_are_of_letters_digits_hyphens_and_inner_spaces(void **state)
{
    (void)state;
    char longest[LABEL_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[LABEL_NAME_MAX] = '\0';
    static const char *const good[] = {"a", "Gold-2", "two words", "17"};
    static const char *const bad[] = {"", " a", "a ", "a_b", "a,b", "a+b", "caf\xc3\xa9", "a\tb"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(label_name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(label_name_is_valid(bad[i]));
    assert_true(label_name_is_valid(longest));
    longest[LABEL_NAME_MAX] = 'x';
    longest[LABEL_NAME_MAX + 1] = '\0';
    assert_false(label_name_is_valid(longest));
}

static void test_a_name_without_a_bit_gets_the_lowest_that_never_had_one(void **state)
{
    (void)state;
    static struct label_names names;
    label_names_init(&names);
    assert_int_equal(label_names_add(&names, "b", 1, false), 1);
    assert_int_equal(label_names_add(&names, "a", LABEL_BIT_ANY, false), 0);
    assert_int_equal(label_names_add(&names, "c", LABEL_BIT_ANY, false), 2);
    assert_int_equal(label_names_remove(&names, "a"), 0);
    assert_int_equal(label_names_add(&names, "d", LABEL_BIT_ANY, false), 3);
    assert_int_equal(label_names_add(&names, "e", 0, false), 0);
}

static void test_names_and_bits_are_given_once(void **state)
{
    (void)state;
    static struct label_names names;
    label_names_init(&names);
    assert_int_equal(label_names_add(&names, "a", 5, false), 5);
    assert_int_equal(label_names_add(&names, "a", 6, false), -EEXIST);
    assert_int_equal(label_names_add(&names, "b", 5, false), -EBUSY);
    assert_int_equal(label_names_add(&names, "b", 128, false), -ERANGE);
    assert_int_equal(label_names_add(&names, "b_", 6, false), -EINVAL);
    assert_int_equal(label_names_remove(&names, "b"), -ENOENT);
    assert_int_equal(label_names_find(&names, "a"), 5);
}

static void test_the_129th_name_finds_no_room(void **state)
{
    (void)state;
    static struct label_names names;
    label_names_init(&names);
    char name[16];
    for (int i = 0; i < LABEL_BITS; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(label_names_add(&names, name, LABEL_BIT_ANY, false), i);
    }
    assert_int_equal(label_names_add(&names, "more", LABEL_BIT_ANY, false), -ENOSPC);
}

static void test_a_removed_name_stays_until_its_bit_gets_another(void **state)
{
    (void)state;
    static struct label_names names;
    uint8_t labels[LABELS_SIZE] = {0};
    char text[LABEL_NAMES_TEXT_SIZE];
    label_names_init(&names);
    label_names_add(&names, "old", 7, false);
    label_names_add(&names, "web", 3, false);
    labels_set(labels, 7);
    labels_set(labels, 3);
    labels_set(labels, 9);
    label_names_remove(&names, "old");
    assert_int_equal(label_names_find(&names, "old"), -ENOENT);
    label_names_text(&names, labels, text);
    assert_string_equal(text, "web,old");
    label_names_add(&names, "new", 7, false);
    label_names_text(&names, labels, text);
    assert_string_equal(text, "web,new");
}

static void test_lines_are_read_as_the_netfilter_tools_read_them(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum label_line result;
        unsigned bit;
        const char *name;
    } lines[] = {
        {"17 gold\n", LABEL_LINE_NAME, 17, "gold"},
        {"0x11\tgold  ", LABEL_LINE_NAME, 17, "gold"},
        {"021 gold", LABEL_LINE_NAME, 17, "gold"},
        {"  127   two words\r\n", LABEL_LINE_NAME, 127, "two words"},
        {"# 17 gold", LABEL_LINE_EMPTY, 0, ""},
        {"   \n", LABEL_LINE_EMPTY, 0, ""},
        {"gold 17", LABEL_LINE_NO_BIT, 0, ""},
        {"-1 gold", LABEL_LINE_NO_BIT, 0, ""},
        {"128 gold", LABEL_LINE_BAD_BIT, 0, ""},
        {"17", LABEL_LINE_NO_NAME, 0, ""},
        {"17 go_ld", LABEL_LINE_BAD_NAME, 0, ""},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        unsigned bit;
        size_t column;
        char name[LABEL_NAME_MAX + 1];
        assert_int_equal(label_line_read(lines[i].line, &bit, name, &column), lines[i].result);
        if (lines[i].result != LABEL_LINE_NAME)
            continue;
        assert_int_equal(bit, lines[i].bit);
        assert_string_equal(name, lines[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bit_is_where_the_number_has_it),
        cmocka_unit_test(test_what_is_no_number_of_128_bits_is_refused),
        cmocka_unit_test(test_a_masked_write_keeps_all_other_bits),
        cmocka_unit_test(test_names_are_of_letters_digits_hyphens_and_inner_spaces),
        cmocka_unit_test(test_a_name_without_a_bit_gets_the_lowest_that_never_had_one),
        cmocka_unit_test(test_names_and_bits_are_given_once),
        cmocka_unit_test(test_the_129th_name_finds_no_room),
        cmocka_unit_test(test_a_removed_name_stays_until_its_bit_gets_another),
        cmocka_unit_test(test_lines_are_read_as_the_netfilter_tools_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
