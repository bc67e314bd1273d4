/* Changes to connections: what they are meant for, what records and events say of them, whenever it
 * is noticed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"
#include "tracker/flow.h"
#include "tracker/flow_change.h"
#include "tracker/label.h"

enum { ITEMS_MAX = 64, L3_BYTES = 100, PORTS = 4 };

static const int64_t S = 1000000000;

struct world {
    struct config config;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    struct connection_names names;
    struct flow_record records[ITEMS_MAX];
    struct connection_event events[ITEMS_MAX];
    size_t n_records, n_events;
};

static void on_record(void *state, const struct flow_record *record)
{
    struct world *world = state;
    assert_true(world->n_records < ITEMS_MAX);
    world->records[world->n_records++] = *record;
}

static void on_event(void *state, const struct connection_event *event)
{
    struct world *world = state;
    assert_true(world->n_events < ITEMS_MAX);
    world->events[world->n_events++] = *event;
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    config_init(&world->config);
    world->config.tracker.interim_interval_ns = 60 * S;
    *state = world;
    int result = account_table_create(&world->config, &world->accounts);
    if (result == 0)
        result = link_table_create(&world->config, &world->links);
    struct flow_options options = {
        .config = &world->config,
        .accounts = world->accounts,
        .links = world->links,
        .connections_max = ITEMS_MAX,
        .sink = {on_record, on_event, world},
    };
    if (result == 0)
        result = flow_table_create(&options, &world->flows);
    world->names = (struct connection_names){&world->config,
                                             label_table_names(flow_table_labels(world->flows)),
                                             account_table_names(world->accounts)};
    return result;
}

static int close_world(void **state)
{
    struct world *world = *state;
    flow_table_destroy(world->flows);
    link_table_destroy(world->links);
    account_table_destroy(world->accounts);
    config_deinit(&world->config);
    free(world);
    return 0;
}

/* A datagram from 10.0.0.1:1000 + n to 192.0.2.1:53, in zone n % 2. */
static void send_one(struct world *world, unsigned n, int64_t clock_ns)
{
    struct packet packet = {
        .time_ns = clock_ns,
        .clock_ns = clock_ns,
        .l2_bytes = L3_BYTES + 14,
        .l3_bytes = L3_BYTES,
        .source_address = {10, 0, 0, 1},
        .destination_address = {192, 0, 2, 1},
        .source_port = (uint16_t)(1000 + n),
        .destination_port = 53,
        .protocol = 17,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .zone = n % 2,
    };
    struct flow_key key;
    struct flow_charge charge;
    flow_table_advance(world->flows, clock_ns);
    flow_table_key(world->flows, &packet, &key);
    assert_int_equal(flow_table_add(world->flows, &packet, &key, &charge), FLOW_COUNTED);
}

static struct change_result change(struct world *world, int64_t clock_ns, const char *line)
{
    char text[256];
    const char *words[CHANGE_WORDS_MAX];
    size_t n = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        words[n++] = word;
    struct change change = {.id = 1, .time_ns = clock_ns};
    struct change_result result = {0};
    assert_true(change_set_words(&change, words, n));
    flow_table_advance(world->flows, clock_ns);
    flow_table_change(world->flows, &world->names, &change, &result);
    return result;
}

static void finish(struct world *world, int64_t end_ns)
{
    while (flow_table_advance(world->flows, end_ns))
        ;
    while (flow_table_finish(world->flows, 1))
        ;
}

static void test_a_filter_means_what_all_its_words_say(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < PORTS; i++)
        send_one(world, i, 1000 * S);
    static const struct {
        const char *filter;
        uint64_t n;
    } cases[] = {
        {"", PORTS},
        {"zone=1", 2},
        {"sport=1002", 1},
        {"dport=53", PORTS},
        {"src=10.0.0.0/8", 4},
        {"src=10.0.0.2", 0},
        {"dst=192.0.2.1/31", 4},
        {"dst=::/0", 0},
        {"proto=17 zone=0", 2},
        {"proto=6", 0},
        {"state=first", 4},
        {"status=assured", 0},
        {"status=unreplied", 4},
        {"mark=0/0xff", 4},
        {"mark=1", 0},
        {"label=0x1", 0},
        {"wan=none", 4},
        {"account=none", 4},
        {"family=ipv6", 0},
        {"reply-src=192.0.2.1", 4},
        {"reply-dst=192.0.2.1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        snprintf(line, sizeof line, "ct update set-mark=0/0x80000000 %s", cases[i].filter);
        struct change_result result = change(world, 1001 * S, line);
        assert_int_equal(result.count, cases[i].n);
        assert_int_equal(result.error, cases[i].n ? 0 : ENOENT);
    }
}

