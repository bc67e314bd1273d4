#include "proto/uplink.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "proto/stream.h"

struct uplink {
    struct uplink_options options; /* endpoint: our copy */
    struct bus_socket *socket;
    struct sender sender;
    struct ring_mark mark; /* after the last batch pushed */
    uint8_t *room;         /* in the ring, for the next one; NULL: none is reserved */
    size_t room_size;
    bool is_inline;  /* batches of the ring go by the socket, too */
    bool is_damaged; /* one of them is no longer what was put there */
    bool is_hello_sent;
    bool is_asking; /* for what is to be restored, from 'asked' */
    bool is_asked;  /* and has said so */
    uint64_t asked;
    int64_t heard_ms; /* when the other end last answered, or had nothing to answer */
    int64_t alive_ms; /* the same, whatever hellos were said since; or when it was connected */
};

uint64_t uplink_epoch(void)
{
    uint64_t epoch;
    randombytes_buf(&epoch, sizeof epoch);
    return epoch;
}

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What any reply but SAY_HELLO tells, and then what its kind is for. */
static void take_reply(struct uplink *uplink, const struct reply *reply)
{
    const struct uplink_options *options = &uplink->options;
    sender_commit(&uplink->sender, reply->committed_seq);
    if (options->ring)
        ring_commit(options->ring, reply->committed_seq);
    if (reply->kind == REPLY_INLINE && !uplink->is_inline) {
        log_warning("%s: cannot take batches from the ring: they go by the socket",
                    options->endpoint);
        uplink->is_inline = true;
    }
    if (reply->kind == REPLY_WELCOME || reply->kind == REPLY_RESEND || reply->kind == REPLY_INLINE)
        sender_rewind(&uplink->sender, reply->next_seq);
    if (reply->kind == REPLY_WELCOME && options->on_welcome)
        options->on_welcome(options->state, reply);
    if (reply->kind == REPLY_RESTORED && uplink->is_asking &&
        reply->restored.from == uplink->asked) {
        uplink->is_asking = false;
        options->on_restored(options->state, &reply->restored);
    }
    if (options->on_committed) /* of a welcome, too: the acknowledgement before it may be lost */
        options->on_committed(options->state, reply->committed_seq);
}

static void on_reply(void *state, const struct bus_message *incoming)
{
    struct uplink *uplink = state;
    struct reply reply;
    if (reply_decode(incoming->bytes, incoming->size, &reply) != MESSAGE_OK) {
        log_warning("%s: a malformed reply was ignored", uplink->options.endpoint);
        return;
    }
    if (stream_id_equal(&reply.stream, &uplink->options.stream)) {
        uplink->heard_ms = uplink->alive_ms = now_ms();
        if (reply.kind == REPLY_SAY_HELLO) {
            uplink->is_hello_sent = false;
            sender_disconnect(&uplink->sender);
        } else {
            take_reply(uplink, &reply);
        }
    }
    reply_release(&reply);
}

/* ---- what is kept ---- */

static uint8_t *take_frame(void *state, size_t size)
{
    struct bus_frame **frame = state;
    *frame = bus_frame_create(size);
    return *frame ? bus_frame_bytes(*frame) : NULL;
}

/* In memory that the socket sends without a copy of its own. */
static int keep_in_memory(struct uplink *uplink, const struct message *message)
{
    struct bus_frame *frame = NULL;
    size_t size;
    const uint8_t *bytes = message_encode_into(message, take_frame, &frame, &size);
    int result =
        bytes ? sender_push_owned(&uplink->sender, bytes, size, frame, bus_frame_destroy) : -ENOMEM;
    if (result < 0)
        bus_frame_destroy(frame);
    return result;
}

/* ---- what a predecessor left ---- */

/* A batch that was damaged is a batch again: it says what is missing, the first of a gap for all of
 * it. Where the receiver had the first real ones, the rest of the gap is less, and it alone knows
 * how much (measure_gap() in tracker/merge.c). */
