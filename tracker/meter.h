/* meter: what each WAN charges, summed per slot, account, WAN, direction and class until the next
 * commit point.
 *
 *     meter_create(&config, &meter);
 *     billed = meter_billed_bytes(meter, &packet);
 *     meter_add(meter, &packet, &charge);
 *     meter_take(meter, on_usage, state);               every sum, once; then they are zero
 *     meter_destroy(meter);
 *
 * Grows with the number of different keys between two commit points; meter_is_full() asks for one.
 * Not thread-safe. */
#ifndef WANMETER_TRACKER_METER_H
#define WANMETER_TRACKER_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"
#include "proto/record.h"

struct meter;

/* To whom a packet is charged. */
struct charge {
    uint16_t account;
    uint16_t wan;
    uint8_t class_index;
    uint64_t billed_bytes;
};

typedef void (*usage_fn)(void *state, const struct usage_delta *delta);

/* 0, -ENOMEM, or -EINVAL: a WAN's overhead model is not known. 'config' is kept, not copied. */
int meter_create(const struct config *config, struct meter **out);
void meter_destroy(struct meter *meter); /* accepts NULL */

/* What the packet costs on 'wan' by its model. */
uint64_t meter_billed_bytes(const struct meter *meter, const struct packet *packet, uint16_t wan);

void meter_add(struct meter *meter, const struct packet *packet, const struct charge *charge);

bool meter_is_full(const struct meter *meter);
void meter_take(struct meter *meter, usage_fn on_usage, void *state);

#endif
