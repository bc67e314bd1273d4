/* The configuration: what is accepted, what every mistake is answered with, and that text and
 * struct say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/config_object.h"
#include "common/config_table.h"
#include "common/config_value.h"

/* ---- support ---- */

static void read_into(struct config *config, const char *yaml, struct config_errors *errors)
{
    free(config->path);
    config->path = strdup("f");
    config_read(config, "f", yaml, strlen(yaml), errors);
    config_check(config, errors);
}

static void print_unexpected(const struct config_errors *errors, const char *yaml)
{
    fprintf(stderr, "of:\n%s\n", yaml);
    config_errors_print(errors, stderr);
}

/* The text gives these errors, line by line, and no others ("": none). */
static void assert_errors(const char *yaml, const char *expected)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    read_into(&config, yaml, &errors);

    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_errors_print(&errors, out);
    fclose(out);
    if (strcmp(text, expected) != 0)
        print_unexpected(&errors, yaml);
    assert_string_equal(text, expected);
    free(text);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

static void assert_set_error(const char *assignment, const char *expected)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_set(&config, assignment, &errors);
    assert_int_equal(errors.n, *expected ? 1 : 0);
    if (*expected)
        assert_string_equal(errors.items[0].text, expected);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

/* A configuration that 'yaml' gives without a complaint; the caller deinits it. */
static void init_from(struct config *config, const char *yaml)
{
    struct config_errors errors = {0};
    config_init(config);
    read_into(config, yaml, &errors);
    if (errors.n > 0)
        print_unexpected(&errors, yaml);
    assert_int_equal(errors.n, 0);
}

static char *text_of(const char *yaml)
{
    struct config config;
    init_from(&config, yaml);
    char *text = config_text(&config, false);
    config_deinit(&config);
    return text;
}

static void assert_same_text(const char *left, const char *right)
{
    char *left_text = text_of(left), *right_text = text_of(right);
    assert_string_equal(left_text, right_text);
    free(left_text);
    free(right_text);
}

static void hash_of(const char *yaml, uint8_t hash[CONFIG_SHA256_SIZE])
{
    struct config config;
    init_from(&config, yaml);
    config_hash(&config, hash);
    config_deinit(&config);
}

static bool has_same_hash(const char *left, const char *right)
{
    uint8_t left_hash[CONFIG_SHA256_SIZE], right_hash[CONFIG_SHA256_SIZE];
    hash_of(left, left_hash);
    hash_of(right, right_hash);
    return memcmp(left_hash, right_hash, CONFIG_SHA256_SIZE) == 0;
}

/* Every key that there is, at values other than the defaults. */
static const char everything[] =
    "database: /var/lib/wanmeter/bill.db\n"
    "run_directory: /run/wanmeter\n"
    "zone: 7\n"
    "local_prefixes: [10.0.0.0/8, 'fd00::/8', '::/0']\n"
    "sources:\n"
    "  - {interface: eth1, direction: up, zone: 3, workers: 4}\n"
    "  - interface: \"eth 2\\\"\\\\\"\n"
    "wans:\n"
    "  - name: fibre\n"
    "    overhead: ip\n"
    "    direction: down\n"
    "    zone: 65535\n"
    "    match:\n"
    "      - interface: wan0\n"
    "        vlan: 101\n"
    "        inner_vlan: 4094\n"
    "        pppoe_session: 65535\n"
    "        mpls_label: 1048575\n"
    "        gateway_macs: [02:00:5E:10:00:01, aa:bb:cc:dd:ee:ff]\n"
    "        local_prefixes: 192.0.2.0/24\n"
    "      - {}\n"
    "  - name: radio\n"
    "    match: {mpls_label: 0}\n"
    "accounts:\n"
    "  - name: a\n"
    "    prefixes: [192.0.2.1, 2001:db8::/32]\n"
    "    macs: 02:00:5e:20:00:01\n"
    "    vlans: [5, 6]\n"
    "    pppoe_sessions: [1]\n"
    "  - name: b.c_d-E9\n"
    "capture: {workers: 2, snap: 1KiB, decapsulate: [gre, erspan], rss_key: microsoft}\n"
    "tracker: {shards: 8, flow_records: no, interim_interval: 90s}\n"
    "timeouts: {tcp_established: 6h}\n"
    "events: {endpoint: 'tcp://127.0.0.1:9000', subscribers_wait: 0s}\n";

/* ---- what is accepted ---- */

