/* reassembly_store: the bytes of incomplete datagrams, in blocks out of one bounded pool.
 *
 *     reassembly_store_create(n_blocks, &store);
 *     reassembly_store_clear(&bytes);                        a datagram's, empty
 *     reassembly_store_look(store, &bytes, from, to);        what is there already?
 *     reassembly_store_put(store, &bytes, &piece);           false: the pool is empty
 *     reassembly_store_copy(store, &bytes, size, room);      once it is whole
 *     reassembly_store_release(store, &bytes);
 *     reassembly_store_destroy(store);
 *
 * A datagram is up to REASSEMBLY_UNITS units of 8 bytes, the unit in which fragments say where they
 * begin. A block holds 128 of them, and for each unit whether it is there and whether a run begins
 * with it: so looking at any fragment costs at most its own units, 64 at a time. Not thread-safe.
 */
#ifndef WANMETER_CAPTURE_REASSEMBLY_STORE_H
#define WANMETER_CAPTURE_REASSEMBLY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REASSEMBLY_UNIT_SIZE = 8,
    REASSEMBLY_UNITS_A_BLOCK = 128,
    REASSEMBLY_BLOCK_SIZE = REASSEMBLY_UNIT_SIZE * REASSEMBLY_UNITS_A_BLOCK,
    /* The largest offset is 65528, and 65535 bytes may follow. */
    REASSEMBLY_BLOCKS_A_DATAGRAM = 128,
    REASSEMBLY_BLOCKS_MAX = 65000,
    REASSEMBLY_BLOCK_COST = REASSEMBLY_BLOCK_SIZE + REASSEMBLY_UNITS_A_BLOCK / 4, /* in memory */
};

struct reassembly_store;

/* Which blocks a datagram has; by place, 0: none. */
struct reassembly_bytes {
    uint16_t blocks[REASSEMBLY_BLOCKS_A_DATAGRAM];
};

struct reassembly_piece {
    const uint8_t *bytes;
    uint32_t size; /* of 'bytes'; may be less than from 'from' to 'to' */
    uint32_t from; /* bytes; a multiple of REASSEMBLY_UNIT_SIZE */
    uint32_t to;   /* past 'from' */
    bool begins_run;
};

enum reassembly_place {
    REASSEMBLY_FREE,    /* nothing of it is there */
    REASSEMBLY_IN_RUN,  /* all of it is there, in one run */
    REASSEMBLY_OVERLAP, /* anything else */
};

/* 'n_blocks': 1 to REASSEMBLY_BLOCKS_MAX. 0 or -ENOMEM. */
int reassembly_store_create(size_t n_blocks, struct reassembly_store **out);
void reassembly_store_destroy(struct reassembly_store *store); /* accepts NULL */

void reassembly_store_clear(struct reassembly_bytes *bytes);
void reassembly_store_release(struct reassembly_store *store, struct reassembly_bytes *bytes);

/* From byte 'from' to before byte 'to', as in struct reassembly_piece. */
enum reassembly_place reassembly_store_look(const struct reassembly_store *store,
                                            const struct reassembly_bytes *bytes, uint32_t from,
                                            uint32_t to);

/* False: nothing is kept, as there are not enough blocks. */
bool reassembly_store_put(struct reassembly_store *store, struct reassembly_bytes *bytes,
                          const struct reassembly_piece *piece);

/* The first 'size' bytes, which are all there, to 'room'. */
void reassembly_store_copy(const struct reassembly_store *store,
                           const struct reassembly_bytes *bytes, uint32_t size, uint8_t *room);

#endif
