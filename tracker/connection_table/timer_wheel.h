/* timer_wheel: one timer for each entry of a slab, in packet time.
 *
 *     timer_wheel_init(&wheel, slab);
 *     timer_wheel_set(&wheel, connection);        its times were set (connection_due_ns())
 *     while ((connection = timer_wheel_due(&wheel, now_ns))) …        exactly those <= now_ns
 *     timer_wheel_deinit(&wheel);
 *
 * Time is in ticks of 4,096 ns. Seven levels of 256 buckets, one for each byte of a tick's 52 bits:
 * an entry lies at the level of the highest byte in which its tick differs from the wheel's, in the
 * bucket of that byte's value. When the wheel reaches a bucket's first tick its references move to
 * lower levels; a bucket that lies wholly in the past is due as it is. Of the tick under way, those
 * that are not due yet wait apart, with the first instant at which one of them is. Empty time costs
 * nothing, be it years.
 *
 * Buckets hold references (32-bit places), not links. Setting a timer later touches only the entry:
 * the wheel finds out when it comes by, and files the entry anew. Setting it earlier
 * leaves a stale reference behind, which is dropped when it is reached; so an entry's first
 * reference is for 30 s ahead at most, before which few timers are set. References are bounded:
 * past two for each entry all are dropped and each timer filed once.
 *
 * In an entry: connection_due_ns(), when it is due; 'filed', the low 32 bits of the tick for which
 * the wheel has its reference, not after that. So none is filed for more than 2^30 ticks (73
 * minutes) ahead; the wheel comes by in time, and where it has not been asked for longer than that,
 * it files all anew. 'filed' belongs to the place and survives a removal, so that a place taken
 * again uses the reference that is still there.
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

enum {
    WHEEL_LEVELS = 7,
    WHEEL_BUCKETS = 256,
    WHEEL_CHUNK_REFERENCES = 15,
    WHEEL_TICK_BITS = 12 /* of a time's 64: within a tick */
};

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

    uint64_t now; /* tick up to which references were looked at */

    /* Instants: nanoseconds with the sign bit flipped, so unsigned. */
    uint64_t asked;         /* the largest that was asked for */
    uint64_t next;          /* nothing is due before */
    uint64_t soon_next;     /* nor any of 'soon' */
    struct wheel_list due;  /* references that are to be looked at now */
    struct wheel_list soon; /* whose ticks are not after 'now', but they were not due yet */
    struct wheel_list levels[WHEEL_LEVELS][WHEEL_BUCKETS];
    uint64_t occupied[WHEEL_LEVELS][WHEEL_BUCKETS / 64]; /* a bit a bucket */
};

/* 0 or -ENOMEM. */
int timer_wheel_init(struct timer_wheel *wheel, const struct connection_slab *slab);
void timer_wheel_deinit(struct timer_wheel *wheel); /* safe on a zeroed wheel */

static inline uint64_t timer_wheel_time(int64_t at_ns)
{
    return (uint64_t)at_ns ^ (UINT64_C(1) << 63);
}

static inline uint64_t timer_wheel_tick(int64_t at_ns)
{
    return timer_wheel_time(at_ns) >> WHEEL_TICK_BITS;
}

/* The tick for which the entry has a reference; UINT64_MAX: none. It is less than 2^31 ticks from
 * the wheel's. */
static inline uint64_t timer_wheel_filed(const struct timer_wheel *wheel,
                                         const struct connection *connection)
{
    if (connection->filed == CONNECTION_NOT_FILED)
        return UINT64_MAX;
    int32_t ahead = (int32_t)(connection->filed - (uint32_t)wheel->now);
    return wheel->now + (uint64_t)(int64_t)ahead;
}

/* The wheel has no reference that is early enough, or one in the tick under way. */
void timer_wheel_set_earlier(struct timer_wheel *wheel, struct connection *connection);

/* For each packet: as a rule the timer is later than before, and there is nothing to do. */
static inline void timer_wheel_set(struct timer_wheel *wheel, struct connection *connection)
{
    uint64_t tick = timer_wheel_tick(connection_due_ns(connection));
    if (tick <= wheel->now || tick < timer_wheel_filed(wheel, connection))
        timer_wheel_set_earlier(wheel, connection);
}

/* False: timer_wheel_due() would find none. Asked for each packet. */
bool timer_wheel_may_be_due(const struct timer_wheel *wheel, int64_t now_ns);

/* See connection_table_due(). */
struct connection *timer_wheel_due(struct timer_wheel *wheel, int64_t now_ns);

#endif
