#include "common/crc32c.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/crc32c/crc32c_fold.h"

enum {
    WORDS_AT_ONCE = 8,
    LANE_BYTES = 512, /* of three that are summed side by side */
    LANE_WORDS = LANE_BYTES / 8,
};
static const uint32_t POLYNOMIAL = 0x82F63B78; /* reflected */

static uint32_t entry_of(uint32_t byte)
{
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
    return crc;
}

uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size)
{
    static uint32_t table[256];
    static bool is_made;
    const uint8_t *at = bytes;
    for (uint32_t i = 0; !is_made && i < 256; i++)
        table[i] = entry_of(i);
    is_made = true;
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ at[i]) & 0xff];
    return ~crc;
}

/* Of two polynomials, modulo the one above; bit 31 is x^0. */
static uint32_t product_of(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= a >> bit & 1 ? b : 0;
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

/* Bytes behind a sum multiply it by x^8 each; beginning and end are inverted, which cancels out. */
uint32_t crc32c_join(uint32_t crc, uint32_t next, size_t size)
{
    uint32_t power = UINT32_C(1) << (31 - 8);
    for (; size > 0; size >>= 1) {
        if (size & 1)
            crc = product_of(crc, power);
        power = product_of(power, power);
    }
    return crc ^ next;
}

#ifdef __x86_64__

static_assert(CRC32C_PIECE == 3 * LANE_BYTES, "whole lanes");

/* What becomes of a sum by LANE_BYTES zero bytes: linear, so four look-ups. */
struct lane_shift {
    uint32_t of_byte[4][256];
    bool is_made;
};

__attribute__((target("sse4.2"))) static void make_shift(struct lane_shift *shift)
{
    uint64_t of_bit[32];
    for (int bit = 0; bit < 32; bit++) {
        of_bit[bit] = UINT64_C(1) << bit;
        for (int i = 0; i < LANE_WORDS; i++)
            of_bit[bit] = __builtin_ia32_crc32di(of_bit[bit], 0);
    }
    for (int byte = 0; byte < 4; byte++)
        for (int value = 0; value < 256; value++)
            for (int bit = 0; bit < 8; bit++)
                if (value & 1 << bit)
                    shift->of_byte[byte][value] ^= (uint32_t)of_bit[8 * byte + bit];
    shift->is_made = true;
}

static uint64_t shifted(const struct lane_shift *shift, uint64_t sum)
{
    return shift->of_byte[0][sum & 0xff] ^ shift->of_byte[1][sum >> 8 & 0xff] ^
           shift->of_byte[2][sum >> 16 & 0xff] ^ shift->of_byte[3][sum >> 24 & 0xff];
}

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The instruction takes three cycles and one can begin in each: three sums at a time. Moves '*at'
 * on.
 */
__attribute__((target("sse4.2"))) static uint64_t sum_lanes(uint64_t sum, const uint8_t **at,
                                                            size_t *size)
{
    static struct lane_shift shift;
    if (*size >= 3 * LANE_BYTES && !shift.is_made)
        make_shift(&shift);
    for (; *size >= 3 * LANE_BYTES; *at += 3 * LANE_BYTES, *size -= 3 * LANE_BYTES) {
        uint64_t second = 0, third = 0;
        const uint8_t *word = *at;
        for (int i = 0; i < LANE_WORDS; i++, word += 8) {
            sum = __builtin_ia32_crc32di(sum, word_at(word));
            second = __builtin_ia32_crc32di(second, word_at(word + LANE_BYTES));
            third = __builtin_ia32_crc32di(third, word_at(word + 2 * LANE_BYTES));
        }
        sum = shifted(&shift, shifted(&shift, sum) ^ second) ^ third;
    }
    return sum;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t size)
{
    uint64_t sum = sum_lanes(~crc, &at, &size);
    uint64_t words[WORDS_AT_ONCE];
    for (; size >= sizeof words; at += sizeof words, size -= sizeof words) {
        memcpy(words, at, sizeof words);
#pragma GCC unroll 8
        for (int i = 0; i < WORDS_AT_ONCE; i++)
            sum = __builtin_ia32_crc32di(sum, words[i]);
    }
    for (; size >= sizeof *words; at += sizeof *words, size -= sizeof *words) {
        memcpy(words, at, sizeof *words);
        sum = __builtin_ia32_crc32di(sum, words[0]);
    }
    for (; size > 0; at++, size--)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}

uint32_t crc32c_without_vectors(uint32_t crc, const void *bytes, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, bytes, size)
                                            : crc32c_by_table(crc, bytes, size);
}

#else

uint32_t crc32c_without_vectors(uint32_t crc, const void *bytes, size_t size)
{
    return crc32c_by_table(crc, bytes, size);
}

#endif

static_assert(CRC32C_PIECE % CRC32C_FOLD == 0, "a piece leaves no rest");

/* How much of it is folded. */
static size_t folded_size(size_t size)
{
    return size >= CRC32C_FOLD && crc32c_can_fold() ? size - size % CRC32C_FOLD : 0;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    size_t folded = folded_size(size);
    if (folded)
        crc = crc32c_fold(crc, bytes, NULL, folded);
    return crc32c_without_vectors(crc, (const uint8_t *)bytes + folded, size - folded);
}

/* The copy is summed, where it is not both at once: the bytes may be others meanwhile. */
uint32_t crc32c_copy(uint32_t crc, const void *from, void *to, size_t size)
{
    size_t folded = folded_size(size);
    if (folded)
        crc = crc32c_fold(crc, from, to, folded);
    uint8_t *rest = (uint8_t *)to + folded;
    memcpy(rest, (const uint8_t *)from + folded, size - folded);
    return crc32c_without_vectors(crc, rest, size - folded);
}
