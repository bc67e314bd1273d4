/* rule_check: what only libpcap and the packets' classes can say of the configuration's rules and
 * WANs.
 *
 *     config_check(&config, &errors);
 *     rule_check(&config, &errors);
 *
 * A WAN's 'filter' compiles for Ethernet. A rule's 'match' compiles and takes packets of IPv4 or
 * IPv6; a helper, or a policy of timeouts, is of a protocol and family that the match may have; a
 * class has no name of wanmeter's own. */
#ifndef WANMETER_PROTO_RULE_CHECK_H
#define WANMETER_PROTO_RULE_CHECK_H

#include "common/config.h"

void rule_check(const struct config *config, struct config_errors *errors);

#endif
