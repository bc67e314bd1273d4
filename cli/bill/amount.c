#include "cli/bill/amount.h"

#include <assert.h>
#include <string.h>

void amount_init(struct amount *amount, int64_t millionths)
{
    *amount = (struct amount){millionths, 1};
}

bool amount_multiply(struct amount *amount, int64_t factor)
{
    return !__builtin_mul_overflow(amount->numerator, factor, &amount->numerator);
}

bool amount_divide(struct amount *amount, int64_t divisor)
{
    assert(divisor > 0);
    return !__builtin_mul_overflow(amount->denominator, divisor, &amount->denominator);
}

/* Is the whole part one too small, by the rule, of what has this remainder (not below 0)? */
static bool is_rounded_up(amount_integer whole, amount_integer remainder, amount_integer divisor,
                          bool is_negative, const char *rule)
{
    if (remainder == 0 || strcmp(rule, "down") == 0)
        return remainder != 0 && is_negative; /* the whole part was rounded towards zero */
    if (strcmp(rule, "up") == 0)
        return !is_negative;
    amount_integer rest = divisor - remainder;
    if (remainder != rest)
        return remainder > rest;
    return strcmp(rule, "half-up") == 0 || whole % 2 != 0;
}

bool amount_round(const struct amount *amount, const char *rule, int decimals, int64_t *millionths)
{
    int64_t step = 1;
    for (int i = decimals; i < 6; i++)
        step *= 10;
    amount_integer divisor;
    if (__builtin_mul_overflow(amount->denominator, step, &divisor))
        return false;
    bool is_negative = amount->numerator < 0;
    amount_integer size = is_negative ? -amount->numerator : amount->numerator;
    amount_integer whole = size / divisor;
    if (is_rounded_up(whole, size % divisor, divisor, is_negative, rule))
        whole++;
    amount_integer result;
    if (__builtin_mul_overflow(is_negative ? -whole : whole, step, &result) || result > INT64_MAX ||
        result < INT64_MIN)
        return false;
    *millionths = (int64_t)result;
    return true;
}
