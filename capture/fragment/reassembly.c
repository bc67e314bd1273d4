#include "capture/fragment/reassembly.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "capture/fragment/index_list.h"
#include "capture/fragment/reassembly_peers.h"
#include "capture/fragment/reassembly_store.h"

enum { L3_BYTES_MAX = 65535, IPV6_HEADER_SIZE = 40, FRAGMENT_HEADER_SIZE = 8 };

/* A datagram that is not complete. Each version has its timeout, from the first fragment on, on one
 * clock that never steps back: so a list in order of arrival is one in order of expiry. */
struct queue {
    struct fragment_key key;
    uint32_t next; /* in the bucket, or of the free ones */
    int64_t expires_ns;
    uint32_t end;          /* of what is known of; with has_last the datagram's length */
    uint32_t tail;         /* end of what is there */
    uint32_t n_bytes;      /* there */
    uint32_t captured_end; /* before the first byte that the capture does not have */
    uint32_t header_bytes; /* of the fragment at 0 */
    uint32_t peer;         /* IPv4: that sends it */
    uint32_t n_peer;       /* its count at our last fragment */
    uint8_t next_header;   /* of the fragment at 0 */
    bool has_first, has_last;
    struct reassembly_bytes bytes;
};

struct reassembly {
    int64_t timeout_ns[2]; /* by is_ipv6 */
    int64_t clock_ns;
    uint64_t n_given_up;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];

    uint32_t *buckets;
    uint32_t bucket_mask;
    struct queue *queues;
    struct index_link *links;
    struct index_list waiting[2]; /* by is_ipv6 */
    uint32_t first_free;          /* of those that were in use; INDEX_NONE: none */
    uint32_t n_touched;           /* those from here on are free and were never in use */
    uint32_t n_max;
    struct reassembly_store *store;
    struct reassembly_peers *peers;
    uint8_t whole[L3_BYTES_MAX];
};

static bool is_ipv6(const struct queue *queue)
{
    return queue->key.ip_version == 6;
}

int reassembly_create(const struct reassembly_limits *limits, struct reassembly **out)
{
    enum { COST = REASSEMBLY_BLOCK_COST + sizeof(struct queue) + sizeof(struct index_link) };
    assert(limits->memory_bytes >= REASSEMBLY_MEMORY_MIN);
    size_t n_max = limits->memory_bytes / COST;
    if (n_max > REASSEMBLY_BLOCKS_MAX)
        n_max = REASSEMBLY_BLOCKS_MAX;
    uint32_t n_buckets = fragment_buckets(n_max);
    struct reassembly *reassembly = calloc(1, sizeof *reassembly);
    if (!reassembly)
        return -ENOMEM;
    reassembly->timeout_ns[false] = limits->ipv4_timeout_ns;
    reassembly->timeout_ns[true] = limits->ipv6_timeout_ns;
    reassembly->clock_ns = INT64_MIN;
    reassembly->bucket_mask = n_buckets - 1;
    reassembly->n_max = (uint32_t)n_max;
    reassembly->waiting[false] = reassembly->waiting[true] =
        (struct index_list){INDEX_NONE, INDEX_NONE};
    reassembly->buckets = malloc(n_buckets * sizeof *reassembly->buckets);
    reassembly->queues = calloc(n_max, sizeof *reassembly->queues);
    reassembly->links = calloc(n_max, sizeof *reassembly->links);
    if (!reassembly->buckets || !reassembly->queues || !reassembly->links ||
        reassembly_store_create(n_max, &reassembly->store) < 0 ||
        reassembly_peers_create(n_max, &reassembly->peers) < 0) {
        reassembly_destroy(reassembly);
        return -ENOMEM;
    }
    memset(reassembly->buckets, 0xff, n_buckets * sizeof *reassembly->buckets); /* INDEX_NONE */
    reassembly->first_free = INDEX_NONE;
    randombytes_buf(reassembly->hash_key, sizeof reassembly->hash_key);
    *out = reassembly;
    return 0;
}

