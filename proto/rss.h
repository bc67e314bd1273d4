/* rss: the Toeplitz hash that chooses a packet's shard.
 *
 *     rss_init(&rss, key);
 *     packet.rss = rss_tag(&rss, &packet);
 *     shard = rss_shard(packet.rss, n_shards);
 *
 * Over the endpoints in canonical order (the lower address-and-port first), so both directions give
 * one tag. Input as in Microsoft's "RSS hashing functions": addresses, then ports, network order;
 * addresses alone without ports. An ICMP error is tagged by the packet it quotes. Table-driven: 256
 * entries per input byte. */
#ifndef WANMETER_PROTO_RSS_H
#define WANMETER_PROTO_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"

enum { RSS_KEY_SIZE = 40, RSS_INPUT_MAX = 36 };

struct rss {
    uint32_t table[RSS_INPUT_MAX][256];
};

extern const uint8_t rss_key_microsoft[RSS_KEY_SIZE];

/* "random" (getrandom), "microsoft", or 80 hexadecimal digits; false: none of these, or a key with
 * less than 8 distinct 16-bit words (such as the repeated 0x6d5a, which has 2^16 distinct hashes).
 */
bool rss_key_parse(const char *text, uint8_t key[RSS_KEY_SIZE]);

void rss_init(struct rss *rss, const uint8_t key[RSS_KEY_SIZE]);

/* The hash of 'size' bytes, at most RSS_INPUT_MAX. */
uint32_t rss_hash_bytes(const struct rss *rss, const uint8_t *bytes, size_t size);

/* The packet's tag, and PACKET_MARK_SOURCE_IS_HIGH in packet->marks. 0 for a packet that is not IP.
 */
uint32_t rss_tag(const struct rss *rss, struct packet *packet);

/* 0 to n_shards - 1, by the high bits (a low-rank key is worst in the low ones). */
static inline uint32_t rss_shard(uint32_t tag, uint32_t n_shards)
{
    return (uint32_t)(((uint64_t)tag * n_shards) >> 32);
}

#endif
