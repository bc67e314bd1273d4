/* The envelopes: what was encoded comes back; what is out of range or not ours does not come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "change.pb-c.h"
#include "control.pb-c.h"
#include "event.pb-c.h"
#include "pipeline.pb-c.h"
#include "proto/change.h"
#include "proto/message.h"

static const struct stream_id capture_stream = {.producer = "capture-0", .epoch = 99, .shard = 2};

static struct message decoded(const struct message *message, enum message_result expected)
{
    size_t size;
    uint8_t *bytes = message_encode(message, &size);
    assert_non_null(bytes);
    struct message out;
    assert_int_equal(message_decode(bytes, size, &out), expected);
    free(bytes);
    return out;
}

static struct message packet_message(const uint8_t *packets, size_t size, uint32_t n)
{
    return (struct message){
        .kind = MESSAGE_PACKETS,
        .stream = capture_stream,
        .seq = 5,
        .totals = {.packets = 3, .l2_bytes = 200, .l3_bytes = 100},
        .watermark_ns = 1234,
        .packets = packets,
        .packets_size = size,
        .n_packets = n,
    };
}

static void test_a_packet_batch_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t packets[3 * PACKET_BASE_SIZE];
    for (size_t i = 0; i < sizeof packets; i++)
        packets[i] = (uint8_t)i;
    struct stream_loss loss = {
        .stream = capture_stream,
        .loss = {.first_ns = 1,
                 .last_ns = 2,
                 .packets = 3,
                 .l2_bytes = -1,
                 .l3_bytes = -1,
                 .stage = LOSS_CAPTURE,
                 .certainty = LOSS_UNKNOWN,
                 .reason = "cut",
                 .evidence = "here"},
    };
    struct stream_source source = {
        .stream = capture_stream,
        .total = {.name = "a.pcap", .packets = 3, .l2_bytes = 200, .is_complete = true},
    };
    struct message message = packet_message(packets, sizeof packets, 3);
    message.losses = &loss;
    message.n_losses = 1;
    message.sources = &source;
    message.n_sources = 1;
    message.end_of_stream = true;

    struct message out = decoded(&message, MESSAGE_OK);
    assert_int_equal(out.kind, MESSAGE_PACKETS);
    assert_true(stream_id_equal(&out.stream, &capture_stream));
    assert_int_equal(out.seq, 5);
    assert_true(out.end_of_stream);
    assert_int_equal(out.totals.l2_bytes, 200);
    assert_int_equal(out.watermark_ns, 1234);
    assert_int_equal(out.n_packets, 3);
    assert_int_equal(out.packets_size, sizeof packets);
    assert_memory_equal(out.packets, packets, sizeof packets);
    assert_int_equal(out.n_losses, 1);
    assert_true(stream_id_equal(&out.losses[0].stream, &capture_stream));
    assert_int_equal(out.losses[0].loss.packets, 3);
    assert_int_equal(out.losses[0].loss.l2_bytes, LOSS_AMOUNT_UNKNOWN);
    assert_int_equal(out.losses[0].loss.stage, LOSS_CAPTURE);
    assert_string_equal(out.losses[0].loss.reason, "cut");
    assert_string_equal(out.losses[0].loss.evidence, "here");
    assert_int_equal(out.n_sources, 1);
    assert_string_equal(out.sources[0].total.name, "a.pcap");
    assert_int_equal(out.sources[0].total.l2_bytes, 200);
    assert_true(out.sources[0].total.is_complete);
    message_release(&out);
}

/* Also one without any; and nothing is written where there is no room for all of it. */
static void test_a_batch_made_around_its_packets_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t room[MESSAGE_PACKETS_AT + 300 * PACKET_BASE_SIZE + MESSAGE_REST_MAX];
    struct stream_loss loss = {.stream = capture_stream, .loss = {.reason = "cut"}};
    for (uint32_t n = 0; n <= 300; n++) {
        uint8_t *packets = room + MESSAGE_PACKETS_AT;
        memset(room, 0x11, sizeof room);
        struct message message = packet_message(packets, n * PACKET_BASE_SIZE, n);
        message.losses = &loss;
        message.n_losses = n % 2;
        message.end_of_stream = n % 3 == 0;
        size_t size = message_encode_around(&message, room, sizeof room);
        assert_in_range(size, 1, sizeof room);

        struct message out;
        assert_int_equal(message_decode(room, size, &out), MESSAGE_OK);
        assert_true(stream_id_equal(&out.stream, &capture_stream));
        assert_int_equal(out.seq, 5);
        assert_int_equal(out.totals.l2_bytes, 200);
        assert_int_equal(out.watermark_ns, 1234);
        assert_int_equal(out.end_of_stream, n % 3 == 0);
        assert_int_equal(out.n_packets, n);
        assert_int_equal(out.packets_size, n * PACKET_BASE_SIZE);
        for (size_t i = 0; i < out.packets_size; i++)
            assert_int_equal(out.packets[i], 0x11);
        assert_int_equal(out.n_losses, n % 2);
        message_release(&out);

        memset(room, 0x11, sizeof room);
        assert_int_equal(message_encode_around(&message, room, size - 1), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(room[i], 0x11);
    }
}