static void test_defaults_are_the_documented_ones(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, "");
    assert_string_equal(config.database, "wanmeter.db");
    assert_string_equal(config.run_directory, "");
    assert_int_equal(config.zone, 0);
    assert_int_equal(config.n_wans + config.n_accounts + config.n_sources, 0);
    assert_int_equal(config.capture.workers, 1);
    assert_int_equal(config.capture.batch_packets, 4096);
    assert_int_equal(config.capture.batch_bytes, 128 * 1024);
    assert_int_equal(config.capture.flush_interval_ns, 20000000);
    assert_int_equal(config.capture.window_bytes, 64 * 1024 * 1024);
    assert_int_equal(config.capture.time_jump_max_ns, 600 * INT64_C(1000000000));
    assert_string_equal(config.capture.rss_key, "random");
    assert_int_equal(config.capture.tzsp_port, 37008);
    assert_int_equal(config.tracker.shards, 1);
    assert_true(config.tracker.flow_records);
    assert_int_equal(config.timeouts.tcp_established_ns, 432000 * INT64_C(1000000000));
    assert_int_equal(config.timeouts.sctp_established_ns, 210 * INT64_C(1000000000));
    assert_int_equal(config.timeouts.generic_ns, 600 * INT64_C(1000000000));
    assert_int_equal(config.exporter.commit_rows, 50000);
    assert_int_equal(config.events.keep, 65536);
    config_deinit(&config);
}

static void test_nothing_said_means_the_defaults(void **state)
{
    (void)state;
    assert_same_text("", "# only a comment\n");
    assert_same_text("", "---\n");
    assert_same_text("", "---\n...\n");
    assert_same_text("", "null\n");
    assert_same_text("", "{}\n");
    assert_same_text("", "\xef\xbb\xbf");
    assert_same_text("", "capture:\nwans:\naccounts: []\nlocal_prefixes: ~\n");
}

static void test_every_key_reaches_its_field(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, everything);
    assert_string_equal(config.database, "/var/lib/wanmeter/bill.db");
    assert_int_equal(config.n_local_prefixes, 3);
    assert_int_equal(config.local_prefixes[0].family, 4);
    assert_int_equal(config.local_prefixes[0].length, 8);
    assert_int_equal(config.local_prefixes[1].family, 6);
    assert_int_equal(config.local_prefixes[1].address[0], 0xfd);
    assert_int_equal(config.n_sources, 2);
    assert_string_equal(config.sources[0].direction, "up");
    assert_int_equal(config.sources[0].workers, 4);
    assert_string_equal(config.sources[1].interface, "eth 2\"\\");
    assert_string_equal(config.sources[1].direction, "auto");
    assert_int_equal(config.sources[1].zone, -1);
    assert_int_equal(config.n_wans, 2);
    const struct config_wan *fibre = &config.wans[0];
    assert_int_equal(fibre->zone, 65535);
    assert_int_equal(fibre->n_matches, 2);
    assert_int_equal(fibre->matches[0].mpls_label, 1048575);
    assert_int_equal(fibre->matches[0].gateway_macs[0].bytes[2], 0x5e);
    assert_int_equal(fibre->matches[0].n_local_prefixes, 1);
    assert_null(fibre->matches[1].interface);
    assert_int_equal(fibre->matches[1].vlan, -1);
    assert_int_equal(config.wans[1].matches[0].mpls_label, 0);
    assert_string_equal(config.wans[1].overhead, "ip");
    assert_int_equal(config.accounts[0].prefixes[0].length, 32);
    assert_int_equal(config.accounts[0].vlans[1], 6);
    assert_string_equal(config.accounts[1].name, "b.c_d-E9");
    assert_int_equal(config.capture.snap_bytes, 1024);
    assert_string_equal(config.capture.decapsulate.items[1], "erspan");
    assert_false(config.tracker.flow_records);
    assert_int_equal(config.events.subscribers_wait_ns, 0);
    config_deinit(&config);
}

static void test_places_are_kept_for_later_complaints(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, "accounts:\n  - name: a\n    prefixes: [10.0.0.0/8, 11.0.0.0/8]\n");
    assert_int_equal(config.accounts[0].place.line, 2);
    assert_int_equal(config.accounts[0].place.column, 5);
    assert_int_equal(config.accounts[0].prefixes[1].place.line, 3);
    assert_int_equal(config.accounts[0].prefixes[1].place.column, 28);
    config_deinit(&config);
}

