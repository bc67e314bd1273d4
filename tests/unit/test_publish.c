#include "store_case.h"

#include "exporter/publish.h"
#include "exporter/publish/event_log.h"
#include "exporter/publish/usage_sum.h"
#include "proto/event.pb-c.h"

enum { TURN_MS = 5, TURNS_MAX = 1000, KEEP = 4, SUBSCRIBERS_MAX = 3 };

/* A publisher on its loop, and its subscribers on a bus of their own. */
struct publish_case {
    char directory[64];
    char endpoint[96];
    char control_endpoint[96];
    struct config config;
    struct config_account accounts[1];
    struct config_wan wans[1];
    const char *protocol_names[256];
    struct loop *loop;
    struct bus *bus;
    struct publisher *publisher;
    struct bus *subscriber_bus;
    struct bus_socket *subscriber;

    Wanmeter__Event__Event *event; /* the last one received */
    char topic[128];
    Wanmeter__Event__FetchReply *reply;
};

static void stop_loop(void *state)
{
    loop_stop(state);
}

static int set_up(void **state)
{
    struct publish_case *c = calloc(1, sizeof *c);
    if (!c)
        return -1;
    strcpy(c->directory, "/tmp/wanmeter-publish-XXXXXX");
    if (!mkdtemp(c->directory))
        return -1;
    snprintf(c->endpoint, sizeof c->endpoint, "ipc://%s/events", c->directory);
    snprintf(c->control_endpoint, sizeof c->control_endpoint, "ipc://%s/control", c->directory);
    config_init(&c->config);
    c->accounts[0].name = (char *)"alice";
    c->wans[0] = (struct config_wan){.name = (char *)"dsl", .overhead = (char *)"pppoe"};
    c->config.accounts = c->accounts;
    c->config.n_accounts = 1;
    c->config.wans = c->wans;
    c->config.n_wans = 1;
    c->config.events.keep = KEEP;
    c->config.tracker.connection_events = true;
    for (size_t i = 0; i < 256; i++)
        c->protocol_names[i] = i == 17 ? "udp" : "unknown";
    *state = c;
    return loop_create(&c->loop) || loop_add_timer(c->loop, TURN_MS, stop_loop, c->loop) ||
           bus_create(c->loop, &c->bus) || bus_create(NULL, &c->subscriber_bus);
}

static void release_received(struct publish_case *c)
{
    if (c->event)
        wanmeter__event__event__free_unpacked(c->event, NULL);
    if (c->reply)
        wanmeter__event__fetch_reply__free_unpacked(c->reply, NULL);
    c->event = NULL;
    c->reply = NULL;
}