static int fill(struct uplink *uplink, const struct totals *totals, const struct loss *loss,
                bool end_of_stream)
{
    struct ring_mark *mark = &uplink->mark;
    struct stream_loss line = {.stream = uplink->options.stream, .loss = *loss};
    mark->seq++;
    mark->totals = *totals;
    struct message message = {
        .kind = MESSAGE_PACKETS,
        .stream = uplink->options.stream,
        .seq = mark->seq,
        .totals = mark->totals,
        .end_of_stream = end_of_stream,
        .watermark_ns = mark->clock_ns,
        .losses = &line,
        .n_losses = 1,
    };
    return keep_in_memory(uplink, &message);
}

/* Up to 'next'; without bytes it is the next one that will be pushed, and its mark else that of the
 * last one that was. */
static int fill_gap(struct uplink *uplink, const struct ring_batch *next)
{
    bool is_end = !next->bytes;
    const struct totals *before = &uplink->mark.totals;
    struct loss loss = {
        .first_ns = uplink->mark.clock_ns,
        .last_ns = next->mark.clock_ns,
        .packets = (int64_t)(next->totals_before.packets - before->packets),
        .l2_bytes = (int64_t)(next->totals_before.l2_bytes - before->l2_bytes),
        .l3_bytes = (int64_t)(next->totals_before.l3_bytes - before->l3_bytes),
        .stage = LOSS_CAPTURE,
        .certainty = LOSS_EXACT,
        .reason = LOSS_REASON_GAP,
    };
    if (loss.first_ns == INT64_MIN)
        loss.first_ns = loss.last_ns;
    snprintf(loss.evidence, sizeof loss.evidence, "batches %" PRId64 " to %" PRId64 " of the ring",
             uplink->mark.seq + 1, next->mark.seq - 1);
    if (is_end)
        uplink->mark.clock_ns = next->mark.clock_ns;
    int result = 0;
    while (result == 0 && uplink->mark.seq + 1 < next->mark.seq) {
        bool end_of_stream =
            is_end && next->mark.has_ended && uplink->mark.seq + 2 == next->mark.seq;
        result = fill(uplink, &next->totals_before, &loss, end_of_stream);
        loss.packets = loss.l2_bytes = loss.l3_bytes = 0;
    }
    return result;
}

/* The newest are damaged, or were in no ring: their numbers are used, and maybe taken. */
static int fill_end(struct uplink *uplink)
{
    const struct ring_mark *last = ring_last(uplink->options.ring);
    struct ring_batch next = {.totals_before = last->totals, .mark = *last};
    next.mark.seq++;
    int result = uplink->mark.seq < last->seq ? fill_gap(uplink, &next) : 0;
    uplink->mark = *last;
    return result;
}

static int resume(struct uplink *uplink)
{
    const struct ring *ring = uplink->options.ring;
    int result = 0;
    uplink->mark = *ring_committed(ring);
    sender_resume(&uplink->sender, uplink->mark.seq);
    for (size_t i = 0; result == 0 && i < ring_n_held(ring); i++) {
        struct ring_batch batch;
        ring_held(ring, i, &batch);
        result = fill_gap(uplink, &batch);
        if (result == 0)
            result = sender_push(&uplink->sender, batch.bytes, batch.size, false);
        uplink->mark = batch.mark;
    }
    if (result == 0)
        result = fill_end(uplink);
    uplink->heard_ms = now_ms();
    return result;
}

int uplink_open(struct bus *bus, const struct uplink_options *options, struct uplink **out)
{
    struct uplink *uplink = calloc(1, sizeof *uplink);
    if (!uplink)
        return -ENOMEM;
    uplink->options = *options;
    uplink->mark = (struct ring_mark){.seq = -1, .clock_ns = INT64_MIN};
    uplink->alive_ms = now_ms();
    uplink->is_inline = !options->ring || !bus_is_local(options->endpoint);
    uplink->options.endpoint = strdup(options->endpoint);
    int result =
        uplink->options.endpoint ? sender_init(&uplink->sender, options->window_bytes) : -ENOMEM;
    if (result == 0 && options->ring)
        result = resume(uplink);
    if (result == 0)
        result = bus_connect(bus, BUS_DEALER, options->endpoint, options->stream.producer, on_reply,
                             uplink, &uplink->socket);
    if (result < 0) {
        uplink_close(uplink);
        return result;
    }
    *out = uplink;
    return 0;
}

