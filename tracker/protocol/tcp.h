/* tcp: the parts of the TCP module: its state table, its window check, and what both work on.
 *
 *     after = tcp_next_state(direction, kind, before);
 *     switch (tcp_window_check(&step)) …
 *
 * Words of the window check, per side: what it sent last ends before 'end'; 'window_end' is the
 * first sequence number that it may not use; 'window_max' the largest window it offered, scaled.
 *
 * Source: RFC 9293; G. van Rooij, "Real stateful TCP packet filtering in IP Filter", 2000; how
 * Linux nf_conntrack_proto_tcp.c (6.18) behaves. */
#ifndef WANMETER_TRACKER_TCP_H
#define WANMETER_TRACKER_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"
#include "tracker/connection_table.h"
#include "tracker/protocol.h"

/* By the first of RST, SYN (with or without ACK), FIN, ACK that a segment has. NONE: of no segment,
 * so that a connection just made remembers nothing. */
enum tcp_kind {
    TCP_KIND_NONE,
    TCP_KIND_SYN,
    TCP_KIND_SYN_ACK,
    TCP_KIND_FIN,
    TCP_KIND_ACK,
    TCP_KIND_RST,
    TCP_KIND_N,
};

enum tcp_state {
    TCP_NONE,
    TCP_SYN_SENT,
    TCP_SYN_RECV,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
    TCP_CLOSE,
    TCP_SYN_SENT2,
    TCP_STATE_N,
    TCP_IGNORE, /* no state: accepted, without effect */
    TCP_INVALID,
};

enum tcp_side_flag {
    TCP_SIDE_WINDOW_SCALE = 1 << 0,
    TCP_SIDE_SACK = 1 << 1,
    TCP_SIDE_CLOSED_FIRST = 1 << 2,
    TCP_SIDE_LIBERAL = 1 << 3, /* its past is not known: no segment of it is out of window */
    TCP_SIDE_UNACKNOWLEDGED = 1 << 4,
    TCP_SIDE_HAS_ACK_MAX = 1 << 5,
};

/* Of the remembered segment. */
enum tcp_last_flag {
    TCP_LAST_WINDOW_SCALE = TCP_SIDE_WINDOW_SCALE, /* options of a SYN that was ignored */
    TCP_LAST_SACK = TCP_SIDE_SACK,
    TCP_LAST_CHALLENGE_DUE = 1 << 2, /* a SYN in LAST_ACK: its answer acknowledges no FIN */
    TCP_LAST_SIMULTANEOUS = 1 << 3,
    TCP_LAST_OPTIONS = TCP_LAST_WINDOW_SCALE | TCP_LAST_SACK,
};

/* A segment on its way through the module. */
struct tcp_step {
    const struct protocol_context *context;
    const struct connection *connection;
    struct tcp_track *track;
    const struct packet_tcp *header;
    struct tcp_side *sender, *receiver;
    unsigned direction;
    enum tcp_kind kind;
    enum tcp_state before, after;
    uint32_t end; /* the sequence number behind the segment, SYN and FIN counted */
};

static inline bool tcp_is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool tcp_is_after(uint32_t a, uint32_t b)
{
    return tcp_is_before(b, a);
}

/* False: no segment has these flags, or its header is broken. */
bool tcp_is_possible(const struct packet_tcp *header);

enum tcp_kind tcp_kind_of(uint8_t flags);

/* The state that a segment leads to, or TCP_IGNORE, TCP_INVALID. */
enum tcp_state tcp_next_state(unsigned direction, enum tcp_kind kind, enum tcp_state before);

int64_t tcp_timeout_ns(const struct protocol_context *context, enum tcp_state state);

/* What a SYN's options promise; without any options the side stays as it is. */
void tcp_side_take_options(struct tcp_side *side, const struct packet_tcp *header);

enum tcp_window { TCP_WINDOW_GOOD, TCP_WINDOW_IGNORE, TCP_WINDOW_INVALID };

/* Good: both sides are brought up to date. Otherwise nothing changes but that data a little beyond
 * the window is remembered as sent. */
enum tcp_window tcp_window_check(struct tcp_step *step);

/* The same of a TCP_KIND_ACK or TCP_KIND_FIN that lies in the windows of both sides, as most do.
 * False: it is another; nothing changes. */
bool tcp_window_go_on(struct tcp_step *step);

#endif