static int tear_down(void **state)
{
    struct publish_case *c = *state;
    release_received(c);
    publisher_close(c->publisher);
    bus_destroy(c->subscriber_bus);
    bus_destroy(c->bus);
    loop_destroy(c->loop);
    c->config.accounts = NULL;
    c->config.n_accounts = 0;
    c->config.wans = NULL;
    c->config.n_wans = 0;
    config_deinit(&c->config);
    char path[128];
    snprintf(path, sizeof path, "%s/events", c->directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/control", c->directory);
    unlink(path);
    int result = rmdir(c->directory);
    free(c);
    return result;
}

static void open_publisher(struct publish_case *c)
{
    struct publisher_settings settings = {
        .bus = c->bus,
        .loop = c->loop,
        .context = {.epoch = 99, .config = &c->config, .protocol_names = c->protocol_names},
        .endpoint = c->endpoint,
        .control_endpoint = c->control_endpoint,
    };
    assert_int_equal(publisher_open(&settings, &c->publisher), 0);
}

static void on_event(void *state, const struct bus_message *message)
{
    struct publish_case *c = state;
    release_received(c);
    c->event = wanmeter__event__event__unpack(NULL, message->size, message->bytes);
    assert_non_null(c->event);
    snprintf(c->topic, sizeof c->topic, "%.*s", (int)message->topic_size,
             (const char *)message->topic);
    assert_string_equal(c->topic, c->event->topic);
    assert_int_equal(c->event->epoch, 99);
}

static void wait_for_subscriptions(struct publish_case *c, size_t n)
{
    for (int i = 0; i < TURNS_MAX && publisher_subscriptions(c->publisher) != n; i++) {
        if (c->subscriber_bus) /* ZeroMQ connects a socket while it is asked something */
            assert_true(bus_receive(c->subscriber, 0) >= 0);
        loop_run(c->loop);
    }
    assert_int_equal(publisher_subscriptions(c->publisher), n);
}

static void subscribe(struct publish_case *c, const char *prefix)
{
    size_t n = publisher_subscriptions(c->publisher);
    assert_int_equal(
        bus_connect(c->subscriber_bus, BUS_SUB, c->endpoint, NULL, on_event, c, &c->subscriber), 0);
    assert_int_equal(bus_subscribe(c->subscriber, prefix), 0);
    wait_for_subscriptions(c, n + 1);
}

/* Takes what has come until the last of it is under 'topic'. */
static const Wanmeter__Event__Event *receive(struct publish_case *c, const char *topic)
{
    release_received(c);
    for (int i = 0; i < TURNS_MAX; i++) {
        assert_true(bus_receive(c->subscriber, 10) >= 0);
        if (c->event && strcmp(c->topic, topic) == 0)
            return c->event;
        loop_run(c->loop);
    }
    fail_msg("no event under %s", topic);
    return NULL;
}

static struct connection_event connection_event(uint8_t kind)
{
    struct connection_event event = {.flow = case_flow(), .kind = kind, .time_ns = 5};
    event.flow.wan = 1;
    return event;
}

static void commit(struct publish_case *c, const struct batch *batch)
{
    assert_int_equal(publisher_add(c->publisher, &batch->message), 0);
    assert_int_equal(publisher_flush(c->publisher), 0);
}

/* ---- events ---- */

static void test_a_connection_event_says_what_the_record_says(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "destroy.alice");
    struct connection_event event = connection_event(EVENT_DESTROY);
    event.timeout_ns = 7;
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_event(&batch, &event);
    commit(c, &batch);

    const Wanmeter__Event__Event *told = receive(c, "destroy.alice");
    const Wanmeter__Event__Connection *connection = told->connection;
    assert_int_equal(told->content_case, WANMETER__EVENT__EVENT__CONTENT_CONNECTION);
    assert_int_equal(told->time_ns, 5);
    assert_true(connection->id == (int64_t)event.flow.id);
    assert_string_equal(connection->protocol_name, "udp");
    assert_string_equal(connection->orig_src_address, "192.0.2.1");
    assert_string_equal(connection->reply_src_address, "198.51.100.255");
    assert_int_equal(connection->orig_src_port, 40000);
    assert_int_equal(connection->reply_src_port, 53);
    assert_int_equal(connection->orig->billed_bytes, 90);
    assert_int_equal(connection->reply->packets, 0);
    assert_string_equal(connection->account, "alice");
    assert_string_equal(connection->wan, "dsl");
    assert_string_equal(connection->end_reason, "end_of_input");
    assert_int_equal(connection->timeout_ns, 7);
}

static void test_an_icmp_event_has_an_id_and_no_ports(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "new.");
    struct connection_event event = connection_event(EVENT_NEW);
    event.flow.protocol = 1;
    event.flow.icmp_type = 8;
    event.flow.source_port = event.flow.destination_port = 77;
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_event(&batch, &event);
    commit(c, &batch);
    const Wanmeter__Event__Connection *connection = receive(c, "new.alice")->connection;
    assert_int_equal(connection->icmp_type, 8);
    assert_int_equal(connection->icmp_id, 77);
    assert_int_equal(connection->orig_src_port | connection->orig_dst_port, 0);
    assert_string_equal(connection->end_reason, "");
}

static void test_usage_is_told_once_a_key_and_commit_as_the_sum(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "usage.");
    struct usage_delta delta = case_usage();
    delta.wan = 1;
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    for (int i = 0; i < 3; i++)
        batch_add_usage(&batch, delta);
    assert_int_equal(publisher_add(c->publisher, &batch.message), 0);
    commit(c, &batch);
    const Wanmeter__Event__Event *told = receive(c, "usage.alice");
    assert_int_equal(told->seq, 0);
    assert_int_equal(told->usage->packets, 6);
    assert_int_equal(told->usage->l2_bytes, 600);
    assert_int_equal(told->usage->slot_seconds, SLOT_SECONDS);
    assert_string_equal(told->usage->model, "pppoe");
    assert_string_equal(told->usage->class_, "connection");
    assert_string_equal(told->usage->direction, "up");
}

