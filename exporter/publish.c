#include "exporter/publish.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "exporter/publish/event_log.h"
#include "exporter/publish/usage_sum.h"

enum {
    FETCH_EVENTS_MAX = 1000,     /* in a reply */
    FETCH_LOOKED_AT_MAX = 65536, /* for a reply, with a prefix that few topics have */
    HEARTBEAT_TOPICS_MAX = 4096, /* in a heartbeat */
    NS_PER_MS = 1000000,
};

/* What the open transaction will have to tell. */
struct pending_event {
    struct event event;
    uint16_t account;
};

struct publisher {
    struct bus_socket *events;
    struct bus_socket *control;
    struct event_context context;
    struct event_log log;
    bool is_active; /* see the header */
    size_t n_subscriptions;

    struct pending_event *pending;
    size_t n_pending;
    size_t pending_room;
    struct usage_sum usage;

    struct topic_state *states; /* room for a heartbeat's */
    size_t next_state;          /* the topic that the next heartbeat begins with */
    uint64_t heartbeat_seq;
    bool has_refused; /* a malformed request: logged once */
};

static void on_subscription(void *state, const struct bus_message *message);
static void on_request(void *state, const struct bus_message *message);
static void on_heartbeat(void *state);

static int open_sockets(const struct publisher_settings *settings, struct publisher *publisher)
{
    int result = bus_bind(settings->bus, BUS_XPUB, settings->endpoint, on_subscription, publisher,
                          &publisher->events);
    if (result < 0) {
        log_error("%s: cannot publish events there: %s", settings->endpoint, strerror(-result));
        return result;
    }
    result = bus_bind(settings->bus, BUS_CONTROL, settings->control_endpoint, on_request, publisher,
                      &publisher->control);
    if (result < 0) {
        log_error("%s: cannot listen there: %s", settings->control_endpoint, strerror(-result));
        return result;
    }
    int64_t interval_ns = settings->context.config->events.heartbeat_interval_ns;
    return loop_add_timer(settings->loop, (uint64_t)(interval_ns / NS_PER_MS), on_heartbeat,
                          publisher);
}

int publisher_open(const struct publisher_settings *settings, struct publisher **out)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    publisher->context = settings->context;
    publisher->is_active = settings->context.config->tracker.connection_events;
    publisher->states = calloc(HEARTBEAT_TOPICS_MAX, sizeof *publisher->states);
    int result = publisher->states ? event_log_init(&publisher->log, &publisher->context,
                                                    (size_t)settings->context.config->events.keep)
                                   : -ENOMEM;
    if (result == 0)
        result = open_sockets(settings, publisher);
    if (result < 0) {
        publisher_close(publisher);
        return result;
    }
    *out = publisher;
    return 0;
}

void publisher_forget(struct publisher *publisher)
{
    for (size_t i = 0; i < publisher->n_pending; i++)
        if (publisher->pending[i].event.kind == TOPIC_LOSS)
            free(publisher->pending[i].event.loss);
    publisher->n_pending = 0;
    usage_sum_clear(&publisher->usage);
}

void publisher_close(struct publisher *publisher)
{
    if (!publisher)
        return;
    publisher_forget(publisher);
    free(publisher->pending);
    usage_sum_deinit(&publisher->usage);
    event_log_deinit(&publisher->log);
    free(publisher->states);
    free(publisher);
}

size_t publisher_subscriptions(const struct publisher *publisher)
{
    return publisher->n_subscriptions;
}

static void on_subscription(void *state, const struct bus_message *message)
{
    struct publisher *publisher = state;
    if (message->size == 0)
        return;
    if (message->bytes[0] == 1) {
        publisher->n_subscriptions++;
        publisher->is_active = true;
    } else if (publisher->n_subscriptions > 0) {
        publisher->n_subscriptions--;
    }
}

/* ---- within a transaction ---- */

static struct pending_event *add_pending(struct publisher *publisher)
{
    if (publisher->n_pending == publisher->pending_room) {
        size_t room = publisher->pending_room ? 2 * publisher->pending_room : 256;
        struct pending_event *pending =
            reallocarray(publisher->pending, room, sizeof *publisher->pending);
        if (!pending)
            return NULL;
        publisher->pending = pending;
        publisher->pending_room = room;
    }
    return &publisher->pending[publisher->n_pending++];
}

static int add_connection(struct publisher *publisher, const uint8_t *packed)
{
    struct pending_event *pending = add_pending(publisher);
    if (!pending)
        return -ENOMEM;
    struct connection_event *connection = &pending->event.connection;
    connection_event_get(packed, connection); /* checked when it was decoded */
    pending->event.kind = (enum topic_kind)connection->kind;
    pending->event.time_ns = connection->time_ns;
    pending->account = connection->flow.account;
    return 0;
}

static int add_loss(struct publisher *publisher, const struct stream_loss *line)
{
    struct stream_loss *copy = malloc(sizeof *copy);
    struct pending_event *pending = copy ? add_pending(publisher) : NULL;
    if (!pending) {
        free(copy);
        return -ENOMEM;
    }
    *copy = *line;
    pending->event.kind = TOPIC_LOSS;
    pending->event.time_ns = line->loss.last_ns;
    pending->event.loss = copy;
    pending->account = 0;
    return 0;
}

