#include "tracker/flow_label/lease_table.h"

#include <stdlib.h>

#include "tracker/flow_label/lease_options.h"

/* The leases' place 'place'; a table that is only read gives what its owner may change. */
static struct lease *lease_at(const struct lease_table *table, uint16_t place)
{
    return place ? (struct lease *)(uintptr_t)&table->leases[place - 1] : NULL;
}

void lease_table_init(struct lease_table *table)
{
    *table = (struct lease_table){.first_free = 1};
    for (unsigned place = 1; place < FLOW_LABEL_LEASES_MAX; place++)
        table->leases[place - 1].next = (uint16_t)(place + 1);
}

void lease_table_deinit(struct lease_table *table)
{
    for (size_t i = 0; i < FLOW_LABEL_LEASES_MAX; i++)
        lease_options_destroy(table->leases[i].options);
}

struct lease *lease_table_find(const struct lease_table *table, uint32_t label)
{
    struct lease *lease = lease_at(table, table->chains[label % LEASE_CHAINS]);
    while (lease && lease->label != label)
        lease = lease_at(table, lease->next);
    return lease;
}

const struct lease *lease_table_next(const struct lease_table *table, const struct lease *before)
{
    size_t chain = 0;
    if (before && before->next)
        return lease_at(table, before->next);
    if (before)
        chain = before->label % LEASE_CHAINS + 1;
    while (chain < LEASE_CHAINS && !table->chains[chain])
        chain++;
    return chain < LEASE_CHAINS ? lease_at(table, table->chains[chain]) : NULL;
}

struct lease *lease_table_add(struct lease_table *table, uint32_t label)
{
    uint16_t place = table->first_free;
    if (!place)
        return NULL;
    struct lease *lease = lease_at(table, place);
    uint16_t *chain = &table->chains[label % LEASE_CHAINS];
    table->first_free = lease->next;
    *lease = (struct lease){.label = label, .next = *chain};
    *chain = place;
    table->n++;
    return lease;
}

bool lease_is_over(const struct lease *lease, int64_t now_ns)
{
    return lease->n_users == 0 && lease->expires_ns <= now_ns;
}

static void expire_chain(struct lease_table *table, uint16_t *link, int64_t now_ns)
{
    while (*link) {
        uint16_t place = *link;
        struct lease *lease = &table->leases[place - 1];
        if (!lease_is_over(lease, now_ns)) {
            link = &lease->next;
            continue;
        }
        *link = lease->next;
        lease_options_destroy(lease->options);
        *lease = (struct lease){.next = table->first_free};
        table->first_free = place;
        table->n--;
    }
}

void lease_table_expire(struct lease_table *table, int64_t now_ns)
{
    for (size_t i = 0; i < LEASE_CHAINS; i++)
        expire_chain(table, &table->chains[i], now_ns);
}