static void test_nothing_is_told_before_the_commit(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "usage.");
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    assert_int_equal(publisher_add(c->publisher, &batch.message), 0);
    loop_run(c->loop);
    assert_int_equal(bus_receive(c->subscriber, 50), 0);
    assert_int_equal(publisher_flush(c->publisher), 0);
    assert_int_equal(receive(c, "usage.alice")->usage->packets, 1);
}

static void test_an_unknown_amount_is_told_as_minus_one_and_text_as_utf8(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "loss.");
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    strcpy(batch_add_loss(&batch, LOSS_SOURCE, LOSS_UNKNOWN)->evidence, "a\xff\xc3\xa4\xc3");
    commit(c, &batch);
    const Wanmeter__Event__Loss *loss = receive(c, "loss.none")->loss;
    assert_int_equal(loss->packets, -1);
    assert_string_equal(loss->stage, "source");
    assert_string_equal(loss->stream, "capture-0/0");
    assert_string_equal(loss->evidence, "a?\xc3\xa4?");
}

static void test_each_topic_counts_for_itself_and_the_bye_tells_its_last_number(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    subscribe(c, "");
    for (uint64_t n = 0; n < 3; n++) {
        struct connection_event event = connection_event(EVENT_UPDATE);
        struct batch batch;
        batch_init(&batch, 0, (struct totals){0});
        batch_add_event(&batch, &event);
        event.flow.account = 0;
        batch_add_event(&batch, &event);
        commit(c, &batch);
    }
    publisher_say_bye(c->publisher);
    const Wanmeter__Event__Heartbeat *bye = receive(c, "bye")->heartbeat;
    assert_int_equal(bye->n_topics, 2);
    assert_string_equal(bye->topics[0]->topic, "update.alice");
    assert_string_equal(bye->topics[1]->topic, "update.none");
    assert_int_equal(bye->topics[0]->last_seq, 2);
    assert_int_equal(bye->topics[1]->last_seq, 2);
    assert_int_equal(bye->next_global_seq, 6);
    assert_int_equal(bye->oldest_global_seq, 6 - KEEP);
}

