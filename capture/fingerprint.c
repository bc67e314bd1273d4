#include "capture/fingerprint.h"

#include <assert.h>
#include <string.h>

enum { IPV4_TTL = 8, IPV4_CHECKSUM = 10, IPV4_SIZE = 20, IPV6_HOP_LIMIT = 7, IPV6_SIZE = 40 };

void fingerprint_init(struct fingerprint *fingerprint, const uint8_t rss_key[RSS_KEY_SIZE])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, rss_key, RSS_KEY_SIZE);
    memcpy(fingerprint->key, hash, sizeof fingerprint->key);
}

/* What changes from hop to hop. */
static void blank(uint8_t *packet, size_t size)
{
    if (packet[0] >> 4 == 4 && size >= IPV4_SIZE) {
        packet[IPV4_TTL] = 0;
        packet[IPV4_CHECKSUM] = packet[IPV4_CHECKSUM + 1] = 0;
    } else if (packet[0] >> 4 == 6 && size >= IPV6_SIZE) {
        packet[IPV6_HOP_LIMIT] = 0;
    }
}

uint64_t fingerprint_of(const struct fingerprint *fingerprint, const struct layers *layers)
{
    uint8_t packet[FINGERPRINT_BYTES_MAX];
    uint64_t hash;
    if (!layers->network)
        return 0;
    size_t size = layers->network_bytes < sizeof packet ? layers->network_bytes : sizeof packet;
    memcpy(packet, layers->network, size);
    blank(packet, size);
    static_assert(sizeof hash == crypto_shorthash_BYTES, "64 bits");
    crypto_shorthash((uint8_t *)&hash, packet, size, fingerprint->key);
    return hash ? hash : 1;
}
