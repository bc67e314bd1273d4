#include "cli/bill/percentile.h"

#include <assert.h>
#include <stdlib.h>

static int compare_descending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a < b) - (a > b);
}

void percentile_find(int64_t *values, size_t n_values, int64_t n_samples, int percent,
                     struct percentile *percentile)
{
    assert(percent >= 1 && percent <= 100 && n_samples >= (int64_t)n_values);
    *percentile = (struct percentile){.n_samples = n_samples};
    if (n_samples == 0)
        return;
    if (n_values > 0)
        qsort(values, n_values, sizeof *values, compare_descending);
    percentile->n_discarded = n_samples * (100 - percent) / 100;
    percentile->rank = n_samples - percentile->n_discarded;
    if (percentile->n_discarded < (int64_t)n_values)
        percentile->value = values[percentile->n_discarded];
}