static void test_without_events_and_subscribers_nothing_is_numbered(void **state)
{
    struct publish_case *c = *state;
    c->config.tracker.connection_events = false;
    open_publisher(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    commit(c, &batch); /* nobody could have heard */
    subscribe(c, "usage.");
    commit(c, &batch);
    assert_int_equal(receive(c, "usage.alice")->global_seq, 0);
}

static void test_every_subscription_is_counted_also_a_second_of_the_same(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    for (size_t i = 1; i <= SUBSCRIBERS_MAX; i++)
        subscribe(c, "usage.");
    bus_destroy(c->subscriber_bus);
    c->subscriber_bus = NULL;
    wait_for_subscriptions(c, 0);
}

static void test_the_heartbeat_comes_by_itself(void **state)
{
    struct publish_case *c = *state;
    c->config.events.heartbeat_interval_ns = INT64_C(10000000);
    open_publisher(c);
    subscribe(c, "heartbeat");
    uint64_t first = receive(c, "heartbeat")->seq;
    assert_true(receive(c, "heartbeat")->seq > first);
}

/* ---- the control socket ---- */

static void on_reply(void *state, const struct bus_message *message)
{
    struct publish_case *c = state;
    release_received(c);
    c->reply = wanmeter__event__fetch_reply__unpack(NULL, message->size, message->bytes);
    assert_non_null(c->reply);
}

static const Wanmeter__Event__FetchReply *fetch(struct publish_case *c, struct bus_socket *socket,
                                                uint64_t from, const char *prefix)
{
    Wanmeter__Event__FetchRequest request = WANMETER__EVENT__FETCH_REQUEST__INIT;
    request.from_global_seq = from;
    request.topic_prefix.data = (uint8_t *)(uintptr_t)prefix;
    request.topic_prefix.len = strlen(prefix);
    uint8_t bytes[256];
    size_t size = wanmeter__event__fetch_request__pack(&request, bytes);
    release_received(c);
    while (bus_send(socket, NULL, bytes, size) == -EAGAIN) /* until it is connected */
        loop_run(c->loop);
    for (int i = 0; i < TURNS_MAX && !c->reply; i++) {
        loop_run(c->loop);
        bus_receive(socket, 10);
    }
    assert_non_null(c->reply);
    return c->reply;
}

static void test_what_is_kept_can_be_fetched_again_by_prefix(void **state)
{
    struct publish_case *c = *state;
    open_publisher(c);
    struct bus_socket *socket;
    assert_int_equal(
        bus_connect(c->subscriber_bus, BUS_DEALER, c->control_endpoint, NULL, on_reply, c, &socket),
        0);
    for (int64_t n = 0; n < 3; n++) { /* six events, of which the last KEEP are kept */
        struct connection_event event = connection_event(EVENT_NEW);
        event.time_ns = n;
        struct batch batch;
        batch_init(&batch, 0, (struct totals){0});
        batch_add_event(&batch, &event);
        batch_add_usage(&batch, case_usage());
        commit(c, &batch);
    }
    const Wanmeter__Event__FetchReply *reply = fetch(c, socket, 0, "");
    assert_int_equal(reply->n_events, KEEP);
    assert_int_equal(reply->oldest_global_seq, 2);
    assert_int_equal(reply->end_global_seq, 6);
    for (size_t i = 0; i < KEEP; i++)
        assert_int_equal(reply->events[i]->global_seq, 2 + i);
    assert_string_equal(reply->events[0]->topic, "new.alice");
    assert_int_equal(reply->events[0]->time_ns, 1);

    reply = fetch(c, socket, 3, "usage.");
    assert_int_equal(reply->n_events, 2);
    assert_int_equal(reply->next_global_seq, 6);
    reply = fetch(c, socket, 6, "");
    assert_int_equal(reply->n_events, 0);
    assert_int_equal(reply->next_global_seq, 6);
}

static void test_a_malformed_request_is_refused(void **state)
{
    (void)state;
    struct fetch_request request;
    static const uint8_t cut[] = {0x1a, 0x05, 'n'};
    assert_false(fetch_request_decode(cut, sizeof cut, &request));
    static const uint8_t with_zero[] = {0x1a, 0x02, 'n', 0};
    assert_false(fetch_request_decode(with_zero, sizeof with_zero, &request));
    uint8_t too_long[2 + TOPIC_PREFIX_MAX + 2] = {0x1a, (TOPIC_PREFIX_MAX + 1) | 0x80, 1};
    memset(too_long + 3, 'n', TOPIC_PREFIX_MAX + 1);
    assert_false(fetch_request_decode(too_long, sizeof too_long, &request));
    assert_true(fetch_request_decode(cut, 0, &request)); /* all defaults */
    assert_int_equal(request.from_global_seq, 0);
}

/* ---- sums ---- */

static void test_sums_lose_nothing_whatever_the_order_of_keys(void **state)
{
    (void)state;
    struct usage_sum sum = {0};
    uint64_t n_packets = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        struct usage_delta delta = {
            .slot_ns = (int64_t)(i * 2654435761u % 7) * 300,
            .account = (uint16_t)(i * 40503u % 499),
            .wan = (uint16_t)(i % 3),
            .packets = i,
        };
        assert_int_equal(usage_sum_add(&sum, &delta), 0);
        n_packets += i;
    }
    for (size_t i = 0; i < sum.n; i++)
        n_packets -= sum.deltas[i].packets;
    assert_int_equal(n_packets, 0);
    assert_true(sum.n <= 7 * 499 * 3);
    usage_sum_clear(&sum);
    assert_int_equal(sum.n, 0);
    struct usage_delta again = {.packets = 1};
    assert_int_equal(usage_sum_add(&sum, &again), 0);
    assert_int_equal(sum.deltas[0].packets, 1);
    usage_sum_deinit(&sum);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_a_connection_event_says_what_the_record_says),
        CASE(test_an_icmp_event_has_an_id_and_no_ports),
        CASE(test_usage_is_told_once_a_key_and_commit_as_the_sum),
        CASE(test_nothing_is_told_before_the_commit),
        CASE(test_an_unknown_amount_is_told_as_minus_one_and_text_as_utf8),
        CASE(test_each_topic_counts_for_itself_and_the_bye_tells_its_last_number),
        CASE(test_without_events_and_subscribers_nothing_is_numbered),
        CASE(test_every_subscription_is_counted_also_a_second_of_the_same),
        CASE(test_the_heartbeat_comes_by_itself),
        CASE(test_what_is_kept_can_be_fetched_again_by_prefix),
        CASE(test_a_malformed_request_is_refused),
        CASE(test_sums_lose_nothing_whatever_the_order_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
