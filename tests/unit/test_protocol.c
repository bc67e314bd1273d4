/* What a packet does to its connection: states, timeouts and verdicts, as sequences of packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/protocol.h"
#include "tracker/protocol/tcp.h"

enum { O = FLOW_ORIGINAL, R = FLOW_REPLY };
static const int64_t second_ns = 1000000000;

/* Every timeout is another number, in the order of length that the rules stand on. */
static struct config config = {
    .timeouts =
        {
            .tcp_syn_sent_ns = 121,
            .tcp_syn_recv_ns = 60,
            .tcp_established_ns = 432000,
            .tcp_fin_wait_ns = 122,
            .tcp_close_wait_ns = 61,
            .tcp_last_ack_ns = 30,
            .tcp_time_wait_ns = 123,
            .tcp_close_ns = 10,
            .tcp_syn_sent2_ns = 124,
            .tcp_max_retrans_ns = 301,
            .tcp_unacknowledged_ns = 302,
            .udp_unreplied_ns = 31,
            .udp_stream_ns = 125,
            .icmp_ns = 32,
            .icmpv6_ns = 33,
            .gre_unreplied_ns = 34,
            .gre_stream_ns = 180,
            .sctp_closed_ns = 11,
            .sctp_cookie_wait_ns = 3,
            .sctp_cookie_echoed_ns = 4,
            .sctp_established_ns = 210,
            .sctp_shutdown_sent_ns = 5,
            .sctp_shutdown_recd_ns = 6,
            .sctp_shutdown_ack_sent_ns = 7,
            .sctp_heartbeat_sent_ns = 35,
            .generic_ns = 600,
        },
    .conntrack = {.tcp_loose = true, .tcp_max_retrans = 3},
};

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
    struct protocol_context context = {&config, &config.timeouts};
    enum protocol_verdict verdict = world->protocol->on_packet(
        &context, &world->connection, direction, &world->packet, &world->timeout_ns);
    if (direction == R && (verdict == VERDICT_ACCEPT || verdict == VERDICT_IGNORE))
        world->connection.status |= STATUS_SEEN_REPLY;
    return verdict;
}

#define assert_world(world, expected_state, expected_timeout_ns, is_assured)                       \
    do {                                                                                           \
        assert_int_equal((world)->connection.state, expected_state);                               \
        assert_int_equal((world)->timeout_ns, expected_timeout_ns);                                \
        assert_int_equal(((world)->connection.status & STATUS_ASSURED) != 0, is_assured);          \
    } while (0)

static void test_every_number_has_a_protocol(void **state)
{
    (void)state;
    static const struct {
        uint8_t number, ip_version;
        const struct protocol *protocol;
    } modules[] = {
        {1, 4, &protocol_icmp},        {1, 6, &protocol_impossible}, {6, 4, &protocol_tcp},
        {6, 6, &protocol_tcp},         {17, 4, &protocol_udp},       {33, 4, &protocol_generic},
        {47, 6, &protocol_gre},        {50, 4, &protocol_generic},   {58, 6, &protocol_icmpv6},
        {58, 4, &protocol_impossible}, {132, 4, &protocol_sctp},     {136, 6, &protocol_udplite},
    };
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        assert_ptr_equal(protocol_of(modules[i].number, modules[i].ip_version),
                         modules[i].protocol);
    for (unsigned number = 0; number < 256; number++)
        assert_non_null(protocol_of((uint8_t)number, 4)->on_packet);
}

/* ---- TCP ---- */

static enum protocol_verdict send_tcp(struct world *world, unsigned direction, unsigned flags,
                                      uint32_t sequence, uint32_t acknowledgment,
                                      uint16_t payload_bytes)
{
    world->packet.tcp = (struct packet_tcp){
        .sequence = sequence,
        .acknowledgment = acknowledgment,
        .window = 8192,
        .payload_bytes = payload_bytes,
        .flags = (uint8_t)flags,
    };
    return send(world, direction);
}

