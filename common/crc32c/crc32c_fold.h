/* crc32c_fold: the sum of many bytes by carry-less multiplication, 64 bytes at a time.
 *
 *     if (crc32c_can_fold())
 *         crc = crc32c_fold(crc, bytes, NULL, 4 * CRC32C_FOLD);
 *
 * For common/crc32c.c. Source: V. Gopal and others, "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ Instruction", Intel, 2009. */
#ifndef WANMETER_COMMON_CRC32C_CRC32C_FOLD_H
#define WANMETER_COMMON_CRC32C_CRC32C_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes are multiples of it. */
enum { CRC32C_FOLD = 256 };

/* Has the processor what it takes: AVX-512 with VPCLMULQDQ? */
bool crc32c_can_fold(void);

/* 'size' is a multiple of CRC32C_FOLD, and not 0. What is summed is written to 'to' as well, if
 * that is not NULL; each byte is read once. */
uint32_t crc32c_fold(uint32_t crc, const uint8_t *from, uint8_t *to, size_t size);

#endif
