#include "proto/rss.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Source: Microsoft, "RSS hashing functions" and "Verifying the RSS hash calculation". */

enum { IPV4_SIZE = 4, IPV6_SIZE = 16, PORT_SIZE = 2, DISTINCT_WORDS_MIN = 8 };

static_assert(RSS_INPUT_MAX == 2 * (IPV6_SIZE + PORT_SIZE), "the largest input");
static_assert(RSS_KEY_SIZE == RSS_INPUT_MAX + 4, "a window of 32 key bits for the last input bit");

const uint8_t rss_key_microsoft[RSS_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* One end of a packet: port 0 without ports. */
struct endpoint {
    const uint8_t *address;
    uint16_t port;
};

static bool has_enough_words(const uint8_t key[RSS_KEY_SIZE])
{
    int n_distinct = 0;
    for (int i = 0; i < RSS_KEY_SIZE; i += 2) {
        bool is_new = true;
        for (int j = 0; j < i; j += 2)
            is_new = is_new && memcmp(key + i, key + j, 2) != 0;
        n_distinct += is_new;
    }
    return n_distinct >= DISTINCT_WORDS_MIN;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool parse_hex(const char *text, uint8_t key[RSS_KEY_SIZE])
{
    if (strlen(text) != 2 * RSS_KEY_SIZE)
        return false;
    for (int i = 0; i < RSS_KEY_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void fill_random(uint8_t key[RSS_KEY_SIZE])
{
    ssize_t size;
    do
        size = getrandom(key, RSS_KEY_SIZE, 0);
    while (size < 0 && errno == EINTR);
    assert(size == RSS_KEY_SIZE); /* up to 256 bytes come whole (getrandom(2)) */
}

bool rss_key_parse(const char *text, uint8_t key[RSS_KEY_SIZE])
{
    uint8_t parsed[RSS_KEY_SIZE];
    if (strcmp(text, "random") == 0)
        fill_random(parsed);
    else if (strcmp(text, "microsoft") == 0)
        memcpy(parsed, rss_key_microsoft, RSS_KEY_SIZE);
    else if (!parse_hex(text, parsed))
        return false;
    if (!has_enough_words(parsed))
        return false;
    memcpy(key, parsed, RSS_KEY_SIZE);
    return true;
}

/* The 32 bits of the key that begin at 'bit'. */
static uint32_t key_window(const uint8_t key[RSS_KEY_SIZE], unsigned bit)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 5; i++) {
        unsigned at = bit / 8 + i;
        bits = bits << 8 | (at < RSS_KEY_SIZE ? key[at] : 0);
    }
    return (uint32_t)(bits >> (8 - bit % 8));
}

void rss_init(struct rss *rss, const uint8_t key[RSS_KEY_SIZE])
{
    for (unsigned i = 0; i < RSS_INPUT_MAX; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint32_t hash = 0;
            for (unsigned bit = 0; bit < 8; bit++)
                if (value & 0x80u >> bit)
                    hash ^= key_window(key, 8 * i + bit);
            rss->table[i][value] = hash;
        }
    }
}

uint32_t rss_hash_bytes(const struct rss *rss, const uint8_t *bytes, size_t size)
{
    assert(size <= RSS_INPUT_MAX);
    uint32_t hash = 0;
    for (size_t i = 0; i < size; i++)
        hash ^= rss->table[i][bytes[i]];
    return hash;
}

static inline __attribute__((always_inline)) uint32_t
hash_address(const struct rss *rss, size_t at, const uint8_t *address, size_t size)
{
    uint32_t hash = 0;
#pragma GCC unroll 16
    for (size_t i = 0; i < size; i++)
        hash ^= rss->table[at + i][address[i]];
    return hash;
}

/* 'size' is a constant wherever this is called: the loops are unrolled. */
static inline __attribute__((always_inline)) uint32_t hash_endpoints(const struct rss *rss,
                                                                     const struct endpoint *low,
                                                                     const struct endpoint *high,
                                                                     size_t size, bool has_ports)
{
    uint32_t hash = hash_address(rss, 0, low->address, size);
    hash ^= hash_address(rss, size, high->address, size);
    if (!has_ports)
        return hash;
    const uint32_t(*table)[256] = rss->table + 2 * size;
    return hash ^ table[0][low->port >> 8] ^ table[1][low->port & 0xff] ^
           table[2][high->port >> 8] ^ table[3][high->port & 0xff];
}

static inline uint64_t ipv4_order(const struct endpoint *end)
{
    uint32_t address;
    memcpy(&address, end->address, sizeof address);
    return (uint64_t)__builtin_bswap32(address) << 16 | end->port;
}

static inline __attribute__((always_inline)) bool
orders_after(const struct endpoint *a, const struct endpoint *b, bool is_ipv6)
{
    if (!is_ipv6)
        return ipv4_order(a) > ipv4_order(b);
    int order = memcmp(a->address, b->address, IPV6_SIZE);
    return order > 0 || (order == 0 && a->port > b->port);
}

static inline __attribute__((always_inline)) uint32_t
hash_canonical(const struct rss *rss, const struct endpoint *source,
               const struct endpoint *destination, bool is_ipv6, bool has_ports,
               bool *source_is_high)
{
    *source_is_high = orders_after(source, destination, is_ipv6);
    const struct endpoint *low = *source_is_high ? destination : source;
    const struct endpoint *high = *source_is_high ? source : destination;
    return hash_endpoints(rss, low, high, is_ipv6 ? IPV6_SIZE : IPV4_SIZE, has_ports);
}

static uint32_t tag_of_ends(const struct rss *rss, const struct endpoint *source,
                            const struct endpoint *destination, bool is_ipv6, bool has_ports,
                            bool *source_is_high)
{
    if (is_ipv6)
        return hash_canonical(rss, source, destination, true, has_ports, source_is_high);
    return hash_canonical(rss, source, destination, false, has_ports, source_is_high);
}

static uint32_t tag_of_inner(const struct rss *rss, const struct packet_inner *inner, bool is_ipv6)
{
    bool source_is_high;
    struct endpoint source = {inner->source_address, inner->has_ports ? inner->source_port : 0};
    struct endpoint destination = {inner->destination_address,
                                   inner->has_ports ? inner->destination_port : 0};
    return tag_of_ends(rss, &source, &destination, is_ipv6, inner->has_ports, &source_is_high);
}

uint32_t rss_tag(const struct rss *rss, struct packet *packet)
{
    if (!packet_is_ip(packet))
        return 0;
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    bool has_ports = packet->marks & PACKET_MARK_PORTS;
    bool source_is_high;
    struct endpoint source = {packet->source_address, has_ports ? packet->source_port : 0};
    struct endpoint destination = {packet->destination_address,
                                   has_ports ? packet->destination_port : 0};
    uint32_t tag = tag_of_ends(rss, &source, &destination, is_ipv6, has_ports, &source_is_high);
    packet->marks = (uint8_t)(packet->marks & ~PACKET_MARK_SOURCE_IS_HIGH);
    if (source_is_high)
        packet->marks |= PACKET_MARK_SOURCE_IS_HIGH;
    return packet->parts & PACKET_PART_INNER ? tag_of_inner(rss, &packet->inner, is_ipv6) : tag;
}
