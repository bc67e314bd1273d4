#include "cli/event/event_feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/bus.h"
#include "common/log.h"

enum {
    TURN_MS = 200,         /* between looks at 'is_stopped', should a signal come before poll() */
    REPLY_TIME_MS = 3000,  /* for an answer of the control socket */
    SILENCE_MAX_MS = 15000 /* heartbeats come every second */
};

struct event_feed {
    struct bus *bus;
    struct bus_socket *events;
    struct bus_socket *control; /* NULL: none */
    event_fn on_event;
    void *state;

    bool is_heard; /* something has come */
    bool is_ended; /* goodbye, or on_event has enough */
    bool has_epoch;
    bool has_position;
    uint64_t epoch;
    uint64_t next; /* global_seq wanted */
    int64_t heard_ms;

    Wanmeter__Event__FetchReply *reply; /* the one awaited; NULL: not yet there */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void give(struct event_feed *feed, const Wanmeter__Event__Event *event)
{
    if (feed->is_ended)
        return;
    feed->next = event->global_seq + 1;
    if (event->content_case != WANMETER__EVENT__EVENT__CONTENT_HEARTBEAT &&
        !feed->on_event(feed->state, event))
        feed->is_ended = true;
}

static void drop_reply(struct event_feed *feed)
{
    if (feed->reply != NULL)
        wanmeter__event__fetch_reply__free_unpacked(feed->reply, NULL);
    feed->reply = NULL;
}

static void on_reply(void *state, const struct bus_message *message)
{
    struct event_feed *feed = state;
    drop_reply(feed);
    feed->reply = wanmeter__event__fetch_reply__unpack(NULL, message->size, message->bytes);
    if (feed->reply == NULL)
        log_warning("the control socket sent what is no answer");
}

static int send_request(struct event_feed *feed, uint64_t from)
{
    Wanmeter__Event__FetchRequest request = WANMETER__EVENT__FETCH_REQUEST__INIT;
    uint8_t bytes[64];
    request.from_global_seq = from;
    size_t size = wanmeter__event__fetch_request__pack(&request, bytes);
    return bus_send(feed->control, NULL, bytes, size);
}

/* The answer is then in feed->reply. False: none within 'time_ms'. */
static bool ask(struct event_feed *feed, uint64_t from, int64_t time_ms)
{
    int64_t until_ms = now_ms() + time_ms;
    bool is_sent = false;
    drop_reply(feed);
    while (feed->reply == NULL && now_ms() < until_ms) {
        if (!is_sent)
            is_sent = send_request(feed, from) == 0; /* -EAGAIN: not yet connected */
        int n = bus_receive(feed->control, is_sent ? TURN_MS : TURN_MS / 10);
        if (n < 0 && n != -EINTR)
            return false;
        if (n == -EINTR)
            break;
    }
    return feed->reply != NULL;
}

/* Gives what the daemon has kept from feed->next to before 'end'. */
static void fetch(struct event_feed *feed, uint64_t end)
{
    while (feed->next < end && !feed->is_ended) {
        if (feed->control == NULL || !ask(feed, feed->next, REPLY_TIME_MS))
            break;
        const Wanmeter__Event__FetchReply *reply = feed->reply;
        uint64_t before = feed->next;
        for (size_t i = 0; i < reply->n_events; i++)
            if (reply->events[i]->global_seq >= feed->next && reply->events[i]->global_seq < end)
                give(feed, reply->events[i]);
        if (reply->next_global_seq > feed->next && reply->next_global_seq <= end)
            feed->next = reply->next_global_seq;
        if (feed->next == before)
            break;
    }
    drop_reply(feed);
}

/* Everything before 'end' is given, or said to be missing. */
static void catch_up(struct event_feed *feed, uint64_t end)
{
    if (!feed->has_position) {
        feed->next = end;
        feed->has_position = true;
    }
    if (feed->next >= end || feed->is_ended)
        return;
    log_info("missed %" PRIu64 " events (%" PRIu64 " to %" PRIu64 "): asking for them",
             end - feed->next, feed->next, end - 1);
    fetch(feed, end);
    if (feed->next < end && !feed->is_ended) {
        log_warning("%" PRIu64 " events (%" PRIu64 " to %" PRIu64 ") cannot be had any more",
                    end - feed->next, feed->next, end - 1);
        feed->next = end;
    }
}

/* Another epoch: the daemon was started anew and counts from 0. */
static void note_epoch(struct event_feed *feed, const Wanmeter__Event__Event *event)
{
    if (feed->has_epoch && feed->epoch != event->epoch) {
        log_info("the daemon was started anew");
        feed->next = 0;
    }
    feed->has_epoch = true;
    feed->epoch = event->epoch;
}

static void take(struct event_feed *feed, const Wanmeter__Event__Event *event)
{
    note_epoch(feed, event);
    if (event->content_case == WANMETER__EVENT__EVENT__CONTENT_HEARTBEAT) {
        catch_up(feed, event->heartbeat->next_global_seq);
        if (strcmp(event->topic, "bye") == 0)
            feed->is_ended = true;
        return;
    }
    catch_up(feed, event->global_seq);
    if (event->global_seq >= feed->next)
        give(feed, event);
}

static void on_message(void *state, const struct bus_message *message)
{
    struct event_feed *feed = state;
    feed->is_heard = true;
    feed->heard_ms = now_ms();
    if (feed->is_ended)
        return;
    Wanmeter__Event__Event *event =
        wanmeter__event__event__unpack(NULL, message->size, message->bytes);
    if (event == NULL) {
        log_warning("the event socket sent what is no event");
        return;
    }
    take(feed, event);
    wanmeter__event__event__free_unpacked(event, NULL);
}

static int fail(const char *endpoint, int result)
{
    log_error("%s: %s", endpoint, strerror(-result));
    return result;
}

int event_feed_open(const struct event_endpoints *endpoints, event_fn on_event, void *state,
                    struct event_feed **out)
{
    struct event_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return fail(endpoints->events, -ENOMEM);
    feed->on_event = on_event;
    feed->state = state;
    const char *endpoint = endpoints->events;
    int result = bus_create(NULL, &feed->bus);
    if (result == 0)
        bus_use_keys(feed->bus, &endpoints->keys);
    if (result == 0)
        result = bus_connect(feed->bus, BUS_SUB, endpoint, NULL, on_message, feed, &feed->events);
    if (result == 0)
        result = bus_subscribe(feed->events, "");
    if (result == 0 && endpoints->control[0] != '\0') {
        endpoint = endpoints->control;
        result = bus_connect(feed->bus, BUS_DEALER, endpoint, NULL, on_reply, feed, &feed->control);
    }
    if (result != 0) {
        event_feed_close(feed);
        return fail(endpoint, result);
    }
    *out = feed;
    return 0;
}

void event_feed_close(struct event_feed *feed)
{
    if (feed == NULL)
        return;
    drop_reply(feed);
    bus_destroy(feed->bus);
    free(feed);
}

/* The position to go on from: everything kept, or what comes next. */
static enum event_feed_result start_at(struct event_feed *feed, int64_t from)
{
    uint64_t end = feed->reply->end_global_seq;
    uint64_t oldest = feed->reply->oldest_global_seq;
    if (from == EVENT_FEED_LIVE)
        return EVENT_FEED_OK; /* the first event heard decides: some may have come before this
                                 answer */
    feed->has_position = true;
    feed->next = (uint64_t)from;
    if (feed->next < oldest) {
        log_warning("%" PRIu64 " events (%" PRIu64 " to %" PRIu64 ") cannot be had any more",
                    oldest - feed->next, feed->next, oldest - 1);
        feed->next = oldest;
    }
    fetch(feed, end);
    return EVENT_FEED_OK;
}

enum event_feed_result event_feed_start(struct event_feed *feed, int64_t from, int64_t wait_ns,
                                        const volatile sig_atomic_t *is_stopped)
{
    int64_t until_ms = now_ms() + wait_ns / 1000000;
    while (!*is_stopped && now_ms() < until_ms) {
        if (feed->control != NULL &&
            ask(feed, from == EVENT_FEED_LIVE ? UINT64_MAX : (uint64_t)from, TURN_MS))
            return start_at(feed, from);
        if (from == EVENT_FEED_LIVE || feed->control == NULL)
            bus_receive(feed->events, TURN_MS);
        if (feed->is_heard)
            return EVENT_FEED_OK;
    }
    return *is_stopped ? EVENT_FEED_OK : EVENT_FEED_UNREACHABLE;
}

enum event_feed_result event_feed_run(struct event_feed *feed,
                                      const volatile sig_atomic_t *is_stopped)
{
    feed->heard_ms = now_ms();
    while (!feed->is_ended && !*is_stopped) {
        int n = bus_receive(feed->events, TURN_MS);
        if (n < 0 && n != -EINTR) {
            log_error("events: %s", strerror(-n));
            return EVENT_FEED_FAILED;
        }
        if (n > 0 || now_ms() - feed->heard_ms < SILENCE_MAX_MS)
            continue;
        if (feed->control == NULL || !ask(feed, UINT64_MAX, REPLY_TIME_MS))
            return EVENT_FEED_UNREACHABLE;
        feed->heard_ms = now_ms();
    }
    return EVENT_FEED_OK;
}
