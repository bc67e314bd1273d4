/* connection_table: the flows seen lately, by tuple, with their timers.
 *
 *     connection_table_create(&limits, &table);
 *     connection = connection_table_find(table, &tuple, hash);
 *     connection = connection_table_add(table, &tuple, hash);        NULL: full
 *     connection_table_set_timer(table, connection);                 when its times were set
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

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/packet.h"
#include "proto/record.h"

/* Both directions' key: endpoints in canonical order (proto/rss.h: the lower address-and-port
 * first). */
struct tuple {
    uint8_t low_address[16]; /* IPv4: the first 4, others 0 */
    uint8_t high_address[16];
    uint16_t low_port; /* host order; 0 without ports; ICMP with an id: the id, which is both's */
    union {
        uint16_t high_port;
        uint16_t icmp; /* ICMP: type that the low end sends (as tuple.c says) << 8 | code */
    };
    uint16_t zone;
    uint8_t protocol;
    uint8_t ip_version : 4; /* 4 or 6 */
    uint8_t has_ports : 1;
    uint8_t unused : 3; /* 0: tuples compare as bytes */
};

/* As an entry has it: the same, but for the addresses of IPv6, which are in the table, beside the
 * entries: connection_table_tuple(). */
struct short_tuple {
    uint8_t low_address[4]; /* IPv6: 0 */
    uint8_t high_address[4];
    uint16_t low_port;
    union {
        uint16_t high_port;
        uint16_t icmp;
    };
    uint16_t zone;
    uint8_t protocol;
    uint8_t ip_version : 4;
    uint8_t has_ports : 1;
    uint8_t unused : 3;
};

/* What the TCP module knows of one side; tracker/protocol/tcp.h has the words. */
struct tcp_side {
    uint32_t end, window_end, window_max, ack_max;
    uint16_t mss;          /* that it has said; 0: not seen */
    uint8_t flags;         /* enum tcp_side_flag */
    uint8_t scale : 4;     /* at most 14: RFC 7323, section 2.3 */
    uint8_t syn_scale : 4; /* of its SYN that was ignored */
};

/* 'last_…': of the segment that is remembered. */
struct tcp_track {
    struct tcp_side sides[FLOW_DIRECTIONS]; /* by sender */
    uint32_t last_sequence, last_acknowledgment, last_end;
    uint16_t last_window;
    uint8_t n_retransmissions;
    uint8_t last_kind : 3; /* enum tcp_kind */
    uint8_t last_direction : 1;
    uint8_t last_flags : 4; /* enum tcp_last_flag */
};

struct sctp_track {
    uint32_t tags[FLOW_DIRECTIONS]; /* that packets of a direction carry; 0: not known */
    uint8_t has_init[FLOW_DIRECTIONS];
    uint8_t is_heartbeat_odd; /* one with a wrong tag waits for its answer */
    uint8_t heartbeat_direction;
};

/* Where lines of a control connection begin: sequence numbers right after a newline. */
struct ftp_track {
    uint32_t after_newline[FLOW_DIRECTIONS][2];
    uint8_t n_after_newline[FLOW_DIRECTIONS];
};

struct sip_track {
    uint32_t invite_number, register_number; /* CSeq of the last of them */
};

/* tracker/helper/helper_pptp.c has the words. PNS: the client; PAC: the server. */
struct pptp_track {
    uint16_t pns_call_id, pac_call_id;
    uint16_t mapped_pns_call_id, mapped_pac_call_id; /* with has_calls: in the call map */
    uint8_t session, call;
    bool has_calls;
};

struct expectation;

/* The timeouts in force when the connection began: GRE keeps to them. */
struct gre_track {
    int64_t unreplied_ns, stream_ns;
};

/* Of a direction's flow label: there is one, which may be 0. */
enum { FLOW_LABEL_SEEN = 1 << 30 };

/* What rules, masters and changes wrote on a connection. Many have the same: the table keeps each
 * of the values that there are once. */
