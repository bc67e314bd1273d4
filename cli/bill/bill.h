/* bill: what one tariff makes of what an account used in a period: lines, and how they came about.
 *
 *     bill_span(tariff, &period, &begin_s, &end_s);       the part of it in which it is in force
 *     if (bill_make(tariff, &period, &usage, &bill)) …    false: an amount beyond 64 bits
 *
 * Integers and exact fractions throughout; each line's amount is rounded once, by the tariff's
 * rule, and the subtotal is the sum of what the lines say. Knows nothing of the database. */
#ifndef WANMETER_CLI_BILL_BILL_H
#define WANMETER_CLI_BILL_BILL_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/bill/percentile.h"
#include "cli/bill/usage_read.h"
#include "common/config.h"
#include "common/decimal.h"
#include "common/period.h"

enum { BILL_LINES_MAX = 256, BILL_TEXT_SIZE = 96, BILL_BYTES_NONE = -1 };

struct bill_line {
    char text[BILL_TEXT_SIZE];        /* what it is for */
    int64_t bytes;                    /* billed bytes, of a rate those of the billed slot */
    char quantity[DECIMAL_TEXT_SIZE]; /* in 'unit', with up to six decimals, for people */
    const char *unit;                 /* the tariff's, or "period" */
    int64_t price;                    /* millionths, of a unit */
    int64_t amount;                   /* millionths, rounded */
};

struct bill {
    const struct config_tariff *tariff; /* kept, not copied */
    struct period period;
    int64_t begin_s; /* of the part in which the tariff is in force; equal: in none */
    int64_t end_s;
    int64_t part; /* seconds that are paid for, of 'whole'; the same: all of it */
    int64_t whole;
    int64_t up_bytes; /* billed bytes by direction, of all that the tariff is for */
    int64_t down_bytes;
    int64_t none_bytes;
    int64_t billed_bytes; /* those that its rule takes */
    const char *rule;     /* "in", "out" or "sum"; of max that which was the greater */
    struct bill_line lines[BILL_LINES_MAX];
    size_t n_lines;
    int64_t subtotal; /* millionths */

    struct percentile percentile; /* of a percentile; value: bytes of the slot */
    int64_t n_slots;              /* of the span */
    int64_t n_present;
    int64_t n_above_commit; /* samples; -1: there is no commit. Up to n_discarded cost nothing */

    int64_t quota_bytes; /* 0: none */
};

void bill_span(const struct config_tariff *tariff, const struct period *period, int64_t *begin_s,
               int64_t *end_s);

bool bill_make(const struct config_tariff *tariff, const struct period *period,
               const struct usage *usage, struct bill *bill);

#endif
