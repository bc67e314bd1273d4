#include "proto/event.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/config/config_utf8.h"
#include "common/helper_names.h"
#include "event.pb-c.h"
#include "proto/model.h"

enum {
    FETCH_REQUEST_SIZE_MAX = 1024,
    FETCH_REPLY_EVENT_KEY = 1 << 3 | 2, /* field 1, length-delimited */
    VARINT_SIZE_MAX = 10,
    PROTOCOL_ICMP = 1,
    PROTOCOL_ICMPV6 = 58,
    STREAM_TEXT_SIZE = PRODUCER_NAME_MAX + 16,
};

static const char *const topic_kind_names[TOPIC_KIND_N] = {
    "new", "update", "destroy", "usage", "loss", "quota",
};

const char *topic_kind_name(unsigned kind)
{
    return kind < TOPIC_KIND_N ? topic_kind_names[kind] : "unknown";
}

const char *event_account_name(const struct event_context *context, uint16_t account)
{
    if (context->accounts)
        return account_names_of(context->accounts, account);
    bool is_known = account > 0 && account <= context->config->n_accounts;
    return is_known ? context->config->accounts[account - 1].name : "none";
}

const char *event_wan_name(const struct event_context *context, uint16_t wan)
{
    bool is_known = wan > 0 && wan <= context->config->n_wans;
    return is_known ? context->config->wans[wan - 1].name : "none";
}

const char *event_class_name(const struct event_context *context, unsigned class_index)
{
    const struct config_text_list *classes = &context->config->classes;
    if (class_index >= CLASS_USER_FIRST && class_index - CLASS_USER_FIRST < classes->n)
        return classes->items[class_index - CLASS_USER_FIRST];
    return packet_class_name(class_index);
}

/* protobuf-c's structs have no const: it only reads what it packs. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* ---- the parts of an event ---- */

static void fill_counters(const struct flow_counters *counters, Wanmeter__Event__Counters *wire)
{
    wanmeter__event__counters__init(wire);
    wire->packets = counters->packets;
    wire->l2_bytes = counters->l2_bytes;
    wire->l3_bytes = counters->l3_bytes;
    wire->billed_bytes = counters->billed_bytes;
    wire->ct_packets = counters->ct_packets;
    wire->ct_l3_bytes = counters->ct_l3_bytes;
}

/* A connection as it goes out, with the room that its pointers need. */
struct wire_connection {
    Wanmeter__Event__Connection wire;
    Wanmeter__Event__Counters counters[FLOW_DIRECTIONS];
    char source[ADDRESS_TEXT_SIZE];
    char destination[ADDRESS_TEXT_SIZE];
    char label_names[LABEL_NAMES_TEXT_SIZE];
};

static void fill_tuple(const struct flow_record *flow, struct wire_connection *room)
{
    Wanmeter__Event__Connection *wire = &room->wire;
    address_text(flow->ip_version, flow->source_address, room->source);
    address_text(flow->ip_version, flow->destination_address, room->destination);
    wire->orig_src_address = wire->reply_dst_address = room->source;
    wire->orig_dst_address = wire->reply_src_address = room->destination;
    if (flow->protocol == PROTOCOL_ICMP || flow->protocol == PROTOCOL_ICMPV6) {
        wire->icmp_type = flow->icmp_type;
        wire->icmp_code = flow->icmp_code;
        wire->icmp_id = flow->has_ports ? flow->source_port : 0;
    } else if (flow->has_ports) {
        wire->orig_src_port = wire->reply_dst_port = flow->source_port;
        wire->orig_dst_port = wire->reply_src_port = flow->destination_port;
    }
}

