/* TCP: from a segment to a verdict. The state table says where a segment leads (tcp_state.c), some
 * segments need a closer look first (SYN on what is closed, RST), then the window check judges its
 * numbers (tcp_window.c), and what is accepted chooses the timeout.
 *
 * Source: RFC 9293, 5961; how Linux nf_conntrack_proto_tcp.c (6.18) behaves. */
#include <assert.h>

#include "common/timeout_kind.h"
#include "tracker/protocol.h"
#include "tracker/protocol/tcp.h"

/* An out-of-window FIN or RST from both sides shortens only what has this long to live. */
enum { SHORTENED_MIN_S = 120 };

enum look {
    LOOK_CHECK_WINDOW,
    LOOK_ACCEPT,
    LOOK_IGNORE,
    LOOK_INVALID,
    LOOK_REOPEN,
};

/* False: nothing begins like that. */
static bool begin(struct tcp_step *step)
{
    step->after = tcp_next_state(FLOW_ORIGINAL, step->kind, TCP_NONE);
    if (step->after >= TCP_STATE_N)
        return false;
    bool is_handshake = step->after == TCP_SYN_SENT;
    if (!is_handshake && !step->context->config->conntrack.tcp_loose)
        return false;

    struct tcp_side *sender = step->sender;
    *step->track = (struct tcp_track){0};
    sender->end = sender->window_end = step->end;
    sender->window_max = step->header->window ? step->header->window : 1;
    if (is_handshake) {
        tcp_side_take_options(sender, step->header);
        return true;
    }
    sender->window_end += sender->window_max;
    sender->flags = step->receiver->flags = TCP_SIDE_SACK | TCP_SIDE_LIBERAL;
    return true;
}

static inline void remember_kind(const struct tcp_step *step)
{
    step->track->last_kind = step->kind & 7;
    step->track->last_direction = step->direction & 1;
}

static void remember(struct tcp_step *step)
{
    struct tcp_track *track = step->track;
    remember_kind(step);
    track->last_sequence = step->header->sequence;
    track->last_end = step->end;
    track->last_window = step->header->window;
}

/* A SYN that should not be there may be from a connection that was not seen to end: its options are
 * kept until its answer tells. */
static void remember_syn(struct tcp_step *step)
{
    struct tcp_side options = {0};
    tcp_side_take_options(&options, step->header);
    step->sender->syn_scale = options.scale;
    step->track->last_flags = options.flags & TCP_LAST_OPTIONS;
    if (step->before == TCP_LAST_ACK)
        step->track->last_flags |= TCP_LAST_CHALLENGE_DUE;
}

static void forget_flag(struct tcp_track *track, enum tcp_last_flag flag)
{
    track->last_flags = track->last_flags & ~flag & 15;
}

/* The answer to a SYN that was ignored: both sides begin again. */
static void resynchronise(struct tcp_step *step)
{
    struct tcp_track *track = step->track;
    uint8_t scale = track->sides[FLOW_ORIGINAL].syn_scale;
    forget_flag(track, TCP_LAST_CHALLENGE_DUE);
    *step->receiver = (struct tcp_side){
        .end = track->last_end,
        .window_end = track->last_end,
        .window_max = track->last_window ? track->last_window : 1,
        .ack_max = step->receiver->ack_max,
        .scale = scale & 15u,
        .flags = track->last_flags & TCP_LAST_OPTIONS,
    };
    *step->sender = (struct tcp_side){.flags = step->sender->flags & TCP_SIDE_LIBERAL};
    track->sides[FLOW_ORIGINAL].syn_scale = scale & 15u;
    step->before = TCP_SYN_SENT;
    step->after = TCP_SYN_RECV;
}

static enum look look_at_ignored(struct tcp_step *step)
{
    const struct tcp_track *track = step->track;
    if (step->kind == TCP_KIND_SYN_ACK && track->last_kind == TCP_KIND_SYN &&
        track->last_direction != step->direction &&
        step->header->acknowledgment == track->last_end) {
        resynchronise(step);
        return LOOK_CHECK_WINDOW;
    }
    remember(step);
    if (step->kind == TCP_KIND_SYN && step->direction == FLOW_ORIGINAL)
        remember_syn(step);
    if (step->before == TCP_SYN_SENT && step->kind == TCP_KIND_ACK && step->direction == FLOW_REPLY)
        step->track->last_acknowledgment = step->header->acknowledgment;
    return LOOK_IGNORE;
}

