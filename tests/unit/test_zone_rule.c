/* Rules of every packet: zones, and no tracking. */
#include "config_case.h"

#include "capture/zone_rule.h"

static struct packet packet_of(uint16_t wan, uint16_t zone, uint16_t port)
{
    return (struct packet){
        .l3_bytes = 46,
        .protocol = 17,
        .wan = wan,
        .zone = zone,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .destination_port = port,
    };
}

static struct packet applied(const char *yaml, struct packet packet)
{
    struct config config;
    struct zone_rules *rules;
    init_from(&config, yaml);
    assert_int_equal(zone_rules_create(&config, &rules), 0);
    if (rules)
        zone_rules_apply(rules, &packet);
    zone_rules_destroy(rules);
    config_deinit(&config);
    return packet;
}

static const char RULES[] = "wans: [{name: a, match: {}}, {name: b, match: {}}]\n"
                            "rules:\n"
                            "  - {match: udp dst port 53, ct: \"commit,zone=1\"}\n"
                            "  - {zone: 1, wan: b, ct: \"zone=2\"}\n"
                            "  - {match: udp dst portrange 8-9 or udp dst port 53, ct: notrack}\n"
                            "  - {wan: none, ct: \"zone=3\"}\n"
                            "  - {match: udp dst port 54, ct: \"commit,mark=1\"}\n";

static void test_the_first_zone_that_matches_is_the_packet_s(void **state)
{
    (void)state;
    assert_int_equal(applied(RULES, packet_of(1, 0, 53)).zone, 1);
    assert_int_equal(applied(RULES, packet_of(2, 0, 53)).zone, 1);
    assert_int_equal(applied(RULES, packet_of(2, 1, 54)).zone, 2);
    assert_int_equal(applied(RULES, packet_of(1, 7, 54)).zone, 7);
    assert_int_equal(applied(RULES, packet_of(0, 7, 54)).zone, 3);
}

static void test_notrack_works_on_packets_without_a_zone_of_a_rule(void **state)
{
    (void)state;
    assert_int_equal(applied(RULES, packet_of(1, 0, 9)).extra, PACKET_UNTRACKED);
    assert_int_equal(applied(RULES, packet_of(1, 0, 53)).extra, 0); /* has a zone before */
    assert_int_equal(applied(RULES, packet_of(0, 0, 9)).extra, 0);  /* and behind */
    assert_int_equal(applied(RULES, packet_of(1, 0, 54)).extra, 0);
}

static void test_without_such_rules_there_is_nothing_to_run(void **state)
{
    (void)state;
    struct config config;
    struct zone_rules *rules;
    init_from(&config, "rules: [{ct: \"commit,mark=1\"}]\n");
    assert_int_equal(zone_rules_create(&config, &rules), 0);
    assert_null(rules);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_zone_that_matches_is_the_packet_s),
        cmocka_unit_test(test_notrack_works_on_packets_without_a_zone_of_a_rule),
        cmocka_unit_test(test_without_such_rules_there_is_nothing_to_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
