#include "proto/downlink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "proto/ring.h"
#include "proto/ring_inbox.h"
#include "proto/stream.h"

/* What one peer is still to be told. Only the newest of each kind matters. */
struct end {
    struct stream_id stream;
    struct bus_peer peer;
    struct receiver receiver;
    int64_t oldest_seq; /* by its hello */
    bool is_welcome_due;
    bool is_resend_due;
    bool is_inline_due;
    bool is_ack_due;
    uint64_t predecessor;
    bool has_said_bye;
    struct ring_inbox *inbox; /* NULL: nothing has come of a ring yet */
};

enum { PATH_SIZE = 512 };

struct downlink {
    struct downlink_options options; /* endpoint: our copy */
    struct bus_socket *socket;
    struct end *ends;
    bool is_started;
    uint64_t n_malformed;
};

static void on_message(void *state, const struct bus_message *incoming);

int downlink_open(struct bus *bus, const struct downlink_options *options, struct downlink **out)
{
    struct downlink *downlink = calloc(1, sizeof *downlink);
    if (!downlink)
        return -ENOMEM;
    downlink->options = *options;
    downlink->options.endpoint = strdup(options->endpoint);
    downlink->ends = calloc(options->n_streams, sizeof *downlink->ends);
    int result =
        downlink->ends && downlink->options.endpoint
            ? bus_bind(bus, BUS_ROUTER, options->endpoint, on_message, downlink, &downlink->socket)
            : -ENOMEM;
    if (result < 0) {
        downlink_close(downlink);
        return result;
    }
    *out = downlink;
    return 0;
}

void downlink_close(struct downlink *downlink)
{
    if (!downlink)
        return;
    for (size_t i = 0; downlink->ends && i < downlink->options.n_streams; i++)
        ring_inbox_close(downlink->ends[i].inbox);
    free(downlink->ends);
    free((char *)downlink->options.endpoint);
    free(downlink);
}

/* ---- who speaks ---- */

/* The index in "PRODUCER-INDEX"; n_streams: not one of ours. */
static size_t index_of(const struct downlink *downlink, const struct stream_id *stream)
{
    size_t none = downlink->options.n_streams;
    size_t length = strlen(downlink->options.producer);
    if (strncmp(stream->producer, downlink->options.producer, length) != 0 ||
        stream->producer[length] != '-')
        return none;
    const char *digits = stream->producer + length + 1;
    char *end;
    unsigned long index = strtoul(digits, &end, 10);
    if (end == digits || *end || index >= none)
        return none;
    uint32_t shard =
        downlink->options.shard == UINT32_MAX ? (uint32_t)index : downlink->options.shard;
    return stream->shard == shard ? index : none;
}

static void refuse(struct downlink *downlink, const char *why)
{
    if (downlink->n_malformed++ == 0)
        log_warning("%s: a message was refused: %s (further ones are only counted)",
                    downlink->options.endpoint, why);
}

/* ---- answers ---- */

static bool send_reply(struct downlink *downlink, const struct bus_peer *peer,
                       const struct reply *reply)
{
    size_t size;
    uint8_t *bytes = reply_encode(reply, &size);
    int result = bytes ? bus_send(downlink->socket, peer, bytes, size) : -ENOMEM;
    free(bytes);
    return result != -EAGAIN; /* a peer that is gone says hello when it is back */
}

static bool send_welcome(struct downlink *downlink, struct end *end)
{
    size_t index = (size_t)(end - downlink->ends);
    struct high_water resume = {.stream = end->stream, .seq = -1};
    struct reply reply = {.kind = REPLY_WELCOME, .stream = end->stream};
    downlink->options.on_hello(downlink->options.state, index, &end->stream, &resume,
                               &reply.applied, &reply.n_applied);
    if (downlink->options.has_restore)
        reply.has_restore =
            downlink->options.has_restore(downlink->options.state, &end->stream, end->predecessor);
    receiver_hello(&end->receiver, end->stream.epoch, resume.seq);
    end->is_inline_due = false; /* it is asked for again, if there is need */
    reply.committed_seq = end->receiver.committed_seq;
    reply.next_seq = end->receiver.next_seq;
    return send_reply(downlink, &end->peer, &reply);
}

static bool send_due(struct downlink *downlink, struct end *end, enum reply_kind kind)
{
    struct reply reply = {
        .kind = kind,
        .stream = end->stream,
        .committed_seq = end->receiver.committed_seq,
        .next_seq = end->receiver.next_seq,
    };
    return send_reply(downlink, &end->peer, &reply);
}

static bool can_welcome(const struct downlink *downlink, const struct end *end)
{
    const struct downlink_options *options = &downlink->options;
    size_t index = (size_t)(end - downlink->ends);
    return downlink->is_started &&
           (!options->can_welcome || options->can_welcome(options->state, index, &end->stream));
}