static void fill_connection(const struct connection_event *event,
                            const struct event_context *context, struct wire_connection *room)
{
    const struct flow_record *flow = &event->flow;
    Wanmeter__Event__Connection *wire = &room->wire;
    wanmeter__event__connection__init(wire);
    wire->id = (int64_t)flow->id;
    wire->zone = flow->zone;
    wire->ip_version = flow->ip_version;
    wire->protocol = flow->protocol;
    wire->protocol_name = text(context->protocol_names[flow->protocol]);
    fill_tuple(flow, room);
    wire->state = text(connection_state_name(flow->state));
    wire->status = flow->status;
    wire->mark = flow->mark;
    wire->labels.data = (uint8_t *)(uintptr_t)flow->labels;
    wire->labels.len = sizeof flow->labels;
    wire->flow_label_orig = flow->flow_label[FLOW_ORIGINAL];
    wire->flow_label_reply = flow->flow_label[FLOW_REPLY];
    wire->flow_label_changes = flow->flow_label_changes;
    if (context->labels && !labels_is_zero(flow->labels)) {
        label_names_text(context->labels, flow->labels, room->label_names);
        wire->label_names = room->label_names;
    }
    wire->first_ns = flow->start_ns;
    wire->last_ns = flow->last_ns;
    wire->timeout_ns = event->timeout_ns;
    wire->wan = text(event_wan_name(context, flow->wan));
    wire->account = text(event_account_name(context, flow->account));
    wire->end_reason = text(event->kind == EVENT_DESTROY ? end_reason_name(flow->end_reason) : "");
    for (int i = 0; i < FLOW_DIRECTIONS; i++)
        fill_counters(&flow->counters[i], &room->counters[i]);
    if (event->helper != HELPER_NONE && event->helper < HELPER_N)
        wire->helper = text(helper_names[event->helper].name);
    wire->orig_ct_packets_total = event->totals[FLOW_ORIGINAL].packets;
    wire->orig_ct_l3_bytes_total = event->totals[FLOW_ORIGINAL].l3_bytes;
    wire->reply_ct_packets_total = event->totals[FLOW_REPLY].packets;
    wire->reply_ct_l3_bytes_total = event->totals[FLOW_REPLY].l3_bytes;
    wire->orig = &room->counters[FLOW_ORIGINAL];
    wire->reply = &room->counters[FLOW_REPLY];
}

static void fill_usage(const struct usage_delta *delta, const struct event_context *context,
                       Wanmeter__Event__Usage *wire)
{
    wanmeter__event__usage__init(wire);
    wire->slot_ns = delta->slot_ns;
    wire->slot_seconds = SLOT_SECONDS;
    wire->account = text(event_account_name(context, delta->account));
    wire->wan = text(event_wan_name(context, delta->wan));
    wire->direction = text(direction_name(delta->direction));
    wire->class_ = text(event_class_name(context, delta->class_index));
    wire->packets = delta->packets;
    wire->l2_bytes = delta->l2_bytes;
    wire->l3_bytes = delta->l3_bytes;
    wire->billed_bytes = delta->billed_bytes;
    wire->model = text(model_of(context->config, delta->wan, delta->direction));
    if (delta->cause != MALFORMED_NONE)
        wire->cause = text(malformed_cause_name(delta->cause));
}

struct wire_loss {
    Wanmeter__Event__Loss wire;
    char stream[STREAM_TEXT_SIZE];
    char reason[LOSS_REASON_MAX + 1];
    char evidence[LOSS_EVIDENCE_MAX + 1];
};

/* A protobuf string is UTF-8, a file's name need not be: what is not becomes '?'. */
static void copy_utf8(const char *from, size_t room, char *to)
{
    size_t length = strnlen(from, room - 1);
    for (size_t at = 0; at < length;) {
        uint32_t character;
        size_t n = config_utf8_decode((const uint8_t *)from + at, length - at, &character);
        if (n > 0)
            memcpy(to + at, from + at, n);
        else
            to[at] = '?';
        at += n > 0 ? n : 1;
    }
    to[length] = '\0';
}

