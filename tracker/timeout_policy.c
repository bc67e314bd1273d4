#include "tracker/timeout_policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = CONFIG_TIMEOUT_POLICIES_MAX, TICKS_A_SECOND = 250 };
static const int64_t tick_ns = INT64_C(1000000000) / TICKS_A_SECOND;

static_assert((SLOTS & (SLOTS - 1)) == 0 && SLOTS < UINT16_MAX, "an id's low bits are its slot");

struct timeout_policies {
    struct timeouts defaults;
    struct timeout_policy slots[SLOTS]; /* an id's place is id % SLOTS */
    uint16_t order[SLOTS];              /* ids, as they were made */
    size_t n;
    uint16_t last_id;
    void (*on_round)(void *state);
    void *state;
};

int64_t timeout_ns_of_seconds(uint32_t seconds)
{
    uint32_t ticks = (uint32_t)((uint64_t)seconds * TICKS_A_SECOND);
    return ticks == 0 ? TIMEOUT_AT_ONCE_NS : (int64_t)(int32_t)ticks * tick_ns;
}

uint32_t timeout_seconds_of_ns(int64_t ns)
{
    if (ns < 0)
        return (uint32_t)(int32_t)(ns / tick_ns) / TICKS_A_SECOND;
    return (uint32_t)(ns / 1000000000);
}

/* ---- looking up ---- */

static struct timeout_policy *slot_of(const struct timeout_policies *policies, uint16_t id)
{
    return (struct timeout_policy *)&policies->slots[id % SLOTS];
}

bool timeout_policies_has(const struct timeout_policies *policies, uint16_t id)
{
    return id != 0 && slot_of(policies, id)->id == id;
}

uint16_t timeout_policies_find(const struct timeout_policies *policies, const char *name)
{
    for (size_t i = 0; i < policies->n; i++)
        if (strcmp(slot_of(policies, policies->order[i])->name, name) == 0)
            return policies->order[i];
    return 0;
}

const struct timeout_policy *timeout_policies_at(const struct timeout_policies *policies, size_t i)
{
    return i < policies->n ? slot_of(policies, policies->order[i]) : NULL;
}

const struct timeouts *timeout_policies_in_force(const struct timeout_policies *policies,
                                                 uint16_t id)
{
    return timeout_policies_has(policies, id) ? &slot_of(policies, id)->timeouts
                                              : &policies->defaults;
}

void timeout_policies_use(struct timeout_policies *policies, uint16_t id)
{
    assert(timeout_policies_has(policies, id));
    slot_of(policies, id)->n_rules++;
}

uint16_t timeout_policies_attach(const struct timeout_policies *policies, uint16_t id,
                                 uint8_t ip_version, uint8_t protocol)
{
    if (!timeout_policies_has(policies, id))
        return 0;
    const struct timeout_policy *policy = slot_of(policies, id);
    bool is_its = policy->ip_version == ip_version && policy->kind == timeout_kind_of(protocol);
    return is_its ? id : 0;
}

void timeout_policies_on_round(struct timeout_policies *policies, void (*on_round)(void *state),
                               void *state)
{
    policies->on_round = on_round;
    policies->state = state;
}

/* ---- what may be done to them ---- */

/* There is a free slot: the search ends. */
static uint16_t next_id(struct timeout_policies *policies)
{
    assert(policies->n < SLOTS);
    uint16_t id = policies->last_id;
    do {
        id++;
        if (id == 0 && policies->on_round)
            policies->on_round(policies->state);
    } while (id == 0 || slot_of(policies, id)->id != 0);
    policies->last_id = id;
    return id;
}

static void set_values(const struct timeout_kind *kind, const struct timeout_values *values,
                       struct timeouts *timeouts)
{
    for (size_t i = 0; i < kind->n_values; i++)
        if (values->is_given[i])
            *timeout_value(&kind->values[i], timeouts) = values->ns[i];
}

static int replace(struct timeout_policies *policies, struct timeout_policy *policy,
                   uint8_t ip_version, const struct timeout_kind *kind,
                   const struct timeout_values *values)
{
    if (policy->ip_version != ip_version || policy->kind != kind)
        return EINVAL;
    policy->timeouts = policies->defaults;
    set_values(kind, values, &policy->timeouts);
    return 0;
}

