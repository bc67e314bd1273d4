/* A sender's ring, a file of any bytes, as its receiver reads it: of the batches that it was told
 * the places of, each comes once and in its turn, or is refused, and then all behind it wait.
 *
 * Byte 0 is how many places there are (modulo 8); then for each four bytes: where (in units of
 * RING_ALIGNMENT), how long (in units of 8 bytes), what of it is put right (magic, size and sum, or
 * nothing), and the number that it is said to have. What follows is the ring's data. */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/ring/ring_internal.h"
#include "proto/ring_inbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { PLACES_MAX = 8, PLACE_SIZE = 4, DATA_MAX = 64 * 1024 };

static char path[] = "/tmp/wanmeter-fuzz-inbox-XXXXXX";
static _Alignas(RING_ALIGNMENT) uint8_t file[RING_HEADER_SIZE + DATA_MAX];
static const struct stream_id stream = {.producer = "capture-0", .epoch = 1};

static void clean_up(void)
{
    unlink(path);
}

/* The place as the sender would have told it, if the record lies in the file. */
static void find_place(const uint8_t *told, size_t data_size, struct batch_place *place)
{
    *place = (struct batch_place){.offset = (uint64_t)told[0] * RING_ALIGNMENT,
                                  .size = (uint64_t)told[1] * 8 + told[2] / 2 % 8};
    struct ring_record *record =
        (struct ring_record *)(void *)(file + RING_HEADER_SIZE + place->offset);
    if (place->offset + sizeof *record + place->size > data_size)
        return;
    if (told[2] & 1) {
        record->magic = RING_RECORD_MAGIC;
        record->size = place->size;
        record->crc = ring_record_crc(record);
    }
    place->crc = record->crc;
}

static void make_file(void)
{
    static bool is_made; /* the path does not tell: the name that it is given may end with an X */
    if (is_made)
        return;
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        abort();
    close(descriptor);
    atexit(clean_up);
    is_made = true;
}

static void write_file(size_t size)
{
    make_file();
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(file, 1, size, out) != size)
        abort();
    fclose(out);
}

static void take_all(struct ring_inbox *inbox, const int64_t *numbers)
{
    size_t n_taken = 0;
    struct message message;
    int64_t number;
    enum ring_inbox_result result;
    size_t n = ring_inbox_count(inbox);
    while ((result = ring_inbox_take(inbox, &message, &number)) == RING_INBOX_TAKEN) {
        assert(message.kind == MESSAGE_PACKETS && message.seq == numbers[n_taken]);
        assert(number == message.seq && stream_id_equal(&message.stream, &stream));
        message_release(&message);
        n_taken++;
    }
    assert(ring_inbox_count(inbox) == n - n_taken);
    assert((result == RING_INBOX_EMPTY) == (n_taken == n));
    assert(result == RING_INBOX_EMPTY || number == numbers[n_taken]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct ring_inbox *inbox;
    struct batch_place places[PLACES_MAX];
    int64_t numbers[PLACES_MAX];
    size_t n_places = size > 0 ? bytes[0] % PLACES_MAX : 0;
    size_t head = 1 + n_places * PLACE_SIZE;
    if (size < head)
        return 0;
    size_t data_size = size - head < DATA_MAX ? size - head : DATA_MAX;
    memcpy(file + RING_HEADER_SIZE, bytes + head, data_size);
    for (size_t i = 0; i < n_places; i++) {
        find_place(bytes + 1 + i * PLACE_SIZE, data_size, &places[i]);
        numbers[i] = bytes[1 + i * PLACE_SIZE + 3];
    }
    write_file(RING_HEADER_SIZE + data_size);
    if (ring_inbox_open(path, &stream, &inbox) < 0)
        abort();
    for (size_t i = 0; i < n_places; i++)
        if (!ring_inbox_put(inbox, numbers[i], &places[i]))
            abort();
    take_all(inbox, numbers);
    ring_inbox_close(inbox);
    return 0;
}