/* The original's sequence numbers begin at 100, the reply's at 500. */
static struct world tcp_established(void)
{
    struct world world = world_of(&protocol_tcp);
    assert_int_equal(send_tcp(&world, O, TCP_SYN, 100, 0, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_SYN_SENT, 121, 0);
    assert_int_equal(send_tcp(&world, R, TCP_SYN | TCP_ACK, 500, 101, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_SYN_RECV, 60, 0);
    assert_int_equal(send_tcp(&world, O, TCP_ACK, 101, 501, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, 432000, 1);
    return world;
}

static void test_a_tcp_connection_lives_and_closes(void **state)
{
    (void)state;
    struct world world = tcp_established();
    assert_int_equal(send_tcp(&world, O, TCP_ACK, 101, 501, 50), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, 302, 1);
    assert_int_equal(send_tcp(&world, R, TCP_ACK, 501, 151, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, 432000, 1);
    assert_int_equal(send_tcp(&world, R, TCP_ACK | TCP_FIN, 501, 151, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_FIN_WAIT, 122, 1);
    assert_int_equal(send_tcp(&world, O, TCP_ACK, 151, 502, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_CLOSE_WAIT, 61, 1);
    assert_int_equal(send_tcp(&world, O, TCP_ACK | TCP_FIN, 151, 502, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_LAST_ACK, 30, 1);
    assert_int_equal(send_tcp(&world, R, TCP_ACK, 502, 152, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_TIME_WAIT, 123, 1);
    struct connection before = world.connection;
    assert_int_equal(send_tcp(&world, R, TCP_SYN, 9000, 0, 0), VERDICT_REOPEN);
    assert_memory_equal(&before, &world.connection, sizeof before);
}

static void test_a_timeout_in_the_past_is_the_longest(void **state)
{
    (void)state;
    struct timeouts before = config.timeouts;
    config.timeouts.tcp_established_ns = -1;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_ACK, 100, 500, 0);
    assert_world(&world, STATE_ESTABLISHED, 301, 0);
    config.timeouts = before;
    config.timeouts.tcp_unacknowledged_ns = -1;
    world = tcp_established();
    assert_int_equal(send_tcp(&world, O, TCP_ACK, 101, 501, 50), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, 432000, 1);
    config.timeouts = before;
}

static void test_a_rst_closes_where_it_is_exact(void **state)
{
    (void)state;
    for (unsigned direction = O; direction <= R; direction++) {
        struct world world = tcp_established();
        uint32_t sequence = direction == O ? 101 : 501;
        send_tcp(&world, 1 - direction, TCP_ACK, direction == O ? 501 : 101, sequence, 0);
        struct world exact = world, inexact = world, old = world;
        assert_int_equal(send_tcp(&exact, direction, TCP_RST, sequence, 0, 0), VERDICT_ACCEPT);
        assert_world(&exact, STATE_CLOSE, 10, 1);
        assert_int_equal(send_tcp(&inexact, direction, TCP_RST, sequence + 9, 0, 0),
                         VERDICT_ACCEPT);
        assert_world(&inexact, STATE_ESTABLISHED, 10, 1);
        assert_int_equal(send_tcp(&old, direction, TCP_RST, sequence - 1, 0, 0), VERDICT_INVALID);
        assert_world(&old, STATE_ESTABLISHED, 0, 1);
    }
}

static void test_a_rst_ends_a_connection_that_was_never_answered(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_SYN, 100, 0, 0);
    assert_int_equal(send_tcp(&world, R, TCP_RST | TCP_ACK, 0, 101, 0), VERDICT_CLOSE);
    assert_world(&world, STATE_CLOSE, 0, 0);
}

static void test_only_a_syn_or_an_ack_begins_a_connection(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 64; flags++) {
        struct world world = world_of(&protocol_tcp);
        enum protocol_verdict verdict = send_tcp(&world, O, flags, 100, 0, 0);
        unsigned kind = flags & ~(unsigned)(TCP_PSH | TCP_URG);
        bool begins = kind == TCP_SYN || kind == TCP_ACK;
        assert_int_equal(verdict, begins ? VERDICT_ACCEPT : VERDICT_INVALID);
    }
    config.conntrack.tcp_loose = false;
    struct world world = world_of(&protocol_tcp);
    assert_int_equal(send_tcp(&world, O, TCP_ACK, 100, 1, 0), VERDICT_INVALID);
    assert_int_equal(send_tcp(&world, O, TCP_SYN, 100, 1, 0), VERDICT_ACCEPT);
    config.conntrack.tcp_loose = true;
}

static void test_a_repeated_syn_is_not_counted_and_leaves_the_timer(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_SYN, 100, 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(send_tcp(&world, O, TCP_SYN, 100, 0, 0), VERDICT_IGNORE);
        assert_int_equal(world.timeout_ns, 0);
    }
    assert_int_equal(world.connection.state, STATE_SYN_SENT);
    assert_int_equal(send_tcp(&world, R, TCP_SYN, 500, 0, 0), VERDICT_IGNORE);
    assert_world(&world, STATE_SYN_SENT2, 0, 0);
}

static void test_a_connection_picked_up_is_assured_after_its_first_reply(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_tcp);
    send_tcp(&world, O, TCP_ACK, 100, 500, 0);
    assert_world(&world, STATE_ESTABLISHED, 301, 0); /* no window is known yet */
    send_tcp(&world, R, TCP_ACK, 500, 100, 0);
    assert_world(&world, STATE_ESTABLISHED, 302, 0);
    send_tcp(&world, O, TCP_ACK, 100, 500, 0);
    assert_world(&world, STATE_ESTABLISHED, 432000, 1);
}

static void test_segments_out_of_the_window_are_invalid_unless_liberal(void **state)
{
    (void)state;
    for (unsigned is_liberal = 0; is_liberal < 2; is_liberal++) {
        config.conntrack.tcp_be_liberal = is_liberal;
        struct world world = tcp_established();
        assert_int_equal(send_tcp(&world, O, TCP_ACK, 70000000, 501, 1),
                         is_liberal ? VERDICT_ACCEPT : VERDICT_INVALID);
        assert_int_equal(send_tcp(&world, R, TCP_ACK, 501, 99999, 0),
                         is_liberal ? VERDICT_ACCEPT : VERDICT_INVALID);
    }
    config.conntrack.tcp_be_liberal = false;
}

static void test_the_same_ack_thrice_more_is_a_retransmission(void **state)
{
    (void)state;
    struct world world = tcp_established();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(world.timeout_ns, 432000);
        send_tcp(&world, O, TCP_ACK, 101, 501, 0);
    }
    assert_world(&world, STATE_ESTABLISHED, 301, 1);
}

static void test_an_invalid_tcp_header_has_no_effect(void **state)
{
    (void)state;
    struct world world = tcp_established();
    struct connection before = world.connection;
    world.packet.tcp.options = TCP_HEADER_INVALID;
    world.packet.tcp.flags = TCP_RST;
    assert_int_equal(send(&world, O), VERDICT_INVALID);
    assert_memory_equal(&before, &world.connection, sizeof(before));
}

/* Moving all sequence numbers of a side by the same distance changes no verdict. */
static void test_where_sequence_numbers_begin_does_not_matter(void **state)
{
    (void)state;
    static const unsigned flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN,
                                     TCP_ACK, TCP_RST | TCP_ACK, TCP_ACK, TCP_ACK};
    static const uint32_t jumps[] = {0, 0, 0, 1, 1000, 70000, 0xffffffff, 0x7fffffff};
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        struct world here = world_of(&protocol_tcp), there = here;
        uint32_t shift[2] = {(uint32_t)rand() << 4, 0xfffffff0u + (uint32_t)(rand() % 16)};
        uint32_t next[2] = {1000, 5000};
        for (unsigned k = 0; k < 12; k++) {
            unsigned direction = k == 0 ? (unsigned)O : (unsigned)rand() & 1;
            unsigned flag = k == 0 ? (unsigned)TCP_SYN : flags[rand() & 7];
            uint32_t sequence = next[direction] + jumps[rand() & 7];
            uint32_t acknowledgment = next[1 - direction] + jumps[rand() & 7];
            uint16_t payload_bytes = (uint16_t)(rand() % 3 * 100);
            bool is_zero = flag & TCP_RST; /* its 0 is no number */
            sequence += is_zero && sequence == 0;
            if (!(flag & TCP_ACK) || sequence + shift[direction] == 0 ||
                acknowledgment + shift[1 - direction] == 0 || acknowledgment == 0)
                acknowledgment = 1;
            enum protocol_verdict verdict =
                send_tcp(&here, direction, flag, sequence, acknowledgment, payload_bytes);
            assert_int_equal(send_tcp(&there, direction, flag, sequence + shift[direction],
                                      acknowledgment + shift[1 - direction], payload_bytes),
                             verdict);
            assert_int_equal(here.connection.state, there.connection.state);
            assert_int_equal(here.timeout_ns, there.timeout_ns);
            if (verdict == VERDICT_REOPEN || verdict == VERDICT_CLOSE)
                break;
            assert_true(verdict != VERDICT_ACCEPT || here.timeout_ns > 0);
            next[direction] = sequence + payload_bytes + !!(flag & (TCP_SYN | TCP_FIN));
        }
    }
}

