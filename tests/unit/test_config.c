/* The configuration: what is accepted, and that text and struct say the same. */
#include <limits.h>

#include "config_case.h"

#include "common/config/config_labels.h"

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
    "timeout_policies:\n"
    "  - {name: short, l4: tcp, values: {established: 100s, close: 0s}}\n"
    "  - {name: abcdefghijklmnopqrstuvwxyz01234, l3: inet6, l4: generic}\n"
    "  - {name: \u00e4/b, l4: sctp, values: [{heartbeat_sent: 99d}]}\n"
    "events: {endpoint: 'ipc:///tmp/e.sock', subscribers_wait: 0s}\n";

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
    assert_int_equal(config.capture.batch_packets, 16384);
    assert_int_equal(config.capture.batch_bytes, 512 * 1024);
    assert_int_equal(config.capture.flush_interval_ns, 20000000);
    assert_int_equal(config.capture.window_bytes, 64 * 1024 * 1024);
    assert_int_equal(config.capture.time_jump_max_ns, 600 * INT64_C(1000000000));
    assert_string_equal(config.capture.rss_key, "random");
    assert_int_equal(config.capture.tzsp_port, 37008);
    assert_int_equal(config.tracker.shards, 1);
    assert_int_equal(config.tracker.window_bytes, 32 * 1024 * 1024);
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
        if (option->words)
            snprintf(out, size, "%s", strrchr(option->words, ' ') + 1);
        else
            snprintf(out, size, "%s", option->is_valid ? "microsoft" : "other/place");
        break;
    case CONFIG_PREFIX_LIST:
        snprintf(out, size, "198.51.100.0/24,2001:db8::/48");
        break;
    default:
        assert_int_equal(option->type, CONFIG_TEXT_LIST);
        if (option->is_valid == config_label_is_line)
            snprintf(out, size, "3 web,17 gold");
        else if (option->is_valid) /* a key */
            snprintf(out, size, "%040d", 7);
        else
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

static void test_a_timeout_policy_has_what_it_was_given(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, "timeout_policies:\n"
                       "  - {name: short, l4: tcp, values: {established: 100s, close: 0s}}\n"
                       "  - {name: empty, l3: inet6, l4: udp}\n");
    assert_int_equal(config.n_timeout_policies, 2);
    const struct config_timeout_policy *short_one = &config.timeout_policies[0];
    assert_string_equal(short_one->l3, "inet");
    assert_int_equal(config_timeout_policy_ns(short_one, "established"), INT64_C(100000000000));
    assert_int_equal(config_timeout_policy_ns(short_one, "close"), 0);
    assert_int_equal(config_timeout_policy_ns(short_one, "syn_sent"), -1);
    assert_int_equal(config_timeout_policy_ns(&config.timeout_policies[1], "replied"), -1);
    config_deinit(&config);
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
        cmocka_unit_test(test_a_file_is_read_and_named),
        cmocka_unit_test(test_an_assignment_is_checked_as_the_file_is),
        cmocka_unit_test(test_every_option_can_be_set_in_both_ways),
        cmocka_unit_test(test_a_timeout_policy_has_what_it_was_given),
        cmocka_unit_test(test_the_text_read_again_gives_the_same_text),
        cmocka_unit_test(test_the_order_of_keys_does_not_show_in_the_text_but_that_of_lists_does),
        cmocka_unit_test(test_the_hash_is_of_what_can_change_a_bill),
        cmocka_unit_test(test_the_example_is_the_defaults_and_works_when_switched_on),
        cmocka_unit_test(test_every_option_is_in_the_help_and_the_reference),
        cmocka_unit_test(test_options_of_a_section_stand_together_and_have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
