/* vj: what TCP/IP header compression leaves of a packet, on one link in one direction.
 *
 *     vj_init(&link, 16, true);
 *     bytes = vj_bytes(&link, header, header_bytes, l3_bytes);      each packet, in order
 *
 * The compressor's state is the link's: the headers of the connections sent last, one a slot, the
 * one used longest ago given away. So every packet of the link has to be shown, in the order in
 * which it was sent. What is not compressed (no TCP, a fragment, SYN, FIN, RST, no ACK, or a header
 * that is not all there) is as long as it was; so is a header that is sent whole, for the slot
 * takes the place of the protocol. What the receiver loses and the sender repeats is seen as
 * repeated. Source: RFC 1144, sections 3.2 and 3.3 and its appendix A. */
#ifndef WANMETER_TRACKER_VJ_H
#define WANMETER_TRACKER_VJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracker/memory.h"

enum { VJ_SLOTS_MIN = 2, VJ_SLOTS_MAX = 16, VJ_HEADER_MAX = 120 };

struct vj_slot {
    uint8_t header[VJ_HEADER_MAX]; /* IPv4 and TCP, as sent last */
    uint32_t length;               /* of that packet, header and all */
};

struct vj {
    struct vj_slot slots[VJ_SLOTS_MAX];
    uint8_t order[VJ_SLOTS_MAX]; /* slots, the one used last first */
    uint8_t n_slots;
    uint8_t n_used;
    uint8_t last_sent; /* the slot whose number need not be sent again */
    bool has_sent;
    bool compresses_id;
};

/* 'n_slots' is VJ_SLOTS_MIN to VJ_SLOTS_MAX; 'compresses_id': a slot's number is left out where it
 * is that of the packet before. */
void vj_init(struct vj *link, unsigned n_slots, bool compresses_id);

/* For who goes on with the link: all of its state. False: it is none of this link. */
void vj_write(const struct vj *link, struct memory *memory);
bool vj_read(struct vj *link, struct memory_reader *reader);

/* The packet's length after compression. 'header': its first bytes from the IP header on, as many
 * as there are. */
uint32_t vj_bytes(struct vj *link, const uint8_t *header, size_t header_bytes, uint32_t l3_bytes);

#endif
