/* What a ring takes of its file system and of the page cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/ring.h"
#include "proto/ring/ring_internal.h"

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024, BATCH_BYTES = 100 * 1024 };

/* A new one in a file that nobody else finds. */
static struct ring *open_ring(const char *directory, size_t data_bytes, bool is_filled_soon)
{
    char path[128];
    struct ring *ring = NULL;
    struct ring_options options = {
        .stream = {.producer = "capture-0", .epoch = 7, .shard = 2},
        .data_bytes = data_bytes,
        .is_filled_soon = is_filled_soon,
    };
    snprintf(path, sizeof path, "%s/wanmeter-test-ring-XXXXXX", directory);
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    unlink(path);
    assert_int_equal(ring_open(path, &options, &ring), RING_NEW);
    unlink(path);
    return ring;
}

static bool push(struct ring *ring)
{
    struct ring_mark mark = {.seq = ring_last(ring)->seq + 1};
    uint8_t *bytes = ring_reserve(ring, BATCH_BYTES);
    if (!bytes)
        return false;
    memset(bytes, 1, BATCH_BYTES);
    return ring_push(ring, &mark) == 0;
}

static void test_a_huge_page_that_is_written_to_has_room_in_the_file_system(void **state)
{
    (void)state;
    struct ring *ring = open_ring("/dev/shm", 5 * 1024 * 1024, false);
    while (push(ring)) {
        assert_true(ring->allocated >= ring->head);
        assert_true((RING_HEADER_SIZE + ring->allocated) % HUGE_PAGE_BYTES == 0 ||
                    ring->allocated == ring->data_bytes);
    }
    assert_int_equal(ring->allocated, ring->data_bytes);
    ring_close(ring);
}

/* On a disk's file system, whose page cache keeps the size of page that it was filled with. */
static void test_opening_a_ring_reads_no_more_of_it_than_a_huge_page(void **state)
{
    (void)state;
    enum { PAGE_BYTES = 4096, DATA_BYTES = 8 * HUGE_PAGE_BYTES };
    static unsigned char is_there[DATA_BYTES / PAGE_BYTES];
    struct ring *ring = open_ring("/tmp", DATA_BYTES, true);
    size_t n_there = 0;
    if (madvise(ring->header, DATA_BYTES, MADV_HUGEPAGE) < 0)
        skip(); /* a kernel without huge pages reads ahead what it likes */
    assert_int_equal(mincore(ring->header, DATA_BYTES, is_there), 0);
    for (size_t i = 0; i < sizeof is_there; i++)
        n_there += is_there[i] & 1;
    assert_in_range(n_there, 1, HUGE_PAGE_BYTES / PAGE_BYTES);
    ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_huge_page_that_is_written_to_has_room_in_the_file_system),
        cmocka_unit_test(test_opening_a_ring_reads_no_more_of_it_than_a_huge_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
