/* loss_bound: what was lost in a span of time, and how many billed bytes it can be at most.
 *
 *     loss_bound_read(&database, &request, &bound);
 *     loss_bound_deinit(&bound);
 *
 * A loss does not say whose bytes they were: each account's bound is all of it. Where only packets
 * were counted each is taken to be as long as the longest that the WANs take. A loss line that
 * reaches over an end of the span counts whole. */
#ifndef WANMETER_CLI_BILL_LOSS_BOUND_H
#define WANMETER_CLI_BILL_LOSS_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/bill/usage_read.h"
#include "cli/database.h"

enum { LOSS_BOUND_PACKET_BYTES_USUAL = 1500, LOSS_BOUND_TEXT_SIZE = 32, LOSS_BOUND_UNKNOWN = -1 };

struct loss_sum {
    char stage[LOSS_BOUND_TEXT_SIZE];
    char reason[LOSS_BOUND_TEXT_SIZE];
    char certainty[LOSS_BOUND_TEXT_SIZE];
    int64_t n_lines;
    int64_t packets; /* -1: unknown */
    int64_t l2_bytes;
    int64_t l3_bytes;
};

struct loss_bound {
    struct loss_sum *sums; /* by stage, reason, certainty */
    size_t n_sums;
    int64_t packets;       /* -1: nobody knows */
    int64_t bytes;         /* billed; -1: nobody knows */
    uint32_t packet_bytes; /* that a packet is taken to have, where some were only counted; 0 */
};

struct loss_bound_request {
    int64_t begin_s;
    int64_t end_s;
    const struct usage_model
        *models; /* that the account's bytes were billed by: the dearest counts */
    size_t n_models;
    uint32_t packet_bytes; /* the longest packet */
};

bool loss_bound_read(struct database *database, const struct loss_bound_request *request,
                     struct loss_bound *bound);
void loss_bound_deinit(struct loss_bound *bound);

#endif
