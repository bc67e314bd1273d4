#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/source/interface_ledger.h"
#include "capture/source/kernel_counters.h"

enum { N_TURNS = 400, LENGTH_MIN = 60, LENGTH_SPREAD = 1455 };

/* A port, its ring, and what was told of it. */
struct port {
    uint32_t random;
    uint32_t checksum_bytes; /* that the driver counts with each packet */
    struct interface_view view;
    struct interface_ledger ledger;
    uint64_t waiting_packets; /* in the ring, and counted by the interface */
    uint64_t waiting_bytes;
    uint64_t lost_packets;
    uint64_t lost_bytes;
    int64_t told_packets;
    int64_t told_bytes;
    unsigned n_lines;
    unsigned n_bounds; /* lines whose bytes are an upper bound */
};

static uint32_t next_number(struct port *port)
{
    port->random = port->random * 1664525 + 1013904223;
    return port->random >> 8;
}

static void begin(struct port *port, uint32_t seed, uint32_t checksum_bytes)
{
    *port = (struct port){.random = seed, .checksum_bytes = checksum_bytes};
    port->view.is_dedicated = true;
    port->view.counters = (struct interface_counters){.packets = 700, .bytes = 70000};
    interface_ledger_begin(&port->ledger, &port->view.counters, &port->view.counters, 1);
}

enum fate { CAPTURED, WAITING, DROPPED, BESIDE };

static void arrive(struct port *port, enum fate fate)
{
    struct interface_view *view = &port->view;
    uint64_t bytes = LENGTH_MIN + next_number(port) % LENGTH_SPREAD;
    view->counters.packets++;
    view->counters.bytes += bytes + port->checksum_bytes;
    if (fate == CAPTURED) {
        view->sums.packets++;
        view->sums.bytes += bytes;
    } else if (fate == WAITING) {
        port->waiting_packets++;
        port->waiting_bytes += bytes;
    } else {
        view->sums.dropped += fate == DROPPED;
        port->lost_packets++;
        port->lost_bytes += bytes;
    }
}

static void empty_ring(struct port *port)
{
    port->view.sums.packets += port->waiting_packets;
    port->view.sums.bytes += port->waiting_bytes;
    port->waiting_packets = port->waiting_bytes = 0;
}

static void look(struct port *port, enum interface_moment moment)
{
    struct loss loss;
    port->view.moment = moment;
    port->view.wall_ns += 1000000000;
    port->view.now_ms += 1000;
    while (interface_ledger_next(&port->ledger, "eth1", &port->view, &loss)) {
        port->n_lines++;
        port->told_packets += loss.packets;
        port->told_bytes += loss.l2_bytes > 0 ? loss.l2_bytes : 0;
        port->n_bounds += loss.certainty == LOSS_UPPER_BOUND;
    }
}

static void arrive_many(struct port *port, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        arrive(port, CAPTURED);
}

/* ---- counters ---- */

static void test_counters_of_32_bits_are_widened(void **state)
{
    (void)state;
    struct kernel_counters counters = {0};
    for (int i = 0; i < 3; i++)
        kernel_counters_add(&counters, UINT32_MAX, UINT32_MAX - 1);
    kernel_counters_add(&counters, 5, 4);
    assert_int_equal(counters.received, 3 * (uint64_t)UINT32_MAX + 5);
    assert_int_equal(counters.dropped, 3 * ((uint64_t)UINT32_MAX - 1) + 4);
}

/* ---- lines ---- */

static void test_where_all_is_captured_nothing_is_told(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 1, 0);
    for (int i = 0; i < 20; i++) {
        arrive_many(&port, 30);
        arrive(&port, WAITING);
        look(&port, MOMENT_OTHER);
        empty_ring(&port);
        look(&port, i % 2 ? MOMENT_CUT : MOMENT_QUIET);
    }
    assert_int_equal(port.n_lines, 0);
}

