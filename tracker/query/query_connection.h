/* query_connection: "ct list FILTER…", "ct get FILTER…", "ct count FILTER…", "ct stats"; the filter
 * is that of tracker/connection_filter.h. */
#ifndef WANMETER_TRACKER_QUERY_CONNECTION_H
#define WANMETER_TRACKER_QUERY_CONNECTION_H

#include "proto/control.h"
#include "tracker/control.h"

void query_connection(const struct control *control, const struct control_request *request,
                      struct control_reply *reply);

#endif
