/* control: what somebody asks, or asks to change, brought to the module that the first word names.
 *
 *     control_apply(&control, &change, &result);       every shard does the same (proto/change.h)
 *     control_answer(&control, &request, &reply);      of this shard's tables
 *
 * A word that no module knows is EOPNOTSUPP, and says which there are. */
#ifndef WANMETER_TRACKER_CONTROL_H
#define WANMETER_TRACKER_CONTROL_H

#include "common/bus.h"
#include "proto/change.h"
#include "proto/control.h"
#include "tracker/account.h"
#include "tracker/connection_filter.h"
#include "tracker/flow.h"

/* Where changes and questions go; borrowed. */
struct control {
    struct flow_table *flows;
    struct account_table *accounts;
    struct connection_names names;
    const struct bus *bus; /* NULL: none */
    uint32_t shard;
};

void control_apply(const struct control *control, const struct change *change,
                   struct change_result *result);

void control_answer(const struct control *control, const struct control_request *request,
                    struct control_reply *reply);

#endif
