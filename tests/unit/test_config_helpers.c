/* 'helpers' as they are written, and what is said of wrong ones. */
#include "config_case.h"

#include "common/helper_ports.h"

enum { TCP = 6, UDP = 17 };

static void test_a_helper_without_ports_has_the_usual_one(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, "helpers:\n  - name: ftp\n  - {name: tftp, ports: [69, 6969]}\n");
    assert_int_equal(config.n_helpers, 2);
    assert_int_equal(config_helper_ports(&config.helpers[0]), 1);
    assert_int_equal(config_helper_port(&config.helpers[0], 0), 21);
    assert_int_equal(config_helper_ports(&config.helpers[1]), 2);
    assert_int_equal(config_helper_port(&config.helpers[1], 1), 6969);
    assert_true(config_has_helpers(&config));
    config_deinit(&config);
}

static void test_helpers_are_found_by_protocol_and_port(void **state)
{
    (void)state;
    struct config config;
    struct helper_ports *ports;
    init_from(&config, "helpers: [{name: sip}, {name: irc, ports: [6667, 6697]}]");
    assert_int_equal(helper_ports_create(&config, &ports), 0);
    assert_int_equal(helper_ports_find(ports, TCP, 4, 5060), HELPER_SIP);
    assert_int_equal(helper_ports_find(ports, UDP, 6, 5060), HELPER_SIP);
    assert_int_equal(helper_ports_find(ports, TCP, 4, 6697), HELPER_IRC);
    assert_int_equal(helper_ports_find(ports, TCP, 6, 6697), HELPER_NONE); /* IPv4 only */
    assert_int_equal(helper_ports_find(ports, UDP, 4, 6697), HELPER_NONE);
    assert_int_equal(helper_ports_find(ports, 132, 4, 5060), HELPER_NONE);
    assert_int_equal(helper_ports_find(NULL, TCP, 4, 5060), HELPER_NONE);
    helper_ports_destroy(ports);
    config_deinit(&config);

    init_from(&config, "zone: 1");
    assert_int_equal(helper_ports_create(&config, &ports), 0);
    assert_null(ports);
    assert_false(config_has_helpers(&config));
    config_deinit(&config);
}

static void test_a_rule_alone_can_ask_for_a_helper(void **state)
{
    (void)state;
    struct config config;
    init_from(&config, "rules: [{match: tcp port 99, ct: \"commit,helper=ftp\"}]");
    assert_true(config_has_helpers(&config));
    config_deinit(&config);
}

static void test_helpers_that_cannot_be_are_named(void **state)
{
    (void)state;
    assert_errors(
        "helpers:\n  - name: ftpp\n",
        "f:2:11: helpers[0].name: unknown value (got 'ftpp', expected ftp, tftp, sip, irc, "
        "pptp, amanda; did you mean ftp?)\n");
    assert_errors("helpers:\n  - {name: ftp, ports: [0]}\n",
                  "f:2:25: helpers[0].ports[0]: out of range (got '0', expected 1 to 65535)\n");
    assert_errors("helpers:\n  - ports: [21]\n", "f:2:5: helpers[0]: 'name' is missing\n");
}

static void test_a_port_has_one_helper(void **state)
{
    (void)state;
    assert_errors("helpers:\n  - name: ftp\n  - {name: irc, ports: [99, 21]}\n",
                  "f:3:5: helper 'irc': a port that helper 'ftp' reads already (got '21')\n");
    assert_errors("helpers:\n  - name: ftp\n  - name: ftp\n",
                  "f:3:5: helper 'ftp': a port that helper 'ftp' reads already (got '21')\n");
    assert_errors("helpers:\n  - {name: ftp, ports: [69]}\n  - name: tftp\n", ""); /* TCP, UDP */
    assert_errors("helpers:\n  - {name: tftp, ports: [5060]}\n  - name: sip\n",
                  "f:3:5: helper 'sip': a port that helper 'tftp' reads already (got '5060')\n");
}

static void test_helpers_are_part_of_the_bill(void **state)
{
    (void)state;
    assert_false(has_same_hash("helpers: [{name: ftp}]", "helpers: [{name: ftp, ports: [2121]}]"));
    assert_same_text("helpers: [{name: ftp}]", "helpers: [{name: ftp, ports: []}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_helper_without_ports_has_the_usual_one),
        cmocka_unit_test(test_helpers_are_found_by_protocol_and_port),
        cmocka_unit_test(test_a_rule_alone_can_ask_for_a_helper),
        cmocka_unit_test(test_helpers_that_cannot_be_are_named),
        cmocka_unit_test(test_a_port_has_one_helper),
        cmocka_unit_test(test_helpers_are_part_of_the_bill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