/* What does not go out now is asked for again. */
static void send_restored(struct downlink *downlink, struct end *end, uint64_t from)
{
    size_t index = (size_t)(end - downlink->ends);
    struct reply reply = {
        .kind = REPLY_RESTORED,
        .stream = end->stream,
        .committed_seq = end->receiver.committed_seq,
    };
    if (downlink->options.on_restore &&
        downlink->options.on_restore(downlink->options.state, index, from, &reply.restored))
        send_reply(downlink, &end->peer, &reply);
}

void downlink_flush(struct downlink *downlink)
{
    for (size_t i = 0; i < downlink->options.n_streams; i++) {
        struct end *end = &downlink->ends[i];
        if (end->is_welcome_due && can_welcome(downlink, end))
            end->is_welcome_due = !send_welcome(downlink, end);
        if (end->is_welcome_due)
            continue; /* what is known may be of the stream before */
        if (end->is_inline_due)
            end->is_inline_due = !send_due(downlink, end, REPLY_INLINE);
        if (end->is_resend_due)
            end->is_resend_due = !send_due(downlink, end, REPLY_RESEND);
        if (end->is_ack_due)
            end->is_ack_due = !send_due(downlink, end, REPLY_ACK);
    }
}

void downlink_start(struct downlink *downlink)
{
    downlink->is_started = true;
}

void downlink_commit(struct downlink *downlink, size_t index, int64_t seq)
{
    struct end *end = &downlink->ends[index];
    if (seq <= end->receiver.committed_seq)
        return;
    end->receiver.committed_seq = seq;
    end->is_ack_due = true;
}

void downlink_refuse(struct downlink *downlink, size_t index)
{
    struct end *end = &downlink->ends[index];
    receiver_rewind(&end->receiver);
    if (end->inbox)
        ring_inbox_clear(end->inbox);
}

void downlink_want(struct downlink *downlink, size_t index)
{
    struct end *end = &downlink->ends[index];
    if (!end->receiver.is_known)
        return;
    downlink_refuse(downlink, index);
    end->is_resend_due = true;
}

void downlink_keep_alive(struct downlink *downlink)
{
    for (size_t i = 0; i < downlink->options.n_streams; i++)
        downlink->ends[i].is_ack_due |= downlink->ends[i].receiver.is_known;
}

int64_t downlink_oldest_seq(const struct downlink *downlink, size_t index)
{
    return downlink->ends[index].oldest_seq;
}

bool downlink_is_done(const struct downlink *downlink)
{
    for (size_t i = 0; i < downlink->options.n_streams; i++)
        if (!downlink->ends[i].has_said_bye)
            return false;
    return true;
}

uint64_t downlink_n_malformed(const struct downlink *downlink)
{
    return downlink->n_malformed;
}

/* ---- batches that lie in a ring ---- */

/* From this one on the batches themselves are wanted. */
static void ask_inline(struct end *end, int64_t seq)
{
    receiver_return(&end->receiver, seq);
    end->is_inline_due = true;
    if (end->inbox)
        ring_inbox_clear(end->inbox);
}

bool downlink_pull(struct downlink *downlink, size_t index)
{
    struct end *end = &downlink->ends[index];
    struct message message;
    int64_t seq;
    switch (end->inbox ? ring_inbox_take(end->inbox, &message, &seq) : RING_INBOX_EMPTY) {
    case RING_INBOX_TAKEN:
        downlink->options.on_batch(downlink->options.state, index, &message);
        message_release(&message);
        return true;
    case RING_INBOX_EMPTY:
        break;
    case RING_INBOX_FAILED:
        log_warning("%s: batch %" PRId64 " cannot be taken from its ring: it is asked for",
                    ring_inbox_stream(end->inbox)->producer, seq);
        ask_inline(end, seq);
    }
    return false;
}

size_t downlink_n_waiting(const struct downlink *downlink, size_t index)
{
    const struct end *end = &downlink->ends[index];
    return end->inbox ? ring_inbox_count(end->inbox) : 0;
}

static void pull_all(struct downlink *downlink, size_t index)
{
    while (downlink_pull(downlink, index))
        ;
}

/* A stream that another one takes the place of has none waiting any more. */
static bool open_inbox(struct downlink *downlink, struct end *end)
{
    size_t index = (size_t)(end - downlink->ends);
    char path[PATH_SIZE];
    if (end->inbox && stream_id_equal(ring_inbox_stream(end->inbox), &end->stream))
        return true;
    ring_inbox_close(end->inbox);
    end->inbox = NULL;
    if (!downlink->options.ring_directory)
        return false;
    ring_path(downlink->options.ring_directory, (uint32_t)index, end->stream.shard, path,
              sizeof path);
    int result = ring_inbox_open(path, &end->stream, &end->inbox);
    if (result < 0)
        log_warning("%s: %s: its batches are asked for", path, strerror(-result));
    return result == 0;
}

