#include "tracker/flow_label/lease_grant.h"

#include <errno.h>
#include <string.h>

#include "tracker/flow_label/lease_options.h"

static const int64_t second_ns = 1000000000;

/* ---- times ---- */

/* 0: too long without privilege. */
static int64_t bounded_ns(const struct flow_label_request *request, uint16_t seconds)
{
    if (seconds < FLOW_LABEL_LINGER_MIN_S)
        return FLOW_LABEL_LINGER_MIN_S * second_ns;
    if (seconds > FLOW_LABEL_LINGER_MAX_S && !request->is_privileged)
        return 0;
    return seconds * second_ns;
}

/* Only ever longer. */
static int extend(struct lease *lease, const struct flow_label_request *request)
{
    int64_t linger_ns = bounded_ns(request, request->linger_s);
    int64_t lasts_ns = bounded_ns(request, request->expires_s);
    if (linger_ns == 0 || lasts_ns == 0)
        return -EPERM;
    if (lease->linger_ns < linger_ns)
        lease->linger_ns = linger_ns;
    if (lasts_ns < lease->linger_ns)
        lasts_ns = lease->linger_ns;
    if (lease->expires_ns < request->time_ns + lasts_ns)
        lease->expires_ns = request->time_ns + lasts_ns;
    return 0;
}

static void release(struct lease *lease, int64_t time_ns)
{
    if (--lease->n_users == 0 && lease->expires_ns < time_ns + lease->linger_ns)
        lease->expires_ns = time_ns + lease->linger_ns;
}

/* ---- get ---- */

static bool is_destination(const uint8_t address[16])
{
    static const uint8_t any[16] = {0};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291, section 2.5.5.2 */
    return memcmp(address, any, sizeof any) != 0 && memcmp(address, mapped, sizeof mapped) != 0;
}

/* What the request asks for, as a lease that is in no table; its options are the caller's. */
static int draft(const struct flow_label_request *request, struct lease *wanted)
{
    *wanted = (struct lease){
        .share = request->share,
        .expires_ns = request->time_ns,
        .account = request->account,
        .class_index = request->class_index,
    };
    int result = lease_options_create(request, &wanted->options);
    if (result == 0)
        result = extend(wanted, request);
    if (result == 0 && !is_destination(request->destination))
        result = -EINVAL;
    if (result < 0)
        return result;
    memcpy(wanted->destination, request->destination, sizeof wanted->destination);
    switch (request->share) {
    case FLOW_LABEL_SHARE_PROCESS:
        wanted->owner = request->pid;
        return 0;
    case FLOW_LABEL_SHARE_USER:
        wanted->owner = request->uid;
        return 0;
    case FLOW_LABEL_SHARE_EXCLUSIVE:
    case FLOW_LABEL_SHARE_ANY:
        return 0;
    default:
        return -EINVAL;
    }
}

/* Accounts and classes are ours: who names another than the lease's does not mean this lease. */
static bool is_shared_with(const struct lease *lease, const struct lease *wanted)
{
    bool is_other_account = wanted->account && wanted->account != lease->account;
    bool is_other_class =
        wanted->class_index != CLASS_CONNECTION && wanted->class_index != lease->class_index;
    return lease->share != FLOW_LABEL_SHARE_EXCLUSIVE && lease->share == wanted->share &&
           lease->owner == wanted->owner && !is_other_account && !is_other_class;
}

/* A reference to a lease that there is. */
static int attach(struct lease_grant *grant, const struct flow_label_request *request,
                  const struct lease *wanted, struct lease_holder *holder, struct lease *lease)
{
    int result = 0;
    lease->n_users++;
    if (request->flags & FLOW_LABEL_EXCLUSIVE)
        result = -EEXIST;
    else if (!is_shared_with(lease, wanted))
        result = -EPERM;
    else if (!holder_link(&grant->holders, holder, lease))
        result = -ENOMEM;
    if (result < 0) {
        release(lease, request->time_ns);
        return result;
    }
    if (lease->linger_ns < wanted->linger_ns)
        lease->linger_ns = wanted->linger_ns;
    if (lease->expires_ns < wanted->expires_ns)
        lease->expires_ns = wanted->expires_ns;
    return 0;
}

