/* The sending end on a real socket: what a broken connection took with it comes again. The receiver
 * is played by hand, so that it can lose what it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bus.h"
#include "common/loop.h"
#include "proto/uplink.h"

enum { WINDOW_BYTES = 1 << 20, TURN_MS = 50, BATCHES = 3 };

static const struct stream_id stream = {.producer = "capture-0", .epoch = 7, .shard = 0};

struct world {
    struct loop *loop;
    struct bus *bus;
    struct bus_socket *receiver;
    struct uplink *uplink;
    int n_hellos, n_welcomes, n_batches;
    int64_t committed_seq; /* that the sender was told of */
    int n_hellos_lost;     /* by the receiver, from the first on */
    int n_batches_lost;
    bool is_ack_lost;
};

static char directory[] = "/tmp/wanmeter-test-uplink-XXXXXX";
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

static void answer(struct world *world, const struct bus_peer *peer, enum reply_kind kind)
{
    int64_t next_seq = world->n_batches;
    struct reply reply = {
        .kind = kind, .stream = stream, .committed_seq = next_seq - 1, .next_seq = next_seq};
    size_t size;
    uint8_t *bytes = reply_encode(&reply, &size);
    assert_non_null(bytes);
    assert_int_equal(bus_send(world->receiver, peer, bytes, size), 0);
    free(bytes);
}

static void on_message(void *state, const struct bus_message *incoming)
{
    struct world *world = state;
    struct message message;
    assert_int_equal(message_decode(incoming->bytes, incoming->size, &message), MESSAGE_OK);
    if (message.kind == MESSAGE_HELLO && world->n_hellos++ >= world->n_hellos_lost)
        answer(world, incoming->peer, REPLY_WELCOME);
    if (message.kind == MESSAGE_PACKETS && world->n_batches_lost-- <= 0) {
        world->n_batches += message.seq == world->n_batches;
        if (world->n_batches == BATCHES && !world->is_ack_lost)
            answer(world, incoming->peer, REPLY_ACK);
    }
    message_release(&message);
}

static void on_welcome(void *state, const struct reply *reply)
{
    (void)reply;
    ((struct world *)state)->n_welcomes++;
}

static void on_committed(void *state, int64_t seq)
{
    ((struct world *)state)->committed_seq = seq;
}

static void on_turn(void *state)
{
    struct world *world = state;
    uplink_flush(world->uplink);
    if (uplink_is_committed(world->uplink))
        loop_stop(world->loop);
}

static void on_tick(void *state)
{
    (void)state; /* a turn */
}

/* All batches are pushed at once, and then there is nothing more to send. */
static void send_all(struct world *world)
{
    struct uplink_options options = {
        .endpoint = endpoint,
        .stream = stream,
        .window_bytes = WINDOW_BYTES,
        .on_committed = on_committed,
        .on_welcome = on_welcome,
        .state = world,
    };
    world->committed_seq = -1;
    assert_int_equal(loop_create(&world->loop), 0);
    assert_int_equal(bus_create(world->loop, &world->bus), 0);
    assert_int_equal(
        bus_bind(world->bus, BUS_ROUTER, endpoint, on_message, world, &world->receiver), 0);
    assert_int_equal(uplink_open(world->bus, &options, &world->uplink), 0);
    for (int i = 0; i < BATCHES; i++) {
        struct message message = {.kind = MESSAGE_PACKETS, .end_of_stream = i == BATCHES - 1};
        assert_int_equal(uplink_push(world->uplink, &message, &(struct totals){0}), 0);
    }
    assert_int_equal(loop_add_timer(world->loop, TURN_MS, on_tick, world), 0);
    assert_int_equal(loop_add_turn(world->loop, on_turn, world), 0);
    loop_run(world->loop);
    uplink_close(world->uplink);
    bus_destroy(world->bus);
    loop_destroy(world->loop);
    assert_int_equal(world->n_batches, BATCHES);
    assert_int_equal(world->committed_seq, BATCHES - 1);
}

static void test_an_answered_sender_says_hello_once(void **state)
{
    (void)state;
    struct world world = {0};
    send_all(&world);
    assert_int_equal(world.n_hellos, 1);
    assert_int_equal(world.n_welcomes, 1);
}

static void test_a_lost_hello_is_said_again(void **state)
{
    (void)state;
    struct world world = {.n_hellos_lost = 1};
    send_all(&world);
    assert_int_equal(world.n_hellos, 2);
}

static void test_lost_batches_come_again_although_nothing_follows_them(void **state)
{
    (void)state;
    struct world world = {.n_batches_lost = BATCHES};
    send_all(&world);
    assert_int_equal(world.n_hellos, 2);
}

static void test_a_lost_acknowledgement_comes_with_the_next_welcome(void **state)
{
    (void)state;
    struct world world = {.is_ack_lost = true};
    send_all(&world);
    assert_int_equal(world.n_welcomes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answered_sender_says_hello_once),
        cmocka_unit_test(test_a_lost_hello_is_said_again),
        cmocka_unit_test(test_lost_batches_come_again_although_nothing_follows_them),
        cmocka_unit_test(test_a_lost_acknowledgement_comes_with_the_next_welcome),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
