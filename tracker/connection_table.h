/* connection_table: the flows seen lately, by tuple, with their timers.
 *
 *     connection_table_create(&limits, &table);
 *     connection = connection_table_find(table, &tuple, hash);
 *     connection = connection_table_add(table, &tuple, hash);        NULL: full
 *     connection_table_set_timer(table, connection, at_ns);          packet time
 *     while ((connection = connection_table_due(table, now_ns))) …   the next whose timer is due
 *     connection_table_remove(table, connection);
 *     connection_table_destroy(table);
 *
 * A bucketed index (one cache line a bucket: 16-bit tags, then slots) over a slab of entries, both
 * mapped at start and touched as used; hash keyed with a random secret; a timer wheel in packet
 * time that is re-filed lazily. Holds at most 'connections_max'. Pointers stay valid until removed.
 * Not thread-safe: one table a process. */
#ifndef WANMETER_TRACKER_CONNECTION_TABLE_H
#define WANMETER_TRACKER_CONNECTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"
#include "proto/record.h"

/* Both directions' key: endpoints in canonical order (capture/rss.h: the lower address-and-port
 * first). */
struct tuple {
    uint8_t low_address[16]; /* IPv4: the first 4, others 0 */
    uint8_t high_address[16];
    uint16_t low_port; /* host order; 0 without ports; ICMP with an id: the id in both */
    uint16_t high_port;
    uint16_t zone;
    uint16_t
        icmp; /* ICMP: type (of the request, for the request/reply pairs) << 8 | code; others 0 */
    uint8_t protocol;
    uint8_t ip_version;
    uint8_t has_ports;
    uint8_t unused[5]; /* 0: tuples compare as bytes */
};

struct connection {
    struct tuple tuple;

    uint64_t id;
    int64_t start_ns;   /* first packet */
    int64_t first_ns;   /* of the record under way; valid with record_packets > 0 */
    int64_t last_ns;    /* largest time_ns */
    int64_t expires_ns; /* clock at which it is over */
    int64_t interim_ns; /* clock at which the next interim record is due */
    int64_t timer_ns;   /* clock for which the wheel has it; INT64_MAX: not in the wheel */

    struct connection_counters {
        uint64_t l2_bytes, l3_bytes, billed_bytes, ct_l3_bytes;
        uint32_t packets, ct_packets; /* of one record: cut before they overflow */
    } counters[FLOW_DIRECTIONS];      /* since the record before */

    uint32_t flow_label[FLOW_DIRECTIONS];
    uint32_t invalid_packets;
    uint32_t wan_changes;
    uint32_t status; /* enum connection_status */
    uint32_t mark;
    uint16_t wan;
    uint16_t account;
    uint8_t original_is_high; /* the sender of the first packet is the tuple's high end */
    uint8_t state;            /* enum connection_state */
    uint8_t protocol_state;   /* the protocol module's own */
    uint8_t icmp_type;        /* of the first packet */
    uint8_t icmp_code;
    uint8_t class_index;
    uint8_t protocol_data[6]; /* the protocol module's own */

    uint32_t slot; /* the table's own: place in the slab, free list, wheel */
};

struct connection_table;

struct connection_limits {
    size_t connections_max;
    uint8_t hash_key[16]; /* random in use; fixed in tests */
};

/* 0 or -ENOMEM. */
int connection_table_create(const struct connection_limits *limits, struct connection_table **out);
void connection_table_destroy(struct connection_table *table);

uint64_t connection_table_hash(const struct connection_table *table, const struct tuple *tuple);
void connection_table_prefetch(const struct connection_table *table, uint64_t hash);

struct connection *connection_table_find(struct connection_table *table, const struct tuple *tuple,
                                         uint64_t hash);

/* A zeroed entry with this tuple (which is not in the table). NULL: connections_max are in it. */
struct connection *connection_table_add(struct connection_table *table, const struct tuple *tuple,
                                        uint64_t hash);
void connection_table_remove(struct connection_table *table, struct connection *connection);

/* The timer fires at 'at_ns' or, if it was set earlier before, at that earlier time as well:
 * connection_table_due() gives only what is really due. */
void connection_table_set_timer(struct connection_table *table, struct connection *connection,
                                int64_t at_ns);

/* The next connection whose timer is <= now_ns; its timer is then unset. NULL: none. Never returns
 * later ones. Within one call sequence the order is not by time: callers must not depend on it. */
struct connection *connection_table_due(struct connection_table *table, int64_t now_ns);

/* Whom to evict for a new connection: an unreplied one among a bounded number looked at (round
 * robin); NULL: none there. */
struct connection *connection_table_victim(struct connection_table *table);

/* Every connection, in slab order: pass NULL first. */
struct connection *connection_table_next(struct connection_table *table,
                                         const struct connection *before);

size_t connection_table_count(const struct connection_table *table);

/* Bytes of memory a connection costs (entry and its share of the index). */
size_t connection_table_entry_bytes(void);

#endif
