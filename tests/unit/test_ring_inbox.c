/* What is taken from another process's ring is a batch as it was pushed, or nothing. */
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
#include "proto/packet.h"
#include "proto/ring.h"
#include "proto/ring/ring_internal.h"
#include "proto/ring_inbox.h"

enum { DATA_BYTES = 64 * 1024, BATCHES = 3 };

static const struct stream_id stream = {.producer = "capture-0", .epoch = 7, .shard = 2};
static char path[] = "/tmp/wanmeter-test-inbox-XXXXXX";

struct world {
    struct ring *ring;
    struct ring_inbox *inbox;
    struct batch_place places[BATCHES];
};

struct room {
    struct ring *ring;
    uint8_t *bytes;
};

static uint8_t *take_room(void *state, size_t size)
{
    struct room *room = state;
    room->bytes = ring_reserve(room->ring, size);
    return room->bytes;
}

/* A batch of one packet; its stream and number are those that it says. */
static struct batch_place push(struct ring *ring, const struct stream_id *of, int64_t seq,
                               enum message_kind kind)
{
    uint8_t packet[PACKET_SIZE_MAX];
    struct message message = {.kind = kind, .stream = *of, .seq = seq};
    if (kind == MESSAGE_PACKETS) {
        message.packets = packet;
        message.packets_size = packet_encode(&(struct packet){.l2_bytes = 60}, packet);
        message.n_packets = 1;
    }
    struct ring_mark mark = *ring_last(ring);
    mark.seq++;
    struct room room = {.ring = ring};
    struct batch_place place;
    size_t size;
    assert_non_null(message_encode_into(&message, take_room, &room, &size));
    assert_int_equal(ring_push(ring, &mark), 0);
    ring_place_of(ring, room.bytes, &place);
    return place;
}

static void open_world(struct world *world)
{
    struct ring_options options = {.stream = stream, .data_bytes = DATA_BYTES};
    strcpy(strrchr(path, '-') + 1, "XXXXXX");
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(ring_open(path, &options, &world->ring), RING_NEW);
    for (int i = 0; i < BATCHES; i++)
        world->places[i] = push(world->ring, &stream, i, MESSAGE_PACKETS);
    assert_int_equal(ring_inbox_open(path, &stream, &world->inbox), 0);
}

static void close_world(struct world *world)
{
    ring_inbox_close(world->inbox);
    ring_close(world->ring);
    unlink(path);
}

static enum ring_inbox_result take(struct world *world, int64_t seq,
                                   const struct batch_place *place)
{
    struct message message;
    int64_t taken;
    ring_inbox_clear(world->inbox);
    assert_true(ring_inbox_put(world->inbox, seq, place));
    enum ring_inbox_result result = ring_inbox_take(world->inbox, &message, &taken);
    assert_int_equal(taken, seq);
    if (result == RING_INBOX_TAKEN) {
        assert_int_equal(message.seq, seq);
        assert_int_equal(message.n_packets, 1);
        message_release(&message);
    }
    return result;
}

static void test_batches_are_taken_in_order(void **state)
{
    (void)state;
    struct world world;
    struct message message;
    int64_t seq;
    open_world(&world);
    for (int i = 0; i < BATCHES; i++)
        assert_true(ring_inbox_put(world.inbox, i, &world.places[i]));
    assert_int_equal(ring_inbox_count(world.inbox), BATCHES);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(ring_inbox_take(world.inbox, &message, &seq), RING_INBOX_TAKEN);
        assert_int_equal(seq, i);
        assert_int_equal(message.seq, i);
        message_release(&message);
    }
    assert_int_equal(ring_inbox_take(world.inbox, &message, &seq), RING_INBOX_EMPTY);
    close_world(&world);
}

static void test_a_place_that_is_wrong_in_anything_gives_nothing(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    const struct batch_place right = world.places[1];
    assert_int_equal(take(&world, 1, &right), RING_INBOX_TAKEN);
    const struct batch_place wrong[] = {
        {right.offset + RING_ALIGNMENT, right.size, right.crc},
        {right.offset + 1, right.size, right.crc},
        {UINT64_MAX - 63, right.size, right.crc},
        {INT64_MAX - 63, right.size, right.crc},
        {DATA_BYTES - RING_ALIGNMENT, right.size, right.crc},
        {right.offset, right.size - 1, right.crc},
        {right.offset, right.size + 1, right.crc},
        {right.offset, 0, right.crc},
        {right.offset, BUS_MESSAGE_MAX + 1, right.crc},
        {right.offset, UINT64_MAX, right.crc},
        {right.offset, right.size, right.crc ^ 1},
        world.places[0],
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(take(&world, 1, &wrong[i]), RING_INBOX_FAILED);
    close_world(&world);
}

static void test_a_batch_of_another_stream_or_kind_gives_nothing(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct stream_id other = stream;
    other.epoch++;
    struct batch_place place = push(world.ring, &other, BATCHES, MESSAGE_PACKETS);
    assert_int_equal(take(&world, BATCHES, &place), RING_INBOX_FAILED);
    place = push(world.ring, &stream, BATCHES + 1, MESSAGE_RECORDS);
    assert_int_equal(take(&world, BATCHES + 1, &place), RING_INBOX_FAILED);
    close_world(&world);
}

static void test_a_bit_that_changes_gives_nothing(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    uint8_t *record = world.ring->data + world.places[1].offset;
    for (size_t bit = 0; bit < 8 * (sizeof(struct ring_record) + world.places[1].size); bit++) {
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(take(&world, 1, &world.places[1]), RING_INBOX_FAILED);
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(take(&world, 1, &world.places[1]), RING_INBOX_TAKEN);
    close_world(&world);
}

static void test_a_file_that_is_cut_gives_nothing(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    for (size_t size = 0; size < RING_HEADER_SIZE + world.places[1].offset + 64; size += 61) {
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_int_equal(take(&world, 1, &world.places[1]), RING_INBOX_FAILED);
    }
    close_world(&world);
}

static void test_it_holds_a_bounded_number(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    for (int i = 0; i < RING_INBOX_MAX; i++)
        assert_true(ring_inbox_put(world.inbox, i, &world.places[0]));
    assert_false(ring_inbox_put(world.inbox, RING_INBOX_MAX, &world.places[0]));
    assert_int_equal(ring_inbox_count(world.inbox), RING_INBOX_MAX);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_are_taken_in_order),
        cmocka_unit_test(test_a_place_that_is_wrong_in_anything_gives_nothing),
        cmocka_unit_test(test_a_batch_of_another_stream_or_kind_gives_nothing),
        cmocka_unit_test(test_a_bit_that_changes_gives_nothing),
        cmocka_unit_test(test_a_file_that_is_cut_gives_nothing),
        cmocka_unit_test(test_it_holds_a_bounded_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
