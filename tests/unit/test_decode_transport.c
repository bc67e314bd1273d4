/* TCP and ICMP fields, and the packets that ICMP errors quote. */
#include "test_decode_frames.h"

static const struct decoder plain;

#define ADDRESSES_IPV4                                                                             \
    "0a000001"                                                                                     \
    "c0a80102"

static void decode_tcp(const char *tcp, struct packet *packet)
{
    struct made made = {.link_type = LINK_RAW};
    struct layers layers;
    add_ip(&made, 4, 6, strlen(tcp) / 2);
    add_hex(&made, tcp);
    decode_made(&plain, &made, made.size, packet, &layers);
    assert_true(packet->parts & PACKET_PART_TCP);
}

static void test_tcp_fields_are_read(void **state)
{
    (void)state;
    struct packet packet;
    decode_tcp(TCP_FIXED "0102030405", &packet);
    assert_int_equal(packet.tcp.sequence, 0x11223344);
    assert_int_equal(packet.tcp.acknowledgment, 0x55667788);
    assert_int_equal(packet.tcp.window, 0x2000);
    assert_int_equal(packet.tcp.flags, TCP_PSH | TCP_ACK);
    assert_int_equal(packet.tcp.payload_bytes, 5);
    assert_int_equal(packet.tcp.options, 0);

    decode_tcp(TCP_SYN_OPTIONS, &packet);
    assert_int_equal(packet.tcp.flags, TCP_SYN);
    assert_int_equal(packet.tcp.window_scale, 7);
    assert_int_equal(packet.tcp.payload_bytes, 0);
    assert_int_equal(packet.tcp.options, TCP_OPTION_ANY | TCP_OPTION_SACK_PERMITTED |
                                             TCP_OPTION_WINDOW_SCALE | TCP_OPTION_MSS);
    assert_int_equal(packet.tcp.sack_right_edge, 1460);

    decode_tcp(TCP_WITH_TIMESTAMPS, &packet);
    assert_int_equal(packet.tcp.options, TCP_OPTION_ANY);
}

static void test_a_window_scale_above_14_is_14(void **state)
{
    (void)state;
    struct packet packet;
    decode_tcp(PORTS "1122334400000000"
                     "6002ffff"
                     "00000000"
                     "030310"
                     "00",
               &packet);
    assert_int_equal(packet.tcp.window_scale, 14);
}

static void test_the_highest_sack_edge_is_found_across_the_wrap(void **state)
{
    (void)state;
    struct packet packet;
    /* acknowledgment 0xfffffff0, blocks to 0x00000100 and 0xfffffff8 */
    decode_tcp(PORTS "00000001"
                     "fffffff0"
                     "a0102000"
                     "00000000"
                     "0101"
                     "0512"
                     "000000f0"
                     "00000100"
                     "fffffff4"
                     "fffffff8",
               &packet);
    assert_true(packet.tcp.options & TCP_OPTION_SACK);
    assert_int_equal(packet.tcp.sack_right_edge, 0x100);
}

static void test_damaged_tcp_options_end_the_list(void **state)
{
    (void)state;
    struct packet packet;
    static const char *const damaged[] = {"0300"
                                          "0303070000"
                                          "00",
                                          "03ff"
                                          "0303070000"
                                          "00",
                                          "00"
                                          "030307"
                                          "00000000",
                                          "0101010101010103"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        char tcp[128];
        snprintf(tcp, sizeof tcp,
                 PORTS "1122334400000000"
                       "7002ffff"
                       "00000000"
                       "%s",
                 damaged[i]);
        decode_tcp(tcp, &packet);
        assert_int_equal(packet.tcp.options, TCP_OPTION_ANY);
    }
}

static void test_impossible_tcp_headers_are_invalid_but_counted(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        PORTS "1122334455667788"
              "40182000"
              "00000000", /* data offset 16 */
        PORTS "1122334455667788"
              "60182000"
              "00000000",         /* beyond the packet */
        PORTS "1122334455667788", /* the packet ends */
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        struct packet packet;
        decode_tcp(invalid[i], &packet);
        assert_true(packet.tcp.options & TCP_HEADER_INVALID);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
        assert_int_equal(packet.destination_port, 80);
        assert_int_equal(packet.tcp.payload_bytes, 0);
    }
}