static void test_bytes_of_drops_are_those_that_nobody_captured(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 2, 0);
    arrive_many(&port, 30);
    for (int i = 0; i < 7; i++)
        arrive(&port, DROPPED);
    arrive(&port, WAITING);
    look(&port, MOMENT_OTHER); /* packets are under way: not yet */
    assert_int_equal(port.n_lines, 0);
    empty_ring(&port);
    look(&port, MOMENT_CUT);
    assert_int_equal(port.n_lines, 1);
    assert_int_equal(port.n_bounds, 0);
    assert_int_equal(port.told_packets, 7);
    assert_int_equal(port.told_bytes, (int64_t)port.lost_bytes);
}

static void test_a_checksum_that_the_driver_counts_is_no_missing_byte(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 3, 4);
    arrive_many(&port, 30);
    look(&port, MOMENT_CUT); /* nothing is missing: it shows */
    arrive_many(&port, 30);
    arrive(&port, DROPPED);
    look(&port, MOMENT_QUIET);
    assert_int_equal(port.n_lines, 1);
    assert_int_equal(port.told_bytes, (int64_t)port.lost_bytes + 4 - 4);
}

static void test_a_driver_whose_bytes_make_no_sense_is_not_believed(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 4, 0);
    arrive_many(&port, 30);
    port.view.counters.bytes += 7; /* no whole number a packet */
    look(&port, MOMENT_QUIET);
    arrive(&port, DROPPED);
    look(&port, MOMENT_QUIET);
    assert_int_equal(port.n_lines, 1);
    assert_int_equal(port.told_packets, 1);
    assert_int_equal(port.told_bytes, 0); /* unknown */
}

static void test_a_gap_is_told_when_two_cuts_agree_or_nothing_moves(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 5, 0);
    arrive_many(&port, 10);
    arrive(&port, BESIDE);
    look(&port, MOMENT_CUT);
    assert_int_equal(port.n_lines, 0);
    look(&port, MOMENT_CUT);
    assert_int_equal(port.told_packets, 1);
    arrive(&port, BESIDE);
    look(&port, MOMENT_QUIET);
    assert_int_equal(port.told_packets, 2);
    assert_int_equal(port.told_bytes, (int64_t)port.lost_bytes);
}

static void test_packets_of_the_start_are_before_it(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 6, 0);
    struct interface_counters before = port.view.counters;
    arrive(&port, BESIDE);
    arrive(&port, CAPTURED);
    arrive(&port, BESIDE);
    interface_ledger_begin(&port.ledger, &before, &port.view.counters, 1);
    port.lost_bytes = 0;
    arrive_many(&port, 10);
    look(&port, MOMENT_QUIET);
    assert_int_equal(port.n_lines, 0);
    arrive(&port, DROPPED);
    look(&port, MOMENT_QUIET);
    assert_int_equal(port.told_packets, 1);
    assert_int_equal(port.told_bytes, (int64_t)port.lost_bytes);
}

static void test_without_a_certain_moment_an_upper_bound_is_told(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 7, 0);
    arrive_many(&port, 10);
    arrive(&port, DROPPED);
    arrive(&port, WAITING);
    for (int i = 0; i * 1000 < INTERFACE_LEDGER_PENDING_MS; i++)
        look(&port, MOMENT_OTHER);
    assert_int_equal(port.n_lines, 0);
    look(&port, MOMENT_OTHER);
    assert_int_equal(port.n_bounds, 1);
    assert_int_equal(port.told_packets, 1);
    assert_int_equal(port.told_bytes, (int64_t)(port.lost_bytes + port.waiting_bytes));
}

