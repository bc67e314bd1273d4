/* helper: reads in the packets of a control connection which other connections it announces.
 *
 *     helper = helper_of(connection->extra->helper_number);
 *     helper->on_packet(&step);                  of each accepted packet, after its effect
 *
 * A module per protocol (tracker/helper/helper_*.c), pure but for the expectations it adds and what
 * it remembers in the connection's 'extra'. Payload is what the capture kept of it
 * (PACKET_PAYLOAD_MAX), is never trusted, and is not reassembled: what is split over packets is not
 * found, as in the kernel. Source: Linux nf_conntrack_ftp.c, _tftp.c, _irc.c, _sip.c, _pptp.c,
 * _amanda.c (6.18). */
#ifndef WANMETER_TRACKER_HELPER_H
#define WANMETER_TRACKER_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/helper_names.h"
#include "proto/packet.h"
#include "tracker/call_map.h"
#include "tracker/connection_table.h"
#include "tracker/expectation.h"

/* A packet of a control connection, and where what it announces goes. */
struct helper_step {
    const struct packet *packet;
    struct connection *connection; /* has an 'extra' */
    struct expectation_table *expectations;
    struct call_map *calls;
    unsigned direction;  /* FLOW_ORIGINAL or FLOW_REPLY */
    bool is_established; /* traffic both ways was seen before, or this is the first reply */
    int64_t timeout_ns;  /* out: the connection's own from now on; 0: as its protocol said */
    bool has_hung_up;    /* out: its calls' connections end */
};

struct helper {
    struct expectation_policy classes[EXPECTATION_CLASSES_MAX];
    void (*on_packet)(struct helper_step *step);
};

/* 'number': enum helper_number, not HELPER_NONE. */
const struct helper *helper_of(unsigned number);

/* Fills what every expectation of this packet has: the connection as master, zone, IP version,
 * source any, and as destination the packet's sender, at 'port'. */
struct expectation helper_expectation(const struct helper_step *step, uint8_t protocol,
                                      uint16_t port);

/* Lets it come only from the packet's receiver, at any port. */
void helper_expect_from_peer(const struct helper_step *step, struct expectation *expectation);

enum expectation_result helper_expect(struct helper_step *step,
                                      const struct expectation *expectation);

/* Takes a PPTP connection's calls out of the map; accepts one that has none there. */
void helper_forget_calls(struct call_map *calls, struct connection *master);

extern const struct helper helper_ftp, helper_tftp, helper_sip, helper_irc, helper_pptp,
    helper_amanda;

#endif