void reassembly_destroy(struct reassembly *reassembly)
{
    if (!reassembly)
        return;
    free(reassembly->buckets);
    free(reassembly->queues);
    free(reassembly->links);
    reassembly_store_destroy(reassembly->store);
    reassembly_peers_destroy(reassembly->peers);
    free(reassembly);
}

/* --- datagrams by key --- */

static uint32_t *bucket_of(struct reassembly *reassembly, const struct fragment_key *key)
{
    uint64_t hash = fragment_hash(key, sizeof *key, reassembly->hash_key);
    return &reassembly->buckets[hash & reassembly->bucket_mask];
}

static uint32_t find(struct reassembly *reassembly, const struct fragment_key *key)
{
    uint32_t index = *bucket_of(reassembly, key);
    while (index != INDEX_NONE && memcmp(&reassembly->queues[index].key, key, sizeof *key) != 0)
        index = reassembly->queues[index].next;
    return index;
}

static void discard(struct reassembly *reassembly, struct queue *queue)
{
    uint32_t index = (uint32_t)(queue - reassembly->queues);
    index_list_remove(&reassembly->waiting[is_ipv6(queue)], reassembly->links, index);
    reassembly_store_release(reassembly->store, &queue->bytes);
    if (!is_ipv6(queue))
        reassembly_peers_leave(reassembly->peers, queue->peer);
    uint32_t *at = bucket_of(reassembly, &queue->key);
    while (*at != index)
        at = &reassembly->queues[*at].next;
    *at = queue->next;
    queue->next = reassembly->first_free;
    reassembly->first_free = index;
}

static struct queue *head_of(struct reassembly *reassembly, bool of_ipv6)
{
    uint32_t index = reassembly->waiting[of_ipv6].head;
    return index == INDEX_NONE ? NULL : &reassembly->queues[index];
}

/* Whichever is nearest to its timeout, but for 'but'; NULL: there is none. */
static struct queue *oldest(struct reassembly *reassembly, const struct queue *but)
{
    struct queue *oldest = NULL;
    for (int of_ipv6 = 0; of_ipv6 < 2; of_ipv6++) {
        struct queue *queue = head_of(reassembly, of_ipv6);
        if (queue && queue == but) {
            uint32_t after = reassembly->links[queue - reassembly->queues].after;
            queue = after == INDEX_NONE ? NULL : &reassembly->queues[after];
        }
        if (queue && (!oldest || queue->expires_ns < oldest->expires_ns))
            oldest = queue;
    }
    return oldest;
}

static void start_timer(struct reassembly *reassembly, struct queue *queue)
{
    if (__builtin_add_overflow(reassembly->clock_ns, reassembly->timeout_ns[is_ipv6(queue)],
                               &queue->expires_ns))
        queue->expires_ns = INT64_MAX;
    index_list_append(&reassembly->waiting[is_ipv6(queue)], reassembly->links,
                      (uint32_t)(queue - reassembly->queues));
}

static void clear(struct queue *queue)
{
    queue->end = queue->tail = queue->n_bytes = 0;
    queue->captured_end = UINT32_MAX;
    queue->has_first = queue->has_last = false;
}

/* There is one. */
static uint32_t take_free(struct reassembly *reassembly)
{
    uint32_t index = reassembly->first_free;
    if (index == INDEX_NONE)
        return reassembly->n_touched++;
    reassembly->first_free = reassembly->queues[index].next;
    return index;
}

static struct queue *begin(struct reassembly *reassembly, const struct fragment_key *key)
{
    bool is_full = reassembly->n_touched == reassembly->n_max;
    if (reassembly->first_free == INDEX_NONE && is_full) {
        discard(reassembly, oldest(reassembly, NULL));
        reassembly->n_given_up++;
    }
    uint32_t index = take_free(reassembly);
    struct queue *queue = &reassembly->queues[index];
    uint32_t *bucket = bucket_of(reassembly, key);
    queue->key = *key;
    queue->next = *bucket;
    *bucket = index;
    clear(queue);
    reassembly_store_clear(&queue->bytes);
    if (!is_ipv6(queue))
        queue->peer = reassembly_peers_join(reassembly->peers, key);
    start_timer(reassembly, queue);
    return queue;
}

