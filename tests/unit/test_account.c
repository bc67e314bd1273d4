/* Accounts by longest prefix, against a search through all prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/account.h"

enum { ACCOUNTS = 400, PREFIXES_EACH = 3 };

struct world {
    struct config config;
    struct config_account accounts[ACCOUNTS];
    char names[ACCOUNTS][16];
    struct config_prefix prefixes[ACCOUNTS][PREFIXES_EACH];
    struct account_table *table;
};

static uint64_t random_state = 42;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 16;
}

/* Few values a byte, so that prefixes hold each other. */
static void random_address(uint8_t family, uint8_t address[16])
{
    memset(address, 0, 16);
    for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
        address[i] = random_next() % 4 == 0 ? (uint8_t)random_next() : (uint8_t)(i * 10);
}

static void clear_host_bits(struct config_prefix *prefix)
{
    for (unsigned bit = prefix->length; bit < 128; bit++)
        prefix->address[bit / 8] = (uint8_t)(prefix->address[bit / 8] & ~(0x80u >> bit % 8));
}

static void world_open(struct world *world, unsigned n_accounts)
{
    memset(world, 0, sizeof(*world));
    world->config.accounts = world->accounts;
    world->config.n_accounts = n_accounts;
    for (unsigned i = 0; i < n_accounts; i++) {
        snprintf(world->names[i], sizeof world->names[i], "a%u", i);
        world->accounts[i].name = world->names[i];
        world->accounts[i].prefixes = world->prefixes[i];
        world->accounts[i].n_prefixes = PREFIXES_EACH;
        for (unsigned k = 0; k < PREFIXES_EACH; k++) {
            struct config_prefix *prefix = &world->prefixes[i][k];
            prefix->family = random_next() % 2 ? 4 : 6;
            prefix->length = (uint8_t)(random_next() % (prefix->family == 4 ? 33 : 129));
            random_address(prefix->family, prefix->address);
            clear_host_bits(prefix);
        }
    }
    assert_int_equal(account_table_create(&world->config, &world->table), 0);
}

static int has_address(const struct config_prefix *prefix, uint8_t family, const uint8_t *address)
{
    if (prefix->family != family)
        return 0;
    for (unsigned bit = 0; bit < prefix->length; bit++) {
        if ((prefix->address[bit / 8] ^ address[bit / 8]) & 0x80 >> bit % 8)
            return 0;
    }
    return 1;
}

static uint16_t search(const struct world *world, uint8_t family, const uint8_t *address)
{
    int longest = -1;
    uint16_t account = 0;
    for (unsigned i = 0; i < world->config.n_accounts; i++) {
        for (unsigned k = 0; k < PREFIXES_EACH; k++) {
            const struct config_prefix *prefix = &world->prefixes[i][k];
            if (has_address(prefix, family, address) && prefix->length > longest) {
                longest = prefix->length;
                account = (uint16_t)(i + 1);
            }
        }
    }
    return account;
}

static void test_the_longest_prefix_wins_as_by_search(void **state)
{
    (void)state;
    static struct world world;
    static const unsigned sizes[] = {0, 1, 10, ACCOUNTS};
    for (unsigned size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++) {
        world_open(&world, sizes[size]);
        for (unsigned i = 0; i < 5000; i++) {
            uint8_t family = i % 2 ? 4 : 6, address[16];
            random_address(family, address);
            assert_int_equal(account_of_address(world.table, family, address),
                             search(&world, family, address));
        }
        account_table_destroy(world.table);
    }
}

static void test_a_prefixs_own_first_and_last_address_are_in_it(void **state)
{
    (void)state;
    static struct world world;
    world_open(&world, ACCOUNTS);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct config_prefix *prefix = &world.prefixes[i][0];
        uint8_t last[16];
        memcpy(last, prefix->address, 16);
        for (unsigned bit = prefix->length; bit < (prefix->family == 4 ? 32u : 128u); bit++)
            last[bit / 8] = (uint8_t)(last[bit / 8] | 0x80u >> bit % 8);
        assert_true(account_of_address(world.table, prefix->family, prefix->address) != 0);
        assert_int_equal(account_of_address(world.table, prefix->family, last),
                         search(&world, prefix->family, last));
    }
    account_table_destroy(world.table);
}

