#include "capture/fragment.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A datagram is either resolved (its first fragment is remembered, nothing waits for it) or waiting
 * (later fragments came before the first). Both have the same timeout on one clock that never steps
 * back, so two lists in order of arrival are in order of expiry as well: the resolved datagrams by
 * their latest first fragment, the waiting packets by their own arrival. The waiting packets of one
 * datagram are a third list, in the same order: the oldest of all heads its datagram's. */

static const uint32_t NONE = UINT32_MAX;

struct list {
    uint32_t head;
    uint32_t tail;
};

struct link {
    uint32_t before;
    uint32_t after;
};

/* Compared and hashed as bytes: no padding. */
struct key {
    uint8_t source_address[16];
    uint8_t destination_address[16];
    uint32_t id;
    uint32_t source_index;
    uint8_t ip_version;
    uint8_t protocol; /* of IPv4; 0 of IPv6, whose fragments need not agree on it */
    uint8_t unused[2];
};

static_assert(sizeof(struct key) == 44, "compared as bytes");

struct datagram {
    struct key key;
    uint32_t next;       /* in the bucket, or of the free ones */
    struct link link;    /* resolved: in table->resolved */
    struct list waiting; /* else: by waiting->next */
    bool is_resolved;
    int64_t expires_ns;  /* resolved */
    struct packet first; /* resolved: what the later ones are given */
};

struct waiting {
    struct link link; /* in table->waiting */
    uint32_t next;    /* of the same datagram, or of the free ones */
    uint32_t datagram;
    int64_t expires_ns;
    struct packet packet;
};

struct fragment_table {
    fragment_fn on_packet;
    void *state;
    int64_t timeout_ns;
    int64_t clock_ns;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];

    uint32_t *buckets;
    uint32_t bucket_mask;
    struct datagram *datagrams;
    struct waiting *waitings;
    uint32_t n_max;

    uint32_t free_datagram;
    uint32_t free_waiting;
    struct list resolved;
    struct list waiting;
};

static void chain_free_ones(struct fragment_table *table)
{
    for (uint32_t i = 0; i < table->n_max; i++) {
        uint32_t next = i + 1 < table->n_max ? i + 1 : NONE;
        table->datagrams[i].next = next;
        table->waitings[i].next = next;
    }
    table->free_datagram = table->free_waiting = 0;
}

static uint32_t bucket_count(size_t fragments_max)
{
    uint32_t n = 1;
    while (n < fragments_max)
        n *= 2;
    return n;
}

int fragment_table_create(size_t fragments_max, int64_t timeout_ns, fragment_fn on_packet,
                          void *state, struct fragment_table **out)
{
    assert(fragments_max >= 1 && fragments_max < NONE / 2);
    uint32_t n_buckets = bucket_count(fragments_max);
    struct fragment_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    *table = (struct fragment_table){
        .on_packet = on_packet,
        .state = state,
        .timeout_ns = timeout_ns,
        .clock_ns = INT64_MIN,
        .buckets = malloc(n_buckets * sizeof *table->buckets),
        .bucket_mask = n_buckets - 1,
        .datagrams = calloc(fragments_max, sizeof *table->datagrams),
        .waitings = calloc(fragments_max, sizeof *table->waitings),
        .n_max = (uint32_t)fragments_max,
        .resolved = {NONE, NONE},
        .waiting = {NONE, NONE},
    };
    if (!table->buckets || !table->datagrams || !table->waitings) {
        fragment_table_destroy(table);
        return -ENOMEM;
    }
    memset(table->buckets, 0xff, n_buckets * sizeof *table->buckets); /* NONE */
    randombytes_buf(table->hash_key, sizeof table->hash_key);
    chain_free_ones(table);
    *out = table;
    return 0;
}

void fragment_table_destroy(struct fragment_table *table)
{
    if (!table)
        return;
    free(table->buckets);
    free(table->datagrams);
    free(table->waitings);
    free(table);
}

/* --- lists --- */

static struct link *resolved_link(struct fragment_table *table, uint32_t index)
{
    return &table->datagrams[index].link;
}

static struct link *waiting_link(struct fragment_table *table, uint32_t index)
{
    return &table->waitings[index].link;
}

typedef struct link *(*link_fn)(struct fragment_table *table, uint32_t index);