static void expire(struct reassembly *reassembly, int64_t clock_ns)
{
    if (clock_ns > reassembly->clock_ns)
        reassembly->clock_ns = clock_ns;
    for (int of_ipv6 = 0; of_ipv6 < 2; of_ipv6++)
        for (struct queue *queue = head_of(reassembly, of_ipv6);
             queue && queue->expires_ns <= reassembly->clock_ns;
             queue = head_of(reassembly, of_ipv6))
            discard(reassembly, queue);
}

/* --- a fragment --- */

/* Too many other fragments of the same source came in between: it has begun anew. */
static void count_distance(struct reassembly *reassembly, struct queue *queue)
{
    uint32_t n_before = queue->n_peer;
    queue->n_peer = reassembly_peers_count(reassembly->peers, queue->peer);
    if (queue->tail == 0 || queue->n_peer - n_before <= FRAGMENT_DISTANCE_MAX)
        return;
    reassembly_store_release(reassembly->store, &queue->bytes);
    clear(queue);
    index_list_remove(&reassembly->waiting[false], reassembly->links,
                      (uint32_t)(queue - reassembly->queues));
    start_timer(reassembly, queue);
}

/* Notes how far the datagram goes; false: the fragment contradicts what is known. */
static bool note_end(struct queue *queue, uint32_t end, bool has_more)
{
    if (has_more && end > queue->end) {
        if (queue->has_last)
            return false;
        queue->end = end;
    } else if (!has_more) {
        if (end < queue->end || (queue->has_last && end != queue->end))
            return false;
        queue->has_last = true;
        queue->end = end;
    }
    return true;
}

static bool put(struct reassembly *reassembly, struct queue *queue,
                const struct reassembly_piece *piece)
{
    while (!reassembly_store_put(reassembly->store, &queue->bytes, piece)) {
        struct queue *victim = oldest(reassembly, queue);
        if (!victim)
            return false;
        discard(reassembly, victim);
        reassembly->n_given_up++;
    }
    return true;
}

/* What is behind all that is there makes the last run longer, or is a new one. */
static enum reassembly_place place_of(const struct reassembly *reassembly,
                                      const struct queue *queue, uint32_t from, uint32_t to)
{
    if (to > queue->tail)
        return from < queue->tail ? REASSEMBLY_OVERLAP : REASSEMBLY_FREE;
    return reassembly_store_look(reassembly->store, &queue->bytes, from, to);
}

/* False: nothing is added; what overlaps, or has no room, has discarded the datagram. */
static bool insert(struct reassembly *reassembly, struct queue *queue,
                   const struct fragment *fragment, uint32_t payload_bytes)
{
    uint32_t from = fragment->offset_bytes, to = from + payload_bytes;
    enum reassembly_place place = place_of(reassembly, queue, from, to);
    if (place == REASSEMBLY_IN_RUN)
        return false;
    uint32_t captured =
        fragment->captured_bytes < payload_bytes ? fragment->captured_bytes : payload_bytes;
    struct reassembly_piece piece = {.bytes = fragment->bytes,
                                     .size = captured,
                                     .from = from,
                                     .to = to,
                                     .begins_run = from != queue->tail || from == 0};
    if (place == REASSEMBLY_OVERLAP || !put(reassembly, queue, &piece)) {
        discard(reassembly, queue);
        return false;
    }
    if (captured < payload_bytes && from + captured < queue->captured_end)
        queue->captured_end = from + captured;
    queue->tail = to > queue->tail ? to : queue->tail;
    queue->n_bytes += payload_bytes;
    if (from == 0) {
        queue->has_first = true;
        queue->header_bytes = fragment->header_bytes;
        queue->next_header = fragment->next_header;
    }
    return true;
}

