/* timeout_policy: the timeouts that are in force: the defaults, and sets with a name that rules
 * give to connections.
 *
 *     timeout_policies_create(&config, &policies);
 *     id = timeout_policies_find(policies, "short");              a rule names it
 *     timeout_policies_use(policies, id);
 *     connection->policy = timeout_policies_attach(policies, id, ip_version, protocol);
 *     timeouts = timeout_policies_in_force(policies, connection->policy);      at each packet
 *     timeout_policies_change(policies, &change, &result);        timeout new|replace|delete …
 *     timeout_policies_query(policies, &request, &reply);         timeout get|list …
 *     timeout_policies_destroy(policies);
 *
 * As nfnetlink_cttimeout: a policy is of an L3 and an L4 protocol; values not given are the
 * defaults of the moment it is made or replaced. A connection has no copy: it follows a policy that
 * is replaced, and is back at the defaults when it is removed, with its next packet (GRE alone
 * copies its timeouts when a connection begins). A policy that a rule names cannot be removed.
 *
 * An id is a slot and how often that was used: an id of a policy that is gone finds nothing. Before
 * ids are given a second time 'on_round' is called, to forget those of policies that are gone.
 *
 * Holds at most CONFIG_TIMEOUT_POLICIES_MAX. Not thread-safe: one a process.
 * Source: Linux 6.18, net/netfilter/nfnetlink_cttimeout.c; results and errno measured. */
#ifndef WANMETER_TRACKER_TIMEOUT_POLICY_H
#define WANMETER_TRACKER_TIMEOUT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/timeout_kind.h"
#include "proto/change.h"
#include "proto/control.h"

struct timeout_policies;

/* With the configuration's policies. 0 or -errno. */
int timeout_policies_create(const struct config *config, struct timeout_policies **out);
void timeout_policies_destroy(struct timeout_policies *policies); /* accepts NULL */

/* Kept; called when ids are about to be given again: whoever holds one that timeout_policies_has()
 * not must forget it now. */
void timeout_policies_on_round(struct timeout_policies *policies, void (*on_round)(void *state),
                               void *state);

/* 0: there is none of that name. */
uint16_t timeout_policies_find(const struct timeout_policies *policies, const char *name);
bool timeout_policies_has(const struct timeout_policies *policies, uint16_t id);

/* One more rule names it, for good. */
void timeout_policies_use(struct timeout_policies *policies, uint16_t id);

/* The id for a connection of that kind: 0 where the policy is for others, or gone. */
uint16_t timeout_policies_attach(const struct timeout_policies *policies, uint16_t id,
                                 uint8_t ip_version, uint8_t protocol);

/* A policy's timeouts, or the defaults where it is gone, and for 0. Borrowed until the next change.
 */
const struct timeouts *timeout_policies_in_force(const struct timeout_policies *policies,
                                                 uint16_t id);

/* ---- what may be done to them (timeout_policy.c) ---- */

/* Seconds as Linux keeps them: 32 bits of ticks, 250 a second. What does not fit wraps, and of that
 * what is 2^31 ticks or more away is in the past, negative. 0 is TIMEOUT_AT_ONCE_NS. */
int64_t timeout_ns_of_seconds(uint32_t seconds);

/* What Linux would show of it. */
uint32_t timeout_seconds_of_ns(int64_t ns);

/* Values by the kind's order; those not given are not looked at. */
struct timeout_values {
    bool is_given[TIMEOUT_VALUES_MAX];
    int64_t ns[TIMEOUT_VALUES_MAX];
};

enum timeout_put { TIMEOUT_NEW, TIMEOUT_NEW_EXCLUSIVE, TIMEOUT_REPLACE /* or new */ };

/* 'kind' NULL: a protocol that has none. 0, or: EBUSY (TIMEOUT_NEW) and EEXIST (EXCLUSIVE) there is
 * one of that name; EINVAL it is of another kind (REPLACE), or no name; EOPNOTSUPP no such kind;
 * ENOSPC as many as there can be. */
int timeout_policies_put(struct timeout_policies *policies, const char *name, uint8_t ip_version,
                         const struct timeout_kind *kind, const struct timeout_values *values,
                         enum timeout_put how);

/* 0; ENOENT; EBUSY: a rule names it; EINVAL: nothing is ever called that. */
int timeout_policies_delete(struct timeout_policies *policies, const char *name);

/* All that no rule names; how many that were. */
size_t timeout_policies_delete_all(struct timeout_policies *policies);

/* The defaults of a kind; those not given stay. */
void timeout_policies_set_defaults(struct timeout_policies *policies,
                                   const struct timeout_kind *kind,
                                   const struct timeout_values *values);

/* What is shown of a policy. */
struct timeout_policy {
    char name[TIMEOUT_POLICY_NAME_MAX + 1];
    const struct timeout_kind *kind;
    struct timeouts timeouts;
    uint32_t n_rules;
    uint16_t id; /* 0: the slot is free */
    uint8_t ip_version;
};

/* In the order they were made; NULL: there are no more. */
const struct timeout_policy *timeout_policies_at(const struct timeout_policies *policies, size_t i);

/* ---- in words (timeout_words.c, timeout_show.c) ---- */

/* The words of a change, after "timeout" (L3 is inet or inet6, VALUE is NAME=SECONDS):
 *     new NAME L3 L4 [exclusive] [VALUE]…
 *     replace NAME L3 L4 [VALUE]…
 *     delete NAME
 *     flush
 *     default set L3 L4 [VALUE]…
 * Anything else is EINVAL. 'result->count': the policies made, replaced or removed. */
void timeout_policies_change(struct timeout_policies *policies, const struct change *change,
                             struct change_result *result);

/* The words of a question, after "timeout":
 *     get NAME | list | default get L3 L4
 * A row a policy: name, l3, l4, use (1 and one a rule), values ("syn_sent=120 …", in seconds); of
 * the defaults without name and use. */
void timeout_policies_query(const struct timeout_policies *policies,
                            const struct control_request *request, struct control_reply *reply);

#endif
