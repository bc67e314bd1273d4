/* What the link layer tells: VLANs, sessions, labels, MACs; and where it ends in no IP packet. */
#include "test_decode_frames.h"

static const struct decoder plain;

static void decode_hex(const char *hex, struct packet *packet, struct layers *layers)
{
    struct made made;
    make_ethernet(&made, hex);
    decode_made(&plain, &made, made.size, packet, layers);
}

static void decode_link_hex(int32_t link_type, const char *hex, struct packet *packet,
                            struct layers *layers)
{
    struct made made;
    make_ethernet(&made, hex);
    made.link_type = link_type;
    decode_made(&plain, &made, made.size, packet, layers);
}

#define IPV4_ESP                                                                                   \
    "45000014000100004032"                                                                         \
    "0000"                                                                                         \
    "0a000001"                                                                                     \
    "c0a80102"

static void test_only_ethernet_has_macs(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINKS_N; i++) {
        struct made made;
        struct packet packet;
        struct layers layers;
        if (!make_frame(&made, &links[i], &payloads[0]))
            continue;
        decode_made(&plain, &made, made.size, &packet, &layers);
        bool is_ethernet = links[i].link_type == LINK_ETHERNET;
        assert_int_equal(layers.source_mac != NULL, is_ethernet);
        assert_int_equal(layers.destination_mac != NULL, is_ethernet);
    }
}

static void test_the_macs_point_into_the_frame(void **state)
{
    (void)state;
    struct made made;
    make_frame(&made, &links[0], &payloads[0]);
    struct frame frame = {.bytes = made.bytes,
                          .captured_bytes = made.size,
                          .wire_bytes = made.size,
                          .link_type = LINK_ETHERNET,
                          .interface = "test"};
    struct packet packet;
    struct layers layers;
    decode_frame(&plain, &frame, &packet, &layers);
    assert_ptr_equal(layers.destination_mac, made.bytes);
    assert_ptr_equal(layers.source_mac, made.bytes + 6);
}

