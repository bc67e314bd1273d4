/* Mirrored frames inside their carriers: every carrier around every frame. */
#include "test_decode_frames.h"

static const struct decoder plain;
static const struct decoder unwrapping = {.unwrap_erspan = true,
                                          .unwrap_tzsp = true,
                                          .unwrap_vxlan = true,
                                          .unwrap_gre = true,
                                          .tzsp_port = 37008,
                                          .vxlan_port = 4789};

struct carrier {
    const char *name;
    uint8_t protocol;
    const char *before; /* between the IP header and the frame inside */
    int32_t link_type;  /* of the frame inside */
};

#define UDP_TO_VXLAN "c00112b500000000"
#define UDP_TO_TZSP  "c001909000000000"
#define ERSPAN_III                                                                                 \
    "2064000000000000"                                                                             \
    "0000"

static const struct carrier carriers[] = {
    {"erspan I", 47, "000088be", LINK_ETHERNET},
    {"erspan II", 47,
     "100088be"
     "00000001"
     "1064000100000007",
     LINK_ETHERNET},
    {"erspan II with key", 47,
     "300088be"
     "0000002a"
     "00000001"
     "1064000100000007",
     LINK_ETHERNET},
    {"erspan III", 47,
     "100022eb"
     "00000001" ERSPAN_III "0000",
     LINK_ETHERNET},
    {"erspan III with subheader", 47,
     "100022eb"
     "00000001" ERSPAN_III "0001"
     "0102030405060708",
     LINK_ETHERNET},
    {"erspan III of packets", 47,
     "100022eb"
     "00000001" ERSPAN_III "0800",
     LINK_RAW},
    {"tzsp", 17,
     UDP_TO_TZSP "01000001"
                 "01",
     LINK_ETHERNET},
    {"tzsp with tags", 17,
     UDP_TO_TZSP "01000001"
                 "0a0105"
                 "00"
                 "290401020304"
                 "01",
     LINK_ETHERNET},
    {"vxlan", 17,
     UDP_TO_VXLAN "08000000"
                  "00002a00",
     LINK_ETHERNET},
    {"gre ethernet", 47, "00006558", LINK_ETHERNET},
    {"gre with all fields", 47,
     "b0006558"
     "00000000"
     "0000002a"
     "00000001",
     LINK_ETHERNET},
    {"gre ipv4", 47, "00000800", LINK_IPV4},
    {"gre ipv6", 47, "000086dd", LINK_IPV6},
};

enum { CARRIERS_N = sizeof carriers / sizeof *carriers };

static void wrap(struct made *outer, const struct carrier *carrier, const struct made *inner)
{
    outer->size = 0;
    outer->link_type = LINK_ETHERNET;
    add_hex(outer, MACS "810003e7"
                        "0800");
    add_ip(outer, 4, carrier->protocol, strlen(carrier->before) / 2 + inner->size);
    add_hex(outer, carrier->before);
    add_bytes(outer, inner->bytes, inner->size);
}

static void assert_counts_as(const struct packet *packet, const struct packet *wanted,
                             const char *name)
{
    if (memcmp(packet, wanted, sizeof *packet) != 0)
        fail_msg("%s: counted as another packet (class %s, l2 %u, l3 %u)", name,
                 packet_class_name(packet->class_index), packet->l2_bytes, packet->l3_bytes);
}

typedef void (*carried_fn)(const struct carrier *carrier, const struct made *outer,
                           const struct made *inner);

static void for_every_carried_frame(carried_fn check)
{
    int n = 0;
    for (size_t c = 0; c < CARRIERS_N; c++) {
        for (size_t i = 0; i < LINKS_N; i++) {
            for (size_t j = 0; j < PAYLOADS_N; j++) {
                struct made inner, outer;
                if (links[i].link_type != carriers[c].link_type ||
                    !make_frame(&inner, &links[i], &payloads[j]))
                    continue;
                wrap(&outer, &carriers[c], &inner);
                check(&carriers[c], &outer, &inner);
                n++;
            }
        }
    }
    assert_true(n > 1000);
}

/* What is inside may be a carrier itself: it is then compared unwrapped, too. */
static void check_inner(const struct carrier *carrier, const struct made *outer,
                        const struct made *inner)
{
    struct packet packet, wanted;
    struct layers layers, wanted_layers;
    decode_made(&unwrapping, inner, inner->size, &wanted, &wanted_layers);
    decode_made(&unwrapping, outer, outer->size, &packet, &layers);
    assert_counts_as(&packet, &wanted, carrier->name);
    assert_int_equal(layers.vlan, wanted_layers.vlan);
    assert_int_equal(layers.pppoe_session, wanted_layers.pppoe_session);
    assert_int_equal(layers.source_mac != NULL, wanted_layers.source_mac != NULL);
}

