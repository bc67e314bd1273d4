/* flow_change: what somebody changes of connections: "ct update …", "ct delete …", "ct flush …".
 *
 *     flow_table_change(flows, &names, &change, &result);
 *
 *     ct update FILTER… set-mark=V[/M] set-label=V[/M]|+NAME|-NAME …     masked writes
 *     ct delete FILTER…                                                  ends, reason 'deleted'
 *     ct flush [zone=N]
 *
 * FILTER: tracker/connection_filter.h. result->count: the connections of this shard it was done to;
 * none: ENOENT, but of a flush. Entries that are only a shadow here change as well, for what they
 * expect depends on them, and are not counted.
 *
 * A deleted connection's time is over at the change's place in packet time; as with a timeout it
 * does not matter when that is noticed, so a flush of a full table costs no packet its place. */
#ifndef WANMETER_TRACKER_FLOW_CHANGE_H
#define WANMETER_TRACKER_FLOW_CHANGE_H

#include "proto/change.h"
#include "tracker/connection_filter.h"
#include "tracker/flow.h"

void flow_table_change(struct flow_table *flows, const struct connection_names *names,
                       const struct change *change, struct change_result *result);

#endif
