/* SIP: whose media, whose registration, and what ends them. */
#include "helper_case.h"

#include <stdio.h>

#define SDP(address, port)                                                                         \
    "\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 " address "\r\nm=audio " port " RTP/AVP 0\r\n"

static const char invite[] =
    "INVITE sip:b@b SIP/2.0\r\nVia: x\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "6000");

static struct control *sip(void)
{
    return control_of(HELPER_SIP, UDP, 5060);
}

static void test_a_session_description_names_rtp_and_rtcp_from_the_peer(void **state)
{
    (void)state;
    struct control *control = sip();
    say(control, O, invite);
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6000));
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6001));
    assert_false(is_expected(control, FROM_SERVER, UDP, 9, 6002));
    assert_false(is_expected(control, FROM_STRANGER, UDP, 9, 6000));
    assert_int_equal(control->step.timeout_ns, 3600 * second_ns);
    control->clock_ns += 180 * second_ns;
    assert_false(is_expected(control, FROM_SERVER, UDP, 9, 6000));
    control_end(control);
}

static void test_an_answer_names_the_other_ends_media(void **state)
{
    (void)state;
    struct control *control = sip();
    say(control, R, "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.2", "7000"));
    assert_true(is_expected(control, FROM_CLIENT, UDP, 9, 7000));
    say(control, R, "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.2", "7002"));
    assert_true(is_expected(control, FROM_CLIENT, UDP, 9, 7002));
    control_end(control);
}

static void test_an_odd_port_has_its_rtp_below_it(void **state)
{
    (void)state;
    struct control *control = sip();
    say(control, O, "ACK sip:b@b SIP/2.0\r\nCSeq: 1 ACK\r\n" SDP("10.0.0.1", "6001"));
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6000));
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6001));
    control_end(control);
}

static void test_each_medium_may_have_an_address_of_its_own(void **state)
{
    (void)state;
    struct control *control = sip();
    say(control, O,
        "UPDATE sip:b@b SIP/2.0\r\nCSeq: 1 UPDATE\r\n\r\nv=0\r\nc=IN IP4 10.0.0.9\r\n"
        "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\nm=video 6100 RTP/AVP 31\r\n"
        "m=text 6200 RTP/AVP 98\r\nm=image 0 udptl t38\r\n");
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6000));
    assert_false(is_expected(control, FROM_SERVER, UDP, 9, 6100)); /* 10.0.0.9's */
    assert_int_equal(expectation_table_count(control->expectations), 2);
    control_end(control);
}

static void test_media_of_third_parties_and_what_is_malformed_announce_nothing(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.9", "6000"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "1023"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "65536"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "0"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0", "6000"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("host.example", "6000"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: x\r\n" SDP("10.0.0.1", "6000"),
        "INVITE sip:b@b SIP/2.0\r\nVia: x\r\n" SDP("10.0.0.1", "6000"),
        "INVITE\tsip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "6000"),
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 6000 RTP/AVP 0\r\n",
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000 x\r\n",
        "OPTIONS sip:b@b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n" SDP("10.0.0.1", "6000"),
        "SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "6000"),
        "SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n" SDP("10.0.0.1", "6000"),
        "SIP/2.0 OK\r\nCSeq: 1 INVITE\r\n" SDP("10.0.0.1", "6000"),
        "\r\n\r\n",
        "x",
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct control *control = sip();
        say(control, O, messages[i]);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

static void test_a_call_that_ends_or_fails_leaves_no_expectation(void **state)
{
    (void)state;
    static const struct {
        unsigned direction;
        const char *text;
        size_t n_left;
    } cases[] = {
        {O, "BYE sip:b@b SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n", 0},
        {R, "SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n", 0},
        {R, "SIP/2.0 486 Busy Here\r\nCSeq: 3 INVITE\r\n\r\n", 2}, /* of another call */
        {R, "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n", 2},
        {O, "INVITE sip:c@c SIP/2.0\r\nCSeq: 2 INVITE\r\n\r\n", 0}, /* begins anew */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *control = sip();
        say(control, O, invite);
        say(control, cases[i].direction, cases[i].text);
        assert_int_equal(expectation_table_count(control->expectations), cases[i].n_left);
        control_end(control);
    }
}

/* ---- registrations ---- */

static void say_register(struct control *control, const char *contact, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "REGISTER sip:b SIP/2.0\r\nCSeq: 7 REGISTER\r\nContact: %s\r\n%s\r\n", contact, more);
    say(control, O, text);
}

static void test_a_registration_counts_once_the_registrar_agrees(void **state)
{
    (void)state;
    struct control *control = sip();
    say_register(control, "<sip:a@10.0.0.1:5070>;expires=60", "");
    assert_int_equal(expectation_table_count(control->expectations), 1);
    assert_false(is_expected(control, FROM_SERVER, UDP, 5060, 5070));
    say(control, R, "SIP/2.0 100 Trying\r\nCSeq: 7 REGISTER\r\n\r\n");
    assert_false(is_expected(control, FROM_SERVER, UDP, 5060, 5070));
    say(control, R,
        "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\n"
        "m: <sip:z@10.0.0.8:5070>, <sip:a@10.0.0.1:5070>;expires=400\r\n\r\n");
    assert_true(is_expected(control, FROM_SERVER, UDP, 5060, 5070));
    control->clock_ns += 399 * second_ns;
    assert_true(is_expected(control, FROM_SERVER, UDP, 5060, 5070));
    control->clock_ns += second_ns;
    assert_false(is_expected(control, FROM_SERVER, UDP, 5060, 5070));
    control_end(control);
}

static void test_a_refused_or_ended_registration_is_forgotten(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "SIP/2.0 403 Forbidden\r\nCSeq: 7 REGISTER\r\n\r\n",
        "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\n\r\n",
        "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\nContact: <sip:a@10.0.0.1:5070>;expires=0\r\n\r\n",
        "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\nContact: <sip:a@10.0.0.1:5071>;expires=9\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct control *control = sip();
        say_register(control, "<sip:a@10.0.0.1:5070>;expires=60", "");
        say(control, R, "SIP/2.0 403 No\r\nCSeq: 6 REGISTER\r\n\r\n"); /* to an earlier one */
        assert_int_equal(expectation_table_count(control->expectations), 1);
        say(control, R, answers[i]);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

static void test_what_registers_nobody_announces_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *contact, *more;
    } cases[] = {
        {"<sip:a@10.0.0.9:5070>;expires=60", ""},     /* somebody else */
        {"<sip:a@host.example:5070>;expires=60", ""}, /* a name */
        {"<sip:a@10.0.0.1:80>;expires=60", ""},       /* no such port */
        {"<sip:a@10.0.0.1:5070>", ""},                /* no time */
        {"<sip:a@10.0.0.1:5070>;expires=0", ""},      /* goes away */
        {"<sip:a@10.0.0.1:5070>", "Expires: 0\r\n"},
        {"<sip:a@10.0.0.1:5070;transport=SCTP>;expires=60", ""},
        {"*", "Expires: 60\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control *control = sip();
        say_register(control, cases[i].contact, cases[i].more);
        assert_int_equal(expectation_table_count(control->expectations), 0);
        control_end(control);
    }
}

static void test_a_registration_may_be_for_tcp_and_for_the_usual_port(void **state)
{
    (void)state;
    struct control *control = sip();
    say_register(control, "<sip:a@10.0.0.1;transport=TCP>", "Expires: 60\r\n");
    say(control, R,
        "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\nExpires: 60\r\n"
        "Contact: <sip:a@10.0.0.1;transport=TCP>\r\n\r\n");
    assert_true(is_expected(control, FROM_SERVER, TCP, 1234, 5060));
    assert_false(is_expected(control, FROM_SERVER, UDP, 1234, 5060));
    control_end(control);
}

static void test_an_expected_connection_does_not_register(void **state)
{
    (void)state;
    struct control *control = sip();
    control->connection.status = STATUS_EXPECTED;
    say_register(control, "<sip:a@10.0.0.1:5070>;expires=60", "");
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);
}

