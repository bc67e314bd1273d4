#include "wan_case.h"

static void test_without_wans_all_is_none_and_the_zone_is_the_default(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.zone = 9;
    struct layers layers = plain_layers();
    struct packet packet = ipv4_packet();
    packet = apply(&fixture, "eth0", &layers, &packet);
    assert_int_equal(0, packet.wan);
    assert_int_equal(9, packet.zone);
    assert_int_equal(DIRECTION_NONE, packet.direction);
    assert_int_equal(0, packet.l2_account);
}

static void test_each_number_key_must_be_equal(void **state)
{
    (void)state;
    for (size_t key = 0; key < 4; key++) {
        struct fixture fixture;
        fixture_init(&fixture);
        struct config_wan_match *match = add_wan(&fixture);
        struct layers layers = plain_layers();
        int32_t *const in_match[] = {&match->vlan, &match->inner_vlan, &match->pppoe_session,
                                     &match->mpls_label};
        int32_t *const in_frame[] = {&layers.vlan, &layers.inner_vlan, &layers.pppoe_session,
                                     &layers.mpls_label};
        struct packet packet = {0}; /* not IP: the link layer is enough */
        *in_match[key] = 7;
        assert_int_equal(0, wan_of(&fixture, "eth0", &layers, &packet));
        *in_frame[key] = 8;
        assert_int_equal(0, wan_of(&fixture, "eth0", &layers, &packet));
        *in_frame[(key + 1) % 4] = 7;
        assert_int_equal(0, wan_of(&fixture, "eth0", &layers, &packet));
        *in_frame[key] = 7;
        assert_int_equal(1, wan_of(&fixture, "eth0", &layers, &packet));
    }
}

static void test_every_key_that_is_set_must_hold(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_wan_match *match = add_wan(&fixture);
    match->vlan = 10;
    match->inner_vlan = 20;
    match->pppoe_session = 30;
    match->mpls_label = 40;
    match->interface = eth0;
    match->gateway_macs = fixture.macs;
    match->n_gateway_macs = 1;
    match->local_prefixes = fixture.local;
    match->n_local_prefixes = 2;
    struct layers right = plain_layers();
    right.vlan = 10;
    right.inner_vlan = 20;
    right.pppoe_session = 30;
    right.mpls_label = 40;
    struct packet packet = ipv4_packet();
    assert_int_equal(1, wan_of(&fixture, "eth0", &right, &packet));
    assert_int_equal(0, wan_of(&fixture, "eth1", &right, &packet));
    for (size_t wrong = 0; wrong < 5; wrong++) {
        struct layers layers = right;
        int32_t *const numbers[] = {&layers.vlan, &layers.inner_vlan, &layers.pppoe_session,
                                    &layers.mpls_label};
        if (wrong < 4)
            *numbers[wrong] = -1;
        else
            layers.destination_mac = host;
        assert_int_equal(0, wan_of(&fixture, "eth0", &layers, &packet));
    }
    packet.source_address[0] = 11;
    assert_int_equal(0, wan_of(&fixture, "eth0", &right, &packet));
}

static void test_the_first_match_in_the_file_wins_whatever_its_keys_are(void **state)
{
    (void)state;
    /* All keys hold; in each round another one comes first. */
    enum { N_KINDS = 7 };
    for (size_t first = 0; first < N_KINDS; first++) {
        struct fixture fixture;
        fixture_init(&fixture);
        struct config_wan_match *wrong = add_wan(&fixture);
        wrong->vlan = 11;
        for (size_t i = 0; i < N_KINDS; i++) {
            struct config_wan_match *match = add_wan(&fixture);
            size_t kind = (first + i) % N_KINDS;
            match->vlan = kind == 0 ? 10 : -1;
            match->inner_vlan = kind == 1 ? 20 : -1;
            match->pppoe_session = kind == 2 ? 30 : -1;
            match->mpls_label = kind == 3 ? 40 : -1;
            match->interface = kind == 4 ? eth0 : NULL;
            match->gateway_macs = fixture.macs;
            match->n_gateway_macs = kind == 5 ? 2 : 0;
            match->local_prefixes = fixture.local;
            match->n_local_prefixes = kind == 6 ? 1 : 0;
        }
        struct layers layers = plain_layers();
        layers.vlan = 10;
        layers.inner_vlan = 20;
        layers.pppoe_session = 30;
        layers.mpls_label = 40;
        struct packet packet = ipv4_packet();
        assert_int_equal(2, wan_of(&fixture, "eth0", &layers, &packet));
    }
}

static void test_a_wan_has_several_matches(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    add_wan(&fixture)->vlan = 1;
    fixture.matches[0][1] = fixture.matches[0][0];
    fixture.matches[0][1].vlan = 2;
    fixture.wans[0].n_matches = 2;
    add_wan(&fixture)->vlan = 2;
    struct layers layers = plain_layers();
    struct packet packet = {0};
    layers.vlan = 2;
    assert_int_equal(1, wan_of(&fixture, "eth0", &layers, &packet));
}

