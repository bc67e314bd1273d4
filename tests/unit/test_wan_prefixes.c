/* Where WANs have nothing but prefixes: the short look-up. */
#include "wan_case.h"

static struct packet some_packet(unsigned seed)
{
    static const uint8_t firsts[] = {10, 20, 30, 40};
    struct packet packet = {.marks = seed & 1 ? PACKET_MARK_IPV4 : 0};
    if (seed & 2 && !(seed & 1))
        packet.marks = PACKET_MARK_IPV6;
    packet.source_address[0] = firsts[seed >> 2 & 3];
    packet.destination_address[0] = firsts[seed >> 4 & 3];
    return packet;
}

/* Where WANs have nothing but prefixes, keys are not looked up: with an account that no frame is
 * of they are. */
static void test_prefixes_alone_say_what_they_say_among_other_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_prefix inside[3] = {{.address = {10}, .family = 4, .length = 8},
                                      {.address = {20}, .family = 6, .length = 8},
                                      {.address = {30}, .family = 4, .length = 8}};
    for (size_t i = 0; i < 2; i++) {
        struct config_wan_match *match = add_wan(&fixture);
        match->local_prefixes = inside + i;
        match->n_local_prefixes = 2;
    }
    fixture.wans[1].zone = 5;
    fixture.config.local_prefixes = inside + 2;
    fixture.config.n_local_prefixes = 1;
    fixture.sources[0] = (struct config_source){.interface = eth1, .zone = 7, .direction = down};
    int32_t nowhere = 4000;
    fixture.accounts[0] = (struct config_account){.vlans = &nowhere, .n_vlans = 1};
    struct layers layers = plain_layers();
    for (unsigned seed = 0; seed < 4 * 64; seed++) {
        struct packet packet = some_packet(seed);
        fixture.config.n_sources = seed >> 6 & 1;
        fixture.wans[0].direction = seed >> 7 ? up : automatic;
        fixture.config.n_accounts = 0;
        struct packet alone = apply(&fixture, seed & 8 ? "eth1" : "eth0", &layers, &packet);
        fixture.config.n_accounts = 1;
        struct packet among = apply(&fixture, seed & 8 ? "eth1" : "eth0", &layers, &packet);
        assert_memory_equal(&alone, &among, sizeof alone);
    }
}

static void test_a_frame_of_another_interface_has_that_one_s_zone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.sources[0] = (struct config_source){.interface = eth0, .zone = 1, .direction = up};
    fixture.sources[1] = (struct config_source){.interface = eth1, .zone = 2, .direction = down};
    fixture.config.n_sources = 2;
    struct wan_table *table;
    assert_int_equal(0, wan_table_create(&fixture.config, &table));
    struct layers layers = plain_layers();
    const char *const names[] = {eth0, eth0, eth1, "eth2", eth1, eth0};
    const unsigned zones[] = {1, 1, 2, 0, 2, 1};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        struct frame frame = {.interface = names[i]};
        struct packet packet = ipv4_packet();
        wan_table_apply(table, &frame, &layers, &packet);
        assert_int_equal(zones[i], packet.zone);
    }
    wan_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes_alone_say_what_they_say_among_other_keys),
        cmocka_unit_test(test_a_frame_of_another_interface_has_that_one_s_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
