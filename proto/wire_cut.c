#include "proto/wire_cut.h"

#include <assert.h>
#include <string.h>

#include "proto/envelope.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum { VARINT_SIZE_MAX = 10, TYPE_BITS = 3, PAYLOAD_BITS = 7, CONTINUED = 0x80 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static bool read_varint(struct reader *reader, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < VARINT_SIZE_MAX && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;
        *value |= (uint64_t)(byte & (CONTINUED - 1)) << (i * PAYLOAD_BITS);
        if (!(byte & CONTINUED))
            return true;
    }
    return false;
}

/* What follows the tag; of WIRE_BYTES '*content' is where it begins. */
static bool skip(struct reader *reader, unsigned type, const uint8_t **content)
{
    uint64_t size;
    *content = reader->at;
    switch (type) {
    case WIRE_VARINT:
        return read_varint(reader, &size);
    case WIRE_64:
        size = sizeof(uint64_t);
        break;
    case WIRE_32:
        size = sizeof(uint32_t);
        break;
    case WIRE_BYTES:
        if (!read_varint(reader, &size))
            return false;
        break;
    default:
        return false;
    }
    if (size > left(reader))
        return false;
    *content = reader->at;
    reader->at += size;
    return true;
}

static struct wire_cut *find_cut(struct wire_cut *cuts, size_t n_cuts, uint64_t tag)
{
    if ((tag & ((1 << TYPE_BITS) - 1)) != WIRE_BYTES)
        return NULL;
    for (size_t i = 0; i < n_cuts; i++)
        if (cuts[i].field == tag >> TYPE_BITS)
            return &cuts[i];
    return NULL;
}

uint8_t *wire_cut(struct arena *arena, const uint8_t *bytes, size_t size, struct wire_cut *cuts,
                  size_t n_cuts, size_t *rest_size)
{
    struct reader reader = {bytes, bytes + size};
    struct {
        const uint8_t *begin, *end;
    } pieces[WIRE_CUTS_MAX + 1]; /* of what is left, up to each cut */
    size_t n_pieces = 0;
    const uint8_t *begin = bytes;
    assert(n_cuts <= WIRE_CUTS_MAX);
    *rest_size = 0;
    while (reader.at < reader.end) {
        const uint8_t *field = reader.at, *content;
        uint64_t tag;
        if (!read_varint(&reader, &tag) || !skip(&reader, tag & ((1 << TYPE_BITS) - 1), &content))
            return NULL;
        struct wire_cut *cut = find_cut(cuts, n_cuts, tag);
        if (!cut)
            continue;
        if (cut->is_there)
            return NULL;
        *cut = (struct wire_cut){cut->field, true, content, (size_t)(reader.at - content)};
        pieces[n_pieces].begin = begin;
        pieces[n_pieces++].end = field;
        *rest_size += (size_t)(field - begin);
        begin = reader.at;
    }
    pieces[n_pieces].begin = begin;
    pieces[n_pieces++].end = reader.end;
    *rest_size += (size_t)(reader.end - begin);

    uint8_t *rest = arena_take(arena, *rest_size);
    for (size_t i = 0, at = 0; rest && i < n_pieces; i++) {
        size_t piece_size = (size_t)(pieces[i].end - pieces[i].begin);
        memcpy(rest + at, pieces[i].begin, piece_size);
        at += piece_size;
    }
    return rest;
}