struct connection_traits {
    uint8_t labels[16];
    uint32_t mark;
    uint16_t policy; /* of timeouts (tracker/timeout_policy.h); 0: none */
    uint8_t unused[2];
};

/* In 'traits' of a connection: they are in its 'extra'; 0: all are zero. */
enum { TRAITS_NONE = 0, TRAITS_OWN = UINT16_MAX };

/* What does not fit the entry's counters: of the record under way. */
struct connection_beyond {
    uint64_t packets, l2_bytes, l3_bytes, billed_bytes; /* more than the entry has */
    uint64_t unseen_packets;  /* of all of the record's: those that conntrack does not count */
    uint64_t unseen_l3_bytes; /* modulo 2^64: a datagram may be more than its last fragment */
};

/* What few connections have. */
struct connection_extra {
    struct connection_traits traits;            /* with TRAITS_OWN */
    uint32_t n_sent[FLOW_DIRECTIONS];           /* packets, where a link remembers them */
    uint8_t billed_rest_64ths[FLOW_DIRECTIONS]; /* of a byte, where a link costs parts of one */
    uint8_t helper_number;                      /* that reads its packets; 0: none */
    bool has_start;                             /* 'start_ns' is set */
    int64_t start_ns;                           /* where it is not the entry's first_ns */
    uint64_t master_id;               /* of the connection that expected this one; 0: none */
    struct expectation *expectations; /* that it is the master of, the newest first */
    union {
        struct ftp_track ftp;
        struct sip_track sip;
        struct pptp_track pptp;
    } helper;                                  /* the helper's own */
    uint32_t last_flow_label[FLOW_DIRECTIONS]; /* with FLOW_LABEL_SEEN; 0: as the first */
    uint32_t flow_label_changes;               /* of one record */
    uint32_t merged_packets;                   /* of one record */
    uint32_t invalid_packets;                  /* of one record: more than the entry has */
    uint32_t wan_changes;                      /* of one record: more than the entry has */
    struct ct_total before[FLOW_DIRECTIONS];   /* in the records before */
    struct connection_beyond beyond[FLOW_DIRECTIONS];
    struct connection_extra *next_free; /* the slab's own */
};

/* Two and a half cache lines: every packet of TCP touches all of them, of others the first 96
 * bytes and a little. Entries begin with a line or in the middle of one, so that they are in three
 * at most; where they began anywhere, finds of 1M connections took 10 to 20 % more.
 *
 * What is small here grows elsewhere: flow_counters.h has the counters, connection_start_ns() when
 * the flow began; its id, and of IPv6 the addresses and the flow labels, are in the table, beside
 * the entries. */
struct __attribute__((aligned(32))) connection {
    struct short_tuple tuple;
    int64_t last_ns;                /* largest time_ns */
    struct connection_extra *extra; /* NULL: nothing set; connection_table_extra() makes it */
    uint16_t status;                /* enum connection_status */
    uint8_t state;                  /* enum connection_state */
    uint8_t protocol_state;         /* the protocol module's own */
    uint8_t class_index;
    uint8_t wan_match;           /* of the WAN's, of the record's first packet */
    uint8_t account_changes;     /* flow_account.c's own: when 'account' was chosen */
    uint8_t original_end : 2;    /* enum original_end */
    uint8_t first_direction : 2; /* of the first packet */
    bool is_shadow : 1;          /* its home is another shard: not billed, not told of */
    bool is_held_only : 1;       /* all its packets are of one end and not judged (PACKET_HELD) */
    bool is_account_fixed : 1;   /* by the link layer, a lease or a rule: no change moves it */
    bool is_untold : 1;          /* fragments opened it: its event NEW is still to be told */

