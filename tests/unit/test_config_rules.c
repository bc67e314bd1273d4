/* What is wrong with rules, classes and labels, and where. */
#include "config_case.h"

#include "common/ct_action.h"
#include "proto/rule_check.h"

/* The text gives this one error, also of what only libpcap sees; "": none. */
static void assert_error(const char *yaml, const char *expected)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    read_into(&config, yaml, &errors);
    rule_check(&config, &errors);
    if (errors.n != (*expected ? 1u : 0u) ||
        (*expected && strcmp(errors.items[0].text, expected) != 0))
        print_unexpected(&errors, yaml);
    assert_int_equal(errors.n, *expected ? 1 : 0);
    if (*expected)
        assert_string_equal(errors.items[0].text, expected);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

static const char NAMES[] = "accounts: [{name: bakery}]\n"
                            "classes: [voice, game]\n"
                            "labels: [\"17 gold\", \"3 two words\"]\n"
                            "wans: [{name: radio, match: {}}]\n"
                            "timeout_policies: [{name: short, l4: tcp}]\n"
                            "rules:\n";

/* Of a rule whose 'ct' begins at 7:9. */
static void assert_ct_error(const char *ct, const char *expected)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "%s  - ct: %s\n", NAMES, ct);
    assert_error(yaml, expected);
}

static void test_every_attribute_is_taken(void **state)
{
    (void)state;
    assert_ct_error("commit", "");
    assert_ct_error("\"\"", "");
    assert_ct_error("notrack", "");
    assert_ct_error("commit, zone=65535, mark=0x5/0xff, label=gold, helper=ftp, timeout=short,"
                    " account=bakery, class=game",
                    "");
    assert_ct_error("commit,label=two words", "");
    assert_ct_error("commit,label=0x5/0x7,mark=4294967295", "");
}

static void test_what_is_wrong_is_pointed_at(void **state)
{
    (void)state;
    assert_ct_error("comit,zone=9",
                    "f:7:9: rules[0].ct: unknown attribute (got 'comit'; did you mean commit?)");
    assert_ct_error("commit,zone=65536",
                    "f:7:21: rules[0].ct: not a zone (got '65536', expected 0 to 65535)");
    assert_ct_error("'commit,mark=0x1ffffffff'",
                    "f:7:22: rules[0].ct: not a mark of 32 bits (got '0x1ffffffff', expected VALUE "
                    "or VALUE/MASK, 0 to 0xffffffff)");
    assert_ct_error("commit,mark=5/0", "f:7:21: rules[0].ct: the mask is 0 (got '5/0', expected a "
                                       "mask with the bits to write)");
    assert_ct_error("commit,mark=0x105/0xff",
                    "f:7:21: rules[0].ct: the value has bits outside its mask (got '0x105/0xff', "
                    "expected 0x5/0xff)");
    assert_ct_error("commit,commit", "f:7:16: rules[0].ct: given twice (got 'commit')");
    assert_ct_error("mark=1", "f:7:9: rules[0].ct: needs 'commit' (got 'mark', expected "
                              "commit,mark=1)");
    assert_ct_error("commit,zone", "f:7:16: rules[0].ct: the value is missing (got 'zone', "
                                   "expected zone=VALUE)");
    assert_ct_error("commit,,zone=1", "f:7:16: rules[0].ct: an attribute is missing (expected one "
                                      "beside each comma)");
    assert_ct_error("notrack,commit", "f:7:17: rules[0].ct: not together with notrack (got "
                                      "'commit', expected one of them)");
}

static void test_labels_have_values_of_at_most_128_bits_or_names(void **state)
{
    (void)state;
    assert_ct_error("commit,label=golt",
                    "f:7:22: rules[0].ct: unknown label (got 'golt'; did you mean gold?)");
    assert_ct_error("commit,label=17",
                    "f:7:22: rules[0].ct: not a label (got '17', expected 0x and hexadecimal "
                    "digits, or a name; did you mean 0x20000?)");
    assert_ct_error("commit,label=0x123456789012345678901234567890123",
                    "f:7:22: rules[0].ct: longer than 128 bits (got "
                    "'0x123456789012345678901234567890123', expected at most 32 hexadecimal "
                    "digits)");
    assert_ct_error("commit,label=0x0/0x0", "f:7:22: rules[0].ct: the mask is 0 (got '0x0/0x0', "
                                            "expected a mask with the bits to write)");
    assert_ct_error("commit,label=0x8/0x7",
                    "f:7:22: rules[0].ct: the value has bits outside its mask (got '0x8/0x7', "
                    "expected a value inside it)");
}

