/* Which packets may be of a control connection, and what of their payload goes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/control_packets.h"
#include "common/config.h"

enum { TCP = 6, UDP = 17, SCTP = 132 };

static struct control_packets *control_of(const char *text)
{
    struct config config;
    struct config_errors errors = {0};
    struct control_packets *control;
    config_init(&config);
    config_read(&config, "test.yaml", text, strlen(text), &errors);
    config_check(&config, &errors);
    assert_int_equal(errors.n, 0);
    assert_int_equal(control_packets_create(&config, &control), 0);
    config_errors_deinit(&errors);
    config_deinit(&config);
    return control;
}

static struct packet packet_of(uint8_t protocol, uint16_t source_port, uint16_t port)
{
    return (struct packet){
        .source_address = {10, 0, 0, 1},
        .destination_address = {10, 0, 0, 2},
        .source_port = source_port,
        .destination_port = port,
        .protocol = protocol,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .l3_bytes = 40,
    };
}

static bool has(const struct control_packets *control, uint8_t protocol, uint16_t source_port,
                uint16_t port)
{
    struct packet packet = packet_of(protocol, source_port, port);
    return control_packets_has(control, &packet);
}

static void test_without_helpers_there_is_nothing(void **state)
{
    (void)state;
    assert_null(control_of("rules: [{ct: commit}]"));
    control_packets_destroy(NULL);
}

static void test_a_helpers_port_counts_at_either_end_and_in_its_protocol(void **state)
{
    (void)state;
    struct control_packets *control =
        control_of("helpers: [{name: ftp, ports: [21, 2121]}, {name: sip}, {name: irc}]");
    assert_true(has(control, TCP, 40000, 21));
    assert_true(has(control, TCP, 21, 40000));
    assert_true(has(control, TCP, 40000, 2121));
    assert_true(has(control, TCP, 40000, 5060));
    assert_true(has(control, UDP, 5060, 40000));
    assert_false(has(control, UDP, 40000, 21));
    assert_false(has(control, SCTP, 40000, 21));
    assert_false(has(control, TCP, 40000, 22));
    assert_false(has(control, TCP, 40000, 1723)); /* not configured */

    struct packet packet = packet_of(TCP, 40000, 6667);
    assert_true(control_packets_has(control, &packet));
    packet.marks = PACKET_MARK_IPV6 | PACKET_MARK_PORTS;
    assert_false(control_packets_has(control, &packet)); /* IPv4 only */
    packet = packet_of(TCP, 40000, 21);
    packet.class_index = CLASS_NO_PORTS;
    assert_false(control_packets_has(control, &packet));
    packet = packet_of(TCP, 40000, 21);
    packet.marks = PACKET_MARK_IPV4;
    assert_false(control_packets_has(control, &packet));
    control_packets_destroy(control);
}

static void test_what_a_rule_with_a_helper_matches_counts_in_both_directions(void **state)
{
    (void)state;
    struct control_packets *control =
        control_of("rules:\n"
                   "  - {match: src host 10.0.0.1 and tcp dst port 99, ct: \"commit,helper=ftp\"}\n"
                   "  - {match: tcp dst port 98, ct: commit}\n");
    assert_true(has(control, TCP, 40000, 99));
    assert_false(has(control, TCP, 99, 40000)); /* from the client's port 99 */
    struct packet reply = packet_of(TCP, 99, 40000);
    memcpy(reply.source_address, (uint8_t[4]){10, 0, 0, 2}, 4);
    memcpy(reply.destination_address, (uint8_t[4]){10, 0, 0, 1}, 4);
    assert_true(control_packets_has(control, &reply));
    assert_false(has(control, TCP, 40000, 98));
    assert_false(has(control, UDP, 40000, 99));
    control_packets_destroy(control);
}

static void test_payload_begins_behind_the_header_and_is_bounded(void **state)
{
    (void)state;
    static uint8_t bytes[PACKET_PAYLOAD_MAX + 100];
    struct layers layers = {.transport = bytes, .transport_bytes = 30};
    struct packet packet = packet_of(UDP, 5060, 5060);
    control_packets_add_payload(&layers, &packet);
    assert_ptr_equal(packet.payload, bytes + 8);
    assert_int_equal(packet.payload_bytes, 22);

    packet = packet_of(TCP, 40000, 21);
    bytes[12] = 6 << 4;
    control_packets_add_payload(&layers, &packet);
    assert_ptr_equal(packet.payload, bytes + 24);
    assert_int_equal(packet.payload_bytes, 6);

    layers.transport_bytes = sizeof bytes;
    control_packets_add_payload(&layers, &packet);
    assert_int_equal(packet.payload_bytes, PACKET_PAYLOAD_MAX);
}

static void test_a_header_that_is_cut_or_impossible_leaves_no_payload(void **state)
{
    (void)state;
    static uint8_t bytes[60];
    for (uint32_t size = 0; size <= sizeof bytes; size++)
        for (uint8_t words = 0; words < 16; words++) {
            uint8_t *own = malloc(size + 1);
            memcpy(own, bytes, size);
            if (size > 12)
                own[12] = (uint8_t)(words << 4);
            struct layers layers = {.transport = own, .transport_bytes = size};
            struct packet packet = packet_of(TCP, 40000, 21);
            control_packets_add_payload(&layers, &packet);
            bool has_payload = words >= 5 && size >= 20 && size > words * 4u;
            assert_int_equal(packet.payload_bytes, has_payload ? size - words * 4u : 0);
            free(own);
        }
    struct layers none = {0};
    struct packet packet = packet_of(TCP, 40000, 21);
    control_packets_add_payload(&none, &packet);
    assert_int_equal(packet.payload_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_helpers_there_is_nothing),
        cmocka_unit_test(test_a_helpers_port_counts_at_either_end_and_in_its_protocol),
        cmocka_unit_test(test_what_a_rule_with_a_helper_matches_counts_in_both_directions),
        cmocka_unit_test(test_payload_begins_behind_the_header_and_is_bounded),
        cmocka_unit_test(test_a_header_that_is_cut_or_impossible_leaves_no_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
