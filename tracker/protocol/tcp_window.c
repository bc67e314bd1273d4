#include "tracker/protocol/tcp.h"

/* How far behind the other side's data an acknowledgment may be where no larger window was seen. */
enum { ACK_LAG_MAX = 66000 };

/* The segment's numbers, as they count for this check. */
struct numbers {
    uint32_t sequence, end, acknowledgment;
    uint32_t sack; /* the highest that it acknowledges, selectively or not */
    uint32_t window;
};

void tcp_side_take_options(struct tcp_side *side, const struct packet_tcp *header)
{
    if (!(header->options & TCP_OPTION_ANY))
        return;
    side->scale = 0;
    side->flags &= TCP_SIDE_LIBERAL;
    if (header->options & TCP_OPTION_SACK_PERMITTED)
        side->flags |= TCP_SIDE_SACK;
    if (header->options & TCP_OPTION_WINDOW_SCALE) {
        side->flags |= TCP_SIDE_WINDOW_SCALE;
        side->scale = header->window_scale & 15u;
    }
}

static uint32_t at_least_one(uint32_t window)
{
    return window ? window : 1;
}

/* A SYN says where its side begins. Scaling holds only where both sides want it. */
static void begin_side(struct tcp_step *step)
{
    struct tcp_side *sender = step->sender;
    sender->end = sender->window_end = step->end;
    sender->window_max = at_least_one(step->header->window);
    tcp_side_take_options(sender, step->header);
    if (step->direction == FLOW_REPLY &&
        !(sender->flags & step->receiver->flags & TCP_SIDE_WINDOW_SCALE))
        sender->scale = step->receiver->scale = 0;
}

/* The first segment that is seen of this side is in mid-stream. */
static void pick_up_side(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *sender = step->sender, *receiver = step->receiver;
    sender->end = step->end;
    sender->window_max = at_least_one(numbers->window << sender->scale);
    sender->window_end = step->end + sender->window_max;
    if (receiver->window_max == 0)
        receiver->end = receiver->window_end = numbers->sack;
    else if (numbers->sack == receiver->end + 1)
        receiver->end++;
}

/* True: a SYN that has nothing to be checked. */
static bool meet_side(struct tcp_step *step, const struct numbers *numbers)
{
    uint8_t flags = step->header->flags;
    bool is_first = step->sender->window_max == 0;
    if (is_first && !(flags & TCP_SYN)) {
        pick_up_side(step, numbers);
        return false;
    }
    enum tcp_state state = step->connection->protocol_state;
    bool is_opening = state == TCP_SYN_SENT || state == TCP_SYN_RECV;
    bool is_new_syn = (flags & TCP_SYN) && tcp_is_after(step->end, step->sender->end) && is_opening;
    if (!is_first && !is_new_syn)
        return false;
    begin_side(step);
    return !(flags & TCP_ACK) && (is_first || step->direction == FLOW_REPLY);
}

static inline struct numbers read_numbers(const struct tcp_step *step)
{
    const struct packet_tcp *header = step->header;
    bool has_sack = (step->receiver->flags & TCP_SIDE_SACK) && (header->options & TCP_OPTION_SACK);
    return (struct numbers){
        .sequence = header->sequence,
        .end = step->end,
        .acknowledgment = header->acknowledgment,
        .sack = has_sack ? header->sack_right_edge : header->acknowledgment,
        .window = header->window,
    };
}

/* What does not acknowledge counts as acknowledging all; the RST that answers a SYN has no sequence
 * number of its own. */
static void fill_numbers(const struct tcp_step *step, struct numbers *numbers)
{
    uint8_t flags = step->header->flags;
    bool is_reset = flags & TCP_RST;
    if (!(flags & TCP_ACK) || (is_reset && numbers->acknowledgment == 0))
        numbers->acknowledgment = numbers->sack = step->receiver->end;
    if (is_reset && numbers->sequence == 0 && step->connection->protocol_state == TCP_SYN_SENT)
        numbers->sequence = numbers->end = step->sender->end;
}

static bool is_within_received(const struct tcp_step *step, const struct numbers *numbers)
{
    const struct tcp_side *receiver = step->receiver;
    return tcp_is_after(numbers->end, step->sender->end - receiver->window_max - 1);
}

static bool is_recent_ack(const struct tcp_step *step, const struct numbers *numbers)
{
    uint32_t window = step->sender->window_max;
    uint32_t lag_max = window > ACK_LAG_MAX ? window : ACK_LAG_MAX;
    return tcp_is_after(numbers->sack, step->receiver->end - lag_max - 1);
}

/* Beyond the window: a sender may have been told of a larger one in a segment that was not seen. */
static enum tcp_window check_beyond(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *sender = step->sender;
    const struct tcp_side *receiver = step->receiver;
    uint32_t overshot = numbers->end - sender->window_end + 1;
    bool is_little = receiver->window_max && overshot <= receiver->window_max;
    if (!is_little || !is_within_received(step, numbers) || !is_recent_ack(step, numbers) ||
        tcp_is_after(numbers->sack, receiver->end))
        return TCP_WINDOW_INVALID;
    sender->end = numbers->end;
    sender->flags |= TCP_SIDE_UNACKNOWLEDGED;
    return TCP_WINDOW_IGNORE;
}