static void test_a_record_batch_comes_back_as_it_was(void **state)
{
    (void)state;
    struct usage_delta usage = {.slot_ns = 300, .packets = 2, .class_index = CLASS_ARP};
    struct flow_record flow = {.id = 1, .ip_version = 4, .protocol = 6, .has_ports = 1};
    struct connection_event event = {.flow = flow, .kind = EVENT_UPDATE};
    struct high_water mark = {
        .stream = capture_stream, .seq = 3, .packets_into_next = 7, .totals = {.packets = 2}};
    struct message message = {
        .kind = MESSAGE_RECORDS,
        .stream = {.producer = "tracker-2", .epoch = 1, .shard = 2},
        .usage = (const uint8_t *)&usage,
        .n_usage = 1,
        .flows = (const uint8_t *)&flow,
        .n_flows = 1,
        .events = (const uint8_t *)&event,
        .n_events = 1,
        .applied = &mark,
        .n_applied = 1,
    };
    struct message out = decoded(&message, MESSAGE_OK);
    assert_int_equal(out.n_usage, 1);
    assert_memory_equal(out.usage, &usage, sizeof usage);
    assert_memory_equal(out.flows, &flow, sizeof flow);
    assert_memory_equal(out.events, &event, sizeof event);
    assert_int_equal(out.applied[0].packets_into_next, 7);
    message_release(&out);
}

static void test_a_reply_comes_back_as_it_was(void **state)
{
    (void)state;
    struct high_water mark = {.stream = capture_stream, .seq = -1};
    struct reply reply = {.kind = REPLY_WELCOME,
                          .stream = capture_stream,
                          .committed_seq = -1,
                          .next_seq = 4,
                          .applied = &mark,
                          .n_applied = 1};
    for (int kind = REPLY_WELCOME; kind <= REPLY_SAY_HELLO; kind++) {
        reply.kind = (enum reply_kind)kind;
        size_t size;
        uint8_t *bytes = reply_encode(&reply, &size);
        struct reply out;
        assert_int_equal(reply_decode(bytes, size, &out), MESSAGE_OK);
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.committed_seq, -1);
        assert_int_equal(out.n_applied, kind == REPLY_WELCOME ? 1 : 0);
        reply_release(&out);
        free(bytes);
    }
}

static void test_what_is_restored_comes_back_as_it_was(void **state)
{
    (void)state;
    struct change change = {.id = 9, .time_ns = 5};
    const char *const words[] = {"ct", "flush"};
    uint8_t change_room[PACKET_PAYLOAD_MAX], flows[2 * FLOW_RECORD_SIZE];
    assert_true(change_set_words(&change, words, 2));
    struct change_bytes changes[] = {{change_room, change_encode(&change, change_room)}};
    struct flow_record flow = {.id = 3, .ip_version = 6};
    flow_record_put(&flow, flows);
    flow_record_put(&flow, flows + FLOW_RECORD_SIZE);
    struct reply out, reply = {
                          .kind = REPLY_RESTORED,
                          .stream = capture_stream,
                          .committed_seq = 6,
                          .restored = {.from = 2,
                                       .next = 5,
                                       .clock_ns = -4,
                                       .changes = changes,
                                       .n_changes = 1,
                                       .flows = flows,
                                       .n_flows = 2,
                                       .memory = (const uint8_t *)"vj",
                                       .memory_size = 2},
                      };
    size_t size;
    uint8_t *bytes = reply_encode(&reply, &size);
    assert_int_equal(reply_decode(bytes, size, &out), MESSAGE_OK);
    assert_int_equal(out.kind, REPLY_RESTORED);
    assert_int_equal(out.restored.from, 2);
    assert_int_equal(out.restored.next, 5);
    assert_int_equal(out.restored.clock_ns, -4);
    assert_int_equal(out.restored.n_changes, 1);
    assert_memory_equal(out.restored.changes[0].bytes, change_room, changes[0].size);
    assert_int_equal(out.restored.n_flows, 2);
    assert_memory_equal(out.restored.flows, flows, sizeof flows);
    assert_int_equal(out.restored.memory_size, 2);
    assert_memory_equal(out.restored.memory, "vj", 2);
    reply_release(&out);
    free(bytes);

    reply.restored.next = 2; /* it would never end */
    bytes = reply_encode(&reply, &size);
    assert_int_equal(reply_decode(bytes, size, &out), MESSAGE_INVALID);
    free(bytes);
}

