/* record: what a tracker tells the exporter, as plain structs, and their packed forms within a
 * RecordBatch.
 *
 * The packed forms are fixed-size, little-endian, one after the other in a 'bytes' field of the
 * protobuf envelope: a repeated message a row would cost more than the row's INSERT. Layouts are
 * held by static asserts in record.c. */
#ifndef WANMETER_PROTO_RECORD_H
#define WANMETER_PROTO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"

/* A sum to add to the usage row with the same key. */
struct usage_delta {
    int64_t slot_ns; /* start of the slot, UTC */
    uint64_t packets;
    uint64_t l2_bytes;
    uint64_t l3_bytes;
    uint64_t billed_bytes;
    uint16_t account; /* index into config.accounts + 1; 0: none */
    uint16_t wan;     /* index into config.wans + 1; 0: none */
    uint8_t direction;
    uint8_t class_index;
    uint8_t cause; /* enum malformed_cause */
    uint8_t unused;
    int32_t seal; /* in which it is, unless the database has closed that (proto/seal.h) */
    uint8_t unused_more[4];
};

enum { SLOT_SECONDS = 300 };

enum flow_record_kind { RECORD_INTERIM, RECORD_FINAL, RECORD_KIND_N };

enum end_reason {
    END_NONE, /* an interim record */
    END_TIMEOUT,
    END_CLOSED,   /* its protocol said so (RST of an unreplied connection) */
    END_REOPENED, /* a SYN on a closed connection began a new one */
    END_EVICTED,  /* made room in a full table */
    END_OF_INPUT,
    END_DELETED, /* somebody asked for it */
    END_REASON_N,
};

const char *flow_record_kind_name(unsigned kind);
const char *end_reason_name(unsigned reason);

/* States over all protocols; the name is the kernel's (conntrack -L), in its capitals, where it has
 * one. */
enum connection_state {
    STATE_NONE,          /* a flow without a connection */
    STATE_FIRST,         /* UDP, ICMP, GRE, generic: one packet */
    STATE_MULTIPLE,      /* several, all in the original direction */
    STATE_BIDIRECTIONAL, /* a reply was seen */
    STATE_SYN_SENT,      /* TCP, in the order of enum tcp_state */
    STATE_SYN_RECV,
    STATE_ESTABLISHED, /* of SCTP too */
    STATE_FIN_WAIT,
    STATE_CLOSE_WAIT,
    STATE_LAST_ACK,
    STATE_TIME_WAIT,
    STATE_CLOSE,
    STATE_SYN_SENT2,
    STATE_CLOSED, /* SCTP */
    STATE_COOKIE_WAIT,
    STATE_COOKIE_ECHOED,
    STATE_SHUTDOWN_SENT,
    STATE_SHUTDOWN_RECD,
    STATE_SHUTDOWN_ACK_SENT,
    STATE_HEARTBEAT_SENT,
    STATE_N,
};

const char *connection_state_name(unsigned state);

/* Bits as in Linux's enum ip_conntrack_status. */
enum connection_status {
    STATUS_EXPECTED = 1 << 0,
    STATUS_SEEN_REPLY = 1 << 1,
    STATUS_ASSURED = 1 << 2,
    STATUS_CONFIRMED = 1 << 3,
    STATUS_DYING = 1 << 9,
    STATUS_HELPER = 1 << 13, /* rules or its port gave it a helper */
};

struct flow_counters {
    uint64_t packets;
    uint64_t l2_bytes;
    uint64_t l3_bytes;
    uint64_t billed_bytes;
    uint64_t ct_packets; /* what nf_conntrack would count */
    uint64_t ct_l3_bytes;
};

enum { FLOW_ORIGINAL, FLOW_REPLY, FLOW_DIRECTIONS };

/* A row of billing detail, or (with no counters) the connection of an event. Its bytes are summed
 * up in seals (proto/seal.h): a field keeps its place, and new ones are 0 in what came before them.
 */
struct flow_record {
    uint64_t id;        /* from zone, tuple and first packet's time (tracker/flow_id.h) */
    uint64_t master_id; /* 0: none */
    int64_t start_ns;   /* the flow's first packet */
    int64_t first_ns;   /* this record's first packet; start_ns where it has none */
    int64_t last_ns;    /* the flow's last packet so far */
    struct flow_counters counters[FLOW_DIRECTIONS]; /* since the record before */
    uint64_t invalid_packets;
    uint8_t labels[16];
    uint8_t source_address[16]; /* of the original direction: the sender of the first packet */
    uint8_t destination_address[16];
    uint32_t mark;
    uint32_t status;                      /* enum connection_status */
    uint32_t flow_label[FLOW_DIRECTIONS]; /* of its first packet; 0: none */
    uint32_t wan_changes;                 /* packets of this record on another WAN than 'wan' */
    uint16_t source_port;                 /* ICMP with an id: the id */
    uint16_t destination_port;
    uint16_t zone;
    uint16_t wan; /* of the record's first packet */
    uint16_t account;
    uint8_t ip_version; /* 4 or 6 */
    uint8_t protocol;
    uint8_t has_ports; /* TCP, UDP, UDP-Lite, SCTP, DCCP: ports; ICMP: an id */
    uint8_t icmp_type; /* of the first packet */
    uint8_t icmp_code;
    uint8_t state; /* enum connection_state */
    uint8_t class_index;
    uint8_t kind;                /* enum flow_record_kind */
    uint8_t end_reason;          /* enum end_reason */
    uint8_t wan_match;           /* of the WAN's, from 1; 255: that or a later one; 0: no WAN */
    uint32_t flow_label_changes; /* packets of this record with another than the one before */
    uint32_t merged_packets;     /* of this record: several before offloading merged them */
    uint32_t resume;             /* enum flow_resume */
    int32_t seal;                /* of the moment that the record was cut (proto/seal.h) */
};

