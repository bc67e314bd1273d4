/* quota: how much of its tariff's quota each account has used in its billing period, and which
 * thresholds that reaches.
 *
 *     quota_create(&config, &quota);
 *     while (quota_next(quota, &delta, &at)) …         each quota that a usage delta counts towards
 *     state = quota_state(quota, at.tariff, account);
 *     if (quota_is_loaded(quota, state, &at.period)) quota_state_add(state, &delta); else … load it
 *     quota_mark(quota, at.tariff, account);
 *     …                                                at the commit, for each that is marked:
 *     … quota_used() … quota_threshold() …
 *
 * Sums are by packet time: a delta counts in the period that has its slot. Knows nothing of the
 * database, which has the sums of periods that are not in memory. Not thread-safe. */
#ifndef WANMETER_EXPORTER_QUOTA_H
#define WANMETER_EXPORTER_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/period.h"
#include "proto/record.h"

enum { QUOTA_PERIODS = 2 };

struct quota_bytes {
    uint64_t up;
    uint64_t down;
    uint64_t none;
};

/* What an account has used of a tariff's, in one period. */
struct quota_state {
    uint32_t generation; /* of quota_forget(): older is not loaded */
    bool is_marked;
    struct period period;
    struct quota_bytes bytes;
    int64_t quota_bytes; /* of this period */
    int32_t percent;     /* the highest threshold that is told; 0: none */
    int64_t told_ns;     /* and the slot in which it was reached */
    int64_t added_ns;    /* the earliest slot that was added to since the last commit */
};

/* A tariff with a quota. */
struct quota_tariff {
    const struct config_tariff *tariff;
    int64_t row_id;                              /* in the database */
    bool *has_wan;                               /* by its number in records */
    bool *has_account;                           /* by the account's number, as states */
    struct quota_state *states;                  /* by the account's number; touched as used */
    int32_t percents[CONFIG_QUOTA_PERCENTS_MAX]; /* ascending */
    size_t n_percents;
    int64_t begin_s;                      /* it is in force from here */
    int64_t end_s;                        /* to here */
    struct period periods[QUOTA_PERIODS]; /* those looked up last; end_s 0: none */
};

struct quota_mark {
    uint32_t tariff;
    uint16_t account;
};

struct quota {
    struct quota_tariff *tariffs;
    size_t n_tariffs;
    size_t n_accounts; /* with the one that is none */
    size_t accounts_room;
    uint32_t generation;
    struct quota_mark *marks;
    size_t n_marks;
    size_t marks_room;
};

/* 0 or -ENOMEM. 'config' is kept, not copied. n_tariffs 0: there is nothing to watch. */
int quota_create(const struct config *config, struct quota **out);
void quota_destroy(struct quota *quota); /* accepts NULL */

/* The next account, of which the configuration does not know. Pointers to states are over. 0 or
 * -ENOMEM. */
int quota_add_account(struct quota *quota, const char *name);

/* Nothing in memory is known to be in the database any more. */
void quota_forget(struct quota *quota);

struct quota_at {
    size_t tariff; /* start with 0, and leave it between calls */
    struct period period;
};

/* The next tariff that counts the delta, with the period of its slot. */
bool quota_next(struct quota *quota, const struct usage_delta *delta, struct quota_at *at);

static inline struct quota_state *quota_state(struct quota *quota, size_t tariff, uint16_t account)
{
    return &quota->tariffs[tariff].states[account];
}

bool quota_is_loaded(const struct quota *quota, const struct quota_state *state,
                     const struct period *period);

/* Begins a state anew: what the database has is then to be put into 'bytes' and 'percent'. */
void quota_state_begin(const struct quota *quota, const struct quota_tariff *tariff,
                       const struct period *period, struct quota_state *state);

void quota_state_add(struct quota_state *state, const struct usage_delta *delta);

/* Adds to the marks, once. 0 or -ENOMEM. */
int quota_mark(struct quota *quota, size_t tariff, uint16_t account);

/* The part of a span in which the tariff is in force. */
void quota_span(const struct quota_tariff *tariff, int64_t *begin_s, int64_t *end_s);

/* Bytes that the tariff's rule takes of these. */
uint64_t quota_used(const struct config_tariff *tariff, const struct quota_bytes *bytes);

/* From how many bytes on the threshold is reached. */
uint64_t quota_threshold(int64_t quota_bytes, int32_t percent);

#endif
