/* address: IP addresses as text.
 *
 *     address_text(ip_version, address, text);
 *
 * IPv4 dotted, IPv6 as RFC 5952 recommends (mapped IPv4 with its dotted part, section 5). */
#ifndef WANMETER_EXPORTER_ADDRESS_H
#define WANMETER_EXPORTER_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_TEXT_SIZE = 46 };

/* Writes the address (network order; IPv4: the first 4 bytes) and a 0; returns the text's length.
 */
size_t address_text(unsigned ip_version, const uint8_t address[16], char text[ADDRESS_TEXT_SIZE]);

/* The first 4 bytes as a number: 192.0.2.1 is 0xc0000201. */
static inline uint32_t address_ipv4_number(const uint8_t address[16])
{
    return (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 |
           address[3];
}

#endif
