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
    uint16_t low_port; /* host order; 0 without ports; ICMP with an id: the id in both */
    uint16_t high_port;
    uint16_t zone;
    uint16_t icmp; /* ICMP: type that the low end sends (as tuple.c says) << 8 | code; others 0 */
    uint8_t protocol;
    uint8_t ip_version;
    uint8_t has_ports;
    uint8_t unused[5]; /* 0: tuples compare as bytes */
};

/* What the TCP module knows of one side; tracker/protocol/tcp.h has the words. */
struct tcp_side {
    uint32_t end, window_end, window_max, ack_max;
    uint8_t scale;
    uint8_t flags; /* enum tcp_side_flag */
    uint16_t mss;  /* that it has said; 0: not seen */
};

/* 'last_…': of the segment that is remembered. */
struct tcp_track {
    struct tcp_side sides[FLOW_DIRECTIONS]; /* by sender */
    uint32_t last_sequence, last_acknowledgment, last_end;
    uint16_t last_window;
    uint8_t last_kind; /* enum tcp_kind */
    uint8_t last_direction;
    uint8_t last_scale;
    uint8_t last_flags;
    uint8_t n_retransmissions;
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

/* What few connections have. */
struct connection_extra {
    struct connection_traits traits;            /* with TRAITS_OWN */
    uint32_t n_sent[FLOW_DIRECTIONS];           /* packets, where a link remembers them */
    uint8_t billed_rest_64ths[FLOW_DIRECTIONS]; /* of a byte, where a link costs parts of one */
    uint64_t master_id;               /* of the connection that expected this one; 0: none */
    struct expectation *expectations; /* that it is the master of, the newest first */
    union {
        struct ftp_track ftp;
        struct sip_track sip;
        struct pptp_track pptp;
    } helper;                                  /* the helper's own */
    uint8_t helper_number;                     /* that reads its packets; 0: none */
    uint32_t last_flow_label[FLOW_DIRECTIONS]; /* with FLOW_LABEL_SEEN; 0: as the first */
    uint32_t flow_label_changes;               /* of one record */
    uint32_t merged_packets;                   /* of one record */
    struct ct_total before[FLOW_DIRECTIONS];   /* in the records before */
    struct connection_extra *next_free;        /* the slab's own */
};

/* Hot fields first: a packet's lookup, timer and state are in the first two cache lines, its
 * counters in the second or third, what only some protocols look at in a line of its own. Aligned,
 * finds of 1M connections take 10 to 20 % less than with entries of 240 bytes one after the other.
 */
struct __attribute__((aligned(64))) connection {
    struct tuple tuple;
    int64_t last_ns;    /* largest time_ns */
    int64_t expires_ns; /* clock at which it is over */

    int64_t timer_ns;       /* clock at which it is due; INT64_MAX: no timer */
    int64_t filed_ns;       /* the wheel's own: clock at which it looks here; not after timer_ns */
    uint32_t status;        /* enum connection_status */
    uint8_t original_end;   /* enum original_end */
    uint8_t state;          /* enum connection_state */
    uint8_t protocol_state; /* the protocol module's own */
    uint8_t class_index;

    struct connection_counters {
        uint64_t l2_bytes, l3_bytes, billed_bytes, ct_l3_bytes;
        uint32_t packets, ct_packets; /* of one record: cut before they overflow */
    } counters[FLOW_DIRECTIONS];      /* since the record before */

    int64_t start_ns;   /* first packet */
    int64_t first_ns;   /* of the record under way; valid with record_packets > 0 */
    int64_t interim_ns; /* clock at which the next interim record is due */
    uint64_t id;
    uint32_t flow_label[FLOW_DIRECTIONS]; /* of its first packet, with FLOW_LABEL_SEEN; 0: none */
    uint32_t invalid_packets;
    uint32_t wan_changes;
    uint16_t wan;
    uint16_t account;
    struct connection_extra *extra; /* NULL: nothing set; connection_table_extra() makes it */
    uint16_t traits;                /* the table's own: connection_table_traits() */
    uint8_t is_shadow;              /* its home is another shard: not billed, not told of */
    uint8_t icmp_type;              /* of the first packet */
    uint8_t icmp_code;
    uint8_t wan_match;    /* of the WAN's, of the record's first packet */
    uint8_t is_held_only; /* all its packets are of one end and were not judged (PACKET_HELD) */

