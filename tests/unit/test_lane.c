/* A lane to a receiver that does not take anything until the end: what found no room is declared,
 * and everything that was given is in the batches or in their loss lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/lane.h"
#include "common/bus.h"
#include "common/loop.h"

enum { PACKETS = 40, L2_BYTES = 60, PACKETS_A_BATCH = 5, KERNEL_LOSSES_MAX = 200, TURN_MS = 50 };

struct world {
    struct loop *loop;
    struct bus *bus;
    struct bus_socket *receiver;
    struct lane *lane;
    uint64_t n_packets, n_lost, n_kernel_losses, batch_size_max;
    uint64_t n_copies_lost, n_changes;
    struct totals totals; /* as the last batch says */
    bool has_shadows, has_changes;
};

static char directory[] = "/tmp/wanmeter-test-lane-XXXXXX";
static char endpoint[128];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/receiver.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static uint64_t changes_in(const struct message *message)
{
    uint64_t n = 0;
    size_t at = 0, used;
    struct packet packet;
    for (; at < message->packets_size; at += used) {
        assert_int_equal(
            packet_decode(message->packets + at, message->packets_size - at, &packet, &used),
            PACKET_DECODED);
        n += (packet.extra & PACKET_CHANGE) != 0;
    }
    return n;
}

static void count(struct world *world, const struct message *message)
{
    world->n_changes += changes_in(message);
    world->n_packets += message->n_packets;
    world->totals = message->totals;
    if (message->packets_size > world->batch_size_max)
        world->batch_size_max = message->packets_size;
    for (size_t i = 0; i < message->n_losses; i++) {
        const struct loss *loss = &message->losses[i].loss;
        world->n_kernel_losses += loss->stage == LOSS_KERNEL;
        if (loss->stage != LOSS_CAPTURE)
            continue;
        world->n_lost += (uint64_t)loss->packets;
        const char *copies = strstr(loss->evidence, "nor ");
        world->n_copies_lost += copies ? strtoull(copies + strlen("nor "), NULL, 10) : 0;
    }
}

static void on_message(void *state, const struct bus_message *incoming)
{
    struct world *world = state;
    struct message message;
    assert_int_equal(message_decode(incoming->bytes, incoming->size, &message), MESSAGE_OK);
    struct reply reply = {
        .kind = message.kind == MESSAGE_HELLO ? REPLY_WELCOME : REPLY_ACK,
        .stream = message.stream,
        .committed_seq = message.kind == MESSAGE_HELLO ? -1 : message.seq,
    };
    if (message.kind == MESSAGE_PACKETS)
        count(world, &message);
    size_t size;
    uint8_t *bytes = reply_encode(&reply, &size);
    assert_int_equal(bus_send(world->receiver, incoming->peer, bytes, size), 0);
    free(bytes);
    message_release(&message);
}

static void on_turn(void *state)
{
    struct world *world = state;
    lane_flush(world->lane);
    if (lane_is_committed(world->lane))
        loop_stop(world->loop);
}

static void on_tick(void *state)
{
    (void)state; /* a turn */
}

/* Nobody listens while packets and kernel losses are added; then all that was kept is received. */
static void run(struct world *world, size_t window_bytes, uint64_t n_kernel_losses)
{
    const struct config config = {.capture = {.batch_packets = PACKETS_A_BATCH,
                                              .batch_bytes = 1 << 20,
                                              .batch_interval_ns = INT64_MAX}};
    const struct lane_options options = {
        .config = &config,
        .endpoint = endpoint,
        .stream = {.producer = "capture-0", .epoch = 1},
        .window_bytes = window_bytes,
        .is_live = true,
    };
    const struct packet packet = {.l2_bytes = L2_BYTES};
    const struct loss loss = {.stage = LOSS_KERNEL, .packets = 1, .reason = "ring_full"};
    const struct packet shadow = {.l2_bytes = L2_BYTES, .extra = PACKET_SHADOW};
    const struct packet change = {
        .extra = PACKET_CHANGE, .payload = (const uint8_t *)"what", .payload_bytes = 4};
    *world = (struct world){.has_shadows = world->has_shadows, .has_changes = world->has_changes};
    assert_int_equal(loop_create(&world->loop), 0);
    assert_int_equal(bus_create(world->loop, &world->bus), 0);
    assert_int_equal(lane_open(world->bus, &options, &world->lane), 0);
    for (int i = 0; i < PACKETS; i++) {
        assert_int_equal(lane_add(world->lane, &packet), 0);
        if (world->has_changes)
            assert_int_equal(lane_add_change(world->lane, &change), 0);
        if (world->has_shadows)
            assert_int_equal(lane_add(world->lane, &shadow), 0);
    }
    for (uint64_t i = 0; i < n_kernel_losses; i++)
        assert_int_equal(lane_add_loss(world->lane, &loss), 0);
    assert_int_equal(lane_send(world->lane, 0, true), 0);

    assert_int_equal(
        bus_bind(world->bus, BUS_ROUTER, endpoint, on_message, world, &world->receiver), 0);
    assert_int_equal(loop_add_timer(world->loop, TURN_MS, on_tick, world), 0);
    assert_int_equal(loop_add_turn(world->loop, on_turn, world), 0);
    loop_run(world->loop);
    lane_close(world->lane);
    bus_destroy(world->bus);
    loop_destroy(world->loop);
}

static void test_every_packet_is_sent_or_declared(void **state)
{
    (void)state;
    for (uint64_t n_losses = 0; n_losses <= KERNEL_LOSSES_MAX; n_losses += 8) {
        struct world world = {0};
        run(&world, 1, n_losses);
        assert_true(world.n_lost > 0);
        assert_int_equal(world.n_packets + world.n_lost, PACKETS);
        assert_int_equal(world.totals.packets, PACKETS);
        assert_int_equal(world.totals.l2_bytes, PACKETS * L2_BYTES);
        assert_int_equal(world.n_kernel_losses, n_losses);
    }
}

/* Every second packet is a shadow: in the batches, but in no total. What is lost of shadows is told
 * of too. */
static void test_shadows_are_in_no_total_and_their_loss_is_told_of(void **state)
{
    (void)state;
    struct world world = {.has_shadows = true};
    run(&world, 1, 0);
    assert_true(world.n_lost > 0 && world.n_copies_lost > 0);
    assert_int_equal(world.n_packets + world.n_lost + world.n_copies_lost, 2 * PACKETS);
    assert_int_equal(world.totals.packets, PACKETS);
    assert_int_equal(world.totals.l2_bytes, PACKETS * L2_BYTES);
}

static void test_changes_are_sent_where_packets_find_no_room(void **state)
{
    (void)state;
    struct world world = {.has_changes = true};
    run(&world, 1, 0);
    assert_true(world.n_lost > 0);
    assert_int_equal(world.n_changes, PACKETS);
    assert_int_equal(world.n_packets - world.n_changes + world.n_lost, PACKETS);
    assert_int_equal(world.totals.packets, PACKETS);
}

static void test_a_window_holds_several_batches(void **state)
{
    (void)state;
    struct world world = {0};
    size_t window_bytes = 4 * 2 * PACKET_BASE_SIZE; /* a quarter: two packets */
    run(&world, window_bytes, 0);
    assert_in_range(world.batch_size_max, 1, window_bytes / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_packet_is_sent_or_declared),
        cmocka_unit_test(test_shadows_are_in_no_total_and_their_loss_is_told_of),
        cmocka_unit_test(test_changes_are_sent_where_packets_find_no_room),
        cmocka_unit_test(test_a_window_holds_several_batches),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
