/* Both ends on a real socket, with a ring between them: whatever becomes of the ring, each batch is
 * given once, in order, as it was pushed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bus.h"
#include "common/loop.h"
#include "proto/downlink.h"
#include "proto/packet.h"
#include "proto/ring.h"
#include "proto/ring/ring_internal.h"
#include "proto/uplink.h"

enum { WINDOW_BYTES = 1 << 20, TURN_MS = 20, BATCHES = 30, PACKETS_A_BATCH = 50 };

static const struct stream_id stream = {.producer = "capture-0", .epoch = 7, .shard = 0};

static char directory[] = "/tmp/wanmeter-test-downlink-XXXXXX";
static char endpoint[128], path[128];

/* What happens to the ring when everything is pushed, and before anything is taken. */
enum mishap { NONE, NO_FILE, CUT, OTHER_FILE, NO_FILE_BUT_A_PIPE, DAMAGED, NOT_LOOKED_AT };

struct world {
    struct loop *loop;
    struct bus *bus;
    struct ring *ring;
    struct uplink *uplink;
    struct downlink *downlink;
    enum mishap mishap;
    bool has_happened;
    int64_t n_batches;
    int n_pulled; /* of them, taken from the ring */
    bool is_pulling;
};

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/receiver.sock", directory);
    ring_path(directory, 0, 0, path, sizeof path);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void fill(int64_t seq, uint8_t *room, struct message *message)
{
    *message = (struct message){
        .kind = MESSAGE_PACKETS, .packets = room, .end_of_stream = seq == BATCHES - 1};
    for (uint32_t i = 0; i < PACKETS_A_BATCH; i++) {
        struct packet packet = {.time_ns = seq, .clock_ns = seq, .rss = i, .l2_bytes = 60};
        message->packets_size += packet_encode(&packet, room + message->packets_size);
        message->n_packets++;
    }
}

static void on_hello(void *state, size_t index, const struct stream_id *of,
                     struct high_water *resume, const struct high_water **applied,
                     size_t *n_applied)
{
    (void)state;
    (void)index;
    (void)of;
    (void)resume;
    (void)applied;
    (void)n_applied;
}

static void on_batch(void *state, size_t index, struct message *message)
{
    static uint8_t room[PACKETS_A_BATCH * PACKET_SIZE_MAX];
    struct world *world = state;
    struct message expected;
    fill(world->n_batches, room, &expected);
    assert_int_equal(index, 0);
    assert_int_equal(message->kind, MESSAGE_PACKETS);
    assert_int_equal(message->seq, world->n_batches);
    assert_int_equal(message->n_packets, PACKETS_A_BATCH);
    assert_int_equal(message->packets_size, expected.packets_size);
    assert_memory_equal(message->packets, expected.packets, expected.packets_size);
    assert_int_equal(message->end_of_stream, expected.end_of_stream);
    world->n_batches++;
    world->n_pulled += world->is_pulling;
    if (world->n_batches == BATCHES)
        downlink_commit(world->downlink, 0, BATCHES - 1);
}

/* ---- what can happen to a file ---- */

static void write_other_file(void)
{
    char made[160];
    uint8_t byte = 0x5a;
    snprintf(made, sizeof made, "%s.new", path);
    FILE *file = fopen(made, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < RING_HEADER_SIZE + WINDOW_BYTES; i++)
        fwrite(&byte, 1, 1, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(made, path), 0);
}

/* One bit of a batch in the middle. */
static void damage(struct ring *ring)
{
    struct ring_batch batch;
    ring_held(ring, BATCHES / 2, &batch);
    ((uint8_t *)batch.bytes)[batch.size / 2] ^= 1;
}

static void happen(struct world *world)
{
    world->has_happened = true;
    switch (world->mishap) {
    case NONE:
    case NOT_LOOKED_AT:
        break;
    case NO_FILE:
        assert_int_equal(unlink(path), 0);
        break;
    case CUT: /* to the header: mapped, it would end who reads it. The sender's is another file */
        assert_int_equal(unlink(path), 0);
        write_other_file();
        assert_int_equal(truncate(path, RING_HEADER_SIZE), 0);
        break;
    case OTHER_FILE:
        write_other_file();
        break;
    case NO_FILE_BUT_A_PIPE:
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        break;
    case DAMAGED:
        damage(world->ring);
        break;
    }
}

/* ---- both ends ---- */

