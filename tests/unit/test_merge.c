/* Several streams in one order: the same whatever way the packets are cut into batches, and
 * whenever the batches come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/merge.h"

enum { STREAMS = 3, PACKETS_MAX = 400, ORDER_MAX = STREAMS * PACKETS_MAX };

/* What comes out: (stream, place within it) as one number a packet. */
struct order {
    uint32_t items[ORDER_MAX];
    size_t n;
    int n_batches_ended;
    struct loss lost; /* of the last batch that said so */
};

struct stream {
    struct packet packets[PACKETS_MAX];
    size_t n_packets;
    size_t n_pushed;
    int64_t next_seq;
    struct totals totals;
};

static void on_ahead(void *state, struct merge_packet *packets, size_t n)
{
    (void)state;
    assert_in_range(n, 0, MERGE_AHEAD_MAX);
    for (size_t i = 0; i < n; i++)
        packets[i].key = (struct flow_key){.hash = packets[i].packet.rss};
}

static void on_packets(void *state, const struct merge_turn *turn)
{
    struct order *order = state;
    for (size_t i = 0; i < turn->n; i++) {
        const struct merge_packet *next = merge_turn_at(turn, i);
        assert_int_equal(next->key.hash, next->packet.rss);
        order->items[order->n++] = next->packet.rss;
    }
}

static void on_batch_end(void *state, const struct message *batch)
{
    struct order *order = state;
    order->n_batches_ended++;
    if (batch->n_losses > 0)
        order->lost = batch->losses[0].loss;
}

static bool never(void *state)
{
    (void)state;
    return false;
}

static void fill(struct stream *stream, uint32_t index)
{
    int64_t clock_ns = 0;
    *stream = (struct stream){.n_packets = (size_t)(rand() % PACKETS_MAX)};
    for (uint32_t i = 0; i < stream->n_packets; i++) {
        clock_ns += rand() % 3; /* many ties */
        int64_t late_ns = rand() % 5 == 0 ? rand() % 10 : 0;
        stream->packets[i] = (struct packet){
            .rss = index << 16 | i,
            .time_ns = clock_ns - late_ns,
            .clock_ns = clock_ns,
            .l2_bytes = 60,
            .extra = rand() % 4 == 0 ? PACKET_SHADOW : 0, /* in no total */
        };
    }
}

/* Pushes the next 'n' packets of a stream as one batch. */
static void push(struct merge *merge, struct stream *stream, uint32_t index, size_t n)
{
    static uint8_t room[PACKETS_MAX * PACKET_SIZE_MAX];
    if (n > stream->n_packets - stream->n_pushed)
        n = stream->n_packets - stream->n_pushed;
    size_t size = 0;
    int64_t clock_ns = stream->n_pushed ? stream->packets[stream->n_pushed - 1].clock_ns : 0;
    for (size_t i = 0; i < n; i++) {
        const struct packet *packet = &stream->packets[stream->n_pushed + i];
        size += packet_encode(packet, room + size);
        stream->totals.packets += packet_is_counted(packet);
        stream->totals.l2_bytes += packet_is_counted(packet) ? packet->l2_bytes : 0;
        clock_ns = packet->clock_ns;
    }
    stream->n_pushed += n;
    struct message message = {
        .kind = MESSAGE_PACKETS,
        .stream = {.producer = "capture-0", .epoch = 1},
        .seq = stream->next_seq++,
        .totals = stream->totals,
        .end_of_stream = stream->n_pushed == stream->n_packets,
        .watermark_ns = clock_ns,
        .packets = room,
        .packets_size = size,
        .n_packets = (uint32_t)n,
    };
    size_t encoded_size;
    uint8_t *bytes = message_encode(&message, &encoded_size);
    struct message owned;
    assert_int_equal(message_decode(bytes, encoded_size, &owned), MESSAGE_OK);
    free(bytes);
    assert_int_equal(merge_push(merge, index, &owned), 0);
}

