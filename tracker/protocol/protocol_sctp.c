/* SCTP: each chunk that says something moves the association's state; verification tags tell which
 * packets belong to it. What a chunk did stays, also when a later one of its packet is refused.
 *
 * Source: RFC 9260, sections 5, 8 and 9; how Linux nf_conntrack_proto_sctp.c (6.18) behaves. */
#include "tracker/protocol.h"

enum sctp_state {
    SCTP_STATE_NONE,
    SCTP_CLOSED,
    SCTP_COOKIE_WAIT,
    SCTP_COOKIE_ECHOED,
    SCTP_ESTABLISHED,
    SCTP_SHUTDOWN_SENT,
    SCTP_SHUTDOWN_RECD,
    SCTP_SHUTDOWN_ACK_SENT,
    SCTP_HEARTBEAT_SENT,
    SCTP_STATE_N,
    SCTP_INVALID,
};

enum {
    NO = SCTP_STATE_NONE,
    CL = SCTP_CLOSED,
    CW = SCTP_COOKIE_WAIT,
    CE = SCTP_COOKIE_ECHOED,
    ES = SCTP_ESTABLISHED,
    SS = SCTP_SHUTDOWN_SENT,
    SR = SCTP_SHUTDOWN_RECD,
    SA = SCTP_SHUTDOWN_ACK_SENT,
    HS = SCTP_HEARTBEAT_SENT,
    iv = SCTP_INVALID,
};

static const uint8_t next_states[FLOW_DIRECTIONS][SCTP_CHUNK_N][SCTP_STATE_N] =
    {
        [FLOW_ORIGINAL] =
            {
                /*                          NO  CL  CW  CE  ES  SS  SR  SA  HS */
                [SCTP_INIT] = {CL, CL, CW, CE, ES, CL, CL, SA, CW},
                [SCTP_INIT_ACK] = {CL, CL, CW, CE, ES, SS, SR, SA, CL},
                [SCTP_ABORT] = {CL, CL, CL, CL, CL, CL, CL, CL, CL},
                [SCTP_SHUTDOWN] = {CL, CL, CW, CE, SS, SS, SR, SA, CL},
                [SCTP_SHUTDOWN_ACK] = {SA, CL, CW, CE, ES, SA, SA, SA, SA},
                [SCTP_ERROR] = {CL, CL, CW, CE, ES, SS, SR, SA, CL},
                [SCTP_COOKIE_ECHO] = {CL, CL, CE, CE, ES, SS, SR, SA, CL},
                [SCTP_COOKIE_ACK] = {CL, CL, CW, ES, ES, SS, SR, SA, CL},
                [SCTP_SHUTDOWN_COMPLETE] = {CL, CL, CW, CE, ES, SS, SR, CL, CL},
                [SCTP_HEARTBEAT] = {HS, CL, CW, CE, ES, SS, SR, SA, HS},
                [SCTP_HEARTBEAT_ACK] = {CL, CL, CW, CE, ES, SS, SR, SA, HS},
            },
        [FLOW_REPLY] =
            {
                [SCTP_INIT] = {iv, CL, CW, CE, ES, SS, SR, SA, iv},
                [SCTP_INIT_ACK] = {iv, CW, CW, CE, ES, SS, SR, SA, iv},
                [SCTP_ABORT] = {iv, CL, CL, CL, CL, CL, CL, CL, iv},
                [SCTP_SHUTDOWN] = {iv, CL, CW, CE, SR, SS, SR, SA, iv},
                [SCTP_SHUTDOWN_ACK] = {iv, CL, CW, CE, ES, SA, SA, SA, iv},
                [SCTP_ERROR] = {iv, CL, CW, CL, ES, SS, SR, SA, iv},
                [SCTP_COOKIE_ECHO] = {iv, CL, CE, CE, ES, SS, SR, SA, iv},
                [SCTP_COOKIE_ACK] = {iv, CL, CW, ES, ES, SS, SR, SA, iv},
                [SCTP_SHUTDOWN_COMPLETE] = {iv, CL, CW, CE, ES, SS, SR, CL, iv},
                [SCTP_HEARTBEAT] = {iv, CL, CW, CE, ES, SS, SR, SA, HS},
                [SCTP_HEARTBEAT_ACK] = {iv, CL, CW, CE, ES, SS, SR, SA, ES},
            },
};

