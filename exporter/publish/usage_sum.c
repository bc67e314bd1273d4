#include "exporter/publish/usage_sum.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_AT_START = 256 };

static bool has_key_of(const struct usage_delta *a, const struct usage_delta *b)
{
    return a->slot_ns == b->slot_ns && a->account == b->account && a->wan == b->wan &&
           a->direction == b->direction && a->class_index == b->class_index && a->cause == b->cause;
}

/* Keys come from our own trackers: spread is enough, secrecy is not needed. */
static uint64_t hash_of(const struct usage_delta *delta)
{
    uint64_t key = (uint64_t)delta->slot_ns;
    key ^= (uint64_t)delta->account << 48 | (uint64_t)delta->wan << 32 |
           (uint64_t)delta->cause << 16 | (uint64_t)delta->direction << 8 | delta->class_index;
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 32;
}

/* The slot with this key, or the free one where it belongs. */
static uint32_t *find_slot(const struct usage_sum *sum, const struct usage_delta *delta)
{
    size_t mask = sum->n_slots - 1;
    size_t i = (size_t)hash_of(delta) & mask;
    while (sum->slots[i] != 0 && !has_key_of(&sum->deltas[sum->slots[i] - 1], delta))
        i = (i + 1) & mask;
    return &sum->slots[i];
}

static int grow(struct usage_sum *sum)
{
    size_t room = sum->room ? 2 * sum->room : ROOM_AT_START;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    struct usage_delta *deltas = reallocarray(sum->deltas, room, sizeof *deltas);
    if (!deltas) {
        free(slots);
        return -ENOMEM;
    }
    free(sum->slots);
    sum->deltas = deltas;
    sum->room = room;
    sum->slots = slots;
    sum->n_slots = 2 * room;
    for (size_t i = 0; i < sum->n; i++)
        *find_slot(sum, &deltas[i]) = (uint32_t)i + 1;
    return 0;
}

int usage_sum_add(struct usage_sum *sum, const struct usage_delta *delta)
{
    if (sum->n == sum->room && grow(sum) < 0)
        return -ENOMEM;
    uint32_t *slot = find_slot(sum, delta);
    if (*slot == 0) {
        sum->deltas[sum->n++] = *delta;
        *slot = (uint32_t)sum->n;
        return 0;
    }
    struct usage_delta *total = &sum->deltas[*slot - 1];
    total->packets += delta->packets;
    total->l2_bytes += delta->l2_bytes;
    total->l3_bytes += delta->l3_bytes;
    total->billed_bytes += delta->billed_bytes;
    return 0;
}

void usage_sum_clear(struct usage_sum *sum)
{
    if (sum->n > 0)
        memset(sum->slots, 0, sum->n_slots * sizeof *sum->slots);
    sum->n = 0;
}

void usage_sum_deinit(struct usage_sum *sum)
{
    free(sum->deltas);
    free(sum->slots);
    *sum = (struct usage_sum){0};
}