static void test_a_frame_without_macs_matches_no_gateway(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    static struct config_mac zeros;
    struct config_wan_match *match = add_wan(&fixture);
    match->gateway_macs = &zeros;
    match->n_gateway_macs = 1;
    struct layers layers = plain_layers();
    layers.source_mac = layers.destination_mac = NULL;
    struct packet packet = ipv4_packet();
    packet = apply(&fixture, "eth0", &layers, &packet);
    assert_int_equal(0, packet.wan);
    assert_int_equal(0, packet.l2_account);
}

static void test_the_gateway_s_mac_tells_the_direction(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_wan_match *match = add_wan(&fixture);
    match->gateway_macs = fixture.macs;
    match->n_gateway_macs = 1;
    struct layers layers = plain_layers();
    struct packet packet = {0};
    assert_int_equal(DIRECTION_UP, apply(&fixture, "x", &layers, &packet).direction);
    layers.source_mac = gateway;
    layers.destination_mac = host;
    assert_int_equal(DIRECTION_DOWN, apply(&fixture, "x", &layers, &packet).direction);
}

static void test_prefixes_tell_the_direction_if_one_side_is_inside(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.local_prefixes = fixture.local;
    fixture.config.n_local_prefixes = 2;
    struct layers layers = plain_layers();
    struct packet four = ipv4_packet();
    struct packet six = {.marks = PACKET_MARK_IPV6,
                         .source_address = {0x20, 0x01, 0x0d, 0xb8, 0x7f},
                         .destination_address = {0x20, 0x01, 0x0d, 0xb8, 0x80}};
    for (size_t i = 0; i < 2; i++) {
        struct packet packet = i ? six : four;
        assert_int_equal(DIRECTION_UP, apply(&fixture, "x", &layers, &packet).direction);
        swap_addresses(&packet);
        assert_int_equal(DIRECTION_DOWN, apply(&fixture, "x", &layers, &packet).direction);
        memcpy(packet.source_address, packet.destination_address, 16);
        assert_int_equal(DIRECTION_NONE, apply(&fixture, "x", &layers, &packet).direction);
        packet.marks = 0;
        assert_int_equal(DIRECTION_NONE, apply(&fixture, "x", &layers, &packet).direction);
    }
}

static void test_the_match_s_prefixes_go_before_the_top_level_ones(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_prefix outside = {.address = {192, 0, 2}, .family = 4, .length = 24};
    fixture.config.local_prefixes = fixture.local;
    fixture.config.n_local_prefixes = 1;
    struct config_wan_match *match = add_wan(&fixture);
    match->local_prefixes = &outside;
    match->n_local_prefixes = 1;
    struct layers layers = plain_layers();
    struct packet packet = ipv4_packet();
    packet = apply(&fixture, "x", &layers, &packet);
    assert_int_equal(1, packet.wan);
    assert_int_equal(DIRECTION_DOWN, packet.direction);
}

static void
test_fixed_directions_and_zones_go_from_the_wan_to_the_source_to_the_default(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.zone = 1;
    fixture.config.local_prefixes = fixture.local;
    fixture.config.n_local_prefixes = 1;
    struct layers layers = plain_layers();
    layers.vlan = 5;
    struct packet packet = ipv4_packet();
    swap_addresses(&packet);

    struct packet result = apply(&fixture, "eth1", &layers, &packet);
    assert_int_equal(DIRECTION_DOWN, result.direction);
    assert_int_equal(1, result.zone);

    fixture.sources[0] = (struct config_source){.interface = eth0, .zone = -1, .direction = down};
    fixture.sources[1] = (struct config_source){.interface = eth1, .zone = 2, .direction = up};
    fixture.config.n_sources = 2;
    result = apply(&fixture, "eth1", &layers, &packet);
    assert_int_equal(DIRECTION_UP, result.direction);
    assert_int_equal(2, result.zone);
    assert_int_equal(1, apply(&fixture, "eth0", &layers, &packet).zone);

    add_wan(&fixture)->vlan = 5;
    assert_int_equal(2, apply(&fixture, "eth1", &layers, &packet).zone);
    fixture.wans[0].direction = down;
    fixture.wans[0].zone = 3;
    result = apply(&fixture, "eth1", &layers, &packet);
    assert_int_equal(DIRECTION_DOWN, result.direction);
    assert_int_equal(3, result.zone);
}

static void test_the_link_layer_names_the_first_account_in_the_file(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    int32_t vlans[] = {100, 200}, sessions[] = {7};
    fixture.accounts[1] = (struct config_account){.vlans = vlans, .n_vlans = 2};
    fixture.accounts[2] = (struct config_account){.macs = &fixture.macs[1], .n_macs = 1};
    fixture.accounts[3] =
        (struct config_account){.pppoe_sessions = sessions, .n_pppoe_sessions = 1};
    fixture.config.n_accounts = 4;
    struct packet packet = {0};
    struct layers layers = plain_layers();
    assert_int_equal(3, apply(&fixture, "x", &layers, &packet).l2_account);
    layers.source_mac = gateway;
    assert_int_equal(0, apply(&fixture, "x", &layers, &packet).l2_account);
    layers.destination_mac = host;
    assert_int_equal(3, apply(&fixture, "x", &layers, &packet).l2_account);
    layers.vlan = 200;
    assert_int_equal(2, apply(&fixture, "x", &layers, &packet).l2_account);
    layers.vlan = 201;
    layers.destination_mac = NULL;
    layers.pppoe_session = 7;
    assert_int_equal(4, apply(&fixture, "x", &layers, &packet).l2_account);
}

