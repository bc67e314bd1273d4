#include "proto/record.h"

#include <assert.h>
#include <string.h>

#include "common/helper_names.h"

static_assert(sizeof(struct usage_delta) == USAGE_DELTA_SIZE, "packed as it is");
static_assert(offsetof(struct usage_delta, seal) == 48, "no holes");
static_assert(sizeof(struct flow_record) == FLOW_RECORD_SIZE, "packed as it is");
static_assert(offsetof(struct flow_record, mark) == 192, "no holes");
static_assert(offsetof(struct flow_record, seal) == 244, "no holes");

static_assert(sizeof(struct connection_event) == CONNECTION_EVENT_SIZE, "packed as it is");
static_assert(offsetof(struct connection_event, kind) == 296, "no holes");

static const char *const flow_record_kind_names[RECORD_KIND_N] = {"interim", "final"};

static const char *const end_reason_names[END_REASON_N] = {
    [END_NONE] = "none",         [END_TIMEOUT] = "timeout", [END_CLOSED] = "closed",
    [END_REOPENED] = "reopened", [END_EVICTED] = "evicted", [END_OF_INPUT] = "end_of_input",
    [END_DELETED] = "deleted",
};

static const char *const connection_state_names[STATE_N] = {
    [STATE_NONE] = "none",
    [STATE_FIRST] = "first",
    [STATE_MULTIPLE] = "multiple",
    [STATE_BIDIRECTIONAL] = "bidirectional",
    [STATE_SYN_SENT] = "SYN_SENT",
    [STATE_SYN_RECV] = "SYN_RECV",
    [STATE_ESTABLISHED] = "ESTABLISHED",
    [STATE_FIN_WAIT] = "FIN_WAIT",
    [STATE_CLOSE_WAIT] = "CLOSE_WAIT",
    [STATE_LAST_ACK] = "LAST_ACK",
    [STATE_TIME_WAIT] = "TIME_WAIT",
    [STATE_CLOSE] = "CLOSE",
    [STATE_SYN_SENT2] = "SYN_SENT2",
    [STATE_CLOSED] = "CLOSED",
    [STATE_COOKIE_WAIT] = "COOKIE_WAIT",
    [STATE_COOKIE_ECHOED] = "COOKIE_ECHOED",
    [STATE_SHUTDOWN_SENT] = "SHUTDOWN_SENT",
    [STATE_SHUTDOWN_RECD] = "SHUTDOWN_RECD",
    [STATE_SHUTDOWN_ACK_SENT] = "SHUTDOWN_ACK_SENT",
    [STATE_HEARTBEAT_SENT] = "HEARTBEAT_SENT",
};

static const char *const event_kind_names[EVENT_KIND_N] = {"new", "update", "destroy"};

static const char *const loss_stage_names[LOSS_STAGE_N] = {
    "nic", "kernel", "source", "capture", "tracker", "exporter",
};

static const char *const loss_certainty_names[LOSS_CERTAINTY_N] = {
    "exact",
    "derived",
    "upper_bound",
    "unknown",
};

static const char *name_of(const char *const *names, unsigned n_names, unsigned index)
{
    return index < n_names ? names[index] : "unknown";
}

const char *flow_record_kind_name(unsigned kind)
{
    return name_of(flow_record_kind_names, RECORD_KIND_N, kind);
}

const char *end_reason_name(unsigned reason)
{
    return name_of(end_reason_names, END_REASON_N, reason);
}

const char *connection_state_name(unsigned state)
{
    return name_of(connection_state_names, STATE_N, state);
}

const char *event_kind_name(unsigned kind)
{
    return name_of(event_kind_names, EVENT_KIND_N, kind);
}

const char *loss_stage_name(unsigned stage)
{
    return name_of(loss_stage_names, LOSS_STAGE_N, stage);
}

const char *loss_certainty_name(unsigned certainty)
{
    return name_of(loss_certainty_names, LOSS_CERTAINTY_N, certainty);
}

void usage_delta_put(const struct usage_delta *delta, uint8_t *room)
{
    memcpy(room, delta, sizeof *delta);
}

bool usage_delta_get(const uint8_t *bytes, struct usage_delta *delta)
{
    memcpy(delta, bytes, sizeof *delta);
    return delta->direction < DIRECTION_N && packet_class_is_known(delta->class_index) &&
           delta->cause < MALFORMED_CAUSE_N;
}

void packet_of_flow_record(const struct flow_record *record, struct packet *packet)
{
    unsigned marks = record->ip_version == 6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4;
    *packet = (struct packet){
        .class_index = CLASS_CONNECTION,
        .marks = (uint8_t)(marks | (record->has_ports ? PACKET_MARK_PORTS : 0)),
        .zone = record->zone,
        .protocol = record->protocol,
        .icmp_type = record->icmp_type,
        .icmp_code = record->icmp_code,
        .source_port = record->source_port,
        .destination_port = record->destination_port,
        .time_ns = record->start_ns,
        .clock_ns = record->start_ns,
    };
    memcpy(packet->source_address, record->source_address, sizeof packet->source_address);
    memcpy(packet->destination_address, record->destination_address,
           sizeof packet->destination_address);
}

void flow_record_put(const struct flow_record *record, uint8_t *room)
{
    memcpy(room, record, sizeof *record);
}

/* What is looked at are single bytes, so nothing has to be copied for it. */
bool flow_record_is_valid(const uint8_t *bytes)
{
    uint8_t ip_version = bytes[offsetof(struct flow_record, ip_version)];
    return (ip_version == 4 || ip_version == 6) &&
           bytes[offsetof(struct flow_record, has_ports)] <= 1 &&
           bytes[offsetof(struct flow_record, state)] < STATE_N &&
           packet_class_is_known(bytes[offsetof(struct flow_record, class_index)]) &&
           bytes[offsetof(struct flow_record, kind)] < RECORD_KIND_N &&
           bytes[offsetof(struct flow_record, end_reason)] < END_REASON_N;
}

bool flow_record_get(const uint8_t *bytes, struct flow_record *record)
{
    memcpy(record, bytes, sizeof *record);
    return flow_record_is_valid(bytes);
}

void flow_record_named(const uint8_t *bytes, struct named *named)
{
    uint16_t account, wan;
    memcpy(&account, bytes + offsetof(struct flow_record, account), sizeof account);
    memcpy(&wan, bytes + offsetof(struct flow_record, wan), sizeof wan);
    named_add(named, account, wan, bytes[offsetof(struct flow_record, class_index)]);
}

void connection_event_put(const struct connection_event *event, uint8_t *room)
{
    memcpy(room, event, sizeof *event);
}

bool connection_event_get(const uint8_t *bytes, struct connection_event *event)
{
    memcpy(event, bytes, sizeof *event);
    return event->kind < EVENT_KIND_N && event->helper < HELPER_N &&
           flow_record_get(bytes, &event->flow);
}
