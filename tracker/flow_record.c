#include "tracker/flow_record.h"

#include <string.h>

#include "proto/clock_step.h"
#include "proto/seal.h"
#include "tracker/flow_counters.h"

bool flow_record_is_begun(const struct connection *connection)
{
    return !flow_counters_are_zero(connection);
}

static void copy_flow_labels(const uint32_t *labels, struct flow_record *record)
{
    for (unsigned i = 0; i < FLOW_DIRECTIONS; i++)
        record->flow_label[i] = labels[i] & ~(uint32_t)FLOW_LABEL_SEEN;
}

static uint8_t helper_of(const struct connection *connection)
{
    return connection->extra ? connection->extra->helper_number : 0;
}

/* The connection as a record, without counters. */
static void describe(const struct connection_table *connections,
                     const struct connection *connection, struct flow_record *record)
{
    const struct connection_traits *traits = connection_table_traits(connections, connection);
    struct tuple tuple;
    connection_table_tuple(connections, connection, &tuple);
    bool is_high = connection->original_end == ORIGINAL_IS_HIGH;
    *record = (struct flow_record){
        .id = connection_table_id(connections, connection),
        .start_ns = connection_start_ns(connection),
        .first_ns = connection_start_ns(connection),
        .last_ns = connection->last_ns,
        .mark = traits->mark,
        .status = connection->status,
        .source_port = is_high ? tuple_high_port(&tuple) : tuple.low_port,
        .destination_port = is_high ? tuple.low_port : tuple_high_port(&tuple),
        .zone = tuple.zone,
        .wan = connection->wan,
        .wan_match = connection->wan ? (uint8_t)(connection->wan_match + 1) : 0,
        .account = connection->account,
        .ip_version = tuple.ip_version,
        .protocol = tuple.protocol,
        .has_ports = tuple.has_ports,
        .state = connection->state,
        .class_index = connection->class_index,
        .resume = (uint32_t)(connection->is_account_fixed ? RESUME_ACCOUNT_FIXED : 0) |
                  (uint32_t)connection->first_direction << RESUME_DIRECTION_SHIFT |
                  (uint32_t)helper_of(connection) << RESUME_HELPER_SHIFT |
                  (uint32_t)traits->policy << RESUME_POLICY_SHIFT,
    };
    if (tuple.ip_version == 6)
        copy_flow_labels(connection_table_flow_labels(connections, connection), record);
    if (tuple_is_icmp(&tuple)) {
        record->icmp_type = connection->track.icmp.type;
        record->icmp_code = connection->track.icmp.code;
    }
    if (connection->extra)
        record->master_id = connection->extra->master_id;
    memcpy(record->labels, traits->labels, sizeof record->labels);
    memcpy(record->source_address, is_high ? tuple.high_address : tuple.low_address, 16);
    memcpy(record->destination_address, is_high ? tuple.low_address : tuple.high_address, 16);
}

static void copy_all_counters(const struct connection *connection, struct flow_record *record)
{
    flow_counters_read(connection, FLOW_ORIGINAL, &record->counters[FLOW_ORIGINAL]);
    flow_counters_read(connection, FLOW_REPLY, &record->counters[FLOW_REPLY]);
    if (connection->extra) {
        record->flow_label_changes = connection->extra->flow_label_changes;
        record->merged_packets = connection->extra->merged_packets;
    }
}

/* The event but for its flow. */
static void begin_event(const struct connection *connection, enum event_kind kind, int64_t time_ns,
                        struct connection_event *event)
{
    event->time_ns = time_ns;
    event->timeout_ns = connection->expires_ns - time_ns;
    event->kind = (uint8_t)kind;
    event->helper = helper_of(connection);
    memset(event->unused, 0, sizeof event->unused);
    for (unsigned i = 0; i < FLOW_DIRECTIONS; i++) {
        struct flow_counters counters;
        flow_counters_read(connection, i, &counters);
        event->totals[i] = connection->extra ? connection->extra->before[i] : (struct ct_total){0};
        event->totals[i].packets += counters.ct_packets;
        event->totals[i].l3_bytes += counters.ct_l3_bytes;
    }
}

void flow_record_describe(const struct connection_table *connections,
                          const struct connection *connection, int64_t clock_ns,
                          struct connection_event *event)
{
    begin_event(connection, EVENT_UPDATE, clock_ns, event);
    describe(connections, connection, &event->flow);
    copy_all_counters(connection, &event->flow);
}

/* What the bill's clock is when the stream's is there. */
static int64_t bill_time(const struct flow_sink *sink, int64_t clock_ns)
{
    return sink->clock ? bill_clock_at(sink->clock, clock_ns) : clock_ns;
}

void flow_record_tell(const struct connection_table *connections, const struct flow_sink *sink,
                      const struct connection *connection, enum event_kind kind, int64_t time_ns)
{
    if (!sink->on_event)
        return;
    struct connection_event event;
    begin_event(connection, kind, time_ns, &event);
    event.time_ns = bill_time(sink, time_ns);
    describe(connections, connection, &event.flow);
    sink->on_event(sink->state, &event);
}

void flow_record_tell_new(const struct connection_table *connections, const struct flow_sink *sink,
                          struct connection *connection, int64_t time_ns)
{
    connection->is_untold = false;
    flow_record_tell(connections, sink, connection, EVENT_NEW, time_ns);
}

void flow_record_cut(const struct connection_table *connections, const struct flow_sink *sink,
                     struct connection *connection, enum end_reason reason, int64_t time_ns)
{
    if (connection->is_untold)
        flow_record_tell_new(connections, sink, connection, time_ns);
    struct connection_event event;
    struct flow_record *record = &event.flow;
    if (sink->on_event || connection->extra) /* the totals are for both */
        begin_event(connection, reason == END_NONE ? EVENT_UPDATE : EVENT_DESTROY, time_ns, &event);
    event.time_ns = bill_time(sink, time_ns);
    describe(connections, connection, record);
    if (flow_record_is_begun(connection))
        record->first_ns = connection->first_ns;
    copy_all_counters(connection, record);
    record->invalid_packets = flow_counters_invalid(connection);
    record->wan_changes = flow_counters_wan_changes(connection);
    record->kind = reason == END_NONE ? RECORD_INTERIM : RECORD_FINAL;
    record->end_reason = (uint8_t)reason;
    record->seal = seal_of(event.time_ns);

    flow_counters_reset(connection);
    connection->interim_ns = INT64_MAX;
    if (connection->extra) {
        connection->extra->flow_label_changes = 0;
        connection->extra->merged_packets = 0;
        memcpy(connection->extra->before, event.totals, sizeof event.totals);
    }
    if (sink->on_record)
        sink->on_record(sink->state, record);
    if (sink->on_event)
        sink->on_event(sink->state, &event);
}