static const struct high_water nothing_applied = {
    .stream = {.producer = "capture-0", .epoch = 1},
    .seq = -1,
};

static struct merge *begin(struct order *order)
{
    struct merge_handlers handlers = {on_ahead, on_packets, on_batch_end, never, NULL, order, NULL};
    struct merge *merge;
    *order = (struct order){0};
    assert_int_equal(merge_create(STREAMS, &handlers, &merge), 0);
    for (size_t i = 0; i < STREAMS; i++)
        merge_begin(merge, i, &nothing_applied);
    return merge;
}

/* Feeds the streams in random portions, in random turns. Hellos that are said again change nothing.
 */
static void run(const struct stream *streams, size_t batch_max, struct order *order)
{
    static struct stream own[STREAMS];
    memcpy(own, streams, sizeof own);
    struct merge *merge = begin(order);
    enum merge_result result = MERGE_IDLE;
    bool has_ended[STREAMS] = {false};
    while (result != MERGE_ENDED) {
        uint32_t i = (uint32_t)(rand() % STREAMS);
        if (!has_ended[i]) {
            push(merge, &own[i], i, (size_t)rand() % (batch_max + 1));
            has_ended[i] = own[i].n_pushed == own[i].n_packets;
        }
        if (rand() % 8 == 0)
            merge_begin(merge, i, &nothing_applied);
        do
            result = merge_run(merge, 7);
        while (result == MERGE_MORE);
        assert_int_not_equal(result, MERGE_BROKEN);
    }
    merge_destroy(merge);
}

static void test_the_order_does_not_depend_on_batches_or_arrival(void **state)
{
    (void)state;
    static struct stream streams[STREAMS];
    static struct order first, other;
    const size_t batch_sizes[] = {1, 2, 13, PACKETS_MAX};
    for (unsigned seed = 1; seed <= 30; seed++) {
        srand(seed);
        size_t n = 0;
        for (uint32_t i = 0; i < STREAMS; i++) {
            fill(&streams[i], i);
            n += streams[i].n_packets;
        }
        run(streams, PACKETS_MAX, &first);
        assert_int_equal(first.n, n);
        for (size_t i = 0; i < sizeof batch_sizes / sizeof *batch_sizes; i++) {
            run(streams, batch_sizes[i], &other);
            assert_int_equal(other.n, n);
            assert_memory_equal(other.items, first.items, n * sizeof *first.items);
        }
    }
}

static void test_ties_go_by_stream_and_within_a_stream_by_arrival(void **state)
{
    (void)state;
    static struct stream streams[STREAMS];
    static struct order order;
    for (uint32_t i = 0; i < STREAMS; i++) {
        streams[i] = (struct stream){.n_packets = 2};
        for (uint32_t k = 0; k < 2; k++)
            streams[i].packets[k] = (struct packet){.rss = i * 10 + k, .time_ns = 5, .clock_ns = 5};
    }
    run(streams, 1, &order);
    const uint32_t expected[] = {0, 1, 10, 11, 20, 21};
    assert_memory_equal(order.items, expected, sizeof expected);
}

static void test_a_streams_last_batch_is_under_way_until_the_end_of_all(void **state)
{
    (void)state;
    static struct stream stream;
    static struct order order;
    struct high_water marks[STREAMS];
    struct merge *merge = begin(&order);
    for (uint32_t i = 0; i < STREAMS; i++) {
        stream = (struct stream){.n_packets = 2};
        push(merge, &stream, i, 2);
    }
    enum merge_result result;
    do
        result = merge_run(merge, 100);
    while (result == MERGE_MORE);
    assert_int_equal(result, MERGE_ENDED);
    assert_int_equal(order.n, 2 * STREAMS);
    merge_applied(merge, marks);
    assert_int_equal(marks[0].seq, -1);
    assert_int_equal(marks[0].packets_into_next, 2);

    assert_int_equal(merge_end(merge), MERGE_ENDED);
    merge_applied(merge, marks);
    assert_int_equal(marks[0].seq, 0);
    assert_int_equal(marks[0].packets_into_next, 0);
    merge_destroy(merge);
}