static void make(struct timeout_policies *policies, const char *name, uint8_t ip_version,
                 const struct timeout_kind *kind, const struct timeout_values *values)
{
    uint16_t id = next_id(policies);
    struct timeout_policy *policy = slot_of(policies, id);
    *policy = (struct timeout_policy){
        .kind = kind, .timeouts = policies->defaults, .id = id, .ip_version = ip_version};
    memcpy(policy->name, name, strlen(name) + 1);
    set_values(kind, values, &policy->timeouts);
    policies->order[policies->n++] = id;
}

int timeout_policies_put(struct timeout_policies *policies, const char *name, uint8_t ip_version,
                         const struct timeout_kind *kind, const struct timeout_values *values,
                         enum timeout_put how)
{
    if (!timeout_policy_is_name(name))
        return EINVAL;
    uint16_t id = timeout_policies_find(policies, name);
    if (id && how == TIMEOUT_REPLACE)
        return replace(policies, slot_of(policies, id), ip_version, kind, values);
    if (id)
        return how == TIMEOUT_NEW_EXCLUSIVE ? EEXIST : EBUSY;
    if (!kind)
        return EOPNOTSUPP;
    if (policies->n == SLOTS)
        return ENOSPC;
    make(policies, name, ip_version, kind, values);
    return 0;
}

static void remove_at(struct timeout_policies *policies, size_t i)
{
    slot_of(policies, policies->order[i])->id = 0;
    policies->n--;
    memmove(&policies->order[i], &policies->order[i + 1],
            (policies->n - i) * sizeof *policies->order);
}

int timeout_policies_delete(struct timeout_policies *policies, const char *name)
{
    if (!timeout_policy_is_name(name))
        return EINVAL;
    for (size_t i = 0; i < policies->n; i++) {
        const struct timeout_policy *policy = timeout_policies_at(policies, i);
        if (strcmp(policy->name, name) != 0)
            continue;
        if (policy->n_rules > 0)
            return EBUSY;
        remove_at(policies, i);
        return 0;
    }
    return ENOENT;
}

size_t timeout_policies_delete_all(struct timeout_policies *policies)
{
    size_t n_before = policies->n;
    for (size_t i = policies->n; i-- > 0;)
        if (timeout_policies_at(policies, i)->n_rules == 0)
            remove_at(policies, i);
    return n_before - policies->n;
}

void timeout_policies_set_defaults(struct timeout_policies *policies,
                                   const struct timeout_kind *kind,
                                   const struct timeout_values *values)
{
    set_values(kind, values, &policies->defaults);
}

/* ---- from the configuration ---- */

static int put_configured(struct timeout_policies *policies,
                          const struct config_timeout_policy *configured)
{
    const struct timeout_kind *kind = timeout_kind_find(configured->l4);
    struct timeout_values values = {0};
    for (size_t i = 0; kind && i < kind->n_values; i++) {
        values.ns[i] = config_timeout_policy_ns(configured, kind->values[i].name);
        values.is_given[i] = values.ns[i] >= 0;
        if (values.ns[i] == 0)
            values.ns[i] = TIMEOUT_AT_ONCE_NS;
    }
    uint8_t ip_version = strcmp(configured->l3, "inet6") == 0 ? 6 : 4;
    return -timeout_policies_put(policies, configured->name, ip_version, kind, &values,
                                 TIMEOUT_NEW_EXCLUSIVE);
}

int timeout_policies_create(const struct config *config, struct timeout_policies **out)
{
    struct timeout_policies *policies = calloc(1, sizeof *policies);
    if (!policies)
        return -ENOMEM;
    policies->defaults = config->timeouts;
    int result = 0;
    for (size_t i = 0; i < config->n_timeout_policies && result == 0; i++)
        result = put_configured(policies, &config->timeout_policies[i]);
    if (result < 0) {
        timeout_policies_destroy(policies);
        return result;
    }
    *out = policies;
    return 0;
}

void timeout_policies_destroy(struct timeout_policies *policies)
{
    free(policies);
}
