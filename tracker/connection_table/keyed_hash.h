/* keyed_hash: a hash of a few words for a table, keyed with a secret, in two multiplications.
 *
 *     keyed_hash_init(&keys, bytes);
 *     hash = keyed_hash(&keys, words, n_words);
 *
 * Each multiplication takes two words, each XORed with a secret of its own, and folds the 128-bit
 * product. Who does not know the secrets and never sees a hash cannot choose words that collide;
 * unlike SipHash it must not be used where hashes are seen. A tenth of SipHash-1-3's instructions.
 * Source: J. Black and others, "UMAC: Fast and Secure Message Authentication", CRYPTO 1999 (NH, the
 * sum of such products); Wang Yi, "wyhash" (the fold). */
#ifndef WANMETER_TRACKER_KEYED_HASH_H
#define WANMETER_TRACKER_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <sodium/crypto_shorthash.h>

enum { KEYED_HASH_KEYS = 8 };

struct keyed_hash {
    uint64_t keys[KEYED_HASH_KEYS];
};

static inline void keyed_hash_init(struct keyed_hash *hash, const uint8_t bytes[16])
{
    for (uint64_t i = 0; i < KEYED_HASH_KEYS; i++)
        crypto_shorthash((unsigned char *)&hash->keys[i], (const unsigned char *)&i, sizeof i,
                         bytes);
}

static inline uint64_t keyed_hash_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = __extension__(unsigned __int128) a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* 'n_words' is even, and at most KEYED_HASH_KEYS - 2. */
static inline uint64_t keyed_hash(const struct keyed_hash *hash, const uint64_t *words,
                                  size_t n_words)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n_words; i += 2)
        sum += keyed_hash_fold(words[i] ^ hash->keys[i], words[i + 1] ^ hash->keys[i + 1]);
    return keyed_hash_fold(sum ^ hash->keys[KEYED_HASH_KEYS - 2],
                           hash->keys[KEYED_HASH_KEYS - 1] | 1);
}

#endif
