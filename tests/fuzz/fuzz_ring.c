/* A file of any bytes as a ring: opened or refused, and what it is said to hold lies in it. The
 * sums are put right first, or nothing would pass them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/ring/ring_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SIZE_MAX_BYTES = 64 * 1024, BATCH_BYTES = 100 };

static char path[] = "/tmp/wanmeter-fuzz-ring-XXXXXX";
static _Alignas(RING_ALIGNMENT) uint8_t file[RING_HEADER_SIZE + SIZE_MAX_BYTES];
static const struct ring_options options = {.stream = {.producer = "capture-0"},
                                            .data_bytes = SIZE_MAX_BYTES};

static void clean_up(void)
{
    unlink(path);
}

static void mend(size_t data_bytes)
{
    struct ring_header *header = (struct ring_header *)(void *)file;
    header->identity = (struct ring_identity){
        .magic = "wm-ring", .version = RING_VERSION, .data_bytes = data_bytes};
    strcpy(header->identity.producer, options.stream.producer);
    header->identity_crc = ring_identity_crc(&header->identity);
    for (int i = 0; i < 2; i++) {
        header->committed.bases[i].crc = ring_base_crc(&header->committed.bases[i]);
        header->pushed.bases[i].crc = ring_base_crc(&header->pushed.bases[i]);
    }
    for (size_t at = 0; at + sizeof(struct ring_record) <= data_bytes; at += RING_ALIGNMENT) {
        struct ring_record *record = (struct ring_record *)(void *)(file + RING_HEADER_SIZE + at);
        if (record->magic == RING_RECORD_MAGIC && record->size <= data_bytes - at - sizeof *record)
            record->crc = ring_record_crc(record);
    }
}

static void write_file(size_t size)
{
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(file, 1, size, out) != size)
        abort();
    fclose(out);
}

static void look_at(const struct ring *ring)
{
    int64_t seq = ring_committed(ring)->seq;
    for (size_t i = 0; i < ring_n_held(ring); i++) {
        struct ring_batch batch;
        ring_held(ring, i, &batch);
        assert(batch.mark.seq > seq);
        seq = batch.mark.seq;
        assert(batch.bytes >= ring->data && batch.size <= ring->data_bytes &&
               batch.bytes + batch.size <= ring->data + ring->data_bytes);
    }
    assert(ring_last(ring)->seq >= seq);
}

static void push_and_commit(struct ring *ring)
{
    struct ring_mark mark = *ring_last(ring);
    uint8_t *room = mark.seq < INT64_MAX ? ring_reserve(ring, BATCH_BYTES) : NULL;
    if (room) {
        memset(room, 1, BATCH_BYTES);
        mark.seq++;
        ring_push(ring, &mark);
    }
    look_at(ring);
    ring_commit(ring, mark.seq);
    assert(ring_n_held(ring) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (strstr(path, "XXXXXX")) {
        int descriptor = mkstemp(path);
        if (descriptor < 0)
            abort();
        close(descriptor);
        atexit(clean_up);
    }
    if (size <= RING_HEADER_SIZE || size > sizeof file)
        return 0;
    size -= size % RING_ALIGNMENT;
    if (size <= RING_HEADER_SIZE)
        return 0;
    memcpy(file, bytes, size);
    mend(size - RING_HEADER_SIZE);
    write_file(size);
    struct ring *ring;
    if (ring_open(path, &options, &ring) == RING_FOUND) {
        look_at(ring);
        push_and_commit(ring);
        ring_close(ring);
    }
    return 0;
}
