/* The Toeplitz hash against Microsoft's published vectors and a bit-by-bit one; the tag's symmetry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rss.h"

static struct rss microsoft;

/* "Verifying the RSS hash calculation", the tables for IPv4 and IPv6. */
static const struct vector {
    int family;
    const char *source;
    uint16_t source_port;
    const char *destination;
    uint16_t destination_port;
    uint32_t hash_of_addresses;
    uint32_t hash_with_ports;
} vectors[] = {
    {AF_INET, "66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2, 0x51ccc178},
    {AF_INET, "199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262a, 0xc626b0ea},
    {AF_INET, "24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5de, 0x5c2b394a},
    {AF_INET, "38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xafc7327f},
    {AF_INET, "153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d1809c5, 0x10e828a2},
    {AF_INET6, "3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5, 0x40207d3d},
    {AF_INET6, "3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c461c, 0xdde51bbf},
    {AF_INET6, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024,
     0x4b61e985, 0x02d1feef},
};

enum { VECTORS_N = sizeof vectors / sizeof *vectors };

static size_t vector_input(const struct vector *vector, uint8_t input[RSS_INPUT_MAX])
{
    size_t size = vector->family == AF_INET ? 4 : 16;
    assert_int_equal(inet_pton(vector->family, vector->source, input), 1);
    assert_int_equal(inet_pton(vector->family, vector->destination, input + size), 1);
    uint8_t *ports = input + 2 * size;
    ports[0] = (uint8_t)(vector->source_port >> 8);
    ports[1] = (uint8_t)vector->source_port;
    ports[2] = (uint8_t)(vector->destination_port >> 8);
    ports[3] = (uint8_t)vector->destination_port;
    return 2 * size;
}

/* The definition, a bit at a time: a set input bit adds the leftmost 32 bits of the key, and after
 * every bit the key is shifted left. */
static uint32_t hash_by_definition(const uint8_t key[RSS_KEY_SIZE], const uint8_t *input,
                                   size_t size)
{
    uint32_t hash = 0;
    for (size_t bit = 0; bit < size * 8; bit++) {
        if (!(input[bit / 8] & 0x80 >> bit % 8))
            continue;
        uint32_t window = 0;
        for (size_t i = bit; i < bit + 32; i++)
            window = window << 1 | (key[i / 8] >> (7 - i % 8) & 1);
        hash ^= window;
    }
    return hash;
}

static int setup(void **state)
{
    (void)state;
    rss_init(&microsoft, rss_key_microsoft);
    return 0;
}

static void test_microsofts_vectors_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS_N; i++) {
        uint8_t input[RSS_INPUT_MAX];
        size_t size = vector_input(&vectors[i], input);
        assert_int_equal(rss_hash_bytes(&microsoft, input, size), vectors[i].hash_of_addresses);
        assert_int_equal(rss_hash_bytes(&microsoft, input, size + 4), vectors[i].hash_with_ports);
    }
}

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(rand() >> 4);
}

static void test_tables_equal_the_definition_for_any_key_and_size(void **state)
{
    (void)state;
    for (int n = 0; n < 50; n++) {
        static struct rss rss;
        uint8_t key[RSS_KEY_SIZE], input[RSS_INPUT_MAX];
        fill(key, sizeof key);
        rss_init(&rss, key);
        for (size_t size = 0; size <= RSS_INPUT_MAX; size++) {
            fill(input, sizeof input);
            assert_int_equal(rss_hash_bytes(&rss, input, size),
                             hash_by_definition(key, input, size));
        }
    }
}

static struct packet packet_of(const struct vector *vector, bool has_ports)
{
    struct packet packet = {.source_port = vector->source_port,
                            .destination_port = vector->destination_port};
    packet.marks = vector->family == AF_INET ? PACKET_MARK_IPV4 : PACKET_MARK_IPV6;
    packet.marks |= has_ports ? PACKET_MARK_PORTS : 0;
    inet_pton(vector->family, vector->source, packet.source_address);
    inet_pton(vector->family, vector->destination, packet.destination_address);
    return packet;
}

static struct packet turned(const struct packet *packet)
{
    struct packet other = *packet;
    memcpy(other.source_address, packet->destination_address, 16);
    memcpy(other.destination_address, packet->source_address, 16);
    other.source_port = packet->destination_port;
    other.destination_port = packet->source_port;
    return other;
}

/* Of a vector whose source is the lower end the tag is Microsoft's hash itself. */
static void test_the_tag_is_the_hash_with_the_lower_end_first(void **state)
{
    (void)state;
    int n_low = 0;
    for (size_t i = 0; i < VECTORS_N; i++) {
        struct packet packet = packet_of(&vectors[i], true);
        uint32_t tag = rss_tag(&microsoft, &packet);
        bool source_is_low = memcmp(packet.source_address, packet.destination_address, 16) < 0;
        assert_int_equal(!(packet.marks & PACKET_MARK_SOURCE_IS_HIGH), source_is_low);
        if (!source_is_low)
            continue;
        n_low++;
        assert_int_equal(tag, vectors[i].hash_with_ports);
        packet = packet_of(&vectors[i], false);
        assert_int_equal(rss_tag(&microsoft, &packet), vectors[i].hash_of_addresses);
    }
    assert_true(n_low >= 3);
}

static void test_both_directions_give_one_tag_and_opposite_marks(void **state)
{
    (void)state;
    for (int n = 0; n < 10000; n++) {
        struct packet packet = packet_of(&vectors[n % VECTORS_N], n & 8);
        size_t size = packet.marks & PACKET_MARK_IPV4 ? 4 : 16;
        fill(packet.source_address, size);
        if (n & 16) /* ends that differ by the port only */
            memcpy(packet.destination_address, packet.source_address, size);
        fill((uint8_t *)&packet.source_port, 2);
        struct packet back = turned(&packet);
        assert_int_equal(rss_tag(&microsoft, &packet), rss_tag(&microsoft, &back));
        bool ports_decide = (n & 16) && (n & 8);
        bool is_equal =
            (n & 16) && (!ports_decide || packet.source_port == packet.destination_port);
        unsigned both = (packet.marks ^ back.marks) & PACKET_MARK_SOURCE_IS_HIGH;
        assert_int_equal(both != 0, !is_equal);
        if (ports_decide)
            assert_int_equal((packet.marks & PACKET_MARK_SOURCE_IS_HIGH) != 0,
                             packet.source_port > packet.destination_port);
    }
}

static void test_an_equal_pair_of_ends_is_not_high(void **state)
{
    (void)state;
    struct packet packet = {.marks =
                                PACKET_MARK_IPV4 | PACKET_MARK_PORTS | PACKET_MARK_SOURCE_IS_HIGH};
    rss_tag(&microsoft, &packet);
    assert_int_equal(packet.marks, PACKET_MARK_IPV4 | PACKET_MARK_PORTS);
}

/* The error and the packets that it is about, in either direction, reach one shard. */
static void test_an_icmp_error_has_the_tag_of_what_it_quotes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * VECTORS_N; i++) {
        struct packet quoted = packet_of(&vectors[i % VECTORS_N], i < VECTORS_N);
        struct packet error = {.marks = quoted.marks & (PACKET_MARK_IPV4 | PACKET_MARK_IPV6),
                               .parts = PACKET_PART_ICMP | PACKET_PART_INNER,
                               .class_index = CLASS_ICMP_ERROR};
        memset(error.source_address, 0x77, 4);
        memcpy(error.destination_address, quoted.source_address, 16);
        memcpy(error.inner.source_address, quoted.source_address, 16);
        memcpy(error.inner.destination_address, quoted.destination_address, 16);
        error.inner.source_port = quoted.source_port;
        error.inner.destination_port = quoted.destination_port;
        error.inner.has_ports = i < VECTORS_N;
        assert_int_equal(rss_tag(&microsoft, &error), rss_tag(&microsoft, &quoted));
        struct packet reply = turned(&quoted);
        assert_int_equal(rss_tag(&microsoft, &error), rss_tag(&microsoft, &reply));
        bool is_high = memcmp(error.source_address, error.destination_address, 16) > 0;
        assert_int_equal((error.marks & PACKET_MARK_SOURCE_IS_HIGH) != 0,
                         is_high); /* its own ends */
    }
}

static void test_a_frame_without_ip_has_tag_0(void **state)
{
    (void)state;
    struct packet packet = {.class_index = CLASS_ARP};
    memset(packet.source_address, 1, 16);
    assert_int_equal(rss_tag(&microsoft, &packet), 0);
}

static void test_keys_are_parsed_or_refused(void **state)
{
    (void)state;
    uint8_t key[RSS_KEY_SIZE], other[RSS_KEY_SIZE];
    assert_true(rss_key_parse("microsoft", key));
    assert_memory_equal(key, rss_key_microsoft, RSS_KEY_SIZE);
    assert_true(rss_key_parse(
        "6D5A56DA255B0EC24167253D43A38FB0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa", other));
    assert_memory_equal(key, other, RSS_KEY_SIZE);
    assert_true(rss_key_parse("random", key));
    assert_true(rss_key_parse("random", other));
    assert_memory_not_equal(key, other, RSS_KEY_SIZE);

    static const char *const refused[] = {
        "",
        "Random",
        "microsoft ",
        "6d5a",
        "6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a",
        "0000000000000000000000000000000000000000000000000000000000000000000100020003ffff",
        "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fg",
        "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa0",
    };
    memcpy(other, key, RSS_KEY_SIZE);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_false(rss_key_parse(refused[i], key));
        assert_memory_equal(key, other, RSS_KEY_SIZE); /* untouched */
    }
}

static void test_shards_are_in_range_and_evenly_filled(void **state)
{
    (void)state;
    assert_int_equal(rss_shard(0, 8), 0);
    assert_int_equal(rss_shard(UINT32_MAX, 8), 7);
    assert_int_equal(rss_shard(UINT32_MAX, 1), 0);
    for (uint32_t n_shards = 1; n_shards <= 64; n_shards++) {
        uint32_t counts[64] = {0};
        for (uint32_t i = 0; i < 64000; i++) {
            uint8_t input[12] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i, 192, 0, 2, 1, 0, 80, 4, 1};
            uint32_t shard = rss_shard(rss_hash_bytes(&microsoft, input, sizeof input), n_shards);
            assert_true(shard < n_shards);
            counts[shard]++;
        }
        for (uint32_t shard = 0; shard < n_shards; shard++)
            assert_in_range(counts[shard], 64000 / n_shards * 7 / 10,
                            64000 / n_shards * 13 / 10 + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_microsofts_vectors_hold),
        cmocka_unit_test(test_tables_equal_the_definition_for_any_key_and_size),
        cmocka_unit_test(test_the_tag_is_the_hash_with_the_lower_end_first),
        cmocka_unit_test(test_both_directions_give_one_tag_and_opposite_marks),
        cmocka_unit_test(test_an_equal_pair_of_ends_is_not_high),
        cmocka_unit_test(test_an_icmp_error_has_the_tag_of_what_it_quotes),
        cmocka_unit_test(test_a_frame_without_ip_has_tag_0),
        cmocka_unit_test(test_keys_are_parsed_or_refused),
        cmocka_unit_test(test_shards_are_in_range_and_evenly_filled),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
