#include "tracker/connection_table/connection_index.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "tracker/connection_table/mapping.h"

enum {
    BUCKETS_MIN = 64,
    BUCKETS_AT_START_MAX = 1 << 15, /* 2 MiB, touched as used */
    ALLOWED_A_BUCKET = 128,
    ALL_SLOTS = (1 << BUCKET_SLOTS) - 1,
};

static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");
static_assert(offsetof(struct bucket, tags) == 0 && BUCKET_SLOTS <= 16,
              "two vectors hold the tags");

/* Entry 'slot' of 'bucket'. */
struct position {
    struct bucket *bucket;
    unsigned slot;
};

/* A power of two: 64 bytes for each 128 connections that there may be. While those are few, each
 * has a bucket of its own, and none is split: with 32,768 of them a tracker that met 250,000
 * connections took 5 % less of its own time than with 64. */
static uint32_t buckets_at_start(uint32_t connections_max)
{
    uint32_t n = BUCKETS_MIN;
    while (n < BUCKETS_AT_START_MAX && 2 * n <= connections_max / ALLOWED_A_BUCKET)
        n *= 2;
    return n;
}

int connection_index_init(struct connection_index *index, const struct connection_slab *slab)
{
    const uint32_t connections_max = slab->n_max;
    const uint32_t n_start = buckets_at_start(connections_max);
    *index = (struct connection_index){.slab = slab, .n_buckets = n_start, .base = n_start};
    /* Each overflow bucket hangs behind 10 entries of its own. */
    size_t n_overflow = connections_max / BUCKET_SLOTS + 1;
    size_t n_buckets = connections_max / BUCKET_ENTRIES_MEAN + 1 + n_start;
    index->buckets_size = n_buckets * sizeof(struct bucket);
    index->overflow_size = n_overflow * sizeof(struct bucket);

    void *memory;
    int result = mapping_create(index->buckets_size, &memory);
    if (result < 0)
        return result;
    index->buckets = memory;
    result = mapping_create(index->overflow_size, &memory);
    if (result < 0) {
        connection_index_deinit(index);
        return result;
    }
    index->overflow = memory;
    return 0;
}

void connection_index_deinit(struct connection_index *index)
{
    mapping_destroy(index->buckets, index->buckets_size);
    mapping_destroy(index->overflow, index->overflow_size);
    *index = (struct connection_index){0};
}

/* Buckets below n_buckets - base were split already: they use one bit of the hash more. */
static uint32_t bucket_number(const struct connection_index *index, uint32_t hash)
{
    uint32_t number = hash & (2 * index->base - 1);
    return number < index->n_buckets ? number : number - index->base;
}

const struct bucket *connection_index_bucket(const struct connection_index *index, uint64_t hash)
{
    return &index->buckets[bucket_number(index, (uint32_t)hash)];
}

static struct bucket *bucket_next(const struct connection_index *index, const struct bucket *bucket)
{
    return bucket->next == 0 ? NULL : &index->overflow[bucket->next - 1];
}

static uint16_t hash_tag(uint64_t hash)
{
    uint16_t tag = (uint16_t)(hash >> 48);
    return tag == 0 ? 1 : tag;
}

/* A bit for each slot that has the tag. One comparison of all ten: where the matching one lies
 * cannot be predicted, so nothing branches by it. */
static unsigned bucket_match(const struct bucket *bucket, uint16_t tag)
{
#ifdef __SSE2__
    const __m128i *lanes = (const __m128i *)(const void *)bucket;
    const __m128i wanted = _mm_set1_epi16((short)tag);
    __m128i low = _mm_cmpeq_epi16(_mm_load_si128(lanes), wanted);
    __m128i high = _mm_cmpeq_epi16(_mm_load_si128(lanes + 1), wanted);
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & ALL_SLOTS;
#else
    unsigned matches = 0;
    for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++)
        matches |= (unsigned)(bucket->tags[slot] == tag) << slot;
    return matches;
#endif
}

uint32_t connection_index_find(const struct connection_index *index, const struct tuple *tuple,
                               uint64_t hash)
{
    uint16_t tag = hash_tag(hash);
    const struct bucket *bucket = connection_index_bucket(index, hash);
    for (; bucket != NULL; bucket = bucket_next(index, bucket)) {
        for (unsigned matches = bucket_match(bucket, tag); matches != 0; matches &= matches - 1) {
            uint32_t place = bucket->places[__builtin_ctz(matches)];
            if (connection_slab_has(index->slab, &index->slab->entries[place], tuple))
                return place;
        }
    }
    return CONNECTION_NOWHERE;
}

uint32_t connection_index_candidate(const struct connection_index *index, uint64_t hash)
{
    const struct bucket *bucket = connection_index_bucket(index, hash);
    unsigned matches = bucket_match(bucket, hash_tag(hash));
    return matches != 0 ? bucket->places[__builtin_ctz(matches)] : CONNECTION_NOWHERE;
}

/* Entries are dense: the first empty slot says how many there are. */
static unsigned bucket_count(const struct bucket *bucket)
{
    unsigned empty = bucket_match(bucket, 0);
    return empty != 0 ? (unsigned)__builtin_ctz(empty) : BUCKET_SLOTS;
}

