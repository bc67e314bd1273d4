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

/* Of 'n' bytes, the last of which is the lowest of 'word'. A port of 0 adds nothing: so without
 * ports the hash is that of the addresses alone. */
static inline __attribute__((always_inline)) uint32_t hash_word(const uint32_t table[][256],
                                                                uint64_t word, unsigned n)
{
    uint32_t hash = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++)
        hash ^= table[i][word >> 8 * (n - 1 - i) & 0xff];
    return hash;
}

static inline uint64_t read_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap64(word);
}

static inline uint64_t ipv4_end(const uint8_t *bytes, uint16_t port)
{
    uint32_t address;
    memcpy(&address, bytes, sizeof address);
    return (uint64_t)__builtin_bswap32(address) << 16 | port;
}

/* Of two ends, each an address and a port in one word. */
static inline uint32_t tag_of_ipv4(const struct rss *rss, uint64_t low, uint64_t high)
{
    const uint32_t(*table)[256] = rss->table;
    return hash_word(table, low >> 16, IPV4_SIZE) ^
           hash_word(table + IPV4_SIZE, high >> 16, IPV4_SIZE) ^
           hash_word(table + 2 * IPV4_SIZE, low, PORT_SIZE) ^
           hash_word(table + 2 * IPV4_SIZE + PORT_SIZE, high, PORT_SIZE);
}

static bool ipv6_orders_after(const struct endpoint *a, const struct endpoint *b)
{
    int order = memcmp(a->address, b->address, IPV6_SIZE);
    return order > 0 || (order == 0 && a->port > b->port);
}

static __attribute__((noinline)) uint32_t tag_of_ipv6(const struct rss *rss,
                                                      const struct endpoint *source,
                                                      const struct endpoint *destination,
                                                      bool *source_is_high)
{
    enum { HALF = IPV6_SIZE / 2 };
    *source_is_high = ipv6_orders_after(source, destination);
    const struct endpoint *low = *source_is_high ? destination : source;
    const struct endpoint *high = *source_is_high ? source : destination;
    const uint32_t(*table)[256] = rss->table;
    return hash_word(table, read_word(low->address), HALF) ^
           hash_word(table + HALF, read_word(low->address + HALF), HALF) ^
           hash_word(table + 2 * HALF, read_word(high->address), HALF) ^
           hash_word(table + 3 * HALF, read_word(high->address + HALF), HALF) ^
           hash_word(table + 4 * HALF, low->port, PORT_SIZE) ^
           hash_word(table + 4 * HALF + PORT_SIZE, high->port, PORT_SIZE);
}

static uint32_t tag_of_ends(const struct rss *rss, const struct endpoint *source,
                            const struct endpoint *destination, bool is_ipv6, bool *source_is_high)
{
    if (is_ipv6)
        return tag_of_ipv6(rss, source, destination, source_is_high);
    uint64_t a = ipv4_end(source->address, source->port);
    uint64_t b = ipv4_end(destination->address, destination->port);
    *source_is_high = a > b;
    return tag_of_ipv4(rss, a > b ? b : a, a > b ? a : b);
}

static uint32_t tag_of_inner(const struct rss *rss, const struct packet_inner *inner, bool is_ipv6)
{
    bool source_is_high;
    struct endpoint source = {inner->source_address, inner->has_ports ? inner->source_port : 0};
    struct endpoint destination = {inner->destination_address,
                                   inner->has_ports ? inner->destination_port : 0};
    return tag_of_ends(rss, &source, &destination, is_ipv6, &source_is_high);
}

static __attribute__((noinline)) uint32_t tag_of_any(const struct rss *rss, struct packet *packet)
{
    if (!packet_is_ip(packet))
        return 0;
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    bool has_ports = packet->marks & PACKET_MARK_PORTS;
    bool source_is_high;
    struct endpoint source = {packet->source_address, has_ports ? packet->source_port : 0};
    struct endpoint destination = {packet->destination_address,
                                   has_ports ? packet->destination_port : 0};
    uint32_t tag = tag_of_ends(rss, &source, &destination, is_ipv6, &source_is_high);
    packet->marks = (uint8_t)(packet->marks & ~PACKET_MARK_SOURCE_IS_HIGH);
    if (source_is_high)
        packet->marks |= PACKET_MARK_SOURCE_IS_HIGH;
    return packet->parts & PACKET_PART_INNER ? tag_of_inner(rss, &packet->inner, is_ipv6) : tag;
}

/* IPv4 with ports, which most packets are, in registers only: half the instructions. */
uint32_t rss_tag(const struct rss *rss, struct packet *packet)
{
    unsigned marks = packet->marks;
    if (!(marks & PACKET_MARK_IPV4) || !(marks & PACKET_MARK_PORTS) ||
        packet->parts & PACKET_PART_INNER)
        return tag_of_any(rss, packet);
    uint64_t source = ipv4_end(packet->source_address, packet->source_port);
    uint64_t destination = ipv4_end(packet->destination_address, packet->destination_port);
    bool source_is_high = source > destination;
    marks &= ~(unsigned)PACKET_MARK_SOURCE_IS_HIGH;
    packet->marks = (uint8_t)(marks | (source_is_high ? PACKET_MARK_SOURCE_IS_HIGH : 0));
    return tag_of_ipv4(rss, source_is_high ? destination : source,
                       source_is_high ? source : destination);
}