static void fill_loss(const struct stream_loss *line, struct wire_loss *room)
{
    const struct loss *loss = &line->loss;
    Wanmeter__Event__Loss *wire = &room->wire;
    wanmeter__event__loss__init(wire);
    snprintf(room->stream, sizeof room->stream, "%s/%u", line->stream.producer, line->stream.shard);
    copy_utf8(loss->reason, sizeof room->reason, room->reason);
    copy_utf8(loss->evidence, sizeof room->evidence, room->evidence);
    wire->first_ns = loss->first_ns;
    wire->last_ns = loss->last_ns;
    wire->stage = text(loss_stage_name(loss->stage));
    wire->reason = room->reason;
    wire->stream = room->stream;
    wire->packets = loss->packets;
    wire->l2_bytes = loss->l2_bytes;
    wire->l3_bytes = loss->l3_bytes;
    wire->certainty = text(loss_certainty_name(loss->certainty));
    wire->evidence = room->evidence;
}

static void fill_quota(const struct quota_reached *quota, const struct event_context *context,
                       Wanmeter__Event__Quota *wire)
{
    wanmeter__event__quota__init(wire);
    wire->tariff = text(quota->tariff);
    wire->account = text(event_account_name(context, quota->account));
    wire->begin_ns = quota->begin_ns;
    wire->end_ns = quota->end_ns;
    wire->percent = quota->percent;
    wire->quota_bytes = quota->quota_bytes;
    wire->used_bytes = quota->used_bytes;
    wire->slot_ns = quota->slot_ns;
}

/* ---- an event ---- */

static size_t pack_event(const struct event *event, const struct event_context *context,
                         Wanmeter__Event__Event *wire, uint8_t *room)
{
    wire->topic = text(event->topic);
    wire->epoch = context->epoch;
    wire->seq = event->seq;
    wire->global_seq = event->global_seq;
    wire->time_ns = event->time_ns;
    assert(wanmeter__event__event__get_packed_size(wire) <= EVENT_SIZE_MAX);
    return wanmeter__event__event__pack(wire, room);
}

size_t event_encode(const struct event *event, const struct event_context *context, uint8_t *room)
{
    Wanmeter__Event__Event wire;
    wanmeter__event__event__init(&wire);
    union {
        struct wire_connection connection;
        Wanmeter__Event__Usage usage;
        struct wire_loss loss;
        Wanmeter__Event__Quota quota;
    } content;
    switch (event->kind) {
    case TOPIC_USAGE:
        fill_usage(&event->usage, context, &content.usage);
        wire.content_case = WANMETER__EVENT__EVENT__CONTENT_USAGE;
        wire.usage = &content.usage;
        break;
    case TOPIC_LOSS:
        fill_loss(event->loss, &content.loss);
        wire.content_case = WANMETER__EVENT__EVENT__CONTENT_LOSS;
        wire.loss = &content.loss.wire;
        break;
    case TOPIC_QUOTA:
        fill_quota(&event->quota, context, &content.quota);
        wire.content_case = WANMETER__EVENT__EVENT__CONTENT_QUOTA;
        wire.quota = &content.quota;
        break;
    default:
        fill_connection(&event->connection, context, &content.connection);
        wire.content_case = WANMETER__EVENT__EVENT__CONTENT_CONNECTION;
        wire.connection = &content.connection.wire;
        break;
    }
    return pack_event(event, context, &wire, room);
}

size_t event_encode_connection(const struct connection_event *event,
                               const struct event_context *context, uint8_t *room)
{
    struct wire_connection connection;
    fill_connection(event, context, &connection);
    assert(wanmeter__event__connection__get_packed_size(&connection.wire) <= EVENT_SIZE_MAX);
    return wanmeter__event__connection__pack(&connection.wire, room);
}

/* ---- heartbeat ---- */

