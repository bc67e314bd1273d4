#include "tracker/flow_label/lease_holder.h"

#include <stdio.h>
#include <string.h>

static uint16_t *chain_of(struct holder_table *table, uint32_t uid, const char *name)
{
    uint32_t sum = uid;
    for (; *name; name++)
        sum = sum * 31 + (uint8_t)*name;
    return &table->chains[sum % HOLDER_CHAINS];
}

void holder_table_init(struct holder_table *table)
{
    memset(table, 0, sizeof *table);
    table->first_free_holder = 1;
    table->first_free_reference = 1;
    for (unsigned place = 1; place < LEASE_HOLDERS_MAX; place++)
        table->holders[place - 1].next = (uint16_t)(place + 1);
    for (unsigned place = 1; place < LEASE_REFERENCES_MAX; place++)
        table->references[place - 1].next = (uint16_t)(place + 1);
}

struct lease_holder *holder_table_find(struct holder_table *table, uint32_t uid, const char *name)
{
    uint16_t place = *chain_of(table, uid, name);
    while (place) {
        struct lease_holder *holder = &table->holders[place - 1];
        if (holder->uid == uid && strcmp(holder->name, name) == 0)
            return holder;
        place = holder->next;
    }
    return NULL;
}

struct lease_holder *holder_table_take(struct holder_table *table, uint32_t uid, const char *name)
{
    struct lease_holder *holder = holder_table_find(table, uid, name);
    uint16_t place = table->first_free_holder;
    if (holder || !place)
        return holder;
    uint16_t *chain = chain_of(table, uid, name);
    holder = &table->holders[place - 1];
    table->first_free_holder = holder->next;
    *holder = (struct lease_holder){.uid = uid, .next = *chain};
    snprintf(holder->name, sizeof holder->name, "%s", name);
    *chain = place;
    return holder;
}

void holder_table_settle(struct holder_table *table, struct lease_holder *holder)
{
    if (holder->n_references > 0 || holder->is_reflecting)
        return;
    uint16_t place = (uint16_t)(holder - table->holders + 1);
    uint16_t *link = chain_of(table, holder->uid, holder->name);
    while (*link != place)
        link = &table->holders[*link - 1].next;
    *link = holder->next;
    holder->next = table->first_free_holder;
    table->first_free_holder = place;
}

struct lease_reference *holder_reference(struct holder_table *table,
                                         const struct lease_holder *holder, uint32_t label)
{
    for (uint16_t place = holder->first; place; place = table->references[place - 1].next)
        if (table->references[place - 1].lease->label == label)
            return &table->references[place - 1];
    return NULL;
}

bool holder_link(struct holder_table *table, struct lease_holder *holder, struct lease *lease)
{
    struct lease_reference *reference = holder_reference(table, holder, lease->label);
    if (!reference) {
        uint16_t place = table->first_free_reference;
        if (!place)
            return false;
        reference = &table->references[place - 1];
        table->first_free_reference = reference->next;
        *reference = (struct lease_reference){.lease = lease, .next = holder->first};
        holder->first = place;
    }
    reference->n++;
    holder->n_references++;
    return true;
}

struct lease *holder_unlink(struct holder_table *table, struct lease_holder *holder,
                            struct lease_reference *reference)
{
    struct lease *lease = reference->lease;
    holder->n_references--;
    if (--reference->n > 0)
        return lease;
    uint16_t place = (uint16_t)(reference - table->references + 1);
    uint16_t *link = &holder->first;
    while (*link != place)
        link = &table->references[*link - 1].next;
    *link = reference->next;
    reference->next = table->first_free_reference;
    table->first_free_reference = place;
    return lease;
}
