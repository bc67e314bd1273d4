#include "common/address.h"

#include <assert.h>
#include <stdbool.h>

enum { N_GROUPS = 8 };

static char *put_decimal(uint8_t value, char *out)
{
    if (value >= 100)
        *out++ = (char)('0' + value / 100);
    if (value >= 10)
        *out++ = (char)('0' + value / 10 % 10);
    *out++ = (char)('0' + value % 10);
    return out;
}

static char *put_ipv4(const uint8_t *bytes, char *out)
{
    out = put_decimal(bytes[0], out);
    for (int i = 1; i < 4; i++) {
        *out++ = '.';
        out = put_decimal(bytes[i], out);
    }
    return out;
}

static char *put_group(unsigned group, char *out)
{
    static const char digits[] = "0123456789abcdef";

    if (group >= 0x1000)
        *out++ = digits[group >> 12];
    if (group >= 0x100)
        *out++ = digits[group >> 8 & 15];
    if (group >= 0x10)
        *out++ = digits[group >> 4 & 15];
    *out++ = digits[group & 15];
    return out;
}

/* The groups that "::" stands for: the longest run, the first of equals, and never a lone group
 * (RFC 5952, section 4.2). */
struct zero_run {
    int first;
    int n;
};

static struct zero_run find_zero_run(const unsigned groups[N_GROUPS])
{
    struct zero_run best = {.first = N_GROUPS, .n = 0};
    for (int i = 0; i < N_GROUPS; i++) {
        int n = 0;
        while (i + n < N_GROUPS && groups[i + n] == 0)
            n++;
        if (n > best.n && n >= 2)
            best = (struct zero_run){.first = i, .n = n};
        i += n;
    }
    return best;
}

static bool embeds_ipv4(const unsigned groups[N_GROUPS], struct zero_run run)
{
    return run.first == 0 && (run.n == 6 || (run.n == 5 && groups[5] == 0xffff));
}

static char *put_ipv6(const uint8_t *bytes, char *out)
{
    unsigned groups[N_GROUPS];
    for (int i = 0; i < N_GROUPS; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];

    struct zero_run run = find_zero_run(groups);
    bool has_ipv4 = embeds_ipv4(groups, run);
    int n_groups = has_ipv4 ? N_GROUPS - 2 : N_GROUPS;
    for (int i = 0; i < n_groups; i++) {
        if (i == run.first) {
            *out++ = ':';
            i += run.n - 1;
            if (i == N_GROUPS - 1)
                *out++ = ':';
            continue;
        }
        if (i > 0)
            *out++ = ':';
        out = put_group(groups[i], out);
    }
    if (has_ipv4) {
        *out++ = ':';
        out = put_ipv4(bytes + 12, out);
    }
    return out;
}

size_t address_text(unsigned family, const uint8_t *bytes, char out[ADDRESS_TEXT_SIZE])
{
    assert(family == 4 || family == 6);
    char *end = family == 4 ? put_ipv4(bytes, out) : put_ipv6(bytes, out);
    *end = '\0';
    return (size_t)(end - out);
}