/* ---- UDP and the others ---- */

static void test_a_udp_query_and_answer_are_no_stream(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    send(&world, O);
    assert_world(&world, STATE_FIRST, 31, 0);
    world.packet.clock_ns = 10 * second_ns;
    send(&world, R);
    assert_world(&world, STATE_BIDIRECTIONAL, 31, 0);
}

static void test_udp_becomes_a_stream_when_older_than_two_seconds(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    world.packet.clock_ns = 100 * second_ns;
    send(&world, O);
    send(&world, R);
    world.packet.clock_ns = 102 * second_ns;
    send(&world, R);
    assert_world(&world, STATE_BIDIRECTIONAL, 31, 0);
    world.packet.clock_ns++;
    send(&world, O);
    assert_world(&world, STATE_BIDIRECTIONAL, 125, 1);
}

static void test_one_way_udp_is_never_a_stream(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_udp);
    for (unsigned i = 0; i < 100; i++) {
        world.packet.clock_ns += second_ns;
        send(&world, O);
        assert_world(&world, i == 0 ? STATE_FIRST : STATE_MULTIPLE, 31, 0);
    }
}

/* Both directions, then one packet more. */
static void check_three(const struct protocol *protocol, uint8_t icmp_type, int64_t new_ns,
                        int64_t after_ns, int is_assured)
{
    struct world world = world_of(protocol);
    world.packet.icmp_type = icmp_type;
    assert_int_equal(send(&world, O), VERDICT_ACCEPT);
    assert_world(&world, STATE_FIRST, new_ns, 0);
    assert_int_equal(send(&world, R), VERDICT_ACCEPT);
    assert_world(&world, STATE_BIDIRECTIONAL, new_ns, 0);
    assert_int_equal(send(&world, O), VERDICT_ACCEPT);
    assert_world(&world, STATE_BIDIRECTIONAL, after_ns, is_assured);
}

