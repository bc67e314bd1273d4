/* A ring that is opened again is what its last process pushed and nobody committed, whatever the
 * process was doing when it died, and whatever became of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crc32c.h"
#include "proto/ring.h"
#include "proto/ring/ring_internal.h"

enum { DATA_BYTES = 16 * 1024, BATCH_MAX = 3000 };

static char path[] = "/dev/shm/wanmeter-test-ring-XXXXXX";
static const struct ring_options options = {
    .stream = {.producer = "capture-0", .epoch = 7, .shard = 2}, .data_bytes = DATA_BYTES};

static int set_up(void **state)
{
    (void)state;
    strcpy(strrchr(path, '-') + 1, "XXXXXX");
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return -1;
    close(descriptor);
    return unlink(path);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

/* Batch 'seq' is 'size' bytes of this, counts one packet and its size. */
static uint8_t byte_of(int64_t seq, size_t at)
{
    return (uint8_t)((size_t)seq * 31 + at * 7 + 1);
}

static bool push(struct ring *ring, size_t size)
{
    const struct ring_mark *last = ring_last(ring);
    struct ring_mark mark = *last;
    uint8_t *bytes = ring_reserve(ring, size);
    if (!bytes)
        return false;
    mark.seq++;
    mark.totals.packets++;
    mark.totals.l2_bytes += size;
    mark.n_descriptors++;
    mark.clock_ns = mark.seq;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_of(mark.seq, i);
    assert_int_equal(ring_push(ring, &mark), 0);
    return true;
}

static struct ring *reopen(struct ring *ring, enum ring_found expected)
{
    struct ring *again = NULL;
    ring_close(ring);
    assert_int_equal(ring_open(path, &options, &again), expected);
    return again;
}

/* Every batch held is whole; '*n_missing': numbers that are not there, between them or at the end.
 */
static void check(const struct ring *ring, int64_t *n_missing)
{
    int64_t seq = ring_committed(ring)->seq;
    *n_missing = 0;
    for (size_t i = 0; i < ring_n_held(ring); i++) {
        struct ring_batch batch;
        ring_held(ring, i, &batch);
        assert_true(batch.mark.seq > seq);
        *n_missing += batch.mark.seq - seq - 1;
        seq = batch.mark.seq;
        assert_int_equal(batch.totals_before.packets, seq);
        assert_int_equal(batch.mark.totals.packets, seq + 1);
        for (size_t k = 0; k < batch.size; k++)
            assert_int_equal(batch.bytes[k], byte_of(seq, k));
    }
    *n_missing += ring_last(ring)->seq - seq;
}

static void test_what_was_pushed_and_not_committed_is_found_again(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    for (size_t i = 0; i < 5; i++)
        assert_true(push(ring, 100 + i));
    ring_commit(ring, 1);
    ring_counts(ring)->gathered.packets = 9;
    ring = reopen(ring, RING_FOUND);
    int64_t n_missing;
    check(ring, &n_missing);
    assert_int_equal(n_missing, 0);
    assert_int_equal(ring_n_held(ring), 3);
    assert_int_equal(ring_committed(ring)->totals.l2_bytes, 201);
    assert_int_equal(ring_last(ring)->seq, 4);
    assert_int_equal(ring_counts(ring)->gathered.packets, 9);
    assert_int_equal(ring_stream(ring)->epoch, 7);
    ring_close(ring);
}

static void test_the_epoch_is_that_of_the_file(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    ring_close(ring);
    struct ring_options other = options;
    other.stream.epoch = 8;
    assert_int_equal(ring_open(path, &other, &ring), RING_FOUND);
    assert_int_equal(ring_stream(ring)->epoch, 7);
    ring_close(ring);
}

static void test_another_streams_ring_is_not_touched(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    ring_close(ring);
    struct ring_options other = options;
    other.stream.shard = 3;
    assert_int_equal(ring_open(path, &other, &ring), RING_DAMAGED);
    ring = reopen(NULL, RING_FOUND);
    ring_close(ring);
}

