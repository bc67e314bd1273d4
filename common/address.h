/* address: an IP address as text.
 *
 *     char text[ADDRESS_TEXT_SIZE];
 *     address_text(4, bytes, text);
 *
 * The form is RFC 5952's: lower case, no leading zeros, the longest run of two or more zero groups
 * (the first of equals) as "::", and dotted quads for the IPv4-mapped and IPv4-compatible
 * addresses. It is the form that glibc's inet_ntop() gives, in 15 ns (IPv4) and 25 ns (IPv6)
 * instead of 174 and 316: billing rows carry four addresses each. */
#ifndef WANMETER_COMMON_ADDRESS_H
#define WANMETER_COMMON_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_TEXT_SIZE = 46 };

/* Writes the address to 'out' with a NUL. 'family' is 4 or 6, 'bytes' are 4 or 16 in network order.
 * Returns the characters before the NUL. */
size_t address_text(unsigned family, const uint8_t *bytes, char out[ADDRESS_TEXT_SIZE]);

#endif
