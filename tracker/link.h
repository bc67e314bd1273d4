/* link: what a WAN charges for a packet: its overhead model, after what the link's ends compress,
 * and of each segment where offloading made one packet of several.
 *
 *     link_table_create(&config, &links);
 *     link_table_charge(links, &packet, &flow, &charge);     each packet, in the streams' order
 *     link_table_observe(links, &packet);                    one whose home is another shard
 *     link_table_destroy(links);
 *
 * A model may cost parts of a byte ("ptm-exact-…", 65/64): these are carried from packet to packet
 * of a flow's direction, so that each flow's bill is the whole bytes of its exact cost. A packet of
 * no flow costs whole bytes.
 *
 * A link that compresses TCP/IP headers (model "vj+…") remembers the headers of all connections
 * that use it, in the order of its packets. So every shard is shown all of its TCP packets: those
 * at home elsewhere as copies (PACKET_LINK), at their place among the others. Then each shard's
 * state is the link's, whatever the shards and workers. Not thread-safe. */
#ifndef WANMETER_TRACKER_LINK_H
#define WANMETER_TRACKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"
#include "tracker/memory.h"

struct link_table;

/* What the packet's flow knows. */
struct link_flow {
    uint32_t n_before;     /* packets of this direction before */
    uint16_t receiver_mss; /* that the receiver has said, in TCP's option; 0: not seen */
    uint8_t *rest_64ths;   /* of a byte that its packets of this direction have cost so far, below
                              the bytes billed; kept up to date; NULL: none */
};

struct link_charge {
    uint64_t billed_bytes;
    bool is_merged; /* longer than the link or the receiver takes: billed as what it was made of */
};

/* 0, -ENOMEM, or -EINVAL: a WAN's overhead model is not known. 'config' is kept, not copied. */
int link_table_create(const struct config *config, struct link_table **out);
void link_table_destroy(struct link_table *links); /* accepts NULL */

/* Whether what the packet costs depends on what its flow has sent before: n_before, rest_64ths. */
bool link_table_remembers(const struct link_table *links, const struct packet *packet);

/* True: the link's model alone decides, as it does for nearly all packets, and '*billed_bytes' is
 * set. False: ask link_table_charge(). 'receiver_mss' as in struct link_flow. */
bool link_table_charge_plain(struct link_table *links, const struct packet *packet,
                             uint16_t receiver_mss, uint64_t *billed_bytes);

/* 'flow' NULL: a packet of no flow. */
void link_table_charge(struct link_table *links, const struct packet *packet,
                       const struct link_flow *flow, struct link_charge *charge);

/* For a tracker's successor: what links remember of packets. False: it is of other links. */
void link_table_write(const struct link_table *links, struct memory *memory);
bool link_table_read(struct link_table *links, struct memory_reader *reader);

/* A packet with PACKET_LINK: nothing is charged for it here. */
void link_table_observe(struct link_table *links, const struct packet *packet);

#endif
