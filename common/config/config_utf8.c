#include "common/config/config_utf8.h"

#include <string.h>

/* By the first byte: how many follow, and the least character that needs that many. */
static size_t n_following(uint8_t first, uint32_t *bits, uint32_t *least)
{
    if (first >= 0xc2 && first <= 0xdf) {
        *bits = first & 0x1fu;
        *least = 0x80;
        return 1;
    }
    if (first >= 0xe0 && first <= 0xef) {
        *bits = first & 0x0fu;
        *least = 0x800;
        return 2;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        *bits = first & 0x07u;
        *least = 0x10000;
        return 3;
    }
    return 0;
}

size_t config_utf8_decode(const uint8_t *bytes, size_t size, uint32_t *character)
{
    if (size == 0)
        return 0;
    if (bytes[0] < 0x80) {
        *character = bytes[0];
        return 1;
    }
    uint32_t bits = 0, least = 0;
    size_t n = n_following(bytes[0], &bits, &least);
    if (n == 0 || size <= n)
        return 0;
    for (size_t i = 1; i <= n; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        bits = bits << 6 | (bytes[i] & 0x3fu);
    }
    if (bits < least || bits > 0x10ffff || (bits >= 0xd800 && bits <= 0xdfff))
        return 0;
    *character = bits;
    return n + 1;
}

bool config_utf8_is_printable(uint32_t character)
{
    if (character < 0x20 || (character >= 0x7f && character < 0xa0))
        return false; /* C0, DEL, C1 */
    if (character == 0x2028 || character == 0x2029 || character == 0xfeff)
        return false; /* line and paragraph separator, byte order mark */
    if ((character >= 0x202a && character <= 0x202e) ||
        (character >= 0x2066 && character <= 0x2069))
        return false; /* text that reads in another order than it is */
    return (character & 0xfffe) != 0xfffe;
}

bool config_utf8_is_text(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = strlen(text);
    while (size > 0) {
        uint32_t character;
        size_t n = config_utf8_decode(bytes, size, &character);
        if (n == 0 || !config_utf8_is_printable(character))
            return false;
        bytes += n;
        size -= n;
    }
    return true;
}