/* Takes the datagram out, if it is all there. */
static enum reassembly_result finish(struct reassembly *reassembly, struct queue *queue,
                                     struct datagram *datagram)
{
    if (!queue->has_first || !queue->has_last || queue->n_bytes != queue->end)
        return REASSEMBLY_HELD;
    uint32_t header_bytes = queue->header_bytes;
    uint32_t uncounted = is_ipv6(queue) ? IPV6_HEADER_SIZE : 0;
    bool is_too_long = header_bytes + queue->end - uncounted > L3_BYTES_MAX;
    if (!is_too_long) {
        *datagram = (struct datagram){
            .bytes = reassembly->whole,
            .captured_bytes = queue->captured_end < queue->end ? queue->captured_end : queue->end,
            .payload_bytes = queue->end,
            .l3_bytes = header_bytes + queue->end,
            .next_header = queue->next_header,
        };
        reassembly_store_copy(reassembly->store, &queue->bytes, datagram->captured_bytes,
                              reassembly->whole);
    }
    discard(reassembly, queue);
    return is_too_long ? REASSEMBLY_HELD : REASSEMBLY_COMPLETE;
}

static enum reassembly_result add_ipv4(struct reassembly *reassembly, struct queue *queue,
                                       const struct fragment *fragment, struct datagram *datagram)
{
    uint32_t payload_bytes = fragment->payload_bytes;
    if (fragment->has_more)
        payload_bytes -= payload_bytes % REASSEMBLY_UNIT_SIZE;
    count_distance(reassembly, queue);
    if (!note_end(queue, fragment->offset_bytes + payload_bytes, fragment->has_more) ||
        payload_bytes == 0) {
        discard(reassembly, queue);
        return REASSEMBLY_HELD;
    }
    if (!insert(reassembly, queue, fragment, payload_bytes))
        return REASSEMBLY_HELD;
    return finish(reassembly, queue, datagram);
}

/* The fragment as a packet, with its fragment header. */
static enum reassembly_result alone(const struct fragment *fragment, struct datagram *datagram)
{
    *datagram = (struct datagram){
        .bytes = fragment->bytes,
        .captured_bytes = fragment->captured_bytes,
        .payload_bytes = fragment->payload_bytes,
        .l3_bytes = fragment->header_bytes + FRAGMENT_HEADER_SIZE + fragment->payload_bytes,
        .next_header = fragment->next_header,
        .is_lone_later = fragment->offset_bytes != 0,
    };
    return REASSEMBLY_ALONE;
}

static enum reassembly_result add_ipv6(struct reassembly *reassembly, struct queue *queue,
                                       const struct fragment *fragment, struct datagram *datagram)
{
    uint32_t end = fragment->offset_bytes + fragment->payload_bytes;
    if (end > L3_BYTES_MAX)
        return REASSEMBLY_HELD;
    if (fragment->has_more && end % REASSEMBLY_UNIT_SIZE) {
        discard(reassembly, queue);
        return alone(fragment, datagram);
    }
    if (!note_end(queue, end, fragment->has_more) || fragment->payload_bytes == 0 ||
        !insert(reassembly, queue, fragment, fragment->payload_bytes))
        return REASSEMBLY_HELD;
    return finish(reassembly, queue, datagram);
}

enum reassembly_result reassembly_add(struct reassembly *reassembly, const struct fragment_key *key,
                                      const struct fragment *fragment, int64_t clock_ns,
                                      struct datagram *datagram)
{
    expire(reassembly, clock_ns);
    if (fragment->payload_bytes > L3_BYTES_MAX)
        return REASSEMBLY_HELD;
    if (fragment->lacks_headers)
        return alone(fragment, datagram);
    uint32_t index = find(reassembly, key);
    struct queue *queue = index == INDEX_NONE ? begin(reassembly, key) : &reassembly->queues[index];
    return key->ip_version == 6 ? add_ipv6(reassembly, queue, fragment, datagram)
                                : add_ipv4(reassembly, queue, fragment, datagram);
}

void reassembly_forget(struct reassembly *reassembly)
{
    for (int of_ipv6 = 0; of_ipv6 < 2; of_ipv6++)
        for (struct queue *queue; (queue = head_of(reassembly, of_ipv6));)
            discard(reassembly, queue);
}

uint64_t reassembly_given_up(const struct reassembly *reassembly)
{
    return reassembly->n_given_up;
}