void uplink_close(struct uplink *uplink)
{
    if (!uplink)
        return;
    sender_deinit(&uplink->sender);
    free((char *)uplink->options.endpoint);
    free(uplink);
}

uint8_t *uplink_room(struct uplink *uplink, size_t size)
{
    struct ring *ring = uplink->options.ring;
    uplink->room_size = MESSAGE_PACKETS_AT + size + MESSAGE_REST_MAX;
    uplink->room = ring ? ring_reserve(ring, uplink->room_size) : NULL;
    return uplink->room ? uplink->room + MESSAGE_PACKETS_AT : NULL;
}

void uplink_settle(struct uplink *uplink, size_t size)
{
    if (uplink->room)
        ring_settle(uplink->options.ring, MESSAGE_PACKETS_AT, MESSAGE_PACKETS_AT + size);
}

static uint8_t *take_room(void *state, size_t size)
{
    return ring_reserve(state, size);
}

/* The packets lie where the ring's room for them is too small for the rest. */
static uint8_t *move_into_ring(struct ring *ring, const struct message *message, size_t *size)
{
    uint8_t *copy = message_encode(message, size);
    uint8_t *bytes = copy ? ring_reserve(ring, *size) : NULL;
    if (bytes)
        memcpy(bytes, copy, *size);
    free(copy);
    return bytes;
}

static uint8_t *put_into_ring(struct uplink *uplink, const struct message *message, size_t *size)
{
    struct ring *ring = uplink->options.ring;
    if (!uplink->room || message->packets != uplink->room + MESSAGE_PACKETS_AT)
        return message_encode_into(message, take_room, ring, size);
    *size = message_encode_around(message, uplink->room, uplink->room_size);
    if (*size == 0)
        return move_into_ring(ring, message, size);
    ring_trim(ring, *size);
    return uplink->room;
}

/* Into the ring, if there is one with room for it, else into memory. */
static int keep(struct uplink *uplink, const struct message *message, const struct ring_mark *mark)
{
    struct ring *ring = uplink->options.ring;
    size_t size;
    uint8_t *bytes = ring ? put_into_ring(uplink, message, &size) : NULL;
    if (bytes && ring_push(ring, mark) == 0)
        return sender_push(&uplink->sender, bytes, size, false);
    int result = keep_in_memory(uplink, message);
    if (result == 0 && ring)
        ring_skip(ring, mark);
    return result;
}

int uplink_push(struct uplink *uplink, struct message *message, const struct totals *added)
{
    const struct ring_mark *last = &uplink->mark;
    struct ring_mark mark = {
        .seq = uplink->sender.next_seq,
        .totals = {last->totals.packets + added->packets, last->totals.l2_bytes + added->l2_bytes,
                   last->totals.l3_bytes + added->l3_bytes},
        .n_descriptors = last->n_descriptors + message->n_packets,
        .n_losses = last->n_losses + message->n_losses,
        .clock_ns = message->watermark_ns,
        .has_ended = message->end_of_stream,
    };
    message->stream = uplink->options.stream;
    message->seq = mark.seq;
    message->totals = mark.totals;
    if (sender_is_empty(&uplink->sender))
        uplink->heard_ms = uplink->alive_ms = now_ms();
    int result = keep(uplink, message, &mark);
    uplink->room = NULL;
    if (result == 0)
        uplink->mark = mark;
    return result;
}

const struct ring_mark *uplink_mark(const struct uplink *uplink)
{
    return &uplink->mark;
}

bool uplink_has_room(const struct uplink *uplink)
{
    return sender_has_room(&uplink->sender);
}

int64_t uplink_next_seq(const struct uplink *uplink)
{
    return uplink->sender.next_seq;
}

