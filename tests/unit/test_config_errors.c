/* The configuration: what every mistake is answered with. */
#include "config_case.h"

/* ---- mistakes in a file ---- */

static void test_an_unknown_key_is_named_with_the_nearest(void **state)
{
    (void)state;
    assert_errors("databse: x\n",
                  "f:1:1: unknown option (got 'databse'; did you mean database?)\n");
    assert_errors("capture:\n  worker: 2\n",
                  "f:2:3: capture: unknown option (got 'worker'; did you mean workers?)\n");
    assert_errors("wans:\n  - name: a\n    match:\n      vlna: 3\n",
                  "f:4:7: wans[0].match: unknown option (got 'vlna'; did you mean vlan?)\n");
    assert_errors("zebra: 1\n", "f:1:1: unknown option (got 'zebra')\n");
    assert_errors("tracker:\n  ring: 1MiB\n", "f:2:3: tracker: unknown option (got 'ring')\n");
    assert_errors("capture.window: 1MiB\n",
                  "f:1:1: levels are maps in a file, not dots (got 'capture.window')\n");
    assert_errors("\"a\\eb\": 1\n", "f:1:1: unknown option (got 'a\\x1bb')\n");
}

static void test_a_wrong_kind_of_value_is_refused(void **state)
{
    (void)state;
    assert_errors("zone: [1]\n", "f:1:7: zone: this is a list (expected a value)\n");
    assert_errors("zone: {a: 1}\n", "f:1:7: zone: this is a map (expected a value)\n");
    assert_errors("zone:\n", "f:1:6: zone: this is nothing (expected a value)\n");
    assert_errors("capture: 5\n", "f:1:10: capture: this is a value (expected a map of options)\n");
    assert_errors("wans: [x]\n", "f:1:8: wans[0]: this is a value (expected a map)\n");
    assert_errors("local_prefixes: [[10.0.0.0/8]]\n",
                  "f:1:18: local_prefixes[0]: this is a list (expected a value)\n");
    assert_errors("- a\n", "f:1:1: this is a list (expected a map of options)\n");
    assert_errors("hello\n", "f:1:1: this is a value (expected a map of options)\n");
    assert_errors("[a]: 1\n", "f:1:1: this is a list (expected the name of an option)\n");
    assert_errors("zone: abc\n",
                  "f:1:7: zone: not a number (got 'abc', expected a whole number)\n");
    assert_errors("tracker: {flow_records: maybe}\n",
                  "f:1:25: tracker.flow_records: not a yes or no (got 'maybe', expected yes or "
                  "no)\n");
    assert_errors("tracker: {flow_records: ture}\n",
                  "f:1:25: tracker.flow_records: not a yes or no (got 'ture', expected yes or no; "
                  "did you mean true?)\n");
    assert_errors("sources: [{interface: a, direction: upp}]\n",
                  "f:1:37: sources[0].direction: unknown value (got 'upp', expected auto, up, "
                  "down; did you mean up?)\n");
    assert_errors("capture: {rss_key: 6d5a}\n",
                  "f:1:20: capture.rss_key: not allowed (got '6d5a', expected random, microsoft "
                  "or 80 hexadecimal digits)\n");
    assert_errors("database: ''\n", "f:1:11: database: empty (got '', expected 1 to 4095 bytes)\n");
    assert_errors("database: \"a\\0b\"\n", "f:1:11: database: a NUL character (got 'a')\n");
    assert_errors("database: \"a\\u2028b\"\n",
                  "f:1:11: database: not printable UTF-8 text (got 'a\\xe2\\x80\\xa8b')\n");
    assert_errors("database: \"a\\u202eb\"\n",
                  "f:1:11: database: not printable UTF-8 text (got 'a\\xe2\\x80\\xaeb')\n");
    assert_errors("database: \"a\\nb\"\n",
                  "f:1:11: database: not printable UTF-8 text (got 'a\\x0ab')\n");
}

