/* The packed descriptor: decode(encode(x)) = x, and what is no descriptor is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/packet.h"

static void fill(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(rand() >> 5);
}

static void make_valid(struct packet_sctp *sctp)
{
    sctp->n_chunks %= SCTP_CHUNKS_MAX + 1;
    for (unsigned i = 0; i < SCTP_CHUNKS_MAX; i++)
        sctp->chunks[i] %= SCTP_CHUNK_N;
}

static uint8_t payload[PACKET_PAYLOAD_MAX];

static void make_extension(struct packet *packet, unsigned n)
{
    bool is_extended = n % 5 == 0;
    packet->extra = is_extended ? packet->extra & PACKET_EXTRA_ALL : 0;
    packet->datagram_bytes = is_extended ? packet->datagram_bytes | 1 : 0;
    packet->payload_bytes =
        is_extended && n % 2 ? (uint16_t)(packet->payload_bytes % PACKET_PAYLOAD_MAX + 1) : 0;
    packet->payload = packet->payload_bytes ? payload : NULL;
    packet->header_bytes =
        is_extended ? (uint16_t)(packet->header_bytes % (PACKET_HEADER_MAX + 1)) : 0;
    packet->header = payload + 100;
    packet->fingerprint = is_extended ? packet->fingerprint : 0;
}

/* Any packet that a decoder may make: fields of absent parts are 0. Every combination of parts has
 * its turn with the low bits of 'n'. */
static struct packet random_packet(unsigned n)
{
    struct packet packet;
    fill(&packet, sizeof packet);
    packet.parts = n & (PACKET_PART_IPV6 | PACKET_PART_TCP | PACKET_PART_ICMP | PACKET_PART_INNER);
    if ((n & 128) && !(packet.parts & PACKET_PART_TCP))
        packet.parts |= PACKET_PART_SCTP;
    packet.is_invalid &= 1;
    if (packet.parts & PACKET_PART_SCTP)
        make_valid(&packet.sctp);
    packet.class_index = (uint8_t)(n % CLASS_N);
    packet.direction = (uint8_t)(n % DIRECTION_N);
    packet.marks = (uint8_t)(packet.marks & ~(PACKET_MARK_IPV4 | PACKET_MARK_IPV6));
    packet.marks |= packet.parts & PACKET_PART_IPV6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4;
    if (!(packet.parts & PACKET_PART_IPV6)) {
        memset(packet.source_address + 4, 0, 12);
        memset(packet.destination_address + 4, 0, 12);
    }
    if (!(packet.parts & (PACKET_PART_TCP | PACKET_PART_SCTP)))
        memset(&packet.tcp, 0, sizeof packet.tcp);
    if (!(packet.parts & PACKET_PART_ICMP))
        packet.icmp_type = packet.icmp_code = 0;
    if (n & 16)
        packet.clock_ns = packet.time_ns;
    if (n & 32)
        packet.flow_label = 0;
    if (n & 64)
        packet.l2_account = packet.malformed_cause = packet.wan_match = 0;
    make_extension(&packet, n);
    return packet;
}

static void assert_same(const struct packet *a, const struct packet *b)
{
    struct packet as_decoded = *a;
    as_decoded.parts = b->parts; /* encode adds CLOCK, LABEL and L2 by itself */
    assert_int_equal(b->parts & 0x8f, a->parts & 0x8f);
    assert_int_equal(!(b->parts & PACKET_PART_CLOCK), a->clock_ns == a->time_ns);
    assert_int_equal(!(b->parts & PACKET_PART_LABEL), a->flow_label == 0);
    assert_int_equal(!(b->parts & PACKET_PART_L2),
                     !a->l2_account && !a->malformed_cause && !a->wan_match);
    assert_int_equal(b->wan_match, a->wan_match);
    assert_memory_equal(&as_decoded, b, offsetof(struct packet, extra));
    assert_memory_equal(&as_decoded.tcp, &b->tcp, sizeof b->tcp);
    if (a->parts & PACKET_PART_INNER)
        assert_memory_equal(&as_decoded.inner, &b->inner, sizeof b->inner);
    assert_int_equal(b->extra, a->extra);
    assert_int_equal(b->datagram_bytes, a->datagram_bytes);
    assert_int_equal(b->payload_bytes, a->payload_bytes);
    assert_int_equal(b->header_bytes, a->header_bytes);
    assert_int_equal(b->fingerprint, a->fingerprint);
    if (a->header_bytes)
        assert_memory_equal(b->header, a->header, a->header_bytes);
    if (a->payload_bytes)
        assert_memory_equal(b->payload, a->payload, a->payload_bytes);
}

