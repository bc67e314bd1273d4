#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <assert.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/seal.h"

static const int64_t second_ns = 1000000000;
static const int64_t slot_ns = SLOT_SECONDS * INT64_C(1000000000);

static uint64_t random_number(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Some time within a hundred years around 1970. */
static int64_t random_time_ns(void)
{
    return (int64_t)(random_number() % (UINT64_C(3600) * 24 * 365 * 100)) * second_ns -
           INT64_C(3600) * 24 * 365 * 50 * second_ns + (int64_t)(random_number() % 1000);
}

static int64_t slot_of(int64_t time_ns)
{
    int64_t into_ns = time_ns % slot_ns;
    return time_ns - into_ns - (into_ns < 0 ? slot_ns : 0);
}

/* ---- which seal ---- */

static void test_a_seal_is_a_whole_number_of_slots_and_a_zones_day_of_seals(void **state)
{
    (void)state;
    assert_int_equal(SEAL_SECONDS % SLOT_SECONDS, 0);
    for (int offset_s = -14 * 3600; offset_s <= 14 * 3600; offset_s += 15 * 60)
        assert_int_equal((INT64_C(1700006400) - offset_s) % SEAL_SECONDS, 0);
}

static void test_a_time_is_in_the_seal_that_it_is_between_the_ends_of(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t time_ns = random_time_ns();
        int32_t number = seal_of(time_ns);
        assert_true(seal_start_ns(number) <= time_ns && time_ns < seal_start_ns(number + 1));
    }
    assert_int_equal(seal_of(-1), -1);
    assert_int_equal(seal_of(0), 0);
    assert_true(seal_of(INT64_MIN) < seal_of(INT64_MAX));
    assert_true(seal_start_ns(INT32_MIN) == INT64_MIN && seal_start_ns(INT32_MAX) == INT64_MAX);
    assert_int_equal(seal_open_at(INT64_MIN), seal_of(INT64_MIN));
}

static void test_a_packets_row_is_in_its_own_seal_unless_that_is_closed_or_to_come(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t clock_ns = random_time_ns();
        int64_t far_ns = (int64_t)(random_number() % 10000) - 5000;
        int64_t time_ns = slot_of(clock_ns + far_ns * second_ns);
        int32_t number = seal_for(time_ns, clock_ns);
        bool is_closed =
            clock_ns >= seal_start_ns(seal_of(time_ns) + 1) + SEAL_GRACE_SECONDS * second_ns;
        if (is_closed)
            assert_int_equal(number, seal_open_at(clock_ns));
        else if (time_ns > clock_ns)
            assert_int_equal(number, seal_of(clock_ns));
        else
            assert_int_equal(number, seal_of(time_ns));
        assert_true(number >= seal_open_at(clock_ns) && number <= seal_of(clock_ns));
    }
}

static void test_the_answer_holds_until_the_clock_that_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t clock_ns = random_time_ns();
        int64_t time_ns = slot_of(clock_ns - (int64_t)(random_number() % 2000) * second_ns);
        int64_t next_ns = seal_next_ns(clock_ns);
        assert_true(next_ns > clock_ns);
        assert_int_equal(seal_for(time_ns, clock_ns), seal_for(time_ns, next_ns - 1));
    }
}

/* ---- flow records ---- */

static struct flow_record random_record(void)
{
    struct flow_record record;
    uint8_t *bytes = (uint8_t *)&record;
    for (size_t i = 0; i < sizeof record; i++)
        bytes[i] = (uint8_t)random_number();
    record.protocol = 1; /* ICMP with an id: every field counts */
    record.has_ports = 1;
    return record;
}

