#include "proto/uplink.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "proto/stream.h"

struct uplink {
    struct uplink_options options; /* endpoint: our copy */
    struct bus_socket *socket;
    struct sender sender;
    struct totals totals;
    bool is_hello_sent;
    bool is_asking; /* for what is to be restored, from 'asked' */
    bool is_asked;  /* and has said so */
    uint64_t asked;
    int64_t heard_ms; /* when the other end last answered, or had nothing to answer */
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
    if (reply->kind == REPLY_WELCOME || reply->kind == REPLY_RESEND)
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
        uplink->heard_ms = now_ms();
        if (reply.kind == REPLY_SAY_HELLO) {
            uplink->is_hello_sent = false;
            sender_disconnect(&uplink->sender);
        } else {
            take_reply(uplink, &reply);
        }
    }
    reply_release(&reply);
}

int uplink_open(struct bus *bus, const struct uplink_options *options, struct uplink **out)
{
    struct uplink *uplink = calloc(1, sizeof *uplink);
    if (!uplink)
        return -ENOMEM;
    uplink->options = *options;
    uplink->options.endpoint = strdup(options->endpoint);
    int result =
        uplink->options.endpoint ? sender_init(&uplink->sender, options->window_bytes) : -ENOMEM;
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

int uplink_push(struct uplink *uplink, struct message *message, const struct totals *added)
{
    struct totals totals = {
        .packets = uplink->totals.packets + added->packets,
        .l2_bytes = uplink->totals.l2_bytes + added->l2_bytes,
        .l3_bytes = uplink->totals.l3_bytes + added->l3_bytes,
    };
    message->stream = uplink->options.stream;
    message->seq = uplink->sender.next_seq;
    message->totals = totals;
    size_t size;
    uint8_t *bytes = message_encode(message, &size);
    if (!bytes)
        return -ENOMEM;
    if (sender_is_empty(&uplink->sender))
        uplink->heard_ms = now_ms();
    if (sender_push(&uplink->sender, bytes, size) < 0) {
        free(bytes);
        return -ENOMEM;
    }
    uplink->totals = totals;
    return 0;
}

bool uplink_has_room(const struct uplink *uplink)
{
    return sender_has_room(&uplink->sender);
}

int64_t uplink_next_seq(const struct uplink *uplink)
{
    return uplink->sender.next_seq;
}

size_t uplink_held_bytes(const struct uplink *uplink)
{
    return uplink->sender.held_bytes;
}

bool uplink_is_committed(const struct uplink *uplink)
{
    return sender_is_empty(&uplink->sender);
}

/* Sends a message that is no batch; true: it went. */
static bool send_word(struct uplink *uplink, enum message_kind kind)
{
    struct message message = {
        .kind = kind,
        .stream = uplink->options.stream,
        .totals = uplink->totals,
        .started_ns = wall_time_ns(),
        .oldest_seq = uplink->sender.oldest_seq,
        .predecessor = uplink->options.predecessor,
        .restore_from = uplink->asked,
    };
    size_t size;
    uint8_t *bytes = message_encode(&message, &size);
    bool is_sent = bytes && bus_send(uplink->socket, NULL, bytes, size) == 0;
    free(bytes);
    return is_sent;
}

/* A connection that broke took with it what was on its way, both ways, and ZeroMQ connects again
 * without a word. Who then has nothing more to send would wait for ever. */
static bool is_unanswered(const struct uplink *uplink)
{
    bool is_waiting =
        !uplink->sender.is_welcome || !sender_is_empty(&uplink->sender) || uplink->is_asking;
    return is_waiting && now_ms() - uplink->heard_ms >= UPLINK_SILENCE_MS;
}

static void say_hello(struct uplink *uplink)
{
    uplink->is_hello_sent = send_word(uplink, MESSAGE_HELLO);
    uplink->heard_ms = now_ms();
}

void uplink_ask_restored(struct uplink *uplink, uint64_t from)
{
    uplink->asked = from;
    uplink->is_asking = true;
    uplink->is_asked = false;
}

void uplink_flush(struct uplink *uplink)
{
    if (!uplink->is_hello_sent || is_unanswered(uplink)) {
        say_hello(uplink);
        uplink->is_asked = false;
    }
    if (uplink->is_asking && !uplink->is_asked && uplink->sender.is_welcome)
        uplink->is_asked = send_word(uplink, MESSAGE_RESTORE);
    const uint8_t *bytes;
    size_t size;
    while (sender_next(&uplink->sender, &bytes, &size) &&
           bus_send(uplink->socket, NULL, bytes, size) == 0)
        sender_sent(&uplink->sender);
}

bool uplink_say_bye(struct uplink *uplink)
{
    return send_word(uplink, MESSAGE_BYE);
}
