/* What completes a datagram, and what never will: as Linux has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "capture/fragment/reassembly.h"

#define SECOND INT64_C(1000000000)

enum { DATA_MAX = 70000, STEPS_MAX = 6, MEMORY = REASSEMBLY_MEMORY_MIN };
#define HELD  REASSEMBLY_HELD
#define WHOLE REASSEMBLY_COMPLETE
#define ALONE REASSEMBLY_ALONE

static uint8_t data[DATA_MAX];

static int fill_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    return 0;
}

static struct reassembly *new_reassembly(void)
{
    struct reassembly *reassembly;
    struct reassembly_limits limits = {MEMORY, 30 * SECOND, 60 * SECOND};
    assert_int_equal(reassembly_create(&limits, &reassembly), 0);
    return reassembly;
}

static struct fragment_key key_of(int version, uint32_t id)
{
    return (struct fragment_key){.source_address = {10, 0, 0, 1},
                                 .destination_address = {10, 0, 0, 2},
                                 .id = id,
                                 .ip_version = (uint8_t)version,
                                 .protocol = version == 4 ? 17 : 0};
}

static struct fragment piece(uint32_t from, uint32_t size, bool has_more)
{
    return (struct fragment){.bytes = data + from,
                             .captured_bytes = size,
                             .payload_bytes = size,
                             .offset_bytes = from,
                             .header_bytes = 40,
                             .next_header = 17,
                             .has_more = has_more};
}

static enum reassembly_result add(struct reassembly *reassembly, int version, uint32_t id,
                                  struct fragment fragment, int64_t clock_ns,
                                  struct datagram *datagram)
{
    struct fragment_key key = key_of(version, id);
    return reassembly_add(reassembly, &key, &fragment, clock_ns, datagram);
}

struct step {
    uint32_t from, size;
    bool has_more;
    enum reassembly_result ipv4, ipv6;
};

/* The datagrams have 64 bytes. */
static const struct {
    const char *what;
    struct step steps[STEPS_MAX]; /* of size 0 at 0: the end */
} scripts[] = {
    {"in order", {{0, 16, true, HELD, HELD}, {16, 48, false, WHOLE, WHOLE}}},
    {"backwards",
     {{56, 8, false, HELD, HELD}, {8, 48, true, HELD, HELD}, {0, 8, true, WHOLE, WHOLE}}},
    {"a duplicate within a run",
     {{0, 8, true, HELD, HELD},
      {8, 8, true, HELD, HELD},
      {0, 16, true, HELD, HELD},
      {16, 48, false, WHOLE, WHOLE}}},
    {"what covers two runs",
     {{8, 8, true, HELD, HELD},
      {0, 8, true, HELD, HELD},
      {0, 16, true, HELD, HELD},
      {16, 48, false, HELD, HELD}}},
    {"an overlap, and all again",
     {{0, 16, true, HELD, HELD},
      {8, 16, true, HELD, HELD},
      {0, 32, true, HELD, HELD},
      {32, 32, false, WHOLE, WHOLE}}},
    {"an earlier end",
     {{0, 8, true, HELD, HELD},
      {56, 8, false, HELD, HELD},
      {32, 8, false, HELD, HELD},
      {8, 48, true, HELD, WHOLE}}},
    {"bytes behind the end",
     {{0, 8, true, HELD, HELD},
      {56, 8, false, HELD, HELD},
      {64, 8, true, HELD, HELD},
      {8, 48, true, HELD, WHOLE}}},
    {"nothing, in the middle",
     {{0, 8, true, HELD, HELD}, {8, 0, true, HELD, HELD}, {8, 56, false, HELD, WHOLE}}},
    {"no multiple of 8",
     {{0, 8, true, HELD, HELD}, {8, 13, true, HELD, ALONE}, {16, 48, false, WHOLE, HELD}}},
    {"the last one twice",
     {{8, 56, false, HELD, HELD}, {8, 56, false, HELD, HELD}, {0, 8, true, WHOLE, WHOLE}}},
    {"a duplicate that says where the end is",
     {{0, 32, true, HELD, HELD}, {32, 32, true, HELD, HELD}, {32, 32, false, HELD, HELD}}},
};

static void test_every_script_goes_as_in_linux(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        for (int version = 4; version <= 6; version += 2) {
            struct reassembly *reassembly = new_reassembly();
            for (size_t n = 0; n < STEPS_MAX; n++) {
                const struct step *step = &scripts[i].steps[n];
                if (step->from + step->size == 0)
                    break;
                struct datagram datagram;
                enum reassembly_result expected = version == 4 ? step->ipv4 : step->ipv6;
                enum reassembly_result got =
                    add(reassembly, version, 1, piece(step->from, step->size, step->has_more), 0,
                        &datagram);
                if (got != expected)
                    fail_msg("IPv%d, %s, step %zu: %d", version, scripts[i].what, n, (int)got);
                if (got != REASSEMBLY_COMPLETE)
                    continue;
                assert_int_equal(datagram.payload_bytes, 64);
                assert_int_equal(datagram.captured_bytes, 64);
                assert_int_equal(datagram.l3_bytes, 40 + 64);
                assert_memory_equal(datagram.bytes, data, 64);
            }
            reassembly_destroy(reassembly);
        }
    }
}

