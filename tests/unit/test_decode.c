/* What holds for every frame: links times packets, whole and cut anywhere. */
#include "test_decode_frames.h"

#include "proto/rss.h"

static const struct decoder plain;

typedef void (*frame_fn)(const struct made *made, const struct link *link,
                         const struct payload *payload);

static void for_every_frame(frame_fn check)
{
    int n = 0;
    for (size_t i = 0; i < LINKS_N; i++) {
        for (size_t j = 0; j < PAYLOADS_N; j++) {
            struct made made;
            if (make_frame(&made, &links[i], &payloads[j])) {
                check(&made, &links[i], &payloads[j]);
                n++;
            }
        }
    }
    assert_true(n > 500);
}

static bool same_tuple(const struct packet *a, const struct packet *b)
{
    enum { TUPLE_MARKS = 0xff & ~PACKET_MARK_SNAPPED };
    return a->class_index == b->class_index && a->protocol == b->protocol &&
           (a->marks & TUPLE_MARKS) == (b->marks & TUPLE_MARKS) &&
           a->source_port == b->source_port && a->destination_port == b->destination_port &&
           a->l3_bytes == b->l3_bytes && a->icmp_type == b->icmp_type &&
           memcmp(a->source_address, b->source_address, 16) == 0 &&
           memcmp(a->destination_address, b->destination_address, 16) == 0;
}

static void check_whole(const struct made *made, const struct link *link,
                        const struct payload *payload)
{
    struct packet packet;
    struct layers layers;
    decode_made(&plain, made, made->size, &packet, &layers);
    if (packet.class_index != CLASS_CONNECTION && packet.class_index != CLASS_ICMP_ERROR)
        fail_msg("%s over %s is %s", payload->name, link->name,
                 packet_class_name(packet.class_index));
    assert_int_equal(packet.protocol, payload->final_protocol);
    assert_int_equal(packet.l2_bytes, made->size);
    assert_int_equal(packet.l3_bytes, made->size - made->ip_at);
    assert_int_equal(packet.time_ns, 1234567890);
    assert_int_equal(packet.malformed_cause, MALFORMED_NONE);
    assert_int_equal(packet.marks & PACKET_MARK_SNAPPED, 0);
    assert_true(packet.marks & (payload->version == 4 ? PACKET_MARK_IPV4 : PACKET_MARK_IPV6));
    if (strstr(payload->bytes, PORTS) && packet.marks & PACKET_MARK_PORTS) {
        assert_int_equal(packet.source_port, 1000);
        assert_int_equal(packet.destination_port, 80);
    }
}

static void test_every_packet_behind_every_link_layer_is_found(void **state)
{
    (void)state;
    for_every_frame(check_whole);
}

/* Whatever is cut, the frame's wire length counts, no byte behind the cut is read (a sanitizer
 * looks), and an IP length that is known is the whole one. */
static void check_snapped(const struct made *made, const struct link *link,
                          const struct payload *payload)
{
    struct packet whole, packet;
    struct layers layers;
    decode_made(&plain, made, made->size, &whole, &layers);
    uint32_t ip_header_bytes = payload->version == 4 ? 20 : 40;
    uint32_t needed = made->ip_at + ip_header_bytes + payload->tuple_bytes;
    for (uint32_t n = 0; n < made->size; n++) {
        decode_made(&plain, made, n, &packet, &layers);
        assert_int_equal(packet.l2_bytes, made->size);
        assert_true(packet.marks & PACKET_MARK_SNAPPED);
        assert_int_equal(packet.l3_bytes, packet_is_ip(&packet) ? whole.l3_bytes : 0);
        if (n >= needed && !same_tuple(&packet, &whole))
            fail_msg("%s over %s, %u bytes captured: another tuple", payload->name, link->name, n);
        if (n < made->ip_at + ip_header_bytes)
            assert_true(packet.class_index == CLASS_MALFORMED ||
                        packet.class_index == CLASS_NON_IP);
        else if (n < needed && payload->tuple_bytes <= 28)
            assert_int_equal(packet.class_index, CLASS_NO_PORTS);
    }
}

static void test_every_snapped_prefix_counts_the_whole_frame(void **state)
{
    (void)state;
    for_every_frame(check_snapped);
}

/* A frame that really ended there: nothing is known of more than its own bytes. */
static void check_short(const struct made *made, const struct link *link,
                        const struct payload *payload)
{
    (void)link;
    (void)payload;
    for (uint32_t n = 0; n < made->size; n++) {
        struct packet packet;
        struct layers layers;
        decode_cut(&plain, made, n, n, &packet, &layers);
        assert_int_equal(packet.l2_bytes, n);
        assert_int_equal(packet.marks & PACKET_MARK_SNAPPED, 0);
        assert_true(packet.class_index < CLASS_N);
        if (packet.class_index == CLASS_MALFORMED)
            assert_int_not_equal(packet.malformed_cause, MALFORMED_NONE);
    }
}

static void test_every_short_frame_has_a_class(void **state)
{
    (void)state;
    for_every_frame(check_short);
}

