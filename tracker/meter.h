/* meter: what the WANs charge (tracker/link.h), summed per slot, account, WAN, direction and class
 * until the next commit point.
 *
 *     meter_create(&meter);
 *     meter_add(meter, &packet, &charge);
 *     meter_take(meter, on_usage, state);               every sum, once; then they are zero
 *     meter_destroy(meter);
 *
 * Grows with the number of different keys between two commit points; meter_is_full() asks for one,
 * and is itself asked once in METER_SPARE packets. Not thread-safe. */
#ifndef WANMETER_TRACKER_METER_H
#define WANMETER_TRACKER_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/packet.h"
#include "proto/record.h"

struct meter;

enum { METER_SPARE = 64 };

/* To whom a packet is charged. */
struct charge {
    uint16_t account;
    uint16_t wan;
    uint8_t class_index;
    uint64_t billed_bytes;
    int64_t clock_ns; /* the bill's: which seal it is in (proto/clock_step.h) */
};

typedef void (*usage_fn)(void *state, const struct usage_delta *delta);

/* 0 or -ENOMEM. */
int meter_create(struct meter **out);
void meter_destroy(struct meter *meter); /* accepts NULL */

void meter_add(struct meter *meter, const struct packet *packet, const struct charge *charge);

bool meter_is_full(const struct meter *meter);
void meter_take(struct meter *meter, usage_fn on_usage, void *state);

#endif