static void test_values_out_of_range_are_refused(void **state)
{
    (void)state;
    uint8_t packets[PACKET_BASE_SIZE] = {0};
    struct message message = packet_message(packets, sizeof packets, 2); /* room for one only */
    decoded(&message, MESSAGE_INVALID);

    message = packet_message(packets, sizeof packets, 1);
    message.seq = -1;
    decoded(&message, MESSAGE_INVALID);

    message = packet_message(packets, sizeof packets, 1);
    strcpy(message.stream.producer, "capture 0; DROP TABLE");
    decoded(&message, MESSAGE_INVALID);

    struct usage_delta usage = {.class_index = CLASS_N};
    struct message records = {.kind = MESSAGE_RECORDS,
                              .stream = capture_stream,
                              .usage = (const uint8_t *)&usage,
                              .n_usage = 1};
    decoded(&records, MESSAGE_INVALID);
}

static void test_every_prefix_and_every_changed_byte_is_survived(void **state)
{
    (void)state;
    uint8_t packets[PACKET_BASE_SIZE] = {0};
    struct message message = packet_message(packets, sizeof packets, 1);
    size_t size;
    uint8_t *bytes = message_encode(&message, &size);
    for (size_t i = 0; i < size; i++) {
        uint8_t *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        struct message out;
        message_decode(copy, i, &out);
        message_release(&out);
        for (int change = 1; change < 256; change += 51) {
            copy[i] = (uint8_t)(bytes[i] ^ change);
            message_decode(copy, size, &out);
            message_release(&out);
        }
        free(copy);
    }
    free(bytes);
}

static void test_unknown_fields_are_refused(void **state)
{
    (void)state;
    uint8_t packets[PACKET_BASE_SIZE] = {0};
    struct message message = packet_message(packets, sizeof packets, 1);
    size_t size;
    uint8_t *bytes = message_encode(&message, &size);
    uint8_t *longer = malloc(size + 3);
    assert_non_null(longer);
    memcpy(longer, bytes, size);
    memcpy(longer + size, "\xa0\x06\x01", 3); /* field 100, varint 1 */
    struct message out;
    assert_int_equal(message_decode(longer, size + 3, &out), MESSAGE_MALFORMED);
    free(longer);
    free(bytes);
}

/* Protobuf would have the last one count; we know of one only where the packets are. */
static void test_a_batch_with_two_contents_is_refused(void **state)
{
    (void)state;
    uint8_t packets[PACKET_BASE_SIZE] = {0};
    struct message message = packet_message(packets, sizeof packets, 1);
    const uint8_t others[][6] = {
        {6 << 3 | 2, 0},                      /* packets again */
        {7 << 3 | 2, 0},                      /* records */
        {8 << 3, 1},                          /* a goodbye */
        {10 << 3 | 2, 0},                     /* a place in a ring */
        {6 << 3 | 2, 0x80, 0x80, 0x80, 0x01}, /* longer than what follows */
    };
    size_t size;
    uint8_t *bytes = message_encode(&message, &size);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t other_size = i == 4 ? 5 : 2;
        uint8_t *longer = malloc(size + other_size);
        assert_non_null(longer);
        memcpy(longer, bytes, size);
        memcpy(longer + size, others[i], other_size);
        struct message out;
        assert_int_equal(message_decode(longer, size + other_size, &out), MESSAGE_MALFORMED);
        free(longer);
    }
    free(bytes);
}

