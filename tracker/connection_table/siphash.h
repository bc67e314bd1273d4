/* siphash: a keyed hash that who does not know the key can neither predict nor collide.
 *
 *     siphash_key_init(&key, bytes);
 *     hash = siphash(&key, words, n_words, tail, tail_size, 1, 3);
 *
 * SipHash-c-d with c rounds a word and d at the end, over 8-byte words and up to 7 bytes more.
 * Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. */
#ifndef WANMETER_TRACKER_SIPHASH_H
#define WANMETER_TRACKER_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash_key {
    uint64_t low, high;
};

static inline void siphash_key_init(struct siphash_key *key, const uint8_t bytes[16])
{
    memcpy(&key->low, bytes, 8);
    memcpy(&key->high, bytes + 8, 8);
}

static inline uint64_t siphash_rotate(uint64_t word, unsigned bits)
{
    return (word << bits) | (word >> (64 - bits));
}

static inline void siphash_rounds(uint64_t v[4], unsigned n_rounds)
{
    for (unsigned i = 0; i < n_rounds; i++) {
        v[0] += v[1];
        v[1] = siphash_rotate(v[1], 13) ^ v[0];
        v[0] = siphash_rotate(v[0], 32);
        v[2] += v[3];
        v[3] = siphash_rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = siphash_rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = siphash_rotate(v[1], 17) ^ v[2];
        v[2] = siphash_rotate(v[2], 32);
    }
}

/* 'tail' has the last 'tail_size' (0 to 7) bytes, the first of them lowest, above them 0. */
static inline uint64_t siphash(const struct siphash_key *key, const uint64_t *words, size_t n_words,
                               uint64_t tail, size_t tail_size, unsigned word_rounds,
                               unsigned end_rounds)
{
    uint64_t v[4] = {key->low ^ 0x736f6d6570736575, key->high ^ 0x646f72616e646f6d,
                     key->low ^ 0x6c7967656e657261, key->high ^ 0x7465646279746573};
    for (size_t i = 0; i < n_words; i++) {
        v[3] ^= words[i];
        siphash_rounds(v, word_rounds);
        v[0] ^= words[i];
    }
    uint64_t last = tail | (uint64_t)(n_words * 8 + tail_size) << 56;
    v[3] ^= last;
    siphash_rounds(v, word_rounds);
    v[0] ^= last;
    v[2] ^= 0xff;
    siphash_rounds(v, end_rounds);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