static void test_the_two_outermost_vlans_are_noted(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_hex(MACS "0800" IPV4_ESP, &packet, &layers);
    assert_int_equal(layers.vlan, -1);
    assert_int_equal(layers.inner_vlan, -1);
    decode_hex(MACS "8100e064"
                    "0800" IPV4_ESP,
               &packet, &layers); /* priority 7 */
    assert_int_equal(layers.vlan, 100);
    assert_int_equal(layers.inner_vlan, -1);
    decode_hex(MACS "88a80fff"
                    "81000002"
                    "81000003"
                    "0800" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(layers.vlan, 4095);
    assert_int_equal(layers.inner_vlan, 2);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
}

static void test_a_priority_tag_names_no_vlan(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_hex(MACS "8100a000"
                    "0800" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(layers.vlan, -1);
    decode_hex(MACS "8100a000"
                    "81000005"
                    "0800" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(layers.vlan, 5);
    assert_int_equal(layers.inner_vlan, -1);
}

static void test_session_and_outermost_label_are_noted(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_hex(MACS "8864"
                    "1100"
                    "1234"
                    "0016"
                    "0021" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(layers.pppoe_session, 0x1234);
    assert_int_equal(layers.mpls_label, -1);
    decode_hex(MACS "8847"
                    "fffff040"
                    "00011140" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(layers.mpls_label, 0xfffff);
    assert_int_equal(layers.pppoe_session, -1);
}

/* Frames without IP, and the class of each. */
static const struct {
    const char *hex;
    unsigned class_index;
} no_ip_frames[] = {
    {MACS "0806"
          "0001080006040001",
     CLASS_ARP},
    {MACS "8035"
          "0001080006040003",
     CLASS_ARP},
    {MACS "81000064"
          "0806"
          "0001080006040001",
     CLASS_ARP},
    {MACS "0100"
          "aaaa03000000"
          "0806"
          "0001",
     CLASS_ARP},
    {MACS "0026"
          "424203"
          "0000000000",
     CLASS_NON_IP}, /* spanning tree */
    {MACS "0026"
          "aaaa0300000c"
          "0104"
          "0000",
     CLASS_NON_IP}, /* another owner's SNAP */
    {MACS "0026"
          "aaaa03000000"
          "0040"
          "0000",
     CLASS_NON_IP}, /* SNAP within itself */
    {MACS "88cc"
          "0207",
     CLASS_NON_IP}, /* LLDP */
    {MACS "8863"
          "1109"
          "0000"
          "0000",
     CLASS_NON_IP}, /* PPPoE discovery */
    {MACS "8864"
          "11a7"
          "0001"
          "0000"
          "0021" IPV4_ESP,
     CLASS_NON_IP}, /* its code is not 0 */
    {MACS "8864"
          "1100"
          "0001"
          "0006"
          "c021"
          "01010004",
     CLASS_NON_IP}, /* LCP */
    {MACS "8847"
          "00010140"
          "00000000",
     CLASS_NON_IP}, /* a pseudowire's control word */
    {MACS "88e7"
          "00000000" MACS "0800" IPV4_ESP,
     CLASS_NON_IP}, /* 802.1ah */
};

static void test_what_is_no_ip_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_ip_frames / sizeof *no_ip_frames; i++) {
        struct packet packet;
        struct layers layers;
        decode_hex(no_ip_frames[i].hex, &packet, &layers);
        if (packet.class_index != no_ip_frames[i].class_index)
            fail_msg("%s: %s", no_ip_frames[i].hex, packet_class_name(packet.class_index));
        assert_int_equal(packet.l2_bytes, strlen(no_ip_frames[i].hex) / 2);
        assert_int_equal(packet.l3_bytes, 0);
        assert_int_equal(packet.malformed_cause, MALFORMED_NONE);
    }
}

static void test_bridge_tunnel_snap_is_read(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_hex(MACS "0100"
                    "aaaa030000f8"
                    "0800" IPV4_ESP,
               &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
}

static void test_other_links_protocols_are_non_ip(void **state)
{
    (void)state;
    static const struct {
        int32_t link_type;
        const char *hex;
    } cases[] = {
        {LINK_C_HDLC, "8f008035"
                      "000000020000000000000000ffff"}, /* SLARP, not RARP */
        {LINK_PPP, "ff03"
                   "8021"
                   "01010004"},
        {LINK_PPP, "2d"
                   "00"},
        {LINK_NULL, "07000000" IPV4_ESP},
        {LINK_LOOP, "00070000" IPV4_ESP},
        {LINK_LINUX_SLL, "00000338"
                         "0000"
                         "0000000000000000"
                         "0800" IPV4_ESP}, /* netlink */
        {LINK_LINUX_SLL, "00000001"
                         "0000"
                         "0000000000000000"
                         "000c" IPV4_ESP}, /* CAN */
        {LINK_LINUX_SLL2, "00f5"
                          "0000"
                          "00000003"
                          "0001"
                          "00"
                          "06"
                          "0200000000010000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct packet packet;
        struct layers layers;
        decode_link_hex(cases[i].link_type, cases[i].hex, &packet, &layers);
        if (packet.class_index != CLASS_NON_IP)
            fail_msg("%s: %s", cases[i].hex, packet_class_name(packet.class_index));
    }
}

static void test_llc_in_cooked_frames_is_read(void **state)
{
    (void)state;
    struct packet packet;
    struct layers layers;
    decode_link_hex(LINK_LINUX_SLL,
                    "00000001"
                    "0000"
                    "0000000000000000"
                    "0004"
                    "aaaa03000000"
                    "0800" IPV4_ESP,
                    &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
}

static void test_every_address_family_of_ipv6_is_known_in_both_orders(void **state)
{
    (void)state;
    static const unsigned families[] = {10, 23, 24, 28, 30};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        for (int is_big = 0; is_big < 2; is_big++) {
            struct made made = {.link_type = is_big ? LINK_LOOP : LINK_NULL};
            uint8_t family[4] = {0};
            family[is_big ? 3 : 0] = (uint8_t)families[i];
            add_bytes(&made, family, sizeof family);
            add_ip(&made, 6, 50, 0);
            struct packet packet;
            struct layers layers;
            decode_made(&plain, &made, made.size, &packet, &layers);
            assert_int_equal(packet.class_index, CLASS_CONNECTION);
            made.link_type = is_big ? LINK_NULL : LINK_LOOP;
            decode_made(&plain, &made, made.size, &packet, &layers);
            assert_int_equal(packet.class_index, CLASS_CONNECTION);
        }
    }
}

static void decode_tags(int n_tags, const char *tag, const char *first_type, struct packet *packet)
{
    struct made made;
    struct layers layers;
    make_ethernet(&made, MACS);
    add_hex(&made, first_type);
    for (int i = 0; i < n_tags; i++)
        add_hex(&made, tag);
    add_hex(&made,
            n_tags && strcmp(first_type, "8847") == 0 ? "00010140" IPV4_ESP : "0800" IPV4_ESP);
    decode_made(&plain, &made, made.size, packet, &layers);
    assert_int_equal(packet->l2_bytes, made.size);
}

static void test_link_headers_are_bounded(void **state)
{
    (void)state;
    struct packet packet;
    decode_tags(LINK_HEADERS_MAX - 1, "00648100", "8100",
                &packet);                               /* and the last one's own type */
    assert_int_equal(packet.class_index, CLASS_NON_IP); /* 0x0800 is a tag there */
    decode_tags(LINK_HEADERS_MAX, "00648100", "8100", &packet);
    assert_int_equal(packet.class_index, CLASS_MALFORMED);
    assert_int_equal(packet.malformed_cause, MALFORMED_LINK_DEPTH);
    decode_tags(LINK_HEADERS_MAX - 1, "00010040", "8847", &packet);
    assert_int_equal(packet.class_index, CLASS_CONNECTION);
    decode_tags(LINK_HEADERS_MAX, "00010040", "8847", &packet);
    assert_int_equal(packet.malformed_cause, MALFORMED_LINK_DEPTH);
    assert_int_equal(packet.l3_bytes, 0);
}

static void test_a_frame_cut_in_its_link_headers_says_so(void **state)
{
    (void)state;
    static const char *const cut[] = {
        "",
        MACS,
        MACS "8100",
        MACS "81000064"
             "88",
        MACS "8847"
             "000100",
        MACS "8847"
             "00010140",
        MACS "8864"
             "1100",
        MACS "8864"
             "110012340016",
        MACS "8864"
             "110012340016"
             "00",
    };
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        struct packet packet;
        struct layers layers;
        decode_hex(cut[i], &packet, &layers);
        assert_int_equal(packet.class_index, CLASS_NON_IP);
        assert_int_equal(packet.malformed_cause, MALFORMED_LINK_HEADER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_ethernet_has_macs),
        cmocka_unit_test(test_the_macs_point_into_the_frame),
        cmocka_unit_test(test_the_two_outermost_vlans_are_noted),
        cmocka_unit_test(test_a_priority_tag_names_no_vlan),
        cmocka_unit_test(test_session_and_outermost_label_are_noted),
        cmocka_unit_test(test_what_is_no_ip_has_its_class),
        cmocka_unit_test(test_bridge_tunnel_snap_is_read),
        cmocka_unit_test(test_other_links_protocols_are_non_ip),
        cmocka_unit_test(test_llc_in_cooked_frames_is_read),
        cmocka_unit_test(test_every_address_family_of_ipv6_is_known_in_both_orders),
        cmocka_unit_test(test_link_headers_are_bounded),
        cmocka_unit_test(test_a_frame_cut_in_its_link_headers_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
