/* What a packet does to its connection: states, timeouts and verdicts, as sequences of packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/protocol.h"

enum { O = FLOW_ORIGINAL, R = FLOW_REPLY };
static const int64_t second_ns = 1000000000;

/* Every timeout is another number, so that a test tells which one was chosen. */
static const struct config config = {.timeouts = {
                                         .tcp_syn_sent_ns = 1,
                                         .tcp_syn_recv_ns = 2,
                                         .tcp_established_ns = 3,
                                         .tcp_fin_wait_ns = 4,
                                         .tcp_time_wait_ns = 5,
                                         .tcp_close_ns = 6,
                                         .tcp_unacknowledged_ns = 7,
                                         .udp_unreplied_ns = 8,
                                         .udp_stream_ns = 9,
                                         .icmp_ns = 10,
                                         .icmpv6_ns = 11,
                                         .gre_unreplied_ns = 12,
                                         .gre_stream_ns = 13,
                                         .sctp_cookie_wait_ns = 14,
                                         .sctp_cookie_echoed_ns = 15,
                                         .sctp_established_ns = 16,
                                         .generic_ns = 17,
                                     }};

struct world {
    struct connection connection;
    struct packet packet;
    const struct protocol *protocol;
    int64_t timeout_ns;
};

static struct world world_of(const struct protocol *protocol)
{
    return (struct world){.protocol = protocol};
}

/* One packet, and what the tracker does by its verdict. */
static enum protocol_verdict send(struct world *world, unsigned direction)
{
    world->timeout_ns = 0;
    enum protocol_verdict verdict = world->protocol->on_packet(
        &config, &world->connection, direction, &world->packet, &world->timeout_ns);
    if (direction == R && (verdict == VERDICT_ACCEPT || verdict == VERDICT_IGNORE))
        world->connection.status |= STATUS_SEEN_REPLY;
    return verdict;
}

static enum protocol_verdict send_tcp(struct world *world, unsigned direction, unsigned flags)
{
    world->packet.tcp.flags = (uint8_t)flags;
    return send(world, direction);
}

#define assert_world(world, expected_state, expected_timeout_ns, is_assured)                       \
    do {                                                                                           \
        assert_int_equal((world)->connection.state, expected_state);                               \
        assert_int_equal((world)->timeout_ns, expected_timeout_ns);                                \
        assert_int_equal(((world)->connection.status & STATUS_ASSURED) != 0, is_assured);          \
    } while (0)

static struct world tcp_established(void)
{
    struct world world = world_of(&protocol_tcp);
    assert_int_equal(send_tcp(&world, O, TCP_SYN), VERDICT_ACCEPT);
    assert_world(&world, STATE_NEW, config.timeouts.tcp_syn_sent_ns, 0);
    assert_int_equal(send_tcp(&world, R, TCP_SYN | TCP_ACK), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_syn_recv_ns, 0);
    assert_int_equal(send_tcp(&world, O, TCP_ACK), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_established_ns, 1);
    return world;
}

static void test_every_number_has_a_protocol(void **state)
{
    (void)state;
    static const struct {
        uint8_t number, ip_version;
        const struct protocol *protocol;
    } modules[] = {
        {1, 4, &protocol_icmp},     {1, 6, &protocol_generic},  {6, 4, &protocol_tcp},
        {6, 6, &protocol_tcp},      {17, 4, &protocol_udp},     {33, 4, &protocol_generic},
        {47, 6, &protocol_gre},     {50, 4, &protocol_generic}, {58, 6, &protocol_icmpv6},
        {58, 4, &protocol_generic}, {132, 4, &protocol_sctp},   {136, 6, &protocol_udplite},
    };
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        assert_ptr_equal(protocol_of(modules[i].number, modules[i].ip_version),
                         modules[i].protocol);
    for (unsigned number = 0; number < 256; number++)
        assert_non_null(protocol_of((uint8_t)number, 4)->on_packet);
}