    uint32_t slot;            /* the table's own: CONNECTION_SLOT_USED, or the free list */
    uint32_t hash;            /* the table's own: which bucket */
    uint32_t account_changes; /* how many there had been when 'account' was chosen */
    bool is_account_fixed;    /* by the link layer, a lease or a rule: no change of them moves it */
    uint8_t first_direction;  /* of the first packet */
    bool is_untold;           /* fragments opened it: its event NEW is still to be told */

    union __attribute__((aligned(64))) {
        struct tcp_track tcp;
        struct sctp_track sctp;
        struct gre_track gre;
        int64_t young_until_ns; /* UDP: clock from which on it may be a stream */
    } track;                    /* the protocol module's own */
};

static_assert(sizeof(struct connection_traits) == 24, "no holes: they are compared as bytes");
static_assert(sizeof(struct tuple) == 48, "tuples are hashed and compared as 48 bytes");
static_assert(sizeof(struct tcp_track) <= 64, "the TCP module looks at one cache line more");
static_assert(sizeof(struct connection) <= 320, "entries take at most 320 bytes");

#define CONNECTION_SLOT_USED UINT32_MAX
#define CONNECTION_NOWHERE   UINT32_MAX

/* For the table's own modules. */
static inline bool tuple_is_equal(const struct tuple *a, const struct tuple *b)
{
    uint64_t words_a[sizeof(*a) / 8], words_b[sizeof(*b) / 8], difference = 0;
    memcpy(words_a, a, sizeof(words_a));
    memcpy(words_b, b, sizeof(words_b));
    for (size_t i = 0; i < sizeof(*a) / 8; i++)
        difference |= words_a[i] ^ words_b[i];
    return difference == 0;
}

/* For the table's own modules: whether the entry is in the table. */
static inline bool connection_is_used(const struct connection *connection)
{
    return connection->slot == CONNECTION_SLOT_USED;
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
 * returns the place of what it asked for, CONNECTION_NOWHERE: nothing there. */
void connection_table_prefetch(const struct connection_table *table, uint64_t hash);
uint32_t connection_table_prefetch_entry(const struct connection_table *table, uint64_t hash);

struct connection *connection_table_find(struct connection_table *table, const struct tuple *tuple,
                                         uint64_t hash);

/* The same, where connection_table_prefetch_entry() returned 'near' before. */
struct connection *connection_table_find_near(struct connection_table *table,
                                              const struct tuple *tuple, uint64_t hash,
                                              uint32_t near);

/* A zeroed entry with this tuple (which is not in the table). NULL: connections_max are in it, or
 * 1,280 where this one would be looked for: a lookup never reads more than 128 cache lines of the
 * index. */
struct connection *connection_table_add(struct connection_table *table, const struct tuple *tuple,
                                        uint64_t hash);
void connection_table_remove(struct connection_table *table, struct connection *connection);

/* What few connections have, zeroed when it is made; it goes with the connection. */
struct connection_extra *connection_table_extra(struct connection_table *table,
                                                struct connection *connection);

/* Borrowed until the connection's are set. */
const struct connection_traits *connection_table_traits(const struct connection_table *table,
                                                        const struct connection *connection);
void connection_table_set_traits(struct connection_table *table, struct connection *connection,
                                 const struct connection_traits *traits);

/* Sets the connection's only timer: due at 'at_ns', which may be before or after what was set, or
 * already past; INT64_MAX: never. Later is a store, earlier a place in the wheel. */
void connection_table_set_timer(struct connection_table *table, struct connection *connection,
                                int64_t at_ns);

/* The next connection whose timer is <= now_ns; its timer is then unset. NULL: no more. Exact: none
 * is given before its time, and after NULL none is left. 'now_ns' never decreases (a smaller one
 * counts as the largest so far). Order is not by time: callers must not depend on it. */
struct connection *connection_table_due(struct connection_table *table, int64_t now_ns);

/* False: connection_table_due() would find none. Costs next to nothing. */
bool connection_table_may_be_due(const struct connection_table *table, int64_t now_ns);

/* Whom to evict for a new connection: one that never became assured among a bounded number looked
 * at (round robin); NULL: none there. */
struct connection *connection_table_victim(struct connection_table *table);

/* Every connection, in slab order: pass NULL first. */
struct connection *connection_table_next(struct connection_table *table,
                                         const struct connection *before);

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
