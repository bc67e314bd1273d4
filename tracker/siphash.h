/* siphash: SipHash-2-4 of whole words, in registers.
 *
 *     id = siphash_words(key, words, N);
 *
 * The same as libsodium's crypto_shorthash() of the words' bytes (little-endian), which a test
 * holds. For where bytes would have to be stored one field after the other to be hashed at once:
 * reading them as words waits for the stores.
 * Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. */
#ifndef WANMETER_TRACKER_SIPHASH_H
#define WANMETER_TRACKER_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_turn(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void siphash_round(struct siphash *state)
{
    state->v0 += state->v1;
    state->v2 += state->v3;
    state->v1 = siphash_turn(state->v1, 13) ^ state->v0;
    state->v3 = siphash_turn(state->v3, 16) ^ state->v2;
    state->v0 = siphash_turn(state->v0, 32) + state->v3;
    state->v2 += state->v1;
    state->v3 = siphash_turn(state->v3, 21) ^ state->v0;
    state->v1 = siphash_turn(state->v1, 17) ^ state->v2;
    state->v2 = siphash_turn(state->v2, 32);
}

static inline void siphash_add(struct siphash *state, uint64_t word)
{
    state->v3 ^= word;
    siphash_round(state);
    siphash_round(state);
    state->v0 ^= word;
}

/* 'n_words' is less than 32. */
static inline uint64_t siphash_words(const uint64_t key[2], const uint64_t *words, size_t n_words)
{
    struct siphash state = {
        .v0 = key[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = key[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = key[1] ^ UINT64_C(0x7465646279746573),
    };
    for (size_t i = 0; i < n_words; i++)
        siphash_add(&state, words[i]);
    siphash_add(&state, (uint64_t)(8 * n_words) << 56);
    state.v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        siphash_round(&state);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

#endif
