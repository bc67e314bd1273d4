/* A file that is cut while it is copied from costs the copy, not the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crc32c.h"
#include "proto/ring/ring_view.h"

enum { SIZE = 64 * 1024, HALF = SIZE / 2 };

struct world {
    int descriptor;
    struct ring_view view;
    uint8_t room[SIZE];
};

static void open_world(struct world *world)
{
    char path[] = "/tmp/wanmeter-test-view-XXXXXX";
    world->descriptor = mkstemp(path);
    assert_true(world->descriptor >= 0);
    unlink(path);
    memset(world->room, 7, SIZE);
    assert_int_equal(write(world->descriptor, world->room, SIZE), SIZE);
    memset(world->room, 0, SIZE);
    assert_int_equal(ring_view_open(world->descriptor, &world->view), 0);
}

static void close_world(struct world *world)
{
    ring_view_close(&world->view);
    close(world->descriptor);
}

static void test_what_is_there_is_copied(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    assert_true(ring_view_copy(&world.view, 1, world.room, SIZE - 1, NULL));
    assert_int_equal(world.room[0], 7);
    assert_int_equal(world.room[SIZE - 2], 7);
    assert_true(ring_view_copy(&world.view, SIZE, world.room, 0, NULL));
    assert_false(ring_view_copy(&world.view, 1, world.room, SIZE, NULL));
    assert_false(ring_view_copy(&world.view, UINT64_MAX, world.room, 2, NULL));
    close_world(&world);
}

static void test_what_is_copied_is_summed(void **state)
{
    (void)state;
    struct world world;
    uint32_t crc = 5;
    open_world(&world);
    assert_true(ring_view_copy(&world.view, 1, world.room, SIZE - 1, &crc));
    assert_int_equal(crc, crc32c_by_table(5, world.room, SIZE - 1));
    assert_int_equal(world.room[SIZE - 2], 7);
    assert_int_equal(ftruncate(world.descriptor, HALF), 0);
    assert_false(ring_view_copy(&world.view, HALF - 64, world.room, 1024, &crc));
    assert_true(ring_view_copy(&world.view, 0, world.room, HALF, &crc));
    close_world(&world);
}

static void test_a_copy_that_meets_the_cut_ends_and_those_before_it_do_not(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    assert_int_equal(ftruncate(world.descriptor, HALF), 0);
    for (int i = 0; i < 3; i++) {
        assert_false(ring_view_copy(&world.view, HALF - 64, world.room, 128, NULL));
        assert_false(ring_view_copy(&world.view, HALF, world.room, HALF, NULL));
        assert_true(ring_view_copy(&world.view, 0, world.room, HALF, NULL));
    }
    assert_int_equal(ftruncate(world.descriptor, SIZE), 0);
    assert_true(ring_view_copy(&world.view, 0, world.room, SIZE, NULL));
    assert_int_equal(world.room[HALF], 0);
    close_world(&world);
}

static void test_a_file_without_bytes_has_no_view(void **state)
{
    (void)state;
    struct world world;
    struct ring_view view;
    open_world(&world);
    assert_int_equal(ftruncate(world.descriptor, 0), 0);
    assert_true(ring_view_open(world.descriptor, &view) < 0);
    close_world(&world);
}

/* What another mapping has lost is a fault of ours. */
static void test_every_other_bus_error_ends_the_process(void **state)
{
    (void)state;
    struct world world;
    int status;
    open_world(&world);
    pid_t child = fork();
    if (child == 0) {
        const volatile uint8_t *bytes =
            mmap(NULL, SIZE, PROT_READ, MAP_SHARED, world.descriptor, 0);
        _exit(ftruncate(world.descriptor, 0) == 0 ? bytes[HALF] : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there_is_copied),
        cmocka_unit_test(test_what_is_copied_is_summed),
        cmocka_unit_test(test_a_copy_that_meets_the_cut_ends_and_those_before_it_do_not),
        cmocka_unit_test(test_a_file_without_bytes_has_no_view),
        cmocka_unit_test(test_every_other_bus_error_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
