/* message: the envelopes between processes (proto/pipeline.proto), checked and as plain structs.
 *
 *     if (message_decode(bytes, size, &message) == MESSAGE_OK) …      a Batch, from a sender
 *     message_release(&message);
 *     bytes = message_encode(&message, &size);                       malloc'ed
 *     reply_encode() / reply_decode() / reply_release()              a Reply, from a receiver
 *
 * Decoding trusts nothing: sizes, ranges, names and packed lengths are checked; a message that is
 * refused changes nothing. Pointers into a decoded message are valid until it is released; packets
 * and packed rows are not copied again, they stay where they came. Not thread-safe. */
#ifndef WANMETER_PROTO_MESSAGE_H
#define WANMETER_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

enum { PRODUCER_NAME_MAX = 63, PIPELINE_VERSION = 2 };

struct stream_id {
    char producer[PRODUCER_NAME_MAX + 1]; /* "capture-0", "tracker-3" */
    uint64_t epoch;
    uint32_t shard;
};

bool stream_id_equal(const struct stream_id *a, const struct stream_id *b);

struct totals {
    uint64_t packets;
    uint64_t l2_bytes;
    uint64_t l3_bytes;
};

/* How far a stream's effect reaches; totals: of the packets applied. */
struct high_water {
    struct stream_id stream;
    int64_t seq;                /* -1: none */
    uint64_t packets_into_next; /* of batch seq + 1 */
    struct totals totals;
    bool is_closed; /* in a welcome: its end is committed, nothing of it is to come */
};

struct stream_loss {
    struct stream_id stream;
    struct loss loss;
};

struct stream_source {
    struct stream_id stream;
    struct source_total total;
};

/* What somebody changed, and what became of it in one shard. */
struct change_line {
    const uint8_t *change; /* encoded (proto/change.h) */
    size_t change_bytes;
    uint32_t error; /* errno; 0: done */
    uint64_t count;
    const char *answer; /* not ended by NUL */
    size_t answer_length;
};

enum message_kind {
    MESSAGE_HELLO,
    MESSAGE_PACKETS,
    MESSAGE_RECORDS,
    MESSAGE_BYE,
    MESSAGE_RESTORE,
    MESSAGE_IN_RING,
};

/* Where a batch is in its sender's ring (ring.h). */
struct batch_place {
    uint64_t offset; /* of its record, in the ring's data */
    uint64_t size;   /* of the batch */
    uint32_t crc;    /* the record's */
};

struct message {
    enum message_kind kind;
    struct stream_id stream;
    int64_t seq;          /* PACKETS and RECORDS: 0, 1, 2, … */
    struct totals totals; /* of the stream, up to and including this batch */
    bool end_of_stream;

    /* HELLO */
    int64_t started_ns;
    int64_t oldest_seq;
    uint64_t predecessor; /* epoch of the stream that this one takes the place of; 0: none */

    uint64_t restore_from;      /* RESTORE */
    struct batch_place in_ring; /* IN_RING */

    /* PACKETS and RECORDS */
    int64_t watermark_ns;
    const struct stream_loss *losses;
    size_t n_losses;
    const struct stream_source *sources;
    size_t n_sources;

    /* PACKETS: descriptors, one after the other (proto/packet.h) */
    const uint8_t *packets;
    size_t packets_size;
    uint32_t n_packets;

    /* RECORDS */
    const struct high_water *applied;
    size_t n_applied;
    const uint8_t *usage; /* n_usage * USAGE_DELTA_SIZE bytes */
    size_t n_usage;
    const uint8_t *flows; /* n_flows * FLOW_RECORD_SIZE bytes */
    size_t n_flows;
    const uint8_t *events; /* n_events * CONNECTION_EVENT_SIZE bytes */
    size_t n_events;
    const struct change_line *changes;
    size_t n_changes;
    const uint8_t *memory; /* the tracker's own */
    size_t memory_size;

    void *owned; /* what message_release() frees */
};

enum message_result {
    MESSAGE_OK,
    MESSAGE_MALFORMED, /* no protobuf of ours, or unknown fields */
    MESSAGE_INVALID,   /* ours, but a value is out of range */
    MESSAGE_NO_MEMORY,
};

/* Copies what it needs of the bytes. */
enum message_result message_decode(const uint8_t *bytes, size_t size, struct message *message);

/* The same of bytes within 'block', which is the message's from now on, also where it is refused,
 * and given to 'release' with it: nothing large is copied. */
enum message_result message_decode_block(void *block, void (*release)(void *block),
                                         const uint8_t *bytes, size_t size,
                                         struct message *message);
void message_release(struct message *message); /* a zeroed one as well */

/* malloc'ed bytes; NULL: no memory. 'owned' is not looked at. */
uint8_t *message_encode(const struct message *message, size_t *size);

/* The same into the room of '*size' bytes that 'take' gives; NULL: no memory, or it gave none. */
typedef uint8_t *(*message_room_fn)(void *state, size_t size);
uint8_t *message_encode_into(const struct message *message, message_room_fn take, void *state,
                             size_t *size);

/* The same of PACKETS whose packets lie where they are to be, at room + MESSAGE_PACKETS_AT: only
 * what stands before and behind them is written. Returns the size; 0: more than 'room_size', or no
 * memory, and nothing was written. What is not packets or lists takes MESSAGE_REST_MAX at most. */
enum { MESSAGE_PACKETS_AT = 12, MESSAGE_REST_MAX = 256 };
size_t message_encode_around(const struct message *message, uint8_t *room, size_t room_size);

enum reply_kind {
    REPLY_WELCOME,
    REPLY_ACK,
    REPLY_RESEND,
    REPLY_INLINE,
    REPLY_SAY_HELLO,
    REPLY_RESTORED,
};

/* A change, encoded (proto/change.h). */
struct change_bytes {
    const uint8_t *bytes;
    size_t size;
};

/* What there was in a tracker's shard when the clock was there: a portion. */
struct restored {
    uint64_t from;
    uint64_t next; /* 0: that was all */
    int64_t clock_ns;
    const struct change_bytes *changes;
    size_t n_changes;
    const uint8_t *flows; /* n_flows * FLOW_RECORD_SIZE bytes */
    size_t n_flows;
    const uint8_t *memory; /* with 'from' 0: the tracker's own, of its last commit point */
    size_t memory_size;
};

struct reply {
    enum reply_kind kind;
    struct stream_id stream;
    int64_t committed_seq;
    int64_t next_seq; /* WELCOME, RESEND and INLINE: what the receiver wants next */

    /* WELCOME, exporter to tracker: the capture streams of its shard, as committed */
    const struct high_water *applied;
    size_t n_applied;
    bool has_restore;

    struct restored restored; /* RESTORED */

    void *owned; /* what reply_release() frees */
};

enum message_result reply_decode(const uint8_t *bytes, size_t size, struct reply *reply);
void reply_release(struct reply *reply);
uint8_t *reply_encode(const struct reply *reply, size_t *size);

#endif
