/* crc32c: the Castagnoli CRC of bytes in memory.
 *
 *     crc = crc32c(0, bytes, size);
 *     crc = crc32c(crc, more, more_size);         the same as of both together
 *
 * With the processor's instruction where it has one (8 bytes in a few cycles), else by a table; the
 * result is the same. Source: RFC 3720, appendix B.4. */
#ifndef WANMETER_COMMON_CRC32C_H
#define WANMETER_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* Without the instruction, for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size);

#endif