static void test_a_timeout_policy_is_checked_by_its_protocol(void **state)
{
    (void)state;
    assert_errors("timeout_policies: [{name: a}]\n",
                  "f:1:20: timeout_policies[0]: 'l4' is missing\n");
    assert_errors("timeout_policies: [{name: a, l4: dccp}]\n",
                  "f:1:34: timeout_policies[0].l4: unknown value (got 'dccp', expected tcp, udp, "
                  "udplite, icmp, icmpv6, sctp, gre, generic)\n");
    assert_errors("timeout_policies: [{name: a, l4: udp, values: {close: 1s}}]\n",
                  "f:1:47: timeout policy 'a': no timeout of udp (got 'close', expected "
                  "unreplied, replied)\n");
    assert_errors("timeout_policies: [{name: a, l4: gre, values: {replyed: 1s}}]\n",
                  "f:1:48: timeout_policies[0].values: unknown option (got 'replyed'; did you "
                  "mean replied?)\n");
    assert_errors("timeout_policies: [{name: a, l4: udp, values: {replied: 100d}}]\n",
                  "f:1:57: timeout_policies[0].values.replied: out of range (got '100d', expected "
                  "0s to 99d)\n");
    assert_errors("timeout_policies: [{name: abcdefghijklmnopqrstuvwxyz012345, l4: udp}]\n",
                  "f:1:27: timeout_policies[0].name: too long (got "
                  "'abcdefghijklmnopqrstuvwxyz012345', expected 1 to 31 bytes)\n");
    assert_errors("timeout_policies: [{name: a b, l4: udp}]\n",
                  "f:1:27: timeout_policies[0].name: not allowed (got 'a b', expected no spaces "
                  "and no commas)\n");
    assert_errors("timeout_policies:\n- {name: a, l4: udp}\n- {name: a, l4: tcp}\n",
                  "f:3:3: timeout policy 'a': the name of another policy, at 2:3\n");
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_errors("zone: 65536\n",
                  "f:1:7: zone: out of range (got '65536', expected 0 to 65535)\n");
    assert_errors("zone: -1\n", "f:1:7: zone: out of range (got '-1', expected 0 to 65535)\n");
    assert_errors("zone: 99999999999999999999999\n",
                  "f:1:7: zone: out of range (got '99999999999999999999999', expected 0 to "
                  "65535)\n");
    assert_errors("zone: 1.5\n",
                  "f:1:7: zone: not a whole number (got '1.5', expected a whole number)\n");
    assert_errors("zone: 010\n",
                  "f:1:7: zone: a number with a leading zero (got '010'; did you mean 10?)\n");
    assert_errors("zone: 000\n",
                  "f:1:7: zone: a number with a leading zero (got '000'; did you mean 0?)\n");
    assert_errors("capture: {window: 9999999999GiB}\n",
                  "f:1:19: capture.window: out of range (got '9999999999GiB', expected 64KiB to "
                  "64GiB)\n");
    assert_errors("timeouts: {icmp: 0s}\n",
                  "f:1:18: timeouts.icmp: out of range (got '0s', expected 1ms to 3650d)\n");
    assert_errors("accounts: [{name: a, vlans: [1, 4095]}]\n",
                  "f:1:33: accounts[0].vlans[1]: out of range (got '4095', expected 1 to 4094)\n");
}

static void test_a_unit_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char size[] = "expected a whole number with B, KiB, MiB or GiB";
    static const char duration[] = "expected a whole number with ns, us, ms, s, min, h or d";
    static const struct {
        const char *value, *what, *expected, *suggestion;
        bool is_size;
    } cases[] = {
        {"64mb", "unknown unit", size, "; did you mean 64MiB?", true},
        {"64 MiB", "unknown unit", size, "; did you mean 64MiB?", true},
        {"64K", "unknown unit", size, "; did you mean 64KiB?", true},
        {"64s", "unknown unit", size, "", true},
        {"64", "the unit is missing", size, "", true},
        {"1.5GiB", "not a whole number", size, "", true},
        {"MiB", "not a size", size, "", true},
        {"5m", "unknown unit", duration, "; did you mean 5min?", false},
        {"5 seconds", "unknown unit", duration, "; did you mean 5s?", false},
        {"5MiB", "unknown unit", duration, "", false},
        {"30", "the unit is missing", duration, "", false},
        {"soon", "not a duration", duration, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[128], expected[256];
        const char *key = cases[i].is_size ? "capture: {window: " : "timeouts: {icmp: ";
        const char *name = cases[i].is_size ? "capture.window" : "timeouts.icmp";
        snprintf(yaml, sizeof yaml, "%s%s}\n", key, cases[i].value);
        snprintf(expected, sizeof expected, "f:1:%zu: %s: %s (got '%s', %s%s)\n", strlen(key) + 1,
                 name, cases[i].what, cases[i].value, cases[i].expected, cases[i].suggestion);
        assert_errors(yaml, expected);
    }
}

