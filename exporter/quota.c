#include "exporter/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/zone.h"

static const int64_t SECOND_NS = 1000000000;

static int compare_percents(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

static void take_percents(const struct config_tariff *tariff, struct quota_tariff *quota)
{
    static const int32_t usual[] = {60, 95, 100};
    const int32_t *percents = tariff->n_quota_percents ? tariff->quota_percents : usual;
    size_t n = tariff->n_quota_percents ? tariff->n_quota_percents : sizeof usual / sizeof *usual;
    assert(n <= CONFIG_QUOTA_PERCENTS_MAX); /* config_check() */
    quota->n_percents = n;
    memcpy(quota->percents, percents, quota->n_percents * sizeof *percents);
    qsort(quota->percents, quota->n_percents, sizeof *quota->percents, compare_percents);
}

/* WAN 'none' only where it is named; what has no account where every account is meant, too. */
static void take_scope(const struct config *config, const struct config_tariff *tariff,
                       struct quota_tariff *quota)
{
    quota->has_wan[0] = tariff->wans.n > 0 && config_tariff_covers(&tariff->wans, "none");
    for (size_t i = 0; i < config->n_wans; i++)
        quota->has_wan[i + 1] = config_tariff_covers(&tariff->wans, config->wans[i].name);
    quota->has_account[0] = config_tariff_covers(&tariff->accounts, "none");
    for (size_t i = 0; i < config->n_accounts; i++)
        quota->has_account[i + 1] =
            config_tariff_covers(&tariff->accounts, config->accounts[i].name);
}

static int add_tariff(const struct config *config, const struct config_tariff *tariff,
                      struct quota *quota)
{
    struct quota_tariff *added = &quota->tariffs[quota->n_tariffs++];
    added->tariff = tariff;
    added->begin_s = INT64_MIN;
    added->end_s = INT64_MAX;
    config_tariff_span(tariff, &added->begin_s, &added->end_s);
    added->has_wan = calloc(config->n_wans + 1, sizeof *added->has_wan);
    added->has_account = calloc(quota->n_accounts, sizeof *added->has_account);
    added->states = calloc(quota->n_accounts, sizeof *added->states);
    if (!added->has_wan || !added->has_account || !added->states)
        return -ENOMEM;
    take_percents(tariff, added);
    take_scope(config, tariff, added);
    return 0;
}

int quota_create(const struct config *config, struct quota **out)
{
    struct quota *quota = calloc(1, sizeof *quota);
    if (!quota)
        return -ENOMEM;
    quota->n_accounts = config->n_accounts + 1;
    quota->accounts_room = quota->n_accounts;
    quota->generation = 1;
    quota->tariffs = calloc(config->n_tariffs + 1, sizeof *quota->tariffs);
    int result = quota->tariffs ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < config->n_tariffs; i++)
        if (config->tariffs[i].quota > 0)
            result = add_tariff(config, &config->tariffs[i], quota);
    if (result < 0)
        quota_destroy(quota);
    else
        *out = quota;
    return result;
}

void quota_destroy(struct quota *quota)
{
    if (!quota)
        return;
    for (size_t i = 0; i < quota->n_tariffs; i++) {
        free(quota->tariffs[i].has_wan);
        free(quota->tariffs[i].has_account);
        free(quota->tariffs[i].states);
    }
    free(quota->tariffs);
    free(quota->marks);
    free(quota);
}

static int tariff_grow(struct quota_tariff *tariff, size_t n, size_t room)
{
    bool *has_account = reallocarray(tariff->has_account, room, sizeof *has_account);
    if (!has_account)
        return -ENOMEM;
    tariff->has_account = has_account;
    struct quota_state *states = reallocarray(tariff->states, room, sizeof *states);
    if (!states)
        return -ENOMEM;
    tariff->states = states;
    memset(states + n, 0, (room - n) * sizeof *states);
    return 0;
}

int quota_add_account(struct quota *quota, const char *name)
{
    int result = 0;
    if (quota->n_accounts == quota->accounts_room) {
        size_t room = 2 * quota->accounts_room;
        for (size_t i = 0; result == 0 && i < quota->n_tariffs; i++)
            result = tariff_grow(&quota->tariffs[i], quota->n_accounts, room);
        if (result < 0)
            return result;
        quota->accounts_room = room;
    }
    for (size_t i = 0; i < quota->n_tariffs; i++)
        quota->tariffs[i].has_account[quota->n_accounts] =
            config_tariff_covers(&quota->tariffs[i].tariff->accounts, name);
    quota->n_accounts++;
    return 0;
}

void quota_forget(struct quota *quota)
{
    for (size_t i = 0; i < quota->n_marks; i++)
        quota_state(quota, quota->marks[i].tariff, quota->marks[i].account)->is_marked = false;
    quota->n_marks = 0;
    quota->generation++;
}

/* ---- periods ---- */