static void test_the_other_protocols_have_their_timeouts(void **state)
{
    (void)state;
    check_three(&protocol_udplite, 0, 31, 125, 1);
    check_three(&protocol_icmp, 8, 32, 32, 0);
    check_three(&protocol_icmpv6, 128, 33, 33, 0);
    check_three(&protocol_gre, 0, 34, 180, 1);
    check_three(&protocol_generic, 0, 600, 600, 0);
}

static void test_only_requests_begin_an_icmp_connection(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        struct world icmp = world_of(&protocol_icmp), icmpv6 = world_of(&protocol_icmpv6);
        icmp.packet.icmp_type = icmpv6.packet.icmp_type = (uint8_t)type;
        bool is_request = type == 8 || type == 13 || type == 15 || type == 17;
        assert_int_equal(send(&icmp, O), is_request ? VERDICT_ACCEPT : VERDICT_INVALID);
        enum protocol_verdict verdict = send(&icmpv6, O);
        assert_int_equal(verdict == VERDICT_ACCEPT, type == 128 || type == 139);
        assert_int_equal(verdict == VERDICT_UNTRACKED,
                         (type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152);
    }
}

/* ---- SCTP ---- */

static enum protocol_verdict send_sctp(struct world *world, unsigned direction, uint32_t tag,
                                       uint8_t chunk, uint32_t init_tag)
{
    world->packet.sctp = (struct packet_sctp){
        .verification_tag = tag, .init_tag = init_tag, .chunks = {chunk}, .n_chunks = 1};
    return send(world, direction);
}