static void test_units_mean_what_they_say(void **state)
{
    (void)state;
    assert_same_text("capture: {ring: 1GiB}", "capture: {ring: 1048576KiB}");
    assert_same_text("capture: {ring: 1GiB}", "capture: {ring: 1073741824B}");
    assert_same_text("timeouts: {generic: 1d}", "timeouts: {generic: 24h}");
    assert_same_text("timeouts: {generic: 24h}", "timeouts: {generic: 1440min}");
    assert_same_text("timeouts: {generic: 1min}", "timeouts: {generic: 60s}");
    assert_same_text("timeouts: {generic: 1s}", "timeouts: {generic: 1000ms}");
    assert_same_text("timeouts: {generic: 1ms}", "timeouts: {generic: 1000us}");
    assert_same_text("timeouts: {generic: 1ms}", "timeouts: {generic: 1000000ns}");
}

static void test_a_lone_item_is_a_list_of_one(void **state)
{
    (void)state;
    assert_same_text("local_prefixes: 10.0.0.0/8", "local_prefixes: [10.0.0.0/8]");
    assert_same_text("wans: {name: a, match: {vlan: 1}}", "wans: [{name: a, match: [{vlan: 1}]}]");
}

static void test_a_second_file_replaces_lists(void **state)
{
    (void)state;
    struct config config;
    struct config_errors errors = {0};
    init_from(&config, everything);
    read_into(&config, "accounts: [{name: z}]\ncapture: {decapsulate: []}\n", &errors);
    assert_int_equal(errors.n, 0);
    assert_int_equal(config.n_accounts, 1);
    assert_string_equal(config.accounts[0].name, "z");
    assert_int_equal(config.capture.decapsulate.n, 0);
    assert_int_equal(config.n_wans, 2);
    config_deinit(&config);
}

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
    assert_errors("tracker:\n  window: 1MiB\n", "f:2:3: tracker: unknown option (got 'window')\n");
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
    assert_errors("wans: [{name: w, overhead: ptm-exact-pppoe, match: {}}]\n",
                  "f:1:8: wan 'w': an overhead model that costs parts of a byte (got "
                  "'ptm-exact-pppoe', expected whole bytes)\n");
    assert_errors("capture: {window: 64KiB}\n",
                  "f: capture.window: less than two of capture.batch (got '64KiB', expected at "
                  "least 256KiB)\n");
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

static void test_a_file_is_read_and_named(void **state)
{
    (void)state;
    char path[] = "/tmp/test_config.XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "zone: 5\nx: 1\n", 13), 13);
    close(descriptor);

    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_load(&config, path, &errors);
    assert_int_equal(config.zone, 5);
    assert_string_equal(config.path, path);
    assert_int_equal(errors.n, 1);
    char expected[128];
    snprintf(expected, sizeof expected, "%s:2:1: unknown option (got 'x')", path);
    assert_string_equal(errors.items[0].text, expected);
    config_errors_deinit(&errors);
    config_deinit(&config);
    unlink(path);
}

/* ---- assignments ---- */

static void test_an_assignment_is_checked_as_the_file_is(void **state)
{
    (void)state;
    assert_set_error("tracker.shards=4", "");
    assert_set_error("local_prefixes=10.0.0.0/8,fd00::/8", "");
    assert_set_error("local_prefixes=", "");
    assert_set_error("database=\xf0\x9f\xa7\xbe.db", "");
    assert_set_error("capture.rss_key=000102030405060708090a0b0c0d0e0f10111213141516171819"
                     "1A1B1C1D1E1F2021222324252627",
                     "");
    assert_set_error("tracker.shards=65", "--set tracker.shards: out of range (got '65', expected "
                                          "1 to 64)");
    assert_set_error("tracker.shard=4",
                     "--set tracker.shard: unknown option (did you mean tracker.shards?)");
    assert_set_error("capture=4", "--set capture: a group of options, not one (expected "
                                  "GROUP.NAME=VALUE)");
    assert_set_error("zone", "--set zone: the value is missing (expected NAME=VALUE)");
    assert_set_error("wans=a", "--set wans: can only be given in a file");
    assert_set_error("local_prefixes=10.0.0.0/8,,fd00::/8",
                     "--set local_prefixes: not an address block (got '', expected an address "
                     "block such as 192.0.2.0/24 or 2001:db8::/32)");
    assert_set_error("capture.decapsulate=vlxan",
                     "--set capture.decapsulate: unknown value (got 'vlxan', expected erspan, "
                     "tzsp, vxlan, gre; did you mean vxlan?)");
    assert_set_error("database=a\xff", "--set database: not printable UTF-8 text (got 'a\\xff')");
    assert_set_error("=", "--set : unknown option");
}

