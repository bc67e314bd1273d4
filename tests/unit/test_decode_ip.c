/* IP lengths, versions, fragments, extension headers. */
#include "test_decode_frames.h"

static const struct decoder plain;

static void decode_ip_hex(int32_t link_type, const char *hex, struct packet *packet,
                          struct layers *layers)
{
    struct made made = {.link_type = link_type};
    add_hex(&made, hex);
    decode_made(&plain, &made, made.size, packet, layers);
}

#define ADDRESSES_IPV4                                                                             \
    "0a000001"                                                                                     \
    "c0a80102"
#define ADDRESSES_IPV6                                                                             \
    "fd000000000000000000000000000001"                                                             \
    "fd000000000000000000000000000002"

static void test_unusable_ip_headers_are_malformed_with_their_cause(void **state)
{
    (void)state;
    static const struct {
        int32_t link_type;
        const char *hex;
        unsigned cause;
    } cases[] = {
        {LINK_RAW, "", MALFORMED_IP_HEADER},
        {LINK_RAW, "4500001c", MALFORMED_IP_HEADER},
        {LINK_RAW,
         "44000014000100004011"
         "0000" ADDRESSES_IPV4,
         MALFORMED_IP_HEADER},
        {LINK_RAW,
         "45000013000100004011"
         "0000" ADDRESSES_IPV4,
         MALFORMED_IP_LENGTH},
        {LINK_RAW,
         "46000014000100004011"
         "0000" ADDRESSES_IPV4,
         MALFORMED_IP_LENGTH},
        {LINK_RAW,
         "55000014000100004011"
         "0000" ADDRESSES_IPV4,
         MALFORMED_IP_VERSION},
        {LINK_IPV6,
         "45000014000100004011"
         "0000" ADDRESSES_IPV4,
         MALFORMED_IP_VERSION},
        {LINK_IPV4, "6000000000003b40" ADDRESSES_IPV6, MALFORMED_IP_VERSION},
        {LINK_IPV6, "0000000000003b40" ADDRESSES_IPV6, MALFORMED_IP_VERSION},
        {LINK_IPV6,
         "6000000000003b40"
         "fd00",
         MALFORMED_IP_HEADER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct packet packet;
        struct layers layers;
        decode_ip_hex(cases[i].link_type, cases[i].hex, &packet, &layers);
        assert_int_equal(packet.class_index, CLASS_MALFORMED);
        assert_int_equal(packet.malformed_cause, cases[i].cause);
        assert_int_equal(packet.l2_bytes, strlen(cases[i].hex) / 2);
        assert_int_equal(packet.l3_bytes, 0);
        assert_false(packet_is_ip(&packet));
    }
}

/* The captured length is never an IP length: the header's is taken, also where it is a lie. */
static void test_a_length_beyond_the_frame_is_taken_as_written(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_ip_hex(LINK_RAW,
                  "4500ffff000100004011"
                  "0000" ADDRESSES_IPV4 PORTS,
                  &packet, &layers);
    assert_int_equal(packet.l3_bytes, 65535);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
}

static void test_ports_are_not_read_from_padding(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_ip_hex(LINK_RAW,
                  "45000017000100004011"
                  "0000" ADDRESSES_IPV4 PORTS "0000000000",
                  &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_NO_PORTS);
    assert_int_equal(packet.l3_bytes, 23);
    decode_ip_hex(LINK_RAW, "6000000000030640" ADDRESSES_IPV6 PORTS "0000000000", &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_NO_PORTS);
    assert_int_equal(packet.l3_bytes, 43);
}

static void test_options_that_are_cut_leave_the_length(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_ip_hex(LINK_RAW,
                  "4700002c000100004011"
                  "0000" ADDRESSES_IPV4 "0101",
                  &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_NO_PORTS);
    assert_int_equal(packet.l3_bytes, 44);
    decode_ip_hex(LINK_RAW,
                  "4700002c000100004032"
                  "0000" ADDRESSES_IPV4 "0101",
                  &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_CONNECTION); /* ESP needs no ports */
    decode_ip_hex(LINK_RAW,
                  "47000024000100004011"
                  "0000" ADDRESSES_IPV4 "0101010101010101" PORTS "00080000",
                  &packet, &layers);
    assert_int_equal(packet.destination_port, 80);
}

/* Segmentation offload and BIG TCP: the rest of the frame on the wire, however little is captured.
 */
static void test_a_length_of_zero_is_the_rest_of_the_frame(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        struct made made = {.link_type = LINK_ETHERNET};
        struct packet packet;
        struct layers layers;
        add_hex(&made, version == 4 ? MACS "0800" : MACS "86dd");
        add_ip(&made, version, 6, 0);
        put_be16(made.bytes + made.ip_at + (version == 4 ? 2 : 4), 0);
        add_hex(&made, TCP_FIXED);
        decode_cut(&plain, &made, made.size, 200014, &packet, &layers);
        assert_int_equal(packet.l3_bytes, 200000);
        assert_int_equal(packet.l2_bytes, 200014);
        assert_int_equal(packet.destination_port, 80);
        assert_int_equal(packet.tcp.payload_bytes, 65535);
        decode_cut(&plain, &made, made.ip_at + 40, 200014, &packet, &layers);
        assert_int_equal(packet.l3_bytes, 200000);
    }
}

