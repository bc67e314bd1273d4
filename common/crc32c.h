/* crc32c: the Castagnoli CRC of bytes in memory.
 *
 *     crc = crc32c(0, bytes, size);
 *     crc = crc32c(crc, more, more_size);         the same as of both together
 *     crc = crc32c_join(crc, crc_of_more, more_size);     the same, if that of more is known
 *
 * With the processor's instruction where it has one (8 bytes in a few cycles), else by a table; the
 * result is the same. Source: RFC 3720, appendix B.4. */
#ifndef WANMETER_COMMON_CRC32C_H
#define WANMETER_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of large sizes, multiples of CRC32C_PIECE take least: the rest is summed at a third of the speed.
 */
enum { CRC32C_PIECE = 1536 };

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* The sum of bytes of which 'crc' is the sum, followed by 'size' more with the sum 'next'. Takes a
 * microsecond, whatever the size. */
uint32_t crc32c_join(uint32_t crc, uint32_t next, size_t size);

/* Without the instruction, for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size);

#endif
