/* PPTP: when a call's GRE packets are awaited, and which call ids they have. */
#include "helper_case.h"

enum { CLIENT_CALL = 0x11, SERVER_CALL = 0x22, BODY_MAX = 208 };

enum {
    START_REQUEST = 1,
    START_REPLY = 2,
    STOP_REQUEST = 3,
    OUT_REQUEST = 7,
    OUT_REPLY = 8,
    IN_REQUEST = 9,
    IN_REPLY = 10,
    IN_CONNECTED = 11,
    DISCONNECTED = 13,
};

/* 'first' and 'second': call ids; 'result' at its place of the message. */
static void tell(struct control *control, unsigned direction, uint8_t kind, uint16_t first,
                 uint16_t second, uint8_t result)
{
    uint8_t bytes[12 + BODY_MAX] = {[3] = 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind};
    uint8_t *body = bytes + 12;
    body[0] = (uint8_t)(first >> 8);
    body[1] = (uint8_t)first;
    body[2] = (uint8_t)(second >> 8);
    body[3] = (uint8_t)second;
    body[4] = result;
    if (kind == START_REPLY)
        body[2] = result;
    send_bytes(control, direction, bytes, sizeof bytes);
}

static struct control *session(void)
{
    struct control *control = control_of(HELPER_PPTP, TCP, 1723);
    tell(control, O, START_REQUEST, 0, 0, 0);
    tell(control, R, START_REPLY, 0x100, 0, 1);
    return control;
}

static bool is_call_expected(struct control *control)
{
    return is_expected(control, FROM_CLIENT, GRE, CLIENT_CALL, SERVER_CALL) &&
           is_expected(control, FROM_SERVER, GRE, SERVER_CALL, CLIENT_CALL);
}

static const struct call *find_call(const struct control *control, bool of_client, uint16_t id)
{
    struct call_key key = {.call_id = id, .ip_version = 4};
    memcpy(key.source_address, control_address(control, of_client), 16);
    memcpy(key.destination_address, control_address(control, !of_client), 16);
    return call_map_find(control->calls, &key);
}

static void open_call(struct control *control)
{
    tell(control, O, OUT_REQUEST, CLIENT_CALL, 1, 0);
    tell(control, R, OUT_REPLY, SERVER_CALL, CLIENT_CALL, 1);
}

static void test_a_call_out_is_awaited_both_ways_and_its_ids_are_known(void **state)
{
    (void)state;
    struct control *control = session();
    open_call(control);
    assert_true(is_call_expected(control));
    assert_int_equal(expectation_table_count(control->expectations), 2);
    assert_int_equal(find_call(control, true, SERVER_CALL)->sender_call_id, CLIENT_CALL);
    assert_int_equal(find_call(control, false, CLIENT_CALL)->sender_call_id, SERVER_CALL);
    assert_null(find_call(control, true, CLIENT_CALL));
    open_call(control); /* sent again */
    assert_true(is_call_expected(control));
    assert_int_equal(call_map_count(control->calls), 2);
    control_end(control);
}

static void test_a_call_in_needs_three_messages(void **state)
{
    (void)state;
    struct control *control = session();
    tell(control, R, IN_REQUEST, SERVER_CALL, 0, 0);
    tell(control, R, IN_CONNECTED, CLIENT_CALL, 0, 0);
    assert_false(is_call_expected(control));
    tell(control, O, IN_REPLY, CLIENT_CALL, SERVER_CALL, 1);
    assert_false(is_call_expected(control));
    tell(control, R, IN_CONNECTED, CLIENT_CALL, 0, 0);
    assert_true(is_call_expected(control));
    control_end(control);
}

static void test_calls_are_refused_out_of_order_or_with_other_ids(void **state)
{
    (void)state;
    struct control *control = control_of(HELPER_PPTP, TCP, 1723);
    open_call(control); /* no session */
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);

    control = session();
    tell(control, R, OUT_REPLY, SERVER_CALL, CLIENT_CALL, 1); /* not asked for */
    assert_int_equal(expectation_table_count(control->expectations), 0);
    tell(control, O, OUT_REQUEST, CLIENT_CALL, 1, 0);
    tell(control, R, OUT_REPLY, SERVER_CALL, CLIENT_CALL + 1, 1);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    tell(control, R, OUT_REPLY, SERVER_CALL, CLIENT_CALL, 2); /* busy */
    tell(control, R, OUT_REPLY, SERVER_CALL, CLIENT_CALL, 1);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);

    control = session();
    tell(control, O, STOP_REQUEST, 0, 0, 0);
    open_call(control);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    control_end(control);
}

static void test_a_second_call_is_not_expected(void **state)
{
    (void)state;
    struct control *control = session();
    open_call(control);
    tell(control, O, OUT_REQUEST, CLIENT_CALL + 1, 1, 0);
    tell(control, R, OUT_REPLY, SERVER_CALL + 1, CLIENT_CALL + 1, 1);
    assert_int_equal(expectation_table_count(control->expectations), 0);
    assert_int_equal(call_map_count(control->calls), 2);
    assert_non_null(find_call(control, true, SERVER_CALL));
    control_end(control);
}

static void test_a_disconnected_call_is_hung_up(void **state)
{
    (void)state;
    struct control *control = session();
    open_call(control);
    assert_false(control->step.has_hung_up);
    tell(control, R, DISCONNECTED, SERVER_CALL, 0, 0);
    assert_true(control->step.has_hung_up);
    helper_forget_calls(control->calls, &control->connection);
    assert_int_equal(call_map_count(control->calls), 0);
    helper_forget_calls(control->calls, &control->connection);
    control_end(control);
}

static void test_a_full_call_map_leaves_nothing_half_done(void **state)
{
    (void)state;
    struct control *control = session();
    struct call other = {.key = {.call_id = 1, .ip_version = 4}};
    for (uint16_t i = 0; i < 3; i++) {
        other.key.call_id = i;
        assert_true(call_map_add(control->calls, &other));
    }
    open_call(control);
    assert_int_equal(call_map_count(control->calls), 3);
    assert_false(control->extra.helper.pptp.has_calls);
    control_end(control);
}

static void test_every_beginning_of_a_pptp_message_is_read_safely(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < 20; kind++)
        for (size_t size = 0; size < 12 + BODY_MAX; size++) {
            const uint8_t bytes[12 + BODY_MAX] = {[3] = 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind};
            struct control *control = session();
            send_bytes(control, O, bytes, size);
            send_bytes(control, R, bytes, size);
            control_end(control);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_out_is_awaited_both_ways_and_its_ids_are_known),
        cmocka_unit_test(test_a_call_in_needs_three_messages),
        cmocka_unit_test(test_calls_are_refused_out_of_order_or_with_other_ids),
        cmocka_unit_test(test_a_second_call_is_not_expected),
        cmocka_unit_test(test_a_disconnected_call_is_hung_up),
        cmocka_unit_test(test_a_full_call_map_leaves_nothing_half_done),
        cmocka_unit_test(test_every_beginning_of_a_pptp_message_is_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
