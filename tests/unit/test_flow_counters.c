/* What does not fit an entry's counters: sums beyond 32 bits, many packets that conntrack does not
 * count, a first packet that was not the earliest, more changes of accounts than have numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/overhead.h"
#include "tracker/flow.h"
#include "tracker/flow_counters.h"
#include "tracker/link.h"

enum { O = FLOW_ORIGINAL, R = FLOW_REPLY };

static const int64_t S = 1000000000;

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct flow_record last;                       /* record */
    struct flow_counters counted[FLOW_DIRECTIONS]; /* by all records */
    uint64_t invalid_packets;
    uint32_t wan_changes;
    size_t n_records;
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    world->last = *record;
    world->n_records++;
    world->invalid_packets += record->invalid_packets;
    world->wan_changes += record->wan_changes;
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        world->counted[i].packets += record->counters[i].packets;
        world->counted[i].l2_bytes += record->counters[i].l2_bytes;
        world->counted[i].l3_bytes += record->counters[i].l3_bytes;
        world->counted[i].billed_bytes += record->counters[i].billed_bytes;
        world->counted[i].ct_packets += record->counters[i].ct_packets;
        world->counted[i].ct_l3_bytes += record->counters[i].ct_l3_bytes;
    }
}

static int open_world(void **state)
{
    static struct config_wan wans[2] = {
        {.name = (char *)"a", .overhead = (char *)"pppoe-fcs"},
        {.name = (char *)"b", .overhead = (char *)"pppoe-vcmux"},
    };
    struct world *world = calloc(1, sizeof *world);
    config_init(&world->config);
    world->config.tracker.interim_interval_ns = 24 * 3600 * S;
    world->config.wans = wans;
    world->config.n_wans = 2;
    *state = world;
    int result = account_table_create(&world->config, &world->accounts);
    if (result == 0)
        result = link_table_create(&world->config, &world->links);
    struct flow_options options = {.config = &world->config,
                                   .accounts = world->accounts,
                                   .links = world->links,
                                   .connections_max = 8,
                                   .sink = {on_record, NULL, world}};
    return result == 0 ? flow_table_create(&options, &world->flows) : result;
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    world->config.wans = NULL; /* ours */
    world->config.n_wans = 0;
    config_deinit(&world->config);
    free(world);
    return 0;
}

/* Between 10.0.0.1:1000 and 192.0.2.1:53. */
static struct packet packet_of(uint8_t protocol, int64_t clock_ns, unsigned direction)
{
    static const uint8_t low[4] = {10, 0, 0, 1}, high[4] = {192, 0, 2, 1};
    struct packet packet = {
        .time_ns = clock_ns,
        .clock_ns = clock_ns,
        .l2_bytes = 114,
        .l3_bytes = 100,
        .wan = 1,
        .source_port = direction == R ? 53 : 1000,
        .destination_port = direction == R ? 1000 : 53,
        .protocol = protocol,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS |
                 (direction == R ? PACKET_MARK_SOURCE_IS_HIGH : 0),
    };
    memcpy(packet.source_address, direction == R ? high : low, 4);
    memcpy(packet.destination_address, direction == R ? low : high, 4);
    return packet;
}

/* What it is billed. */
static uint64_t add(struct world *world, const struct packet *packet)
{
    struct flow_key key;
    struct flow_charge charge;
    flow_table_advance(world->flows, packet->clock_ns);
    flow_table_key(world->flows, packet, &key);
    assert_int_equal(flow_table_add(world->flows, packet, &key, &charge), FLOW_COUNTED);
    return charge.billed_bytes;
}

static void finish(struct world *world)
{
    while (flow_table_finish(world->flows, 1))
        ;
}

/* ---- sums ---- */

/* The largest packets there can be: each sum passes 2^32 again and again, and no record is cut. */
static void test_sums_beyond_32_bits_are_exact_and_in_one_record(void **state)
{
    struct world *world = *state;
    uint64_t billed = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct packet packet = packet_of(17, i, i % 4 == 3 ? R : O);
        packet.l2_bytes = UINT32_MAX;
        packet.l3_bytes = UINT32_MAX - 14;
        billed += add(world, &packet);
    }
    finish(world);
    assert_int_equal(world->n_records, 1);
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &world->last.counters[i];
        uint64_t n = i == O ? 15 : 5;
        assert_int_equal(counters->packets, n);
        assert_int_equal(counters->l2_bytes, n * UINT32_MAX);
        assert_int_equal(counters->l3_bytes, n * (UINT32_MAX - 14));
        assert_int_equal(counters->ct_packets, n);
        assert_int_equal(counters->ct_l3_bytes, counters->l3_bytes);
    }
    assert_int_equal(world->last.counters[O].billed_bytes + world->last.counters[R].billed_bytes,
                     billed);
}

