#include "capture/fragment/reassembly_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_UNITS = 64, WORDS_A_BLOCK = REASSEMBLY_UNITS_A_BLOCK / WORD_UNITS };

struct block {
    uint64_t is_there[WORDS_A_BLOCK]; /* a bit a unit */
    uint64_t begins_run[WORDS_A_BLOCK];
    uint8_t bytes[REASSEMBLY_BLOCK_SIZE]; /* of a free block the next free one's number */
};

static_assert(sizeof(struct block) == REASSEMBLY_BLOCK_COST, "as the pool's size is reckoned");

/* Blocks are numbered from 1; 0: none. Those above 'n_touched' are free and were never in use: no
 * memory is touched before it is needed. */
struct reassembly_store {
    struct block *blocks;
    uint16_t first_free; /* of those that were in use */
    uint32_t n_touched;
    uint32_t n_free;
};

static struct block *block_of(const struct reassembly_store *store, uint16_t number)
{
    return &store->blocks[number - 1];
}

static void give_back(struct reassembly_store *store, uint16_t number)
{
    memcpy(block_of(store, number)->bytes, &store->first_free, sizeof store->first_free);
    store->first_free = number;
    store->n_free++;
}

static uint16_t take(struct reassembly_store *store)
{
    uint16_t number = store->first_free;
    if (number == 0)
        number = (uint16_t)++store->n_touched;
    struct block *block = block_of(store, number);
    if (store->first_free != 0)
        memcpy(&store->first_free, block->bytes, sizeof store->first_free);
    memset(block->is_there, 0, sizeof block->is_there);
    memset(block->begins_run, 0, sizeof block->begins_run);
    store->n_free--;
    return number;
}

int reassembly_store_create(size_t n_blocks, struct reassembly_store **out)
{
    assert(n_blocks >= 1 && n_blocks <= REASSEMBLY_BLOCKS_MAX);
    struct reassembly_store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    store->blocks = malloc(n_blocks * sizeof *store->blocks);
    if (!store->blocks) {
        free(store);
        return -ENOMEM;
    }
    store->n_free = (uint32_t)n_blocks;
    *out = store;
    return 0;
}

void reassembly_store_destroy(struct reassembly_store *store)
{
    if (!store)
        return;
    free(store->blocks);
    free(store);
}

void reassembly_store_clear(struct reassembly_bytes *bytes)
{
    memset(bytes, 0, sizeof *bytes);
}

void reassembly_store_release(struct reassembly_store *store, struct reassembly_bytes *bytes)
{
    for (size_t i = 0; i < REASSEMBLY_BLOCKS_A_DATAGRAM; i++)
        if (bytes->blocks[i])
            give_back(store, bytes->blocks[i]);
    reassembly_store_clear(bytes);
}

/* The bits of units 'from' to before 'to' in the word that begins with unit 'word' * WORD_UNITS. */
static uint64_t bits_in_word(uint32_t from, uint32_t to, uint32_t word)
{
    uint32_t begin = word * WORD_UNITS;
    uint64_t mask = UINT64_MAX;
    if (from >= begin + WORD_UNITS)
        return 0;
    if (from > begin)
        mask <<= from - begin;
    if (to < begin + WORD_UNITS)
        mask &= UINT64_MAX >> (begin + WORD_UNITS - to);
    return mask;
}

static uint32_t unit_past(uint32_t to)
{
    return (to + REASSEMBLY_UNIT_SIZE - 1) / REASSEMBLY_UNIT_SIZE;
}

enum reassembly_place reassembly_store_look(const struct reassembly_store *store,
                                            const struct reassembly_bytes *bytes, uint32_t from,
                                            uint32_t to)
{
    uint32_t first = from / REASSEMBLY_UNIT_SIZE, past = unit_past(to);
    bool has_some = false, has_all = true;
    for (uint32_t word = first / WORD_UNITS; word * WORD_UNITS < past; word++) {
        uint64_t mask = bits_in_word(first, past, word);
        uint16_t number = bytes->blocks[word / WORDS_A_BLOCK];
        if (!number) {
            has_all = false;
            continue;
        }
        const struct block *block = block_of(store, number);
        uint64_t there = block->is_there[word % WORDS_A_BLOCK] & mask;
        has_some = has_some || there != 0;
        has_all = has_all && there == mask;
        uint64_t behind_first = bits_in_word(first + 1, past, word);
        if (block->begins_run[word % WORDS_A_BLOCK] & behind_first)
            has_all = false; /* not one run */
    }
    if (!has_some)
        return REASSEMBLY_FREE;
    return has_all ? REASSEMBLY_IN_RUN : REASSEMBLY_OVERLAP;
}

/* Gives every place from 'from' to before 'to' its block; false: there are not enough. */
static bool reserve(struct reassembly_store *store, struct reassembly_bytes *bytes, uint32_t from,
                    uint32_t to)
{
    uint32_t n_missing = 0;
    for (uint32_t i = from / REASSEMBLY_BLOCK_SIZE; i * REASSEMBLY_BLOCK_SIZE < to; i++)
        n_missing += bytes->blocks[i] == 0;
    if (n_missing > store->n_free)
        return false;
    for (uint32_t i = from / REASSEMBLY_BLOCK_SIZE; i * REASSEMBLY_BLOCK_SIZE < to; i++)
        if (!bytes->blocks[i])
            bytes->blocks[i] = take(store);
    return true;
}

bool reassembly_store_put(struct reassembly_store *store, struct reassembly_bytes *bytes,
                          const struct reassembly_piece *piece)
{
    assert(piece->from < piece->to &&
           piece->to <= REASSEMBLY_BLOCKS_A_DATAGRAM * REASSEMBLY_BLOCK_SIZE);
    if (!reserve(store, bytes, piece->from, piece->to))
        return false;
    uint32_t first = piece->from / REASSEMBLY_UNIT_SIZE, past = unit_past(piece->to);
    for (uint32_t word = first / WORD_UNITS; word * WORD_UNITS < past; word++)
        block_of(store, bytes->blocks[word / WORDS_A_BLOCK])->is_there[word % WORDS_A_BLOCK] |=
            bits_in_word(first, past, word);
    if (piece->begins_run)
        block_of(store, bytes->blocks[first / REASSEMBLY_UNITS_A_BLOCK])
            ->begins_run[first / WORD_UNITS % WORDS_A_BLOCK] |= UINT64_C(1) << first % WORD_UNITS;

    uint32_t at = piece->from;
    for (uint32_t done = 0; done < piece->size;) {
        uint32_t in_block = at % REASSEMBLY_BLOCK_SIZE;
        uint32_t n = REASSEMBLY_BLOCK_SIZE - in_block;
        n = n < piece->size - done ? n : piece->size - done;
        uint16_t number = bytes->blocks[at / REASSEMBLY_BLOCK_SIZE];
        memcpy(block_of(store, number)->bytes + in_block, piece->bytes + done, n);
        done += n;
        at += n;
    }
    return true;
}

void reassembly_store_copy(const struct reassembly_store *store,
                           const struct reassembly_bytes *bytes, uint32_t size, uint8_t *room)
{
    for (uint32_t at = 0; at < size; at += REASSEMBLY_BLOCK_SIZE) {
        uint32_t n = size - at < REASSEMBLY_BLOCK_SIZE ? size - at : REASSEMBLY_BLOCK_SIZE;
        memcpy(room + at, block_of(store, bytes->blocks[at / REASSEMBLY_BLOCK_SIZE])->bytes, n);
    }
}