/* Behind an IPv6 length of 0 conntrack sees nothing: a header that it looks for is missing. */
static void test_an_empty_ipv6_packet_is_invalid_where_its_protocol_has_a_header(void **state)
{
    (void)state;
    static const struct {
        uint8_t next_header;
        bool is_invalid;
    } cases[] = {{6, true},  {17, true}, {58, true},  {132, true}, {136, true}, {43, true},
                 {60, true}, {0, false}, {47, false}, {33, false}, {50, false}, {103, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made = {.link_type = LINK_ETHERNET};
        struct packet packet;
        struct layers layers;
        add_hex(&made, MACS "86dd");
        add_ip(&made, 6, cases[i].next_header, 0);
        put_be16(made.bytes + made.ip_at + 4, 0);
        add_hex(&made, "0000000000000000" TCP_FIXED);
        decode_cut(&plain, &made, made.size, (uint32_t)made.size, &packet, &layers);
        if (packet.is_invalid != cases[i].is_invalid)
            fail_msg("next header %u: invalid %d", cases[i].next_header, packet.is_invalid);
    }
}

static void test_no_next_header_has_no_payload(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_ip_hex(LINK_RAW, "6000000000003b40" ADDRESSES_IPV6 "000000000000", &packet, &layers);
    assert_int_equal(packet.l3_bytes, 40);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
    assert_int_equal(packet.protocol, 59);
}

static uint32_t l3_of_jumbo(const char *option, uint32_t wire_bytes)
{
    struct made made = {.link_type = LINK_RAW};
    struct packet packet;
    struct layers layers;
    add_hex(&made, "6000000000000040" ADDRESSES_IPV6 "0600");
    add_hex(&made, option);
    add_hex(&made, TCP_FIXED);
    decode_cut(&plain, &made, made.size, wire_bytes, &packet, &layers);
    assert_int_equal(packet.protocol, 6);
    assert_int_equal(packet.destination_port, 80);
    return packet.l3_bytes;
}

static void test_a_jumbo_payload_counts_as_far_as_the_wire_holds_it(void **state)
{
    (void)state;
    assert_int_equal(l3_of_jumbo("c20400011170", 70040), 70040);
    assert_int_equal(l3_of_jumbo("c20400011170", 70050), 70040); /* padded */
    assert_int_equal(l3_of_jumbo("c20400011170", 1000), 1000);   /* more than there is */
    assert_int_equal(l3_of_jumbo("c204ffffffff", 1000), 1000);
    assert_int_equal(l3_of_jumbo("c20400000010", 1000), 1000); /* RFC 2675: above 65535 */
    assert_int_equal(l3_of_jumbo("0104000000c2", 1000), 1000); /* not an option, but in one */
    assert_int_equal(l3_of_jumbo("00c2ff000000", 1000), 1000); /* an option past the header */
}

static void test_the_flow_label_is_noted(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_ip_hex(LINK_RAW, "6ff1234500003b40" ADDRESSES_IPV6, &packet, &layers);
    assert_int_equal(packet.flow_label, 0x12345);
}

static void decode_extensions(int n, struct packet *packet)
{
    struct made made = {.link_type = LINK_RAW};
    struct layers layers;
    add_ip(&made, 6, 60, (size_t)(n * 8 + 8));
    for (int i = 0; i < n; i++)
        add_hex(&made, i + 1 < n ? "3c00010400000000" : "1100010400000000");
    add_hex(&made, PORTS "00080000");
    decode_made(&plain, &made, made.size, packet, &layers);
    assert_int_equal(packet->l3_bytes, made.size);
}

static void test_extension_headers_are_bounded(void **state)
{
    (void)state;
    struct packet packet;
    for (int n = 1; n <= EXTENSION_HEADERS_MAX; n += n < 4 ? 1 : 36) {
        decode_extensions(n, &packet);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
        assert_int_equal(packet.protocol, 17);
        assert_int_equal(packet.destination_port, 80);
    }
    decode_extensions(EXTENSION_HEADERS_MAX + 1, &packet);
    assert_int_equal(packet.class_index, CLASS_NO_PORTS);
}

static void test_fragments_are_marked_first_or_later(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        unsigned mark;
        bool has_more;
    } cases[] = {
        {"45000020123400004011"
         "0000" ADDRESSES_IPV4 PORTS "00080000"
         "00000000",
         0, false},
        {"45000020123440004011"
         "0000" ADDRESSES_IPV4 PORTS "00080000"
         "00000000",
         0, false}, /* DF */
        {"45000020123420004011"
         "0000" ADDRESSES_IPV4 PORTS "00080000"
         "00000000",
         PACKET_MARK_FIRST_FRAGMENT, true},
        {"45000020123420014011"
         "0000" ADDRESSES_IPV4 PORTS "00080000"
         "00000000",
         PACKET_MARK_LATER_FRAGMENT, true},
        {"45000020123400014011"
         "0000" ADDRESSES_IPV4 PORTS "00080000"
         "00000000",
         PACKET_MARK_LATER_FRAGMENT, false},
        {"6000000000102c40" ADDRESSES_IPV6 "1100000000001234" PORTS "00080000", 0,
         false}, /* atomic */
        {"6000000000102c40" ADDRESSES_IPV6 "1100000100001234" PORTS "00080000",
         PACKET_MARK_FIRST_FRAGMENT, true},
        {"6000000000102c40" ADDRESSES_IPV6 "1100000900001234" PORTS "00080000",
         PACKET_MARK_LATER_FRAGMENT, true},
        {"6000000000102c40" ADDRESSES_IPV6 "11000ff800001234" PORTS "00080000",
         PACKET_MARK_LATER_FRAGMENT, false},
        {"6000000000182c40" ADDRESSES_IPV6 "2c00000100001234"
         "1100000800009999" PORTS "00080000",
         PACKET_MARK_FIRST_FRAGMENT, true}, /* of two fragment headers the first counts */
    };
    enum { BOTH = PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_LATER_FRAGMENT };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct packet packet;
        struct layers layers;
        decode_ip_hex(LINK_RAW, cases[i].hex, &packet, &layers);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
        assert_int_equal(packet.protocol, 17);
        assert_int_equal(packet.marks & BOTH, cases[i].mark);
        bool is_later = cases[i].mark == PACKET_MARK_LATER_FRAGMENT;
        assert_int_equal((packet.marks & PACKET_MARK_PORTS) != 0, !is_later);
        if (cases[i].mark) {
            assert_int_equal(layers.fragment.id, 0x1234);
            assert_int_equal(layers.fragment.has_more, cases[i].has_more);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unusable_ip_headers_are_malformed_with_their_cause),
        cmocka_unit_test(test_a_length_beyond_the_frame_is_taken_as_written),
        cmocka_unit_test(test_ports_are_not_read_from_padding),
        cmocka_unit_test(test_options_that_are_cut_leave_the_length),
        cmocka_unit_test(test_a_length_of_zero_is_the_rest_of_the_frame),
        cmocka_unit_test(test_an_empty_ipv6_packet_is_invalid_where_its_protocol_has_a_header),
        cmocka_unit_test(test_no_next_header_has_no_payload),
        cmocka_unit_test(test_a_jumbo_payload_counts_as_far_as_the_wire_holds_it),
        cmocka_unit_test(test_the_flow_label_is_noted),
        cmocka_unit_test(test_extension_headers_are_bounded),
        cmocka_unit_test(test_fragments_are_marked_first_or_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