/* The half and quarter rules. */
static bool has_room(const struct lease_grant *grant, const struct flow_label_request *request,
                     const struct lease_holder *holder)
{
    size_t n_free = FLOW_LABEL_LEASES_MAX - grant->leases.n;
    if (n_free == 0 || request->is_privileged)
        return n_free > 0;
    return n_free >= FLOW_LABEL_LEASES_MAX / 4 && holder->n_references < FLOW_LABEL_HOLDER_MAX &&
           (holder->n_references == 0 || n_free >= FLOW_LABEL_LEASES_MAX / 2);
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one free label after the other from one seed. */
static uint32_t random_label(struct lease_table *leases, uint64_t seed)
{
    for (;;) {
        seed += 0x9e3779b97f4a7c15;
        uint64_t mixed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
        uint32_t label = (uint32_t)(mixed >> 32) & FLOW_LABEL_MAX;
        if (label && !lease_table_find(leases, label))
            return label;
    }
}

/* A new lease, with the draft's options. */
static int create(struct lease_grant *grant, const struct flow_label_request *request,
                  struct lease *wanted, struct lease_holder *holder, uint32_t *label)
{
    *label = request->label ? request->label : random_label(&grant->leases, request->seed);
    struct lease *lease = lease_table_add(&grant->leases, *label);
    uint16_t next = lease->next;
    *lease = *wanted;
    lease->label = *label;
    lease->next = next;
    lease->n_users = 1;
    wanted->options = NULL;
    if (holder_link(&grant->holders, holder, lease))
        return 0;
    lease->n_users = 0;
    lease->expires_ns = request->time_ns;
    lease_table_expire(&grant->leases, request->time_ns);
    return -ENOMEM;
}

/* What lingers is found only by who would create it. */
static int grant_draft(struct lease_grant *grant, const struct flow_label_request *request,
                       struct lease *wanted, struct lease_holder *holder, uint32_t *label)
{
    struct lease *lease = request->label ? lease_table_find(&grant->leases, request->label) : NULL;
    *label = request->label;
    if (lease && lease->n_users > 0)
        return attach(grant, request, wanted, holder, lease);
    if (!(request->flags & FLOW_LABEL_CREATE))
        return -ENOENT;
    if (!has_room(grant, request, holder))
        return -ENOBUFS;
    if (lease)
        return attach(grant, request, wanted, holder, lease);
    return create(grant, request, wanted, holder, label);
}

static int begin_reflecting(struct lease_grant *grant, const struct flow_label_request *request)
{
    if (grant->is_consistent)
        return -EPERM;
    if (!request->is_tcp)
        return -ENOPROTOOPT;
    struct lease_holder *holder = holder_table_take(&grant->holders, request->uid, request->holder);
    if (!holder)
        return -ENOMEM;
    holder->is_reflecting = true;
    return 0;
}

int lease_get(struct lease_grant *grant, const struct flow_label_request *request, uint32_t *label)
{
    *label = request->label;
    if (request->flags & FLOW_LABEL_REFLECT)
        return begin_reflecting(grant, request);
    if (request->label > FLOW_LABEL_MAX)
        return -EINVAL;
    if (grant->has_state_ranges && request->label & FLOW_LABEL_STATELESS)
        return -ERANGE;
    struct lease wanted;
    int result = draft(request, &wanted);
    if (result == 0) {
        struct lease_holder *holder =
            holder_table_take(&grant->holders, request->uid, request->holder);
        result = holder ? grant_draft(grant, request, &wanted, holder, label) : -ENOMEM;
        if (holder)
            holder_table_settle(&grant->holders, holder);
    }
    lease_options_destroy(wanted.options);
    return result;
}

/* ---- put, renew, close ---- */

static int end_reflecting(struct lease_grant *grant, const struct flow_label_request *request,
                          struct lease_holder *holder)
{
    if (!request->is_tcp)
        return -ENOPROTOOPT;
    if (!holder || !holder->is_reflecting)
        return -ESRCH;
    holder->is_reflecting = false;
    holder_table_settle(&grant->holders, holder);
    return 0;
}

int lease_put(struct lease_grant *grant, const struct flow_label_request *request)
{
    struct lease_holder *holder = holder_table_find(&grant->holders, request->uid, request->holder);
    if (request->flags & FLOW_LABEL_REFLECT)
        return end_reflecting(grant, request, holder);
    struct lease_reference *reference =
        holder ? holder_reference(&grant->holders, holder, request->label) : NULL;
    if (!reference)
        return -ESRCH;
    release(holder_unlink(&grant->holders, holder, reference), request->time_ns);
    holder_table_settle(&grant->holders, holder);
    return 0;
}

int lease_renew(struct lease_grant *grant, const struct flow_label_request *request)
{
    struct lease_holder *holder = holder_table_find(&grant->holders, request->uid, request->holder);
    struct lease_reference *reference =
        holder ? holder_reference(&grant->holders, holder, request->label) : NULL;
    if (reference)
        return extend(reference->lease, request);
    if (request->share != FLOW_LABEL_SHARE_NONE || !request->is_privileged)
        return -ESRCH;
    struct lease *lease = lease_table_find(&grant->leases, request->label);
    return lease && lease->n_users > 0 ? extend(lease, request) : -ESRCH;
}

int lease_close(struct lease_grant *grant, const struct flow_label_request *request)
{
    struct lease_holder *holder = holder_table_find(&grant->holders, request->uid, request->holder);
    if (!holder)
        return 0;
    while (holder->n_references > 0)
        release(
            holder_unlink(&grant->holders, holder, &grant->holders.references[holder->first - 1]),
            request->time_ns);
    holder->is_reflecting = false;
    holder_table_settle(&grant->holders, holder);
    return 0;
}