static bool is_reopened(const struct tcp_step *step)
{
    const struct tcp_track *track = step->track;
    bool was_closed = (step->sender->flags | step->receiver->flags) & TCP_SIDE_CLOSED_FIRST;
    return was_closed ||
           (track->last_direction == step->direction && track->last_kind == TCP_KIND_RST);
}

enum reset { RESET_BAD, RESET_NEAR, RESET_INEXACT, RESET_UNKNOWN };

/* How a RST's sequence number fits what the other side acknowledged. */
static enum reset judge_reset(const struct tcp_step *step)
{
    const struct tcp_track *track = step->track;
    const struct tcp_side *receiver = step->receiver;
    uint32_t sequence = step->header->sequence;
    if (!(receiver->flags & TCP_SIDE_HAS_ACK_MAX) || track->last_kind == TCP_KIND_SYN)
        return RESET_UNKNOWN;
    bool is_open = step->before == TCP_ESTABLISHED && (step->connection->status & STATUS_ASSURED);
    if (sequence == 0 && !is_open)
        return RESET_NEAR;
    if (tcp_is_before(sequence, receiver->ack_max) &&
        !step->context->config->conntrack.tcp_ignore_invalid_rst)
        return RESET_BAD;
    bool follows_last = track->last_kind == TCP_KIND_ACK &&
                        track->last_direction == step->direction && sequence == track->last_end;
    return !is_open || sequence == receiver->ack_max || follows_last ? RESET_NEAR : RESET_INEXACT;
}

/* Does it answer what was seen last? Then its numbers need not fit. */
static bool answers_last(const struct tcp_step *step)
{
    const struct tcp_track *track = step->track;
    uint32_t status = step->connection->status;
    bool answers_syn = (status & STATUS_SEEN_REPLY) && track->last_kind == TCP_KIND_SYN &&
                       track->last_direction != step->direction;
    bool answers_ack = !(status & STATUS_ASSURED) && track->last_kind == TCP_KIND_ACK;
    if ((answers_syn || answers_ack) && step->header->acknowledgment == track->last_end)
        return true;
    return step->before == TCP_SYN_SENT && track->last_kind == TCP_KIND_ACK &&
           track->last_direction == FLOW_REPLY &&
           step->header->sequence == track->last_acknowledgment;
}

/* A RST inside the window but not at its edge may be an attacker's guess: the connection gets the
 * short timeout, and keeps its state, so that what follows restores it (RFC 5961, section 3). */
static enum look look_at_reset(struct tcp_step *step)
{
    if (step->before == TCP_FIN_WAIT || step->before == TCP_LAST_ACK ||
        step->before == TCP_TIME_WAIT || step->before == TCP_CLOSE ||
        step->before == TCP_CLOSE_WAIT)
        return LOOK_ACCEPT;
    switch (judge_reset(step)) {
    case RESET_BAD:
        return LOOK_INVALID;
    case RESET_NEAR:
        return LOOK_CHECK_WINDOW;
    case RESET_INEXACT:
        step->after = step->before;
        break;
    case RESET_UNKNOWN:
        break;
    }
    return answers_last(step) ? LOOK_ACCEPT : LOOK_CHECK_WINDOW;
}

/* A challenge ACK answers the SYN that came in LAST_ACK; it does not acknowledge the FIN. */
static bool is_challenge(struct tcp_step *step)
{
    struct tcp_track *track = step->track;
    if (step->before != TCP_LAST_ACK || step->kind != TCP_KIND_ACK ||
        track->last_direction == step->direction || track->last_kind != TCP_KIND_SYN ||
        !(track->last_flags & TCP_LAST_CHALLENGE_DUE))
        return false;
    forget_flag(track, TCP_LAST_CHALLENGE_DUE);
    return true;
}

static enum look look_closer(struct tcp_step *step)
{
    if (step->after == TCP_SYN_SENT && step->before >= TCP_TIME_WAIT) {
        if (is_reopened(step))
            return LOOK_REOPEN;
        step->after = TCP_IGNORE;
    }
    switch (step->after) {
    case TCP_IGNORE:
        return look_at_ignored(step);
    case TCP_INVALID:
        return LOOK_INVALID;
    case TCP_TIME_WAIT:
        return is_challenge(step) ? LOOK_IGNORE : LOOK_CHECK_WINDOW;
    case TCP_SYN_SENT2:
        step->track->last_flags |= TCP_LAST_SIMULTANEOUS;
        return LOOK_CHECK_WINDOW;
    case TCP_SYN_RECV:
        if (step->direction == FLOW_REPLY && step->kind == TCP_KIND_ACK &&
            (step->track->last_flags & TCP_LAST_SIMULTANEOUS))
            step->after = TCP_ESTABLISHED;
        return LOOK_CHECK_WINDOW;
    case TCP_CLOSE:
        return step->kind == TCP_KIND_RST ? look_at_reset(step) : LOOK_CHECK_WINDOW;
    default:
        return LOOK_CHECK_WINDOW;
    }
}

