/* change_inlet: changes on their way into the packets' streams: asked for at RUN/change.sock, or
 * recorded before.
 *
 *     change_inlet_open(bus, &settings, &inlet);
 *     while (change_inlet_next(inlet, clock_ns, at_ns, &change)) …   before the stream's clock
 * moves change_inlet_is_waiting(inlet)                                 the clock should move on
 * soon change_inlet_close(inlet);
 *
 * A change that is asked for waits until the clock moves: its time is the clock's next value, and
 * it goes before the packet that brings it. So it is certain what was before it, and the same
 * packets and changes give the same again. A recorded one goes before the first packet whose clock
 * is its time or later; a restored one (of an earlier run) before all packets. Their order stays.
 *
 * Holds at most WAITING_MAX that wait; who asks for more gets EAGAIN. Not thread-safe. */
#ifndef WANMETER_CAPTURE_CHANGE_INLET_H
#define WANMETER_CAPTURE_CHANGE_INLET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "proto/change.h"

struct change_inlet;

struct change_inlet_settings {
    const char *endpoint; /* where to listen; NULL: nowhere. Borrowed for the call */
    const char *path;     /* recorded changes (proto/change_file.h); NULL: none */
    uint32_t n_shards;
};

/* 0 or -errno (what is wrong with the file is logged). */
int change_inlet_open(struct bus *bus, const struct change_inlet_settings *settings,
                      struct change_inlet **out);
void change_inlet_close(
    struct change_inlet *inlet); /* accepts NULL; the socket goes with the bus */

/* The next change for a stream whose clock moves from 'clock_ns' to 'next_ns', with its time set;
 * false: none. The change's descriptor has the clock '*at_ns'. */
bool change_inlet_next(struct change_inlet *inlet, int64_t clock_ns, int64_t next_ns,
                       struct change *change, int64_t *at_ns);

/* Can change_inlet_next() give nothing, whatever the clock is? */
bool change_inlet_is_empty(const struct change_inlet *inlet);

/* Has somebody asked for a change that waits for the clock? */
bool change_inlet_is_waiting(const struct change_inlet *inlet);

/* The time of the last recorded change that has not gone yet; INT64_MIN: none. */
int64_t change_inlet_end_ns(const struct change_inlet *inlet);

#endif