static void run_idle(struct merge *merge)
{
    enum merge_result result;
    do
        result = merge_run(merge, 100);
    while (result == MERGE_MORE);
    assert_int_equal(result, MERGE_IDLE);
}

/* A worker's ring had a batch damaged that was here already, and the one after it: what its
 * successor says is missing is measured from where the stream is. */
static void test_a_gap_is_measured_from_what_is_here(void **state)
{
    (void)state;
    static struct stream stream;
    static struct order order;
    struct high_water marks[STREAMS];
    struct merge *merge = begin(&order);
    for (uint32_t i = 1; i < STREAMS; i++) {
        struct stream none = {0};
        push(merge, &none, i, 0);
    }
    stream = (struct stream){.n_packets = 3};
    push(merge, &stream, 0, 2);
    struct stream_loss line = {.stream = nothing_applied.stream,
                               .loss = {.packets = 0, /* all of it is in the batch before */
                                        .stage = LOSS_CAPTURE,
                                        .certainty = LOSS_EXACT,
                                        .reason = LOSS_REASON_GAP}};
    struct message gap = {
        .kind = MESSAGE_PACKETS,
        .stream = nothing_applied.stream,
        .seq = 1,
        .totals = {.packets = 7, .l2_bytes = 700, .l3_bytes = 600},
        .losses = &line,
        .n_losses = 1,
    };
    assert_int_equal(merge_push(merge, 0, &gap), 0);
    run_idle(merge);
    merge_applied(merge, marks);
    assert_int_equal(marks[0].seq, 1);
    assert_int_equal(marks[0].totals.packets, 7);
    assert_int_equal(order.lost.packets, 7 - stream.totals.packets);
    assert_int_equal(order.lost.l2_bytes, 700 - stream.totals.l2_bytes);
    assert_int_equal(order.lost.l3_bytes, 600);
    merge_destroy(merge);
}

/* A tracker that was in the middle of a batch was killed, and then the batch was damaged: nothing
 * of the one after it was applied. */
static void test_what_was_applied_of_a_damaged_batch_is_not_skipped_in_the_next(void **state)
{
    (void)state;
    static struct order order;
    struct merge_handlers handlers = {on_ahead, on_packets, on_batch_end, never,
                                      NULL,     &order,     NULL};
    struct high_water mark = nothing_applied;
    mark.packets_into_next = 2;
    mark.totals = (struct totals){2, 120, 0};
    struct merge *merge;
    order = (struct order){0};
    assert_int_equal(merge_create(1, &handlers, &merge), 0);
    merge_begin(merge, 0, &mark);
    struct stream_loss line = {
        .stream = mark.stream,
        .loss = {.stage = LOSS_CAPTURE, .certainty = LOSS_EXACT, .reason = LOSS_REASON_GAP}};
    struct message gap = {
        .kind = MESSAGE_PACKETS,
        .stream = mark.stream,
        .totals = {.packets = 3, .l2_bytes = 180},
        .losses = &line,
        .n_losses = 1,
    };
    static struct stream stream;
    stream = (struct stream){.n_packets = 3, .next_seq = 1, .totals = gap.totals};
    assert_int_equal(merge_push(merge, 0, &gap), 0);
    for (size_t i = 0; i < stream.n_packets; i++)
        stream.packets[i].l2_bytes = 60;
    push(merge, &stream, 0, 3);
    assert_int_equal(merge_run(merge, 100), MERGE_ENDED);
    assert_int_equal(order.n, 3);
    assert_int_equal(order.lost.packets, 1);
    assert_int_equal(merge_end(merge), MERGE_ENDED);
    merge_destroy(merge);
}

