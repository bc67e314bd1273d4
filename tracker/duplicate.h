/* duplicate: whether a packet has been seen before: the copies that a mirror makes.
 *
 *     duplicate_table_create(window_ns, &duplicates);
 *     if (duplicate_table_has(duplicates, packet.fingerprint, packet.clock_ns)) …
 *     duplicate_table_destroy(duplicates);
 *
 * A packet is a copy when one with its fingerprint (capture/fingerprint.h) was first seen at most
 * the window before, on the stream's clock: the same for any number of shards and workers, as
 * copies have one tuple, and so one shard. What is sent again has another IP id, or comes later
 * than the window. Takes memory as there are packets within two windows, up to
 * DUPLICATE_PACKETS_MAX; beyond, packets are not remembered, and their copies are counted. Not
 * thread-safe. */
#ifndef WANMETER_TRACKER_DUPLICATE_H
#define WANMETER_TRACKER_DUPLICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tracker/memory.h"

enum { DUPLICATE_PACKETS_MAX = 1 << 21, DUPLICATE_TOLD_MAX = 1 << 16 };

struct duplicate_table;

/* 0 or -ENOMEM. */
int duplicate_table_create(int64_t window_ns, struct duplicate_table **out);
void duplicate_table_destroy(struct duplicate_table *duplicates); /* accepts NULL */

/* Whether it is a copy; if not, it is remembered. 'fingerprint' is not 0; 'clock_ns' never
 * decreases. */
bool duplicate_table_has(struct duplicate_table *duplicates, uint64_t fingerprint,
                         int64_t clock_ns);

/* For a tracker's successor: the packets within the window, at most DUPLICATE_TOLD_MAX, those of
 * the stretch under way first. Accept NULL: nothing. False: these are none. */
void duplicate_table_write(const struct duplicate_table *duplicates, struct memory *memory);
bool duplicate_table_read(struct duplicate_table *duplicates, struct memory_reader *reader);

#endif
