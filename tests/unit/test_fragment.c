/* Later fragments get the ports of their first one, in any order; every packet leaves exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "capture/fragment.h"

enum { LEFT_MAX = 20000, SECOND = 1000000000 };

#define TIMEOUT_NS (30 * (int64_t)SECOND)

/* What the table has passed on. Packets are told apart by l2_bytes, their number. */
static struct packet left[LEFT_MAX];
static size_t n_left;

static const struct decoder decoder;

static void on_packet(void *state, struct packet *packet)
{
    assert_ptr_equal(state, left);
    assert_true(n_left < LEFT_MAX);
    left[n_left++] = *packet;
    memset(packet, 0xee, sizeof *packet); /* borrowed: the table must not rely on it afterwards */
}

static struct fragment_table *new_table(size_t fragments_max)
{
    struct fragment_table *table;
    n_left = 0;
    struct config config = {
        .capture = {.fragments_max = (int64_t)fragments_max, .fragment_timeout_ns = TIMEOUT_NS},
        .conntrack = {.ipfrag_time_ns = TIMEOUT_NS,
                      .frag6_timeout_ns = 2 * TIMEOUT_NS,
                      .fragment_memory_bytes = 1 << 18},
    };
    assert_int_equal(fragment_table_create(&config, &decoder, on_packet, left, &table), 0);
    return table;
}

struct sent {
    uint32_t number;
    uint32_t id;
    uint16_t port; /* of a first one; 0: a later one */
    int64_t clock_ns;
    uint8_t version;  /* 0 is 4 */
    uint8_t protocol; /* 0 is UDP */
    uint32_t source_index;
};

static struct packet packet_of(const struct sent *fragment)
{
    struct packet packet = {
        .time_ns = fragment->clock_ns,
        .clock_ns = fragment->clock_ns,
        .l2_bytes = fragment->number,
        .l3_bytes = fragment->number + 1000,
        .wan = 7,
        .source_address = {10, 0, 0, 1},
        .destination_address = {10, 0, 0, 2},
        .protocol = fragment->protocol ? fragment->protocol : 17,
        .marks = fragment->version == 6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4,
    };
    if (fragment->port) {
        packet.marks |= PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_PORTS;
        packet.source_port = fragment->port;
        packet.destination_port = 53;
    } else {
        packet.marks |= PACKET_MARK_LATER_FRAGMENT;
    }
    return packet;
}

static void add_packet(struct fragment_table *table, struct packet packet, uint32_t id,
                       uint32_t source_index)
{
    struct layers layers = {.is_fragment = true, .fragment = {.id = id, .has_more = true}};
    fragment_table_add(table, &packet, &layers, source_index);
}

static void add(struct fragment_table *table, struct sent fragment)
{
    add_packet(table, packet_of(&fragment), fragment.id, fragment.source_index);
}

static const struct packet *find(uint32_t number)
{
    const struct packet *found = NULL;
    for (size_t i = 0; i < n_left; i++) {
        if (left[i].l2_bytes == number) {
            assert_null(found); /* once only */
            found = &left[i];
        }
    }
    return found;
}

static void assert_has_port(uint32_t number, uint16_t port)
{
    const struct packet *packet = find(number);
    assert_non_null(packet);
    assert_int_equal(packet->class_index, port ? CLASS_CONNECTION : CLASS_FRAG_ORPHAN);
    assert_int_equal(packet->source_port, port);
    assert_int_equal((packet->marks & PACKET_MARK_PORTS) != 0, port != 0);
    assert_int_equal(packet->l3_bytes, number + 1000);
    assert_int_equal(packet->wan, 7);
}

static void permute(uint32_t *numbers, size_t n, size_t at, void (*check)(const uint32_t *, size_t))
{
    if (at == n) {
        check(numbers, n);
        return;
    }
    for (size_t i = at; i < n; i++) {
        uint32_t number = numbers[at];
        numbers[at] = numbers[i];
        numbers[i] = number;
        permute(numbers, n, at + 1, check);
        numbers[i] = numbers[at];
        numbers[at] = number;
    }
}