/* Whatever the bytes: the tuple is in the packed form, and comes out again. */
static void check_encoding(const struct made *made, const struct link *link,
                           const struct payload *payload)
{
    (void)link;
    (void)payload;
    for (uint32_t n = 0; n <= made->size; n++) {
        struct packet packet, back;
        struct layers layers;
        uint8_t room[PACKET_SIZE_MAX];
        size_t used;
        decode_made(&plain, made, n, &packet, &layers);
        packet.clock_ns = packet.time_ns;
        size_t size = packet_encode(&packet, room);
        assert_int_equal(packet_decode(room, size, &back, &used), PACKET_DECODED);
        assert_int_equal(used, size);
        assert_true(same_tuple(&packet, &back));
        assert_int_equal(packet.marks, back.marks);
        assert_int_equal(packet.malformed_cause, back.malformed_cause);
        assert_memory_equal(&packet.tcp, &back.tcp, sizeof packet.tcp);
        if (packet.parts & PACKET_PART_INNER)
            assert_memory_equal(&packet.inner, &back.inner, sizeof packet.inner);
    }
}

static void test_every_decoded_packet_survives_packing(void **state)
{
    (void)state;
    for_every_frame(check_encoding);
}

/* Padding behind the IP packet is on the wire, and no part of the packet. */
static void check_padded(const struct made *made, const struct link *link,
                         const struct payload *payload)
{
    (void)link;
    (void)payload;
    struct made padded = *made;
    struct packet packet, whole;
    struct layers layers;
    decode_made(&plain, made, made->size, &whole, &layers);
    add_hex(&padded, "ffffffffffffffffffff");
    decode_made(&plain, &padded, padded.size, &packet, &layers);
    assert_int_equal(packet.l2_bytes, made->size + 10);
    assert_true(same_tuple(&packet, &whole));
    assert_memory_equal(&packet.tcp, &whole.tcp, sizeof packet.tcp);
}

static void test_padding_changes_the_frame_length_only(void **state)
{
    (void)state;
    for_every_frame(check_padded);
}

static void test_unknown_link_types_are_non_ip(void **state)
{
    (void)state;
    struct made made;
    make_frame(&made, &links[0], &payloads[0]);
    static const int32_t unknown[] = {-1, 2, 6, 105, 127, 166, 239, 65535};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        struct packet packet;
        struct layers layers;
        made.link_type = unknown[i];
        decode_made(&plain, &made, made.size, &packet, &layers);
        assert_int_equal(packet.class_index, CLASS_NON_IP);
        assert_int_equal(packet.l2_bytes, made.size);
    }
}

static unsigned n_straight;

/* Every byte of the headers takes every value. */
static void check_both_ways(const struct made *made, const struct link *link,
                            const struct payload *payload)
{
    enum { HEADERS = 80 };
    (void)payload;
    if (link->link_type != LINK_ETHERNET)
        return;
    struct made other = *made;
    struct frame frame = {.bytes = other.bytes,
                          .captured_bytes = made->size,
                          .wire_bytes = made->size,
                          .time_ns = 1234567890,
                          .link_type = LINK_ETHERNET,
                          .interface = "test"};
    for (uint32_t at = 0; at < made->size && at < HEADERS; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct packet packet;
            struct layers layers;
            memset(&packet, 0xa5, sizeof packet);
            memset(&layers, 0xa5, sizeof layers);
            other.bytes[at] = (uint8_t)value;
            decode_long(&plain, &frame, &packet, &layers);
            n_straight += is_straight(&frame, &packet, &layers);
        }
        other.bytes[at] = made->bytes[at];
    }
}

static void test_the_straight_way_comes_to_what_the_long_way_comes_to(void **state)
{
    (void)state;
    for_every_frame(check_both_ways);
    assert_true(n_straight > 100000);
}

static void test_only_a_decoder_that_looks_no_further_lets_frames_go_straight(void **state)
{
    (void)state;
    static struct config config;
    char *carriers[] = {(char *)"gre"};
    struct decoder decoder;
    decode_init(&decoder, &config);
    assert_true(decoder.may_go_straight);
    config.conntrack.checksum = true;
    decode_init(&decoder, &config);
    assert_false(decoder.may_go_straight);
    config.conntrack.checksum = false;
    config.capture.decapsulate.items = carriers;
    config.capture.decapsulate.n = 1;
    decode_init(&decoder, &config);
    assert_false(decoder.may_go_straight);
}

static void test_configured_carriers_and_ports_reach_the_decoder(void **state)
{
    (void)state;
    char *carriers[] = {(char *)"erspan", (char *)"vxlan"};
    static struct config config;
    config.capture.decapsulate.items = carriers;
    config.capture.decapsulate.n = 2;
    config.capture.tzsp_port = 37008;
    config.capture.vxlan_port = 8472;
    struct decoder decoder;
    decode_init(&decoder, &config);
    assert_true(decoder.unwrap_erspan && decoder.unwrap_vxlan);
    assert_false(decoder.unwrap_tzsp || decoder.unwrap_gre);
    assert_int_equal(decoder.tzsp_port, 37008);
    assert_int_equal(decoder.vxlan_port, 8472);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_packet_behind_every_link_layer_is_found),
        cmocka_unit_test(test_every_snapped_prefix_counts_the_whole_frame),
        cmocka_unit_test(test_every_short_frame_has_a_class),
        cmocka_unit_test(test_every_decoded_packet_survives_packing),
        cmocka_unit_test(test_padding_changes_the_frame_length_only),
        cmocka_unit_test(test_unknown_link_types_are_non_ip),
        cmocka_unit_test(test_the_straight_way_comes_to_what_the_long_way_comes_to),
        cmocka_unit_test(test_only_a_decoder_that_looks_no_further_lets_frames_go_straight),
        cmocka_unit_test(test_configured_carriers_and_ports_reach_the_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
