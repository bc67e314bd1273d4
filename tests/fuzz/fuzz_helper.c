/* Helpers, from hostile bytes: a control connection's packets one after the other.
 *
 * Byte 0: which helper (modulo their number), and with bit 7 IPv6. Then packets: a direction (bit
 * 7) and 11 bits of length, big-endian, and so many bytes of payload, or as many as are left. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/helper.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, LENGTH_MASK = 0x7ff, EXPECTATIONS_MAX = 16 };

struct world {
    struct connection connection;
    struct connection_extra extra;
    struct expectation_table *expectations;
    struct call_map *calls;
    uint32_t sequence[FLOW_DIRECTIONS];
    int64_t clock_ns;
    bool is_ipv6;
};

static void set_address(const struct world *world, uint8_t *address, uint8_t last)
{
    static const uint8_t ipv6[] = {0x20, 1, 0xd, 0xb8};
    const uint8_t ipv4[] = {10, 0, 0, last};
    memcpy(address, world->is_ipv6 ? ipv6 : ipv4, 4);
    if (world->is_ipv6)
        address[15] = last;
}

static void open_world(struct world *world, uint8_t choice)
{
    unsigned number = 1u + (choice & 0x7fu) % (HELPER_N - 1u);
    struct short_tuple *tuple = &world->connection.tuple;
    world->is_ipv6 = choice & 0x80 && helper_names[number].is_for_ip6;
    world->extra.helper_number = (uint8_t)number;
    world->connection.extra = &world->extra;
    world->connection.expires_ns = INT64_MAX;
    tuple->protocol = helper_names[number].is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    tuple->ip_version = world->is_ipv6 ? 6 : 4;
    if (!world->is_ipv6) {
        memcpy(tuple->low_address, (const uint8_t[]){10, 0, 0, 1}, 4);
        memcpy(tuple->high_address, (const uint8_t[]){10, 0, 0, 2}, 4);
    }
    int result = expectation_table_create(EXPECTATIONS_MAX, &world->expectations);
    assert(result == 0);
    result = call_map_create(2, &world->calls);
    assert(result == 0);
    (void)result;
}

/* The list of the master, the table's count and the helper's limits agree. */
static void check(const struct world *world)
{
    const struct helper *helper = helper_of(world->extra.helper_number);
    size_t n[EXPECTATION_CLASSES_MAX] = {0}, n_all = 0;
    for (const struct expectation *item = world->extra.expectations; item;
         item = item->next_of_master) {
        assert(item->class_index < EXPECTATION_CLASSES_MAX);
        n[item->class_index]++;
        n_all++;
    }
    assert(n_all == expectation_table_count(world->expectations));
    for (unsigned i = 0; i < EXPECTATION_CLASSES_MAX; i++)
        assert(n[i] <= helper->classes[i].expectations_max);
    assert(call_map_count(world->calls) <= 2);
}

/* The payload is a block of its own, so that reading past it is seen. */
static void give(struct world *world, unsigned direction, const uint8_t *bytes, size_t size)
{
    uint8_t *payload = malloc(size ? size : 1);
    assert(payload);
    memcpy(payload, bytes, size);
    struct packet packet = {
        .clock_ns = world->clock_ns++,
        .source_port = direction == FLOW_REPLY ? 21 : 40000,
        .destination_port = direction == FLOW_REPLY ? 40000 : 21,
        .protocol = world->connection.tuple.protocol,
        .marks = world->is_ipv6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4,
        .tcp = {.sequence = world->sequence[direction], .payload_bytes = (uint16_t)size},
        .payload = size ? payload : NULL,
        .payload_bytes = (uint16_t)size,
    };
    set_address(world, packet.source_address, direction == FLOW_REPLY ? 2 : 1);
    set_address(world, packet.destination_address, direction == FLOW_REPLY ? 1 : 2);
    struct helper_step step = {
        .packet = &packet,
        .connection = &world->connection,
        .expectations = world->expectations,
        .calls = world->calls,
        .direction = direction,
        .is_established = true,
    };
    helper_of(world->extra.helper_number)->on_packet(&step);
    world->sequence[direction] += (uint32_t)size;
    free(payload);
    check(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct world world = {0};
    if (size == 0)
        return 0;
    open_world(&world, bytes[0]);
    size_t at = 1;
    while (size - at >= 2) {
        size_t length = (size_t)((bytes[at] << 8 | bytes[at + 1]) & LENGTH_MASK);
        unsigned direction = bytes[at] & 0x80 ? FLOW_REPLY : FLOW_ORIGINAL;
        at += 2;
        length = length < size - at ? length : size - at;
        give(&world, direction, bytes + at, length);
        at += length;
    }
    helper_forget_calls(world.calls, &world.connection);
    expectation_table_forget(world.expectations, &world.connection);
    assert(expectation_table_count(world.expectations) == 0 && call_map_count(world.calls) == 0);
    expectation_table_destroy(world.expectations);
    call_map_destroy(world.calls);
    return 0;
}