static void test_every_frame_counts_as_without_its_carrier(void **state)
{
    (void)state;
    for_every_carried_frame(check_inner);
}

static void check_outer(const struct carrier *carrier, const struct made *outer,
                        const struct made *inner)
{
    (void)inner;
    struct packet packet;
    struct layers layers;
    decode_made(&plain, outer, outer->size, &packet, &layers);
    assert_int_equal(packet.protocol, carrier->protocol);
    assert_int_equal(packet.l2_bytes, outer->size);
    assert_int_equal(packet.l3_bytes, outer->size - outer->ip_at);
    assert_int_equal(layers.vlan, 999);
}

static void test_a_carrier_that_is_not_named_counts_itself(void **state)
{
    (void)state;
    for_every_carried_frame(check_outer);
}

/* Cut anywhere, a frame counts either as the one inside or as its carrier, with the whole length.
 */
static void check_cut(const struct carrier *carrier, const struct made *outer,
                      const struct made *inner)
{
    struct packet whole;
    struct layers layers;
    decode_made(&unwrapping, inner, inner->size, &whole, &layers);
    bool is_nested = whole.l2_bytes != inner->size;
    for (uint32_t n = 0; n < outer->size; n++) {
        struct packet packet;
        decode_made(&unwrapping, outer, n, &packet, &layers);
        bool is_inner =
            packet.l2_bytes == inner->size || (is_nested && packet.l2_bytes == whole.l2_bytes);
        if (!is_inner && packet.l2_bytes != outer->size)
            fail_msg("%s, %u bytes captured: l2_bytes %u", carrier->name, n, packet.l2_bytes);
        assert_true(packet.marks & PACKET_MARK_SNAPPED);
        if (is_inner)
            assert_int_equal(packet.malformed_cause, MALFORMED_NONE);
    }
}

static void test_a_cut_carrier_counts_whole_or_as_what_is_inside(void **state)
{
    (void)state;
    for_every_carried_frame(check_cut);
}

static void test_padding_behind_a_carrier_is_no_part_of_the_frame_inside(void **state)
{
    (void)state;
    for (size_t c = 0; c < CARRIERS_N; c++) {
        struct made inner, outer;
        struct packet packet;
        struct layers layers;
        if (carriers[c].link_type != LINK_ETHERNET)
            continue;
        make_frame(&inner, &links[0], &payloads[0]);
        wrap(&outer, &carriers[c], &inner);
        add_hex(&outer, "00000000000000000000");
        decode_made(&unwrapping, &outer, outer.size, &packet, &layers);
        assert_int_equal(packet.l2_bytes, inner.size);
    }
}

static void test_an_arp_frame_inside_is_arp(void **state)
{
    (void)state;
    struct made inner, outer;
    struct packet packet;
    struct layers layers;
    make_ethernet(&inner, MACS "0806"
                               "0001080006040001");
    wrap(&outer, &carriers[0], &inner);
    decode_made(&unwrapping, &outer, outer.size, &packet, &layers);
    assert_int_equal(packet.class_index, CLASS_ARP);
    assert_int_equal(packet.l2_bytes, inner.size);
    assert_int_equal(packet.l3_bytes, 0);
}

static void assert_counts_itself(const struct carrier *carrier, const char *inner_hex)
{
    struct made inner, outer;
    struct packet packet, wanted;
    struct layers layers;
    make_ethernet(&inner, inner_hex);
    wrap(&outer, carrier, &inner);
    decode_made(&plain, &outer, outer.size, &wanted, &layers);
    decode_made(&unwrapping, &outer, outer.size, &packet, &layers);
    assert_counts_as(&packet, &wanted, carrier->name);
    assert_int_equal(layers.vlan, 999);
}

static void test_a_carrier_with_nothing_usable_inside_counts_itself(void **state)
{
    (void)state;
    for (size_t c = 0; c < CARRIERS_N; c++) {
        assert_counts_itself(&carriers[c], "");
        if (carriers[c].link_type == LINK_ETHERNET) {
            assert_counts_itself(&carriers[c], MACS);
            assert_counts_itself(&carriers[c], MACS "0800"
                                                    "4f");
        }
    }
}

