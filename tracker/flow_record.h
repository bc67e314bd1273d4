/* flow_record: what a flow tells of itself: its records, and its connection's events.
 *
 *     flow_record_tell_new(connections, &sink, connection, clock_ns);
 *     if (flow_record_is_begun(connection))
 *         flow_record_cut(connections, &sink, connection, END_NONE, clock_ns);
 *
 * 'connections' is the table that the connection is in. */
#ifndef WANMETER_TRACKER_FLOW_RECORD_H
#define WANMETER_TRACKER_FLOW_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/record.h"
#include "tracker/connection_table.h"
#include "tracker/flow.h"

/* Whether packets were counted since the record before. */
bool flow_record_is_begun(const struct connection *connection);

/* The connection as it stands at 'clock_ns', as if it were told of, with what it has counted. */
void flow_record_describe(const struct connection_table *connections,
                          const struct connection *connection, int64_t clock_ns,
                          struct connection_event *event);

/* An event that no record goes with. */
void flow_record_tell(const struct connection_table *connections, const struct flow_sink *sink,
                      const struct connection *connection, enum event_kind kind, int64_t time_ns);

/* EVENT_NEW, once a flow. */
void flow_record_tell_new(const struct connection_table *connections, const struct flow_sink *sink,
                          struct connection *connection, int64_t time_ns);

/* Gives what was counted since the record before, with its event, and begins anew. END_NONE: an
 * interim record. */
void flow_record_cut(const struct connection_table *connections, const struct flow_sink *sink,
                     struct connection *connection, enum end_reason reason, int64_t time_ns);

#endif
