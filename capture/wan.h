/* wan: which WAN a packet used, which way it went, and which zone and account its link layer says.
 *
 *     wan_table_create(&config, &table);
 *     wan_table_apply(table, &frame, &layers, &packet);      sets wan, direction, zone, l2_account
 *     wan_table_destroy(table);
 *
 * The WANs are tried in the order of the file, their matches in order; the first that holds wins.
 * In a match every key that is set must hold: interface, vlan, inner_vlan, pppoe_session,
 * mpls_label as equal; gateway_macs: one of them is the frame's source or destination;
 * pppoe_concentrators: the frame is of a PPPoE session that one of them has opened, as its PADS
 * said (and no PADT since); local_prefixes: exactly one of the addresses is inside; filter: the
 * pcap-filter expression takes the frame as captured (mirror carriers and all). None: WAN 0, still
 * counted. Direction, first that decides: the WAN's or the source's fixed direction; destination
 * MAC is a gateway's: up, source MAC: down; source inside the match's local prefixes and
 * destination outside: up, the reverse: down; the same by the top-level local_prefixes; else none.
 * A packet without WAN has its direction by the source's or the top-level prefixes.
 *
 * The zone is the WAN's, else that of the configured source whose interface the frame has (live, or
 * by name in a capture), else the configuration's. l2_account is the first account, in the order of
 * the file, that names the frame's source or destination MAC, its outermost VLAN or its PPPoE
 * session. Frames that are not IP get all of this too, by their link layer.
 *
 * A frame is looked up by its keys (wan_index.h), not tried against each WAN: the cost grows only
 * with the matches that share a key, and with those that have nothing but prefixes; where no match
 * and no account has a key, none is looked up. A frame whose interface is named at the same place
 * as the last one's is of the same interface. Not thread-safe. */
#ifndef WANMETER_CAPTURE_WAN_H
#define WANMETER_CAPTURE_WAN_H

#include "capture/decode.h"
#include "capture/frame.h"
#include "common/config.h"
#include "proto/packet.h"

struct wan_table;

/* 'config' is kept, not copied. 0 or -ENOMEM. */
int wan_table_create(const struct config *config, struct wan_table **out);
void wan_table_destroy(struct wan_table *table);

void wan_table_apply(struct wan_table *table, const struct frame *frame,
                     const struct layers *layers, struct packet *packet);

#endif