static void test_addresses_are_checked(void **state)
{
    (void)state;
    assert_errors("local_prefixes: [10.0.0.1/8]\n",
                  "f:1:18: local_prefixes[0]: host bits are set (got '10.0.0.1/8'; did you mean "
                  "10.0.0.0/8?)\n");
    assert_errors("local_prefixes: ['2001:db8::1/63']\n",
                  "f:1:18: local_prefixes[0]: host bits are set (got '2001:db8::1/63'; did you "
                  "mean 2001:db8::/63?)\n");
    assert_errors("local_prefixes: [10.0.0.0/33]\n",
                  "f:1:18: local_prefixes[0]: not a prefix length (got '10.0.0.0/33', expected 0 "
                  "to 32 after the slash)\n");
    assert_errors("local_prefixes: ['fd00::/129']\n",
                  "f:1:18: local_prefixes[0]: not a prefix length (got 'fd00::/129', expected 0 "
                  "to 128 after the slash)\n");
    static const char *const bad[] = {
        "10.0.0/8", "10.0.0.256/32",
        "fd00:/8",  "1.2.3.4.5",
        "x",        "1111111111111111111111111111111111111111111111111/8"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char yaml[128], expected[256];
        snprintf(yaml, sizeof yaml, "local_prefixes: '%s'\n", bad[i]);
        snprintf(expected, sizeof expected,
                 "f:1:17: local_prefixes: not an address block (got '%s', expected an address "
                 "block such as 192.0.2.0/24 or 2001:db8::/32)\n",
                 bad[i]);
        assert_errors(yaml, expected);
    }
    assert_errors("local_prefixes: 10.0.0.0/\n",
                  "f:1:17: local_prefixes: not a prefix length (got '10.0.0.0/', expected 0 to 32 "
                  "after the slash)\n");
    assert_errors("accounts: [{name: a, macs: [02:00:5e:10:00]}]\n",
                  "f:1:29: accounts[0].macs[0]: not a MAC address (got '02:00:5e:10:00', expected "
                  "six bytes such as 02:00:5e:10:00:01)\n");
}

static void test_names_follow_their_rule(void **state)
{
    (void)state;
    static const char rule[] = "expected letters, digits, '.', '_' and '-', and not 'none'";
    char expected[256];
    snprintf(expected, sizeof expected, "f:1:19: accounts[0].name: not allowed (got 'a b', %s)\n",
             rule);
    assert_errors("accounts: [{name: a b}]\n", expected);
    snprintf(expected, sizeof expected, "f:1:19: accounts[0].name: not allowed (got 'none', %s)\n",
             rule);
    assert_errors("accounts: [{name: none}]\n", expected);
    assert_errors("accounts: [{vlans: [1]}]\n", "f:1:12: accounts[0]: 'name' is missing\n");
    assert_errors(
        "accounts: [{name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234}]\n",
        "f:1:19: accounts[0].name: too long (got "
        "'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff...', expected 1 to 63 "
        "bytes)\n");
}

static void test_what_only_one_may_have_is_refused_twice(void **state)
{
    (void)state;
    assert_errors("accounts:\n"
                  "  - {name: a, prefixes: [10.0.0.0/8, 'fd00::/8']}\n"
                  "  - {name: b, prefixes: [10.0.0.0/9, 10.0.0.0/8]}\n",
                  "f:3:38: account 'b': the same prefix as account 'a' at 2:26 (got "
                  "'10.0.0.0/8')\n");
    assert_errors("accounts:\n  - {name: a}\n  - {name: a}\n",
                  "f:3:5: account 'a': the same name as account 'a' at 2:5 (got 'a')\n");
    assert_errors("accounts:\n  - {name: a, macs: ['02:00:5E:00:00:01']}\n"
                  "  - {name: b, macs: ['02:00:5e:00:00:01']}\n",
                  "f:3:5: account 'b': the same MAC as account 'a' at 2:5 (got "
                  "'02:00:5e:00:00:01')\n");
    assert_errors("accounts:\n  - {name: a, vlans: 7, pppoe_sessions: 8}\n"
                  "  - {name: b, vlans: 8, pppoe_sessions: 7}\n",
                  "");
    assert_errors("accounts:\n  - {name: a, vlans: 7}\n  - {name: b, vlans: [8, 7]}\n",
                  "f:3:5: account 'b': the same VLAN as account 'a' at 2:5 (got '7')\n");
    assert_errors("wans:\n  - {name: w, match: {}}\n  - {name: w, match: {}}\n",
                  "f:3:5: wan 'w': the same name as wan 'w' at 2:5 (got 'w')\n");
    assert_errors("sources:\n  - {interface: e}\n  - {interface: e}\n",
                  "f:3:5: sources: an interface that another source has (got 'e')\n");
}