/* Number 1 is the first fragment. */
static void check_permutation(const uint32_t *numbers, size_t n)
{
    struct fragment_table *table = new_table(4);
    size_t n_before_first = 0;
    for (size_t i = 0; i < n; i++) {
        size_t before = n_left;
        add(table, (struct sent){.number = numbers[i],
                                 .id = 9,
                                 .port = numbers[i] == 1 ? 4000 : 0,
                                 .clock_ns = (int64_t)i});
        if (numbers[i] == 1) {
            n_before_first = i;
            assert_int_equal(left[before].l2_bytes, 1);
            assert_int_equal(n_left, i + 1);
        } else if (n_before_first || numbers[0] == 1) {
            assert_int_equal(n_left, before + 1); /* at once */
        } else {
            assert_int_equal(n_left, 0);
        }
    }
    for (size_t i = 0; i < n_before_first; i++) { /* in their order of arrival, at that clock */
        assert_int_equal(left[i + 1].l2_bytes, numbers[i]);
        assert_int_equal(left[i + 1].clock_ns, n_before_first);
        assert_int_equal(left[i + 1].time_ns, i);
    }
    assert_int_equal(n_left, n);
    for (size_t i = 0; i < n; i++)
        assert_has_port(numbers[i], 4000);
    fragment_table_destroy(table);
}

static void test_every_permutation_reaches_the_same_ports(void **state)
{
    (void)state;
    uint32_t numbers[] = {1, 2, 3, 4};
    permute(numbers, 4, 0, check_permutation);
    uint32_t more[] = {1, 2, 3, 4, 5};
    for (size_t n = 1; n <= 3; n++)
        permute(more, n, 0, check_permutation);
}

static void test_a_later_fragment_belongs_to_the_nearest_first_one_before_it(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    add(table, (struct sent){.number = 1});
    add(table, (struct sent){.number = 2, .port = 100});
    add(table, (struct sent){.number = 3});
    add(table, (struct sent){.number = 4, .port = 200});
    add(table, (struct sent){.number = 5});
    assert_has_port(1, 100);
    assert_has_port(3, 100);
    assert_has_port(5, 200);
    fragment_table_destroy(table);
}

static void test_datagrams_are_told_apart_by_the_whole_key(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(16);
    add(table, (struct sent){.number = 1, .id = 1, .port = 100});
    add(table, (struct sent){.number = 2, .id = 2});
    add(table, (struct sent){.number = 3, .id = 1, .protocol = 6});
    add(table, (struct sent){.number = 4, .id = 1, .source_index = 1});
    add(table, (struct sent){.number = 5, .id = 1, .version = 6});
    add(table, (struct sent){.number = 6, .id = 1});
    struct packet turned = packet_of(&(struct sent){.number = 7});
    turned.source_address[3] = 2;
    turned.destination_address[3] = 1;
    add_packet(table, turned, 1, 0);
    assert_int_equal(n_left, 2);
    fragment_table_flush(table);
    assert_has_port(6, 100);
    for (uint32_t number = 2; number <= 7; number++)
        if (number != 6)
            assert_has_port(number, 0);
    fragment_table_destroy(table);
}

/* RFC 8200, section 4.5: the next header of the first fragment is the one that counts. */
static void test_ipv6_fragments_need_not_agree_on_the_protocol(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(4);
    add(table, (struct sent){.number = 1, .version = 6, .protocol = 60});
    add(table, (struct sent){.number = 2, .version = 6, .protocol = 6, .port = 100});
    assert_has_port(1, 100);
    assert_int_equal(find(1)->protocol, 6);
    fragment_table_destroy(table);
}

static void test_what_waits_is_an_orphan_after_the_timeout(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    add(table, (struct sent){.number = 1, .id = 1, .clock_ns = 0});
    add(table, (struct sent){.number = 2, .id = 1, .clock_ns = SECOND});
    fragment_table_expire(table, TIMEOUT_NS);
    assert_int_equal(n_left, 0);
    fragment_table_expire(table, TIMEOUT_NS + 1);
    assert_int_equal(n_left, 1);
    assert_has_port(1, 0);
    assert_int_equal(left[0].clock_ns, TIMEOUT_NS); /* when it is, not when that is noticed */
    assert_int_equal(left[0].time_ns, 0);
    /* the other one still has its second: a first fragment then finds it */
    add(table, (struct sent){.number = 3, .id = 1, .port = 100, .clock_ns = TIMEOUT_NS + SECOND});
    assert_has_port(2, 100);
    fragment_table_destroy(table);
}

static void test_a_first_fragment_is_forgotten_after_the_timeout(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    add(table, (struct sent){.number = 1, .port = 100, .clock_ns = 0});
    add(table, (struct sent){.number = 2, .clock_ns = TIMEOUT_NS});
    assert_has_port(2, 100);
    add(table, (struct sent){.number = 3, .clock_ns = TIMEOUT_NS + 1});
    assert_int_equal(n_left, 2);
    fragment_table_flush(table);
    assert_has_port(3, 0);
    fragment_table_destroy(table);
}

