#include "tracker/meter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/seal.h"

enum {
    KEYS_MAX = 1 << 15, /* between two commit points */
    PLACES = KEYS_MAX * 2,
    PLACE_EMPTY = 0,
    RECENT_BITS = 4,
};

static const int64_t slot_ns_length = SLOT_SECONDS * INT64_C(1000000000);

struct meter {
    struct usage_delta *sums; /* n_sums of them, in order of appearance */
    uint32_t *places;         /* open addressing: index into sums + 1 */
    uint32_t *taken;          /* by sum: its place */
    uint32_t n_sums;
    struct {
        int64_t slot_ns;
        int64_t until_ns; /* on the clock */
        int32_t number;
    } seal; /* of packets of that slot until then */
    /* Most packets are of one of few sums of that slot and seal. */
    struct recent {
        uint64_t others;         /* its key, but for slot and seal */
        struct usage_delta *sum; /* NULL: none */
    } recent[1 << RECENT_BITS];
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
    assert(meter->n_sums < KEYS_MAX); /* the caller asks meter_is_full() often enough */
    meter->sums[meter->n_sums] = *key;
    meter->taken[meter->n_sums] = place;
    meter->places[place] = ++meter->n_sums;
    return &meter->sums[meter->n_sums - 1];
}

/* Is 'seal' of the packet's slot and clock? Nearly always, which is found out without the division
 * that says in which slot a time is. */
static bool is_in_seal(const struct meter *meter, int64_t time_ns, int64_t clock_ns)
{
    uint64_t into_ns = (uint64_t)time_ns - (uint64_t)meter->seal.slot_ns;
    return into_ns < (uint64_t)slot_ns_length && clock_ns < meter->seal.until_ns;
}

static __attribute__((noinline)) void turn_seal(struct meter *meter, int64_t time_ns,
                                                int64_t clock_ns)
{
    meter->seal.slot_ns = slot_of(time_ns);
    meter->seal.until_ns = seal_next_ns(clock_ns);
    meter->seal.number = seal_for(meter->seal.slot_ns, clock_ns);
    memset(meter->recent, 0, sizeof meter->recent);
}

/* What tells sums apart but slot and seal, made in a register: bytes just stored one by one must
 * not be compared as a whole, which waits for them. */
static uint64_t others_of(const struct packet *packet, const struct charge *charge)
{
    return charge->account | (uint64_t)charge->wan << 16 | (uint64_t)packet->direction << 32 |
           (uint64_t)charge->class_index << 40 | (uint64_t)packet->malformed_cause << 48;
}

static __attribute__((noinline)) struct usage_delta *
look_up(struct meter *meter, const struct packet *packet, const struct charge *charge)
{
    struct usage_delta key = {
        .slot_ns = meter->seal.slot_ns,
        .seal = meter->seal.number,
        .account = charge->account,
        .wan = charge->wan,
        .direction = packet->direction,
        .class_index = charge->class_index,
        .cause = packet->malformed_cause,
    };
    return find_or_add(meter, &key);
}

static struct usage_delta *find_sum(struct meter *meter, const struct packet *packet,
                                    const struct charge *charge)
{
    uint64_t others = others_of(packet, charge);
    struct recent *recent =
        &meter->recent[others * UINT64_C(0x9e3779b97f4a7c15) >> (64 - RECENT_BITS)];
    if (!recent->sum || recent->others != others)
        *recent = (struct recent){others, look_up(meter, packet, charge)};
    return recent->sum;
}

void meter_add(struct meter *meter, const struct packet *packet, const struct charge *charge)
{
    if (!is_in_seal(meter, packet->time_ns, charge->clock_ns))
        turn_seal(meter, packet->time_ns, charge->clock_ns);
    struct usage_delta *sum = find_sum(meter, packet, charge);
    sum->packets++;
    sum->l2_bytes += packet->l2_bytes;
    sum->l3_bytes += packet->l3_bytes;
    sum->billed_bytes += charge->billed_bytes;
}

bool meter_is_full(const struct meter *meter)
{
    return meter->n_sums > KEYS_MAX - METER_SPARE;
}

void meter_take(struct meter *meter, usage_fn on_usage, void *state)
{
    for (uint32_t i = 0; i < meter->n_sums; i++) {
        on_usage(state, &meter->sums[i]);
        meter->places[meter->taken[i]] = PLACE_EMPTY;
    }
    meter->n_sums = 0;
    memset(meter->recent, 0, sizeof meter->recent);
}
