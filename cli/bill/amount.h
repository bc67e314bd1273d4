/* amount: money before it is rounded, as an exact fraction, and the one rounding.
 *
 *     amount_init(&amount, 0);
 *     amount_multiply(&amount, price) && amount_multiply(&amount, bytes)
 *     amount_divide(&amount, 1000000000)
 *     amount_round(&amount, "half-even", 2, &millionths)
 *
 * Numerator and denominator have 127 bits; what would need more is refused, never wrong. */
#ifndef WANMETER_CLI_BILL_AMOUNT_H
#define WANMETER_CLI_BILL_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 amount_integer;

/* Millionths of a currency. */
struct amount {
    amount_integer numerator;
    amount_integer denominator; /* > 0 */
};

void amount_init(struct amount *amount, int64_t millionths);

/* False: more than 127 bits. */
bool amount_multiply(struct amount *amount, int64_t factor);
bool amount_divide(struct amount *amount, int64_t divisor); /* > 0 */

/* Rounds to 'decimals' (0 to 6) of the currency: "half-even", "half-up" (away from zero), "up" (to
 * the next larger) or "down". The result is in millionths. False: beyond 64 bits. */
bool amount_round(const struct amount *amount, const char *rule, int decimals, int64_t *millionths);

#endif
