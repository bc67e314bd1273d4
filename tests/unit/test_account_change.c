/* Accounts that change: what a change does, and refuses; against a list that is searched from its
 * beginning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/config/config_value.h"
#include "control.pb-c.h"
#include "proto/account_change.h"
#include "tracker/account.h"

static struct config_prefix house_prefixes[] = {
    {.address = {10}, .family = 4, .length = 8},
    {.address = {0x20, 0x01, 0x0d, 0xb8}, .family = 6, .length = 32},
};
static struct config_account config_accounts[] = {
    {.name = (char[]){"house"}, .prefixes = house_prefixes, .n_prefixes = 2},
    {.name = (char[]){"office"}},
};
static const struct config config = {.accounts = config_accounts, .n_accounts = 2};

static struct account_table *create(void)
{
    struct account_table *table;
    assert_int_equal(account_table_create(&config, &table), 0);
    return table;
}

/* Its words point into itself. */
static void set_change(struct change *change, const char *line)
{
    char text[CHANGE_TEXT_MAX];
    const char *words[CHANGE_WORDS_MAX];
    size_t n = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        words[n++] = word;
    *change = (struct change){.id = 1, .time_ns = 7};
    assert_true(change_set_words(change, words, n));
}

static struct change_result apply(struct account_table *table, const char *line)
{
    struct change change;
    set_change(&change, line);
    struct change_result result = {0};
    account_table_change(table, &change, &result);
    return result;
}

/* Whose the address is, by name. */
static const char *owner(const struct account_table *table, const char *address)
{
    struct config_prefix prefix;
    struct config_complaint complaint;
    assert_true(config_prefix_read(address, &prefix, &complaint));
    return account_names_of(account_table_names(table),
                            account_of_address(table, prefix.family, prefix.address));
}

static void test_an_address_is_whose_it_was_last_given_to(void **state)
{
    (void)state;
    struct account_table *table = create();
    assert_string_equal(owner(table, "10.0.0.5"), "house");
    assert_int_equal(apply(table, "account add guest 10.0.0.5 2001:db8::/64").count, 2);
    assert_string_equal(owner(table, "10.0.0.5"), "guest");
    assert_string_equal(owner(table, "10.0.0.6"), "house");
    assert_string_equal(owner(table, "2001:db8::1"), "guest");
    assert_int_equal(apply(table, "account move office 10.0.0.5").count, 1);
    assert_string_equal(owner(table, "10.0.0.5"), "office");
    assert_int_equal(apply(table, "account remove office 10.0.0.5").count, 1);
    assert_string_equal(owner(table, "10.0.0.5"), "house");
    assert_int_equal(apply(table, "account remove house").count, 2);
    assert_string_equal(owner(table, "10.0.0.5"), "none");
    assert_string_equal(owner(table, "2001:db8::1"), "guest");
    account_table_destroy(table);
}

static void test_what_is_refused_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int error;
    } cases[] = {
        {"account add guest 10.0.0.5 10.0.0.0/8", EEXIST},
        {"account add guest 10.0.0.5 10.0.0.5/31", EINVAL},
        {"account add guest 10.0.0.5 here", EINVAL},
        {"account add guest", EINVAL},
        {"account add none 10.0.0.5", EINVAL},
        {"account add gu/est 10.0.0.5", EINVAL},
        {"account move guest", EINVAL},
        {"account remove guest", ENOENT},
        {"account remove office", ENOENT},
        {"account remove office 10.0.0.0/8", ENOENT},
        {"account remove house 10.0.0.0/8 10.0.0.0/9", ENOENT},
        {"account give guest 10.0.0.5", EINVAL},
        {"account", EINVAL},
    };
    struct account_table *table = create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct change_result result = apply(table, cases[i].line);
        assert_int_equal(result.error, cases[i].error);
        assert_int_equal(result.count, 0);
        assert_true(*result.answer);
        assert_string_equal(owner(table, "10.0.0.5"), "house");
        assert_int_equal(account_table_names(table)->n, 2);
    }
    account_table_destroy(table);
}

static void test_to_add_what_one_has_is_no_change(void **state)
{
    (void)state;
    struct account_table *table = create();
    struct change_result result = apply(table, "account add house 10.0.0.0/8 10.1.0.0/16");
    assert_int_equal(result.error, 0);
    assert_int_equal(result.count, 1);
    result = apply(table, "account add guest 10.0.0.5 10.0.0.5");
    assert_int_equal(result.count, 1);
    result = apply(table, "account remove guest 10.0.0.5 10.0.0.5");
    assert_int_equal(result.error, 0);
    assert_int_equal(result.count, 1);
    account_table_destroy(table);
}

