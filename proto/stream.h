/* stream: both ends of one numbered stream of batches, without a socket: what to send, send again,
 * apply, refuse.
 *
 *     sender_push(&sender, bytes, size, true)  keeps a batch until the receiver has committed it
 *     slot = sender_next(&sender)            what to put on the wire now
 *     sender_commit(&sender, seq)            acknowledged: forget
 *     sender_rewind(&sender, next_seq)       a welcome, or a gap: go on from there
 *
 *     receiver_accept(&receiver, epoch, seq) what to do with a batch that came
 *
 * A sender keeps what is not acknowledged, in a ring of bounded bytes. A receiver applies last + 1
 * only. Source: docs/protocol.md. Not thread-safe. */
#ifndef WANMETER_PROTO_STREAM_H
#define WANMETER_PROTO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sender_slot {
    const uint8_t *bytes;
    size_t size;
    void *owner; /* NULL: somebody else's; else given to 'release' once committed */
    void (*release)(void *owner);
};

struct sender {
    struct sender_slot *slots; /* ring, by seq modulo n_slots */
    size_t n_slots;
    size_t held_bytes;
    size_t held_bytes_max;
    int64_t oldest_seq; /* the oldest held; next_seq if none */
    int64_t next_seq;   /* of the next batch pushed */
    int64_t send_seq;   /* the next to go on the wire */
    bool is_welcome;    /* the receiver has answered this connection's hello */
};

/* 0 or -ENOMEM. */
int sender_init(struct sender *sender, size_t held_bytes_max);
void sender_deinit(struct sender *sender);

/* Room for one more batch? A batch may still be pushed without it (a watermark that a peer waits
 * for); the bound is then passed by that batch. */
bool sender_has_room(const struct sender *sender);

/* The stream goes on: everything up to 'seq' is committed. Before the first batch. */
void sender_resume(struct sender *sender, int64_t seq);

/* Takes 'bytes' as batch number next_seq: 'is_owned': they are malloc'ed, and freed once committed;
 * else they stay valid until then. 0 or -ENOMEM (bytes stay the caller's). */
int sender_push(struct sender *sender, const uint8_t *bytes, size_t size, bool is_owned);

/* The same of bytes that 'owner' has: 'release' frees it. NULL: it stays the caller's. */
int sender_push_owned(struct sender *sender, const uint8_t *bytes, size_t size, void *owner,
                      void (*release)(void *owner));

/* The next batch to send; NULL: nothing now. sender_sent() after it went. */
const struct sender_slot *sender_next(const struct sender *sender);
void sender_sent(struct sender *sender);

/* The receiver wants 'next_seq' next (its welcome, or a gap). */
void sender_rewind(struct sender *sender, int64_t next_seq);

/* Everything up to 'seq' is committed at the receiver: forget it. */
void sender_commit(struct sender *sender, int64_t seq);

/* A new connection: nothing goes out before the next welcome. */
void sender_disconnect(struct sender *sender);

static inline bool sender_is_empty(const struct sender *sender)
{
    return sender->oldest_seq == sender->next_seq;
}

enum receiver_verdict {
    RECEIVER_APPLY,     /* last + 1: apply it */
    RECEIVER_DUPLICATE, /* older: acknowledge, ignore */
    RECEIVER_GAP,       /* something is missing before it: ask again from next_seq */
    RECEIVER_FOREIGN,   /* an epoch that no hello announced */
};

struct receiver {
    uint64_t epoch;
    int64_t next_seq;      /* wanted */
    int64_t committed_seq; /* -1: none */
    bool is_known;         /* a hello was seen */
    bool gap_asked;        /* one question a gap */
};

/* A hello of 'epoch': the same epoch goes on where it was; a new one starts at 'resume_seq' + 1
 * (-1: from 0). */
void receiver_hello(struct receiver *receiver, uint64_t epoch, int64_t resume_seq);

/* What came after the last one that is committed is wanted again; the caller asks for it. */
void receiver_rewind(struct receiver *receiver);

/* A batch that was to be applied could not be had: it is wanted again, and the caller asks for it.
 */
void receiver_return(struct receiver *receiver, int64_t seq);

/* Judges a batch; on RECEIVER_APPLY next_seq has moved. */
enum receiver_verdict receiver_accept(struct receiver *receiver, uint64_t epoch, int64_t seq);

#endif
