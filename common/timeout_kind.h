/* timeout_kind: the protocols that have timeouts of their own, and what their values are called.
 *
 *     kind = timeout_kind_find("tcp");                        NULL: it has none
 *     value = timeout_kind_value(kind, "established");        NULL: it has no such value
 *     *timeout_value(value, &timeouts) = 100 * second_ns;
 *
 * The protocols, the names and their order are those of Linux's nfnetlink_cttimeout. UDP-Lite and
 * UDP share their places in 'struct timeouts', as they share their defaults in the kernel.
 * Source: Linux 6.18, include/uapi/linux/netfilter/nfnetlink_cttimeout.h. */
#ifndef WANMETER_COMMON_TIMEOUT_KIND_H
#define WANMETER_COMMON_TIMEOUT_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

enum {
    TIMEOUT_GENERIC = 255, /* the protocol number that stands for all without a kind of their own */
    TIMEOUT_VALUES_MAX = 11,
    TIMEOUT_AT_ONCE_NS = 1, /* stands for a timeout of 0; 0 itself leaves a timer as it was */
    TIMEOUT_POLICY_NAME_MAX = 31,
    TIMEOUT_KIND_NAMES_SIZE = 160,
};

struct timeout_value {
    const char *name;
    size_t offset; /* in struct timeouts, of nanoseconds */
};

struct timeout_kind {
    const char *name;
    uint8_t protocol; /* IANA's number, or TIMEOUT_GENERIC */
    uint8_t n_values;
    struct timeout_value values[TIMEOUT_VALUES_MAX];
};

extern const struct timeout_kind timeout_kinds[];
extern const size_t timeout_kinds_n;

/* By name, or by the protocol's number in digits. */
const struct timeout_kind *timeout_kind_find(const char *name);

/* The kind that a protocol's connections are of: never NULL. */
const struct timeout_kind *timeout_kind_of(uint8_t protocol);

const struct timeout_value *timeout_kind_value(const struct timeout_kind *kind, const char *name);

/* "unreplied, replied" in 'out' of TIMEOUT_KIND_NAMES_SIZE bytes. */
void timeout_kind_names(const struct timeout_kind *kind, char *out);

/* What a policy may be called: 1 to TIMEOUT_POLICY_NAME_MAX bytes of printable UTF-8 without spaces
 * and commas. */
bool timeout_policy_is_name(const char *text);

/* As Linux compares them, unsigned: a negative timeout, in the past, is longer than any other. */
static inline bool timeout_is_longer(int64_t left_ns, int64_t right_ns)
{
    return (uint64_t)left_ns > (uint64_t)right_ns;
}

static inline int64_t *timeout_value(const struct timeout_value *value, struct timeouts *timeouts)
{
    return (int64_t *)(void *)((char *)timeouts + value->offset);
}

static inline int64_t timeout_value_ns(const struct timeout_value *value,
                                       const struct timeouts *timeouts)
{
    return *(const int64_t *)(const void *)((const char *)timeouts + value->offset);
}

#endif
