/* helper_case: a control connection between two ends, whose packets a helper reads. */
#ifndef WANMETER_TESTS_HELPER_CASE_H
#define WANMETER_TESTS_HELPER_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/helper.h"

enum { O = FLOW_ORIGINAL, R = FLOW_REPLY };
enum { TCP = 6, UDP = 17, GRE = 47 };
enum { CLIENT_PORT = 40000 };

static const int64_t second_ns = 1000000000;
static const uint8_t client_address[16] = {10, 0, 0, 1};
static const uint8_t server_address[16] = {10, 0, 0, 2};
static const uint8_t client_ipv6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
static const uint8_t server_ipv6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

struct control {
    const struct helper *helper;
    struct connection connection;
    struct connection_extra extra;
    struct expectation_table *expectations;
    struct call_map *calls;
    struct helper_step step; /* of the last packet */
    struct packet packet;
    uint8_t protocol;
    uint16_t server_port;
    uint32_t sequence[FLOW_DIRECTIONS];
    int64_t clock_ns;
    bool is_ipv6;
};

static inline struct control *control_of(unsigned number, uint8_t protocol, uint16_t server_port)
{
    struct control *control = aligned_alloc(_Alignof(struct control), sizeof *control);
    assert_non_null(control);
    memset(control, 0, sizeof *control);
    control->helper = helper_of(number);
    control->protocol = protocol;
    control->server_port = server_port;
    control->sequence[O] = 100;
    control->sequence[R] = 4294967290; /* wraps */
    control->extra.helper_number = (uint8_t)number;
    control->connection.extra = &control->extra;
    control->connection.expires_ns = INT64_MAX;
    control->connection.original_end = ORIGINAL_IS_LOW;
    control->connection.tuple.protocol = protocol;
    control->connection.tuple.ip_version = 4;
    memcpy(control->connection.tuple.low_address, client_address, 4);
    memcpy(control->connection.tuple.high_address, server_address, 4);
    assert_int_equal(expectation_table_create(64, &control->expectations), 0);
    assert_int_equal(call_map_create(4, &control->calls), 0);
    return control;
}

static inline void control_end(struct control *control)
{
    expectation_table_destroy(control->expectations);
    call_map_destroy(control->calls);
    free(control);
}

static inline const uint8_t *control_address(const struct control *control, bool is_client)
{
    if (control->is_ipv6)
        return is_client ? client_ipv6 : server_ipv6;
    return is_client ? client_address : server_address;
}

/* The bytes are copied to a place that ends where they do, so that reading past them is seen. */
static inline void send_bytes(struct control *control, unsigned direction, const void *bytes,
                              size_t size)
{
    uint8_t *payload = malloc(size ? size : 1);
    memcpy(payload, bytes, size);
    bool is_reply = direction == R;
    control->packet = (struct packet){
        .clock_ns = control->clock_ns,
        .source_port = is_reply ? control->server_port : CLIENT_PORT,
        .destination_port = is_reply ? CLIENT_PORT : control->server_port,
        .protocol = control->protocol,
        .marks = control->is_ipv6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4,
        .tcp = {.sequence = control->sequence[direction], .payload_bytes = (uint16_t)size},
        .payload = size ? payload : NULL,
        .payload_bytes = (uint16_t)(size < PACKET_PAYLOAD_MAX ? size : PACKET_PAYLOAD_MAX),
    };
    memcpy(control->packet.source_address, control_address(control, !is_reply), 16);
    memcpy(control->packet.destination_address, control_address(control, is_reply), 16);
    control->step = (struct helper_step){
        .packet = &control->packet,
        .connection = &control->connection,
        .expectations = control->expectations,
        .calls = control->calls,
        .direction = direction,
        .is_established = true,
    };
    control->helper->on_packet(&control->step);
    control->sequence[direction] += (uint32_t)size;
    control->clock_ns += second_ns / 1000;
    free(payload);
}

static inline void say(struct control *control, unsigned direction, const char *text)
{
    send_bytes(control, direction, text, strlen(text));
}

/* Whether a first packet from one end, or a stranger, would be expected. */
enum sender { FROM_CLIENT, FROM_SERVER, FROM_STRANGER };

static inline bool is_expected(struct control *control, enum sender sender, uint8_t protocol,
                               uint16_t source_port, uint16_t port)
{
    static const uint8_t stranger[16] = {10, 0, 0, 99};
    struct expectation_key key = {
        .source_port = source_port,
        .destination_port = port,
        .protocol = protocol,
        .ip_version = control->is_ipv6 ? 6 : 4,
    };
    const uint8_t *source = control_address(control, sender == FROM_CLIENT);
    memcpy(key.source_address, sender == FROM_STRANGER ? stranger : source, 16);
    memcpy(key.destination_address, control_address(control, sender != FROM_CLIENT), 16);
    return expectation_table_find(control->expectations, &key, control->clock_ns) != NULL;
}

#endif
