/* Link models: properties of each, compositions, and lengths with their bills. With vectors beside
 * the checkout (WANMETER_SHARED, or ../shared) every one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/overhead.h"

static uint64_t bill(const char *text, uint32_t l3_bytes)
{
    struct overhead model;
    if (!overhead_make(text, &model))
        fail_msg("%s is no model", text);
    return overhead_billed_bytes(&model, l3_bytes);
}

static void test_ip_costs_what_it_is_long(void **state)
{
    (void)state;
    const struct overhead *ip = overhead_find("ip");
    assert_non_null(ip);
    for (uint32_t length = 0; length < 70000; length++)
        assert_int_equal(overhead_billed_bytes(ip, length), length);
    assert_int_equal(overhead_billed_bytes(ip, UINT32_MAX), UINT32_MAX);
}

static void test_the_edges_of_each_step(void **state)
{
    (void)state;
    assert_int_equal(bill("add(14)", 40), 54);
    assert_int_equal(bill("add(-64)", 40), 0);
    assert_int_equal(bill("min(60)", 59), 60);
    assert_int_equal(bill("min(60)", 61), 61);
    assert_int_equal(bill("align(4)", 8), 8);
    assert_int_equal(bill("align(4)", 9), 12);
    assert_int_equal(bill("cells(48,53)", 48), 53);
    assert_int_equal(bill("cells(48,53)", 49), 106);
    assert_int_equal(bill("perblock(64)", 64), 65);
    assert_int_equal(bill("perblock(64)", 65), 67);
    assert_int_equal(bill("ratio(65,64)", 64), 65);
    assert_int_equal(bill("ratio(65,64)", 63), 63);
    assert_int_equal(bill("alignclamp(16,1420)", 1409), 1420);
    assert_int_equal(bill("alignclamp(16,1420)", 1421), 1436);
    assert_int_equal(bill("frag4(1500)", 1500), 1500);
    assert_int_equal(bill("frag4(1500)", 1501), 1521);
    assert_int_equal(bill("frag4(1500)", 2980), 3000);
    assert_int_equal(bill("frag4(1500)", 2981), 3021);
}

static void test_a_fraction_is_kept_in_parts(void **state)
{
    (void)state;
    const struct overhead *model = overhead_find("ptm-exact-pppoe");
    assert_int_equal(overhead_parts(model), 64);
    uint64_t parts = 0;
    for (unsigned i = 0; i < 64; i++)
        parts += overhead_billed_parts(model, 1000);
    assert_int_equal(parts, UINT64_C(64) * 1030 * 65);
    assert_int_equal(overhead_parts(overhead_find("pppoe-ptm")), 1);
}

static void test_every_model_has_a_unique_name_and_never_bills_a_longer_packet_less(void **state)
{
    (void)state;
    assert_true(overhead_presets_n > 70);
    for (size_t i = 0; i < overhead_presets_n; i++) {
        const struct overhead *model = &overhead_presets[i];
        assert_ptr_equal(overhead_find(model->name), model);
        assert_true(model->fields[0] != '\0' && model->source[0] != '\0');
        assert_int_equal(overhead_billed_bytes(model, 0), 0);
        uint64_t before = 0;
        for (uint32_t length = 20; length < 66000; length++) {
            uint64_t parts = overhead_billed_parts(model, length);
            assert_true(parts >= before && parts >= length);
            before = parts;
        }
        assert_true(overhead_billed_bytes(model, UINT32_MAX) >= UINT32_MAX);
    }
}

static void test_a_composition_is_one_model_in_the_other(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"wireguard4", "pppoe-ptm"}, {"esp4-gcm", "pppoe-llcsnap"}, {"gre4", "docsis"},
        {"ip4in6", "xgspon"},        {"ip", "ethernet-wire"},       {"vxlan4", "cake:ethernet"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s+%s", pairs[i][0], pairs[i][1]);
        for (uint32_t length = 20; length < 3000; length++) {
            uint64_t inner = bill(pairs[i][0], length);
            assert_int_equal(bill(text, length), bill(pairs[i][1], (uint32_t)inner));
        }
    }
}

static void test_a_vlan_tag_lies_within_the_frame(void **state)
{
    (void)state;
    for (uint32_t length = 20; length < 2000; length++) {
        assert_int_equal(bill("ethernet+ether-vlan", length), bill("ethernet-vlan-wire", length));
        assert_int_equal(bill("cake:ethernet+ether-vlan+ether-vlan", length),
                         bill("ethernet-qinq-wire", length));
        assert_int_equal(bill("pppoe-ptm+ether-vlan", length),
                         bill("add(34)+perblock(64)", length));
        assert_int_equal(bill("gre4+pppoe-llcsnap+ether-vlan", length),
                         bill("gre4+add(44)+cells(48,53)", length));
    }
}

static void test_the_words_of_tc_are_steps(void **state)
{
    (void)state;
    for (uint32_t length = 20; length < 2000; length++) {
        assert_int_equal(bill("linklayer atm overhead 40", length), bill("pppoe-llcsnap", length));
        assert_int_equal(bill("overhead 30 ptm", length), bill("pppoe-ptm", length));
        assert_int_equal(bill("mpu 64 overhead 18 noatm", length), bill("docsis", length));
        assert_int_equal(bill("gre4+linklayer adsl mpu 96 overhead 32", length),
                         bill("gre4+add(32)+min(96)+cells(48,53)", length));
    }
}

static void test_words_that_are_wrong_are_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"linklayer atm mpu 65536", "mpu: got '65536', expected 0 to 65535"},
        {"linklayer atm mpu -1", "mpu: got '-1', expected 0 to 65535"},
        {"overhead 40 linklayer", "'linklayer' without its name"},
        {"linklayer atm overhead", "'overhead' without its number"},
        {"overhead 1 overhead 2", "'overhead' is said twice"},
        {"atm linklayer ptm", "'ptm': the link layer is said twice"},
        {"linklayer atm tsize 512", "'tsize' is of a size table: write 'stab' before it"},
        {"stab linklayer ptm", "'ptm': tc-stab knows ethernet, atm and adsl"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct overhead model;
        char why[OVERHEAD_WHY_SIZE];
        assert_false(overhead_make_or_tell(cases[i][0], &model, why));
        assert_string_equal(why, cases[i][1]);
    }
}

static void test_what_is_no_model_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "nothing",
        "ip+",
        "+ip",
        "ip++ip",
        "cake:",
        "ether-vlan",
        "ip+ether-vlan",
        "add",
        "add()",
        "add(x)",
        "add(1",
        "add(1))",
        "add(1,2)",
        "add( 1)",
        "add(+1)",
        "add(65536)",
        "add(1)x",
        "min(-1)",
        "align(0)",
        "align(-4)",
        "cells(48)",
        "cells(0,53)",
        "cells(53,48)",
        "cells(1,65535)",
        "perblock(0)",
        "ratio(65,0)",
        "ratio(9,1)",
        "ratio(2,1)+ip4in6",
        "frag4(27)",
        "alignclamp(16,8)",
        "add(99999999999999999999)",
        "ip4in6+ip4in6+ip4in6+ip4in6+ip4in6+ip4in6+ip4in6+ip4in6+ip4in6",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct overhead model;
        if (overhead_make(texts[i], &model))
            fail_msg("\"%s\" was taken for a model", texts[i]);
    }
    assert_null(overhead_find("wireguard4+pppoe-ptm"));
}

/* ---- vectors: lengths and their bills, computed elsewhere ---- */

