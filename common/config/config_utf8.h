/* config_utf8: characters of a text that comes from outside.
 *
 * Source: RFC 3629, section 4 (well-formed sequences). */
#ifndef WANMETER_COMMON_CONFIG_UTF8_H
#define WANMETER_COMMON_CONFIG_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the character at 'bytes'; returns its bytes, 0: not UTF-8 (or cut short). */
size_t config_utf8_decode(const uint8_t *bytes, size_t size, uint32_t *character);

/* Not a control, line or format character that would change how a line reads. */
bool config_utf8_is_printable(uint32_t character);

/* UTF-8 throughout and all of it printable. */
bool config_utf8_is_text(const char *text);

#endif
