/* wan_index: from a link-layer key (a VLAN, a MAC, …) to the places in the configuration that name
 * it.
 *
 *     wan_index_create(n_max, &index);
 *     wan_index_add(&index, WAN_KEY_VLAN, 7, place);        the last place first
 *     for (at = wan_index_first(&index, WAN_KEY_VLAN, 7); at; at = wan_index_next(&index, at)) …
 *     wan_index_destroy(&index);
 *
 * A chained hash table of fixed size. Places of a key come in the reverse of the order in which
 * they were added. Not thread-safe. */
#ifndef WANMETER_CAPTURE_WAN_INDEX_H
#define WANMETER_CAPTURE_WAN_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wan_key {
    WAN_KEY_VLAN,
    WAN_KEY_INNER_VLAN,
    WAN_KEY_PPPOE_SESSION,
    WAN_KEY_MPLS_LABEL,
    WAN_KEY_MAC,       /* value: 48 bits */
    WAN_KEY_INTERFACE, /* value: a hash of the name, which the caller compares */
    WAN_KEY_N,
};

struct wan_index_entry {
    uint64_t key;
    uint32_t place;
    uint32_t next; /* in 'entries', + 1; 0: none */
};

struct wan_index {
    uint32_t *buckets; /* in 'entries', + 1; 0: empty */
    struct wan_index_entry *entries;
    size_t n_entries;
    uint64_t bucket_mask;
    uint32_t kinds; /* bit 1 << enum wan_key: there is one of the kind */
};

/* For at most 'n_max' additions. 0 or -ENOMEM. */
int wan_index_create(size_t n_max, struct wan_index *index);
void wan_index_destroy(struct wan_index *index); /* also what is zeroed */

void wan_index_add(struct wan_index *index, enum wan_key kind, uint64_t value, uint32_t place);

/* NULL: none. */
const struct wan_index_entry *wan_index_first(const struct wan_index *index, enum wan_key kind,
                                              uint64_t value);
const struct wan_index_entry *wan_index_next(const struct wan_index *index,
                                             const struct wan_index_entry *entry);

static inline bool wan_index_has(const struct wan_index *index, enum wan_key kind)
{
    return (index->kinds >> kind & 1) != 0;
}

#endif
