/* percentile: the rate that all but the busiest slots keep within.
 *
 * Of N samples the largest floor((100 - percentile) * N / 100) are discarded, and the next is
 * billed. No interpolation: what is billed was measured. There is no standard; other programs
 * choose another rank (docs/billing.md). */
#ifndef WANMETER_CLI_BILL_PERCENTILE_H
#define WANMETER_CLI_BILL_PERCENTILE_H

#include <stddef.h>
#include <stdint.h>

struct percentile {
    int64_t n_samples;
    int64_t n_discarded;
    int64_t rank;  /* of the billed one, ascending, from 1; 0: no samples */
    int64_t value; /* its value; 0 without samples */
};

/* 'values' are sorted (in place) and stand for the first of 'n_samples' samples; the others, up to
 * n_samples, are 0. Values are not negative. */
void percentile_find(int64_t *values, size_t n_values, int64_t n_samples, int percent,
                     struct percentile *percentile);

#endif