/* The index against trying all in order. */
static void test_a_packet_says_which_match_of_its_wan_held(void **state)
{
    (void)state;
    enum { N_MATCHES = 400 };
    struct config_wan_match matches[N_MATCHES];
    for (int32_t i = 0; i < N_MATCHES; i++)
        matches[i] = (struct config_wan_match){
            .vlan = i / 2, .inner_vlan = -1, .pppoe_session = i % 2 ? -1 : 7, .mpls_label = -1};
    struct config_wan wan = {
        .direction = automatic, .zone = -1, .matches = matches, .n_matches = N_MATCHES};
    struct config config = {.n_wans = 1, .wans = &wan};
    struct wan_table *table;
    assert_int_equal(0, wan_table_create(&config, &table));
    for (int32_t i = 0; i < N_MATCHES + 2; i++) {
        struct layers layers = plain_layers();
        layers.vlan = i / 2;
        layers.pppoe_session = i % 2 ? 8 : 7;
        struct frame frame = {.interface = "x"};
        struct packet packet = {.wan_match = 99};
        wan_table_apply(table, &frame, &layers, &packet);
        int32_t expected = i >= N_MATCHES ? 0 : i < WAN_MATCH_MAX ? i : WAN_MATCH_MAX;
        assert_int_equal(packet.wan, i < N_MATCHES);
        assert_int_equal(packet.wan_match, expected);
    }
    wan_table_destroy(table);
}

static void test_a_thousand_wans_are_told_apart(void **state)
{
    (void)state;
    enum { N_WANS = 1000 };
    struct config config = {.n_wans = N_WANS};
    config.wans = calloc(N_WANS, sizeof *config.wans);
    struct config_wan_match *matches = calloc(N_WANS, sizeof *matches);
    assert_non_null(config.wans);
    assert_non_null(matches);
    for (int32_t i = 0; i < N_WANS; i++) {
        matches[i] = (struct config_wan_match){.vlan = i % 30 ? i % 400 : -1,
                                               .inner_vlan = i % 7 ? -1 : i % 90,
                                               .pppoe_session = i % 3 ? -1 : i,
                                               .mpls_label = i % 30 ? -1 : i % 50};
        config.wans[i] = (struct config_wan){
            .direction = automatic, .zone = -1, .matches = &matches[i], .n_matches = 1};
    }
    struct wan_table *table;
    assert_int_equal(0, wan_table_create(&config, &table));
    size_t n_found = 0;
    for (int32_t i = 0; i < 20000; i++) {
        struct layers layers = plain_layers();
        layers.vlan = i % 400;
        layers.inner_vlan = i % 3 ? i % 97 : -1;
        layers.pppoe_session = i % 5 ? -1 : i % 1009;
        layers.mpls_label = i % 51;
        unsigned expected = 0;
        for (unsigned k = N_WANS; k-- > 0;)
            if ((matches[k].vlan < 0 || matches[k].vlan == layers.vlan) &&
                (matches[k].inner_vlan < 0 || matches[k].inner_vlan == layers.inner_vlan) &&
                (matches[k].pppoe_session < 0 ||
                 matches[k].pppoe_session == layers.pppoe_session) &&
                (matches[k].mpls_label < 0 || matches[k].mpls_label == layers.mpls_label))
                expected = k + 1;
        struct frame frame = {.interface = "x"};
        struct packet packet = {0};
        wan_table_apply(table, &frame, &layers, &packet);
        assert_int_equal(expected, packet.wan);
        n_found += expected != 0;
    }
    assert_in_range(n_found, 1, 19999); /* some match, some do not */
    wan_table_destroy(table);
    free(config.wans);
    free(matches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_wans_all_is_none_and_the_zone_is_the_default),
        cmocka_unit_test(test_each_number_key_must_be_equal),
        cmocka_unit_test(test_every_key_that_is_set_must_hold),
        cmocka_unit_test(test_the_first_match_in_the_file_wins_whatever_its_keys_are),
        cmocka_unit_test(test_a_wan_has_several_matches),
        cmocka_unit_test(test_a_frame_without_macs_matches_no_gateway),
        cmocka_unit_test(test_the_gateway_s_mac_tells_the_direction),
        cmocka_unit_test(test_prefixes_tell_the_direction_if_one_side_is_inside),
        cmocka_unit_test(test_the_match_s_prefixes_go_before_the_top_level_ones),
        cmocka_unit_test(
            test_fixed_directions_and_zones_go_from_the_wan_to_the_source_to_the_default),
        cmocka_unit_test(test_the_link_layer_names_the_first_account_in_the_file),
        cmocka_unit_test(test_a_packet_says_which_match_of_its_wan_held),
        cmocka_unit_test(test_a_thousand_wans_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
