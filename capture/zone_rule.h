/* zone_rule: the rules that work on every packet before its connection is looked up: zone= and
 * notrack.
 *
 *     zone_rules_create(&config, &rules);                     NULL: there are none
 *     if (rules)
 *         zone_rules_apply(rules, &packet);                   once its ports are settled
 *     zone_rules_destroy(rules);
 *
 * As rules in netfilter's raw table, over the zone that the WAN or the interface gave: the first
 * zone= that matches gives the packet its zone, and after it neither another nor notrack has an
 * effect; a notrack before it gives way. Fragments have the ports of their first one by then, so
 * that a datagram is in one zone. Not thread-safe. Source: Linux nft_ct.c (a packet that has its
 * template is left alone); measured. */
#ifndef WANMETER_CAPTURE_ZONE_RULE_H
#define WANMETER_CAPTURE_ZONE_RULE_H

#include "common/config.h"
#include "proto/packet.h"

struct zone_rules;

/* 'config' was checked; it is not kept. 0 or -errno. */
int zone_rules_create(const struct config *config, struct zone_rules **out);
void zone_rules_destroy(struct zone_rules *rules); /* accepts NULL */

/* Sets the packet's zone, and PACKET_UNTRACKED. */
void zone_rules_apply(const struct zone_rules *rules, struct packet *packet);

#endif
