#include "capture/fragment.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture/fragment/fragment_key.h"
#include "capture/fragment/index_list.h"
#include "capture/fragment/reassembly.h"
#include "common/log.h"

/* A datagram is either resolved (its first fragment is remembered, nothing waits for it) or waiting
 * (later fragments came before the first). Both have the same timeout on one clock that never steps
 * back, so two lists in order of arrival are in order of expiry as well: the resolved datagrams by
 * their latest first fragment, the waiting packets by their own arrival. The waiting packets of one
 * datagram are a third list, in the same order: the oldest of all heads its datagram's. */

struct ports {
    struct fragment_key key;
    uint32_t next;             /* in the bucket, or of the free ones */
    struct index_list waiting; /* not resolved: by waiting->next */
    bool is_resolved;
    int64_t expires_ns;  /* resolved */
    struct packet first; /* resolved: what the later ones are given */
};

struct waiting {
    uint32_t next; /* of the same datagram, or of the free ones */
    uint32_t datagram;
    int64_t expires_ns;
    struct packet packet;
};

struct fragment_table {
    const struct decoder *decoder;
    fragment_fn on_packet;
    void *state;
    struct reassembly *reassembly;
    int64_t timeout_ns;
    int64_t clock_ns;
    struct layers whole; /* of the datagram that the packet under way completes */
    uint8_t hash_key[crypto_shorthash_KEYBYTES];

    uint32_t *buckets;
    uint32_t bucket_mask;
    struct ports *datagrams;
    struct index_link *datagram_links; /* the resolved ones' */
    struct waiting *waitings;
    struct index_link *waiting_links;
    uint32_t n_max;

    uint32_t free_datagram; /* linked by 'next' */
    uint32_t free_waiting;
    uint32_t n_datagrams_touched; /* those from here on were never used */
    uint32_t n_waitings_touched;
    struct index_list resolved;
    struct index_list waiting;
};

/* An item that is not in use: one that was, or the first that never was, so that no memory is
 * touched before it is needed. '*free' is INDEX_NONE and '*n_touched' n_max: there is none. */
static bool has_free(const struct fragment_table *table, uint32_t free, uint32_t n_touched)
{
    return free != INDEX_NONE || n_touched < table->n_max;
}

static bool allocate(struct fragment_table *table, uint32_t n_buckets)
{
    size_t n = table->n_max;
    table->buckets = malloc(n_buckets * sizeof *table->buckets);
    table->datagrams = calloc(n, sizeof *table->datagrams);
    table->datagram_links = calloc(n, sizeof *table->datagram_links);
    table->waitings = calloc(n, sizeof *table->waitings);
    table->waiting_links = calloc(n, sizeof *table->waiting_links);
    return table->buckets && table->datagrams && table->datagram_links && table->waitings &&
           table->waiting_links;
}

static int open_reassembly(const struct config *config, struct reassembly **out)
{
    struct reassembly_limits limits = {
        .memory_bytes = (size_t)config->conntrack.fragment_memory_bytes,
        .ipv4_timeout_ns = config->conntrack.ipfrag_time_ns,
        .ipv6_timeout_ns = config->conntrack.frag6_timeout_ns,
    };
    return reassembly_create(&limits, out);
}

int fragment_table_create(const struct config *config, const struct decoder *decoder,
                          fragment_fn on_packet, void *state, struct fragment_table **out)
{
    int64_t fragments_max = config->capture.fragments_max;
    assert(fragments_max >= 1 && fragments_max < INDEX_NONE / 2);
    uint32_t n_buckets = fragment_buckets((size_t)fragments_max);
    struct fragment_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    *table = (struct fragment_table){
        .decoder = decoder,
        .on_packet = on_packet,
        .state = state,
        .timeout_ns = config->capture.fragment_timeout_ns,
        .clock_ns = INT64_MIN,
        .bucket_mask = n_buckets - 1,
        .n_max = (uint32_t)fragments_max,
        .resolved = {INDEX_NONE, INDEX_NONE},
        .waiting = {INDEX_NONE, INDEX_NONE},
    };
    if (!allocate(table, n_buckets) || open_reassembly(config, &table->reassembly) < 0) {
        fragment_table_destroy(table);
        return -ENOMEM;
    }
    memset(table->buckets, 0xff, n_buckets * sizeof *table->buckets); /* INDEX_NONE */
    randombytes_buf(table->hash_key, sizeof table->hash_key);
    table->free_datagram = table->free_waiting = INDEX_NONE;
    *out = table;
    return 0;
}