static void test_a_clock_that_steps_back_does_not_count(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    add(table, (struct sent){.number = 1, .id = 1, .clock_ns = 100 * (int64_t)SECOND});
    add(table, (struct sent){.number = 2, .id = 2, .clock_ns = 0});
    fragment_table_expire(table, 50 * (int64_t)SECOND);
    assert_int_equal(n_left, 0);
    fragment_table_flush(table);
    assert_int_equal(n_left, 2);
    assert_int_equal(left[1].clock_ns, 100 * (int64_t)SECOND);
    fragment_table_destroy(table);
}

static void test_the_end_of_time_is_no_timeout(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    add(table, (struct sent){.number = 1, .clock_ns = INT64_MAX - 5});
    fragment_table_expire(table, INT64_MAX);
    assert_int_equal(n_left, 0);
    add(table, (struct sent){.number = 2, .port = 100, .clock_ns = INT64_MAX});
    assert_has_port(1, 100);
    fragment_table_destroy(table);
}

static void test_a_first_fragment_without_ports_gives_none(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    struct packet first = packet_of(&(struct sent){.number = 2, .port = 100});
    first.class_index = CLASS_NO_PORTS;
    first.marks &= (uint8_t)~PACKET_MARK_PORTS;
    first.source_port = first.destination_port = 0;
    add(table, (struct sent){.number = 1});
    add_packet(table, first, 0, 0);
    add(table, (struct sent){.number = 3});
    assert_int_equal(find(2)->class_index, CLASS_NO_PORTS);
    assert_has_port(1, 0);
    assert_has_port(3, 0);
    assert_int_equal(n_left, 3);
    fragment_table_destroy(table);
}

static void test_fragments_of_an_icmp_error_are_of_its_class(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(8);
    struct packet first = packet_of(&(struct sent){.number = 2, .port = 100});
    first.class_index = CLASS_ICMP_ERROR;
    first.marks &= (uint8_t)~PACKET_MARK_PORTS;
    first.source_port = first.destination_port = 0;
    first.protocol = 17;
    first.parts = PACKET_PART_ICMP | PACKET_PART_INNER | PACKET_PART_TCP;
    first.icmp_type = 3;
    first.icmp_code = 4;
    first.inner.source_port = 999;
    add(table, (struct sent){.number = 1});
    add_packet(table, first, 0, 0);
    const struct packet *later = find(1);
    assert_int_equal(later->class_index, CLASS_ICMP_ERROR);
    assert_int_equal(later->parts, PACKET_PART_ICMP | PACKET_PART_INNER); /* it has no TCP header */
    assert_int_equal(later->icmp_type, 3);
    assert_int_equal(later->icmp_code, 4);
    assert_int_equal(later->inner.source_port, 999);
    assert_true(later->marks & PACKET_MARK_LATER_FRAGMENT);
    fragment_table_destroy(table);
}

static void test_a_full_table_gives_up_the_oldest(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(3);
    add(table, (struct sent){.number = 1, .id = 1, .clock_ns = 1});
    add(table, (struct sent){.number = 2, .id = 1, .clock_ns = 2});
    add(table, (struct sent){.number = 3, .id = 2, .clock_ns = 3});
    assert_int_equal(n_left, 0);
    add(table, (struct sent){.number = 4, .id = 3, .clock_ns = 4}); /* a fourth waiting packet */
    assert_int_equal(n_left, 1);
    assert_has_port(1, 0);
    add(table,
        (struct sent){.number = 5, .id = 4, .port = 100, .clock_ns = 5}); /* a fourth datagram */
    assert_has_port(2, 0);
    assert_int_equal(n_left, 3);
    add(table, (struct sent){.number = 6, .id = 2, .port = 200, .clock_ns = 6});
    assert_has_port(3, 200);
    fragment_table_flush(table);
    assert_has_port(4, 0);
    fragment_table_destroy(table);
}

static void test_flush_gives_all_in_order_of_arrival_and_the_table_is_as_new(void **state)
{
    (void)state;
    struct fragment_table *table = new_table(64);
    for (int round = 0; round < 3; round++) {
        n_left = 0;
        add(table, (struct sent){.number = 1000, .id = 77, .port = 100});
        for (uint32_t i = 0; i < 50; i++)
            add(table, (struct sent){.number = i + 1, .id = i % 7});
        fragment_table_flush(table);
        assert_int_equal(n_left, 51);
        for (uint32_t i = 0; i < 50; i++)
            assert_int_equal(left[i + 1].l2_bytes, i + 1);
        add(table, (struct sent){.number = 60, .id = 77}); /* its first one is forgotten */
        assert_int_equal(n_left, 51);
        fragment_table_flush(table);
        assert_has_port(60, 0);
    }
    fragment_table_destroy(table);
}

