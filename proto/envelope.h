/* envelope: between the generated protobuf structs and ours; used by message.c and reply.c only.
 *
 * Decoding allocates from one bounded arena: a message cannot make us take more than a fixed
 * multiple of its own size (protobuf-c would make a struct of 100 bytes for 2 bytes on the wire).
 */
#ifndef WANMETER_PROTO_ENVELOPE_H
#define WANMETER_PROTO_ENVELOPE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "pipeline.pb-c.h"
#include "proto/message.h"

/* Numbers of fields in pipeline.proto: of Batch, and of PacketBatch. */
enum { FIELD_PACKET_BATCH = 6, FIELD_PACKETS = 3 };

/* A bump allocator over blocks; what it gave is freed with it. Blocks are taken as they are needed:
 * a batch that waits to be applied holds hardly more than its own bytes. */
struct arena {
    ProtobufCAllocator allocator; /* pass &arena->allocator to protobuf-c */
    size_t left;                  /* of the bound */
    struct arena_block *blocks;   /* the newest first */
    uint8_t *room;                /* of the newest block */
    size_t room_size;
    void *kept; /* what is in it is pointed at */
    void (*release_kept)(void *kept);
};

/* An arena for decoding 'message_size' bytes. NULL: no memory. */
struct arena *arena_create(size_t message_size);
void arena_destroy(struct arena *arena); /* accepts NULL; frees what it keeps */

/* Room aligned for any struct; NULL: the bound is reached. */
void *arena_take(struct arena *arena, size_t size);

/* Has this message or one inside it fields that we do not know? */
bool has_unknown_fields(const ProtobufCMessage *message);

/* From the wire: false if absent or out of range. */
bool stream_from_wire(const Wanmeter__Stream *wire, struct stream_id *stream);
bool totals_from_wire(const Wanmeter__Totals *wire, struct totals *totals);
bool high_water_from_wire(const Wanmeter__HighWater *wire, struct high_water *mark);

/* To the wire: 'wire' points into 'stream' and 'totals', which outlive it. */
void stream_to_wire(const struct stream_id *stream, Wanmeter__Stream *wire);
void totals_to_wire(const struct totals *totals, Wanmeter__Totals *wire);

/* An array of n marks as the generated code wants it, from the arena; NULL: the bound is reached.
 */
Wanmeter__HighWater **high_waters_to_wire(struct arena *arena, const struct high_water *marks,
                                          size_t n_marks);

#endif