/* Hangs an empty overflow bucket behind 'bucket'. There is always one: see connection_index_init().
 */
static struct bucket *overflow_append(struct connection_index *index, struct bucket *bucket)
{
    uint32_t number = index->overflow_free;
    if (number != 0) {
        index->overflow_free = index->overflow[number - 1].next;
    } else {
        number = ++index->overflow_touched;
        assert(number * sizeof(struct bucket) <= index->overflow_size);
    }
    bucket->next = number;
    struct bucket *appended = &index->overflow[number - 1];
    memset(appended, 0, sizeof(*appended));
    return appended;
}

static void overflow_free(struct connection_index *index, uint32_t number)
{
    index->overflow[number - 1].next = index->overflow_free;
    index->overflow_free = number;
}

static struct index_room chain_end(const struct connection_index *index, struct bucket *bucket)
{
    uint32_t n_buckets = 1;
    for (; bucket->next != 0; n_buckets++)
        bucket = bucket_next(index, bucket);
    return (struct index_room){bucket, bucket_count(bucket), n_buckets};
}

/* 'room' is where the next one goes then. */
static void chain_put(struct connection_index *index, struct index_room *room, uint16_t tag,
                      uint32_t place)
{
    if (room->slot == BUCKET_SLOTS) {
        room->last = overflow_append(index, room->last);
        room->slot = 0;
        room->n_buckets++;
    }
    if (room->n_buckets > index->chain_max)
        index->chain_max = room->n_buckets;
    room->last->tags[room->slot] = tag;
    room->last->places[room->slot] = place;
    room->slot++;
}

/* Takes the entry at 'hole' out of the chain that begins with 'first': the chain's last entry moves
 * there. An overflow bucket that this empties is freed. */
static void chain_remove(struct connection_index *index, struct bucket *first, struct position hole)
{
    struct bucket *before = NULL;
    struct bucket *last = first;
    while (last->next != 0) {
        before = last;
        last = bucket_next(index, last);
    }
    unsigned slot = bucket_count(last) - 1;
    hole.bucket->tags[hole.slot] = last->tags[slot];
    hole.bucket->places[hole.slot] = last->places[slot];
    last->tags[slot] = 0;
    if (slot == 0 && before != NULL) {
        overflow_free(index, before->next);
        before->next = 0;
    }
}

/* Asks for the tuples of the bucket that is split next. Always inlined: gcc 12 takes a function
 * that does nothing but prefetch for one without effect, and leaves out the call. */
static inline __attribute__((always_inline)) void
prefetch_next_split(const struct connection_index *index)
{
    const struct bucket *bucket = &index->buckets[index->n_buckets - index->base];
    __builtin_prefetch(bucket + 1);
    for (unsigned slot = 0; slot < BUCKET_SLOTS && bucket->tags[slot] != 0; slot++)
        __builtin_prefetch(&index->slab->entries[bucket->places[slot]]);
}

/* Takes the chain of the oldest bucket not yet split apart: each entry goes back there, or to a new
 * bucket at the end. */
static void index_split(struct connection_index *index)
{
    struct bucket *first = &index->buckets[index->n_buckets - index->base];
    struct bucket *added = &index->buckets[index->n_buckets];
    uint32_t bit = index->base;
    if (++index->n_buckets == 2 * index->base)
        index->base = index->n_buckets;
    *added = (struct bucket){0}; /* as it is: a page that is read first costs two faults */

    struct index_room rooms[] = {{first, 0, 1}, {added, 0, 1}};
    struct bucket taken = *first;
    *first = (struct bucket){0};
    for (;;) {
        for (unsigned slot = 0; slot < BUCKET_SLOTS && taken.tags[slot] != 0; slot++) {
            uint32_t place = taken.places[slot];
            bool moves = (connection_slab_hash(index->slab, place) & bit) != 0;
            chain_put(index, &rooms[moves], taken.tags[slot], place);
        }
        if (taken.next == 0)
            break;
        uint32_t number = taken.next;
        taken = index->overflow[number - 1];
        overflow_free(index, number);
    }
    prefetch_next_split(index);
}

bool connection_index_has_room(const struct connection_index *index, uint64_t hash,
                               struct index_room *room)
{
    *room = chain_end(index, &index->buckets[bucket_number(index, (uint32_t)hash)]);
    return room->n_buckets < CHAIN_BUCKETS_MAX || room->slot < BUCKET_SLOTS;
}

void connection_index_add(struct connection_index *index, struct index_room *room, uint32_t place,
                          uint64_t hash)
{
    chain_put(index, room, hash_tag(hash), place);
    if (++index->n_entries / BUCKET_ENTRIES_MEAN > index->n_buckets)
        index_split(index);
}

void connection_index_remove(struct connection_index *index, uint32_t place, uint64_t hash)
{
    struct bucket *first = &index->buckets[bucket_number(index, (uint32_t)hash)];
    struct position at = {first, 0};
    while (at.bucket->places[at.slot] != place || at.bucket->tags[at.slot] == 0) {
        if (++at.slot == BUCKET_SLOTS)
            at = (struct position){bucket_next(index, at.bucket), 0};
        assert(at.bucket != NULL);
    }
    chain_remove(index, first, at);
    index->n_entries--;
}