static void test_an_sctp_association_lives_and_ends(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_sctp);
    assert_int_equal(send_sctp(&world, O, 0, SCTP_INIT, 11), VERDICT_ACCEPT);
    assert_world(&world, STATE_CLOSED, 11, 0);
    assert_int_equal(send_sctp(&world, R, 11, SCTP_INIT_ACK, 22), VERDICT_ACCEPT);
    assert_world(&world, STATE_COOKIE_WAIT, 3, 0);
    assert_int_equal(send_sctp(&world, O, 33, SCTP_COOKIE_ECHO, 0), VERDICT_INVALID);
    assert_int_equal(send_sctp(&world, O, 22, SCTP_COOKIE_ECHO, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_COOKIE_ECHOED, 4, 0);
    assert_int_equal(send_sctp(&world, R, 11, SCTP_COOKIE_ACK, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_ESTABLISHED, 210, 1);
    assert_int_equal(send_sctp(&world, O, 22, SCTP_SHUTDOWN, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_SHUTDOWN_SENT, 5, 1);
    assert_int_equal(send_sctp(&world, R, 11, SCTP_SHUTDOWN_ACK, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_SHUTDOWN_ACK_SENT, 7, 1);
    assert_int_equal(send_sctp(&world, O, 22, SCTP_SHUTDOWN_COMPLETE, 0), VERDICT_ACCEPT);
    assert_world(&world, STATE_CLOSED, 11, 1);
}

static void test_sctp_data_begins_nothing_and_needs_its_tag(void **state)
{
    (void)state;
    struct world world = world_of(&protocol_sctp);
    world.packet.sctp =
        (struct packet_sctp){.verification_tag = 22, .marks = SCTP_HAS_DATA | SCTP_HAS_OTHER};
    assert_int_equal(send(&world, O), VERDICT_INVALID);
    send_sctp(&world, O, 22, SCTP_HEARTBEAT, 0);
    assert_world(&world, STATE_HEARTBEAT_SENT, 35, 0);
    world.packet.sctp =
        (struct packet_sctp){.verification_tag = 22, .marks = SCTP_HAS_DATA | SCTP_HAS_OTHER};
    assert_int_equal(send(&world, O), VERDICT_ACCEPT);
    world.packet.sctp.verification_tag = 23;
    assert_int_equal(send(&world, O), VERDICT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_a_protocol),
        cmocka_unit_test(test_a_tcp_connection_lives_and_closes),
        cmocka_unit_test(test_a_timeout_in_the_past_is_the_longest),
        cmocka_unit_test(test_a_rst_closes_where_it_is_exact),
        cmocka_unit_test(test_a_rst_ends_a_connection_that_was_never_answered),
        cmocka_unit_test(test_only_a_syn_or_an_ack_begins_a_connection),
        cmocka_unit_test(test_a_repeated_syn_is_not_counted_and_leaves_the_timer),
        cmocka_unit_test(test_a_connection_picked_up_is_assured_after_its_first_reply),
        cmocka_unit_test(test_segments_out_of_the_window_are_invalid_unless_liberal),
        cmocka_unit_test(test_the_same_ack_thrice_more_is_a_retransmission),
        cmocka_unit_test(test_an_invalid_tcp_header_has_no_effect),
        cmocka_unit_test(test_where_sequence_numbers_begin_does_not_matter),
        cmocka_unit_test(test_a_udp_query_and_answer_are_no_stream),
        cmocka_unit_test(test_udp_becomes_a_stream_when_older_than_two_seconds),
        cmocka_unit_test(test_one_way_udp_is_never_a_stream),
        cmocka_unit_test(test_the_other_protocols_have_their_timeouts),
        cmocka_unit_test(test_only_requests_begin_an_icmp_connection),
        cmocka_unit_test(test_an_sctp_association_lives_and_ends),
        cmocka_unit_test(test_sctp_data_begins_nothing_and_needs_its_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