static void test_a_batch_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    static struct stream stream;
    static struct order order;
    struct merge *merge = begin(&order);
    stream = (struct stream){.n_packets = 1, .totals = {.l2_bytes = 1}};
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct stream own = stream;
        push(merge, &own, i, 1);
    }
    enum merge_result result;
    do
        result = merge_run(merge, 100);
    while (result == MERGE_MORE);
    if (result == MERGE_ENDED)
        result = merge_end(merge);
    assert_int_equal(result, MERGE_BROKEN);
    assert_non_null(strstr(merge_error(merge), "add up"));
    merge_destroy(merge);
}

struct aside {
    struct loss loss;
    int n;
};

static void on_set_aside(void *state, const struct message *batch, const struct loss *loss)
{
    struct aside *aside = state;
    assert_int_equal(batch->seq, 1);
    aside->loss = *loss;
    aside->n++;
}

static void ignore_packets(void *state, const struct merge_turn *turn)
{
    (void)state;
    for (size_t i = 0; i < turn->n; i++)
        merge_turn_at(turn, i);
}

static void ignore_ahead(void *state, struct merge_packet *packets, size_t n)
{
    (void)state;
    (void)packets;
    (void)n;
}

static void ignore_end(void *state, const struct message *batch)
{
    (void)state;
    (void)batch;
}

/* A batch of garbage whose totals say that it has 5 packets. */
static void push_set_aside(struct merge *merge)
{
    static const uint8_t garbage[200] = {0xff};
    struct message message = {
        .kind = MESSAGE_PACKETS,
        .stream = {.producer = "capture-0", .epoch = 1},
        .seq = 1,
        .totals = {9, 900, 800},
        .watermark_ns = 50,
        .end_of_stream = true,
        .packets = garbage,
        .packets_size = sizeof garbage,
        .n_packets = 2,
    };
    size_t size;
    struct message owned;
    uint8_t *bytes = message_encode(&message, &size);
    assert_int_equal(message_decode(bytes, size, &owned), MESSAGE_OK);
    free(bytes);
    assert_int_equal(merge_push_set_aside(merge, 0, &owned), 0);
}

static void test_a_batch_that_is_set_aside_is_a_loss_of_what_was_not_applied_of_it(void **state)
{
    (void)state;
    struct aside aside = {0};
    struct hand_watch watch = {.worker = HAND_IS_EMPTY};
    struct merge_handlers handlers = {ignore_ahead, ignore_packets, ignore_end, never,
                                      on_set_aside, &aside,         &watch};
    struct high_water applied = {.stream = {.producer = "capture-0", .epoch = 1},
                                 .seq = 0,
                                 .packets_into_next = 1,
                                 .totals = {4, 400, 300}};
    struct high_water mark;
    struct merge *merge;
    assert_int_equal(merge_create(1, &handlers, &merge), 0);
    merge_begin(merge, 0, &applied);
    push_set_aside(merge);
    assert_int_equal(merge_run(merge, 100), MERGE_ENDED);
    assert_int_equal(merge_end(merge), MERGE_ENDED);
    assert_int_equal(aside.n, 1);
    assert_int_equal(aside.loss.packets, 5);
    assert_int_equal(aside.loss.l2_bytes, 500);
    assert_int_equal(aside.loss.l3_bytes, 500);
    assert_int_equal(aside.loss.certainty, LOSS_EXACT);
    assert_int_equal(merge_applied(merge, &mark), 1);
    assert_int_equal(mark.seq, 1);
    assert_int_equal(mark.totals.packets, 9);
    assert_int_equal(watch.worker, HAND_IS_EMPTY);
    merge_destroy(merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_that_is_set_aside_is_a_loss_of_what_was_not_applied_of_it),
        cmocka_unit_test(test_the_order_does_not_depend_on_batches_or_arrival),
        cmocka_unit_test(test_ties_go_by_stream_and_within_a_stream_by_arrival),
        cmocka_unit_test(test_a_streams_last_batch_is_under_way_until_the_end_of_all),
        cmocka_unit_test(test_a_gap_is_measured_from_what_is_here),
        cmocka_unit_test(test_what_was_applied_of_a_damaged_batch_is_not_skipped_in_the_next),
        cmocka_unit_test(test_a_batch_that_does_not_add_up_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