static void append(struct fragment_table *table, struct list *list, link_fn link_of, uint32_t index)
{
    *link_of(table, index) = (struct link){.before = list->tail, .after = NONE};
    if (list->tail == NONE)
        list->head = index;
    else
        link_of(table, list->tail)->after = index;
    list->tail = index;
}

static void unlink_from(struct fragment_table *table, struct list *list, link_fn link_of,
                        uint32_t index)
{
    struct link link = *link_of(table, index);
    if (link.before == NONE)
        list->head = link.after;
    else
        link_of(table, link.before)->after = link.after;
    if (link.after == NONE)
        list->tail = link.before;
    else
        link_of(table, link.after)->before = link.before;
}

/* --- datagrams by key --- */

static struct key key_of(const struct packet *packet, uint32_t id, uint32_t source_index)
{
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    struct key key = {
        .id = id,
        .source_index = source_index,
        .ip_version = is_ipv6 ? 6 : 4,
        .protocol = is_ipv6 ? 0 : packet->protocol,
    };
    memcpy(key.source_address, packet->source_address, sizeof key.source_address);
    memcpy(key.destination_address, packet->destination_address, sizeof key.destination_address);
    return key;
}

static uint32_t *bucket_of(struct fragment_table *table, const struct key *key)
{
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "the hash is a number");
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)key, sizeof *key, table->hash_key);
    return &table->buckets[hash & table->bucket_mask];
}

static uint32_t find(struct fragment_table *table, const struct key *key)
{
    uint32_t index = *bucket_of(table, key);
    while (index != NONE && memcmp(&table->datagrams[index].key, key, sizeof *key) != 0)
        index = table->datagrams[index].next;
    return index;
}

static void forget_datagram(struct fragment_table *table, uint32_t index)
{
    struct datagram *datagram = &table->datagrams[index];
    if (datagram->is_resolved)
        unlink_from(table, &table->resolved, resolved_link, index);
    uint32_t *at = bucket_of(table, &datagram->key);
    while (*at != index)
        at = &table->datagrams[*at].next;
    *at = datagram->next;
    datagram->next = table->free_datagram;
    table->free_datagram = index;
}

/* --- passing on --- */

static void pass_on(struct fragment_table *table, struct packet *packet)
{
    packet->clock_ns = table->clock_ns;
    table->on_packet(table->state, packet);
}

static void pass_on_orphan(struct fragment_table *table, struct packet *packet)
{
    packet->class_index = CLASS_FRAG_ORPHAN;
    pass_on(table, packet);
}

/* What a later fragment shares with its first one. Its lengths, times and WAN are its own. */
static void pass_on_like(struct fragment_table *table, struct packet *packet,
                         const struct packet *first)
{
    if (first->class_index == CLASS_NO_PORTS) {
        pass_on_orphan(table, packet);
        return;
    }
    enum { PARTS = PACKET_PART_ICMP | PACKET_PART_INNER };
    packet->class_index = first->class_index;
    packet->protocol = first->protocol;
    packet->source_port = first->source_port;
    packet->destination_port = first->destination_port;
    packet->marks |= first->marks & PACKET_MARK_PORTS;
    packet->parts |= first->parts & PARTS;
    packet->icmp_type = first->icmp_type;
    packet->icmp_code = first->icmp_code;
    packet->inner = first->inner;
    pass_on(table, packet);
}

/* Takes the oldest waiting packet of a datagram out of all lists. The caller passes it on before
 * the next one is added. */
static struct packet *take_waiting(struct fragment_table *table, struct datagram *datagram)
{
    uint32_t index = datagram->waiting.head;
    struct waiting *waiting = &table->waitings[index];
    unlink_from(table, &table->waiting, waiting_link, index);
    datagram->waiting.head = waiting->next;
    if (waiting->next == NONE)
        datagram->waiting.tail = NONE;
    waiting->next = table->free_waiting;
    table->free_waiting = index;
    return &waiting->packet;
}

/* The oldest waiting packet of all becomes an orphan. */
static void give_up_oldest(struct fragment_table *table)
{
    uint32_t index = table->waitings[table->waiting.head].datagram;
    struct datagram *datagram = &table->datagrams[index];
    assert(datagram->waiting.head == table->waiting.head);
    pass_on_orphan(table, take_waiting(table, datagram));
    if (datagram->waiting.head == NONE)
        forget_datagram(table, index);
}

/* --- bounds --- */

