/* event: what subscribers are told (proto/event.proto), as plain structs and encoded.
 *
 *     size = event_encode(&event, &context, room);              one Event
 *     bytes = event_encode_heartbeat(&heartbeat, &size);        malloc'ed
 *     fetch_request_decode(bytes, size, &request);              of the control socket
 *     bytes = fetch_reply_encode(&reply, &context, &size);      malloc'ed
 *
 * An event is kept as the struct it came as, and encoded only when somebody hears it. Not
 * thread-safe. */
#ifndef WANMETER_PROTO_EVENT_H
#define WANMETER_PROTO_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/account_names.h"
#include "common/config.h"
#include "common/labels.h"
#include "proto/message.h"
#include "proto/record.h"

/* A threshold of a quota that was reached. */
struct quota_reached {
    const char *tariff; /* of the configuration: kept, not copied */
    uint16_t account;
    uint32_t percent;
    int64_t begin_ns; /* of the billing period */
    int64_t end_ns;
    uint64_t quota_bytes;
    uint64_t used_bytes;
    int64_t slot_ns;
};

/* The first part of a topic. The first three: enum event_kind. */
enum topic_kind {
    TOPIC_NEW,
    TOPIC_UPDATE,
    TOPIC_DESTROY,
    TOPIC_USAGE,
    TOPIC_LOSS,
    TOPIC_QUOTA,
    TOPIC_KIND_N,
};

const char *topic_kind_name(unsigned kind); /* "new", …; "unknown" out of range */

struct event {
    const char *topic; /* "new.alice" */
    uint64_t seq;      /* of the topic */
    uint64_t global_seq;
    int64_t time_ns;
    enum topic_kind kind;
    union {
        struct connection_event connection; /* TOPIC_NEW, TOPIC_UPDATE, TOPIC_DESTROY */
        struct usage_delta usage;           /* TOPIC_USAGE */
        struct stream_loss *loss;           /* TOPIC_LOSS */
        struct quota_reached quota;         /* TOPIC_QUOTA */
    };
};

/* What turns numbers into names. */
struct event_context {
    uint64_t epoch; /* of the exporter */
    const struct config *config;
    const char *const *protocol_names;    /* by IANA number, 256 of them */
    const struct label_names *labels;     /* NULL: none has a name */
    const struct account_names *accounts; /* NULL: the configuration's, no others */
};

/* A WAN's or account's name by its number in records (0: "none"); a class's. */
const char *event_account_name(const struct event_context *context, uint16_t account);
const char *event_wan_name(const struct event_context *context, uint16_t wan);
const char *event_class_name(const struct event_context *context, unsigned class_index);

enum { EVENT_SIZE_MAX = 2048 + LABEL_NAMES_TEXT_SIZE };

/* Encodes to 'room', of EVENT_SIZE_MAX bytes; returns the bytes written. */
size_t event_encode(const struct event *event, const struct event_context *context, uint8_t *room);

/* Its connection alone, a Connection, in the same way. */
size_t event_encode_connection(const struct connection_event *event,
                               const struct event_context *context, uint8_t *room);

struct topic_state {
    const char *topic;
    uint64_t last_seq;
};

/* "heartbeat" or "bye". */
struct heartbeat {
    const char *topic;
    uint64_t epoch;
    uint64_t seq;
    int64_t time_ns; /* wall time */
    uint64_t next_global_seq;
    uint64_t oldest_global_seq;
    const struct topic_state *topics;
    size_t n_topics;
};

uint8_t *event_encode_heartbeat(const struct heartbeat *heartbeat, size_t *size);

enum { TOPIC_PREFIX_MAX = 127 };

struct fetch_request {
    uint64_t from_global_seq;
    uint32_t events_max;                     /* 0: as many as at a time */
    char topic_prefix[TOPIC_PREFIX_MAX + 1]; /* "": all */
};

/* False: malformed, or a prefix longer than any topic. */
bool fetch_request_decode(const uint8_t *bytes, size_t size, struct fetch_request *request);

struct fetch_reply {
    const struct event *const *events;
    size_t n_events;
    uint64_t next_global_seq;
    uint64_t end_global_seq;
    uint64_t oldest_global_seq;
};

uint8_t *fetch_reply_encode(const struct fetch_reply *reply, const struct event_context *context,
                            size_t *size);

#endif