static void test_a_packet_comes_out_as_it_went_in(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        struct packet packet = random_packet(n), back;
        uint8_t room[PACKET_SIZE_MAX];
        size_t used = 0;
        size_t size = packet_encode(&packet, room);
        assert_in_range(size, PACKET_BASE_SIZE, PACKET_SIZE_MAX);
        assert_int_equal(size % 4, 0);
        assert_int_equal(packet_encoded_size(room), size);
        memset(&back, 0xa5, sizeof back);
        assert_int_equal(packet_decode(room, size, &back, &used), PACKET_DECODED);
        assert_int_equal(used, size);
        assert_same(&packet, &back);
    }
}

static void test_every_prefix_of_a_descriptor_is_truncated(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 256; n++) {
        struct packet packet = random_packet(n), back;
        uint8_t room[PACKET_SIZE_MAX];
        size_t size = packet_encode(&packet, room);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1);
            size_t used;
            assert_non_null(copy);
            memcpy(copy, room, cut);
            assert_int_equal(packet_decode(copy, cut, &back, &used), PACKET_TRUNCATED);
            free(copy);
        }
    }
}

static void test_descriptors_follow_one_another(void **state)
{
    (void)state;
    enum { N = 1000 };
    static uint8_t room[N * PACKET_SIZE_MAX];
    static struct packet packets[N];
    size_t size = 0;
    for (unsigned n = 0; n < N; n++) {
        packets[n] = random_packet((unsigned)rand());
        size += packet_encode(&packets[n], room + size);
    }
    size_t at = 0;
    for (unsigned n = 0; n < N; n++) {
        struct packet back;
        size_t used;
        assert_int_equal(packet_decode(room + at, size - at, &back, &used), PACKET_DECODED);
        assert_same(&packets[n], &back);
        at += used;
    }
    assert_int_equal(at, size);
}

/* Bytes that decode, encode to the same bytes: nothing is read that is not written. */
static void test_any_bytes_are_refused_or_read_within_their_size(void **state)
{
    (void)state;
    unsigned n_decoded = 0;
    for (unsigned n = 0; n < 50000; n++) {
        size_t size = (size_t)rand() % (n % 2 ? PACKET_SIZE_MAX + 8 : 160);
        uint8_t *bytes = malloc(size ? size : 1);
        struct packet packet;
        size_t used;
        assert_non_null(bytes);
        fill(bytes, size);
        if (packet_decode(bytes, size, &packet, &used) == PACKET_DECODED) {
            n_decoded++;
            assert_true(used <= size);
            assert_true(packet.class_index < CLASS_N);
            assert_true(packet.direction < DIRECTION_N);
        }
        free(bytes);
    }
    assert_true(n_decoded > 100);
}

