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
    struct ring *ring;    /* the sender's: what it holds is all that there is to send */
    int64_t n_missing;    /* packets of loss lines about the ring */
    struct totals totals; /* as the last batch says */
    bool has_ended;
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

static void note(struct world *world, const struct message *message)
{
    if (message->seq != world->n_batches)
        return;
    world->totals = message->totals;
    world->has_ended = message->end_of_stream;
    for (size_t i = 0; i < message->n_losses; i++)
        if (strcmp(message->losses[i].loss.reason, LOSS_REASON_GAP) == 0)
            world->n_missing += message->losses[i].loss.packets;
}

static void on_message(void *state, const struct bus_message *incoming)
{
    struct world *world = state;
    struct message message;
    assert_int_equal(message_decode(incoming->bytes, incoming->size, &message), MESSAGE_OK);
    if (message.kind == MESSAGE_HELLO && world->n_hellos++ >= world->n_hellos_lost)
        answer(world, incoming->peer, REPLY_WELCOME);
    if (message.kind == MESSAGE_IN_RING) /* where nobody looks */
        answer(world, incoming->peer, REPLY_INLINE);
    if (message.kind == MESSAGE_PACKETS && world->n_batches_lost-- <= 0) {
        note(world, &message);
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

/* Each of one packet. */
static void push_all(struct world *world)
{
    for (int i = 0; i < BATCHES; i++) {
        struct message message = {.kind = MESSAGE_PACKETS, .end_of_stream = i == BATCHES - 1};
        assert_int_equal(uplink_push(world->uplink, &message, &(struct totals){1, 60, 40}), 0);
    }
}

/* All batches are pushed at once, and then there is nothing more to send. */
static void send_all(struct world *world)
{
    struct uplink_options options = {
        .endpoint = endpoint,
        .stream = stream,
        .window_bytes = WINDOW_BYTES,
        .ring = world->ring,
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
    if (!world->ring)
        push_all(world);
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

/* ---- what a predecessor left ---- */

static struct ring *open_ring(enum ring_found expected)
{
    char path[160];
    struct ring *ring = NULL;
    snprintf(path, sizeof path, "%s/ring", directory);
    struct ring_options options = {.stream = stream, .data_bytes = WINDOW_BYTES};
    assert_int_equal(ring_open(path, &options, &ring), expected);
    return ring;
}

/* A sender dies before anybody listened: all that it pushed is in the ring. */
static void leave_ring(void)
{
    struct world world = {.ring = open_ring(RING_NEW)};
    struct uplink_options options = {
        .endpoint = endpoint, .stream = stream, .window_bytes = WINDOW_BYTES, .ring = world.ring};
    assert_int_equal(bus_create(NULL, &world.bus), 0);
    assert_int_equal(uplink_open(world.bus, &options, &world.uplink), 0);
    push_all(&world);
    uplink_close(world.uplink);
    bus_destroy(world.bus);
    ring_close(world.ring);
}

/* Flips a bit of one batch of the ring. */
static void damage(int64_t seq)
{
    struct ring *ring = open_ring(RING_FOUND);
    struct ring_batch batch;
    for (size_t i = 0; i < ring_n_held(ring); i++) {
        ring_held(ring, i, &batch);
        if (batch.mark.seq == seq)
            *(uint8_t *)batch.bytes ^= 1;
    }
    ring_close(ring);
}

static void remove_ring(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/ring", directory);
    assert_int_equal(unlink(path), 0);
}

/* Whichever are damaged, and whether or not the receiver had them: all numbers come, and the
 * stream's totals and its end with them. */
static void test_whatever_is_damaged_in_the_ring_the_stream_is_whole(void **state)
{
    (void)state;
    for (unsigned damaged = 0; damaged < 1 << BATCHES; damaged++) {
        leave_ring();
        for (int i = 0; i < BATCHES; i++)
            if (damaged & 1u << i)
                damage(i);
        struct world world = {.ring = open_ring(RING_FOUND)};
        send_all(&world);
        ring_close(world.ring);
        assert_int_equal(world.n_missing, __builtin_popcount(damaged));
        assert_int_equal(world.totals.packets, BATCHES);
        assert_int_equal(world.totals.l2_bytes, 60 * BATCHES);
        assert_true(world.has_ended);
        remove_ring();
    }
}

/* ---- packets that are gathered in the ring ---- */

enum { GATHERED_BYTES = 10 * PACKET_BASE_SIZE, LOSSES = 5 };

/* The last batch has more beside its packets than there was room for. */
static void gather_and_push(struct uplink *uplink, int batch)
{
    struct stream_loss losses[LOSSES];
    struct message message = {
        .kind = MESSAGE_PACKETS, .packets_size = GATHERED_BYTES, .n_packets = 10, .losses = losses};
    uint8_t *room = uplink_room(uplink, GATHERED_BYTES);
    assert_non_null(room);
    memset(room, batch, GATHERED_BYTES);
    message.packets = room;
    for (int i = 0; i < LOSSES; i++) {
        losses[i] = (struct stream_loss){.stream = stream, .loss = {.reason = "cut"}};
        memset(losses[i].loss.evidence, 'x', 100);
    }
    message.n_losses = batch == BATCHES - 1 ? LOSSES : 0;
    assert_int_equal(uplink_push(uplink, &message, &(struct totals){10, 600, 400}), 0);
}

static void test_what_was_gathered_in_the_ring_is_there_for_a_successor(void **state)
{
    (void)state;
    struct world world = {.ring = open_ring(RING_NEW)};
    struct uplink_options options = {
        .endpoint = endpoint, .stream = stream, .window_bytes = WINDOW_BYTES, .ring = world.ring};
    assert_int_equal(bus_create(NULL, &world.bus), 0);
    assert_int_equal(uplink_open(world.bus, &options, &world.uplink), 0);
    for (int i = 0; i < BATCHES; i++)
        gather_and_push(world.uplink, i);
    memset(uplink_room(world.uplink, GATHERED_BYTES), 0xff, GATHERED_BYTES); /* and dies */
    uplink_close(world.uplink);
    bus_destroy(world.bus);
    ring_close(world.ring);

    struct ring *ring = open_ring(RING_FOUND);
    assert_int_equal(ring_n_held(ring), BATCHES);
    for (int i = 0; i < BATCHES; i++) {
        struct ring_batch batch;
        struct message message;
        uint8_t expected[GATHERED_BYTES];
        ring_held(ring, (size_t)i, &batch);
        assert_int_equal(message_decode(batch.bytes, batch.size, &message), MESSAGE_OK);
        memset(expected, i, sizeof expected);
        assert_int_equal(message.packets_size, sizeof expected);
        assert_memory_equal(message.packets, expected, sizeof expected);
        assert_int_equal(message.n_losses, i == BATCHES - 1 ? LOSSES : 0);
        message_release(&message);
    }
    ring_close(ring);
    remove_ring();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answered_sender_says_hello_once),
        cmocka_unit_test(test_a_lost_hello_is_said_again),
        cmocka_unit_test(test_lost_batches_come_again_although_nothing_follows_them),
        cmocka_unit_test(test_a_lost_acknowledgement_comes_with_the_next_welcome),
        cmocka_unit_test(test_whatever_is_damaged_in_the_ring_the_stream_is_whole),
        cmocka_unit_test(test_what_was_gathered_in_the_ring_is_there_for_a_successor),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