    struct connection_counters {
        uint32_t l3_bytes, billed_bytes;
        uint16_t packets, l2_more; /* l2_more: L2 bytes beyond l3_bytes */
    } counters[FLOW_DIRECTIONS];   /* since the record before */
    int64_t expires_ns;            /* clock at which it is over */
    int64_t interim_ns;            /* clock at which the next interim record is due */
    uint32_t filed;                /* the wheel's own: tick at which it looks here */
    uint32_t opened;               /* the opening order's own; 0: not in the table */
    uint16_t wan;
    uint16_t account;
    uint16_t traits;         /* the table's own: connection_table_traits() */
    uint8_t invalid_packets; /* of one record */
    uint8_t wan_changes;     /* of one record */

    union {
        struct tcp_track tcp;
        struct sctp_track sctp;
        struct gre_track gre;
        int64_t young_until_ns; /* UDP: clock from which on it may be a stream */
        struct {
            uint8_t type, code; /* of the first packet */
        } icmp;
    } track;          /* the protocol module's own */
    int64_t first_ns; /* of the record under way, or the last one */
};

static_assert(sizeof(struct connection_traits) == 24, "no holes: they are compared as bytes");
static_assert(sizeof(struct tuple) == 40, "tuples are compared as 40 bytes");
static_assert(offsetof(struct connection, track) == 96, "what all protocols have comes first");
static_assert(sizeof(struct connection) == 160, "entries take two and a half cache lines");

#define CONNECTION_NOWHERE   UINT32_MAX
#define CONNECTION_NOT_FILED UINT32_MAX

/* For the table's own modules: whether the entry is in the table. */
static inline bool connection_is_used(const struct connection *connection)
{
    return connection->tuple.ip_version != 0;
}