/* A value that the option takes and that is not its default. */
static void other_value(const struct config_option *option, char *out, size_t size)
{
    char number[CONFIG_NUMBER_TEXT_SIZE];
    switch (option->type) {
    case CONFIG_BOOL:
        snprintf(out, size, "%s", strcmp(option->initial, "yes") == 0 ? "no" : "yes");
        break;
    case CONFIG_INTEGER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        config_number_text(option->type, option->max, number);
        snprintf(out, size, "%s", number);
        break;
    case CONFIG_TEXT:
        snprintf(out, size, "%s", option->is_valid ? "microsoft" : "other/place");
        break;
    case CONFIG_PREFIX_LIST:
        snprintf(out, size, "198.51.100.0/24,2001:db8::/48");
        break;
    default:
        assert_int_equal(option->type, CONFIG_TEXT_LIST);
        snprintf(out, size, "gre,tzsp");
    }
}

static void test_every_option_can_be_set_in_both_ways(void **state)
{
    (void)state;
    struct config initial;
    init_from(&initial, "");
    char *initial_text = config_text(&initial, false);
    for (size_t i = 0; i < config_options.n_options; i++) {
        const struct config_option *option = &config_options.options[i];
        if (option->type == CONFIG_MAP_LIST)
            continue;
        char value[128], assignment[256], yaml[256];
        other_value(option, value, sizeof value);
        snprintf(assignment, sizeof assignment, "%s=%s", option->name, value);
        const struct config_section *section = config_option_section(&config_options, option);
        const char *open = config_option_is_list(option) ? "[" : "";
        snprintf(yaml, sizeof yaml, "%s%s%s: %s%s%s\n", section ? section->name : "",
                 section ? ":\n  " : "", config_option_key(option), open, value, *open ? "]" : "");

        struct config by_file, by_assignment;
        struct config_errors errors = {0};
        config_init(&by_file);
        config_init(&by_assignment);
        config_read(&by_file, "f", yaml, strlen(yaml), &errors);
        config_set(&by_assignment, assignment, &errors);
        if (errors.n > 0)
            print_unexpected(&errors, yaml);
        assert_int_equal(errors.n, 0);
        char *file_text = config_text(&by_file, false);
        char *assignment_text = config_text(&by_assignment, false);
        assert_string_equal(file_text, assignment_text);
        assert_string_not_equal(file_text, initial_text);
        free(file_text);
        free(assignment_text);
        config_deinit(&by_file);
        config_deinit(&by_assignment);
    }
    free(initial_text);
    config_deinit(&initial);
}

/* ---- texts ---- */

static void test_the_text_read_again_gives_the_same_text(void **state)
{
    (void)state;
    const char *const texts[] = {"",
                                 everything,
                                 "accounts: {name: 'NULL'}",
                                 "database: 'a: b #c'",
                                 "database: \"\xc3\xa4 \xe2\x82\xac 'x'\"",
                                 "database: '~'",
                                 "local_prefixes: ['::', '::ffff:0:0/96']"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *once = text_of(texts[i]);
        char *twice = text_of(once);
        assert_string_equal(once, twice);
        free(once);
        free(twice);
    }
}

static void test_the_order_of_keys_does_not_show_in_the_text_but_that_of_lists_does(void **state)
{
    (void)state;
    assert_same_text("zone: 1\ncapture: {workers: 2, snap: 1KiB}\n",
                     "capture: {snap: 1024B, workers: 2}\nzone: 1\n");
    char *one = text_of("accounts: [{name: a}, {name: b}]");
    char *other = text_of("accounts: [{name: b}, {name: a}]");
    assert_string_not_equal(one, other);
    free(one);
    free(other);
}

static void test_the_hash_is_of_what_can_change_a_bill(void **state)
{
    (void)state;
    assert_true(has_same_hash("", "capture: {workers: 8, batch: 64KiB}\ntracker: {shards: 4}\n"));
    assert_true(has_same_hash("", "database: other.db\nevents: {keep: 1}\n"));
    assert_true(has_same_hash("sources: [{interface: e, workers: 1}]",
                              "sources: [{interface: e, workers: 2}]"));
    assert_false(has_same_hash("", "zone: 1"));
    assert_false(has_same_hash("", "timeouts: {udp_stream: 3min}"));
    assert_false(has_same_hash("", "accounts: {name: a}"));
    assert_false(
        has_same_hash("wans: {name: a, match: {vlan: 1}}", "wans: {name: a, match: {vlan: 2}}"));
}