static void test_a_tcp_connection_lives_and_closes(void **state)
{
    (void)state;
    struct world world = tcp_established();
    assert_int_equal(send_tcp(&world, R, TCP_ACK | TCP_FIN), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_fin_wait_ns, 1);
    assert_int_equal(send_tcp(&world, O, TCP_ACK), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_fin_wait_ns, 1);
    assert_int_equal(send_tcp(&world, O, TCP_ACK | TCP_FIN), VERDICT_ACCEPT);
    assert_world(&world, STATE_CLOSED, config.timeouts.tcp_time_wait_ns, 1);
    assert_int_equal(send_tcp(&world, R, TCP_ACK), VERDICT_ACCEPT);
    assert_world(&world, STATE_CLOSED, config.timeouts.tcp_time_wait_ns, 1);
}

static void test_two_fins_of_one_side_do_not_close(void **state)
{
    (void)state;
    struct world world = tcp_established();
    send_tcp(&world, O, TCP_ACK | TCP_FIN);
    send_tcp(&world, O, TCP_ACK | TCP_FIN);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_fin_wait_ns, 1);
}

static void test_a_rst_closes_an_established_connection(void **state)
{
    (void)state;
    for (unsigned direction = O; direction <= R; direction++) {
        struct world world = tcp_established();
        assert_int_equal(send_tcp(&world, direction, TCP_RST | TCP_ACK), VERDICT_ACCEPT);
        assert_world(&world, STATE_CLOSED, config.timeouts.tcp_close_ns, 1);
        assert_int_equal(send_tcp(&world, 1 - direction, TCP_ACK | TCP_FIN), VERDICT_ACCEPT);
        assert_world(&world, STATE_CLOSED, config.timeouts.tcp_close_ns, 1);
    }
}

static void test_a_rst_ends_a_connection_that_was_never_answered(void **state)
{
    (void)state;
    for (unsigned direction = O; direction <= R; direction++) {
        struct world world = world_of(&protocol_tcp);
        send_tcp(&world, O, TCP_SYN);
        assert_int_equal(send_tcp(&world, direction, TCP_RST | TCP_ACK), VERDICT_CLOSE);
        assert_world(&world, STATE_CLOSED, config.timeouts.tcp_close_ns, 0);
    }
}

static void test_a_lone_rst_and_its_repetition_are_one_closed_flow(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send_tcp(&world, O, TCP_RST), VERDICT_ACCEPT);
        assert_world(&world, STATE_CLOSED, config.timeouts.tcp_close_ns, 0);
    }
}

static void test_only_a_bare_syn_reopens_and_changes_nothing(void **state)
{
    (void)state;
    struct world world = tcp_established();
    assert_int_equal(send_tcp(&world, O, TCP_SYN), VERDICT_ACCEPT);
    send_tcp(&world, O, TCP_RST);
    assert_int_equal(send_tcp(&world, R, TCP_SYN | TCP_ACK), VERDICT_ACCEPT);
    assert_int_equal(send_tcp(&world, R, TCP_SYN | TCP_RST), VERDICT_ACCEPT);
    struct connection before = world.connection;
    assert_int_equal(send_tcp(&world, R, TCP_SYN), VERDICT_REOPEN);
    assert_memory_equal(&before, &world.connection, sizeof(before));
}

static void test_a_connection_picked_up_is_assured_after_its_first_reply(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_ACK);
    assert_world(&world, STATE_NEW, config.timeouts.tcp_unacknowledged_ns, 0);
    send_tcp(&world, R, TCP_ACK);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_unacknowledged_ns, 0);
    send_tcp(&world, O, TCP_ACK);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_established_ns, 1);
}

static void test_a_handshake_that_nobody_completes_stays_short(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_SYN);
    for (unsigned i = 0; i < 5; i++) {
        send_tcp(&world, R, TCP_SYN | TCP_ACK);
        assert_world(&world, STATE_ESTABLISHED, config.timeouts.tcp_syn_recv_ns, 0);
    }
}

static void test_an_invalid_tcp_header_has_no_effect(void **state)
{
    (void)state;
    struct world world = tcp_established();
    struct connection before = world.connection;
    world.packet.tcp.options = TCP_HEADER_INVALID;
    assert_int_equal(send_tcp(&world, O, TCP_RST), VERDICT_INVALID);
    assert_memory_equal(&before, &world.connection, sizeof(before));
}