static void test_what_is_no_change_says_why(void **state)
{
    struct world *world = *state;
    send_one(world, 0, 1000 * S);
    static const struct {
        const char *line;
        int error;
    } cases[] = {
        {"ct", EOPNOTSUPP},
        {"ct frob", EOPNOTSUPP},
        {"ct update", EINVAL},
        {"ct update zone=1", EINVAL},
        {"ct update set-mark=x", EINVAL},
        {"ct update set-mark=0x100/0xff", EINVAL},
        {"ct update set-mark=1 zone=65536", EINVAL},
        {"ct update set-mark=1 src=10.0.0.0/33", EINVAL},
        {"ct update set-mark=1 src=10.0.0", EINVAL},
        {"ct update set-mark=1 frob=1", EINVAL},
        {"ct update set-mark=1 zone", EINVAL},
        {"ct update set-label=+gold", EINVAL},
        {"ct delete set-mark=1", EINVAL},
        {"ct delete account=nobody", EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct change_result result = change(world, 1000 * S, cases[i].line);
        assert_int_equal(result.error, cases[i].error);
        assert_int_not_equal(result.answer[0], '\0');
    }
    assert_int_equal(world->n_events, 1);
}

static void test_unmasked_bits_of_marks_and_labels_stay(void **state)
{
    struct world *world = *state;
    send_one(world, 0, 1000 * S);
    change(world, 1001 * S, "ct update set-mark=0x12345678 set-label=0xff");
    change(world, 1002 * S, "ct update set-mark=0xab00/0xff00 set-label=0x100/0x10f");
    const struct connection_event *event = &world->events[world->n_events - 1];
    assert_int_equal(event->kind, EVENT_UPDATE);
    assert_int_equal(event->time_ns, 1002 * S);
    assert_int_equal(event->flow.mark, 0x1234ab78);
    assert_int_equal(event->flow.labels[15], 0xf0);
    assert_int_equal(event->flow.labels[14], 0x01);
}

/* Records of 5 minutes of a connection that is updated and then deleted, with its timers looked at
 * in between, or not. */
static void make_history(struct world *world, bool is_looked_at)
{
    for (int64_t clock_s = 1000; clock_s < 1000 + 300; clock_s += 20)
        send_one(world, 0, clock_s * S);
    change(world, 1285 * S, "ct update set-mark=7");
    send_one(world, 0, 1286 * S);
    struct change_result result = change(world, 1290 * S, "ct delete mark=7");
    assert_int_equal(result.count, 1);
    assert_int_equal(change(world, 1290 * S, "ct delete").error, ENOENT);
    if (is_looked_at)
        while (flow_table_advance(world->flows, 1290 * S))
            ;
    send_one(world, 0, 1295 * S); /* a new one */
    finish(world, 2000 * S);
}

static void check_history(const struct world *world)
{
    size_t n_deleted = 0;
    uint64_t n_packets = 0;
    for (size_t i = 0; i < world->n_records; i++) {
        const struct flow_record *record = &world->records[i];
        n_packets += record->counters[FLOW_ORIGINAL].packets;
        if (record->end_reason != END_DELETED)
            continue;
        n_deleted++;
        assert_int_equal(record->mark, 7);
        assert_int_equal(n_packets, 16);
        assert_int_equal(record->last_ns, 1286 * S);
    }
    assert_int_equal(n_deleted, 1);
    assert_int_equal(n_packets, 17);
    for (size_t i = 0; i < world->n_events; i++) {
        const struct connection_event *event = &world->events[i];
        if (event->kind != EVENT_DESTROY || event->flow.end_reason != END_DELETED)
            continue;
        assert_int_equal(event->time_ns, 1290 * S);
        assert_int_equal(event->timeout_ns, 26 * S); /* 30 s after its last packet, at 1286 s */
        assert_int_equal(event->totals[FLOW_ORIGINAL].packets, 16);
        assert_int_equal(event->totals[FLOW_ORIGINAL].l3_bytes, 16 * L3_BYTES);
    }
}

static void test_a_deleted_connection_ends_at_the_change_whenever_it_is_noticed(void **state)
{
    struct world *world = *state;
    make_history(world, false);
    check_history(world);
    size_t n_records = world->n_records;
    assert_true(n_records > 3); /* interim records, and the two last ones */
    struct flow_record first[ITEMS_MAX];
    memcpy(first, world->records, sizeof first);
    void *other;
    assert_int_equal(open_world(&other), 0);
    make_history(other, true);
    check_history(other);
    const struct world *again = other;
    assert_int_equal(again->n_records, n_records);
    assert_memory_equal(again->records, first, n_records * sizeof *first);
    close_world(&other);
}

static void test_a_flush_ends_all_or_a_zone(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < PORTS; i++)
        send_one(world, i, 1000 * S);
    assert_int_equal(change(world, 1001 * S, "ct flush zone=1").count, 2);
    assert_int_equal(change(world, 1001 * S, "ct flush").count, 2);
    struct change_result none = change(world, 1001 * S, "ct flush");
    assert_int_equal(none.count, 0);
    assert_int_equal(none.error, 0);
    finish(world, 1002 * S);
    assert_int_equal(world->n_records, PORTS);
    for (size_t i = 0; i < PORTS; i++)
        assert_int_equal(world->records[i].end_reason, END_DELETED);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_filter_means_what_all_its_words_say),
        CASE(test_what_is_no_change_says_why),
        CASE(test_unmasked_bits_of_marks_and_labels_stay),
        CASE(test_a_deleted_connection_ends_at_the_change_whenever_it_is_noticed),
        CASE(test_a_flush_ends_all_or_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
