/* wan_table: what the configuration says of WANs, compiled for the look-up of a frame.
 *
 *     wan_compile.c makes it, wan.c looks frames up in it.
 *
 * Within wan only: everybody else uses wan.h. */
#ifndef WANMETER_CAPTURE_WAN_TABLE_H
#define WANMETER_CAPTURE_WAN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "capture/wan.h"
#include "capture/wan/pppoe_sessions.h"
#include "capture/wan/wan_index.h"
#include "capture/wan/wan_prefixes.h"
#include "proto/filter.h"

/* A match of a WAN, in the order of the file over all WANs. */
struct wan_rule {
    const struct config_wan_match *match;
    struct wan_prefixes local;
    struct frame_filter *filter; /* NULL: none */
    int32_t zone;
    uint16_t wan;
    uint8_t number;     /* among its WAN's, from 0; WAN_MATCH_MAX: that or a later one */
    uint8_t direction;  /* DIRECTION_NONE: to be found out */
    bool has_link_keys; /* of the match: anything but prefixes and a filter */
};

struct wan_source_rule {
    const char *interface;
    int32_t zone;
    uint8_t direction;
};

struct wan_table {
    struct wan_rule *rules;
    size_t n_rules;
    struct wan_index rule_index; /* each rule under its first exact key */
    uint32_t *keyless;           /* rules without one, in order */
    size_t n_keyless;
    struct wan_source_rule *sources;
    size_t n_sources;
    struct wan_index source_index;
    struct wan_index account_index;
    struct wan_prefixes local;
    uint16_t zone;
    struct pppoe_sessions *sessions; /* NULL: none of the matches asks */
    bool closes_sessions;
    bool needs_interface; /* some key is of the kind */
    bool needs_macs;
    bool is_by_prefixes;   /* rules have prefixes and nothing else, or there are none, and no
                              account has a key: of the frame only addresses and interface count */
    const char *interface; /* the last frame's, and what was found for it */
    uint64_t interface_hash;
    const struct wan_source_rule *source;
};

/* In two loads: six bytes copied into a number and read back as eight make the processor wait. */
static inline uint64_t wan_mac_value(const uint8_t *bytes)
{
    uint32_t first;
    uint16_t last;
    memcpy(&first, bytes, sizeof first);
    memcpy(&last, bytes + sizeof first, sizeof last);
    return first | (uint64_t)last << 32;
}

/* FNV-1a: names are short. */
static inline uint64_t wan_name_value(const char *name)
{
    uint32_t hash = 2166136261;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619;
    return hash;
}

#endif
