/* wire_cut: takes fields out of an encoded protobuf message without unpacking them.
 *
 *     struct wire_cut cuts[] = {{.field = 3}};
 *     rest = wire_cut(arena, bytes, size, cuts, 1, &rest_size);
 *     … cuts[0].bytes … in 'bytes', if cuts[0].is_there; unpack the rest …
 *
 * protobuf-c copies every field of bytes; what is most of a message can be read where it lies. A
 * field that is there twice is refused: the format would have the last one count.
 * Source: Protocol Buffers, "Encoding" (tags, varints, wire types). */
#ifndef WANMETER_PROTO_WIRE_CUT_H
#define WANMETER_PROTO_WIRE_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct wire_cut {
    uint32_t field; /* its number; only of wire type 2: bytes, or a message */
    bool is_there;
    const uint8_t *bytes; /* borrowed, of those that were given; NULL: none */
    size_t size;
};

enum { WIRE_CUTS_MAX = 4 };

/* Looks for each of 'cuts'. Returns what is left without them, a message too, from the arena. NULL:
 * malformed, or no room. */
uint8_t *wire_cut(struct arena *arena, const uint8_t *bytes, size_t size, struct wire_cut *cuts,
                  size_t n_cuts, size_t *rest_size);

#endif