int publisher_add(struct publisher *publisher, const struct message *message)
{
    int result = 0;
    if (!publisher->is_active)
        return 0;
    for (size_t i = 0; result == 0 && i < message->n_events; i++)
        result = add_connection(publisher, message->events + i * CONNECTION_EVENT_SIZE);
    for (size_t i = 0; result == 0 && i < message->n_usage; i++) {
        struct usage_delta delta;
        usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta);
        result = usage_sum_add(&publisher->usage, &delta);
    }
    for (size_t i = 0; result == 0 && i < message->n_losses; i++)
        result = add_loss(publisher, &message->losses[i]);
    return result;
}

int publisher_add_quota(struct publisher *publisher, const struct quota_reached *quota)
{
    if (!publisher->is_active)
        return 0;
    struct pending_event *pending = add_pending(publisher);
    if (!pending)
        return -ENOMEM;
    pending->event.kind = TOPIC_QUOTA;
    pending->event.time_ns = quota->slot_ns;
    pending->event.quota = *quota;
    pending->account = quota->account;
    return 0;
}

/* ---- after the commit ---- */

static void tell(struct publisher *publisher, const struct event *event)
{
    uint8_t room[EVENT_SIZE_MAX];
    size_t size = event_encode(event, &publisher->context, room);
    bus_publish(publisher->events, event->topic, room, size); /* a loss here shows as a gap */
}

static int publish(struct publisher *publisher, uint16_t account, struct event *event)
{
    int result = event_log_append(&publisher->log, account, event);
    if (result == 0 && publisher->n_subscriptions > 0)
        tell(publisher, event);
    return result;
}

static int publish_usage(struct publisher *publisher)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < publisher->usage.n; i++) {
        const struct usage_delta *delta = &publisher->usage.deltas[i];
        struct event event = {.kind = TOPIC_USAGE, .time_ns = delta->slot_ns, .usage = *delta};
        result = publish(publisher, delta->account, &event);
    }
    usage_sum_clear(&publisher->usage);
    return result;
}

int publisher_flush(struct publisher *publisher)
{
    int result = 0;
    size_t n_done = 0;
    while (result == 0 && n_done < publisher->n_pending) {
        struct pending_event *pending = &publisher->pending[n_done++];
        result = publish(publisher, pending->account, &pending->event);
    }
    if (result < 0)
        return result; /* no memory: the exporter stops */
    publisher->n_pending = 0;
    return publish_usage(publisher);
}

/* ---- heartbeat ---- */

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void tell_states(struct publisher *publisher, const char *topic, uint64_t seq,
                        const struct topic_state *states, size_t n_states)
{
    struct heartbeat heartbeat = {
        .topic = topic,
        .epoch = publisher->context.epoch,
        .seq = seq,
        .time_ns = wall_time_ns(),
        .next_global_seq = publisher->log.next_global_seq,
        .oldest_global_seq = publisher->log.oldest_global_seq,
        .topics = states,
        .n_topics = n_states,
    };
    size_t size;
    uint8_t *bytes = event_encode_heartbeat(&heartbeat, &size);
    if (bytes)
        bus_publish(publisher->events, topic, bytes, size);
    free(bytes);
}

static void on_heartbeat(void *state)
{
    struct publisher *publisher = state;
    if (publisher->n_subscriptions == 0)
        return;
    size_t n = event_log_states(&publisher->log, publisher->next_state, HEARTBEAT_TOPICS_MAX,
                                publisher->states);
    tell_states(publisher, "heartbeat", publisher->heartbeat_seq++, publisher->states, n);
    publisher->next_state += n;
    if (publisher->next_state >= publisher->log.n_used)
        publisher->next_state = 0;
}

void publisher_say_bye(struct publisher *publisher)
{
    size_t n = publisher->log.n_used;
    struct topic_state *states = calloc(n + 1, sizeof *states);
    if (!states)
        return;
    event_log_states(&publisher->log, 0, n, states);
    tell_states(publisher, "bye", 0, states, n);
    free(states);
}

/* ---- the control socket ---- */

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Fills 'reply' with what is kept from the request's number on. */
static void collect(const struct event_log *log, const struct fetch_request *request,
                    const struct event **events, struct fetch_reply *reply)
{
    size_t n_max = request->events_max > 0 && request->events_max < FETCH_EVENTS_MAX
                       ? request->events_max
                       : FETCH_EVENTS_MAX;
    uint64_t seq = request->from_global_seq;
    if (seq < log->oldest_global_seq)
        seq = log->oldest_global_seq;
    size_t n_looked_at = 0;
    const struct event *event;
    while (reply->n_events < n_max && n_looked_at < FETCH_LOOKED_AT_MAX &&
           (event = event_log_find(log, seq)) != NULL) {
        if (has_prefix(event->topic, request->topic_prefix))
            events[reply->n_events++] = event;
        n_looked_at++;
        seq++;
    }
    reply->events = events;
    reply->next_global_seq = seq;
    reply->end_global_seq = log->next_global_seq;
    reply->oldest_global_seq = log->oldest_global_seq;
}

static void on_request(void *state, const struct bus_message *message)
{
    struct publisher *publisher = state;
    struct fetch_request request;
    if (!fetch_request_decode(message->bytes, message->size, &request)) {
        if (!publisher->has_refused)
            log_warning("a request for missed events was malformed (further ones are ignored "
                        "without a word)");
        publisher->has_refused = true;
        return;
    }
    const struct event *events[FETCH_EVENTS_MAX];
    struct fetch_reply reply = {0};
    collect(&publisher->log, &request, events, &reply);
    size_t size;
    uint8_t *bytes = fetch_reply_encode(&reply, &publisher->context, &size);
    if (bytes)
        bus_send(publisher->control, message->peer, bytes, size); /* unheard: it asks again */
    free(bytes);
}