static void test_a_snapped_tcp_header_is_cut_not_invalid(void **state)
{
    (void)state;
    struct made made = {.link_type = LINK_RAW};
    add_ip(&made, 4, 6, 1000);
    add_hex(&made, TCP_WITH_TIMESTAMPS);
    for (uint32_t captured = 24; captured < 52; captured++) {
        struct packet packet;
        struct layers layers;
        decode_cut(&plain, &made, captured, 1020, &packet, &layers);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
        assert_int_equal(packet.tcp.options & (TCP_HEADER_CUT | TCP_HEADER_INVALID),
                         TCP_HEADER_CUT);
        assert_int_equal(packet.tcp.sequence, captured >= 28 ? 0x11223344 : 0);
        assert_int_equal(packet.tcp.acknowledgment, captured >= 32 ? 0x55667788 : 0);
        assert_int_equal(packet.tcp.flags, captured >= 34 ? TCP_ACK : 0);
        assert_int_equal(packet.tcp.window, captured >= 36 ? 0x2000 : 0);
        assert_int_equal(packet.tcp.payload_bytes, captured >= 33 ? 968 : 980);
    }
}

static void decode_icmp(int version, const char *icmp, struct packet *packet)
{
    struct made made = {.link_type = LINK_RAW};
    struct layers layers;
    add_ip(&made, version, version == 4 ? 1 : 58, strlen(icmp) / 2);
    add_hex(&made, icmp);
    decode_made(&plain, &made, made.size, packet, &layers);
}

/* Every type of ICMP: an error, an exchange with an id, or neither. Source: the kernel's tables. */
static void test_icmp_types_are_errors_exchanges_or_neither(void **state)
{
    (void)state;
    static const unsigned errors[] = {3, 4, 5, 11, 12};
    static const unsigned exchanges[] = {0, 8, 13, 14, 15, 16, 17, 18};
    for (unsigned type = 0; type < 256; type++) {
        bool is_error = false;
        bool has_id = false;
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            is_error |= errors[i] == type;
        for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++)
            has_id |= exchanges[i] == type;
        char icmp[32];
        struct packet packet;
        snprintf(icmp, sizeof icmp, "%02x0700000bad0001", type);
        decode_icmp(4, icmp, &packet);
        assert_int_equal(packet.class_index, is_error ? CLASS_ICMP_ERROR : CLASS_CONNECTION);
        assert_int_equal((packet.marks & PACKET_MARK_PORTS) != 0, has_id);
        assert_int_equal(packet.source_port, has_id ? 0x0bad : 0);
        assert_int_equal(packet.icmp_type, type);
        assert_int_equal(packet.icmp_code, 7);

        has_id = type == 128 || type == 129 || type == 139 || type == 140;
        decode_icmp(6, icmp, &packet);
        assert_int_equal(packet.class_index, type < 128 ? CLASS_ICMP_ERROR : CLASS_CONNECTION);
        assert_int_equal((packet.marks & PACKET_MARK_PORTS) != 0, has_id);
        assert_true(packet.parts & PACKET_PART_ICMP);
    }
}

static void test_an_error_shows_the_tuple_that_it_quotes(void **state)
{
    (void)state;
    struct packet packet;
    decode_icmp(4, "0303000000000000" QUOTED_IPV4, &packet);
    assert_true(packet.parts & PACKET_PART_INNER);
    assert_int_equal(packet.inner.protocol, 17);
    assert_int_equal(packet.inner.source_port, 5000);
    assert_int_equal(packet.inner.destination_port, 53);
    assert_int_equal(packet.inner.has_ports, 1);
    assert_memory_equal(packet.inner.source_address, "\xc0\xa8\x01\x02", 4);
    assert_memory_equal(packet.inner.destination_address, "\x0a\x00\x00\x01", 4);
    assert_int_equal(packet.marks & PACKET_MARK_PORTS, 0);

    decode_icmp(6, "0200000000000500" QUOTED_IPV6, &packet);
    assert_int_equal(packet.inner.destination_port, 53);
    decode_icmp(6, "8900000000000000" TWO_ADDRESSES "0407000000000000" QUOTED_IPV6, &packet);
    assert_int_equal(packet.class_index, CLASS_ICMP_ERROR);
    assert_int_equal(packet.inner.destination_port, 53);
    decode_icmp(6, "8900000000000000" TWO_ADDRESSES "0201000000000000" QUOTED_IPV6, &packet);
    assert_int_equal(packet.class_index, CLASS_CONNECTION); /* its first option is no quote */
    decode_icmp(4,
                "0b00000000000000"
                "4500001c000100004001"
                "0000" ADDRESSES_IPV4 "0800000012340001",
                &packet);
    assert_int_equal(packet.inner.icmp_type, 8);
    assert_int_equal(packet.inner.source_port, 0x1234);
    assert_int_equal(packet.inner.destination_port, 0x1234);
    decode_icmp(4,
                "0b00000000000000"
                "4500001c000100004032"
                "0000" ADDRESSES_IPV4 "00000001",
                &packet);
    assert_true(packet.parts & PACKET_PART_INNER);
    assert_int_equal(packet.inner.has_ports, 0);
}

