/* What a wrong checksum makes of a packet, and of a datagram that came in fragments. The packets
 * were made by another program. */
#include "test_decode_frames.h"

#include "capture/fragment.h"

static const struct decoder verifying = {.verifies_checksums = true};
static const struct decoder plain;

#define ETHERNET_IPV4 MACS "0800"
#define ETHERNET_IPV6 MACS "86dd"
/* Of each: the transport header's offset; all bytes from there on are covered. */
static const struct {
    const char *name, *hex;
    uint32_t transport_at;
} right[] = {
    {"tcp",
     ETHERNET_IPV4 "4500002d00010000400666c80a0000010a00000203e80050000000010000000250102000"
                   "4dcb00006162636465",
     34},
    {"udp", ETHERNET_IPV4 "4500002100010000401166c90a0000010a00000203e80050000dbdd26162636465", 34},
    {"icmp", ETHERNET_IPV4 "4500002100010000400166d90a0000010a0000020800ce30000700016162636465",
     34},
    {"icmpv6",
     ETHERNET_IPV6 "60000000000d3a4020010db800000000000000000000000120010db80000000000000000"
                   "000000028000fa73000700016162636465",
     54},
    {"udp over ipv6",
     ETHERNET_IPV6 "60000000000d114020010db800000000000000000000000120010db80000000000000000"
                   "0000000203e80050000d76606162636465",
     54},
    {"sctp",
     ETHERNET_IPV4 "4500003000010000408466470a0000010a00000203e80050000000078be54fe80a000010"
                   "6162636465666768696a6b6c",
     34},
};

/* Not inline: GCC then believes that the frame may be larger than its room. */
static __attribute__((noinline)) void flip(struct made *made, uint32_t bit)
{
    assert_in_range(bit, 0, made->size * 8 - 1);
    made->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void decode(const struct decoder *decoder, const struct made *made, struct packet *packet,
                   struct layers *layers)
{
    decode_made(decoder, made, made->size, packet, layers);
}

static void
test_a_right_checksum_is_right_and_any_bit_of_it_or_the_rest_makes_it_wrong(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct made made;
        make_ethernet(&made, right[i].hex);
        decode(&verifying, &made, &packet, &layers);
        if (packet.marks & PACKET_MARK_BAD_CHECKSUM || packet.extra)
            fail_msg("%s is right", right[i].name);
        for (uint32_t bit = right[i].transport_at * 8; bit < made.size * 8; bit++) {
            flip(&made, bit);
            decode(&verifying, &made, &packet, &layers);
            if (!(packet.marks & PACKET_MARK_BAD_CHECKSUM))
                fail_msg("%s is wrong in bit %u", right[i].name, bit);
            decode(&plain, &made, &packet, &layers);
            assert_false(packet.marks & PACKET_MARK_BAD_CHECKSUM);
            flip(&made, bit);
        }
    }
}

static void test_what_is_not_captured_to_its_end_is_not_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct made made;
        struct packet packet;
        struct layers layers;
        make_ethernet(&made, right[i].hex);
        flip(&made, (made.size - 2) * 8);
        decode_made(&verifying, &made, made.size - 1, &packet, &layers);
        assert_false(packet.marks & PACKET_MARK_BAD_CHECKSUM);
        assert_int_equal(packet.extra, 0);
        decode_cut(&verifying, &made, made.size - 1, made.size - 1, &packet, &layers);
        assert_int_equal(packet.extra, PACKET_HELD); /* longer than its frame */
    }
}

static void test_udp_may_have_no_checksum(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct made made;
        struct packet packet;
        struct layers layers;
        make_ethernet(&made, right[i].hex);
        decode(&verifying, &made, &packet, &layers);
        if (packet.protocol != 17)
            continue;
        put_be16(made.bytes + right[i].transport_at + 6, 0);
        decode(&verifying, &made, &packet, &layers);
        assert_false(packet.marks & PACKET_MARK_BAD_CHECKSUM);
    }
}