/* ---- TCP, IPv6 ---- */

static void test_a_tcp_segment_may_hold_several_messages(void **state)
{
    (void)state;
    char text[1024];
    const char body[] = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000 RTP/AVP 0\r\n";
    int used = snprintf(text, sizeof text,
                        "OPTIONS sip:b SIP/2.0\r\nContent-Length: 0\r\n\r\n"
                        "INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\nl: %zu\r\n\r\n%s",
                        sizeof body - 1, body);
    for (int cut = 0; cut < 2; cut++) {
        struct control *control = control_of(HELPER_SIP, TCP, 5060);
        send_bytes(control, O, text, (size_t)(used - cut));
        assert_int_equal(expectation_table_count(control->expectations), cut ? 0 : 2);
        control_end(control);
    }
}

static void test_media_over_ipv6(void **state)
{
    (void)state;
    struct control *control = sip();
    control->is_ipv6 = true;
    say(control, O,
        "INVITE sip:b@b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n"
        "c=IN IP6 2001:db8::1\r\nm=audio 6000 RTP/AVP 0\r\n");
    assert_true(is_expected(control, FROM_SERVER, UDP, 9, 6000));
    say_register(control, "<sip:a@[2001:db8::1]:5070>;expires=60", "");
    assert_int_equal(expectation_table_count(control->expectations), 3);
    say_register(control, "<sip:a@2001:db8::1>;expires=60", "");
    assert_int_equal(expectation_table_count(control->expectations), 3);
    control_end(control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_description_names_rtp_and_rtcp_from_the_peer),
        cmocka_unit_test(test_an_answer_names_the_other_ends_media),
        cmocka_unit_test(test_an_odd_port_has_its_rtp_below_it),
        cmocka_unit_test(test_each_medium_may_have_an_address_of_its_own),
        cmocka_unit_test(test_media_of_third_parties_and_what_is_malformed_announce_nothing),
        cmocka_unit_test(test_a_call_that_ends_or_fails_leaves_no_expectation),
        cmocka_unit_test(test_a_registration_counts_once_the_registrar_agrees),
        cmocka_unit_test(test_a_refused_or_ended_registration_is_forgotten),
        cmocka_unit_test(test_what_registers_nobody_announces_nothing),
        cmocka_unit_test(test_a_registration_may_be_for_tcp_and_for_the_usual_port),
        cmocka_unit_test(test_an_expected_connection_does_not_register),
        cmocka_unit_test(test_a_tcp_segment_may_hold_several_messages),
        cmocka_unit_test(test_media_over_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