static void on_turn(void *state)
{
    struct world *world = state;
    uplink_flush(world->uplink);
    if (!world->has_happened && downlink_n_waiting(world->downlink, 0) > 0)
        happen(world);
    world->is_pulling = true;
    while (downlink_pull(world->downlink, 0))
        ;
    world->is_pulling = false;
    downlink_flush(world->downlink);
    if (uplink_is_committed(world->uplink) || !uplink_is_whole(world->uplink))
        loop_stop(world->loop);
}

static void on_tick(void *state)
{
    (void)state; /* a turn */
}

static void push_all(struct world *world)
{
    static uint8_t room[PACKETS_A_BATCH * PACKET_SIZE_MAX];
    for (int64_t i = 0; i < BATCHES; i++) {
        struct message message;
        fill(i, room, &message);
        const struct totals added = {.packets = PACKETS_A_BATCH};
        assert_int_equal(uplink_push(world->uplink, &message, &added), 0);
    }
}

static void open_ends(struct world *world)
{
    struct ring_options ring = {.stream = stream, .data_bytes = WINDOW_BYTES};
    assert_int_equal(ring_open(path, &ring, &world->ring), RING_NEW);
    struct uplink_options sending = {
        .endpoint = endpoint, .stream = stream, .window_bytes = WINDOW_BYTES, .ring = world->ring};
    struct downlink_options receiving = {
        .endpoint = endpoint,
        .producer = "capture",
        .n_streams = 1,
        .ring_directory = world->mishap == NOT_LOOKED_AT ? NULL : directory,
        .on_hello = on_hello,
        .on_batch = on_batch,
        .state = world,
    };
    assert_int_equal(loop_create(&world->loop), 0);
    assert_int_equal(bus_create(world->loop, &world->bus), 0);
    assert_int_equal(downlink_open(world->bus, &receiving, &world->downlink), 0);
    assert_int_equal(uplink_open(world->bus, &sending, &world->uplink), 0);
    downlink_start(world->downlink);
}

/* 'is_early': the file changes before the receiver has opened it. */
static void run(struct world *world, enum mishap mishap, bool is_early)
{
    *world = (struct world){.mishap = mishap};
    open_ends(world);
    push_all(world);
    if (is_early)
        happen(world);
    assert_int_equal(loop_add_timer(world->loop, TURN_MS, on_tick, world), 0);
    assert_int_equal(loop_add_turn(world->loop, on_turn, world), 0);
    loop_run(world->loop);
}

static void close_ends(struct world *world)
{
    uplink_close(world->uplink);
    downlink_close(world->downlink);
    bus_destroy(world->bus);
    loop_destroy(world->loop);
    ring_close(world->ring);
    unlink(path);
}

static void test_batches_are_taken_from_the_ring(void **state)
{
    (void)state;
    struct world world;
    run(&world, NONE, true);
    assert_int_equal(world.n_batches, BATCHES);
    assert_int_equal(world.n_pulled, BATCHES);
    close_ends(&world);
}

static void test_what_cannot_be_taken_from_the_ring_comes_by_the_socket(void **state)
{
    (void)state;
    const enum mishap mishaps[] = {NO_FILE, CUT, OTHER_FILE, NO_FILE_BUT_A_PIPE, NOT_LOOKED_AT};
    for (size_t i = 0; i < sizeof mishaps / sizeof *mishaps; i++) {
        struct world world;
        run(&world, mishaps[i], true);
        assert_int_equal(world.n_batches, BATCHES);
        assert_int_equal(world.n_pulled, 0);
        close_ends(&world);
    }
}

static void test_a_ring_that_is_open_stays_the_senders(void **state)
{
    (void)state;
    const enum mishap mishaps[] = {NO_FILE, OTHER_FILE};
    for (size_t i = 0; i < sizeof mishaps / sizeof *mishaps; i++) {
        struct world world;
        run(&world, mishaps[i], false);
        assert_int_equal(world.n_batches, BATCHES);
        assert_int_equal(world.n_pulled, BATCHES);
        close_ends(&world);
    }
}

/* Neither by the ring nor by the socket: the sender ends, and its successor tells what it was. */
static void test_a_damaged_batch_is_not_given(void **state)
{
    (void)state;
    struct world world;
    run(&world, DAMAGED, true);
    assert_false(uplink_is_whole(world.uplink));
    assert_int_equal(world.n_batches, BATCHES / 2);
    close_ends(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_are_taken_from_the_ring),
        cmocka_unit_test(test_what_cannot_be_taken_from_the_ring_comes_by_the_socket),
        cmocka_unit_test(test_a_ring_that_is_open_stays_the_senders),
        cmocka_unit_test(test_a_damaged_batch_is_not_given),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