static uint8_t *pack_heartbeat(const struct heartbeat *heartbeat, Wanmeter__Event__Heartbeat *beat,
                               size_t *size)
{
    Wanmeter__Event__Event wire;
    wanmeter__event__event__init(&wire);
    wire.topic = text(heartbeat->topic);
    wire.epoch = heartbeat->epoch;
    wire.seq = heartbeat->seq;
    wire.time_ns = heartbeat->time_ns;
    wire.content_case = WANMETER__EVENT__EVENT__CONTENT_HEARTBEAT;
    wire.heartbeat = beat;
    beat->next_global_seq = heartbeat->next_global_seq;
    beat->oldest_global_seq = heartbeat->oldest_global_seq;
    *size = wanmeter__event__event__get_packed_size(&wire);
    uint8_t *bytes = malloc(*size);
    if (bytes)
        wanmeter__event__event__pack(&wire, bytes);
    return bytes;
}

uint8_t *event_encode_heartbeat(const struct heartbeat *heartbeat, size_t *size)
{
    Wanmeter__Event__Heartbeat beat;
    wanmeter__event__heartbeat__init(&beat);
    size_t n = heartbeat->n_topics;
    Wanmeter__Event__TopicState *states = calloc(n + 1, sizeof *states);
    Wanmeter__Event__TopicState **list = calloc(n + 1, sizeof *list);
    uint8_t *bytes = NULL;
    if (states && list) {
        for (size_t i = 0; i < n; i++) {
            wanmeter__event__topic_state__init(&states[i]);
            states[i].topic = text(heartbeat->topics[i].topic);
            states[i].last_seq = heartbeat->topics[i].last_seq;
            list[i] = &states[i];
        }
        beat.topics = list;
        beat.n_topics = n;
        bytes = pack_heartbeat(heartbeat, &beat, size);
    }
    free(states);
    free(list);
    return bytes;
}

/* ---- the control socket ---- */

bool fetch_request_decode(const uint8_t *bytes, size_t size, struct fetch_request *request)
{
    if (size > FETCH_REQUEST_SIZE_MAX)
        return false;
    Wanmeter__Event__FetchRequest *wire = wanmeter__event__fetch_request__unpack(NULL, size, bytes);
    if (!wire)
        return false;
    const ProtobufCBinaryData *prefix = &wire->topic_prefix;
    bool has_prefix = prefix->len > 0 && prefix->data != NULL;
    bool is_valid =
        prefix->len <= TOPIC_PREFIX_MAX && !(has_prefix && memchr(prefix->data, 0, prefix->len));
    if (is_valid) {
        *request = (struct fetch_request){
            .from_global_seq = wire->from_global_seq,
            .events_max = wire->events_max,
        };
        if (has_prefix)
            memcpy(request->topic_prefix, prefix->data, prefix->len);
    }
    wanmeter__event__fetch_request__free_unpacked(wire, NULL);
    return is_valid;
}

static uint8_t *put_varint(uint8_t *at, size_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* Encoded messages one after the other are one message: each event is appended as field 1, and the
 * rest of the reply after them. */
uint8_t *fetch_reply_encode(const struct fetch_reply *reply, const struct event_context *context,
                            size_t *size)
{
    Wanmeter__Event__FetchReply rest;
    wanmeter__event__fetch_reply__init(&rest);
    rest.next_global_seq = reply->next_global_seq;
    rest.end_global_seq = reply->end_global_seq;
    rest.oldest_global_seq = reply->oldest_global_seq;
    size_t rest_size = wanmeter__event__fetch_reply__get_packed_size(&rest);
    uint8_t *bytes =
        malloc(reply->n_events * (1 + VARINT_SIZE_MAX + EVENT_SIZE_MAX) + rest_size + 1);
    if (!bytes)
        return NULL;
    uint8_t *at = bytes;
    for (size_t i = 0; i < reply->n_events; i++) {
        uint8_t room[EVENT_SIZE_MAX];
        size_t event_size = event_encode(reply->events[i], context, room);
        *at++ = FETCH_REPLY_EVENT_KEY;
        at = put_varint(at, event_size);
        memcpy(at, room, event_size);
        at += event_size;
    }
    at += wanmeter__event__fetch_reply__pack(&rest, at);
    *size = (size_t)(at - bytes);
    return bytes;
}