static void take_place(struct downlink *downlink, struct end *end, const struct message *message)
{
    if (!open_inbox(downlink, end)) {
        ask_inline(end, message->seq);
        return;
    }
    if (ring_inbox_put(end->inbox, message->seq, &message->in_ring))
        return;
    pull_all(downlink, (size_t)(end - downlink->ends)); /* too many wait */
    if (end->receiver.next_seq == message->seq + 1 &&
        !ring_inbox_put(end->inbox, message->seq, &message->in_ring))
        ask_inline(end, message->seq);
}

/* ---- what comes ---- */

/* Those before it may wait in a ring; if one of them is missing, it will come again. */
static void take_whole(struct downlink *downlink, struct end *end, struct message *message)
{
    size_t index = (size_t)(end - downlink->ends);
    pull_all(downlink, index);
    if (end->receiver.next_seq == message->seq + 1)
        downlink->options.on_batch(downlink->options.state, index, message);
}

static void take_batch(struct downlink *downlink, struct end *end, struct message *message)
{
    switch (receiver_accept(&end->receiver, message->stream.epoch, message->seq)) {
    case RECEIVER_APPLY:
        if (message->kind == MESSAGE_IN_RING)
            take_place(downlink, end, message);
        else
            take_whole(downlink, end, message);
        break;
    case RECEIVER_DUPLICATE:
        end->is_ack_due = true;
        break;
    case RECEIVER_GAP:
        end->is_resend_due = !end->receiver.gap_asked;
        end->receiver.gap_asked = true;
        break;
    case RECEIVER_FOREIGN:
        break; /* belongs_to() has seen to it */
    }
}

/* Is it of the stream that this peer has said hello for? */
static bool belongs_to(const struct end *end, const struct bus_peer *peer,
                       const struct message *message)
{
    return end->receiver.is_known && stream_id_equal(&message->stream, &end->stream) &&
           peer->size == end->peer.size && memcmp(peer->id, end->peer.id, peer->size) == 0;
}

/* Whoever it is must begin with a hello; what is known of the real stream stays as it is. */
static void ask_for_hello(struct downlink *downlink, const struct bus_peer *peer,
                          const struct message *message)
{
    struct reply reply = {.kind = REPLY_SAY_HELLO, .stream = message->stream, .committed_seq = -1};
    send_reply(downlink, peer, &reply);
    refuse(downlink, "it is of a stream that has not said hello");
}

static void take_message(struct downlink *downlink, const struct bus_peer *peer,
                         struct message *message)
{
    size_t index = index_of(downlink, &message->stream);
    if (index == downlink->options.n_streams) {
        refuse(downlink, "it is of a stream that is not expected here");
        return;
    }
    struct end *end = &downlink->ends[index];
    if (message->kind == MESSAGE_HELLO) {
        end->stream = message->stream;
        end->predecessor = message->predecessor;
        end->peer = *peer;
        end->oldest_seq = message->oldest_seq;
        end->is_welcome_due = true;
    } else if (!belongs_to(end, peer, message)) {
        ask_for_hello(downlink, peer, message);
    } else if (message->kind == MESSAGE_RESTORE) {
        send_restored(downlink, end, message->restore_from);
    } else if (message->kind == MESSAGE_BYE) {
        end->has_said_bye = true;
    } else {
        take_batch(downlink, end, message);
    }
}

/* Decoded where it lies. */
static enum message_result decode(const struct bus_message *incoming, struct message *message)
{
    struct bus_frame *frame = bus_frame_take(incoming);
    *message = (struct message){0};
    if (!frame)
        return MESSAGE_NO_MEMORY;
    return message_decode_block(frame, bus_frame_destroy, bus_frame_bytes(frame),
                                bus_frame_size(frame), message);
}

static void on_message(void *state, const struct bus_message *incoming)
{
    struct downlink *downlink = state;
    struct message message;
    switch (decode(incoming, &message)) {
    case MESSAGE_OK:
        take_message(downlink, incoming->peer, &message);
        break;
    case MESSAGE_MALFORMED:
        refuse(downlink, "it is no message of this protocol");
        break;
    case MESSAGE_INVALID:
        refuse(downlink, "a value in it is out of range");
        break;
    case MESSAGE_NO_MEMORY:
        refuse(downlink, "there is no memory for it");
        break;
    }
    message_release(&message);
}