static void test_what_does_not_exist_is_invalid(void **state)
{
    (void)state;
    struct packet packet = random_packet(PACKET_PART_TCP), back; /* no extension */
    uint8_t valid[PACKET_SIZE_MAX], room[PACKET_SIZE_MAX] = {0};
    size_t used;
    size_t size = packet_encode(&packet, valid);
    static const struct {
        size_t at;
        uint8_t bits;
    } damages[] = {
        {27, 0x0f},                                /* a class */
        {27, 0x60},                                /* a direction */
        {24, PACKET_PART_SCTP},                    /* beside TCP */
        {25, PACKET_MARK_IPV4 | PACKET_MARK_IPV6}, /* of both versions */
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        memcpy(room, valid, size);
        room[damages[i].at] |= damages[i].bits;
        assert_int_equal(packet_decode(room, sizeof room, &back, &used), PACKET_INVALID);
    }
    packet = random_packet(128); /* SCTP chunks past their number, or of no kind */
    packet.sctp.n_chunks = SCTP_CHUNKS_MAX + 1;
    size_t sctp_size = packet_encode(&packet, room);
    assert_int_equal(packet_decode(room, sctp_size, &back, &used), PACKET_INVALID);
    packet.sctp.n_chunks = 1;
    packet.sctp.chunks[0] = SCTP_CHUNK_N;
    packet_encode(&packet, room);
    assert_int_equal(packet_decode(room, sctp_size, &back, &used), PACKET_INVALID);

    memcpy(room, valid, size); /* an extension that has nothing */
    room[27] |= 0x10;
    memset(room + PACKET_BASE_SIZE, 0, PACKET_EXTENSION_SIZE);
    assert_int_equal(packet_decode(room, sizeof room, &back, &used), PACKET_INVALID);

    memcpy(room, valid, size); /* an IPv6 packet without its addresses */
    room[25] = (uint8_t)((room[25] & ~PACKET_MARK_IPV4) | PACKET_MARK_IPV6);
    assert_int_equal(packet_decode(room, size, &back, &used), PACKET_INVALID);
}

static void test_the_layout_is_the_documented_one(void **state)
{
    (void)state;
    struct packet packet = {
        .time_ns = 0x0102030405060708,
        .clock_ns = 0x0102030405060708,
        .l2_bytes = 0x11121314,
        .l3_bytes = 0x21222324,
        .rss = 0x31323334,
        .source_port = 0x4142,
        .destination_port = 0x5152,
        .protocol = 17,
        .class_index = CLASS_NO_PORTS,
        .direction = DIRECTION_DOWN,
        .zone = 0x6162,
        .wan = 0x7172,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_SNAPPED,
        .source_address = {10, 0, 0, 1},
        .destination_address = {10, 0, 0, 2},
    };
    static const uint8_t wanted[PACKET_BASE_SIZE] = {
        8,    7,    6,    5,    4,    3,    2,    1,    0x14, 0x13, 0x12, 0x11, 0x24, 0x23,
        0x22, 0x21, 0x34, 0x33, 0x32, 0x31, 0x42, 0x41, 0x52, 0x51, 0,    0x41, 17,   2 << 5 | 6,
        0x62, 0x61, 0x72, 0x71, 10,   0,    0,    1,    10,   0,    0,    2};
    uint8_t room[PACKET_SIZE_MAX];
    assert_int_equal(packet_encode(&packet, room), PACKET_BASE_SIZE);
    assert_memory_equal(room, wanted, PACKET_BASE_SIZE);
}

static void test_names_are_distinct_and_end_in_unknown(void **state)
{
    (void)state;
    const char *(*const names[])(unsigned) = {packet_class_name, direction_name,
                                              malformed_cause_name};
    const unsigned ends[] = {CLASS_N, DIRECTION_N, MALFORMED_CAUSE_N};
    for (size_t kind = 0; kind < 3; kind++) {
        for (unsigned i = 0; i < ends[kind]; i++) {
            assert_non_null(names[kind](i));
            for (unsigned j = 0; j < i; j++)
                assert_string_not_equal(names[kind](i), names[kind](j));
        }
        assert_string_equal(names[kind](ends[kind]), "unknown");
        assert_string_equal(names[kind](UINT32_MAX), "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_comes_out_as_it_went_in),
        cmocka_unit_test(test_every_prefix_of_a_descriptor_is_truncated),
        cmocka_unit_test(test_descriptors_follow_one_another),
        cmocka_unit_test(test_any_bytes_are_refused_or_read_within_their_size),
        cmocka_unit_test(test_what_does_not_exist_is_invalid),
        cmocka_unit_test(test_the_layout_is_the_documented_one),
        cmocka_unit_test(test_names_are_distinct_and_end_in_unknown),
    };
    fill(payload, sizeof payload);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