/* 'order': which fragment comes when. The last one completes, whichever it is. */
static void check_order(const uint32_t *order, size_t n, uint32_t size)
{
    struct reassembly *reassembly = new_reassembly();
    struct datagram datagram;
    for (size_t i = 0; i < n; i++) {
        uint32_t from = order[i] * size;
        bool is_last = order[i] == n - 1;
        enum reassembly_result got =
            add(reassembly, 4, 1, piece(from, is_last ? size - 3 : size, !is_last), 0, &datagram);
        assert_int_equal(got, i == n - 1 ? REASSEMBLY_COMPLETE : REASSEMBLY_HELD);
    }
    assert_int_equal(datagram.payload_bytes, n * size - 3);
    assert_memory_equal(datagram.bytes, data, n * size - 3);
    reassembly_destroy(reassembly);
}

static void test_any_order_gives_the_same_bytes(void **state)
{
    (void)state;
    enum { N_MAX = 60 };
    static const uint32_t sizes[] = {8, 504, 1024, 1088};
    for (int round = 0; round < 400; round++) {
        uint32_t order[N_MAX];
        size_t n = 2 + (size_t)rand() % (round % 4 ? 8 : N_MAX - 2);
        for (uint32_t i = 0; i < n; i++)
            order[i] = i;
        for (size_t i = n - 1; i > 0; i--) {
            size_t other = (size_t)rand() % (i + 1);
            uint32_t number = order[i];
            order[i] = order[other];
            order[other] = number;
        }
        check_order(order, n, sizes[round % 4]);
    }
}

static void test_it_is_forgotten_a_timeout_after_the_first_came(void **state)
{
    (void)state;
    static const int64_t timeouts_s[] = {30, 60};
    for (int version = 4; version <= 6; version += 2) {
        int64_t timeout_ns = timeouts_s[version == 6] * SECOND;
        for (int late = 0; late < 2; late++) {
            struct reassembly *reassembly = new_reassembly();
            struct datagram datagram;
            add(reassembly, version, 1, piece(0, 8, true), 0, &datagram);
            add(reassembly, version, 1, piece(8, 8, true), timeout_ns / 2, &datagram);
            assert_int_equal(
                add(reassembly, version, 1, piece(16, 8, false), timeout_ns - 1 + late, &datagram),
                late ? REASSEMBLY_HELD : REASSEMBLY_COMPLETE);
            reassembly_destroy(reassembly);
        }
    }
}

/* Of IPv6 it does not matter what comes in between. */
static void test_a_datagram_begins_anew_when_64_others_came_in_between(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        for (uint32_t n = 62; n <= 66; n++) {
            struct reassembly *reassembly = new_reassembly();
            struct datagram datagram;
            add(reassembly, version, 1, piece(0, 8, true), 0, &datagram);
            for (uint32_t i = 0; i < n; i++)
                add(reassembly, version, 1000 + i, piece(0, 8, true), 0, &datagram);
            enum reassembly_result got =
                add(reassembly, version, 1, piece(8, 8, false), 0, &datagram);
            bool is_anew = version == 4 && n > 63;
            assert_int_equal(got, is_anew ? REASSEMBLY_HELD : REASSEMBLY_COMPLETE);
            reassembly_destroy(reassembly);
        }
    }
}

static void test_what_is_above_65535_bytes_is_none(void **state)
{
    (void)state;
    for (uint32_t last = 7; last <= 9; last++) { /* 65480 + 8 + last, and a header of 40 */
        struct reassembly *reassembly = new_reassembly();
        struct datagram datagram;
        add(reassembly, 4, 1, piece(0, 32736, true), 0, &datagram);
        add(reassembly, 4, 1, piece(32736, 32752, true), 0, &datagram);
        assert_int_equal(add(reassembly, 4, 1, piece(65488, last, false), 0, &datagram),
                         65488 + last + 40 > 65535 ? REASSEMBLY_HELD : REASSEMBLY_COMPLETE);
        reassembly_destroy(reassembly);
    }
    struct reassembly *reassembly = new_reassembly();
    struct datagram datagram;
    for (int version = 4; version <= 6; version += 2)
        assert_int_equal(add(reassembly, version, 1, piece(65528, 4000, false), 0, &datagram),
                         REASSEMBLY_HELD);
    reassembly_destroy(reassembly);
}

