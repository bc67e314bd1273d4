/* usage_sum: usage deltas of one commit, added up by key.
 *
 *     usage_sum_add(&sum, &delta);
 *     for (i = 0; i < sum.n; i++) … sum.deltas[i] …       in order of their first appearance
 *     usage_sum_clear(&sum);
 *     usage_sum_deinit(&sum);
 *
 * Start with zeros. Not thread-safe. */
#ifndef WANMETER_EXPORTER_USAGE_SUM_H
#define WANMETER_EXPORTER_USAGE_SUM_H

#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct usage_sum {
    struct usage_delta *deltas;
    size_t n;
    size_t room;     /* of deltas */
    uint32_t *slots; /* open addressing: an index into deltas + 1; 0: free */
    size_t n_slots;  /* a power of two, at least twice 'room' */
};

/* 0 or -ENOMEM. Sums are 64-bit; the store has refused what would not fit. */
int usage_sum_add(struct usage_sum *sum, const struct usage_delta *delta);
void usage_sum_clear(struct usage_sum *sum);
void usage_sum_deinit(struct usage_sum *sum);

#endif
