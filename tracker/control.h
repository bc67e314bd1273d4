/* control: what somebody asked to change, done where it belongs.
 *
 *     control_apply(&control, &change, &result);
 *
 * The first word names the module that does it: every shard does the same (proto/change.h). A word
 * that no module knows is EOPNOTSUPP, and says which there are. */
#ifndef WANMETER_TRACKER_CONTROL_H
#define WANMETER_TRACKER_CONTROL_H

#include "proto/change.h"
#include "tracker/connection_filter.h"
#include "tracker/flow.h"

/* Where changes and questions go; borrowed. */
struct control {
    struct flow_table *flows;
    struct connection_names names;
    uint32_t shard;
};

void control_apply(const struct control *control, const struct change *change,
                   struct change_result *result);

#endif