/* Account 1: 10/8, account 2: 10.1/16, account 3: 2001:db8::/32. */
static struct account_table *table_of_three(void)
{
    static struct config_prefix prefixes[] = {
        {.address = {10}, .family = 4, .length = 8},
        {.address = {10, 1}, .family = 4, .length = 16},
        {.address = {0x20, 0x01, 0x0d, 0xb8}, .family = 6, .length = 32},
    };
    struct config_account accounts[] = {
        {.name = (char[]){"a"}, .prefixes = &prefixes[0], .n_prefixes = 1},
        {.name = (char[]){"b"}, .prefixes = &prefixes[1], .n_prefixes = 1},
        {.name = (char[]){"c"}, .prefixes = &prefixes[2], .n_prefixes = 1},
    };
    struct config config = {.accounts = accounts, .n_accounts = 3};
    struct account_table *table;
    assert_int_equal(account_table_create(&config, &table), 0);
    return table;
}

static void test_the_direction_says_which_end_is_local(void **state)
{
    (void)state;
    struct account_table *table = table_of_three();
    struct packet packet = {.marks = PACKET_MARK_IPV4,
                            .source_address = {10, 2, 3, 4},
                            .destination_address = {10, 1, 3, 4}};
    packet.direction = DIRECTION_UP;
    assert_int_equal(account_of_packet(table, &packet), 1);
    packet.direction = DIRECTION_DOWN;
    assert_int_equal(account_of_packet(table, &packet), 2);
    packet.direction = DIRECTION_NONE;
    assert_int_equal(account_of_packet(table, &packet), 1);
    packet.source_address[0] = 192;
    assert_int_equal(account_of_packet(table, &packet), 2);
    packet.direction = DIRECTION_UP;
    assert_int_equal(account_of_packet(table, &packet), 0);
    packet.direction = DIRECTION_DOWN;
    packet.destination_address[0] = 192;
    packet.source_address[0] = 10;
    assert_int_equal(account_of_packet(table, &packet), 0);
    account_table_destroy(table);
}

static void test_what_layer_2_chose_goes_first(void **state)
{
    (void)state;
    struct account_table *table = table_of_three();
    struct packet packet = {
        .marks = PACKET_MARK_IPV4, .source_address = {10, 2, 3, 4}, .l2_account = 9};
    assert_int_equal(account_of_packet(table, &packet), 9);
    packet.marks = 0;
    assert_int_equal(account_of_packet(table, &packet), 9);
    packet.l2_account = 0;
    assert_int_equal(account_of_packet(table, &packet), 0); /* not IP: no address to ask */
    account_table_destroy(table);
}

static void test_families_do_not_mix(void **state)
{
    (void)state;
    struct account_table *table = table_of_three();
    struct packet packet = {.marks = PACKET_MARK_IPV6, .source_address = {10, 1}};
    assert_int_equal(account_of_packet(table, &packet), 0);
    memcpy(packet.source_address, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8}, 4);
    packet.source_address[15] = 1;
    assert_int_equal(account_of_packet(table, &packet), 3);
    packet.marks = PACKET_MARK_IPV4;
    assert_int_equal(account_of_packet(table, &packet), 0);
    account_table_destroy(table);
    account_table_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_prefix_wins_as_by_search),
        cmocka_unit_test(test_a_prefixs_own_first_and_last_address_are_in_it),
        cmocka_unit_test(test_the_direction_says_which_end_is_local),
        cmocka_unit_test(test_what_layer_2_chose_goes_first),
        cmocka_unit_test(test_families_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