static void test_whatever_is_pushed_and_committed_the_rest_is_found_again(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    srand(1);
    int n_full = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t committed = ring_committed(ring)->seq, last = ring_last(ring)->seq;
        if (rand() % 3 > 0)
            n_full += !push(ring, 1 + (size_t)rand() % BATCH_MAX);
        else if (last > committed)
            ring_commit(ring, committed + 1 + rand() % (last - committed));
        if (rand() % 10 > 0)
            continue;
        size_t n_held = ring_n_held(ring);
        int64_t n_missing;
        ring = reopen(ring, RING_FOUND);
        check(ring, &n_missing);
        assert_int_equal(n_missing, 0);
        assert_int_equal(ring_n_held(ring), n_held);
    }
    assert_true(n_full > 100 && ring_last(ring)->seq > 1000);
    ring_close(ring);
}

static void test_there_is_room_for_what_can_be_reserved_and_no_more(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    assert_true(ring_has_room(ring, DATA_BYTES / 2));
    assert_false(ring_has_room(ring, 2 * DATA_BYTES));
    for (int i = 0; ring_has_room(ring, 500); i++)
        assert_true(push(ring, 500));
    assert_false(push(ring, 500));
    ring_commit(ring, 3);
    assert_true(ring_has_room(ring, 500));
    assert_true(push(ring, 500));
    ring_close(ring);
}

static void test_an_empty_ring_uses_its_beginning_only(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    for (int i = 0; i < 10; i++) {
        assert_true(push(ring, 500));
        ring_commit(ring, i);
        assert_true(ring->head <= 1024);
    }
    ring_close(ring);
}

/* ---- damage ---- */

struct copy {
    uint8_t *bytes;
    size_t size;
};

static struct copy read_file(void)
{
    FILE *file = fopen(path, "rb");
    struct copy copy = {.bytes = malloc(2 * DATA_BYTES)};
    copy.size = fread(copy.bytes, 1, 2 * DATA_BYTES, file);
    fclose(file);
    return copy;
}

static void write_file(const struct copy *copy)
{
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(copy->bytes, 1, copy->size, file), copy->size);
    fclose(file);
}

enum { BATCHES = 4, BATCH_BYTES = 300, RECORD_BYTES = 448 };

/* Batches of BATCH_BYTES; the first is committed. */
static struct copy make_file_of(size_t n_batches)
{
    _Static_assert(sizeof(struct ring_record) + BATCH_BYTES <= RECORD_BYTES, "a record");
    struct ring *ring = reopen(NULL, RING_NEW);
    for (size_t i = 0; i < n_batches; i++)
        assert_true(push(ring, BATCH_BYTES));
    ring_commit(ring, 0);
    ring_close(ring);
    struct copy copy = read_file();
    assert_int_equal(unlink(path), 0);
    return copy;
}

static struct copy make_file(void)
{
    return make_file_of(BATCHES);
}

static void test_a_batch_that_was_being_written_is_not_there(void **state)
{
    (void)state;
    struct copy before = make_file_of(BATCHES - 1); /* the mark of the last is not there yet */
    struct copy whole = make_file();
    memcpy(whole.bytes, before.bytes, RING_HEADER_SIZE);
    struct copy torn = {.bytes = malloc(whole.size), .size = whole.size};
    size_t begin = RING_HEADER_SIZE + (BATCHES - 1) * RECORD_BYTES;
    for (size_t written = 0; written < sizeof(struct ring_record) + BATCH_BYTES; written++) {
        memcpy(torn.bytes, whole.bytes, whole.size);
        memset(torn.bytes + begin + written, 0xee, RECORD_BYTES - written); /* an older lap's */
        write_file(&torn);
        struct ring *ring = reopen(NULL, RING_FOUND);
        int64_t n_missing;
        check(ring, &n_missing);
        assert_int_equal(n_missing, 0);
        assert_int_equal(ring_last(ring)->seq, BATCHES - 2);
        assert_true(push(ring, BATCH_BYTES)); /* the stream goes on */
        ring_close(ring);
    }
    free(torn.bytes);
    free(whole.bytes);
    free(before.bytes);
}

