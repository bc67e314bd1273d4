#include "tracker/duplicate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MIN = 1024 };

struct seen {
    uint64_t fingerprint; /* 0: a free place */
    int64_t clock_ns;
};

/* Those of one stretch of the clock: open addressing, at most half full. */
struct stretch {
    struct seen *places;
    size_t n_places; /* a power of 2 */
    size_t n;
};

struct duplicate_table {
    int64_t window_ns;
    int64_t since_ns;            /* where the stretch under way began */
    int64_t clock_ns;            /* of the last packet */
    struct stretch stretches[2]; /* the one under way, and the one before */
};

int duplicate_table_create(int64_t window_ns, struct duplicate_table **out)
{
    struct duplicate_table *duplicates = calloc(1, sizeof *duplicates);
    if (!duplicates)
        return -ENOMEM;
    duplicates->window_ns = window_ns;
    duplicates->since_ns = duplicates->clock_ns = INT64_MIN;
    for (int i = 0; i < 2; i++) {
        struct stretch *stretch = &duplicates->stretches[i];
        stretch->places = calloc(PLACES_MIN, sizeof *stretch->places);
        stretch->n_places = PLACES_MIN;
        if (!stretch->places) {
            duplicate_table_destroy(duplicates);
            return -ENOMEM;
        }
    }
    *out = duplicates;
    return 0;
}

void duplicate_table_destroy(struct duplicate_table *duplicates)
{
    if (!duplicates)
        return;
    free(duplicates->stretches[0].places);
    free(duplicates->stretches[1].places);
    free(duplicates);
}

/* The fingerprint's place, or the free one where it would be. */
static struct seen *find(const struct stretch *stretch, uint64_t fingerprint)
{
    size_t place = fingerprint & (stretch->n_places - 1);
    while (stretch->places[place].fingerprint && stretch->places[place].fingerprint != fingerprint)
        place = (place + 1) & (stretch->n_places - 1);
    return &stretch->places[place];
}

/* False: no memory for more, or as many as there may be. */
static bool grow(struct stretch *stretch)
{
    assert(stretch->n_places > 0);
    struct stretch larger = {.n_places = stretch->n_places * 2, .n = stretch->n};
    if (stretch->n >= DUPLICATE_PACKETS_MAX)
        return false;
    larger.places = calloc(larger.n_places, sizeof *larger.places);
    if (!larger.places)
        return false;
    for (size_t i = 0; i < stretch->n_places; i++)
        if (stretch->places[i].fingerprint)
            *find(&larger, stretch->places[i].fingerprint) = stretch->places[i];
    free(stretch->places);
    *stretch = larger;
    return true;
}

static void remember(struct stretch *stretch, uint64_t fingerprint, int64_t clock_ns)
{
    if (stretch->n * 2 >= stretch->n_places && !grow(stretch))
        return;
    struct seen *seen = find(stretch, fingerprint);
    stretch->n += seen->fingerprint == 0;
    *seen = (struct seen){fingerprint, clock_ns};
}

static void clear(struct stretch *stretch)
{
    if (stretch->n)
        memset(stretch->places, 0, stretch->n_places * sizeof *stretch->places);
    stretch->n = 0;
}

/* Begins another stretch when the one under way is as long as the window. */
static void turn(struct duplicate_table *duplicates, int64_t clock_ns)
{
    if (duplicates->since_ns != INT64_MIN &&
        clock_ns - duplicates->since_ns <= duplicates->window_ns)
        return;
    struct stretch before = duplicates->stretches[1];
    duplicates->stretches[1] = duplicates->stretches[0];
    duplicates->stretches[0] = before;
    clear(&duplicates->stretches[0]);
    duplicates->since_ns = clock_ns;
}

bool duplicate_table_has(struct duplicate_table *duplicates, uint64_t fingerprint, int64_t clock_ns)
{
    turn(duplicates, clock_ns);
    duplicates->clock_ns = clock_ns;
    for (int i = 0; i < 2; i++) {
        const struct seen *seen = find(&duplicates->stretches[i], fingerprint);
        if (seen->fingerprint && clock_ns - seen->clock_ns <= duplicates->window_ns)
            return true;
    }
    remember(&duplicates->stretches[0], fingerprint, clock_ns);
    return false;
}

/* ---- from one tracker to the next ---- */

static bool is_within(const struct duplicate_table *duplicates, const struct seen *seen)
{
    return seen->fingerprint && duplicates->clock_ns - seen->clock_ns <= duplicates->window_ns;
}

/* A free place ends them. */
void duplicate_table_write(const struct duplicate_table *duplicates, struct memory *memory)
{
    const struct seen end = {0};
    size_t n = 0;
    if (!duplicates)
        return;
    memory_put(memory, &duplicates->since_ns, sizeof duplicates->since_ns);
    for (int i = 0; i < 2; i++) {
        const struct stretch *stretch = &duplicates->stretches[i];
        for (size_t k = 0; stretch->n && k < stretch->n_places && n < DUPLICATE_TOLD_MAX; k++) {
            if (!is_within(duplicates, &stretch->places[k]))
                continue;
            memory_put(memory, &stretch->places[k], sizeof stretch->places[k]);
            n++;
        }
    }
    memory_put(memory, &end, sizeof end);
}

/* All are of the stretch under way now: what is too old by then is no copy's first. */
bool duplicate_table_read(struct duplicate_table *duplicates, struct memory_reader *reader)
{
    struct seen seen;
    if (!duplicates)
        return true;
    if (!memory_get(reader, &duplicates->since_ns, sizeof duplicates->since_ns))
        return false;
    while (memory_get(reader, &seen, sizeof seen)) {
        if (!seen.fingerprint)
            return true;
        remember(&duplicates->stretches[0], seen.fingerprint, seen.clock_ns);
    }
    return false;
}