static void test_a_quote_that_names_no_connection_is_no_quote(void **state)
{
    (void)state;
    static const char *const unreadable[] = {
        "",
        "4500001c",
        "4500001c000100004011"
        "0000" ADDRESSES_IPV4 "1388", /* ports cut */
        "4500001c000100014011"
        "0000" ADDRESSES_IPV4 "1388003500080000", /* later fragment */
        "4400001c000100004011"
        "0000" ADDRESSES_IPV4 "1388003500080000",
        "4f00001c000100004011"
        "0000" ADDRESSES_IPV4 "1388003500080000",
        "6500001c000100004011"
        "0000" ADDRESSES_IPV4 "1388003500080000",
        "4500001c000100004001"
        "0000" ADDRESSES_IPV4 "08000000123400", /* 7 of 8 bytes */
    };
    for (size_t i = 0; i < sizeof unreadable / sizeof *unreadable; i++) {
        char icmp[256];
        struct packet packet;
        static const struct packet_inner none;
        snprintf(icmp, sizeof icmp, "0301000000000000%s", unreadable[i]);
        decode_icmp(4, icmp, &packet);
        assert_int_equal(packet.class_index, CLASS_ICMP_ERROR);
        assert_int_equal(packet.parts & PACKET_PART_INNER, 0);
        assert_memory_equal(&packet.inner, &none, sizeof none);
    }
}