static void test_a_first_fragment_without_its_headers_is_a_packet_of_its_own(void **state)
{
    (void)state;
    struct reassembly *reassembly = new_reassembly();
    struct datagram datagram;
    struct fragment first = piece(0, 8, true);
    first.lacks_headers = true;
    assert_int_equal(add(reassembly, 6, 1, first, 0, &datagram), REASSEMBLY_ALONE);
    assert_int_equal(datagram.l3_bytes, 40 + 8 + 8); /* with its fragment header */
    assert_false(datagram.is_lone_later);
    assert_int_equal(add(reassembly, 6, 1, piece(8, 9, true), 0, &datagram), REASSEMBLY_ALONE);
    assert_true(datagram.is_lone_later);
    reassembly_destroy(reassembly);
}

static void test_what_the_capture_does_not_have_ends_what_is_captured(void **state)
{
    (void)state;
    for (uint32_t captured = 0; captured <= 16; captured++) {
        struct reassembly *reassembly = new_reassembly();
        struct datagram datagram;
        struct fragment middle = piece(16, 16, true);
        middle.captured_bytes = captured;
        add(reassembly, 4, 1, piece(32, 16, false), 0, &datagram);
        add(reassembly, 4, 1, middle, 0, &datagram);
        assert_int_equal(add(reassembly, 4, 1, piece(0, 16, true), 0, &datagram),
                         REASSEMBLY_COMPLETE);
        uint32_t expected = captured == 16 ? 48 : 16 + captured;
        assert_int_equal(datagram.captured_bytes, expected);
        assert_int_equal(datagram.payload_bytes, 48);
        assert_memory_equal(datagram.bytes, data, expected);
        reassembly_destroy(reassembly);
    }
}

static void test_a_flood_does_not_keep_a_datagram_from_being_complete(void **state)
{
    (void)state;
    struct reassembly *reassembly = new_reassembly();
    struct datagram datagram;
    for (uint32_t i = 0; i < 20000; i++) {
        int version = i % 2 ? 4 : 6;
        uint32_t size = 8 * (1 + (uint32_t)rand() % 1000);
        add(reassembly, version, 100000 + i, piece(0, size, true), i, &datagram);
        if (i % 100)
            continue;
        add(reassembly, 6, i, piece(0, 2000, true), i, &datagram);
        assert_int_equal(add(reassembly, 6, i, piece(2000, 5, false), i, &datagram),
                         REASSEMBLY_COMPLETE);
        assert_memory_equal(datagram.bytes, data, 2005);
    }
    assert_true(reassembly_given_up(reassembly) > 10000);
    reassembly_forget(reassembly);
    assert_int_equal(add(reassembly, 4, 1, piece(0, 8, true), 0, &datagram), REASSEMBLY_HELD);
    assert_int_equal(add(reassembly, 4, 1, piece(8, 8, false), 0, &datagram), REASSEMBLY_COMPLETE);
    reassembly_destroy(reassembly);
}

/* Everything at random, long enough for a sanitizer to find what is wrong. */
static void test_random_fragments_leave_no_block_behind(void **state)
{
    (void)state;
    struct reassembly *reassembly = new_reassembly();
    struct datagram datagram;
    size_t n_complete = 0;
    for (int64_t i = 0; i < 200000; i++) {
        uint32_t from = 8 * ((uint32_t)rand() % (rand() % 50 ? 24 : 8192));
        uint32_t size = (uint32_t)rand() % (rand() % 50 ? 64 : 4000);
        struct fragment fragment = piece(from, size, rand() % 3);
        n_complete += add(reassembly, rand() % 2 ? 4 : 6, (uint32_t)rand() % 40, fragment,
                          i * SECOND / 10, &datagram) == REASSEMBLY_COMPLETE;
    }
    assert_true(n_complete > 1000);
    reassembly_forget(reassembly);
    assert_int_equal(reassembly_given_up(reassembly), 0);
    reassembly_destroy(reassembly);
    reassembly_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_script_goes_as_in_linux),
        cmocka_unit_test(test_any_order_gives_the_same_bytes),
        cmocka_unit_test(test_it_is_forgotten_a_timeout_after_the_first_came),
        cmocka_unit_test(test_a_datagram_begins_anew_when_64_others_came_in_between),
        cmocka_unit_test(test_what_is_above_65535_bytes_is_none),
        cmocka_unit_test(test_a_first_fragment_without_its_headers_is_a_packet_of_its_own),
        cmocka_unit_test(test_what_the_capture_does_not_have_ends_what_is_captured),
        cmocka_unit_test(test_a_flood_does_not_keep_a_datagram_from_being_complete),
        cmocka_unit_test(test_random_fragments_leave_no_block_behind),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