/* ---- against a search ---- */

enum { PLACES = 300, NAMES = 5, STEPS = 4000 };

/* Nested blocks of 10.0.0.0/20, by number. */
static struct config_prefix place(unsigned i)
{
    static const uint8_t lengths[] = {20, 22, 24, 27, 30, 32};
    struct config_prefix prefix = {.family = 4, .length = lengths[i % 6]};
    uint32_t address = 0x0a000000 | ((i / 6 * 81u % 4096u) &
                                     (uint32_t)(UINT64_C(0xffffffff) << (32 - prefix.length)));
    for (unsigned byte = 0; byte < 4; byte++)
        prefix.address[byte] = (uint8_t)(address >> (24 - 8 * byte));
    return prefix;
}

struct model {
    struct config_prefix prefixes[PLACES];
    int owners[PLACES]; /* -1: nobody */
    size_t n;
};

static size_t model_find(struct model *model, const struct config_prefix *prefix)
{
    size_t i = 0;
    while (i < model->n && (model->prefixes[i].length != prefix->length ||
                            memcmp(model->prefixes[i].address, prefix->address, 16) != 0))
        i++;
    if (i == model->n) {
        model->prefixes[model->n] = *prefix;
        model->owners[model->n++] = -1;
    }
    return i;
}

static int model_lookup(const struct model *model, uint32_t address)
{
    int owner = -1, longest = -1;
    for (size_t i = 0; i < model->n; i++) {
        const uint8_t *bytes = model->prefixes[i].address;
        uint32_t base = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                        (uint32_t)bytes[2] << 8 | bytes[3];
        int length = model->prefixes[i].length;
        if (model->owners[i] >= 0 && (base ^ address) >> (32 - length) == 0 && length > longest) {
            longest = length;
            owner = model->owners[i];
        }
    }
    return owner;
}

static void compare(const struct account_table *table, const struct model *model)
{
    for (uint32_t host = 0; host < 4096; host += 37) {
        char text[32], name[16];
        snprintf(text, sizeof text, "10.0.%u.%u", host >> 8, host & 255);
        int expected = model_lookup(model, 0x0a000000 | host);
        snprintf(name, sizeof name, "n%d", expected);
        assert_string_equal(owner(table, text), expected < 0 ? "none" : name);
    }
}

/* One step of both; the change must do what the search's list says. */
static void step(struct account_table *table, struct model *model, unsigned random)
{
    static const char *const verbs[] = {"add", "move", "remove"};
    struct config_prefix prefix = place(random % PLACES);
    char line[160], text[CONFIG_PREFIX_TEXT_SIZE];
    unsigned verb = random / PLACES % 3;
    int name = (int)(random / 1000 % NAMES);
    size_t at = model_find(model, &prefix);
    config_prefix_text(&prefix, text);
    snprintf(line, sizeof line, "account %s n%d %s", verbs[verb], name, text);
    struct change_result result = apply(table, line);
    bool is_other = model->owners[at] >= 0 && model->owners[at] != name;
    if (verb == 0)
        assert_int_equal(result.error, is_other ? EEXIST : 0);
    else if (verb == 2)
        assert_int_equal(result.error, model->owners[at] == name ? 0 : ENOENT);
    if (result.error == 0)
        model->owners[at] = verb == 2 ? -1 : name;
}

static void test_any_order_of_changes_is_as_by_search(void **state)
{
    (void)state;
    static const struct config nobody = {0};
    struct account_table *table;
    static struct model model;
    uint64_t random = 17;
    assert_int_equal(account_table_create(&nobody, &table), 0);
    for (unsigned i = 0; i < STEPS; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        step(table, &model, (unsigned)(random >> 40));
        if (i % 100 == 0)
            compare(table, &model);
    }
    for (int name = 0; name < NAMES; name++) {
        char line[32];
        snprintf(line, sizeof line, "account remove n%d", name);
        uint64_t n = 0;
        for (size_t i = 0; i < model.n; i++) {
            n += model.owners[i] == name;
            model.owners[i] = model.owners[i] == name ? -1 : model.owners[i];
        }
        assert_int_equal(apply(table, line).count, n);
        compare(table, &model);
    }
    account_table_destroy(table);
}

/* ---- names ---- */