/* The rule, looked up the slow way: the nearest first fragment before, else the nearest after. */
static uint16_t expected_port(const struct sent *fragments, size_t n, size_t at)
{
    for (size_t i = at + 1; i-- > 0;)
        if (fragments[i].id == fragments[at].id && fragments[i].port)
            return fragments[i].port;
    for (size_t i = at; i < n; i++)
        if (fragments[i].id == fragments[at].id && fragments[i].port)
            return fragments[i].port;
    return 0;
}

static void test_any_mixture_follows_the_rule(void **state)
{
    (void)state;
    enum { N = 300 };
    for (int round = 0; round < 100; round++) {
        struct sent fragments[N];
        struct fragment_table *table = new_table(N);
        for (uint32_t i = 0; i < N; i++) {
            bool is_first = rand() % 4 == 0;
            fragments[i] = (struct sent){.number = i + 1,
                                         .id = (uint32_t)(rand() % 60),
                                         .port = (uint16_t)(is_first ? i + 1 : 0),
                                         .clock_ns = i};
            add(table, fragments[i]);
        }
        fragment_table_flush(table);
        assert_int_equal(n_left, N);
        for (size_t i = 0; i < N; i++)
            assert_has_port(fragments[i].number, expected_port(fragments, N, i));
        fragment_table_destroy(table);
    }
}

/* Small tables, long gaps: whatever happens, what came in leaves once, with its bytes. */
static void test_in_is_out_under_pressure(void **state)
{
    (void)state;
    enum { N = 5000 };
    for (size_t fragments_max = 1; fragments_max <= 40; fragments_max += 3) {
        struct fragment_table *table = new_table(fragments_max);
        int64_t clock_ns = 0;
        for (uint32_t i = 0; i < N; i++) {
            clock_ns += rand() % 8 ? SECOND / 100 : (int64_t)(rand() % 40) * SECOND;
            add(table, (struct sent){.number = i + 1,
                                     .id = (uint32_t)(rand() % 50),
                                     .port = (uint16_t)(rand() % 3 ? 0 : 1 + rand() % 1000),
                                     .clock_ns = clock_ns});
            assert_in_range(i + 1 - n_left, 0, fragments_max);
        }
        fragment_table_flush(table);
        assert_int_equal(n_left, N);
        static bool is_seen[N + 1];
        memset(is_seen, 0, sizeof is_seen);
        for (size_t i = 0; i < N; i++) {
            assert_false(is_seen[left[i].l2_bytes]);
            is_seen[left[i].l2_bytes] = true;
            assert_int_equal(left[i].l3_bytes, left[i].l2_bytes + 1000);
            assert_true(left[i].clock_ns >= left[i].time_ns);
            assert_true(i == 0 || left[i].clock_ns >= left[i - 1].clock_ns);
        }
        fragment_table_destroy(table);
    }
}

static void test_destroying_nothing_is_fine(void **state)
{
    (void)state;
    fragment_table_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_permutation_reaches_the_same_ports),
        cmocka_unit_test(test_a_later_fragment_belongs_to_the_nearest_first_one_before_it),
        cmocka_unit_test(test_datagrams_are_told_apart_by_the_whole_key),
        cmocka_unit_test(test_ipv6_fragments_need_not_agree_on_the_protocol),
        cmocka_unit_test(test_what_waits_is_an_orphan_after_the_timeout),
        cmocka_unit_test(test_a_first_fragment_is_forgotten_after_the_timeout),
        cmocka_unit_test(test_a_clock_that_steps_back_does_not_count),
        cmocka_unit_test(test_the_end_of_time_is_no_timeout),
        cmocka_unit_test(test_a_first_fragment_without_ports_gives_none),
        cmocka_unit_test(test_fragments_of_an_icmp_error_are_of_its_class),
        cmocka_unit_test(test_a_full_table_gives_up_the_oldest),
        cmocka_unit_test(test_flush_gives_all_in_order_of_arrival_and_the_table_is_as_new),
        cmocka_unit_test(test_any_mixture_follows_the_rule),
        cmocka_unit_test(test_in_is_out_under_pressure),
        cmocka_unit_test(test_destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
