/* crc32c: the Castagnoli CRC of bytes in memory.
 *
 *     crc = crc32c(0, bytes, size);
 *     crc = crc32c(crc, more, more_size);         the same as of both together
 *     crc = crc32c_join(crc, crc_of_more, more_size);     the same, if that of more is known
 *     crc = crc32c_copy(crc, more, room, more_size);      the same, and copies them
 *
 * By vectors where the processor multiplies them (45 bytes in a nanosecond on the machine of
 * docs/performance.md), with its instruction where it has that (27), else by a table; the result is
 * the same. Source: RFC 3720, appendix B.4. */
#ifndef WANMETER_COMMON_CRC32C_H
#define WANMETER_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of large sizes, multiples of CRC32C_PIECE take least: the rest is summed at a third of the speed.
 */
enum { CRC32C_PIECE = 1536 };

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* Each byte is read once: what is summed is what was copied, whoever writes 'from' meanwhile. Out
 * of memory that left the cache it takes half of what a copy and a sum take by vectors. */
uint32_t crc32c_copy(uint32_t crc, const void *from, void *to, size_t size);

/* The sum of bytes of which 'crc' is the sum, followed by 'size' more with the sum 'next'. Takes a
 * microsecond, whatever the size. */
uint32_t crc32c_join(uint32_t crc, uint32_t next, size_t size);

/* Without vectors, and without the instruction as well: for tests. */
uint32_t crc32c_without_vectors(uint32_t crc, const void *bytes, size_t size);
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size);

#endif
