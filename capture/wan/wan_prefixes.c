#include "capture/wan/wan_prefixes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct prefix6 {
    uint64_t network[2];
    uint64_t mask[2];
};

static void set_mask(uint8_t *mask, unsigned length)
{
    for (unsigned i = 0; i < length; i++)
        mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

int wan_prefixes_create(const struct config_prefix *items, size_t n, struct wan_prefixes *prefixes)
{
    *prefixes = (struct wan_prefixes){0};
    if (!n)
        return 0;
    prefixes->v4 = calloc(n, sizeof *prefixes->v4);
    prefixes->v6 = calloc(n, sizeof *prefixes->v6);
    if (!prefixes->v4 || !prefixes->v6)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (items[i].family == 4) {
            struct prefix4 *prefix = &prefixes->v4[prefixes->n4++];
            memcpy(&prefix->network, items[i].address, sizeof prefix->network);
            set_mask((uint8_t *)&prefix->mask, items[i].length);
        } else {
            struct prefix6 *prefix = &prefixes->v6[prefixes->n6++];
            memcpy(prefix->network, items[i].address, sizeof prefix->network);
            set_mask((uint8_t *)prefix->mask, items[i].length);
        }
    }
    return 0;
}

static bool has6(const struct wan_prefixes *prefixes, const uint8_t *bytes)
{
    uint64_t address[2];
    memcpy(address, bytes, sizeof address);
    for (size_t i = 0; i < prefixes->n6; i++) {
        const struct prefix6 *prefix = &prefixes->v6[i];
        if ((address[0] & prefix->mask[0]) == prefix->network[0] &&
            (address[1] & prefix->mask[1]) == prefix->network[1])
            return true;
    }
    return false;
}

unsigned wan_prefixes_inside6(const struct wan_prefixes *prefixes, const struct packet *packet)
{
    unsigned inside = has6(prefixes, packet->source_address) ? SOURCE_IS_INSIDE : 0;
    return inside | (has6(prefixes, packet->destination_address) ? DESTINATION_IS_INSIDE : 0);
}

void wan_prefixes_destroy(struct wan_prefixes *prefixes)
{
    free(prefixes->v4);
    free(prefixes->v6);
    *prefixes = (struct wan_prefixes){0};
}