static FILE *vectors_open(const char *name)
{
    const char *shared = getenv("WANMETER_SHARED");
    char path[4096];
    snprintf(path, sizeof(path), "%s/vectors/overhead/%s", shared != NULL ? shared : "../shared",
             name);
    return fopen(path, "r");
}

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* The steps as text: "add(14)+min(60)"; of none, "ip". */
static void steps_text(const json_t *steps, char *text, size_t size)
{
    text[0] = '\0';
    size_t i, k;
    json_t *step, *number;
    json_array_foreach(steps, i, step)
    {
        append(text, size, "%s", i ? "+" : "");
        json_array_foreach(step, k, number)
        {
            if (k == 0)
                append(text, size, "%s(", json_string_value(number));
            else
                append(text, size, "%s%lld", k > 1 ? "," : "",
                       (long long)json_integer_value(number));
        }
        append(text, size, ")");
    }
    if (text[0] == '\0')
        append(text, size, "ip");
}

/* A line "length,bytes" or "length,parts/of". Returns the lines that agree. */
static unsigned check_file(const char *file_name, const struct overhead *model, const char *name)
{
    FILE *file = vectors_open(file_name);
    assert_non_null(file);
    char line[256];
    assert_non_null(fgets(line, sizeof(line), file));
    unsigned n = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long length, billed, of = 1;
        int n_read = sscanf(line, "%llu,%llu/%llu", &length, &billed, &of);
        assert_true(n_read >= 2);
        uint64_t parts = overhead_billed_parts(model, (uint32_t)length);
        if (parts * of != billed * overhead_parts(model))
            fail_msg("%s: %llu bytes: %llu parts, expected %s", name, length,
                     (unsigned long long)parts, line);
        n++;
    }
    fclose(file);
    return n;
}

