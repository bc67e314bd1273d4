/* Flows: every packet is in a record; records do not depend on who shares the table or on when
 * timers are looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"
#include "tracker/flow.h"

enum { PACKETS = 4000, RECORDS_MAX = 20000, SHARDS = 4 };

static const int64_t second_ns = 1000000000;

struct records {
    struct flow_record items[RECORDS_MAX];
    size_t n;
};

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
};

static int open_world(void **state)
{
    static struct world world;
    config_init(&world.config);
    *state = &world;
    int result = account_table_create(&world.config, &world.accounts);
    return result ? result : link_table_create(&world.config, &world.links);
}

static int close_world(void **state)
{
    struct world *world = *state;
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
    return 0;
}

static void on_record(void *state, const struct flow_record *record)
{
    struct records *records = state;
    assert_true(records->n < RECORDS_MAX);
    records->items[records->n++] = *record;
}

static struct flow_table *open_flows(const struct world *world, size_t connections_max,
                                     struct records *records)
{
    struct flow_options options = {
        .config = &world->config,
        .accounts = world->accounts,
        .links = world->links,
        .connections_max = connections_max,
        .sink = {.on_record = on_record, .state = records},
    };
    struct flow_table *flows;
    assert_int_equal(flow_table_create(&options, &flows), 0);
    return flows;
}

/* A packet of one of a few connections; its clock is 'clock_ns', its time may be earlier. */
static struct packet random_packet(int64_t clock_ns)
{
    static const uint8_t protocols[] = {1, 6, 6, 6, 17, 17, 47};
    struct packet packet = {
        .time_ns = clock_ns - (rand() % 4 == 0 ? rand() % (3 * second_ns) : 0),
        .clock_ns = clock_ns,
        .l2_bytes = 60 + (uint32_t)rand() % 1400,
        .protocol = protocols[rand() % (int)sizeof protocols],
        .marks = PACKET_MARK_IPV4,
        .source_address = {10, 0, 0, (uint8_t)(rand() % 4)},
        .destination_address = {192, 0, 2, (uint8_t)(rand() % 4)},
    };
    packet.l3_bytes = packet.l2_bytes - 14;
    if (packet.protocol == 6 || packet.protocol == 17) {
        packet.marks |= PACKET_MARK_PORTS;
        packet.source_port = (uint16_t)(1000 + rand() % 3);
        packet.destination_port = 80;
    }
    if (packet.protocol == 6) {
        static const uint8_t flags[] = {TCP_SYN,           TCP_SYN | TCP_ACK, TCP_ACK,
                                        TCP_FIN | TCP_ACK, TCP_RST,           TCP_ACK};
        packet.parts = PACKET_PART_TCP;
        packet.tcp.flags = flags[rand() % (int)sizeof flags];
    }
    if (packet.protocol == 1) {
        packet.parts = PACKET_PART_ICMP;
        packet.icmp_type = 8;
    }
    if (rand() % 2) { /* the other way: then the higher end sends */
        uint8_t address[16];
        memcpy(address, packet.source_address, 16);
        memcpy(packet.source_address, packet.destination_address, 16);
        memcpy(packet.destination_address, address, 16);
        uint16_t port = packet.source_port;
        packet.source_port = packet.destination_port;
        packet.destination_port = port;
        packet.marks |= PACKET_MARK_SOURCE_IS_HIGH;
    }
    return packet;
}

static size_t shard_of(const struct packet *packet)
{
    size_t sum = packet->protocol;
    for (int i = 0; i < 4; i++)
        sum += packet->source_address[i] + packet->destination_address[i];
    return (sum + packet->source_port + packet->destination_port) % SHARDS;
}

static void finish(struct flow_table *flows, int64_t end_ns)
{
    while (flow_table_advance(flows, end_ns))
        ;
    while (flow_table_finish(flows, 3))
        ;
    assert_int_equal(flow_table_count(flows), 0);
    flow_table_destroy(flows);
}

static int compare_records(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct flow_record));
}

static void make_packets(struct packet *packets, unsigned seed)
{
    srand(seed);
    int64_t clock_ns = 1000 * second_ns;
    for (size_t i = 0; i < PACKETS; i++) {
        int64_t step_ns = rand() % 50 == 0 ? 200 * second_ns : second_ns / 2;
        clock_ns += rand() % step_ns;
        packets[i] = random_packet(clock_ns);
    }
}

static enum flow_result add(struct flow_table *flows, const struct packet *packet,
                            uint16_t *account)
{
    struct flow_key key;
    flow_table_key(flows, packet, &key);
    flow_table_prefetch(flows, &key);
    struct flow_charge charge;
    enum flow_result result = flow_table_add(flows, packet, &key, &charge);
    *account = charge.account;
    return result;
}