static void test_the_newest_batches_are_damaged_and_their_numbers_are_not_given_again(void **state)
{
    (void)state;
    struct copy file = make_file();
    for (int64_t n = 1; n < BATCHES; n++) {
        size_t at = RING_HEADER_SIZE + (size_t)(BATCHES - n) * RECORD_BYTES;
        file.bytes[at + sizeof(struct ring_record)] ^= 1;
        write_file(&file);
        struct ring *ring = reopen(NULL, RING_FOUND);
        int64_t n_missing;
        check(ring, &n_missing);
        assert_int_equal(n_missing, n);
        assert_int_equal(ring_last(ring)->seq, BATCHES - 1);
        assert_int_equal(ring_last(ring)->totals.packets, BATCHES);
        assert_int_equal(ring_last(ring)->totals.l2_bytes, BATCHES * BATCH_BYTES);
        assert_true(push(ring, BATCH_BYTES)); /* the stream goes on, and the gap stays */
        ring = reopen(ring, RING_FOUND);
        check(ring, &n_missing);
        assert_int_equal(n_missing, n);
        assert_int_equal(ring_last(ring)->seq, BATCHES);
        ring_close(ring);
    }
    free(file.bytes);
}

static void test_batches_that_found_no_room_have_had_their_numbers(void **state)
{
    (void)state;
    struct ring *ring = reopen(NULL, RING_NEW);
    assert_true(push(ring, BATCH_BYTES));
    struct ring_mark mark = *ring_last(ring);
    mark.seq++;
    mark.totals.packets++;
    ring_skip(ring, &mark);
    ring = reopen(ring, RING_FOUND);
    assert_int_equal(ring_last(ring)->seq, 1);
    assert_int_equal(ring_last(ring)->totals.packets, 2);
    assert_int_equal(ring_n_held(ring), 1);
    ring_close(ring);
}

static void test_a_batch_that_is_damaged_is_a_gap_of_known_size(void **state)
{
    (void)state;
    struct copy file = make_file();
    size_t begin = RING_HEADER_SIZE + 2 * RECORD_BYTES;
    for (size_t bit = 0; bit < 8 * (sizeof(struct ring_record) + BATCH_BYTES); bit++) {
        file.bytes[begin + bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(&file);
        file.bytes[begin + bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct ring *ring = reopen(NULL, RING_FOUND);
        int64_t n_missing;
        check(ring, &n_missing);
        assert_int_equal(n_missing, 1);
        assert_int_equal(ring_last(ring)->seq, BATCHES - 1);
        ring_close(ring);
    }
    free(file.bytes);
}

static void test_a_damaged_header_is_noticed_or_does_no_harm(void **state)
{
    (void)state;
    struct copy file = make_file();
    size_t end = offsetof(struct ring_header, counts);
    int n_found = 0;
    for (size_t bit = 0; bit < 8 * end; bit++) {
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(&file);
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct ring *ring = NULL;
        enum ring_found found = ring_open(path, &options, &ring);
        assert_true(found == RING_FOUND || found == RING_DAMAGED);
        if (found == RING_DAMAGED)
            continue;
        int64_t n_missing;
        check(ring, &n_missing);
        assert_int_equal(n_missing, 0);
        assert_int_equal(ring_last(ring)->seq, BATCHES - 1);
        n_found++;
        ring_close(ring);
    }
    assert_true(n_found > 0);
    free(file.bytes);
}

static void test_a_file_of_any_length_is_no_crash(void **state)
{
    (void)state;
    struct copy file = make_file();
    size_t whole = file.size;
    for (file.size = 0; file.size < whole; file.size += 61) {
        write_file(&file);
        struct ring *ring = NULL;
        assert_int_equal(ring_open(path, &options, &ring), RING_DAMAGED);
    }
    free(file.bytes);
}

/* ---- the sum ---- */

static void test_the_sum_is_that_of_the_rfc_by_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        assert_int_equal(crc32c(5, bytes, size), crc32c_by_table(5, bytes, size));
        assert_int_equal(crc32c(crc32c(0, bytes, size), bytes + size, sizeof bytes - size),
                         0x46dd794e);
    }
    static uint8_t many[5000];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = byte_of(1, i);
    for (size_t size = 0; size <= sizeof many; size += size < 300 ? 1 : 7) {
        uint32_t sum = crc32c_by_table(7, many, size);
        assert_int_equal(crc32c(7, many, size), sum);
        assert_int_equal(crc32c_without_vectors(7, many, size), sum);
    }
}