static void assert_sums_equal(const struct seal_sum *a, const struct seal_sum *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void assert_both_lanes_differ(const struct seal_sum *a, const struct seal_sum *b)
{
    assert_true(a->lanes[0] != b->lanes[0] && a->lanes[1] != b->lanes[1]);
}

static void test_the_order_of_records_does_not_matter(void **state)
{
    (void)state;
    enum { N = 50 };
    struct flow_record records[N];
    struct seal_names names = {1, 2, 3};
    struct seal_sum forward = {0}, backward = {0};
    for (size_t i = 0; i < N; i++)
        records[i] = random_record();
    for (size_t i = 0; i < N; i++) {
        seal_flow_add(&forward, &records[i], &names);
        seal_flow_add(&backward, &records[N - 1 - i], &names);
    }
    assert_sums_equal(&forward, &backward);
}

/* Is the byte a part of what is summed up? */
static bool is_canonical(size_t byte)
{
    bool is_number = byte >= offsetof(struct flow_record, wan) &&
                     byte < offsetof(struct flow_record, ip_version);
    return !is_number && byte != offsetof(struct flow_record, class_index) &&
           byte < offsetof(struct flow_record, seal);
}

static void test_each_bit_of_a_record_changes_both_lanes(void **state)
{
    (void)state;
    static_assert(offsetof(struct flow_record, ip_version) ==
                      offsetof(struct flow_record, wan) + 2 * sizeof(uint16_t),
                  "wan and account are beside each other");
    struct seal_names names = {1, 2, 3};
    struct flow_record record = random_record();
    struct seal_sum before = {0};
    seal_flow_add(&before, &record, &names);
    for (size_t bit = 0; bit < sizeof record * 8; bit++) {
        struct flow_record flipped = record;
        ((uint8_t *)&flipped)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (flipped.protocol != 1 || flipped.has_ports != 1)
            continue; /* then ports or the ICMP type are no part of it */
        struct seal_sum after = {0};
        seal_flow_add(&after, &flipped, &names);
        if (is_canonical(bit / 8))
            assert_both_lanes_differ(&before, &after);
        else
            assert_sums_equal(&before, &after);
    }
}

/* What is sealed stays verifiable: a record that grows keeps the sums of those from before. */
static void test_the_sum_of_a_record_is_what_it_always_was(void **state)
{
    (void)state;
    struct flow_record record = {0};
    for (size_t i = 0; i < offsetof(struct flow_record, wan_match); i++)
        ((uint8_t *)&record)[i] = (uint8_t)(i + 1);
    record.protocol = 1;
    record.has_ports = 1;
    struct seal_names names = {seal_name("dsl"), seal_name("alice"), seal_name("connection")};
    struct seal_sum sum = {0};
    char text[SEAL_HEX_SIZE];
    seal_flow_add(&sum, &record, &names);
    seal_sum_hex(&sum, text);
    assert_string_equal(text, "05fc58723cbd6cbc141c23a88bcdb78e");
}

static void test_names_count_and_numbers_do_not(void **state)
{
    (void)state;
    assert_true(seal_name("alice") != seal_name("alicf"));
    struct flow_record record = random_record();
    struct seal_names names[] = {{1, 2, 3}, {2, 2, 3}, {1, 1, 3}, {1, 2, 2}};
    struct seal_sum first = {0};
    seal_flow_add(&first, &record, &names[0]);
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        struct seal_sum other = {0};
        seal_flow_add(&other, &record, &names[i]);
        assert_both_lanes_differ(&first, &other);
    }
}

static void test_ports_of_a_protocol_without_them_do_not_count(void **state)
{
    (void)state;
    struct seal_names names = {1, 2, 3};
    struct flow_record record = random_record();
    record.protocol = 47;
    record.has_ports = 0;
    struct flow_record other = record;
    other.source_port++;
    other.destination_port++;
    other.icmp_type++;
    struct seal_sum a = {0}, b = {0};
    seal_flow_add(&a, &record, &names);
    seal_flow_add(&b, &other, &names);
    assert_sums_equal(&a, &b);
}

/* ---- a seal ---- */

static void test_everything_that_a_seal_says_is_in_its_hash(void **state)
{
    (void)state;
    struct seal seal = {.number = 1,
                        .n_usage = 2,
                        .n_flows = 3,
                        .n_losses = 4,
                        .packets = 5,
                        .l2_bytes = 6,
                        .l3_bytes = 7,
                        .billed_bytes = 8};
    seal_close(&seal);
    for (size_t byte = 0; byte < offsetof(struct seal, hash); byte++) {
        if (byte >= sizeof seal.number && byte < offsetof(struct seal, n_usage))
            continue; /* a hole */
        struct seal other = seal;
        ((uint8_t *)&other)[byte] ^= 1;
        seal_close(&other);
        assert_memory_not_equal(seal.hash, other.hash, sizeof seal.hash);
    }
}

static void test_lines_are_hashed_with_their_ends(void **state)
{
    (void)state;
    uint8_t one[SEAL_HASH_SIZE], two[SEAL_HASH_SIZE];
    struct seal_lines lines;
    seal_lines_init(&lines);
    seal_lines_add(&lines, "ab", 2);
    seal_lines_add(&lines, "c", 1);
    assert_int_equal(lines.n, 2);
    seal_lines_end(&lines, one);
    crypto_hash_sha256(two, (const uint8_t *)"ab\nc\n", 5);
    assert_memory_equal(one, two, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seal_is_a_whole_number_of_slots_and_a_zones_day_of_seals),
        cmocka_unit_test(test_a_time_is_in_the_seal_that_it_is_between_the_ends_of),
        cmocka_unit_test(test_a_packets_row_is_in_its_own_seal_unless_that_is_closed_or_to_come),
        cmocka_unit_test(test_the_answer_holds_until_the_clock_that_is_told),
        cmocka_unit_test(test_the_order_of_records_does_not_matter),
        cmocka_unit_test(test_each_bit_of_a_record_changes_both_lanes),
        cmocka_unit_test(test_the_sum_of_a_record_is_what_it_always_was),
        cmocka_unit_test(test_names_count_and_numbers_do_not),
        cmocka_unit_test(test_ports_of_a_protocol_without_them_do_not_count),
        cmocka_unit_test(test_everything_that_a_seal_says_is_in_its_hash),
        cmocka_unit_test(test_lines_are_hashed_with_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