/* What a tracker that goes on with another's flow needs besides; in 'resume'. */
enum flow_resume {
    RESUME_ACCOUNT_FIXED = 1 << 0, /* no change of the accounts moves it */
    RESUME_DIRECTION_SHIFT = 1,    /* of the first packet: enum direction, 2 bits */
    RESUME_ACCOUNT_ANEW = 1 << 3,  /* in what is restored only: with its next packet */
    RESUME_HELPER_SHIFT = 8,       /* what reads its packets: 8 bits */
    RESUME_POLICY_SHIFT = 16,      /* of timeouts; a number of this run's: 16 bits */
};

enum event_kind { EVENT_NEW, EVENT_UPDATE, EVENT_DESTROY, EVENT_KIND_N };

const char *event_kind_name(unsigned kind);

/* What nf_conntrack would have counted since the connection's beginning. */
struct ct_total {
    uint64_t packets;
    uint64_t l3_bytes;
};

struct connection_event {
    struct flow_record flow; /* counters: of the record of that moment; 0 where there is none */
    struct ct_total totals[FLOW_DIRECTIONS];
    int64_t time_ns;
    int64_t timeout_ns; /* what the last refresh set; DESTROY: what was left */
    uint8_t kind;       /* enum event_kind */
    uint8_t helper;     /* enum helper_number: what reads its packets */
    uint8_t unused[6];
};

enum loss_stage {
    LOSS_NIC,
    LOSS_KERNEL,
    LOSS_SOURCE,
    LOSS_CAPTURE,
    LOSS_TRACKER,
    LOSS_EXPORTER,
    LOSS_STAGE_N
};

/* EXACT: counted one by one. DERIVED: from other counters. UPPER_BOUND: not more than. UNKNOWN:
 * amounts are not known. */
enum loss_certainty { LOSS_EXACT, LOSS_DERIVED, LOSS_UPPER_BOUND, LOSS_UNKNOWN, LOSS_CERTAINTY_N };

const char *loss_stage_name(unsigned stage);
const char *loss_certainty_name(unsigned certainty);

/* Of a batch in place of those that were damaged in a worker's ring. */
#define LOSS_REASON_GAP "ring_damaged"

enum { LOSS_REASON_MAX = 31, LOSS_EVIDENCE_MAX = 255, LOSS_AMOUNT_UNKNOWN = -1 };

struct loss {
    int64_t first_ns;
    int64_t last_ns;
    int64_t packets; /* -1: unknown; NULL in the database */
    int64_t l2_bytes;
    int64_t l3_bytes;
    uint8_t stage;                        /* enum loss_stage */
    uint8_t certainty;                    /* enum loss_certainty */
    char reason[LOSS_REASON_MAX + 1];     /* "truncated", "ring_full", … */
    char evidence[LOSS_EVIDENCE_MAX + 1]; /* UTF-8, for people */
};

/* A capture file or interface, as its worker counted it, sent when it ends (and, live, from time to
 * time). */
struct source_total {
    char name[LOSS_EVIDENCE_MAX + 1]; /* path or interface */
    uint8_t sha256[32];               /* identity of a file (capture/source.h); zeros: none */
    uint64_t packets;                 /* frames read */
    uint64_t l2_bytes;                /* of these frames */
    uint64_t carrier_bytes; /* of l2_bytes: mirror carriers (ERSPAN, …) that were unwrapped */
    int64_t first_ns;
    int64_t last_ns;
    uint32_t source_index; /* over all workers */
    bool is_complete;      /* read to its end */
};

/* A packet of the record's original direction, with its endpoints and what tells flows apart; no
 * lengths, and no PACKET_MARK_SOURCE_IS_HIGH. */
void packet_of_flow_record(const struct flow_record *record, struct packet *packet);

/* ---- what records name ---- */

/* The largest numbers that they have of what the configuration has a name for. */
struct named {
    uint16_t account;
    uint16_t wan;
    uint8_t class_index;
};

static inline void named_add(struct named *named, uint16_t account, uint16_t wan,
                             uint8_t class_index)
{
    named->account = account > named->account ? account : named->account;
    named->wan = wan > named->wan ? wan : named->wan;
    named->class_index = class_index > named->class_index ? class_index : named->class_index;
}

/* The same of a packed record. */
void flow_record_named(const uint8_t *bytes, struct named *named);

/* ---- packed forms: put writes at 'room' (…_SIZE bytes), get returns false on values out of range
 * ---- */

enum { USAGE_DELTA_SIZE = 56, FLOW_RECORD_SIZE = 248, CONNECTION_EVENT_SIZE = 304 };

void usage_delta_put(const struct usage_delta *delta, uint8_t *room);
bool usage_delta_get(const uint8_t *bytes, struct usage_delta *delta);
void flow_record_put(const struct flow_record *record, uint8_t *room);
bool flow_record_get(const uint8_t *bytes, struct flow_record *record);
bool flow_record_is_valid(const uint8_t *bytes); /* what flow_record_get() would return */
void connection_event_put(const struct connection_event *event, uint8_t *room);
bool connection_event_get(const uint8_t *bytes, struct connection_event *event);

#endif
