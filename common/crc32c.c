#include "common/crc32c.h"

#include <stdbool.h>
#include <string.h>

enum { WORDS_AT_ONCE = 8 };
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

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t size)
{
    uint64_t sum = ~crc;
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

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, bytes, size)
                                            : crc32c_by_table(crc, bytes, size);
}

#else

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    return crc32c_by_table(crc, bytes, size);
}

#endif