/* Takes the '#' of every line with one away. */
static char *uncomment(const char *text)
{
    char *out = calloc(strlen(text) + 1, 1);
    assert_non_null(out);
    char *to = out;
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n") + 1;
        size_t indent = strspn(line, " ");
        bool is_switch = line[indent] == '#' && line[indent + 1] != '#';
        memcpy(to, line, indent);
        to += indent;
        memcpy(to, line + indent + is_switch, length - indent - is_switch);
        to += length - indent - is_switch;
        line += length;
    }
    return out;
}

static void test_the_example_is_the_defaults_and_works_when_switched_on(void **state)
{
    (void)state;
    char *example = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&example, &size);
    config_write_example(out);
    fclose(out);
    assert_same_text("", example);

    char *switched_on = uncomment(example);
    struct config config, initial;
    init_from(&config, switched_on);
    init_from(&initial, "");
    assert_int_equal(config.n_sources, 1);
    assert_int_equal(config.n_wans, 2);
    assert_int_equal(config.n_accounts, 2);
    for (size_t i = 0; i < config_options.n_options; i++)
        if (config_options.options[i].type == CONFIG_MAP_LIST)
            config_option_deinit(&config_options.options[i], &config);
    char *text = config_text(&config, false), *initial_text = config_text(&initial, false);
    assert_string_equal(text, initial_text);
    free(text);
    free(initial_text);
    free(switched_on);
    free(example);
    config_deinit(&config);
    config_deinit(&initial);
}

static char *written_by(void (*write_document)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    write_document(out);
    fclose(out);
    return text;
}

static void test_every_option_is_in_the_help_and_the_reference(void **state)
{
    (void)state;
    char *help = written_by(config_write_help), *reference = written_by(config_write_reference);
    for (size_t i = 0; i < config_options.n_options; i++) {
        const struct config_option *option = &config_options.options[i];
        char row[128];
        snprintf(row, sizeof row, "| `%s` |", option->name);
        assert_non_null(strstr(reference, row));
        assert_non_null(strstr(help, option->name));
        assert_non_null(strstr(help, option->help));
    }
    free(help);
    free(reference);
}

static void test_options_of_a_section_stand_together_and_have_one(void **state)
{
    (void)state;
    size_t n_changes = 0;
    const struct config_section *section = NULL;
    for (size_t i = 0; i < config_options.n_options; i++) {
        const struct config_option *option = &config_options.options[i];
        const struct config_section *its_section = config_option_section(&config_options, option);
        assert_true(its_section || !strchr(option->name, '.'));
        n_changes += its_section != section;
        section = its_section;
    }
    assert_int_equal(n_changes, config_options.n_sections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_the_documented_ones),
        cmocka_unit_test(test_nothing_said_means_the_defaults),
        cmocka_unit_test(test_every_key_reaches_its_field),
        cmocka_unit_test(test_places_are_kept_for_later_complaints),
        cmocka_unit_test(test_units_mean_what_they_say),
        cmocka_unit_test(test_a_lone_item_is_a_list_of_one),
        cmocka_unit_test(test_a_second_file_replaces_lists),
        cmocka_unit_test(test_an_unknown_key_is_named_with_the_nearest),
        cmocka_unit_test(test_a_wrong_kind_of_value_is_refused),
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
        cmocka_unit_test(test_a_file_is_read_and_named),
        cmocka_unit_test(test_an_assignment_is_checked_as_the_file_is),
        cmocka_unit_test(test_every_option_can_be_set_in_both_ways),
        cmocka_unit_test(test_the_text_read_again_gives_the_same_text),
        cmocka_unit_test(test_the_order_of_keys_does_not_show_in_the_text_but_that_of_lists_does),
        cmocka_unit_test(test_the_hash_is_of_what_can_change_a_bill),
        cmocka_unit_test(test_the_example_is_the_defaults_and_works_when_switched_on),
        cmocka_unit_test(test_every_option_is_in_the_help_and_the_reference),
        cmocka_unit_test(test_options_of_a_section_stand_together_and_have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