/* What is not an IPv4 header to its receiver is held: billed, and not judged. */
static void test_a_wrong_ip_header_is_not_looked_behind(void **state)
{
    (void)state;
    struct made made;
    struct packet packet;
    struct layers layers;
    make_ethernet(&made, right[0].hex);
    for (uint32_t bit = 14 * 8; bit < 34 * 8; bit++) {
        flip(&made, bit);
        decode(&verifying, &made, &packet, &layers);
        if (packet.class_index != CLASS_MALFORMED)
            assert_int_equal(packet.extra, PACKET_HELD);
        flip(&made, bit);
    }
    put_be16(made.bytes + 16, 0); /* no length: only a sender's own capture has that */
    decode(&plain, &made, &packet, &layers);
    assert_int_equal(packet.extra, PACKET_HELD);
    decode(&verifying, &made, &packet, &layers);
    assert_int_equal(packet.extra, PACKET_HELD);
}

static struct packet completed;

static void on_packet(void *state, struct packet *packet)
{
    (void)state;
    if (packet->extra & PACKET_COMPLETES)
        completed = *packet;
}

/* The packet as fragments of 8 bytes, the last one first. */
static void add_fragments(struct fragment_table *table, const struct made *made)
{
    struct packet packet;
    struct layers layers;
    decode_cut(&plain, made, made->size, made->size, &packet, &layers);
    for (uint32_t end = made->size; end > 34;) {
        uint32_t from = 34 + (end - 34 - 1) / 8 * 8;
        layers.is_fragment = true;
        layers.fragment = (struct fragment){.bytes = made->bytes + from,
                                            .captured_bytes = end - from,
                                            .payload_bytes = end - from,
                                            .offset_bytes = from - 34,
                                            .header_bytes = 20,
                                            .id = 1,
                                            .next_header = packet.protocol,
                                            .has_more = end < made->size};
        struct packet fragment = packet;
        fragment.parts = 0;
        fragment.marks = (uint8_t)(PACKET_MARK_IPV4 | (from > 34 ? PACKET_MARK_LATER_FRAGMENT
                                                                 : PACKET_MARK_FIRST_FRAGMENT));
        fragment.l3_bytes = 20 + end - from;
        fragment_table_add(table, &fragment, &layers, 0);
        end = from;
    }
}

static void test_a_datagram_of_fragments_is_what_it_would_be_in_one(void **state)
{
    (void)state;
    static const struct config config = {
        .capture = {.fragments_max = 16, .fragment_timeout_ns = 1},
        .conntrack = {.ipfrag_time_ns = 1, .frag6_timeout_ns = 1, .fragment_memory_bytes = 1 << 18},
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        if (right[i].transport_at != 34)
            continue;
        struct fragment_table *table;
        assert_int_equal(fragment_table_create(&config, &verifying, on_packet, NULL, &table), 0);
        for (int is_wrong = 0; is_wrong < 2; is_wrong++) {
            struct made made;
            struct packet whole;
            struct layers layers;
            make_ethernet(&made, right[i].hex);
            if (is_wrong)
                flip(&made, (made.size - 1) * 8);
            decode(&verifying, &made, &whole, &layers);
            memset(&completed, 0, sizeof completed);
            add_fragments(table, &made);
            assert_int_equal(completed.extra, PACKET_COMPLETES);
            assert_int_equal(completed.datagram_bytes, whole.l3_bytes);
            assert_int_equal(completed.l3_bytes, 28);
            assert_int_equal(completed.class_index, whole.class_index);
            assert_int_equal(completed.source_port, whole.source_port);
            assert_int_equal(completed.destination_port, whole.destination_port);
            assert_int_equal(completed.parts, whole.parts);
            assert_int_equal(completed.is_invalid, whole.is_invalid);
            assert_memory_equal(&completed.tcp, &whole.tcp, sizeof whole.tcp);
            assert_int_equal((completed.marks & PACKET_MARK_BAD_CHECKSUM) != 0, is_wrong);
        }
        fragment_table_destroy(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_right_checksum_is_right_and_any_bit_of_it_or_the_rest_makes_it_wrong),
        cmocka_unit_test(test_what_is_not_captured_to_its_end_is_not_verified),
        cmocka_unit_test(test_udp_may_have_no_checksum),
        cmocka_unit_test(test_a_wrong_ip_header_is_not_looked_behind),
        cmocka_unit_test(test_a_datagram_of_fragments_is_what_it_would_be_in_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
