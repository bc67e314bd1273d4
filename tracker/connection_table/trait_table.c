#include "tracker/connection_table/trait_table.h"

#include <stdbool.h>
#include <string.h>

#include "tracker/connection_table/mapping.h"

enum { VALUES_MAX = TRAITS_OWN, N_PLACES = 1 << 17, PLACE_BITS = 17 };

static const size_t values_size = VALUES_MAX * sizeof(struct connection_traits);
static const size_t places_size = N_PLACES * sizeof(uint16_t);

int trait_table_init(struct trait_table *table)
{
    void *memory;
    int result = mapping_create(values_size, &memory);
    if (result < 0)
        return result;
    table->values = memory;
    result = mapping_create(places_size, &memory);
    if (result < 0)
        return result;
    table->places = memory;
    table->n = 1;
    return 0;
}

void trait_table_deinit(struct trait_table *table)
{
    mapping_destroy(table->values, values_size);
    mapping_destroy(table->places, places_size);
}

/* Not keyed: values are the configuration's and its owner's. */
static uint32_t place_of(const struct connection_traits *traits)
{
    uint64_t words[sizeof *traits / 8];
    memcpy(words, traits, sizeof words);
    uint64_t hash = words[0] * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32 ^ words[1]) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 32 ^ words[2]) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(hash >> (64 - PLACE_BITS));
}

static bool is_equal(const struct connection_traits *a, const struct connection_traits *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

uint16_t trait_table_number(struct trait_table *table, const struct connection_traits *traits)
{
    if (is_equal(&table->values[table->last], traits))
        return table->last;
    if (is_equal(&table->values[TRAITS_NONE], traits))
        return TRAITS_NONE;
    uint32_t place = place_of(traits);
    for (; table->places[place]; place = (place + 1) % N_PLACES) {
        table->last = table->places[place];
        if (is_equal(&table->values[table->last], traits))
            return table->last;
    }
    if (table->n == VALUES_MAX)
        return TRAITS_OWN;
    table->last = (uint16_t)table->n++;
    table->values[table->last] = *traits;
    table->places[place] = table->last;
    return table->last;
}