static bool oldest_is_waiting(const struct fragment_table *table)
{
    if (table->waiting.head == NONE || table->resolved.head == NONE)
        return table->waiting.head != NONE;
    return table->waitings[table->waiting.head].expires_ns <=
           table->datagrams[table->resolved.head].expires_ns;
}

/* The datagram that is nearest to its timeout leaves, with all that waits for it. */
static void evict_oldest(struct fragment_table *table)
{
    if (!oldest_is_waiting(table)) {
        forget_datagram(table, table->resolved.head);
        return;
    }
    uint32_t index = table->waitings[table->waiting.head].datagram;
    struct datagram *datagram = &table->datagrams[index];
    while (datagram->waiting.head != NONE)
        pass_on_orphan(table, take_waiting(table, datagram));
    forget_datagram(table, index);
}

static uint32_t add_datagram(struct fragment_table *table, const struct key *key)
{
    if (table->free_datagram == NONE)
        evict_oldest(table);
    uint32_t index = table->free_datagram;
    struct datagram *datagram = &table->datagrams[index];
    table->free_datagram = datagram->next;

    uint32_t *bucket = bucket_of(table, key);
    datagram->key = *key;
    datagram->next = *bucket;
    datagram->waiting = (struct list){NONE, NONE};
    datagram->is_resolved = false;
    *bucket = index;
    return index;
}

static int64_t deadline(const struct fragment_table *table)
{
    int64_t expires_ns;
    if (__builtin_add_overflow(table->clock_ns, table->timeout_ns, &expires_ns))
        return INT64_MAX;
    return expires_ns;
}

/* --- the two kinds of fragments --- */

static void add_first(struct fragment_table *table, struct packet *packet, const struct key *key)
{
    uint32_t index = find(table, key);
    if (index == NONE)
        index = add_datagram(table, key);
    struct datagram *datagram = &table->datagrams[index];
    if (datagram->is_resolved)
        unlink_from(table, &table->resolved, resolved_link, index);
    datagram->is_resolved = true;
    datagram->expires_ns = deadline(table);
    datagram->first = *packet;
    append(table, &table->resolved, resolved_link, index);

    pass_on(table, packet);
    while (datagram->waiting.head != NONE)
        pass_on_like(table, take_waiting(table, datagram), &datagram->first);
}

static void keep_waiting(struct fragment_table *table, const struct packet *packet,
                         const struct key *key)
{
    if (table->free_waiting == NONE)
        give_up_oldest(table);
    uint32_t index = find(table, key);
    if (index == NONE)
        index = add_datagram(table, key);
    struct datagram *datagram = &table->datagrams[index];

    uint32_t place = table->free_waiting;
    struct waiting *waiting = &table->waitings[place];
    table->free_waiting = waiting->next;
    waiting->packet = *packet;
    waiting->datagram = index;
    waiting->next = NONE;
    waiting->expires_ns = deadline(table);
    append(table, &table->waiting, waiting_link, place);
    if (datagram->waiting.tail == NONE)
        datagram->waiting.head = place;
    else
        table->waitings[datagram->waiting.tail].next = place;
    datagram->waiting.tail = place;
}

void fragment_table_add(struct fragment_table *table, struct packet *packet,
                        const struct layers *layers, uint32_t source_index)
{
    assert(packet->marks & (PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_LATER_FRAGMENT));
    fragment_table_expire(table, packet->clock_ns);
    struct key key = key_of(packet, layers->fragment_id, source_index);
    if (packet->marks & PACKET_MARK_FIRST_FRAGMENT) {
        add_first(table, packet, &key);
        return;
    }
    uint32_t index = find(table, &key);
    if (index != NONE && table->datagrams[index].is_resolved)
        pass_on_like(table, packet, &table->datagrams[index].first);
    else
        keep_waiting(table, packet, &key);
}

void fragment_table_expire(struct fragment_table *table, int64_t clock_ns)
{
    if (clock_ns > table->clock_ns)
        table->clock_ns = clock_ns;
    while (table->waiting.head != NONE &&
           table->waitings[table->waiting.head].expires_ns < table->clock_ns)
        give_up_oldest(table);
    while (table->resolved.head != NONE &&
           table->datagrams[table->resolved.head].expires_ns < table->clock_ns)
        forget_datagram(table, table->resolved.head);
}

void fragment_table_flush(struct fragment_table *table)
{
    while (table->waiting.head != NONE)
        give_up_oldest(table);
    while (table->resolved.head != NONE)
        forget_datagram(table, table->resolved.head);
}
