/* flow: what a packet does to its flow: found or opened, judged by its protocol, counted; records
 * cut, ends told.
 *
 *     flow_table_create(&options, &flows);
 *     flow_table_advance(flows, clock_ns);                 what is over by now ends
 *     flow_table_key(flows, &packet, &key);                a while before: asks for memory
 *     flow_table_prefetch(flows, &key);                    a little before: asks for more
 *     flow_table_add(flows, &packet, &key, &charge);
 *     account = flow_table_account_about(flows, &packet);  of an ICMP error
 *     flow_table_finish(flows, n_max);                     at the end of input, in portions
 *     flow_table_destroy(flows);
 *
 * Whether a flow is over is a question of clocks only: it is over when the stream's clock reaches
 * its expiry. It does not matter when that is noticed, by its timer or by its next packet, so
 * records are the same whatever the shards, batches or speed. The same holds for interim records:
 * each flow has its own phase (from its id) within the interval. A flow whose account changes gets
 * one more, at the first packet that the new account pays for.
 *
 * A flow whose packets are all INVALID or untracked is no connection (STATE_NONE). The packet that
 * begins a connection begins a flow: what there was on its tuple ends ('reopened'), so that a
 * connection's flow has the connection's original direction, beginning and end. Not thread-safe. */
#ifndef WANMETER_TRACKER_FLOW_H
#define WANMETER_TRACKER_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"
#include "proto/record.h"
#include "tracker/account.h"
#include "tracker/connection_table.h"
#include "tracker/link.h"

struct flow_table;
struct flow_label_table;
struct label_table;
struct timeout_policies;
struct bill_clock;

/* Where records and events go; borrowed for the call. */
struct flow_sink {
    void (*on_record)(void *state, const struct flow_record *record);
    void (*on_event)(void *state, const struct connection_event *event);
    void *state;
    const struct bill_clock *clock; /* of events, and of records' seals; NULL: the stream's */
};

struct flow_options {
    const struct config *config;          /* kept, not copied */
    const struct account_table *accounts; /* kept, not copied */
    struct link_table *links;             /* kept, not copied: what packets cost */
    size_t connections_max;
    struct flow_sink sink; /* on_record or on_event NULL: not wanted */
};

/* 0 or -errno. */
int flow_table_create(const struct flow_options *options, struct flow_table **out);
void flow_table_destroy(struct flow_table *flows); /* accepts NULL; tells the sink nothing */

/* Moves the clock on (never back) and ends what is over, a bounded number of flows; true: there is
 * more. */
bool flow_table_advance(struct flow_table *flows, int64_t clock_ns);

enum flow_result {
    FLOW_COUNTED,
    FLOW_OVERFLOW, /* the table is full and nobody could be evicted: class 'overflow' */
};

/* Where a packet's flow is: reckoned once, some packets ahead. */
struct flow_key {
    struct tuple tuple;
    uint64_t hash;
    struct connection *near; /* what the connection probably is; NULL: not looked yet */
};

/* The key of a packet of CLASS_CONNECTION; begins to fetch the memory that a look-up reads first.
 */
void flow_table_key(const struct flow_table *flows, const struct packet *packet,
                    struct flow_key *key);

/* Begins to fetch the flow's own memory: best when flow_table_key() was some packets ago. */
void flow_table_prefetch(const struct flow_table *flows, struct flow_key *key);

/* Who pays for a packet, and how much. */
struct flow_charge {
    uint16_t account;
    uint8_t class_index; /* in which its bytes are counted */
    uint64_t billed_bytes;
};

/* Counts a packet of CLASS_CONNECTION in its flow. 'charge' is set in either case. */
enum flow_result flow_table_add(struct flow_table *flows, const struct packet *packet,
                                const struct flow_key *key, struct flow_charge *charge);

/* Judges a packet whose home is another shard (PACKET_SHADOW): its connection is known here too,
 * and counted nowhere. */
void flow_table_add_shadow(struct flow_table *flows, const struct packet *packet,
                           const struct flow_key *key);

/* A SYN whose home is another shard (PACKET_OPENING): what it was expected by is used up. */
void flow_table_note_opening(struct flow_table *flows, const struct packet *packet);

/* What connection tracking says of a packet; a rule's ct_state has the same words. */
enum ct_state {
    CT_NEW = 1 << 0,
    CT_ESTABLISHED = 1 << 1,
    CT_RELATED = 1 << 2,
    CT_REPLY = 1 << 3,
    CT_INVALID = 1 << 4,
    CT_TRACKED = 1 << 5, /* of all but untracked packets, and parts of datagrams */
};

struct flow_judgement {
    int64_t timeout_ns;  /* that the packet set; 0: none; 1 or negative: over at once */
    uint32_t ct_state;   /* enum ct_state; 0: untracked, or not judged by itself */
    uint32_t status;     /* of the connection behind it, enum connection_status */
    uint8_t state;       /* enum connection_state */
    uint8_t class_index; /* in which its bytes are counted */
};

/* Of the packet that was added last, worked out when it is asked for. */
const struct flow_judgement *flow_table_judgement(struct flow_table *flows);

/* The flow of that packet; 0: it has none. */
uint64_t flow_table_judged_id(const struct flow_table *flows);

/* CT_RELATED, with CT_REPLY where it is about a packet of the original direction; or CT_INVALID:
 * the ICMP error is about no connection that there is, or went to another than that packet's
 * sender. */
uint32_t flow_table_judge_error(const struct flow_table *flows, const struct packet *packet);

/* The account, and if the packet has no WAN of its own the WAN, of the flow that an ICMP error is
 * about; where there is no such flow, the account of the packet's own addresses. */
uint16_t flow_table_account_about(const struct flow_table *flows, const struct packet *packet,
                                  uint16_t *wan);

/* Ends up to 'n_max' flows for the end of input; true: there are more. */
bool flow_table_finish(struct flow_table *flows, size_t n_max);

size_t flow_table_count(const struct flow_table *flows);
size_t flow_table_probe_lines(const struct flow_table *flows); /* connection_table_chain_max() */

/* The names of label bits, and who holds them. */
struct label_table *flow_table_labels(const struct flow_table *flows);

/* The leases of IPv6 flow labels. */
struct flow_label_table *flow_table_flow_labels(const struct flow_table *flows);

int64_t flow_table_clock_ns(const struct flow_table *flows);

/* After a change of the accounts: each flow is asked for its own again, with its next packet. */
void flow_table_accounts_changed(struct flow_table *flows);

/* The timeouts that are in force. */
struct timeout_policies *flow_table_timeout_policies(const struct flow_table *flows);

#endif