static void test_packets_stay_in_the_block_that_they_came_in(void **state)
{
    (void)state;
    uint8_t packets[PACKET_BASE_SIZE] = {1, 2, 3};
    struct message message = packet_message(packets, sizeof packets, 1), out;
    size_t size;
    uint8_t *bytes = message_encode(&message, &size);
    assert_int_equal(message_decode_block(bytes, free, bytes, size, &out), MESSAGE_OK);
    assert_true(out.packets > bytes && out.packets + out.packets_size <= bytes + size);
    assert_memory_equal(out.packets, packets, sizeof packets);
    message_release(&out);
}

static void test_a_place_in_a_ring_comes_back_as_it_was(void **state)
{
    (void)state;
    struct message message = {.kind = MESSAGE_IN_RING,
                              .stream = capture_stream,
                              .seq = 8,
                              .in_ring = {.offset = 1 << 20, .size = 131072, .crc = 0xfedcba98}};
    struct message out = decoded(&message, MESSAGE_OK);
    assert_int_equal(out.kind, MESSAGE_IN_RING);
    assert_int_equal(out.seq, 8);
    assert_int_equal(out.in_ring.offset, 1 << 20);
    assert_int_equal(out.in_ring.size, 131072);
    assert_int_equal(out.in_ring.crc, 0xfedcba98);
    message_release(&out);
}

/* 2 bytes on the wire make a struct of 100 bytes and more: the bound must hold against a message of
 * nothing but those. */
static void test_a_message_cannot_take_more_memory_than_its_size_allows(void **state)
{
    (void)state;
    size_t n = 1 << 20;
    size_t size = 6 + 2 * n;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    bytes[0] = 6 << 3 | 2; /* Batch.packets, length-delimited */
    uint64_t length = 2 * n;
    size_t at = 1;
    for (; length >= 0x80; length >>= 7)
        bytes[at++] = (uint8_t)(length | 0x80);
    bytes[at++] = (uint8_t)length;
    for (size_t i = 0; i < n; i++) {
        bytes[at++] = 4 << 3 | 2; /* PacketBatch.losses, empty */
        bytes[at++] = 0;
    }
    struct message out;
    assert_int_not_equal(message_decode(bytes, at, &out), MESSAGE_OK);
    free(bytes);
}

/* How deep messages lie in one another; protobuf-c goes down with one stack frame each, so what
 * contains itself would let a sender choose the depth. */
static unsigned depth_of(const ProtobufCMessageDescriptor *type, unsigned depth)
{
    enum { DEPTH_MAX = 6 };
    unsigned deepest = depth;
    if (depth > DEPTH_MAX)
        fail_msg("%s is %u deep: does it contain itself?", type->name, depth);
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            unsigned below = depth_of(type->fields[i].descriptor, depth + 1);
            deepest = below > deepest ? below : deepest;
        }
    return deepest;
}

static void test_no_message_contains_itself(void **state)
{
    (void)state;
    static const ProtobufCMessageDescriptor *const received[] = {
        &wanmeter__batch__descriptor,
        &wanmeter__reply__descriptor,
        &wanmeter__hello__descriptor,
        &wanmeter__change__descriptor,
        &wanmeter__control__request__descriptor,
        &wanmeter__control__reply__descriptor,
        &wanmeter__event__event__descriptor,
        &wanmeter__event__fetch_request__descriptor,
        &wanmeter__event__fetch_reply__descriptor,
    };
    for (size_t i = 0; i < sizeof received / sizeof *received; i++)
        assert_true(depth_of(received[i], 1) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_batch_comes_back_as_it_was),
        cmocka_unit_test(test_a_batch_made_around_its_packets_comes_back_as_it_was),
        cmocka_unit_test(test_a_record_batch_comes_back_as_it_was),
        cmocka_unit_test(test_what_is_restored_comes_back_as_it_was),
        cmocka_unit_test(test_a_reply_comes_back_as_it_was),
        cmocka_unit_test(test_values_out_of_range_are_refused),
        cmocka_unit_test(test_every_prefix_and_every_changed_byte_is_survived),
        cmocka_unit_test(test_unknown_fields_are_refused),
        cmocka_unit_test(test_a_batch_with_two_contents_is_refused),
        cmocka_unit_test(test_packets_stay_in_the_block_that_they_came_in),
        cmocka_unit_test(test_a_place_in_a_ring_comes_back_as_it_was),
        cmocka_unit_test(test_no_message_contains_itself),
        cmocka_unit_test(test_a_message_cannot_take_more_memory_than_its_size_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
