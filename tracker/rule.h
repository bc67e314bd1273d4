/* rule: what the configuration's rules say of a packet that begins a connection.
 *
 *     rule_table_create(&config, &rules);                     NULL where there are none
 *     if (rule_table_match(rules, &packet, RULE_NEW, &outcome)) …
 *     rule_table_destroy(rules);
 *
 * All rules that match count, in order: of a mark's and the labels' bits, of the account, the
 * class, the helper and the policy the last that says something. Where rules match and none says
 * 'commit', there is only a look-up: the packet makes no connection. Rules with zone= and notrack
 * have worked in the capture (capture/zone_rule.h), on every packet; what else such a rule says is
 * for the packets that are in its zone now. Not thread-safe. */
#ifndef WANMETER_TRACKER_RULE_H
#define WANMETER_TRACKER_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/ct_action.h"
#include "proto/packet.h"

struct rule_table;

/* 'config' is kept, not copied: it was checked. 0 or -errno; '*out' NULL: no rules. */
int rule_table_create(const struct config *config, struct rule_table **out);
void rule_table_destroy(struct rule_table *rules); /* accepts NULL */

/* When rules run: at a connection's first packet, or (with 'state: reply') at its first reply. */
enum rule_moment { RULE_NEW, RULE_RELATED, RULE_REPLY };

/* False: no rule matches. 'outcome' has the attributes of all that match; its mark and labels are
 * to be written with their masks. */
bool rule_table_match(const struct rule_table *rules, const struct packet *packet,
                      enum rule_moment moment, struct ct_action *outcome);

/* The policies' names that rules give ("timeout="), one after the other; NULL: no more. */
const char *rule_table_timeout(const struct rule_table *rules, size_t i);

#endif