static void test_wans_that_can_not_work_are_refused(void **state)
{
    (void)state;
    assert_errors("wans: [{name: w}]\n", "f:1:8: wan 'w': without 'match' no packet is its own "
                                         "(expected a map, {} for every packet)\n");
    assert_errors("wans: [{name: w, overhead: ipp, match: {}}]\n",
                  "f:1:8: wan 'w': unknown overhead model (got 'ipp', expected one of "
                  "'wanmeter overhead list'; did you mean ip?)\n");
    assert_errors("wans: [{name: w, overhead: ptm-exact-pppoe, match: {}}]\n", "");
    assert_errors(
        "wans: [{name: w, overhead: \"ratio(4,3)\", match: {}}]\n",
        "f:1:8: wan 'w': an overhead model that costs other parts of a byte than 64ths (got "
        "'ratio(4,3)', expected a ratio to 64, or to what divides it)\n");
    assert_errors("wans: [{name: w, overhead_up: linklayer atm mpu 65536, match: {}}]\n",
                  "f:1:8: wan 'w': mpu: got '65536', expected 0 to 65535 (got 'linklayer atm mpu "
                  "65536', expected one of 'wanmeter overhead list')\n");
    assert_errors("capture: {window: 64KiB}\n",
                  "f: capture.window: less than two of capture.batch (got '64KiB', expected at "
                  "least 1MiB)\n");
}

static void test_a_key_given_twice_is_refused(void **state)
{
    (void)state;
    assert_errors("zone: 1\ndatabase: x\nzone: 2\n", "f:3:1: zone: given twice, first at 1:1\n");
    assert_errors("capture: {workers: 1}\ncapture: {workers: 1}\n",
                  "f:2:1: capture: given twice, first at 1:1\n");
    assert_errors("capture:\n  workers: 1\n  workers: 1\n",
                  "f:3:3: capture.workers: given twice, first at 2:3\n");
}

static void test_all_errors_come_at_once_in_the_order_of_the_file(void **state)
{
    (void)state;
    assert_errors("zone: x\ncapture:\n  window: 64mb\n  foo: 1\naccounts: [{}, {name: 'a b'}]\n",
                  "f:1:7: zone: not a number (got 'x', expected a whole number)\n"
                  "f:3:11: capture.window: unknown unit (got '64mb', expected a whole number with "
                  "B, KiB, MiB or GiB; did you mean 64MiB?)\n"
                  "f:4:3: capture: unknown option (got 'foo')\n"
                  "f:5:12: accounts[0]: 'name' is missing\n"
                  "f:5:23: accounts[1].name: not allowed (got 'a b', expected letters, digits, "
                  "'.', '_' and '-', and not 'none')\n");
}

static void test_errors_are_bounded_and_the_rest_counted(void **state)
{
    (void)state;
    struct config config;
    struct config_errors errors = {0};
    char yaml[8192] = "";
    for (int i = 0; i < CONFIG_ERRORS_MAX + 23; i++)
        sprintf(yaml + strlen(yaml), "unheard_of_%d: 1\n", i);
    config_init(&config);
    read_into(&config, yaml, &errors);
    assert_int_equal(errors.n, CONFIG_ERRORS_MAX);
    assert_int_equal(errors.n_left_out, 23);
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    config_errors_print(&errors, out);
    fclose(out);
    assert_non_null(strstr(printed, "f:100:1: unknown option (got 'unheard_of_99')\n"
                                    "... and 23 more\n"));
    free(printed);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

/* ---- what is not YAML, or not the YAML that is allowed ---- */

static void test_broken_yaml_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_errors("a: [1\nb: 2\n", "f:2:2: YAML: did not find expected ',' or ']' while parsing a "
                                   "flow sequence that begins at 1:4\n");
    assert_errors("capture:\n\tworkers: 1\n",
                  "f:2:1: YAML: found character that cannot start any token while scanning for "
                  "the next token that begins at 2:1\n");
    assert_errors("zone: 1\n---\nzone: 2\n", "f:2:1: a second document (expected one)\n");
    assert_errors("a: &x 1\nb: *x\n", "f:1:4: anchors and aliases are not allowed (got 'x')\n");
    assert_errors("b: *x\n", "f:1:4: anchors and aliases are not allowed (got 'x')\n");
    assert_errors("zone: !!int 5\n", "f:1:7: tags are not allowed (got 'tag:yaml.org,2002:int')\n");
    assert_errors("a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n",
                  "f:1:19: nested too deep (expected 16 levels at most)\n");
}

