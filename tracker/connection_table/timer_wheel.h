/* timer_wheel: one timer for each entry of a slab, in packet time.
 *
 *     timer_wheel_init(&wheel, slab);
 *     timer_wheel_set(&wheel, connection);        its times were set (connection_due_ns())
 *     while ((connection = timer_wheel_due(&wheel, now_ns))) …        exactly those <= now_ns
 *     timer_wheel_deinit(&wheel);
 *
 * Eight levels of 256 buckets, one for each byte of a 64-bit time: an entry lies at the level of
 * the highest byte in which its time differs from the wheel's, in the bucket of that byte's value.
 * When the wheel reaches a bucket's first instant its references move to lower levels; a bucket
 * that lies wholly in the past is due as it is. Empty time costs nothing, be it years.
 *
 * Buckets hold references (32-bit places), not links. Setting a timer later touches only the entry:
 * the wheel finds out when it comes by, and files the entry anew. Setting it earlier
 * leaves a stale reference behind, which is dropped when it is reached. References are bounded:
 * past two for each entry all are dropped and each timer filed once.
 *
 * In an entry: connection_due_ns(), when it is due; filed_ns, not after that, the instant for which
 * the wheel has its reference. filed_ns belongs to the place and survives a removal, so that a
 * place taken again uses the reference that is still there.
 *
 * Source: G. Varghese and A. Lauck, "Hashed and hierarchical timing wheels", SOSP 1987; the choice
 * of level by the highest differing digit is that of radix heaps (Ahuja et al., J. ACM 37(2),
 * 1990). Not thread-safe. */
#ifndef WANMETER_TRACKER_TIMER_WHEEL_H
#define WANMETER_TRACKER_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracker/connection_table.h"
#include "tracker/connection_table/connection_slab.h"

enum { WHEEL_LEVELS = 8, WHEEL_BUCKETS = 256, WHEEL_CHUNK_REFERENCES = 15 };

/* A cache line of references. Of a list, only the first chunk may have room left. */
struct wheel_chunk {
    uint32_t next; /* chunk + 1; 0: none */
    uint32_t places[WHEEL_CHUNK_REFERENCES];
};

struct wheel_list {
    uint32_t first; /* chunk + 1; 0: empty */
    uint32_t n_in_first;
};

struct timer_wheel {
    const struct connection_slab *slab; /* kept, not copied */
    struct wheel_chunk *chunks;
    size_t chunks_size;
    uint32_t chunks_free;    /* chunk + 1, linked by 'next' */
    uint32_t chunks_touched; /* those from here on were never used */
    uint64_t n_references;

    uint64_t now;  /* as all times in here: nanoseconds with the sign bit flipped, so unsigned */
    uint64_t next; /* nothing is due before */
    struct wheel_list due; /* references that are to be looked at now */
    struct wheel_list levels[WHEEL_LEVELS][WHEEL_BUCKETS];
    uint64_t occupied[WHEEL_LEVELS][WHEEL_BUCKETS / 64]; /* a bit a bucket */
};

/* 0 or -ENOMEM. */
int timer_wheel_init(struct timer_wheel *wheel, const struct connection_slab *slab);
void timer_wheel_deinit(struct timer_wheel *wheel); /* safe on a zeroed wheel */

void timer_wheel_set(struct timer_wheel *wheel, struct connection *connection);

/* False: timer_wheel_due() would find none. Asked for each packet. */
bool timer_wheel_may_be_due(const struct timer_wheel *wheel, int64_t now_ns);

/* See connection_table_due(). */
struct connection *timer_wheel_due(struct timer_wheel *wheel, int64_t now_ns);

#endif
