/* lease_grant: the rules by which leases are got, renewed and put. For the rooms of flow_label.c.
 *
 * Each function: 0 or the kernel's error, negative; checks are in the kernel's order, so that a
 * request with several faults has the kernel's answer. */
#ifndef WANMETER_TRACKER_LEASE_GRANT_H
#define WANMETER_TRACKER_LEASE_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "tracker/flow_label/lease_holder.h"
#include "tracker/flow_label/lease_table.h"

struct lease_grant {
    struct lease_table leases;
    struct holder_table holders;
    bool is_consistent;    /* flow_labels.consistency */
    bool has_state_ranges; /* flow_labels.state_ranges */
};

int lease_get(struct lease_grant *grant, const struct flow_label_request *request, uint32_t *label);
int lease_put(struct lease_grant *grant, const struct flow_label_request *request);
int lease_renew(struct lease_grant *grant, const struct flow_label_request *request);

/* Lets go of all that the holder has. */
int lease_close(struct lease_grant *grant, const struct flow_label_request *request);

#endif