static void test_numbers_are_those_of_the_order_and_are_not_given_again(void **state)
{
    (void)state;
    struct account_table *table = create();
    const struct account_names *names = account_table_names(table);
    apply(table, "account add b 192.0.2.1");
    apply(table, "account add a 192.0.2.2");
    apply(table, "account remove b");
    apply(table, "account add c 192.0.2.1");
    apply(table, "account add b 192.0.2.3");
    static const char *const expected[] = {"none", "house", "office", "b", "a", "c", "none"};
    for (uint16_t number = 0; number < 7; number++) {
        assert_string_equal(account_names_of(names, number), expected[number]);
        if (number > 0 && number < 6)
            assert_int_equal(account_names_find(names, expected[number]), number);
    }
    account_table_destroy(table);
}

static void test_when_all_numbers_are_given_there_is_no_other_name(void **state)
{
    (void)state;
    struct account_table *table = create();
    for (unsigned i = 3; i <= ACCOUNT_NUMBER_MAX; i++) {
        char line[64];
        snprintf(line, sizeof line, "account move n%u 192.0.2.1", i);
        assert_int_equal(apply(table, line).error, 0);
    }
    assert_string_equal(owner(table, "192.0.2.1"), "n65535");
    assert_int_equal(apply(table, "account move another 192.0.2.1").error, ENOSPC);
    assert_string_equal(owner(table, "192.0.2.1"), "n65535");
    assert_int_equal(apply(table, "account move n77 192.0.2.1").error, 0);
    assert_string_equal(owner(table, "192.0.2.1"), "n77");
    account_table_destroy(table);
}

/* ---- the list ---- */

/* Asks in portions of 'rows_max'; the sum of what came. */
static size_t ask(const struct account_table *table, uint32_t rows_max, char *text, size_t size)
{
    struct control_request request = {
        .words = {"account", "list"}, .n_words = 2, .rows_max = rows_max};
    size_t n = 0, used = 0;
    do {
        struct control_reply reply;
        control_reply_init(&reply, rows_max);
        account_table_query(table, &request, &reply);
        size_t n_bytes;
        uint8_t *bytes = control_reply_encode(&reply, &n_bytes);
        Wanmeter__Control__Reply *wire = wanmeter__control__reply__unpack(NULL, n_bytes, bytes);
        for (size_t i = 0; i < wire->n_rows; i++, n++)
            for (size_t k = 0; k < wire->rows[i]->n_values && used < size; k++)
                used += (size_t)snprintf(
                    text + used, size - used, "%.*s%s", (int)wire->rows[i]->values[k].len,
                    (const char *)wire->rows[i]->values[k].data, k < 3 ? " " : "\n");
        request.cursor = reply.cursor;
        wanmeter__control__reply__free_unpacked(wire, NULL);
        free(bytes);
        control_reply_deinit(&reply);
    } while (request.cursor);
    return n;
}

static void test_the_list_says_whose_since_when_and_from_where(void **state)
{
    (void)state;
    char text[512] = "";
    struct account_table *table = create();
    apply(table, "account add guest 10.0.0.5");
    apply(table, "account add house 10.0.0.0/8");
    assert_int_equal(ask(table, 1, text, sizeof text), 3);
    assert_string_equal(text, "guest 10.0.0.5/32 7 command\nhouse 10.0.0.0/8 0 file\n"
                              "house 2001:db8::/32 0 file\n");
    account_table_destroy(table);
}

static void test_a_list_in_portions_has_every_prefix_once(void **state)
{
    (void)state;
    static char text[1];
    struct account_table *table = create();
    for (unsigned i = 0; i < 1000; i++) {
        char line[64];
        snprintf(line, sizeof line, "account add n%u 192.0.%u.%u/%u", i % 7, i % 4, i / 4, 32);
        assert_int_equal(apply(table, line).error, 0);
    }
    assert_int_equal(ask(table, 7, text, 0), 1002);
    assert_int_equal(ask(table, 0, text, 0), 1002);
    account_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_whose_it_was_last_given_to),
        cmocka_unit_test(test_what_is_refused_changes_nothing),
        cmocka_unit_test(test_to_add_what_one_has_is_no_change),
        cmocka_unit_test(test_any_order_of_changes_is_as_by_search),
        cmocka_unit_test(test_numbers_are_those_of_the_order_and_are_not_given_again),
        cmocka_unit_test(test_when_all_numbers_are_given_there_is_no_other_name),
        cmocka_unit_test(test_the_list_says_whose_since_when_and_from_where),
        cmocka_unit_test(test_a_list_in_portions_has_every_prefix_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
