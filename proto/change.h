/* change: what somebody asked the trackers to change, as it goes through the pipeline
 * (proto/change.proto).
 *
 *     size = change_encode(&change, room);                    0: it has no room in a descriptor
 *     if (change_decode(bytes, size, &change)) …
 *
 * A change is words, as on a command line: "timeout new short inet tcp established=100". It is put
 * into the streams of all shards at one packet time, and every shard does the same with it; so
 * nothing that only one shard knows may decide what it does, and chance comes from 'seed'. */
#ifndef WANMETER_PROTO_CHANGE_H
#define WANMETER_PROTO_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"

enum { CHANGE_WORDS_MAX = 64, CHANGE_TEXT_MAX = 1536, CHANGE_ANSWER_MAX = 255 };

struct change {
    uint64_t id;
    int64_t time_ns;
    uint32_t pid;
    uint32_t uid;
    uint64_t seed;
    bool is_restored; /* of an earlier run, and recorded then: it is in force before any packet */
    size_t n_words;
    const char *words[CHANGE_WORDS_MAX + 1]; /* into 'text'; NULL after the last */
    char text[CHANGE_TEXT_MAX];              /* the words, each with its NUL */
};

/* What became of it, in one shard. */
struct change_result {
    int error;                          /* errno; 0: done */
    uint64_t count;                     /* what it was done to, in this shard: connections, … */
    char answer[CHANGE_ANSWER_MAX + 1]; /* for people: what was granted, why it was refused */
};

/* Makes 'change' of words (copied); false: too many or too long. Other fields stay. */
bool change_set_words(struct change *change, const char *const *words, size_t n_words);

/* Writes it to 'room' of PACKET_PAYLOAD_MAX bytes; the bytes written, or 0: it does not fit. */
size_t change_encode(const struct change *change, uint8_t *room);

/* False: no change of ours. */
bool change_decode(const uint8_t *bytes, size_t size, struct change *change);

#endif