static void test_names_are_those_of_the_configuration(void **state)
{
    (void)state;
    assert_ct_error("commit,account=bakry",
                    "f:7:24: rules[0].ct: unknown account (got 'bakry'; did you mean bakery?)");
    assert_ct_error("commit,class=voise",
                    "f:7:22: rules[0].ct: unknown class (got 'voise'; did you mean voice?)");
    assert_ct_error("commit,timeout=shart", "f:7:24: rules[0].ct: unknown timeout policy (got "
                                            "'shart'; did you mean short?)");
    assert_ct_error("commit,helper=fpt",
                    "f:7:23: rules[0].ct: unknown helper (got 'fpt', expected ftp, tftp, sip, irc, "
                    "pptp or amanda; did you mean ftp?)");
    assert_error("wans: [{name: radio, match: {}}]\nrules: [{wan: radyo, ct: commit}]",
                 "f:2:9: rules[0].wan: unknown WAN (got 'radyo'; did you mean radio?)");
    assert_error("classes: [arp]",
                 "f: classes: a class of wanmeter's own (got 'arp', expected another name)");
    assert_error("classes: [a, a]", "f: classes: the same name twice (got 'a')");
}

static void test_a_match_compiles_and_has_a_family(void **state)
{
    (void)state;
    assert_error("rules:\n  - match: tcp prot 80\n    ct: commit",
                 "f:2:12: rules[0].match: can't parse filter expression: syntax error (got 'tcp "
                 "prot 80')");
    assert_error("rules:\n  - match: \"arp\"\n    ct: commit",
                 "f:2:13: rules[0].match: family unspecified: it matches neither IPv4 nor IPv6 "
                 "(got 'arp', expected an expression over IP packets)");
    assert_error("rules:\n  - match: tcp and udp\n    ct: commit",
                 "f:2:12: rules[0].match: expression rejects all packets (got 'tcp and udp')");
}

static void test_helpers_and_policies_are_of_the_match_s_protocol(void **state)
{
    (void)state;
    assert_error("rules:\n  - {match: udp port 21, ct: \"commit,helper=ftp\"}",
                 "f:2:45: rules[0].ct: helper of another protocol than the match (got 'ftp', "
                 "expected a match that takes TCP)");
    assert_error("rules:\n  - {match: ip6, ct: \"commit,helper=irc\"}",
                 "f:2:37: rules[0].ct: helper of another family than the match (got 'irc', "
                 "expected a match that takes IPv4)");
    assert_error("rules:\n  - {match: port 5060, ct: \"commit,helper=sip\"}", "");
    assert_error("timeout_policies: [{name: a, l4: tcp}]\n"
                 "rules:\n  - {match: udp, ct: \"commit,timeout=a\"}",
                 "f:3:38: rules[0].ct: timeout policy of another protocol than the match (got 'a', "
                 "expected a match that takes tcp over IPv4)");
    assert_error("timeout_policies: [{name: a, l4: tcp, l3: inet6}]\n"
                 "rules:\n  - {match: ip and tcp, ct: \"commit,timeout=a\"}",
                 "f:3:45: rules[0].ct: timeout policy of another family than the match (got 'a', "
                 "expected a match that takes tcp over IPv6)");
}

static void test_a_state_is_there_only_after_the_look_up(void **state)
{
    (void)state;
    assert_error("rules: [{state: new, ct: zone=3}]",
                 "f:1:9: rules[0].state: a zone, or notrack, is given to every packet before there "
                 "is a state (got 'new')");
    assert_error("rules: [{state: reply, ct: \"commit,helper=ftp\"}]",
                 "f:1:9: rules[0].state: a reply comes too late for this (got "
                 "'commit,helper=ftp', expected mark= and label=)");
    assert_error("rules: [{state: reply, ct: \"commit,mark=1/1\"}]", "");
}

static void test_a_bit_has_one_name_and_a_name_one_bit(void **state)
{
    (void)state;
    assert_error("labels: [1 a, 1 b]", "f: labels: the bit has another name (got '1 b')");
    assert_error("labels: [1 a, 2 a]", "f: labels: the name has another bit (got '2 a')");
    assert_error("labels: [1 a, 1 a]", "");
    assert_error("labels: [1 gold]\nsticky_labels: [golt]",
                 "f: sticky_labels: unknown label (got 'golt'; did you mean gold?)");
    assert_error("labels: [128 a]",
                 "f:1:10: labels[0]: not allowed (got '128 a', expected a bit, 0 to 127, and 1 to "
                 "63 letters, digits, '-' and ' ')");
}

