/* call_map: of GRE packets of PPTP, which carry the receiver's call id only, the sender's.
 *
 *     call_map_create(n_max, &map);
 *     call_map_add(map, &call)              the call's two directions
 *     call_map_find(map, &key, &call)       of a packet
 *     call_map_remove(map, &call)           of a call that is over
 *     call_map_destroy(map);
 *
 * Not thread-safe. Source: Linux nf_conntrack_proto_gre.c, the key map. */
#ifndef WANMETER_TRACKER_CALL_MAP_H
#define WANMETER_TRACKER_CALL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracker/connection_table.h"

/* Whom packets of a direction of a call go to. */
struct call_key {
    uint8_t source_address[16];
    uint8_t destination_address[16];
    uint16_t call_id; /* the receiver's: the one in the packet */
    uint16_t zone;
    uint8_t ip_version;
    uint8_t unused[3]; /* 0: keys compare as bytes */
};

struct call {
    struct call_key key;
    uint16_t sender_call_id;
    struct connection *master; /* kept, not copied: remove the call before it goes */
    struct call *next;         /* the map's own */
};

struct call_map;

/* 0 or -ENOMEM. */
int call_map_create(size_t n_max, struct call_map **out);
void call_map_destroy(struct call_map *map); /* accepts NULL */

/* Copies 'call'; false: there are n_max. */
bool call_map_add(struct call_map *map, const struct call *call);

/* NULL: none. Valid until the map changes. */
const struct call *call_map_find(const struct call_map *map, const struct call_key *key);

/* Removes the one of this key and master, if there is one. */
void call_map_remove(struct call_map *map, const struct call_key *key,
                     const struct connection *master);

size_t call_map_count(const struct call_map *map);

#endif