static void test_records_do_not_depend_on_shards_or_on_when_timers_are_looked_at(void **state)
{
    static struct packet packets[PACKETS];
    static struct records whole, parts;
    uint16_t account;
    for (unsigned seed = 1; seed <= 10; seed++) {
        make_packets(packets, seed);
        int64_t end_ns = packets[PACKETS - 1].clock_ns;
        whole.n = parts.n = 0;
        struct flow_table *one = open_flows(*state, 10000, &whole);
        struct flow_table *shards[SHARDS];
        for (size_t i = 0; i < SHARDS; i++)
            shards[i] = open_flows(*state, 10000, &parts);
        for (size_t i = 0; i < PACKETS; i++) {
            flow_table_advance(one, packets[i].clock_ns);
            add(one, &packets[i], &account);
            struct flow_table *shard = shards[shard_of(&packets[i])];
            if (rand() % 10 == 0)
                flow_table_advance(shard, packets[i].clock_ns);
            add(shard, &packets[i], &account);
        }
        finish(one, end_ns);
        for (size_t i = 0; i < SHARDS; i++)
            finish(shards[i], end_ns);
        assert_int_equal(whole.n, parts.n);
        qsort(whole.items, whole.n, sizeof *whole.items, compare_records);
        qsort(parts.items, parts.n, sizeof *parts.items, compare_records);
        assert_memory_equal(whole.items, parts.items, whole.n * sizeof *whole.items);
    }
}

static void test_every_packet_is_in_one_record_or_overflows(void **state)
{
    static struct packet packets[PACKETS];
    static struct records records;
    for (size_t connections_max = 1; connections_max < 100; connections_max *= 3) {
        make_packets(packets, (unsigned)connections_max);
        records.n = 0;
        struct flow_table *flows = open_flows(*state, connections_max, &records);
        uint64_t n_overflowed = 0, l2_overflowed = 0, l2_all = 0;
        for (size_t i = 0; i < PACKETS; i++) {
            uint16_t account;
            flow_table_advance(flows, packets[i].clock_ns);
            l2_all += packets[i].l2_bytes;
            if (add(flows, &packets[i], &account) == FLOW_OVERFLOW) {
                n_overflowed++;
                l2_overflowed += packets[i].l2_bytes;
            }
            assert_true(flow_table_count(flows) <= connections_max);
        }
        finish(flows, packets[PACKETS - 1].clock_ns);
        uint64_t n = 0, l2_bytes = 0;
        for (size_t i = 0; i < records.n; i++)
            for (int way = 0; way < FLOW_DIRECTIONS; way++) {
                n += records.items[i].counters[way].packets;
                l2_bytes += records.items[i].counters[way].l2_bytes;
            }
        assert_int_equal(n + n_overflowed, PACKETS);
        assert_int_equal(l2_bytes + l2_overflowed, l2_all);
    }
}

static void test_a_flow_ends_when_the_clock_reaches_its_expiry_and_not_before(void **state)
{
    const struct world *world = *state;
    static struct records records;
    uint16_t account;
    struct packet packet = {
        .protocol = 17, .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS, .l2_bytes = 60};
    int64_t timeout_ns = world->config.timeouts.udp_unreplied_ns;
    for (int64_t off_ns = -1; off_ns <= 0; off_ns++) {
        records.n = 0;
        struct flow_table *flows = open_flows(world, 10, &records);
        packet.time_ns = packet.clock_ns = second_ns;
        add(flows, &packet, &account);
        packet.time_ns = packet.clock_ns = second_ns + timeout_ns + off_ns;
        add(flows, &packet, &account);
        finish(flows, packet.clock_ns);
        assert_int_equal(records.n, off_ns < 0 ? 1 : 2);
        assert_int_equal(records.items[0].end_reason, off_ns < 0 ? END_OF_INPUT : END_TIMEOUT);
    }
}