/* Lines add up to the truth, whatever comes when. */
static void test_the_sum_of_lines_is_what_is_missing(void **state)
{
    (void)state;
    unsigned n_exact = 0;
    for (uint32_t seed = 1; seed <= 50; seed++) {
        struct port port;
        begin(&port, seed, seed % 2 ? 4 : 0);
        arrive_many(&port, 20);
        look(&port, MOMENT_QUIET);
        for (int i = 0; i < N_TURNS; i++) {
            uint32_t number = next_number(&port);
            if (number % 50 == 0)
                arrive(&port, BESIDE);
            else if (number % 10 == 0)
                arrive(&port, DROPPED);
            else
                arrive(&port, number % 3 ? CAPTURED : WAITING);
            if (number % 7 != 0)
                continue;
            bool is_quiet = next_number(&port) % 3 == 0;
            if (is_quiet)
                empty_ring(&port);
            look(&port, is_quiet ? MOMENT_QUIET : MOMENT_OTHER);
            assert_true(port.told_packets <= (int64_t)port.lost_packets);
        }
        empty_ring(&port);
        port.view.is_last = true;
        look(&port, MOMENT_QUIET);
        assert_int_equal(port.told_packets, (int64_t)port.lost_packets);
        assert_true(port.told_bytes >= (int64_t)port.lost_bytes);
        assert_true(port.n_bounds > 0 || port.told_bytes == (int64_t)port.lost_bytes);
        n_exact += port.n_bounds == 0;
    }
    assert_true(n_exact > 10);
}

/* ---- the card ---- */

static void test_what_the_card_missed_is_told_once_with_what_it_is_worth(void **state)
{
    (void)state;
    struct port port;
    struct loss loss;
    begin(&port, 8, 0);
    port.view.is_dedicated = false;
    port.view.counters.missed += 9;
    port.view.counters.fifo += 2;
    assert_true(interface_ledger_next(&port.ledger, "eth1", &port.view, &loss));
    assert_int_equal(loss.stage, LOSS_NIC);
    assert_int_equal(loss.packets, 9);
    assert_int_equal(loss.l2_bytes, LOSS_AMOUNT_UNKNOWN);
    assert_int_equal(loss.certainty, LOSS_DERIVED);
    assert_string_equal(loss.reason, "missed");
    assert_true(interface_ledger_next(&port.ledger, "eth1", &port.view, &loss));
    assert_string_equal(loss.reason, "fifo");
    assert_int_equal(loss.packets, 2);
    assert_int_equal(loss.certainty, LOSS_UPPER_BOUND);
    assert_false(interface_ledger_next(&port.ledger, "eth1", &port.view, &loss));
}

static void test_packets_that_the_kernel_gave_to_us_are_not_dropped(void **state)
{
    (void)state;
    struct port port;
    begin(&port, 9, 0);
    port.view.is_dedicated = false;
    port.view.counters.dropped += 5;
    look(&port, MOMENT_OTHER); /* they may be in the ring yet */
    assert_int_equal(port.n_lines, 0);
    port.view.sums.unclaimed = 4;
    look(&port, MOMENT_OTHER);
    assert_int_equal(port.n_lines, 1);
    assert_int_equal(port.n_bounds, 1);
    assert_int_equal(port.told_packets, 1);
    look(&port, MOMENT_OTHER);
    assert_int_equal(port.n_lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_of_32_bits_are_widened),
        cmocka_unit_test(test_where_all_is_captured_nothing_is_told),
        cmocka_unit_test(test_bytes_of_drops_are_those_that_nobody_captured),
        cmocka_unit_test(test_a_checksum_that_the_driver_counts_is_no_missing_byte),
        cmocka_unit_test(test_a_driver_whose_bytes_make_no_sense_is_not_believed),
        cmocka_unit_test(test_a_gap_is_told_when_two_cuts_agree_or_nothing_moves),
        cmocka_unit_test(test_packets_of_the_start_are_before_it),
        cmocka_unit_test(test_without_a_certain_moment_an_upper_bound_is_told),
        cmocka_unit_test(test_the_sum_of_lines_is_what_is_missing),
        cmocka_unit_test(test_what_the_card_missed_is_told_once_with_what_it_is_worth),
        cmocka_unit_test(test_packets_that_the_kernel_gave_to_us_are_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