static const uint8_t connection_states[SCTP_STATE_N] = {
    [SCTP_STATE_NONE] = STATE_NONE,
    [SCTP_CLOSED] = STATE_CLOSED,
    [SCTP_COOKIE_WAIT] = STATE_COOKIE_WAIT,
    [SCTP_COOKIE_ECHOED] = STATE_COOKIE_ECHOED,
    [SCTP_ESTABLISHED] = STATE_ESTABLISHED,
    [SCTP_SHUTDOWN_SENT] = STATE_SHUTDOWN_SENT,
    [SCTP_SHUTDOWN_RECD] = STATE_SHUTDOWN_RECD,
    [SCTP_SHUTDOWN_ACK_SENT] = STATE_SHUTDOWN_ACK_SENT,
    [SCTP_HEARTBEAT_SENT] = STATE_HEARTBEAT_SENT,
};

/* A packet on its way through the module. */
struct step {
    struct connection *connection;
    struct sctp_track *track;
    const struct packet_sctp *packet;
    uint32_t chunks; /* a bit for each enum sctp_chunk in it */
    unsigned direction;
    unsigned state; /* after the chunks so far */
    bool is_new;
    bool is_ignored; /* not counted, timer as it was */
};

#define BIT(chunk) (1u << (chunk))

static int64_t timeout_of(const struct protocol_context *context, unsigned state)
{
    switch (state) {
    case SCTP_COOKIE_WAIT:
        return context->timeouts->sctp_cookie_wait_ns;
    case SCTP_COOKIE_ECHOED:
        return context->timeouts->sctp_cookie_echoed_ns;
    case SCTP_ESTABLISHED:
        return context->timeouts->sctp_established_ns;
    case SCTP_SHUTDOWN_SENT:
        return context->timeouts->sctp_shutdown_sent_ns;
    case SCTP_SHUTDOWN_RECD:
        return context->timeouts->sctp_shutdown_recd_ns;
    case SCTP_SHUTDOWN_ACK_SENT:
        return context->timeouts->sctp_shutdown_ack_sent_ns;
    case SCTP_HEARTBEAT_SENT:
        return context->timeouts->sctp_heartbeat_sent_ns;
    default:
        return context->timeouts->sctp_closed_ns;
    }
}

/* False: nothing begins like that. */
static bool begin(struct step *step)
{
    const struct packet_sctp *packet = step->packet;
    uint32_t never_first = BIT(SCTP_ABORT) | BIT(SCTP_SHUTDOWN_COMPLETE) | BIT(SCTP_COOKIE_ACK);
    *step->track = (struct sctp_track){0};
    step->connection->protocol_state = SCTP_STATE_NONE;
    if ((step->chunks & never_first) || (packet->marks & (SCTP_HAS_OTHER | SCTP_HAS_SHORT_INIT)) ||
        packet->n_chunks == 0)
        return false;
    if (step->chunks & BIT(SCTP_INIT)) {
        if (packet->verification_tag != 0)
            return false;
        step->track->tags[FLOW_REPLY] = packet->init_tag;
    }
    if (step->chunks & BIT(SCTP_HEARTBEAT))
        step->track->tags[FLOW_ORIGINAL] = packet->verification_tag;
    if (step->chunks & BIT(SCTP_SHUTDOWN_ACK))
        step->track->tags[FLOW_REPLY] = packet->verification_tag;
    return true;
}

/* A HEARTBEAT's tag may be that of a path whose handshake was not seen. False: INVALID. */
static bool take_heartbeat(struct step *step, unsigned chunk, bool *is_passed_over)
{
    struct sctp_track *track = step->track;
    uint32_t tag = step->packet->verification_tag;
    uint32_t *own = &track->tags[step->direction];
    if (*own == 0) {
        *own = tag;
        return true;
    }
    if (*own == tag) {
        track->is_heartbeat_odd = 0;
        return true;
    }
    if ((step->packet->marks & SCTP_HAS_DATA) || step->is_ignored)
        return false;
    if (chunk == SCTP_HEARTBEAT) {
        track->is_heartbeat_odd = 1;
        track->heartbeat_direction = (uint8_t)step->direction;
        step->is_ignored = true;
        *is_passed_over = true;
        return true;
    }
    if (!track->is_heartbeat_odd || track->heartbeat_direction == step->direction)
        return false;
    track->is_heartbeat_odd = 0;
    *own = tag;
    track->tags[1 - step->direction] = 0;
    return true;
}

/* Does a chunk come with the tag that it must have? */
static bool has_right_tag(struct step *step, uint8_t chunk, bool *is_passed_over)
{
    const struct sctp_track *track = step->track;
    uint32_t tag = step->packet->verification_tag;
    switch (chunk & SCTP_CHUNK_MASK) {
    case SCTP_INIT:
        return tag == 0;
    case SCTP_ABORT:
    case SCTP_SHUTDOWN_COMPLETE:
        return tag == track->tags[step->direction ^ !!(chunk & SCTP_CHUNK_T_BIT)];
    case SCTP_COOKIE_ECHO:
        return tag == track->tags[step->direction];
    case SCTP_COOKIE_ACK:
        step->track->has_init[FLOW_ORIGINAL] = step->track->has_init[FLOW_REPLY] = 0;
        return true;
    case SCTP_HEARTBEAT:
    case SCTP_HEARTBEAT_ACK:
        return take_heartbeat(step, chunk & SCTP_CHUNK_MASK, is_passed_over);
    default:
        return true;
    }
}