static void test_a_copy_has_the_sum_of_what_was_copied(void **state)
{
    (void)state;
    static uint8_t many[5000], room[sizeof many + 1];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = byte_of(1, i);
    for (size_t size = 0; size < sizeof many; size += size < 300 ? 1 : 7) {
        memset(room, 0, sizeof room);
        assert_int_equal(crc32c_copy(7, many + 1, room, size), crc32c_by_table(7, many + 1, size));
        assert_memory_equal(room, many + 1, size);
        assert_int_equal(room[size], 0);
    }
}

static void test_sums_of_parts_join_to_that_of_the_whole(void **state)
{
    (void)state;
    static uint8_t many[5000];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = byte_of(1, i);
    for (size_t size = 0; size <= sizeof many; size += 37) {
        uint32_t first = crc32c(7, many, size);
        uint32_t second = crc32c(0, many + size, sizeof many - size);
        assert_int_equal(crc32c_join(first, second, sizeof many - size),
                         crc32c(7, many, sizeof many));
    }
}

/* In however many steps, and whatever is written before and behind what was settled. */
static void test_a_batch_that_was_settled_in_part_is_whole(void **state)
{
    (void)state;
    enum { SIZE = 12000, BEGIN = 12 };
    struct ring_options large = options;
    large.data_bytes = 1024 * 1024;
    struct ring *ring;
    assert_int_equal(ring_open(path, &large, &ring), RING_NEW);
    for (size_t step = 100; step < SIZE; step += 1700) {
        struct ring_mark mark = {.seq = ring_last(ring)->seq + 1};
        assert_non_null(ring_reserve(ring, SIZE));
        ring_settle(ring, BEGIN, BEGIN + 3 * CRC32C_PIECE); /* given up with its room */
        uint8_t *bytes = ring_reserve(ring, 2 * SIZE);
        for (size_t at = BEGIN; at < SIZE; at++) {
            bytes[at] = byte_of(mark.seq, at);
            if (at % step == 0)
                ring_settle(ring, BEGIN, at);
        }
        memset(bytes, 1, BEGIN);
        ring_trim(ring, SIZE);
        assert_int_equal(ring_push(ring, &mark), 0);
        assert_true(ring_is_whole(bytes, SIZE));
        bytes[BEGIN + step] ^= 1;
        assert_false(ring_is_whole(bytes, SIZE));
        bytes[BEGIN + step] ^= 1;
    }
    ring_close(ring);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_pushed_and_not_committed_is_found_again),
        CASE(test_the_epoch_is_that_of_the_file),
        CASE(test_another_streams_ring_is_not_touched),
        CASE(test_whatever_is_pushed_and_committed_the_rest_is_found_again),
        CASE(test_there_is_room_for_what_can_be_reserved_and_no_more),
        CASE(test_an_empty_ring_uses_its_beginning_only),
        CASE(test_a_batch_that_was_being_written_is_not_there),
        CASE(test_a_batch_that_is_damaged_is_a_gap_of_known_size),
        CASE(test_the_newest_batches_are_damaged_and_their_numbers_are_not_given_again),
        CASE(test_batches_that_found_no_room_have_had_their_numbers),
        CASE(test_a_damaged_header_is_noticed_or_does_no_harm),
        CASE(test_a_file_of_any_length_is_no_crash),
        CASE(test_a_batch_that_was_settled_in_part_is_whole),
        cmocka_unit_test(test_the_sum_is_that_of_the_rfc_by_both_ways),
        cmocka_unit_test(test_a_copy_has_the_sum_of_what_was_copied),
        cmocka_unit_test(test_sums_of_parts_join_to_that_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