static void test_interim_records_add_up_to_the_flow(void **state)
{
    const struct world *world = *state;
    static struct records records;
    struct packet packet = {.protocol = 17,
                            .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
                            .l2_bytes = 60,
                            .l3_bytes = 7,
                            .destination_address = {10, 0, 0, 1}};
    records.n = 0;
    struct flow_table *flows = open_flows(world, 10, &records);
    uint16_t account;
    enum { SENT = 1000 };
    for (int i = 0; i < SENT; i++) {
        packet.time_ns = packet.clock_ns = (i + 1) * 10 * second_ns;
        add(flows, &packet, &account);
    }
    finish(flows, packet.clock_ns);
    uint64_t n = 0, billed_bytes = 0;
    for (size_t i = 0; i < records.n; i++) {
        const struct flow_record *record = &records.items[i];
        assert_int_equal(record->id, records.items[0].id);
        assert_int_equal(record->kind, i + 1 < records.n ? RECORD_INTERIM : RECORD_FINAL);
        n += record->counters[FLOW_ORIGINAL].packets;
        billed_bytes += record->counters[FLOW_ORIGINAL].billed_bytes;
    }
    int64_t intervals = SENT * 10 * second_ns / world->config.tracker.interim_interval_ns;
    assert_in_range(records.n, intervals, intervals + 2);
    assert_int_equal(n, SENT);
    assert_int_equal(billed_bytes, SENT * 7);
}

static struct packet tcp_packet(int64_t time_ns, bool is_down, uint8_t flags)
{
    struct packet packet = {
        .time_ns = time_ns,
        .clock_ns = time_ns,
        .l2_bytes = 54,
        .l3_bytes = 40,
        .source_port = is_down ? 80 : 1000,
        .destination_port = is_down ? 1000 : 80,
        .protocol = 6,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS | (is_down ? PACKET_MARK_SOURCE_IS_HIGH : 0),
        .parts = PACKET_PART_TCP,
        .source_address = {is_down ? 20 : 10},
        .destination_address = {is_down ? 10 : 20},
        .tcp = {.sequence = is_down ? 500 : 100, .window = 1000, .flags = flags},
    };
    return packet;
}

/* An answer without its question is no connection; the question that comes after it begins one. */
static void test_a_connection_begins_its_own_flow(void **state)
{
    static struct records records;
    uint16_t account;
    records.n = 0;
    struct flow_table *flows = open_flows(*state, 10, &records);
    struct packet answer = tcp_packet(second_ns, true, TCP_SYN | TCP_ACK);
    add(flows, &answer, &account);
    assert_int_equal(flow_table_judgement(flows)->ct_state, CT_INVALID | CT_TRACKED);
    struct packet question = tcp_packet(2 * second_ns, false, TCP_SYN);
    add(flows, &question, &account);
    assert_int_equal(flow_table_judgement(flows)->ct_state, CT_NEW | CT_TRACKED);
    finish(flows, 2 * second_ns);

    assert_int_equal(records.n, 2);
    const struct flow_record *none = &records.items[0], *connection = &records.items[1];
    assert_int_equal(none->state, STATE_NONE);
    assert_int_equal(none->end_reason, END_REOPENED);
    assert_int_equal(none->invalid_packets, 1);
    assert_int_equal(none->counters[FLOW_ORIGINAL].packets, 1);
    assert_int_equal(none->counters[FLOW_ORIGINAL].ct_packets, 0);
    assert_int_equal(connection->state, STATE_SYN_SENT);
    assert_int_equal(connection->start_ns, 2 * second_ns);
    assert_int_equal(connection->source_port, 1000);
    assert_int_equal(connection->counters[FLOW_ORIGINAL].ct_packets, 1);
}

/* Invalid packets are billed to the connection and leave its timer alone. */
static void test_an_invalid_packet_is_billed_and_harms_nothing(void **state)
{
    const struct world *world = *state;
    static struct records records;
    uint16_t account;
    records.n = 0;
    struct flow_table *flows = open_flows(world, 10, &records);
    struct packet packet = tcp_packet(second_ns, false, TCP_SYN);
    add(flows, &packet, &account);
    int64_t end_ns = second_ns + world->config.timeouts.tcp_syn_sent_ns;
    packet = tcp_packet(end_ns - 1, false, TCP_FIN);
    add(flows, &packet, &account);
    flow_table_advance(flows, end_ns);
    assert_int_equal(flow_table_count(flows), 0);
    assert_int_equal(records.items[records.n - 1].end_reason, END_TIMEOUT);
    assert_int_equal(records.items[records.n - 1].invalid_packets, 1);
    flow_table_destroy(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_do_not_depend_on_shards_or_on_when_timers_are_looked_at),
        cmocka_unit_test(test_every_packet_is_in_one_record_or_overflows),
        cmocka_unit_test(test_a_flow_ends_when_the_clock_reaches_its_expiry_and_not_before),
        cmocka_unit_test(test_interim_records_add_up_to_the_flow),
        cmocka_unit_test(test_a_connection_begins_its_own_flow),
        cmocka_unit_test(test_an_invalid_packet_is_billed_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