static bool has_moment(const struct period *period, int64_t time_s)
{
    return time_s >= period->begin_s && time_s < period->end_s;
}

/* Deltas of several shards go to and fro over the end of a period: two are remembered. */
static struct period find_period(struct quota_tariff *tariff, int64_t slot_s)
{
    for (size_t i = 0; i < QUOTA_PERIODS; i++)
        if (has_moment(&tariff->periods[i], slot_s))
            return tariff->periods[i];
    tariff->periods[1] = tariff->periods[0];
    period_at(tariff->tariff->timezone, tariff->tariff->cycle_day, slot_s, &tariff->periods[0]);
    return tariff->periods[0];
}

/* In proportion to the seconds of the period in which the tariff is in force, as the invoice has
 * it. */
static int64_t bytes_of_period(const struct quota_tariff *tariff, const struct period *period)
{
    int64_t begin_s = period->begin_s, end_s = period->end_s;
    quota_span(tariff, &begin_s, &end_s);
    __extension__ __int128 bytes =
        (__int128)tariff->tariff->quota * config_unit_size(config_tariff_unit(tariff->tariff));
    if (tariff->tariff->prorate)
        bytes = bytes * (end_s - begin_s) / (period->end_s - period->begin_s);
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

void quota_span(const struct quota_tariff *tariff, int64_t *begin_s, int64_t *end_s)
{
    if (*begin_s < tariff->begin_s)
        *begin_s = tariff->begin_s;
    if (*end_s > tariff->end_s)
        *end_s = tariff->end_s;
}

static bool counts(const struct quota_tariff *tariff, const struct usage_delta *delta)
{
    int64_t slot_s = delta->slot_ns / SECOND_NS;
    return tariff->has_wan[delta->wan] && tariff->has_account[delta->account] &&
           slot_s >= tariff->begin_s && slot_s < tariff->end_s;
}

bool quota_next(struct quota *quota, const struct usage_delta *delta, struct quota_at *at)
{
    if (delta->class_index == CLASS_DUPLICATE)
        return false;
    for (; at->tariff < quota->n_tariffs; at->tariff++) {
        struct quota_tariff *tariff = &quota->tariffs[at->tariff];
        assert(delta->account < quota->n_accounts);
        if (!counts(tariff, delta))
            continue;
        at->period = find_period(tariff, delta->slot_ns / SECOND_NS);
        return true;
    }
    return false;
}

/* ---- states ---- */

bool quota_is_loaded(const struct quota *quota, const struct quota_state *state,
                     const struct period *period)
{
    return state->generation == quota->generation && state->period.begin_s == period->begin_s;
}

void quota_state_begin(const struct quota *quota, const struct quota_tariff *tariff,
                       const struct period *period, struct quota_state *state)
{
    bool is_marked = state->is_marked;
    *state = (struct quota_state){.generation = quota->generation,
                                  .is_marked = is_marked,
                                  .period = *period,
                                  .quota_bytes = bytes_of_period(tariff, period),
                                  .added_ns = INT64_MAX};
}

void quota_state_add(struct quota_state *state, const struct usage_delta *delta)
{
    uint64_t *sum = delta->direction == DIRECTION_UP     ? &state->bytes.up
                    : delta->direction == DIRECTION_DOWN ? &state->bytes.down
                                                         : &state->bytes.none;
    *sum += delta->billed_bytes;
    if (delta->slot_ns < state->added_ns)
        state->added_ns = delta->slot_ns;
}

int quota_mark(struct quota *quota, size_t tariff, uint16_t account)
{
    struct quota_state *state = quota_state(quota, tariff, account);
    if (state->is_marked)
        return 0;
    if (quota->n_marks == quota->marks_room) {
        size_t room = quota->marks_room ? 2 * quota->marks_room : 64;
        struct quota_mark *marks = reallocarray(quota->marks, room, sizeof *marks);
        if (!marks)
            return -ENOMEM;
        quota->marks = marks;
        quota->marks_room = room;
    }
    quota->marks[quota->n_marks++] = (struct quota_mark){(uint32_t)tariff, account};
    state->is_marked = true;
    return 0;
}

uint64_t quota_used(const struct config_tariff *tariff, const struct quota_bytes *bytes)
{
    if (strcmp(tariff->rule, "in") == 0)
        return bytes->down;
    if (strcmp(tariff->rule, "out") == 0)
        return bytes->up;
    if (strcmp(tariff->rule, "max") == 0)
        return bytes->up > bytes->down ? bytes->up : bytes->down;
    return bytes->up + bytes->down + bytes->none;
}

uint64_t quota_threshold(int64_t quota_bytes, int32_t percent)
{
    enum { WHOLE = 100 };
    __extension__ unsigned __int128 bytes =
        ((unsigned __int128)(uint64_t)quota_bytes * (uint32_t)percent + WHOLE - 1) / WHOLE;
    return bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes;
}
