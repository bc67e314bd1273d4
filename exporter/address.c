#include "exporter/address.h"

#include <stdbool.h>
#include <string.h>

enum { N_GROUPS = 8 };

/* One of these per row is written: printf would cost more than the row's INSERT. */
static char *write_octet(char *at, uint8_t octet)
{
    if (octet >= 100)
        *at++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *at++ = (char)('0' + octet / 10 % 10);
    *at++ = (char)('0' + octet % 10);
    return at;
}

static char *write_ipv4(char *at, const uint8_t address[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *at++ = '.';
        at = write_octet(at, address[i]);
    }
    return at;
}

static char *write_group(char *at, unsigned group)
{
    static const char digits[] = "0123456789abcdef";
    bool is_leading = true;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = group >> shift & 15;
        is_leading = is_leading && digit == 0 && shift > 0;
        if (!is_leading)
            *at++ = digits[digit];
    }
    return at;
}

struct run {
    int start, length;
};

/* The longest run of two or more zero groups, the first among equals; length 0: none. */
static struct run find_zeros(const unsigned groups[N_GROUPS])
{
    struct run longest = {.start = N_GROUPS};
    for (int i = 0; i < N_GROUPS; i++) {
        int end = i;
        while (end < N_GROUPS && groups[end] == 0)
            end++;
        if (end - i > longest.length && end - i > 1)
            longest = (struct run){.start = i, .length = end - i};
        if (end > i)
            i = end - 1;
    }
    return longest;
}

static char *write_ipv6(char *at, const uint8_t address[16])
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(address, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(at, "::ffff:", 7);
        return write_ipv4(at + 7, address + 12);
    }
    unsigned groups[N_GROUPS];
    for (int i = 0; i < N_GROUPS; i++)
        groups[i] = (unsigned)address[2 * i] << 8 | address[2 * i + 1];

    struct run zeros = find_zeros(groups);
    for (int i = 0; i < N_GROUPS; i++) {
        if (i == zeros.start) {
            *at++ = ':';
            *at++ = ':';
            i += zeros.length - 1;
            continue;
        }
        if (i > 0 && i != zeros.start + zeros.length)
            *at++ = ':';
        at = write_group(at, groups[i]);
    }
    return at;
}

size_t address_text(unsigned ip_version, const uint8_t address[16], char text[ADDRESS_TEXT_SIZE])
{
    char *end = ip_version == 4 ? write_ipv4(text, address) : write_ipv6(text, address);
    *end = '\0';
    return (size_t)(end - text);
}
