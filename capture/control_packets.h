/* control_packets: which packets may belong to a connection that a helper reads.
 *
 *     control_packets_create(&config, &control);               NULL: there are no helpers
 *     if (control && control_packets_has(control, &packet)) …
 *     control_packets_destroy(control);
 *
 * Those with a helper's port at either end, and those that a rule with helper= matches as they are
 * or turned round: every packet of a control connection, and others. A tracker decides, by the
 * connection's first packet. Their payload goes along, and a copy goes to every other shard, so
 * that each knows what is announced (docs/adr). Not thread-safe. */
#ifndef WANMETER_CAPTURE_CONTROL_PACKETS_H
#define WANMETER_CAPTURE_CONTROL_PACKETS_H

#include <stdbool.h>

#include "capture/decode.h"
#include "common/config.h"
#include "proto/packet.h"

struct control_packets;

/* 'config' was checked; it is not kept. 0 or -errno. */
int control_packets_create(const struct config *config, struct control_packets **out);
void control_packets_destroy(struct control_packets *control); /* accepts NULL */

/* 'packet': its ports are settled. */
bool control_packets_has(const struct control_packets *control, const struct packet *packet);

/* Whether it may be the first packet of a TCP connection that a control connection announced: a
 * SYN. Every shard has to know of it, so that what was expected is used up in all at once. */
bool control_packets_may_open(const struct packet *packet);

/* Lets the packet carry what follows its TCP or UDP header, up to PACKET_PAYLOAD_MAX; borrowed from
 * the frame. */
void control_packets_add_payload(const struct layers *layers, struct packet *packet);

#endif
