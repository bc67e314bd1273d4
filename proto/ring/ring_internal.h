/* ring_internal: what the parts of the ring share: the file's layout, and the ring itself. */
#ifndef WANMETER_PROTO_RING_INTERNAL_H
#define WANMETER_PROTO_RING_INTERNAL_H

#include "proto/ring.h"

enum { RING_VERSION = 2, RING_RECORD_MAGIC = 0x636552a5 };

/* What does not change; under a CRC of its own. */
struct ring_identity {
    char magic[8]; /* "wm-ring" */
    uint32_t version;
    uint32_t shard;
    uint64_t epoch;
    uint64_t data_bytes;
    char producer[PRODUCER_NAME_MAX + 1];
};

/* How far the stream is committed or pushed, and where the record after that is, if not at the
 * beginning. There are two of each, written in turn: one is always whole. */
struct ring_base {
    uint32_t crc; /* of what follows */
    uint32_t generation;
    uint64_t offset;
    struct ring_mark mark;
};

/* Which of them is the newer one tells its generation. */
struct ring_base_pair {
    struct ring_base bases[2];
};

struct ring_header {
    struct ring_identity identity;
    uint32_t identity_crc;
    uint32_t reserved;
    struct ring_base_pair committed;
    struct ring_base_pair pushed; /* its offset is not used */
    struct ring_counts counts;
};

struct ring_record {
    uint32_t magic; /* written last */
    uint32_t crc;   /* of what follows, and the batch */
    uint64_t size;  /* of the batch */
    struct totals totals_before;
    struct ring_mark mark;
};

_Static_assert(sizeof(struct ring_mark) == 64, "no padding: it is under a CRC");
_Static_assert(sizeof(struct ring_base) == 80, "no padding: it is under a CRC");
_Static_assert(sizeof(struct ring_identity) == 96, "no padding: it is under a CRC");
_Static_assert(sizeof(struct ring_record) == 104, "no padding: it is under a CRC");
_Static_assert(sizeof(struct ring_header) <= RING_HEADER_SIZE, "the header fits");

/* Where that begins which a record's CRC is of: all behind it, to the batch's end. */
enum { RING_RECORD_SUMMED = offsetof(struct ring_record, size) };

/* Where a batch is that is held. */
struct ring_place {
    uint64_t offset; /* of its record, in the data */
    uint64_t size;   /* with its record, rounded up */
};

struct ring {
    struct ring_header *header; /* the mapping */
    uint8_t *data;
    size_t data_bytes;
    uint64_t allocated; /* of the data: the file system has it */
    uint64_t written;   /* of the data, when it was taken up: there is nothing behind it */
    int descriptor;     /* -1: not open */
    struct stream_id stream;
    struct ring_mark last;
    struct ring_mark committed;
    uint32_t committed_generation, pushed_generation;
    struct ring_place *places; /* of those held: a ring of n_places */
    size_t n_places;
    size_t first_place;
    size_t n_held;
    uint64_t reserved_offset; /* what ring_reserve() gave */
    uint64_t reserved_size;   /* of the batch; 0: nothing */
    size_t settled_begin;     /* what of it is summed already */
    size_t settled_end;
    uint32_t settled_crc;
    uint64_t head; /* end of the last record */
};

/* The size of a record with a batch of 'size' bytes. */
static inline uint64_t ring_record_size(uint64_t size)
{
    uint64_t whole = sizeof(struct ring_record) + size;
    return (whole + RING_ALIGNMENT - 1) / RING_ALIGNMENT * RING_ALIGNMENT;
}

uint32_t ring_identity_crc(const struct ring_identity *identity);
uint32_t ring_base_crc(const struct ring_base *base);
uint32_t ring_record_crc(const struct ring_record *record);

struct ring_place *ring_place(const struct ring *ring, size_t index);
const struct ring_record *ring_record_at(const struct ring *ring, uint64_t offset);

/* 0 or -ENOMEM. */
int ring_add_place(struct ring *ring, uint64_t offset, uint64_t size);

/* Takes up what is in the mapped file. 0; -EBADMSG: the header makes no sense, or it is another
 * stream's; -ENOMEM. */
int ring_recover(struct ring *ring);

#endif