/* By its steps, and by its name where that is one that users may write. */
static unsigned check_entry(const json_t *entry, unsigned *n_names)
{
    const char *name = json_string_value(json_object_get(entry, "model"));
    const char *file = json_string_value(json_object_get(entry, "file"));
    char text[256];
    steps_text(json_object_get(entry, "ops"), text, sizeof(text));
    struct overhead model;
    assert_true(overhead_make(text, &model));
    unsigned n = check_file(file, &model, text);
    assert_true(n > 0);
    if (strncmp(name, "stack:", 6) == 0)
        name += 6;
    if (overhead_make(name, &model)) {
        assert_int_equal(check_file(file, &model, name), n);
        ++*n_names;
    }
    return n;
}

/* "linklayer=atm overhead=10 mpu=0 mtu=0 tsize=0" (0: the default) as words. */
static void stab_text(const char *fields, char *text, size_t size)
{
    char layer[16];
    int overhead, mpu, mtu, tsize;
    assert_int_equal(sscanf(fields, "linklayer=%15s overhead=%d mpu=%d mtu=%d tsize=%d", layer,
                            &overhead, &mpu, &mtu, &tsize),
                     5);
    snprintf(text, size, "stab linklayer %s overhead %d mpu %d", layer, overhead, mpu);
    if (mtu)
        append(text, size, " mtu %d", mtu);
    if (tsize)
        append(text, size, " tsize %d", tsize);
}

/* Vectors of a size table; 0: the entry is of something else. */
static unsigned check_table(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "model"));
    if (strncmp(name, "stab-", 5) != 0)
        return 0;
    char text[128];
    struct overhead model;
    stab_text(json_string_value(json_object_get(entry, "fields")), text, sizeof(text));
    assert_true(overhead_make(text, &model));
    return check_file(json_string_value(json_object_get(entry, "file")), &model, text);
}

static void test_all_vectors_agree(void **state)
{
    (void)state;
    FILE *file = vectors_open("INDEX.json");
    if (file == NULL)
        skip();
    json_t *index = json_loadf(file, 0, NULL);
    fclose(file);
    assert_non_null(index);
    unsigned n_vectors = 0, n_models = 0, n_names = 0;
    size_t i;
    json_t *entry;
    json_array_foreach(index, i, entry)
    {
        if (!json_is_array(json_object_get(entry, "ops"))) {
            n_vectors += check_table(entry); /* others: stateful compression, percentiles */
            continue;
        }
        n_vectors += check_entry(entry, &n_names);
        n_models++;
    }
    print_message("%u vectors of %u models, %u of them by name\n", n_vectors, n_models, n_names);
    assert_true(n_models > 80 && n_names >= n_models - 2);
    json_decref(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip_costs_what_it_is_long),
        cmocka_unit_test(test_the_edges_of_each_step),
        cmocka_unit_test(test_a_fraction_is_kept_in_parts),
        cmocka_unit_test(test_every_model_has_a_unique_name_and_never_bills_a_longer_packet_less),
        cmocka_unit_test(test_a_composition_is_one_model_in_the_other),
        cmocka_unit_test(test_a_vlan_tag_lies_within_the_frame),
        cmocka_unit_test(test_the_words_of_tc_are_steps),
        cmocka_unit_test(test_words_that_are_wrong_are_told),
        cmocka_unit_test(test_what_is_no_model_is_refused),
        cmocka_unit_test(test_all_vectors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