/* What no unwrapping should take for a carrier. */
static const struct carrier lookalikes[] = {
    {"gre version 1", 47,
     "2001880b"
     "00040001",
     0},
    {"gre with routing", 47,
     "40006558"
     "00000000"
     "00000000",
     0},
    {"gre of mpls", 47, "00008847", 0},
    {"erspan II with another version", 47,
     "100088be"
     "00000001"
     "2064000100000007",
     0},
    {"erspan III with another version", 47,
     "100022eb"
     "00000001"
     "1064000000000000"
     "0000"
     "0000",
     0},
    {"erspan III of another frame type", 47,
     "100022eb"
     "00000001" ERSPAN_III "1c00",
     0},
    {"vxlan without an id", 17,
     UDP_TO_VXLAN "00000000"
                  "00002a00",
     0},
    {"tzsp version 2", 17,
     UDP_TO_TZSP "02000001"
                 "01",
     0},
    {"tzsp keepalive", 17,
     UDP_TO_TZSP "01040001"
                 "01",
     0},
    {"tzsp of 802.11", 17,
     UDP_TO_TZSP "01000012"
                 "01",
     0},
    {"tzsp from the port", 17,
     "9090c00100000000"
     "01000001"
     "01",
     0},
    {"another port", 17,
     "c001c00200000000"
     "08000000"
     "00002a00",
     0},
    {"another protocol", 4, "", 0},
};

static void test_what_only_looks_like_a_carrier_counts_itself(void **state)
{
    (void)state;
    struct made frame;
    make_frame(&frame, &links[0], &payloads[0]);
    for (size_t i = 0; i < sizeof lookalikes / sizeof *lookalikes; i++) {
        struct made outer;
        struct packet packet, wanted;
        struct layers layers;
        wrap(&outer, &lookalikes[i], &frame);
        decode_made(&plain, &outer, outer.size, &wanted, &layers);
        decode_made(&unwrapping, &outer, outer.size, &packet, &layers);
        assert_counts_as(&packet, &wanted, lookalikes[i].name);
    }
}

static void test_a_fragment_of_a_carrier_counts_itself(void **state)
{
    (void)state;
    for (size_t c = 0; c < CARRIERS_N; c++) {
        struct made inner, outer;
        struct packet packet;
        struct layers layers;
        make_frame(&inner, &links[0], &payloads[0]);
        wrap(&outer, &carriers[c], &inner);
        outer.bytes[outer.ip_at + 6] = 0x20; /* more fragments */
        decode_made(&unwrapping, &outer, outer.size, &packet, &layers);
        assert_int_equal(packet.l2_bytes, outer.size);
        assert_int_equal(packet.protocol, carriers[c].protocol);
    }
}

static void test_each_carrier_is_unwrapped_only_if_it_is_named(void **state)
{
    (void)state;
    for (size_t c = 0; c < CARRIERS_N; c++) {
        const char *name = carriers[c].name;
        struct decoder others = unwrapping;
        others.unwrap_erspan = strncmp(name, "erspan", 6) != 0;
        others.unwrap_tzsp = strncmp(name, "tzsp", 4) != 0;
        others.unwrap_vxlan = strncmp(name, "vxlan", 5) != 0;
        others.unwrap_gre = strncmp(name, "gre", 3) != 0;
        struct made inner, outer;
        struct packet packet;
        struct layers layers;
        make_frame(&inner, &links[0], &payloads[0]);
        wrap(&outer, &carriers[c], &inner);
        decode_made(&others, &outer, outer.size, &packet, &layers);
        assert_int_equal(packet.l2_bytes, outer.size);
    }
}

static void test_carriers_are_unwrapped_up_to_a_depth(void **state)
{
    (void)state;
    for (int depth = 1; depth <= DECAPSULATIONS_MAX + 2; depth++) {
        struct made frames[DECAPSULATIONS_MAX + 3];
        make_frame(&frames[0], &links[0], &payloads[0]);
        for (int i = 0; i < depth; i++)
            wrap(&frames[i + 1], &carriers[0], &frames[i]);
        struct packet packet;
        struct layers layers;
        decode_made(&unwrapping, &frames[depth], frames[depth].size, &packet, &layers);
        int left = depth > DECAPSULATIONS_MAX ? depth - DECAPSULATIONS_MAX : 0;
        assert_int_equal(packet.l2_bytes, frames[left].size);
        assert_int_equal(packet.protocol, left ? 47 : 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_counts_as_without_its_carrier),
        cmocka_unit_test(test_a_carrier_that_is_not_named_counts_itself),
        cmocka_unit_test(test_a_cut_carrier_counts_whole_or_as_what_is_inside),
        cmocka_unit_test(test_padding_behind_a_carrier_is_no_part_of_the_frame_inside),
        cmocka_unit_test(test_an_arp_frame_inside_is_arp),
        cmocka_unit_test(test_a_carrier_with_nothing_usable_inside_counts_itself),
        cmocka_unit_test(test_what_only_looks_like_a_carrier_counts_itself),
        cmocka_unit_test(test_a_fragment_of_a_carrier_counts_itself),
        cmocka_unit_test(test_each_carrier_is_unwrapped_only_if_it_is_named),
        cmocka_unit_test(test_carriers_are_unwrapped_up_to_a_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
