/* Where among the packets a change goes: at the next move of the clock, or at its recorded time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/change_inlet.h"
#include "common/bus.h"
#include "common/loop.h"
#include "control.pb-c.h"
#include "proto/change_file.h"
#include "proto/control.h"

static char directory[] = "/tmp/wanmeter-test-inlet-XXXXXX";
static char endpoint[128];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/change.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* ---- recorded ---- */

static void put(FILE *file, uint64_t id, int64_t time_ns, bool is_restored)
{
    struct change change = {.id = id, .time_ns = time_ns, .is_restored = is_restored};
    assert_true(change_set_words(&change, (const char *const[]){"ct", "flush"}, 2));
    assert_int_equal(change_file_write(file, &change), 0);
}

static struct change_inlet *open_recorded(void)
{
    char path[] = "/tmp/wanmeter-test-changes-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "wb");
    put(file, 1, 900, true);
    put(file, 2, 100, false);
    put(file, 3, 100, false);
    put(file, 4, 250, false);
    fclose(file);
    struct change_inlet_settings settings = {.path = path, .n_shards = 1};
    struct change_inlet *inlet;
    assert_int_equal(change_inlet_open(NULL, &settings, &inlet), 0);
    unlink(path);
    return inlet;
}

static void test_recorded_changes_go_before_the_first_packet_of_their_time(void **state)
{
    (void)state;
    struct change_inlet *inlet = open_recorded();
    struct change change;
    int64_t at_ns;
    assert_true(change_inlet_next(inlet, 0, 50, &change, &at_ns)); /* restored: before all */
    assert_int_equal(change.id, 1);
    assert_int_equal(change.time_ns, 900);
    assert_int_equal(at_ns, 0);
    assert_string_equal(change.words[1], "flush");
    assert_false(change_inlet_next(inlet, 0, 50, &change, &at_ns));
    assert_false(change_inlet_next(inlet, 50, 99, &change, &at_ns));
    for (uint64_t id = 2; id <= 3; id++) { /* in their order, at their time */
        assert_true(change_inlet_next(inlet, 99, 100, &change, &at_ns));
        assert_int_equal(change.id, id);
        assert_int_equal(at_ns, 100);
    }
    assert_false(change_inlet_next(inlet, 100, 200, &change, &at_ns));
    assert_int_equal(change_inlet_end_ns(inlet), 250);
    assert_true(change_inlet_next(inlet, 200, 300, &change, &at_ns));
    assert_int_equal(at_ns, 250);
    assert_int_equal(change_inlet_end_ns(inlet), INT64_MIN);
    change_inlet_close(inlet);
}

static void test_a_file_that_holds_no_changes_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/wanmeter-test-changes-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "wb");
    fputs("no changes", file);
    fclose(file);
    struct change_inlet_settings settings = {.path = path, .n_shards = 1};
    struct change_inlet *inlet;
    assert_int_equal(change_inlet_open(NULL, &settings, &inlet), -EBADMSG);
    unlink(path);
    assert_int_equal(change_inlet_open(NULL, &settings, &inlet), -ENOENT);
}

/* ---- asked for ---- */

enum { TOO_MANY = 70, WAITING = 64 };

struct world {
    struct loop *loop;
    struct bus_socket *dealer;
    int n_sent, n_taken, n_refused;
    uint64_t last_id;
};

static void on_reply(void *state, const struct bus_message *message)
{
    struct world *world = state;
    Wanmeter__Control__Reply *reply =
        wanmeter__control__reply__unpack(NULL, message->size, message->bytes);
    assert_non_null(reply);
    assert_int_equal(reply->n_shards, 3);
    if (reply->error == 0) {
        assert_true(reply->change_id > world->last_id);
        world->last_id = reply->change_id;
        world->n_taken++;
    } else {
        assert_int_equal(reply->error, EAGAIN);
        world->n_refused++;
    }
    wanmeter__control__reply__free_unpacked(reply, NULL);
    if (world->n_taken + world->n_refused == TOO_MANY)
        loop_stop(world->loop);
}

static void send_requests(void *state)
{
    struct world *world = state;
    struct control_request request = {.n_words = 1, .words = {"anything"}};
    size_t size;
    uint8_t *bytes = control_request_encode(&request, &size);
    while (world->n_sent < TOO_MANY && bus_send(world->dealer, NULL, bytes, size) == 0)
        world->n_sent++;
    free(bytes);
}

static void on_tick(void *state)
{
    (void)state;
}

static void test_what_is_asked_for_waits_for_the_clock_in_its_order(void **state)
{
    (void)state;
    struct world world = {0};
    struct bus *bus;
    struct change_inlet *inlet;
    struct change_inlet_settings settings = {.endpoint = endpoint, .n_shards = 3};
    assert_int_equal(loop_create(&world.loop), 0);
    assert_int_equal(bus_create(world.loop, &bus), 0);
    assert_int_equal(change_inlet_open(bus, &settings, &inlet), 0);
    assert_int_equal(
        bus_connect(bus, BUS_DEALER, endpoint, "asker", on_reply, &world, &world.dealer), 0);
    assert_int_equal(loop_add_turn(world.loop, send_requests, &world), 0);
    assert_int_equal(loop_add_timer(world.loop, 5, on_tick, &world), 0);
    assert_false(change_inlet_is_waiting(inlet));
    loop_run(world.loop);
    assert_int_equal(world.n_taken, WAITING);
    assert_true(change_inlet_is_waiting(inlet));

    struct change change;
    int64_t at_ns;
    uint64_t before = 0;
    for (int i = 0; i < WAITING; i++) {
        assert_true(change_inlet_next(inlet, 100, 105, &change, &at_ns));
        assert_int_equal(change.time_ns, 105);
        assert_int_equal(at_ns, 105);
        assert_int_equal(change.uid, geteuid());
        assert_int_equal(change.pid, getpid());
        assert_true(change.id > before);
        before = change.id;
    }
    assert_int_equal(before, world.last_id);
    assert_false(change_inlet_next(inlet, 105, 106, &change, &at_ns));
    change_inlet_close(inlet);
    bus_destroy(bus);
    loop_destroy(world.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_changes_go_before_the_first_packet_of_their_time),
        cmocka_unit_test(test_a_file_that_holds_no_changes_is_refused),
        cmocka_unit_test(test_what_is_asked_for_waits_for_the_clock_in_its_order),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