void fragment_table_destroy(struct fragment_table *table)
{
    if (!table)
        return;
    reassembly_destroy(table->reassembly);
    free(table->buckets);
    free(table->datagrams);
    free(table->datagram_links);
    free(table->waitings);
    free(table->waiting_links);
    free(table);
}

/* --- datagrams by key --- */

static uint32_t *bucket_of(struct fragment_table *table, const struct fragment_key *key)
{
    uint64_t hash = fragment_hash(key, sizeof *key, table->hash_key);
    return &table->buckets[hash & table->bucket_mask];
}

static uint32_t find(struct fragment_table *table, const struct fragment_key *key)
{
    uint32_t index = *bucket_of(table, key);
    while (index != INDEX_NONE && memcmp(&table->datagrams[index].key, key, sizeof *key) != 0)
        index = table->datagrams[index].next;
    return index;
}

static void forget_datagram(struct fragment_table *table, uint32_t index)
{
    struct ports *datagram = &table->datagrams[index];
    if (datagram->is_resolved)
        index_list_remove(&table->resolved, table->datagram_links, index);
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
static struct packet *take_waiting(struct fragment_table *table, struct ports *datagram)
{
    uint32_t index = datagram->waiting.head;
    struct waiting *waiting = &table->waitings[index];
    index_list_remove(&table->waiting, table->waiting_links, index);
    datagram->waiting.head = waiting->next;
    if (waiting->next == INDEX_NONE)
        datagram->waiting.tail = INDEX_NONE;
    waiting->next = table->free_waiting;
    table->free_waiting = index;
    return &waiting->packet;
}

/* The oldest waiting packet of all becomes an orphan. */
static void give_up_oldest(struct fragment_table *table)
{
    uint32_t index = table->waitings[table->waiting.head].datagram;
    struct ports *datagram = &table->datagrams[index];
    assert(datagram->waiting.head == table->waiting.head);
    pass_on_orphan(table, take_waiting(table, datagram));
    if (datagram->waiting.head == INDEX_NONE)
        forget_datagram(table, index);
}

/* --- bounds --- */

static bool oldest_is_waiting(const struct fragment_table *table)
{
    if (table->waiting.head == INDEX_NONE || table->resolved.head == INDEX_NONE)
        return table->waiting.head != INDEX_NONE;
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
    struct ports *datagram = &table->datagrams[index];
    while (datagram->waiting.head != INDEX_NONE)
        pass_on_orphan(table, take_waiting(table, datagram));
    forget_datagram(table, index);
}

static uint32_t add_datagram(struct fragment_table *table, const struct fragment_key *key)
{
    if (!has_free(table, table->free_datagram, table->n_datagrams_touched))
        evict_oldest(table);
    uint32_t index = table->free_datagram;
    if (index == INDEX_NONE)
        index = table->n_datagrams_touched++;
    else
        table->free_datagram = table->datagrams[index].next;
    struct ports *datagram = &table->datagrams[index];

    uint32_t *bucket = bucket_of(table, key);
    datagram->key = *key;
    datagram->next = *bucket;
    datagram->waiting = (struct index_list){INDEX_NONE, INDEX_NONE};
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

static void add_first(struct fragment_table *table, struct packet *packet,
                      const struct fragment_key *key)
{
    uint32_t index = find(table, key);
    if (index == INDEX_NONE)
        index = add_datagram(table, key);
    struct ports *datagram = &table->datagrams[index];
    if (datagram->is_resolved)
        index_list_remove(&table->resolved, table->datagram_links, index);
    datagram->is_resolved = true;
    datagram->expires_ns = deadline(table);
    datagram->first = *packet;
    index_list_append(&table->resolved, table->datagram_links, index);

    pass_on(table, packet);
    while (datagram->waiting.head != INDEX_NONE)
        pass_on_like(table, take_waiting(table, datagram), &datagram->first);
}

static void keep_waiting(struct fragment_table *table, const struct packet *packet,
                         const struct fragment_key *key)
{
    if (!has_free(table, table->free_waiting, table->n_waitings_touched))
        give_up_oldest(table);
    uint32_t index = find(table, key);
    if (index == INDEX_NONE)
        index = add_datagram(table, key);
    struct ports *datagram = &table->datagrams[index];

    uint32_t place = table->free_waiting;
    if (place == INDEX_NONE)
        place = table->n_waitings_touched++;
    else
        table->free_waiting = table->waitings[place].next;
    struct waiting *waiting = &table->waitings[place];
    waiting->packet = *packet;
    waiting->datagram = index;
    waiting->next = INDEX_NONE;
    waiting->expires_ns = deadline(table);
    index_list_append(&table->waiting, table->waiting_links, place);
    if (datagram->waiting.tail == INDEX_NONE)
        datagram->waiting.head = place;
    else
        table->waitings[datagram->waiting.tail].next = place;
    datagram->waiting.tail = place;
}

/* What the fragment makes of its datagram. True: the datagram is judged with it, and has a tuple.
 * What its receiver would not look at is in no datagram. */
static bool reassemble(struct fragment_table *table, struct packet *packet,
                       const struct fragment *fragment, const struct fragment_key *key)
{
    struct datagram datagram;
    table->whole.transport = NULL;
    if (packet->extra & PACKET_HELD)
        return false;
    if (reassembly_add(table->reassembly, key, fragment, table->clock_ns, &datagram) ==
        REASSEMBLY_HELD) {
        packet->extra |= PACKET_HELD;
        return false;
    }
    return decode_datagram(table->decoder, &datagram, packet, &table->whole);
}

void fragment_table_add(struct fragment_table *table, struct packet *packet,
                        const struct layers *layers, uint32_t source_index)
{
    assert(layers->is_fragment);
    fragment_table_expire(table, packet->clock_ns);
    struct fragment_key key = fragment_key_of(packet, layers->fragment.id, source_index);
    bool has_tuple = reassemble(table, packet, &layers->fragment, &key);
    if (packet->marks & PACKET_MARK_FIRST_FRAGMENT) {
        add_first(table, packet, &key);
        return;
    }
    if (has_tuple || !(packet->marks & PACKET_MARK_LATER_FRAGMENT)) {
        pass_on(table, packet);
        return;
    }
    uint32_t index = find(table, &key);
    if (index != INDEX_NONE && table->datagrams[index].is_resolved)
        pass_on_like(table, packet, &table->datagrams[index].first);
    else
        keep_waiting(table, packet, &key);
}

static __attribute__((noinline)) void expire_due(struct fragment_table *table, int64_t now_ns)
{
    while (table->waiting.head != INDEX_NONE &&
           table->waitings[table->waiting.head].expires_ns < now_ns) {
        table->clock_ns = table->waitings[table->waiting.head].expires_ns;
        give_up_oldest(table);
    }
    table->clock_ns = now_ns;
    while (table->resolved.head != INDEX_NONE &&
           table->datagrams[table->resolved.head].expires_ns < table->clock_ns)
        forget_datagram(table, table->resolved.head);
}

void fragment_table_expire(struct fragment_table *table, int64_t clock_ns)
{
    int64_t now_ns = clock_ns > table->clock_ns ? clock_ns : table->clock_ns;
    if (table->waiting.head == INDEX_NONE && table->resolved.head == INDEX_NONE)
        table->clock_ns = now_ns;
    else
        expire_due(table, now_ns);
}

void fragment_table_flush(struct fragment_table *table)
{
    while (table->waiting.head != INDEX_NONE)
        give_up_oldest(table);
    while (table->resolved.head != INDEX_NONE)
        forget_datagram(table, table->resolved.head);
    reassembly_forget(table->reassembly);
}

const struct layers *fragment_table_whole(const struct fragment_table *table)
{
    return &table->whole;
}

void fragment_table_tell_given_up(const struct fragment_table *table)
{
    uint64_t n = reassembly_given_up(table->reassembly);
    if (n)
        log_warning("%" PRIu64
                    " incomplete datagrams were given up: conntrack.fragment_memory (their "
                    "fragments are billed, not judged)",
                    n);
}
