#include "proto/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/ring/ring_internal.h"

enum { PLACES_AT_START = 64, HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

static const char magic[8] = "wm-ring";

/* ---- sums ---- */

uint32_t ring_identity_crc(const struct ring_identity *identity)
{
    return crc32c(0, identity, sizeof *identity);
}

uint32_t ring_base_crc(const struct ring_base *base)
{
    return crc32c(0, &base->generation, sizeof *base - offsetof(struct ring_base, generation));
}

/* Of the record without its batch: the batch's bytes go on with it. */
static uint32_t head_crc(const struct ring_record *record)
{
    return crc32c(0, (const uint8_t *)record + RING_RECORD_SUMMED,
                  sizeof *record - RING_RECORD_SUMMED);
}

uint32_t ring_record_crc(const struct ring_record *record)
{
    return crc32c(head_crc(record), record + 1, record->size);
}

/* The same of what was reserved, with what was settled. */
static uint32_t reserved_crc(const struct ring *ring, const struct ring_record *record)
{
    const uint8_t *bytes = (const uint8_t *)(record + 1);
    size_t begin = ring->settled_begin, end = ring->settled_end;
    uint32_t crc = crc32c(head_crc(record), bytes, begin);
    crc = crc32c_join(crc, ring->settled_crc, end - begin);
    return crc32c(crc, bytes + end, record->size - end);
}

/* ---- places ---- */

struct ring_place *ring_place(const struct ring *ring, size_t index)
{
    return &ring->places[(ring->first_place + index) % ring->n_places];
}

const struct ring_record *ring_record_at(const struct ring *ring, uint64_t offset)
{
    return (const struct ring_record *)(const void *)(ring->data + offset);
}

static int grow(struct ring *ring)
{
    size_t n = ring->n_places ? 2 * ring->n_places : PLACES_AT_START;
    struct ring_place *places = calloc(n, sizeof *places);
    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < ring->n_held; i++)
        places[i] = *ring_place(ring, i);
    free(ring->places);
    ring->places = places;
    ring->n_places = n;
    ring->first_place = 0;
    return 0;
}

int ring_add_place(struct ring *ring, uint64_t offset, uint64_t size)
{
    if (ring->n_held == ring->n_places && grow(ring) < 0)
        return -ENOMEM;
    ring->n_held++;
    *ring_place(ring, ring->n_held - 1) = (struct ring_place){.offset = offset, .size = size};
    ring->head = offset + size;
    return 0;
}

/* ---- opening ---- */

/* Over the older one of the pair. */
static void put_base(struct ring_base_pair *pair, uint32_t *generation, uint64_t offset,
                     const struct ring_mark *mark)
{
    struct ring_base *base = &pair->bases[++*generation % 2];
    base->generation = *generation;
    base->offset = offset;
    base->mark = *mark;
    base->crc = ring_base_crc(base);
}

static void put_committed(struct ring *ring, uint64_t offset)
{
    put_base(&ring->header->committed, &ring->committed_generation, offset, &ring->committed);
}

static void put_pushed(struct ring *ring)
{
    put_base(&ring->header->pushed, &ring->pushed_generation, 0, &ring->last);
}

static void make(struct ring *ring, const struct ring_options *options)
{
    struct ring_identity *identity = &ring->header->identity;
    *identity = (struct ring_identity){
        .version = RING_VERSION,
        .shard = options->stream.shard,
        .epoch = options->stream.epoch,
        .data_bytes = ring->data_bytes,
    };
    memcpy(identity->magic, magic, sizeof magic);
    memcpy(identity->producer, options->stream.producer, sizeof identity->producer);
    ring->stream = options->stream;
    ring->committed = ring->last = (struct ring_mark){.seq = -1, .clock_ns = INT64_MIN};
    put_committed(ring, 0);
    put_pushed(ring);
    atomic_signal_fence(memory_order_release);
    ring->header->identity_crc = ring_identity_crc(identity);
}

static bool is_ours(const struct ring *ring, const struct ring_options *options)
{
    const struct ring_identity *identity = &ring->header->identity;
    return ring->header->identity_crc == ring_identity_crc(identity) &&
           memcmp(identity->magic, magic, sizeof magic) == 0 && identity->version == RING_VERSION &&
           identity->shard == options->stream.shard && identity->data_bytes == ring->data_bytes &&
           memcmp(identity->producer, options->stream.producer, sizeof identity->producer) == 0;
}

/* A page of a mapping that the file system has no room for ends the process: it is asked before,
 * for whole huge pages. */