/* FINs or RSTs out of the window from both sides, one after the other: an end that was not seen. */
static __attribute__((noinline)) enum protocol_verdict
refuse(struct tcp_step step, const struct packet *packet, int64_t *timeout_ns)
{
    struct tcp_track *track = step.track;
    bool is_end = step.kind == TCP_KIND_RST || step.kind == TCP_KIND_FIN;
    if (!is_end || !(step.connection->status & STATUS_ASSURED))
        return VERDICT_INVALID;
    bool last_is_end = track->last_kind == TCP_KIND_RST || track->last_kind == TCP_KIND_FIN;
    if (track->last_direction == step.direction || !last_is_end) {
        remember_kind(&step);
        return VERDICT_INVALID;
    }
    int64_t left_ns = step.connection->expires_ns - packet->clock_ns;
    int64_t short_ns = step.context->timeouts->tcp_unacknowledged_ns;
    if (left_ns >= SHORTENED_MIN_S * INT64_C(1000000000) && timeout_is_longer(left_ns, short_ns))
        *timeout_ns = short_ns;
    return VERDICT_INVALID;
}

static inline int64_t choose_timeout(const struct tcp_step *step)
{
    const struct protocol_context *context = step->context;
    int64_t timeout_ns = tcp_timeout_ns(context, step->after);
    int64_t retrans_ns = context->timeouts->tcp_max_retrans_ns;
    int64_t unacknowledged_ns = context->timeouts->tcp_unacknowledged_ns;
    bool is_unacknowledged =
        (step->sender->flags | step->receiver->flags) & TCP_SIDE_UNACKNOWLEDGED;
    if (step->track->n_retransmissions >= context->config->conntrack.tcp_max_retrans &&
        timeout_is_longer(timeout_ns, retrans_ns))
        return retrans_ns;
    if (step->kind == TCP_KIND_RST)
        return context->timeouts->tcp_close_ns;
    if (is_unacknowledged && timeout_is_longer(timeout_ns, unacknowledged_ns))
        return unacknowledged_ns;
    if (step->track->last_window == 0 && timeout_is_longer(timeout_ns, retrans_ns))
        return retrans_ns;
    return timeout_ns;
}

static inline void enter_state(const struct tcp_step *step, struct connection *connection)
{
    if (step->before != step->after && step->after == TCP_FIN_WAIT)
        step->sender->flags |= TCP_SIDE_CLOSED_FIRST;
    connection->protocol_state = (uint8_t)step->after;
    connection->state = (uint8_t)(STATE_SYN_SENT + (step->after - TCP_SYN_SENT));
}

static void move_on(struct tcp_step *step, struct connection *connection)
{
    remember_kind(step);
    if (step->header->options & TCP_OPTION_MSS)
        step->sender->mss = (uint16_t)step->header->sack_right_edge;
    enter_state(step, connection);
}

/* Of what goes on in ESTABLISHED, or comes there. Before a reply it has not long to live. */
static inline void meet_open(const struct tcp_step *step, struct connection *connection,
                             int64_t *timeout_ns)
{
    int64_t unacknowledged_ns = step->context->timeouts->tcp_unacknowledged_ns;
    bool was_open = step->before == TCP_SYN_RECV || step->before == TCP_ESTABLISHED;
    if (!(connection->status & STATUS_SEEN_REPLY)) {
        if (timeout_is_longer(*timeout_ns, unacknowledged_ns))
            *timeout_ns = unacknowledged_ns;
    } else if (was_open) {
        connection->status |= STATUS_ASSURED;
    }
}

static enum protocol_verdict accept_segment(struct tcp_step *step, struct connection *connection,
                                            int64_t *timeout_ns)
{
    move_on(step, connection);
    *timeout_ns = choose_timeout(step);
    bool has_reply = connection->status & STATUS_SEEN_REPLY;
    if (step->kind == TCP_KIND_RST && !has_reply) {
        *timeout_ns = 0;
        return VERDICT_CLOSE;
    }
    if (step->kind == TCP_KIND_SYN && step->before == TCP_SYN_SENT && !has_reply) {
        *timeout_ns = 0;
        return VERDICT_IGNORE;
    }
    if (step->after == TCP_ESTABLISHED)
        meet_open(step, connection, timeout_ns);
    return VERDICT_ACCEPT;
}