/* Whatever the flags: closed is left by REOPEN alone, and a timeout comes with what is counted. */
static void test_random_tcp_packets_keep_the_rules(void **state)
{
    (void)state;
    static const unsigned flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN,
                                     TCP_RST, TCP_RST | TCP_ACK, 0,       TCP_FIN};
    uint32_t random = 1;
    for (unsigned i = 0; i < 20000; i++) {
        struct world world = world_of(&protocol_tcp);
        for (unsigned k = 0; k < 12; k++) {
            random = random * 1664525 + 1013904223;
            unsigned direction = k == 0 ? (unsigned)O : random >> 20 & 1;
            uint8_t before = world.connection.state;
            enum protocol_verdict verdict = send_tcp(&world, direction, flags[random >> 24 & 7]);
            if (verdict == VERDICT_REOPEN) {
                assert_int_equal(before, STATE_CLOSED);
                break;
            }
            assert_true(before != STATE_CLOSED || world.connection.state == STATE_CLOSED);
            assert_true(world.connection.state != STATE_NONE && world.timeout_ns > 0);
            if (verdict == VERDICT_CLOSE) {
                assert_int_equal(before, STATE_NEW);
                break;
            }
            assert_int_equal(verdict, VERDICT_ACCEPT);
        }
    }
}

static void test_a_udp_query_and_answer_are_no_stream(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    send(&world, O);
    assert_world(&world, STATE_NEW, config.timeouts.udp_unreplied_ns, 0);
    world.packet.clock_ns = 10 * second_ns;
    send(&world, R);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.udp_unreplied_ns, 0);
}

static void test_udp_becomes_a_stream_when_older_than_two_seconds(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    world.connection.start_ns = 100 * second_ns;
    world.packet.clock_ns = 100 * second_ns;
    send(&world, O);
    send(&world, R);
    world.packet.clock_ns = 102 * second_ns;
    send(&world, R);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.udp_unreplied_ns, 0);
    world.packet.clock_ns++;
    send(&world, O);
    assert_world(&world, STATE_ESTABLISHED, config.timeouts.udp_stream_ns, 1);
}

static void test_one_way_udp_is_never_a_stream(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    for (unsigned i = 0; i < 100; i++) {
        world.packet.clock_ns += second_ns;
        send(&world, O);
        assert_world(&world, STATE_NEW, config.timeouts.udp_unreplied_ns, 0);
    }
}

/* Both directions, then one packet more. */
static void check_three(const struct protocol *protocol, int64_t new_ns, int64_t reply_ns,
                        int64_t after_ns, int is_assured)
{
    struct world world = world_of(protocol);
    assert_int_equal(send(&world, O), VERDICT_ACCEPT);
    assert_world(&world, STATE_NEW, new_ns, 0);
    assert_int_equal(send(&world, R), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, reply_ns, 0);
    assert_int_equal(send(&world, O), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, after_ns, is_assured);
}

static void test_the_other_protocols_have_their_timeouts(void **state)
{
    (void)state;
    check_three(&protocol_udplite, 8, 8, 9, 1);
    check_three(&protocol_icmp, 10, 10, 10, 0);
    check_three(&protocol_icmpv6, 11, 11, 11, 0);
    check_three(&protocol_gre, 12, 12, 13, 1);
    check_three(&protocol_sctp, 14, 15, 16, 1);
    check_three(&protocol_generic, 17, 17, 17, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_a_protocol),
        cmocka_unit_test(test_a_tcp_connection_lives_and_closes),
        cmocka_unit_test(test_two_fins_of_one_side_do_not_close),
        cmocka_unit_test(test_a_rst_closes_an_established_connection),
        cmocka_unit_test(test_a_rst_ends_a_connection_that_was_never_answered),
        cmocka_unit_test(test_a_lone_rst_and_its_repetition_are_one_closed_flow),
        cmocka_unit_test(test_only_a_bare_syn_reopens_and_changes_nothing),
        cmocka_unit_test(test_a_connection_picked_up_is_assured_after_its_first_reply),
        cmocka_unit_test(test_a_handshake_that_nobody_completes_stays_short),
        cmocka_unit_test(test_an_invalid_tcp_header_has_no_effect),
        cmocka_unit_test(test_random_tcp_packets_keep_the_rules),
        cmocka_unit_test(test_a_udp_query_and_answer_are_no_stream),
        cmocka_unit_test(test_udp_becomes_a_stream_when_older_than_two_seconds),
        cmocka_unit_test(test_one_way_udp_is_never_a_stream),
        cmocka_unit_test(test_the_other_protocols_have_their_timeouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