static bool allocate(struct ring *ring, uint64_t end)
{
    uint64_t n_pages = (RING_HEADER_SIZE + end + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES;
    uint64_t wanted = n_pages * HUGE_PAGE_BYTES - RING_HEADER_SIZE;
    if (wanted > ring->data_bytes)
        wanted = ring->data_bytes;
    uint64_t from = ring->allocated ? RING_HEADER_SIZE + ring->allocated : 0;
    off_t size = (off_t)(RING_HEADER_SIZE + wanted - from);
    if (fallocate(ring->descriptor, 0, (off_t)from, size) < 0 && errno != EOPNOTSUPP)
        return false;
    ring->allocated = wanted;
    return true;
}

/* Before anything of it is touched: the first touch reads ahead, on some machines 8 MiB, and what
 * is in the page cache by then stays there in small pages. Nor is more than a huge page read ahead;
 * where there is none, page by page would cost more. */
static void expect_all(void *mapping, size_t file_bytes)
{
    if (madvise(mapping, file_bytes, MADV_HUGEPAGE) == 0)
        (void)madvise(mapping, file_bytes, MADV_RANDOM);
}

static bool map(struct ring *ring, const struct ring_options *options, size_t file_bytes)
{
    void *mapping = mmap(NULL, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->descriptor, 0);
    if (mapping == MAP_FAILED)
        return false;
    if (options->is_filled_soon)
        expect_all(mapping, file_bytes);
    ring->header = mapping;
    ring->data = (uint8_t *)mapping + RING_HEADER_SIZE;
    ring->data_bytes = file_bytes - RING_HEADER_SIZE;
    return allocate(ring, 1);
}

/* Memory file systems give a page of its own even to who only looks at a hole, or end the process
 * where they have none left: behind the last that was written nothing is looked at. */
static uint64_t written_bytes(const struct ring *ring)
{
    off_t data = 0, hole = 0;
    while (data >= 0) {
        hole = lseek(ring->descriptor, data, SEEK_HOLE);
        if (hole < 0)
            return ring->data_bytes; /* the file system cannot say */
        data = lseek(ring->descriptor, hole, SEEK_DATA);
    }
    uint64_t end = (uint64_t)hole < RING_HEADER_SIZE ? 0 : (uint64_t)hole - RING_HEADER_SIZE;
    return end < ring->data_bytes ? end : ring->data_bytes;
}

static enum ring_found take_up(struct ring *ring, const struct ring_options *options)
{
    struct stat status;
    if (fstat(ring->descriptor, &status) < 0)
        return RING_FAILED;
    size_t file_bytes = (size_t)status.st_size;
    if (file_bytes <= RING_HEADER_SIZE || file_bytes % RING_ALIGNMENT != 0)
        return RING_DAMAGED;
    if (!map(ring, options, file_bytes))
        return RING_FAILED;
    ring->written = written_bytes(ring);
    if (!is_ours(ring, options))
        return RING_DAMAGED;
    ring->stream = options->stream;
    ring->stream.epoch = ring->header->identity.epoch;
    int result = ring_recover(ring);
    if (result == -ENOMEM)
        errno = ENOMEM;
    return result == 0 ? RING_FOUND : result == -ENOMEM ? RING_FAILED : RING_DAMAGED;
}

/* Under another name until it is whole: a file of the right name that is not was damaged. */
static enum ring_found make_file(struct ring *ring, const char *path,
                                 const struct ring_options *options)
{
    char made[PATH_MAX];
    size_t file_bytes = RING_HEADER_SIZE + ring_record_size(options->data_bytes);
    if (snprintf(made, sizeof made, "%s.new", path) >= (int)sizeof made) {
        errno = ENAMETOOLONG;
        return RING_FAILED;
    }
    ring->descriptor = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ring->descriptor < 0 || ftruncate(ring->descriptor, (off_t)file_bytes) < 0 ||
        !map(ring, options, file_bytes))
        return RING_FAILED;
    make(ring, options);
    return rename(made, path) == 0 ? RING_NEW : RING_FAILED;
}

enum ring_found ring_open(const char *path, const struct ring_options *options, struct ring **out)
{
    struct ring *ring = calloc(1, sizeof *ring);
    enum ring_found found = RING_FAILED;
    if (ring) {
        ring->descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (ring->descriptor >= 0)
            found = take_up(ring, options);
        else if (errno == ENOENT)
            found = make_file(ring, path, options);
    }
    int error = errno;
    if (found == RING_NEW || found == RING_FOUND)
        *out = ring;
    else
        ring_close(ring);
    errno = error;
    return found;
}

void ring_close(struct ring *ring)
{
    if (!ring)
        return;
    if (ring->descriptor >= 0)
        close(ring->descriptor);
    if (ring->header)
        munmap(ring->header, RING_HEADER_SIZE + ring->data_bytes);
    free(ring->places);
    free(ring);
}

/* ---- what there is ---- */

const struct stream_id *ring_stream(const struct ring *ring)
{
    return &ring->stream;
}

struct ring_counts *ring_counts(struct ring *ring)
{
    return &ring->header->counts;
}

const struct ring_mark *ring_last(const struct ring *ring)
{
    return &ring->last;
}

const struct ring_mark *ring_committed(const struct ring *ring)
{
    return &ring->committed;
}

size_t ring_n_held(const struct ring *ring)
{
    return ring->n_held;
}

void ring_held(const struct ring *ring, size_t index, struct ring_batch *batch)
{
    assert(index < ring->n_held);
    const struct ring_record *record = ring_record_at(ring, ring_place(ring, index)->offset);
    *batch = (struct ring_batch){
        .totals_before = record->totals_before,
        .mark = record->mark,
        .bytes = (const uint8_t *)(record + 1),
        .size = record->size,
    };
}