/* ---- the file of labels ---- */

struct label_file {
    char path[64];
    struct config config;
    struct config_errors errors;
};

static void load(struct label_file *file, const char *text)
{
    *file = (struct label_file){.path = "/tmp/wanmeter-labels-XXXXXX"};
    int descriptor = mkstemp(file->path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    close(descriptor);
    config_init(&file->config);
    char assignment[96];
    snprintf(assignment, sizeof assignment, "label_file=%s", file->path);
    config_set(&file->config, assignment, &file->errors);
    config_load_labels(&file->config, &file->errors);
}

static void unload(struct label_file *file)
{
    unlink(file->path);
    config_errors_deinit(&file->errors);
    config_deinit(&file->config);
}

static void test_the_file_s_names_become_the_configuration_s(void **state)
{
    (void)state;
    struct label_file file;
    load(&file, "# a comment\n\n17 gold\n0x3\tcheap stuff\n");
    assert_int_equal(file.errors.n, 0);
    assert_int_equal(file.config.labels.n, 2);
    assert_string_equal(file.config.labels.items[0], "17 gold");
    assert_string_equal(file.config.labels.items[1], "3 cheap stuff");
    config_load_labels(&file.config, &file.errors); /* again: nothing new, nothing wrong */
    assert_int_equal(file.errors.n, 0);
    assert_int_equal(file.config.labels.n, 2);
    unload(&file);
}

static void test_errors_of_the_file_have_its_own_places(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"1 a\n  gold 17\n", ":2:3: no bit (got 'gold 17', expected BIT NAME, or # and a comment)"},
        {"300 a\n", ":1:1: no such bit (got '300 a', expected 0 to 127)"},
        {"7\n", ":1:2: the name is missing"},
        {"7 a_b\n",
         ":1:3: not a label's name (got 'a_b', expected 1 to 63 letters, digits, '-' and ' ')"},
        {"7 a\n7 b\n", ":2:1: the bit has another name (got '7 b')"},
        {"7 a\n8 a\n", ":2:3: the name has another bit (got '8 a')"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct label_file file;
        load(&file, cases[i].text);
        assert_int_equal(file.errors.n, 1);
        assert_string_equal(file.errors.items[0].text + strlen(file.path), cases[i].expected);
        unload(&file);
    }
}

static void test_a_text_with_rules_read_again_gives_the_same_text(void **state)
{
    (void)state;
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "%s%s", NAMES,
             "  - {name: x, match: 'ip[8] < 5 and tcp[tcpflags] & tcp-syn != 0', wan: none,"
             " zone: 3, state: new, ct: 'commit,label=two words'}\n");
    char *text = text_of(yaml), *again = text_of(text);
    assert_string_equal(text, again);
    assert_non_null(strstr(text, "match: \"ip[8] < 5 and tcp[tcpflags] & tcp-syn != 0\""));
    free(text);
    free(again);
}

static void test_a_wans_filter_compiles(void **state)
{
    (void)state;
    assert_error(
        "wans: [{name: w, match: {filter: \"vlan 10 and ether src 02:00:00:00:00:01\"}}]\n", "");
    assert_error(
        "wans: [{name: w, match: {filter: \"vlan ten\"}}]\n",
        "f:1:8: wan 'w': filter: can't parse filter expression: syntax error (got 'vlan ten')");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wans_filter_compiles),
        cmocka_unit_test(test_every_attribute_is_taken),
        cmocka_unit_test(test_what_is_wrong_is_pointed_at),
        cmocka_unit_test(test_labels_have_values_of_at_most_128_bits_or_names),
        cmocka_unit_test(test_names_are_those_of_the_configuration),
        cmocka_unit_test(test_a_match_compiles_and_has_a_family),
        cmocka_unit_test(test_helpers_and_policies_are_of_the_match_s_protocol),
        cmocka_unit_test(test_a_state_is_there_only_after_the_look_up),
        cmocka_unit_test(test_a_bit_has_one_name_and_a_name_one_bit),
        cmocka_unit_test(test_the_file_s_names_become_the_configuration_s),
        cmocka_unit_test(test_errors_of_the_file_have_its_own_places),
        cmocka_unit_test(test_a_text_with_rules_read_again_gives_the_same_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