/* Does the segment acknowledge, carry data or a FIN perhaps, and nothing else? */
static bool is_plain(const struct packet_tcp *header)
{
    return (header->flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK &&
           !(header->options & (TCP_HEADER_INVALID | TCP_OPTION_MSS));
}

/* All but what the segment's flags and the state say. */
static inline struct tcp_step make_step(const struct protocol_context *context,
                                        struct connection *connection, unsigned direction,
                                        const struct packet *packet)
{
    struct tcp_track *track = &connection->track.tcp;
    return (struct tcp_step){
        .context = context,
        .connection = connection,
        .track = track,
        .header = &packet->tcp,
        .sender = &track->sides[direction],
        .receiver = &track->sides[1 - direction],
        .direction = direction,
    };
}

/* ESTABLISHED to TIME_WAIT, where look_closer() would look at nothing; a SYN may have been
 * challenged. */
static bool is_plain_state(enum tcp_state after, const struct tcp_track *track)
{
    return after >= TCP_ESTABLISHED &&
           (after < TCP_TIME_WAIT || (after == TCP_TIME_WAIT && track->last_kind != TCP_KIND_SYN));
}

/* Any segment. */
static __attribute__((noinline)) enum protocol_verdict
judge(const struct protocol_context *context, struct connection *connection, unsigned direction,
      const struct packet *packet, int64_t *timeout_ns)
{
    const struct packet_tcp *header = &packet->tcp;
    struct tcp_step step = make_step(context, connection, direction, packet);
    if (!tcp_is_possible(header))
        return VERDICT_INVALID;
    step.kind = tcp_kind_of(header->flags);
    step.end = header->sequence + header->payload_bytes + !!(header->flags & TCP_SYN) +
               !!(header->flags & TCP_FIN);
    if (connection->state == STATE_NONE) {
        connection->protocol_state = TCP_NONE;
        if (!begin(&step))
            return VERDICT_INVALID;
    }
    step.before = connection->protocol_state;
    step.after = tcp_next_state(step.direction, step.kind, step.before);
    switch (look_closer(&step)) {
    case LOOK_REOPEN:
        return VERDICT_REOPEN;
    case LOOK_IGNORE:
        return VERDICT_IGNORE;
    case LOOK_INVALID:
        return VERDICT_INVALID;
    case LOOK_ACCEPT:
        break;
    case LOOK_CHECK_WINDOW:
        switch (tcp_window_check(&step)) {
        case TCP_WINDOW_INVALID:
            return refuse(step, packet, timeout_ns);
        case TCP_WINDOW_IGNORE:
            return VERDICT_IGNORE;
        case TCP_WINDOW_GOOD:
            break;
        }
    }
    return accept_segment(&step, connection, timeout_ns);
}

/* Of all that a segment may be asked, the window and the timeout are left, which is half of the
 * instructions. */
bool protocol_tcp_go_on(const struct protocol_context *context, struct connection *connection,
                        unsigned direction, const struct packet *packet, int64_t *timeout_ns)
{
    const struct packet_tcp *header = &packet->tcp;
    if (connection->state == STATE_NONE || !is_plain(header))
        return false;
    struct tcp_step step = make_step(context, connection, direction, packet);
    bool is_fin = header->flags & TCP_FIN;
    step.kind = is_fin ? TCP_KIND_FIN : TCP_KIND_ACK;
    step.end = header->sequence + header->payload_bytes + is_fin;
    step.before = connection->protocol_state;
    step.after = tcp_next_state(direction, step.kind, step.before);
    if (!is_plain_state(step.after, step.track) || !tcp_window_go_on(&step))
        return false;
    remember_kind(&step);
    if (step.before != step.after)
        enter_state(&step, connection);
    *timeout_ns = choose_timeout(&step);
    if (step.after == TCP_ESTABLISHED)
        meet_open(&step, connection, timeout_ns);
    return true;
}

static enum protocol_verdict on_packet(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns)
{
    if (protocol_tcp_go_on(context, connection, direction, packet, timeout_ns))
        return VERDICT_ACCEPT;
    return judge(context, connection, direction, packet, timeout_ns);
}

const struct protocol protocol_tcp = {"tcp", on_packet};