static inline bool protocol_is_icmp(uint8_t protocol)
{
    enum { PROTOCOL_ICMP = 1, PROTOCOL_ICMPV6 = 58 };
    return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

static inline bool tuple_is_icmp(const struct tuple *tuple)
{
    return protocol_is_icmp(tuple->protocol);
}

/* The port of the high end, or the ICMP id that is both's. */
static inline uint16_t tuple_high_port(const struct tuple *tuple)
{
    return tuple_is_icmp(tuple) ? tuple->low_port : tuple->high_port;
}

/* Clock at which it is due: for its end, or an interim record. INT64_MAX: never. */
static inline int64_t connection_due_ns(const struct connection *connection)
{
    int64_t expires_ns = connection->expires_ns, interim_ns = connection->interim_ns;
    return interim_ns < expires_ns ? interim_ns : expires_ns;
}

/* Time of the flow's first packet. */
static inline int64_t connection_start_ns(const struct connection *connection)
{
    bool is_apart = connection->extra && connection->extra->has_start;
    return is_apart ? connection->extra->start_ns : connection->first_ns;
}

/* Which end of the tuple sent the connection's first packet. */
enum original_end { ORIGINAL_IS_LOW, ORIGINAL_IS_HIGH, ORIGINAL_IS_BOTH /* it talks to itself */ };

struct connection_table;

struct connection_limits {
    size_t connections_max;
    uint8_t hash_key[16]; /* random in use; fixed in tests */
};

enum { CONNECTIONS_MAX = 1 << 30 };

/* 0 or -ENOMEM. 'connections_max' is 1 to CONNECTIONS_MAX. Takes address space only. */
int connection_table_create(const struct connection_limits *limits, struct connection_table **out);
void connection_table_destroy(struct connection_table *table);

uint64_t connection_table_hash(const struct connection_table *table, const struct tuple *tuple);

/* Asks for the cache lines that a find will need: first the bucket's; when that has had time to
 * arrive, the entry's. 1M connections in batches of 32: half the time of a find without. The second
 * returns what it asked for, NULL: nothing there. */
void connection_table_prefetch(const struct connection_table *table, uint64_t hash);
struct connection *connection_table_prefetch_entry(const struct connection_table *table,
                                                   const struct tuple *tuple, uint64_t hash);

struct connection *connection_table_find(struct connection_table *table, const struct tuple *tuple,
                                         uint64_t hash);

/* The same, where connection_table_prefetch_entry() returned 'near' before. */
struct connection *connection_table_find_near(struct connection_table *table,
                                              const struct tuple *tuple, uint64_t hash,
                                              struct connection *near);

/* What was asked for then, if it has the tuple; NULL: a find may yet find it elsewhere. */
struct connection *connection_table_near(struct connection_table *table, const struct tuple *tuple,
                                         struct connection *near);

/* A zeroed entry with this tuple (which is not in the table) and no timer. NULL: connections_max
 * are in it, or 1,280 where this one would be looked for: a lookup never reads more than 128 cache
 * lines of the index. */
struct connection *connection_table_add(struct connection_table *table, const struct tuple *tuple,
                                        uint64_t hash);
void connection_table_remove(struct connection_table *table, struct connection *connection);

/* The same where all are going and none comes any more: it is not found again, but its places are
 * not there for others. From the first of these on none may be added. */
void connection_table_drop(struct connection_table *table, struct connection *connection);

void connection_table_tuple(const struct connection_table *table,
                            const struct connection *connection, struct tuple *tuple);

/* What few connections have, zeroed when it is made; it goes with the connection. */
struct connection_extra *connection_table_extra(struct connection_table *table,
                                                struct connection *connection);

/* Borrowed until the connection's are set. */
const struct connection_traits *connection_table_traits(const struct connection_table *table,
                                                        const struct connection *connection);
void connection_table_set_traits(struct connection_table *table, struct connection *connection,
                                 const struct connection_traits *traits);

/* The flow's id, 0 until it is set. */
uint64_t connection_table_id(const struct connection_table *table,
                             const struct connection *connection);
void connection_table_set_id(struct connection_table *table, const struct connection *connection,
                             uint64_t id);

/* An IPv6 connection's flow labels by direction: of its first packet, with FLOW_LABEL_SEEN; 0:
 * none. */
uint32_t *connection_table_flow_labels(const struct connection_table *table,
                                       const struct connection *connection);

/* To be called when expires_ns or interim_ns were set: the connection is due at the earlier of
 * them, which may be before or after what was set, or already past; INT64_MAX: never. Later costs
 * nothing, earlier a place in the wheel. */
void connection_table_set_timer(struct connection_table *table, struct connection *connection);

/* The next connection that is due at now_ns or before; who is given it removes it, or sets its
 * timer again. NULL: no more. Exact: none is given before its time, and after NULL none is left.
 * 'now_ns' never decreases (a smaller one counts as the largest so far). Order is not by time:
 * callers must not depend on it. */
struct connection *connection_table_due(struct connection_table *table, int64_t now_ns);

/* False: connection_table_due() would find none. Costs next to nothing. */
bool connection_table_may_be_due(const struct connection_table *table, int64_t now_ns);

/* Whom to evict for a new connection: one that never became assured among a bounded number looked
 * at, in the order in which they were opened, each time further on; NULL: none there. */
struct connection *connection_table_victim(struct connection_table *table);

/* Every connection, in slab order: pass NULL first. */
struct connection *connection_table_next(struct connection_table *table,
                                         const struct connection *before);

/* Asks for what a last look at the places behind this one will need, while all are gone over: of
 * the 2n'th for its entry, of the 'n'th for what few have. */
void connection_table_prefetch_behind(const struct connection_table *table,
                                      const struct connection *connection, uint32_t n);

/* The same by number: places 0 to connection_table_places() - 1, each with a connection or NULL. A
 * connection keeps its place. */
size_t connection_table_places(const struct connection_table *table);
const struct connection *connection_table_at(const struct connection_table *table, size_t place);

size_t connection_table_count(const struct connection_table *table);

/* Cache lines of the index that the longest lookup had to read so far: 1 to 3 as a rule. */
size_t connection_table_chain_max(const struct connection_table *table);

/* Bytes of memory a connection costs (entry and its share of the index). */
size_t connection_table_entry_bytes(void);

#endif
