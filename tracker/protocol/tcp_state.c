#include "tracker/protocol/tcp.h"

#include <assert.h>
#include <stddef.h>

enum {
    NO = TCP_NONE,
    SS = TCP_SYN_SENT,
    SR = TCP_SYN_RECV,
    ES = TCP_ESTABLISHED,
    FW = TCP_FIN_WAIT,
    CW = TCP_CLOSE_WAIT,
    LA = TCP_LAST_ACK,
    TW = TCP_TIME_WAIT,
    CL = TCP_CLOSE,
    S2 = TCP_SYN_SENT2,
    ig = TCP_IGNORE,
    iv = TCP_INVALID,
};

/* FIN_WAIT, CLOSE_WAIT and LAST_ACK are states of the connection: it does not matter who sent the
 * first FIN. A SYN on TIME_WAIT or CLOSE is looked at further by the module. */
static const uint8_t next_states[FLOW_DIRECTIONS][8][16] =
    {
        [FLOW_ORIGINAL] =
            {
                /*                     NO  SS  SR  ES  FW  CW  LA  TW  CL  S2 */
                [TCP_KIND_NONE] = {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
                [TCP_KIND_SYN] = {SS, SS, ig, ig, ig, ig, ig, SS, SS, S2},
                [TCP_KIND_SYN_ACK] = {iv, iv, SR, iv, iv, iv, iv, iv, iv, SR},
                [TCP_KIND_FIN] = {iv, iv, FW, FW, LA, LA, LA, TW, CL, iv},
                [TCP_KIND_ACK] = {ES, iv, ES, ES, CW, CW, TW, TW, CL, iv},
                [TCP_KIND_RST] = {iv, CL, CL, CL, CL, CL, CL, CL, CL, CL},
            },
        [FLOW_REPLY] =
            {
                [TCP_KIND_NONE] = {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
                [TCP_KIND_SYN] = {iv, S2, iv, iv, iv, iv, iv, SS, iv, S2},
                [TCP_KIND_SYN_ACK] = {iv, SR, ig, ig, ig, ig, ig, ig, ig, SR},
                [TCP_KIND_FIN] = {iv, iv, FW, FW, LA, LA, LA, TW, CL, iv},
                [TCP_KIND_ACK] = {iv, ig, SR, ES, CW, CW, TW, TW, CL, ig},
                [TCP_KIND_RST] = {iv, CL, CL, CL, CL, CL, CL, CL, CL, CL},
            },
};

bool tcp_is_possible(const struct packet_tcp *header)
{
    if (header->options & TCP_HEADER_INVALID)
        return false;
    switch (header->flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG)) {
    case TCP_SYN:
    case TCP_SYN | TCP_URG:
    case TCP_SYN | TCP_ACK:
    case TCP_RST:
    case TCP_RST | TCP_ACK:
    case TCP_FIN | TCP_ACK:
    case TCP_FIN | TCP_ACK | TCP_URG:
    case TCP_ACK:
    case TCP_ACK | TCP_URG:
        return true;
    default:
        return false;
    }
}

enum tcp_kind tcp_kind_of(uint8_t flags)
{
    if (flags & TCP_RST)
        return TCP_KIND_RST;
    if (flags & TCP_SYN)
        return flags & TCP_ACK ? TCP_KIND_SYN_ACK : TCP_KIND_SYN;
    if (flags & TCP_FIN)
        return TCP_KIND_FIN;
    return flags & TCP_ACK ? TCP_KIND_ACK : TCP_KIND_NONE;
}

enum tcp_state tcp_next_state(unsigned direction, enum tcp_kind kind, enum tcp_state before)
{
    assert(direction < FLOW_DIRECTIONS && kind < TCP_KIND_N && before < TCP_STATE_N);
    return next_states[direction][kind][before];
}

static const size_t timeout_offsets[TCP_STATE_N] = {
    [TCP_SYN_SENT] = offsetof(struct timeouts, tcp_syn_sent_ns),
    [TCP_SYN_RECV] = offsetof(struct timeouts, tcp_syn_recv_ns),
    [TCP_ESTABLISHED] = offsetof(struct timeouts, tcp_established_ns),
    [TCP_FIN_WAIT] = offsetof(struct timeouts, tcp_fin_wait_ns),
    [TCP_CLOSE_WAIT] = offsetof(struct timeouts, tcp_close_wait_ns),
    [TCP_LAST_ACK] = offsetof(struct timeouts, tcp_last_ack_ns),
    [TCP_TIME_WAIT] = offsetof(struct timeouts, tcp_time_wait_ns),
    [TCP_CLOSE] = offsetof(struct timeouts, tcp_close_ns),
    [TCP_SYN_SENT2] = offsetof(struct timeouts, tcp_syn_sent2_ns),
};

int64_t tcp_timeout_ns(const struct protocol_context *context, enum tcp_state state)
{
    assert(state > TCP_NONE && state < TCP_STATE_N);
    const char *timeouts = (const char *)context->timeouts;
    return *(const int64_t *)(const void *)(timeouts + timeout_offsets[state]);
}
