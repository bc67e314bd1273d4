/* A flow's id: the same whoever works it out, as it is in databases that there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tracker/tuple.h"

/* Its fields as bytes, one after the other. */
static uint64_t id_of_bytes(const struct tuple *tuple, int64_t start_ns)
{
    uint8_t bytes[56] = {0};
    uint16_t ports[4] = {tuple->low_port, tuple->high_port, tuple->zone, 0};
    if (tuple_is_icmp(tuple)) {
        ports[1] = tuple->low_port;
        ports[3] = tuple->icmp;
    }
    memcpy(bytes, tuple->low_address, 16);
    memcpy(bytes + 16, tuple->high_address, 16);
    memcpy(bytes + 32, ports, 8);
    bytes[40] = tuple->protocol;
    bytes[41] = tuple->ip_version;
    bytes[42] = tuple->has_ports;
    memcpy(bytes + 48, &start_ns, 8);
    uint64_t id;
    crypto_shorthash((uint8_t *)&id, bytes, sizeof bytes, (const uint8_t *)"wanmeter flow id");
    return id;
}

static void test_the_id_is_of_zone_tuple_and_first_packet_s_time(void **state)
{
    (void)state;
    static const uint8_t protocols[] = {1, 6, 17, 47, 58};
    for (unsigned round = 0; round < 1000; round++) {
        struct tuple tuple;
        int64_t start_ns;
        randombytes_buf(&tuple, sizeof tuple);
        randombytes_buf(&start_ns, sizeof start_ns);
        tuple.protocol = protocols[round % sizeof protocols];
        tuple.ip_version = round % 2 ? 6 : 4;
        tuple.unused = 0;
        assert_int_equal(tuple_flow_id(&tuple, start_ns), id_of_bytes(&tuple, start_ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_id_is_of_zone_tuple_and_first_packet_s_time),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
