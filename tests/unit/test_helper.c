/* What FTP, TFTP, IRC and Amanda announce, and what only looks like it. */
#include "helper_case.h"

/* ---- FTP ---- */

/* As a server and a client are before a command: each has ended a line. */
static struct control *ftp(void)
{
    struct control *control = control_of(HELPER_FTP, TCP, 21);
    say(control, R, "220 hello\r\n");
    say(control, O, "USER x\r\n");
    return control;
}

static void test_each_side_of_ftp_names_a_port_of_its_own(void **state)
{
    (void)state;
    static const struct {
        unsigned direction;
        const char *text;
        uint16_t port;
    } cases[] = {
        {O, "PORT 10,0,0,1,156,65\r\n", 40001},
        {O, "port 10,0,0,1,156,65\r\n", 40001},
        {O, "EPRT |1|10.0.0.1|40001|\r\n", 40001},
        {O, "EPRT !1!10.0.0.1!40001!\r\n", 40001},
        {R, "227 Entering Passive Mode (10,0,0,2,39,16)\r\n", 10000},
        {R, "227 =10,0,0,2,39,16\r\n", 10000},
        {R, "229 Entering Extended Passive Mode (|||10000|)\r\n", 10000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *control = ftp();
        say(control, cases[i].direction, cases[i].text);
        bool is_active = cases[i].direction == O;
        enum sender peer = is_active ? FROM_SERVER : FROM_CLIENT;
        assert_true(is_expected(control, peer, TCP, 20, cases[i].port));
        assert_true(is_expected(control, peer, TCP, 5, cases[i].port));
        assert_false(is_expected(control, peer, TCP, 20, cases[i].port + 1));
        assert_false(is_expected(control, peer, UDP, 20, cases[i].port));
        if (is_active)
            assert_false(is_expected(control, FROM_STRANGER, TCP, 20, cases[i].port));
        control_end(control);
    }
}

static void test_ftp_over_ipv6(void **state)
{
    (void)state;
    struct control *control = ftp();
    control->is_ipv6 = true;
    say(control, O, "EPRT |2|2001:db8::1|40001|\r\n");
    assert_true(is_expected(control, FROM_SERVER, TCP, 20, 40001));
    say(control, O, "EPRT |1|10.0.0.1|40002|\r\n");
    assert_false(is_expected(control, FROM_SERVER, TCP, 20, 40002));
    say(control, O, "EPRT |2|2001:db8::9|40003|\r\n");
    assert_false(is_expected(control, FROM_SERVER, TCP, 20, 40003));
    say(control, R, "229 Extended (|||10000|)\r\n");
    assert_true(is_expected(control, FROM_CLIENT, TCP, 5, 10000));
    control_end(control);
}

static void test_what_is_no_ftp_command_announces_nothing(void **state)
{
    (void)state;
    static const struct {
        unsigned direction;
        const char *text;
    } cases[] = {
        {O, "PORT 10,0,0,9,156,65\r\n"}, /* a third party's address */
        {R, "227 Entering (10,0,0,9,39,16)\r\n"},
        {O, "227 Entering (10,0,0,1,39,16)\r\n"}, /* the wrong side */
        {R, "PORT 10,0,0,2,39,16\r\n"},
        {O, " PORT 10,0,0,1,156,65\r\n"},
        {O, "PORT"},
        {O, "PORT 10,0,0,1,156\r\n"},
        {O, "PORT 10,0,0,1,156,65"}, /* split */
        {O, "PORT 10,0,0,1,156,65\n"},
        {O, "PORT 10.0.0.1,156,65\r\n"},
        {O, "EPRT |2|10.0.0.1|40001|\r\n"},
        {O, "EPRT |1|10.0.0.1|0|\r\n"},
        {O, "EPRT |1|10.0.0.1|40001"},
        {O, "EPRT 111.0.0.1|40001|\r\n"},
        {O, "EPRT |1|"},
        {R, "229 Extended (||10000|)\r\n"},
        {R, "229 Extended |||10000|\r\n"},
        {R, "229 Extended (111100001)\r\n"},
        {R, "229 ("},
        {R, "227 no digits at all\r\n"},
        {R, "227 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *control = ftp();
        say(control, cases[i].direction, cases[i].text);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

static void test_the_first_segment_of_an_ftp_direction_is_never_read(void **state)
{
    (void)state;
    struct control *control = control_of(HELPER_FTP, TCP, 21);
    say(control, O, "PORT 10,0,0,1,156,65\r\n");
    assert_int_equal(expectation_table_count(control->expectations), 0);
    say(control, O, "PORT 10,0,0,1,156,66\r\n");
    assert_true(is_expected(control, FROM_SERVER, TCP, 20, 40002));
    control_end(control);
}

static void test_ftp_is_read_where_a_line_begins_only(void **state)
{
    (void)state;
    struct control *control = ftp();
    say(control, O, "NOOP");
    say(control, O, "PORT 10,0,0,1,156,65\r\n");
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control->sequence[O] -= (uint32_t)strlen("PORT 10,0,0,1,156,65\r\n"); /* sent again */
    say(control, O, "PORT 10,0,0,1,156,65\r\n");
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control->sequence[O] += 17; /* a gap */
    say(control, O, "PORT 10,0,0,1,156,65\r\n");
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);
}

static void test_ftp_waits_for_traffic_both_ways(void **state)
{
    (void)state;
    struct control *control = ftp();
    struct helper_step step = control->step;
    const uint8_t text[] = "PORT 10,0,0,1,156,65\r\n";
    control->packet.payload = text;
    control->packet.payload_bytes = sizeof text - 1;
    control->packet.tcp.payload_bytes = sizeof text - 1;
    control->packet.tcp.sequence = control->sequence[O];
    step.is_established = false;
    control->helper->on_packet(&step);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    step.is_established = true;
    control->helper->on_packet(&step);
    assert_int_equal(expectation_table_count(control->expectations), 1);
    control_end(control);
}

static void test_the_next_ftp_port_replaces_the_last_one(void **state)
{
    (void)state;
    struct control *control = ftp();
    say(control, R, "227 P (10,0,0,2,39,16)\r\n");
    say(control, R, "227 P (10,0,0,2,39,17)\r\n");
    assert_false(is_expected(control, FROM_CLIENT, TCP, 5, 10000));
    assert_true(is_expected(control, FROM_CLIENT, TCP, 5, 10001));
    control->clock_ns += 300 * second_ns;
    assert_false(is_expected(control, FROM_CLIENT, TCP, 5, 10001));
    control_end(control);
}

/* ---- TFTP ---- */

static void test_tftp_is_answered_from_any_port(void **state)
{
    (void)state;
    for (uint8_t code = 0; code < 8; code++) {
        struct control *control = control_of(HELPER_TFTP, UDP, 69);
        const uint8_t request[] = {0, code, 'f', 0, 'o', 0};
        send_bytes(control, O, request, sizeof request);
        bool is_request = code == 1 || code == 2;
        assert_int_equal(is_expected(control, FROM_SERVER, UDP, 33333, CLIENT_PORT), is_request);
        assert_int_equal(expectation_table_count(control->expectations), is_request);
        control_end(control);
    }
}

static void test_a_tftp_request_of_one_byte_is_none(void **state)
{
    (void)state;
    struct control *control = control_of(HELPER_TFTP, UDP, 69);
    send_bytes(control, O, "\0", 1);
    send_bytes(control, O, "", 0);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);
}

/* ---- IRC ---- */

static void test_a_dcc_offer_lets_anybody_in(void **state)
{
    (void)state;
    static const char *const offers[] = {
        "PRIVMSG nick :\1DCC SEND file.txt 167772161 5000 1234\1\r\n",
        "  PRIVMSG nick :\1DCC CHAT chat 167772161 5000\1\n",
        "PRIVMSG nick :\1DCC TSEND f 167772161  5000\1\n",
    };
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
        struct control *control = control_of(HELPER_IRC, TCP, 6667);
        say(control, O, offers[i]);
        assert_true(is_expected(control, FROM_SERVER, TCP, 7, 5000));
        assert_true(is_expected(control, FROM_STRANGER, TCP, 9, 5000));
        assert_false(is_expected(control, FROM_STRANGER, TCP, 9, 5001));
        control_end(control);
    }
}

static void test_what_is_no_dcc_offer_of_the_clients_own_announces_nothing(void **state)
{
    (void)state;
    static const struct {
        unsigned direction;
        const char *text;
    } cases[] = {
        {R, "PRIVMSG nick :\1DCC SEND file.txt 167772162 5000 1234\1\r\n"},
        {O, "PRIVMSG nick :\1DCC SEND file.txt 167772170 5000 1234\1\r\n"}, /* 10.0.0.10 */
        {O, "PRIVMSG nick :\1DCC SEND file.txt 167772161 0 1234\1\r\n"},
        {O, "PRIVMSG nick :\1DCC SEND file.txt 167772161 65536 12\1\r\n"},
        {O, "PRIVMSG nick :\1DCC SEND file.txt 167772161 5000 1234\1"}, /* no newline */
        {O, "PRIVMSG nick :\1DCC FETCH file.txt 167772161 5000 12\1\r\n"},
        {O, "PRIVMSG nick :\1DCC SEND\1\r\n                            "},
        {O, "NOTICE nick :\1DCC SEND file.txt 167772161 5000 1234\1\r\n"},
        {O, "PRIVMSG nick :hello \1DCC SEND file 167772161 5000 12\1\r\n"},
        {O, "PRIVMSG nick"},
        {O, ""},
        {O, "                                          "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *control = control_of(HELPER_IRC, TCP, 6667);
        say(control, cases[i].direction, cases[i].text);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

/* ---- Amanda ---- */

static void test_an_amanda_client_names_up_to_four_ports(void **state)
{
    (void)state;
    struct control *control = control_of(HELPER_AMANDA, UDP, 10080);
    say(control, O, "CONNECT DATA 11009\n");
    assert_int_equal(control->step.timeout_ns, 0);
    say(control, R, "OPTIONS\nCONNECT DATA 11000 MESG 11001 INDEX 11002\nOPTIONS\n");
    assert_int_equal(control->step.timeout_ns, 300 * second_ns);
    for (uint16_t port = 11000; port < 11003; port++)
        assert_true(is_expected(control, FROM_CLIENT, TCP, 5, port));
    assert_int_equal(expectation_table_count(control->expectations), 3);
    control_end(control);
}

static void test_half_an_amanda_line_announces_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {"CONNECT DATA 11000", "CONNECT\n", "CONNECT DATA x\n",
                                        "CONNECT DATA 0\n", "DATA 11000\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct control *control = control_of(HELPER_AMANDA, UDP, 10080);
        say(control, R, lines[i]);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

/* Every beginning of every message, to every helper: none reads past the end. */
static void test_every_beginning_of_a_message_is_read_safely(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "PORT 10,0,0,1,156,65\r\n",
        "EPRT |1|10.0.0.1|40001|\r\n",
        "229 Entering Extended Passive Mode (|||10000|)\r\n",
        "227 Entering Passive Mode (10,0,0,2,39,16)\r\n",
        "PRIVMSG nick :\1DCC SEND file.txt 167772161 5000 1234\1\r\n",
        "CONNECT DATA 11000 MESG 11001 INDEX 11002\n",
        "INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nc=IN IP4 10.0.0.1\r\nm=audio "
        "6000\r\n",
    };
    for (unsigned number = HELPER_FTP; number < HELPER_N; number++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            for (size_t size = 0; size <= strlen(texts[i]); size++) {
                struct control *control = control_of(number, TCP, 21);
                say(control, O, "\n");
                say(control, R, "\n");
                send_bytes(control, O, texts[i], size);
                send_bytes(control, R, texts[i], size);
                control_end(control);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_side_of_ftp_names_a_port_of_its_own),
        cmocka_unit_test(test_ftp_over_ipv6),
        cmocka_unit_test(test_what_is_no_ftp_command_announces_nothing),
        cmocka_unit_test(test_the_first_segment_of_an_ftp_direction_is_never_read),
        cmocka_unit_test(test_ftp_is_read_where_a_line_begins_only),
        cmocka_unit_test(test_ftp_waits_for_traffic_both_ways),
        cmocka_unit_test(test_the_next_ftp_port_replaces_the_last_one),
        cmocka_unit_test(test_tftp_is_answered_from_any_port),
        cmocka_unit_test(test_a_tftp_request_of_one_byte_is_none),
        cmocka_unit_test(test_a_dcc_offer_lets_anybody_in),
        cmocka_unit_test(test_what_is_no_dcc_offer_of_the_clients_own_announces_nothing),
        cmocka_unit_test(test_an_amanda_client_names_up_to_four_ports),
        cmocka_unit_test(test_half_an_amanda_line_announces_nothing),
        cmocka_unit_test(test_every_beginning_of_a_message_is_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
