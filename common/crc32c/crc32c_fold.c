/* Bytes stand for a polynomial, which may be replaced by any other of the same remainder. 16 bytes
 * that are n bytes before the next ones are two words times x^(8n + 64) and x^(8n): each word times
 * the remainder of its power is 12 bytes, and these are added to the next ones in their place. The
 * remainders below are of powers by 33 less: in reflected order a product of 64 and 32 bits lies
 * one bit beside its place, and a remainder 32. Four vectors of 64 bytes run side by side, as a
 * multiplication takes four cycles and another may begin in each. */
#include "common/crc32c/crc32c_fold.h"

#include <assert.h>

#ifdef __x86_64__

#include <immintrin.h>

#define FOLDING __attribute__((target("sse4.2,avx512f,vpclmulqdq")))

enum { VECTORS = 4, VECTOR_BYTES = 64, VECTOR_WORDS = 8 };

static_assert(CRC32C_FOLD == VECTORS * VECTOR_BYTES, "what one round takes");

/* By distance in bytes: x^(8n + 31) for the first word, x^(8n - 33) for the second. */
struct distance {
    uint32_t first, second;
};

bool crc32c_can_fold(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") &&
           __builtin_cpu_supports("sse4.2");
}

FOLDING static inline __m512i factors_of(struct distance distance)
{
    return _mm512_broadcast_i32x4(_mm_set_epi64x(distance.second, distance.first));
}

FOLDING static inline __m512i add_folded(__m512i sum, __m512i factors, __m512i next)
{
    enum { EITHER_ODD = 0x96 }; /* a sum of three */
    __m512i first = _mm512_clmulepi64_epi128(sum, factors, 0x00);
    __m512i second = _mm512_clmulepi64_epi128(sum, factors, 0x11);
    return _mm512_ternarylogic_epi64(first, second, next, EITHER_ODD);
}

FOLDING static inline __m512i take(const uint8_t *from, uint8_t *to)
{
    __m512i vector = _mm512_loadu_si512(from);
    if (to)
        _mm512_storeu_si512(to, vector);
    return vector;
}

/* What is left are 64 bytes with the sum of all. */
FOLDING static uint32_t sum_of(const __m512i sums[VECTORS])
{
    static const struct distance distances[] = {
        {0xa87ab8a8, 0xab7aff2a}, /* 192 */
        {0x6992cea2, 0x0d3b6092}, /* 128 */
        {0x740eef02, 0x9e4addf8}, /* 64 */
    };
    __m512i whole = sums[VECTORS - 1];
    for (int i = 0; i < VECTORS - 1; i++)
        whole = add_folded(sums[i], factors_of(distances[i]), whole);
    uint64_t words[VECTOR_WORDS], sum = 0;
    _mm512_storeu_si512(words, whole);
    for (int i = 0; i < VECTOR_WORDS; i++)
        sum = __builtin_ia32_crc32di(sum, words[i]);
    return ~(uint32_t)sum;
}

/* Inlined twice, so that nothing asks in the loop whether it copies. */
FOLDING static inline __attribute__((always_inline)) uint32_t
fold(uint32_t crc, const uint8_t *from, uint8_t *to, size_t size)
{
    const __m512i factors = factors_of((struct distance){0xdcb17aa4, 0xb9e02b86}); /* CRC32C_FOLD */
    __m512i sums[VECTORS];
    for (int i = 0; i < VECTORS; i++)
        sums[i] = take(from + i * VECTOR_BYTES, to ? to + i * VECTOR_BYTES : NULL);
    __m512i before = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc));
    sums[0] = _mm512_xor_si512(sums[0], before);
    for (size_t at = CRC32C_FOLD; at < size; at += CRC32C_FOLD)
        for (int i = 0; i < VECTORS; i++) {
            size_t place = at + (size_t)i * VECTOR_BYTES;
            sums[i] = add_folded(sums[i], factors, take(from + place, to ? to + place : NULL));
        }
    return sum_of(sums);
}

FOLDING uint32_t crc32c_fold(uint32_t crc, const uint8_t *from, uint8_t *to, size_t size)
{
    assert(size > 0 && size % CRC32C_FOLD == 0);
    return to ? fold(crc, from, to, size) : fold(crc, from, NULL, size);
}

#else

bool crc32c_can_fold(void)
{
    return false;
}

uint32_t crc32c_fold(uint32_t crc, const uint8_t *from, uint8_t *to, size_t size)
{
    (void)from, (void)to, (void)size;
    assert(false);
    return crc;
}

#endif
