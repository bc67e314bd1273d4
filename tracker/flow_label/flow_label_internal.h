/* flow_label_internal: what the rooms of flow_label.c share. Only they include it. */
#ifndef WANMETER_TRACKER_FLOW_LABEL_INTERNAL_H
#define WANMETER_TRACKER_FLOW_LABEL_INTERNAL_H

#include "tracker/flow_label.h"
#include "tracker/flow_label/lease_grant.h"

struct flow_label_table {
    const struct config *config;
    struct lease_grant grant;
};

#endif