static void test_icmp_of_the_other_version_is_any_protocol(void **state)
{
    (void)state;
    struct made made = {.link_type = LINK_RAW};
    struct packet packet;
    struct layers layers;
    add_ip(&made, 4, 58, 8);
    add_hex(&made, "8000000012340001");
    decode_made(&plain, &made, made.size, &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
    assert_int_equal(packet.parts & PACKET_PART_ICMP, 0);
    assert_int_equal(packet.marks & PACKET_MARK_PORTS, 0);
}

static void decode_ipv4(uint8_t protocol, const char *hex, struct packet *packet)
{
    struct made made = {.link_type = LINK_RAW};
    struct layers layers;
    add_ip(&made, 4, protocol, strlen(hex) / 2);
    add_hex(&made, hex);
    decode_made(&plain, &made, made.size, packet, &layers);
}

static void test_impossible_udp_lengths_are_invalid_but_counted(void **state)
{
    (void)state;
    static const struct {
        uint8_t protocol;
        const char *hex;
        bool is_invalid;
    } datagrams[] = {
        {17, "00010002000900007a", false},  {17, "000100020008ffff7a", false},
        {17, "00010002000a00007a", true},   {17, "00010002000700007a", true},
        {17, "00010002000700", true},       {136, "000100020000ffff7a", false},
        {136, "000100020008ffff7a", false}, {136, "000100020007ffff7a", true},
        {136, "00010002000affff7a", true},  {136, "00010002000800007a", true},
    };
    for (size_t i = 0; i < sizeof datagrams / sizeof *datagrams; i++) {
        struct packet packet;
        decode_ipv4(datagrams[i].protocol, datagrams[i].hex, &packet);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
        assert_int_equal(packet.is_invalid, datagrams[i].is_invalid);
        assert_int_equal(packet.destination_port, 2);
    }
}

static void test_calls_of_pptp_are_told_apart(void **state)
{
    (void)state;
    struct packet packet;
    decode_ipv4(47, "3001880b00001234", &packet);
    assert_int_equal(packet.destination_port, 0x1234);
    assert_int_equal(packet.source_port, 0);
    assert_int_equal(packet.marks & PACKET_MARK_PORTS, 0);
    assert_false(packet.is_invalid);
    decode_ipv4(47, "3000880b00001234", &packet);
    assert_int_equal(packet.destination_port, 0);
    decode_ipv4(47, "3001080000001234", &packet);
    assert_true(packet.is_invalid);
}

#define SCTP_FIXED                                                                                 \
    "07d00bb8"                                                                                     \
    "00000022"                                                                                     \
    "00000000"

static void test_sctp_chunks_are_read_in_order(void **state)
{
    (void)state;
    struct packet packet;
    decode_ipv4(132,
                SCTP_FIXED "0a000008"
                           "61626364"
                           "00030005"
                           "7a000000"
                           "06010004",
                &packet);
    assert_true(packet.parts & PACKET_PART_SCTP);
    assert_false(packet.is_invalid);
    assert_int_equal(packet.sctp.verification_tag, 0x22);
    assert_int_equal(packet.sctp.n_chunks, 2);
    assert_int_equal(packet.sctp.chunks[0], SCTP_COOKIE_ECHO);
    assert_int_equal(packet.sctp.chunks[1], SCTP_ABORT | SCTP_CHUNK_T_BIT);
    assert_int_equal(packet.sctp.marks, SCTP_HAS_DATA | SCTP_HAS_OTHER);
    decode_ipv4(132,
                SCTP_FIXED "01000014"
                           "00000011"
                           "0000ffff"
                           "00010001"
                           "00000001",
                &packet);
    assert_int_equal(packet.sctp.init_tag, 0x11);
    assert_int_equal(packet.sctp.marks, 0);
}

static void test_impossible_sctp_packets_are_invalid_but_counted(void **state)
{
    (void)state;
    static const char *const packets[] = {
        SCTP_FIXED,            /* no chunk */
        SCTP_FIXED "06000000", /* of no length */
        SCTP_FIXED "0e000004"
                   "06000004", /* not alone */
        SCTP_FIXED "06000004"
                   "0a000004", /* not first */
        "07d00bb8"
        "00000022", /* the packet ends */
    };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct packet packet;
        decode_ipv4(132, packets[i], &packet);
        assert_true(packet.is_invalid);
        assert_int_equal(packet.class_index, CLASS_CONNECTION);
    }
}

static void test_a_packet_longer_than_its_frame_is_invalid_but_a_snapped_one_is_not(void **state)
{
    (void)state;
    struct made made = {.link_type = LINK_RAW};
    struct layers layers;
    struct packet packet;
    add_ip(&made, 4, 17, 100);
    add_hex(&made, "0001000200640000");
    decode_made(&plain, &made, made.size, &packet, &layers);
    assert_true(packet.is_invalid);
    assert_int_equal(packet.l3_bytes, 120);
    made.size = 120; /* as on the wire */
    decode_made(&plain, &made, 28, &packet, &layers);
    assert_false(packet.is_invalid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_fields_are_read),
        cmocka_unit_test(test_a_window_scale_above_14_is_14),
        cmocka_unit_test(test_the_highest_sack_edge_is_found_across_the_wrap),
        cmocka_unit_test(test_damaged_tcp_options_end_the_list),
        cmocka_unit_test(test_impossible_tcp_headers_are_invalid_but_counted),
        cmocka_unit_test(test_a_snapped_tcp_header_is_cut_not_invalid),
        cmocka_unit_test(test_icmp_types_are_errors_exchanges_or_neither),
        cmocka_unit_test(test_an_error_shows_the_tuple_that_it_quotes),
        cmocka_unit_test(test_a_quote_that_names_no_connection_is_no_quote),
        cmocka_unit_test(test_icmp_of_the_other_version_is_any_protocol),
        cmocka_unit_test(test_impossible_udp_lengths_are_invalid_but_counted),
        cmocka_unit_test(test_calls_of_pptp_are_told_apart),
        cmocka_unit_test(test_sctp_chunks_are_read_in_order),
        cmocka_unit_test(test_impossible_sctp_packets_are_invalid_but_counted),
        cmocka_unit_test(test_a_packet_longer_than_its_frame_is_invalid_but_a_snapped_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