/* One byte below the limit, at it and past it; each sum comes to it at another packet. */
static void test_sums_about_the_limit_are_exact(void **state)
{
    (void)state;
    struct connection_table *table;
    struct connection_limits limits = {.connections_max = 64};
    assert_int_equal(connection_table_create(&limits, &table), 0);
    for (unsigned i = 0; i < 64; i++) {
        struct tuple tuple = {.protocol = 17, .ip_version = 4, .zone = (uint16_t)i};
        struct connection *connection =
            connection_table_add(table, &tuple, connection_table_hash(table, &tuple));
        connection->status = STATUS_CONFIRMED;
        uint32_t before[] = {UINT32_MAX - 2, UINT32_MAX - 1, UINT32_MAX, 5};
        uint16_t small[] = {UINT16_MAX - 2, UINT16_MAX - 1, UINT16_MAX, 5};
        connection->counters[O] = (struct connection_counters){
            .l3_bytes = before[i / 16],
            .billed_bytes = before[(i + 1) % 4],
            .packets = small[i % 4],
            .l2_more = small[i / 4 % 4],
        };
        struct packet packet = {.l2_bytes = 3, .l3_bytes = 2};
        for (unsigned n = 0; n < 3; n++)
            flow_counters_add(table, connection, O, &packet, 1);
        struct flow_counters counters;
        flow_counters_read(connection, O, &counters);
        assert_int_equal(counters.packets, small[i % 4] + UINT64_C(3));
        assert_int_equal(counters.l2_bytes,
                         before[i / 16] + UINT64_C(6) + small[i / 4 % 4] + UINT64_C(3));
        assert_int_equal(counters.l3_bytes, before[i / 16] + UINT64_C(6));
        assert_int_equal(counters.billed_bytes, before[(i + 1) % 4] + UINT64_C(3));
        assert_int_equal(counters.ct_packets, counters.packets);
        assert_false(flow_counters_are_zero(connection));
        flow_counters_reset(connection);
        flow_counters_read(connection, O, &counters);
        assert_memory_equal(&counters, &(struct flow_counters){0}, sizeof counters);
    }
    connection_table_destroy(table);
}

/* Frames with much around their packets, with little, and shorter than what they say of themselves:
 * in one flow, and more of them than 16 bits count. */
static void test_many_packets_with_frames_of_any_length_are_exact_and_in_one_record(void **state)
{
    struct world *world = *state;
    static const uint32_t l2_bytes[] = {114, 60, 20000, 128, 114};
    enum { LENGTHS = 5, PACKETS = 200000 };
    uint64_t sum = 0;
    for (unsigned i = 0; i < PACKETS; i++) {
        struct packet packet = packet_of(17, i, O);
        packet.l2_bytes = l2_bytes[i % LENGTHS];
        packet.l3_bytes = 100;
        sum += packet.l2_bytes;
        add(world, &packet);
    }
    finish(world);
    assert_int_equal(world->n_records, 1);
    assert_int_equal(world->last.counters[O].packets, PACKETS);
    assert_int_equal(world->last.counters[O].l2_bytes, sum);
    assert_int_equal(world->last.counters[O].l3_bytes, PACKETS * 100);
    assert_int_equal(world->last.counters[O].ct_packets, PACKETS);
}

/* Lengths that share their lowest bits, in turn and at random: what was billed before never shows.
 */
static void test_each_length_costs_what_the_model_says_whatever_came_before(void **state)
{
    struct world *world = *state;
    struct overhead models[2];
    assert_true(overhead_make(world->config.wans[0].overhead, &models[0]));
    assert_true(overhead_make(world->config.wans[1].overhead, &models[1]));
    uint64_t random = 1;
    for (unsigned i = 0; i < 100000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        struct packet packet = packet_of(1, 0, O);
        packet.wan = (uint16_t)(1 + (random >> 63));
        packet.l3_bytes = i % 4 ? (uint32_t)(random >> 40) % 256 * 64 : (uint32_t)(random >> 32);
        struct link_charge charge;
        link_table_charge(world->links, &packet, NULL, &charge);
        assert_int_equal(charge.billed_bytes,
                         overhead_billed_bytes(&models[packet.wan - 1], packet.l3_bytes));
    }
}