static const struct ring_record *record_of(const uint8_t *bytes)
{
    return (const struct ring_record *)(const void *)bytes - 1;
}

void ring_place_of(const struct ring *ring, const uint8_t *bytes, struct batch_place *place)
{
    const struct ring_record *record = record_of(bytes);
    *place = (struct batch_place){
        .offset = (uint64_t)((const uint8_t *)record - ring->data),
        .size = record->size,
        .crc = record->crc,
    };
}

bool ring_is_whole(const uint8_t *bytes, size_t size)
{
    const struct ring_record *record = record_of(bytes);
    return record->size == size && record->crc == ring_record_crc(record);
}

void ring_path(const char *run_directory, uint32_t worker, uint32_t shard, char *path, size_t size)
{
    snprintf(path, size, "%s/ring-%u-%u", run_directory, worker, shard);
}

/* ---- writing ---- */

/* Where a record of 'size' bytes can be; false: nowhere. Empty: at the beginning, so that a stream
 * that is committed soon uses little memory. */
static bool find_room(const struct ring *ring, uint64_t size, uint64_t *offset)
{
    uint64_t tail = ring->n_held ? ring_place(ring, 0)->offset : 0;
    *offset = ring->n_held ? ring->head : 0;
    if (ring->n_held && ring->head <= tail) /* it has gone round: room up to the oldest */
        return tail - ring->head >= size;
    if (ring->data_bytes - *offset >= size)
        return true;
    *offset = 0;
    return tail >= size;
}

bool ring_has_room(struct ring *ring, size_t size)
{
    uint64_t offset;
    if (!find_room(ring, ring_record_size(size), &offset))
        return false;
    uint64_t end = offset + ring_record_size(size);
    return end <= ring->allocated || allocate(ring, end);
}

uint8_t *ring_reserve(struct ring *ring, size_t size)
{
    assert(size > 0);
    ring->reserved_size = 0;
    ring->settled_begin = ring->settled_end = 0;
    ring->settled_crc = 0;
    if (size > ring->data_bytes || !find_room(ring, ring_record_size(size), &ring->reserved_offset))
        return NULL;
    uint64_t end = ring->reserved_offset + ring_record_size(size);
    if (end > ring->allocated && !allocate(ring, end))
        return NULL;
    ring->reserved_size = size;
    return ring->data + ring->reserved_offset + sizeof(struct ring_record);
}

void ring_settle(struct ring *ring, size_t begin, size_t end)
{
    assert(begin <= end && end <= ring->reserved_size);
    if (ring->settled_end == 0)
        ring->settled_begin = ring->settled_end = begin;
    assert(ring->settled_begin == begin && ring->settled_end <= end);
    size_t size = (end - ring->settled_end) / CRC32C_PIECE * CRC32C_PIECE;
    const uint8_t *bytes = ring->data + ring->reserved_offset + sizeof(struct ring_record);
    ring->settled_crc = crc32c(ring->settled_crc, bytes + ring->settled_end, size);
    ring->settled_end += size;
}

void ring_trim(struct ring *ring, size_t size)
{
    assert(size > 0 && size <= ring->reserved_size && size >= ring->settled_end);
    ring->reserved_size = size;
}

int ring_push(struct ring *ring, const struct ring_mark *mark)
{
    assert(ring->reserved_size > 0 && mark->seq > ring->last.seq);
    uint64_t offset = ring->reserved_offset;
    if (ring_add_place(ring, offset, ring_record_size(ring->reserved_size)) < 0)
        return -ENOMEM;
    struct ring_record *record = (struct ring_record *)(void *)(ring->data + offset);
    record->magic = 0;
    atomic_signal_fence(memory_order_release);
    record->size = ring->reserved_size;
    record->totals_before = ring->last.totals;
    record->mark = *mark;
    record->crc = reserved_crc(ring, record);
    atomic_signal_fence(memory_order_release);
    record->magic = RING_RECORD_MAGIC;
    atomic_signal_fence(memory_order_release);
    ring->last = *mark;
    put_pushed(ring);
    ring->reserved_size = 0;
    return 0;
}

void ring_skip(struct ring *ring, const struct ring_mark *mark)
{
    ring->last = *mark;
    put_pushed(ring);
    ring->reserved_size = 0;
}

void ring_commit(struct ring *ring, int64_t seq)
{
    uint64_t offset = 0;
    bool is_any = false;
    while (ring->n_held) {
        const struct ring_place *place = ring_place(ring, 0);
        const struct ring_record *record = ring_record_at(ring, place->offset);
        if (record->mark.seq > seq)
            break;
        ring->committed = record->mark;
        offset = place->offset + place->size;
        is_any = true;
        ring->first_place = (ring->first_place + 1) % ring->n_places;
        ring->n_held--;
    }
    if (is_any)
        put_committed(ring, ring->n_held ? ring_place(ring, 0)->offset : offset);
}
