#include "capture/fragment/reassembly_peers.h"

#include <errno.h>
#include <stdlib.h>

#include "capture/fragment/index_list.h"

/* Compared and hashed as bytes: no padding. */
struct peer_key {
    uint8_t address[4];
    uint32_t source_index;
};

static_assert(sizeof(struct peer_key) == 8, "compared as bytes");

struct peer {
    struct peer_key key;
    uint32_t next; /* in the bucket, or of the free ones */
    uint32_t n_datagrams;
    uint32_t n_fragments;
};

struct reassembly_peers {
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    uint32_t *buckets;
    uint32_t bucket_mask;
    struct peer *peers;
    uint32_t first_free; /* of those that were in use; INDEX_NONE: none */
    uint32_t n_touched;  /* those from here on are free and were never in use */
    uint32_t n_max;
};

int reassembly_peers_create(size_t n_max, struct reassembly_peers **out)
{
    uint32_t n_buckets = fragment_buckets(n_max);
    struct reassembly_peers *peers = calloc(1, sizeof *peers);
    if (!peers)
        return -ENOMEM;
    peers->bucket_mask = n_buckets - 1;
    peers->buckets = malloc(n_buckets * sizeof *peers->buckets);
    peers->peers = calloc(n_max, sizeof *peers->peers);
    if (!peers->buckets || !peers->peers) {
        reassembly_peers_destroy(peers);
        return -ENOMEM;
    }
    memset(peers->buckets, 0xff, n_buckets * sizeof *peers->buckets); /* INDEX_NONE */
    peers->first_free = INDEX_NONE;
    peers->n_max = (uint32_t)n_max;
    randombytes_buf(peers->hash_key, sizeof peers->hash_key);
    *out = peers;
    return 0;
}

void reassembly_peers_destroy(struct reassembly_peers *peers)
{
    if (!peers)
        return;
    free(peers->buckets);
    free(peers->peers);
    free(peers);
}

static uint32_t *bucket_of(struct reassembly_peers *peers, const struct peer_key *key)
{
    uint64_t hash = fragment_hash(key, sizeof *key, peers->hash_key);
    return &peers->buckets[hash & peers->bucket_mask];
}

static uint32_t take_free(struct reassembly_peers *peers)
{
    uint32_t index = peers->first_free;
    if (index == INDEX_NONE) {
        assert(peers->n_touched < peers->n_max);
        return peers->n_touched++;
    }
    peers->first_free = peers->peers[index].next;
    return index;
}

uint32_t reassembly_peers_join(struct reassembly_peers *peers, const struct fragment_key *key)
{
    struct peer_key wanted = {.source_index = key->source_index};
    memcpy(wanted.address, key->source_address, sizeof wanted.address);
    uint32_t *bucket = bucket_of(peers, &wanted);
    uint32_t index = *bucket;
    while (index != INDEX_NONE && memcmp(&peers->peers[index].key, &wanted, sizeof wanted) != 0)
        index = peers->peers[index].next;
    if (index == INDEX_NONE) {
        index = take_free(peers);
        peers->peers[index] = (struct peer){.key = wanted, .next = *bucket};
        *bucket = index;
    }
    peers->peers[index].n_datagrams++;
    return index;
}

void reassembly_peers_leave(struct reassembly_peers *peers, uint32_t peer)
{
    struct peer *leaving = &peers->peers[peer];
    if (--leaving->n_datagrams > 0)
        return;
    uint32_t *at = bucket_of(peers, &leaving->key);
    while (*at != peer)
        at = &peers->peers[*at].next;
    *at = leaving->next;
    leaving->next = peers->first_free;
    peers->first_free = peer;
}

uint32_t reassembly_peers_count(struct reassembly_peers *peers, uint32_t peer)
{
    return ++peers->peers[peer].n_fragments;
}