static void test_bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    assert_errors("zone: 1\ndatabase: a\xff\n", "f:2:12: not UTF-8 (got '\\xff')\n");
    assert_errors("\xc3\xa4\xc3", "f:1:2: not UTF-8 (got '\\xc3')\n");
    assert_errors("zone: \xed\xa0\x80\n", "f:1:7: not UTF-8 (got '\\xed')\n");
    assert_errors("zone: \xc0\x80\n", "f:1:7: not UTF-8 (got '\\xc0')\n");
    assert_errors("zone: \xff\xfe\n", "f:1:7: not UTF-8 (got '\\xff')\n");
    assert_errors("zone: \xc3(\n", "f:1:7: not UTF-8 (got '\\xc3')\n");
    assert_errors("zone: \xf4\x90\x80\x80\n", "f:1:7: not UTF-8 (got '\\xf4')\n");
    assert_errors("zone: \x1b[2J\n", "f:1:7: a control character (expected text)\n");

    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_read(&config, "f", "zone:\0 1\n", 9, &errors);
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.items[0].text, "f:1:6: a NUL byte (expected text)");
    config_errors_deinit(&errors);
    config_deinit(&config);
}

/* Names of 'n' accounts, each on a line. */
static char *many_lines(const char *line, size_t n)
{
    size_t length = strlen(line);
    char *text = malloc(n * length + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * length, line, length);
    text[n * length] = '\0';
    return text;
}

static void test_too_much_is_refused(void **state)
{
    (void)state;
    char *text = many_lines("# sixteen bytes\n", CONFIG_FILE_SIZE_MAX / 16 + 1);
    assert_errors(text, "f: the file is too large (expected 16MiB at most)\n");
    text[CONFIG_FILE_SIZE_MAX] = '\0';
    assert_errors(text, "");
    free(text);

    text = many_lines("- a\n", 2100000);
    assert_errors(text, "f:2000000:3: too many values (expected 2000000 at most)\n");
    free(text);

    char *items = many_lines("  - {}\n", CONFIG_WANS_MAX + 1);
    char *yaml = NULL;
    assert_true(asprintf(&yaml, "wans:\n%s", items) > 0);
    assert_errors(yaml, "f:2:3: wans: a list of 1001 (expected 1000 at most)\n");
    free(items);
    free(yaml);
}

static void test_a_file_that_can_not_be_read_is_an_error(void **state)
{
    (void)state;
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_load(&config, "/nonexistent/wanmeter.yaml", &errors);
    config_load(&config, "/", &errors);
    assert_int_equal(errors.n, 2);
    assert_string_equal(errors.items[0].text,
                        "/nonexistent/wanmeter.yaml: cannot be read: No such file or directory");
    assert_string_equal(errors.items[1].text, "/: cannot be read: Is a directory");
    config_errors_deinit(&errors);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unknown_key_is_named_with_the_nearest),
        cmocka_unit_test(test_a_wrong_kind_of_value_is_refused),
        cmocka_unit_test(test_a_timeout_policy_is_checked_by_its_protocol),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_a_unit_that_does_not_fit_is_refused),
        cmocka_unit_test(test_addresses_are_checked),
        cmocka_unit_test(test_names_follow_their_rule),
        cmocka_unit_test(test_what_only_one_may_have_is_refused_twice),
        cmocka_unit_test(test_wans_that_can_not_work_are_refused),
        cmocka_unit_test(test_a_key_given_twice_is_refused),
        cmocka_unit_test(test_all_errors_come_at_once_in_the_order_of_the_file),
        cmocka_unit_test(test_errors_are_bounded_and_the_rest_counted),
        cmocka_unit_test(test_broken_yaml_is_refused_with_its_place),
        cmocka_unit_test(test_bytes_that_are_no_text_are_refused),
        cmocka_unit_test(test_too_much_is_refused),
        cmocka_unit_test(test_a_file_that_can_not_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