static enum tcp_window check(struct tcp_step *step, const struct numbers *numbers)
{
    const struct tcp_side *receiver = step->receiver;
    if (tcp_is_after(numbers->sequence, step->sender->window_end))
        return check_beyond(step, numbers);
    if (tcp_is_after(numbers->sack, receiver->end))
        return TCP_WINDOW_INVALID;
    if (receiver->window_max && !is_within_received(step, numbers))
        return TCP_WINDOW_IGNORE;
    return is_recent_ack(step, numbers) ? TCP_WINDOW_GOOD : TCP_WINDOW_IGNORE;
}

/* All of it is in the window, so that widen_receiver() has nothing to do. */
static inline bool is_within_windows(const struct tcp_step *step, const struct numbers *numbers)
{
    const struct tcp_side *sender = step->sender;
    return !tcp_is_after(numbers->sequence, sender->window_end) &&
           !tcp_is_after(numbers->end, sender->window_end) &&
           !tcp_is_after(numbers->sack, step->receiver->end) && is_within_received(step, numbers) &&
           is_recent_ack(step, numbers);
}

static inline void update_sender(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *sender = step->sender;
    uint32_t offered = numbers->window + (numbers->sack - numbers->acknowledgment);
    if (sender->window_max < offered)
        sender->window_max = offered;
    if (tcp_is_after(numbers->end, sender->end)) {
        sender->end = numbers->end;
        sender->flags |= TCP_SIDE_UNACKNOWLEDGED;
    }
}

static inline void update_acknowledged(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *sender = step->sender;
    bool has_max = sender->flags & TCP_SIDE_HAS_ACK_MAX;
    if (has_max && !tcp_is_after(numbers->acknowledgment, sender->ack_max))
        return;
    sender->ack_max = numbers->acknowledgment;
    sender->flags |= TCP_SIDE_HAS_ACK_MAX;
}

static void widen_receiver(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *receiver = step->receiver;
    if (receiver->window_max && tcp_is_after(numbers->end, step->sender->window_end))
        receiver->window_max += numbers->end - step->sender->window_end;
}

static inline void update_receiver(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_side *receiver = step->receiver;
    uint32_t window_end = numbers->sack + numbers->window;
    if (!tcp_is_before(window_end, receiver->window_end))
        receiver->window_end = numbers->window ? window_end : window_end + 1;
    if (numbers->acknowledgment == receiver->end)
        receiver->flags = (uint8_t)(receiver->flags & ~TCP_SIDE_UNACKNOWLEDGED);
}

/* The same acknowledgment once more is a retransmission's trace. Its kind and direction are
 * remembered of every segment that is accepted. */
static inline void remember_ack(struct tcp_step *step, const struct numbers *numbers)
{
    struct tcp_track *track = step->track;
    if (track->last_direction == step->direction && track->last_sequence == numbers->sequence &&
        track->last_acknowledgment == numbers->acknowledgment && track->last_end == numbers->end &&
        track->last_window == step->header->window) {
        track->n_retransmissions++;
        return;
    }
    track->last_sequence = numbers->sequence;
    track->last_acknowledgment = numbers->acknowledgment;
    track->last_end = numbers->end;
    track->last_window = step->header->window;
    track->n_retransmissions = 0;
}

/* What is not good is, of a side that is not held to its window. */
static enum tcp_window pardon(const struct tcp_step *step, enum tcp_window window)
{
    bool is_liberal =
        (step->sender->flags & TCP_SIDE_LIBERAL) || step->context->config->conntrack.tcp_be_liberal;
    return is_liberal ? TCP_WINDOW_GOOD : window;
}

bool tcp_window_go_on(struct tcp_step *step)
{
    struct numbers numbers = read_numbers(step);
    if (step->sender->window_max == 0 || step->receiver->window_max == 0 ||
        !is_within_windows(step, &numbers))
        return false;
    numbers.window <<= step->sender->scale;
    update_sender(step, &numbers);
    update_acknowledged(step, &numbers);
    update_receiver(step, &numbers);
    if (step->kind == TCP_KIND_ACK)
        remember_ack(step, &numbers);
    return true;
}

enum tcp_window tcp_window_check(struct tcp_step *step)
{
    struct numbers numbers = read_numbers(step);
    if (meet_side(step, &numbers))
        return TCP_WINDOW_GOOD;
    fill_numbers(step, &numbers);
    enum tcp_window window = check(step, &numbers);
    if (window != TCP_WINDOW_GOOD)
        return pardon(step, window);
    if (!(step->header->flags & TCP_SYN))
        numbers.window <<= step->sender->scale;
    update_sender(step, &numbers);
    if (step->header->flags & TCP_ACK)
        update_acknowledged(step, &numbers);
    widen_receiver(step, &numbers);
    update_receiver(step, &numbers);
    if (step->kind == TCP_KIND_ACK)
        remember_ack(step, &numbers);
    return TCP_WINDOW_GOOD;
}