/* An INIT with the tag on record is a retransmission, not another handshake. */
static bool take_init(struct step *step, unsigned before)
{
    struct sctp_track *track = step->track;
    unsigned direction = step->direction, other = 1 - direction;
    if (step->packet->marks & SCTP_HAS_SHORT_INIT)
        return false;
    if (step->packet->init_tag != track->tags[other] || step->is_new) {
        if (track->has_init[direction] && track->has_init[other])
            track->has_init[other] = 0;
        track->has_init[direction] = 1;
    }
    track->tags[other] = step->packet->init_tag;
    if (before == SCTP_CLOSED && step->state == SCTP_CLOSED && !step->is_new)
        step->is_ignored = true;
    return true;
}

static bool take_init_ack(struct step *step)
{
    struct sctp_track *track = step->track;
    unsigned direction = step->direction, other = 1 - direction;
    if (step->packet->marks & SCTP_HAS_SHORT_INIT)
        return false;
    bool is_other_tag = track->tags[other] != step->packet->init_tag;
    if (!track->has_init[other] && track->tags[other] != 0 && is_other_tag)
        return false;
    if (track->has_init[direction] && track->has_init[other] && is_other_tag)
        return false;
    track->tags[other] = step->packet->init_tag;
    return true;
}

/* False: INVALID. */
static bool take_chunk(struct step *step, uint8_t chunk)
{
    struct connection *connection = step->connection;
    unsigned kind = chunk & SCTP_CHUNK_MASK;
    bool is_passed_over = false;
    if (!has_right_tag(step, chunk, &is_passed_over))
        return false;
    if (is_passed_over)
        return true;
    unsigned before = connection->protocol_state;
    step->state = next_states[step->direction][kind][before];
    if (step->state == SCTP_INVALID)
        return false;
    if (kind == SCTP_INIT && !take_init(step, before))
        return false;
    if (kind == SCTP_INIT_ACK && !take_init_ack(step))
        return false;
    connection->protocol_state = (uint8_t)step->state;
    connection->state = connection_states[step->state];
    if (before != step->state && step->state == SCTP_ESTABLISHED)
        connection->status |= STATUS_ASSURED;
    return true;
}

static uint32_t chunks_of(const struct packet_sctp *packet)
{
    uint32_t chunks = 0;
    for (unsigned i = 0; i < packet->n_chunks; i++)
        chunks |= BIT(packet->chunks[i] & SCTP_CHUNK_MASK);
    return chunks;
}

static enum protocol_verdict on_packet(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns)
{
    enum {
        TAGGED_OTHERWISE = BIT(SCTP_INIT) | BIT(SCTP_SHUTDOWN_COMPLETE) | BIT(SCTP_COOKIE_ECHO) |
                           BIT(SCTP_ABORT) | BIT(SCTP_SHUTDOWN_ACK) | BIT(SCTP_HEARTBEAT) |
                           BIT(SCTP_HEARTBEAT_ACK),
    };
    struct step step = {
        .connection = connection,
        .track = &connection->track.sctp,
        .packet = &packet->sctp,
        .chunks = chunks_of(&packet->sctp),
        .direction = direction,
        .is_new = connection->state == STATE_NONE,
    };
    if (step.is_new && !begin(&step))
        return VERDICT_INVALID;
    if (!(step.chunks & TAGGED_OTHERWISE) &&
        packet->sctp.verification_tag != step.track->tags[direction])
        return VERDICT_INVALID;
    step.state = connection->protocol_state;
    for (unsigned i = 0; i < packet->sctp.n_chunks; i++)
        if (!take_chunk(&step, packet->sctp.chunks[i]))
            return VERDICT_INVALID;
    if (step.is_ignored)
        return VERDICT_IGNORE;
    *timeout_ns = timeout_of(context, step.state);
    return VERDICT_ACCEPT;
}

const struct protocol protocol_sctp = {"sctp", on_packet};

void protocol_sctp_restore(struct connection *connection)
{
    for (unsigned i = SCTP_STATE_NONE; i < SCTP_STATE_N; i++)
        if (connection_states[i] == connection->state)
            connection->protocol_state = (uint8_t)i;
}
