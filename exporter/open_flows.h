/* open_flows: the flows whose last record is an interim one, by id: where that record is.
 *
 *     open_flows_create(&open);
 *     open_flows_put(open, &(struct open_flow){id, record_id, shard});   an interim record
 *     open_flows_remove(open, id);                                       a final one
 *     for (i = 0; i < open_flows_room(open); i++) … open_flows_at(open, i)
 *     open_flows_destroy(open);
 *
 * 24 bytes a flow, in a hash table that is at most half full: only flows that live longer than the
 * interim interval are ever in it. Not thread-safe. */
#ifndef WANMETER_EXPORTER_OPEN_FLOWS_H
#define WANMETER_EXPORTER_OPEN_FLOWS_H

#include <stddef.h>
#include <stdint.h>

struct open_flows;

struct open_flow {
    uint64_t id;
    int64_t record_id; /* above 0 */
    uint32_t shard;
};

/* 0 or -ENOMEM. */
int open_flows_create(struct open_flows **out);
void open_flows_destroy(struct open_flows *open); /* accepts NULL */

/* Adds it, or puts it in the place of the one with its id. 0 or -ENOMEM. */
int open_flows_put(struct open_flows *open, const struct open_flow *flow);
void open_flows_remove(struct open_flows *open, uint64_t id); /* nothing, if it is not there */
void open_flows_clear(struct open_flows *open);

/* It will be asked for: the table is larger than the caches, and several are fetched at once. */
void open_flows_prefetch(const struct open_flows *open, uint64_t id);

/* Places 0 to open_flows_room() - 1: a flow each, or NULL. */
size_t open_flows_room(const struct open_flows *open);
const struct open_flow *open_flows_at(const struct open_flows *open, size_t place);

#endif
