/* fragment_key: which datagram a fragment is of.
 *
 * IPv4: source, destination, id, protocol; IPv6: source, destination, id (its fragments need not
 * agree on the protocol). And the zone, and the source of the capture. Compared and hashed as
 * bytes: no padding. Source: RFC 791, section 3.2; RFC 8200, section 4.5. */
#ifndef WANMETER_CAPTURE_FRAGMENT_KEY_H
#define WANMETER_CAPTURE_FRAGMENT_KEY_H

#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "proto/packet.h"

struct fragment_key {
    uint8_t source_address[16];
    uint8_t destination_address[16];
    uint32_t id;
    uint32_t source_index;
    uint16_t zone;
    uint8_t ip_version;
    uint8_t protocol; /* of IPv4; 0 of IPv6 */
};

static_assert(sizeof(struct fragment_key) == 44, "compared as bytes");

static inline struct fragment_key fragment_key_of(const struct packet *packet, uint32_t id,
                                                  uint32_t source_index)
{
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    struct fragment_key key = {
        .id = id,
        .source_index = source_index,
        .zone = packet->zone,
        .ip_version = is_ipv6 ? 6 : 4,
        .protocol = is_ipv6 ? 0 : packet->protocol,
    };
    memcpy(key.source_address, packet->source_address, sizeof key.source_address);
    memcpy(key.destination_address, packet->destination_address, sizeof key.destination_address);
    return key;
}

/* 'hash_key': crypto_shorthash_KEYBYTES random bytes. */
static inline uint64_t fragment_hash(const void *bytes, size_t size, const uint8_t *hash_key)
{
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "the hash is a number");
    crypto_shorthash((uint8_t *)&hash, bytes, size, hash_key);
    return hash;
}

/* The least power of two that is 'n' or more: so many buckets. */
static inline uint32_t fragment_buckets(size_t n)
{
    uint32_t n_buckets = 1;
    while (n_buckets < n)
        n_buckets *= 2;
    return n_buckets;
}

#endif
