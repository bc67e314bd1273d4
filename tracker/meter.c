#include "tracker/meter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/seal.h"

enum {
    KEYS_MAX = 1 << 15, /* between two commit points */
    PLACES = KEYS_MAX * 2,
    PLACE_EMPTY = 0,
};

static const int64_t slot_ns_length = SLOT_SECONDS * INT64_C(1000000000);

/* What tells sums apart, made in registers: bytes just stored one by one must not be compared as a
 * whole, which waits for them. */
struct key {
    int64_t slot_ns;
    uint64_t others; /* but for the seal */
    int32_t seal;
};

struct meter {
    struct usage_delta *sums; /* n_sums of them, in order of appearance */
    uint32_t *places;         /* open addressing: index into sums + 1 */
    uint32_t *taken;          /* by sum: its place */
    uint32_t n_sums;
    struct usage_delta *last; /* most packets have the key of the one before: 'last_key' */
    struct key last_key;
    struct {
        int64_t slot_ns;
        int64_t until_ns; /* on the clock */
        int32_t number;
    } seal; /* of packets of that slot until then */
};

int meter_create(struct meter **out)
{
    struct meter *meter = calloc(1, sizeof *meter);
    if (!meter)
        return -ENOMEM;
    meter->seal.until_ns = INT64_MIN;
    meter->sums = calloc(KEYS_MAX, sizeof *meter->sums);
    meter->places = calloc(PLACES, sizeof *meter->places);
    meter->taken = calloc(KEYS_MAX, sizeof *meter->taken);
    if (!meter->sums || !meter->places || !meter->taken) {
        meter_destroy(meter);
        return -ENOMEM;
    }
    *out = meter;
    return 0;
}

void meter_destroy(struct meter *meter)
{
    if (!meter)
        return;
    free(meter->sums);
    free(meter->places);
    free(meter->taken);
    free(meter);
}

static int64_t slot_of(int64_t time_ns)
{
    int64_t into_ns = time_ns % slot_ns_length;
    return time_ns - into_ns - (into_ns < 0 ? slot_ns_length : 0);
}

static bool has_key(const struct usage_delta *sum, const struct usage_delta *key)
{
    return sum->slot_ns == key->slot_ns && sum->account == key->account && sum->wan == key->wan &&
           sum->direction == key->direction && sum->class_index == key->class_index &&
           sum->cause == key->cause && sum->seal == key->seal;
}

static uint32_t hash_of(const struct usage_delta *key)
{
    uint64_t hash = (uint64_t)(key->slot_ns / slot_ns_length);
    hash = (hash << 32 ^ (uint64_t)key->account << 16 ^ key->wan) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= (uint64_t)key->cause << 16 | (uint64_t)key->direction << 8 | key->class_index;
    return (uint32_t)((hash * UINT64_C(0xff51afd7ed558ccd)) >> 40);
}

static struct usage_delta *find_or_add(struct meter *meter, const struct usage_delta *key)
{
    uint32_t place = hash_of(key) % PLACES;
    while (meter->places[place] != PLACE_EMPTY) {
        struct usage_delta *sum = &meter->sums[meter->places[place] - 1];
        if (has_key(sum, key))
            return sum;
        place = (place + 1) % PLACES;
    }
    assert(meter->n_sums < KEYS_MAX); /* the caller asks meter_is_full() after every packet */
    meter->sums[meter->n_sums] = *key;
    meter->taken[meter->n_sums] = place;
    meter->places[place] = ++meter->n_sums;
    return &meter->sums[meter->n_sums - 1];
}

/* Asked for each packet, and nearly always with the answer of the one before. */
static int32_t seal_in(struct meter *meter, int64_t slot_ns, int64_t clock_ns)
{
    if (slot_ns != meter->seal.slot_ns || clock_ns >= meter->seal.until_ns) {
        meter->seal.slot_ns = slot_ns;
        meter->seal.until_ns = seal_next_ns(clock_ns);
        meter->seal.number = seal_for(slot_ns, clock_ns);
    }
    return meter->seal.number;
}

static bool is_last(const struct meter *meter, const struct key *key)
{
    return meter->last && meter->last_key.slot_ns == key->slot_ns &&
           meter->last_key.others == key->others && meter->last_key.seal == key->seal;
}

static struct usage_delta *find_sum(struct meter *meter, const struct key *known,
                                    const struct packet *packet, const struct charge *charge)
{
    struct usage_delta key = {
        .slot_ns = known->slot_ns,
        .seal = known->seal,
        .account = charge->account,
        .wan = charge->wan,
        .direction = packet->direction,
        .class_index = charge->class_index,
        .cause = packet->malformed_cause,
    };
    meter->last_key = *known;
    meter->last = find_or_add(meter, &key);
    return meter->last;
}

void meter_add(struct meter *meter, const struct packet *packet, const struct charge *charge)
{
    int64_t slot_ns = slot_of(packet->time_ns);
    struct key key = {
        .slot_ns = slot_ns,
        .others = charge->account | (uint64_t)charge->wan << 16 |
                  (uint64_t)packet->direction << 32 | (uint64_t)charge->class_index << 40 |
                  (uint64_t)packet->malformed_cause << 48,
        .seal = seal_in(meter, slot_ns, charge->clock_ns),
    };
    struct usage_delta *sum =
        is_last(meter, &key) ? meter->last : find_sum(meter, &key, packet, charge);
    sum->packets++;
    sum->l2_bytes += packet->l2_bytes;
    sum->l3_bytes += packet->l3_bytes;
    sum->billed_bytes += charge->billed_bytes;
}

bool meter_is_full(const struct meter *meter)
{
    return meter->n_sums == KEYS_MAX;
}

void meter_take(struct meter *meter, usage_fn on_usage, void *state)
{
    for (uint32_t i = 0; i < meter->n_sums; i++) {
        on_usage(state, &meter->sums[i]);
        meter->places[meter->taken[i]] = PLACE_EMPTY;
    }
    meter->n_sums = 0;
    meter->last = NULL;
}