bool uplink_is_whole(const struct uplink *uplink)
{
    return !uplink->is_damaged;
}

size_t uplink_held_bytes(const struct uplink *uplink)
{
    return uplink->sender.held_bytes;
}

bool uplink_is_committed(const struct uplink *uplink)
{
    return sender_is_empty(&uplink->sender);
}

/* True: it went. */
static bool send_message(struct uplink *uplink, const struct message *message)
{
    size_t size;
    uint8_t *bytes = message_encode(message, &size);
    bool is_sent = bytes && bus_send(uplink->socket, NULL, bytes, size) == 0;
    free(bytes);
    return is_sent;
}

/* Sends a message that is no batch; true: it went. */
static bool send_word(struct uplink *uplink, enum message_kind kind)
{
    struct message message = {
        .kind = kind,
        .stream = uplink->options.stream,
        .totals = uplink->mark.totals,
        .started_ns = wall_time_ns(),
        .oldest_seq = uplink->sender.oldest_seq,
        .predecessor = uplink->options.predecessor,
        .restore_from = uplink->asked,
    };
    return send_message(uplink, &message);
}

/* A connection that broke took with it what was on its way, both ways, and ZeroMQ connects again
 * without a word. Who then has nothing more to send would wait for ever. */
static bool is_silent(const struct uplink *uplink, int64_t since_ms, int64_t limit_ms)
{
    bool is_waiting =
        !uplink->sender.is_welcome || !sender_is_empty(&uplink->sender) || uplink->is_asking;
    return is_waiting && now_ms() - since_ms >= limit_ms;
}

/* Hellos alone do not help where ZeroMQ does not connect any more. */
static void connect_again(struct uplink *uplink)
{
    int result = bus_reconnect(uplink->socket, uplink->options.endpoint);
    if (result < 0)
        log_warning("%s: %s", uplink->options.endpoint, strerror(-result));
    uplink->alive_ms = now_ms();
}

static void say_hello(struct uplink *uplink)
{
    if (is_silent(uplink, uplink->alive_ms, UPLINK_RECONNECT_MS))
        connect_again(uplink);
    uplink->is_hello_sent = send_word(uplink, MESSAGE_HELLO);
    uplink->heard_ms = now_ms();
}

void uplink_ask_restored(struct uplink *uplink, uint64_t from)
{
    uplink->asked = from;
    uplink->is_asking = true;
    uplink->is_asked = false;
}

/* Only where it is. */
static bool send_place(struct uplink *uplink, const struct sender_slot *slot)
{
    struct message message = {
        .kind = MESSAGE_IN_RING,
        .stream = uplink->options.stream,
        .seq = uplink->sender.send_seq,
    };
    ring_place_of(uplink->options.ring, slot->bytes, &message.in_ring);
    return send_message(uplink, &message);
}

/* True: it went. What has no owner lies in the ring. */
static bool send_batch(struct uplink *uplink, const struct sender_slot *slot)
{
    if (slot->owner)
        return bus_send_frame(uplink->socket, NULL, slot->owner) == 0;
    if (!uplink->is_inline)
        return send_place(uplink, slot);
    if (!ring_is_whole(slot->bytes, slot->size)) {
        uplink->is_damaged = true;
        return false;
    }
    return bus_send(uplink->socket, NULL, slot->bytes, slot->size) == 0;
}

void uplink_flush(struct uplink *uplink)
{
    if (!uplink->is_hello_sent || is_silent(uplink, uplink->heard_ms, UPLINK_SILENCE_MS)) {
        say_hello(uplink);
        uplink->is_asked = false;
    }
    if (uplink->is_asking && !uplink->is_asked && uplink->sender.is_welcome)
        uplink->is_asked = send_word(uplink, MESSAGE_RESTORE);
    const struct sender_slot *slot;
    while ((slot = sender_next(&uplink->sender)) != NULL && send_batch(uplink, slot))
        sender_sent(&uplink->sender);
}

bool uplink_say_bye(struct uplink *uplink)
{
    return send_word(uplink, MESSAGE_BYE);
}