/* ---- packets that conntrack does not count, or that changed their WAN ---- */

static struct packet segment(int64_t clock_ns, unsigned direction, uint8_t flags)
{
    struct packet packet = packet_of(6, clock_ns, direction);
    packet.parts = PACKET_PART_TCP;
    packet.tcp = (struct packet_tcp){
        .sequence = direction == R ? 5000 : 1000, .window = 100, .flags = flags};
    return packet;
}

static void test_invalid_packets_beyond_8_bits_are_billed_and_not_conntracks(void **state)
{
    struct world *world = *state;
    struct packet syn = segment(0, O, TCP_SYN);
    add(world, &syn);
    for (unsigned i = 1; i <= 1000; i++) {
        struct packet impossible = segment(i, i % 2 ? O : R, TCP_SYN | TCP_FIN);
        impossible.wan = 2;
        add(world, &impossible);
    }
    finish(world);
    assert_int_equal(world->n_records, 1);
    assert_int_equal(world->last.invalid_packets, 1000);
    assert_int_equal(world->last.wan_changes, 1000);
    assert_int_equal(world->last.counters[O].packets, 501);
    assert_int_equal(world->last.counters[R].packets, 500);
    assert_int_equal(world->last.counters[O].ct_packets, 1);
    assert_int_equal(world->last.counters[O].ct_l3_bytes, 100);
    assert_int_equal(world->last.counters[R].ct_packets, 0);
    assert_int_equal(world->last.counters[R].ct_l3_bytes, 0);
}

static void test_each_record_has_its_own_of_what_is_kept_apart(void **state)
{
    struct world *world = *state;
    world->config.tracker.interim_interval_ns = 10 * S;
    struct packet syn = segment(0, O, TCP_SYN);
    add(world, &syn);
    for (int64_t at_ns = S; at_ns <= 100 * S; at_ns += S / 10) {
        struct packet again = segment(at_ns, O, TCP_SYN); /* ignored: not counted */
        again.l3_bytes = UINT32_MAX;
        add(world, &again);
    }
    finish(world);
    assert_true(world->n_records > 5);
    assert_int_equal(world->counted[O].packets, 992);
    assert_int_equal(world->counted[O].l3_bytes, 100 + 991 * (uint64_t)UINT32_MAX);
    assert_int_equal(world->counted[O].ct_packets, 1);
    assert_int_equal(world->counted[O].ct_l3_bytes, 100);
    assert_int_equal(world->last.start_ns, 0);
    assert_true(world->last.first_ns >= 90 * S);
}

/* ---- times ---- */

static void test_a_flow_keeps_its_start_where_an_earlier_packet_comes_later(void **state)
{
    struct world *world = *state;
    struct packet packet = packet_of(17, 10 * S, O);
    add(world, &packet);
    packet.time_ns = 7 * S;
    add(world, &packet);
    packet.time_ns = 8 * S;
    add(world, &packet);
    finish(world);
    assert_int_equal(world->n_records, 1);
    assert_int_equal(world->last.start_ns, 10 * S);
    assert_int_equal(world->last.first_ns, 7 * S);
    assert_int_equal(world->last.last_ns, 10 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_beyond_32_bits_are_exact_and_in_one_record,
                                        open_world, close_world),
        cmocka_unit_test(test_sums_about_the_limit_are_exact),
        cmocka_unit_test_setup_teardown(
            test_many_packets_with_frames_of_any_length_are_exact_and_in_one_record, open_world,
            close_world),
        cmocka_unit_test_setup_teardown(
            test_each_length_costs_what_the_model_says_whatever_came_before, open_world,
            close_world),
        cmocka_unit_test_setup_teardown(
            test_invalid_packets_beyond_8_bits_are_billed_and_not_conntracks, open_world,
            close_world),
        cmocka_unit_test_setup_teardown(test_each_record_has_its_own_of_what_is_kept_apart,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(
            test_a_flow_keeps_its_start_where_an_earlier_packet_comes_later, open_world,
            close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
