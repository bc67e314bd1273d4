/* A batch of records, as a tracker would send it, all the way into a database and out as events.
 * Whatever the bytes are: it is refused, or applied within the open transaction; a refused one and
 * a rolled-back one leave nothing. */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporter/store.h"
#include "proto/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char directory[] = "/tmp/wanmeter-fuzz-XXXXXX";
static char path[64];
static struct store *store;
static struct config config;
static const char *protocol_names[STORE_PROTOCOLS];

static void clean_up(void)
{
    store_close(store);
    unlink(path);
    rmdir(directory);
}

static void open_store(void)
{
    static struct config_wan wans[] = {{.name = (char *)"fiber", .overhead = (char *)"ip"}};
    static struct config_account accounts[] = {{.name = (char *)"alice"}, {.name = (char *)"bob"}};
    config_init(&config);
    config.wans = wans;
    config.n_wans = 1;
    config.accounts = accounts;
    config.n_accounts = 2;
    if (!mkdtemp(directory))
        abort();
    snprintf(path, sizeof path, "%s/fuzz.db", directory);
    char error[STORE_ERROR_MAX];
    struct store_run run = {.version = "0", .config = &config};
    if (store_open(path, 1 << 20, &store, error) < 0 || store_start_run(store, &run) < 0)
        abort();
    for (unsigned i = 0; i < STORE_PROTOCOLS; i++)
        protocol_names[i] = store_protocol_name(store, (uint8_t)i);
    atexit(clean_up);
}

static bool apply_and_roll_back(const struct message *message)
{
    if (store_begin(store) < 0)
        abort();
    int result = store_apply(store, message);
    store_rollback(store);
    struct high_water mark;
    assert(store_find_stream(store, &message->stream, &mark) < 0);
    return result == 0;
}

/* Few inputs add up by chance: the same with the totals that its rows make. */
static void apply_balanced(const struct message *message)
{
    struct high_water mark = {.stream = {.producer = "capture-0"}};
    struct message balanced = *message;
    balanced.applied = &mark;
    balanced.n_applied = 1;
    balanced.n_losses = 0;
    balanced.seq = 0; /* its turn */
    for (size_t i = 0; i < message->n_usage; i++) {
        struct usage_delta delta;
        usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta);
        mark.totals.packets += delta.packets;
        mark.totals.l2_bytes += delta.l2_bytes;
        mark.totals.l3_bytes += delta.l3_bytes;
    }
    apply_and_roll_back(&balanced);
}

static void encode(struct event *event)
{
    static const struct event_context context = {
        .epoch = 1, .config = &config, .protocol_names = protocol_names};
    uint8_t room[EVENT_SIZE_MAX];
    event->topic = "destroy.alice";
    size_t size = event_encode(event, &context, room);
    assert(size > 0 && size <= sizeof room);
}

static void encode_all(const struct message *message)
{
    for (size_t i = 0; i < message->n_events; i++) {
        struct event event = {0};
        connection_event_get(message->events + i * CONNECTION_EVENT_SIZE, &event.connection);
        event.kind = (enum topic_kind)event.connection.kind;
        encode(&event);
    }
    for (size_t i = 0; i < message->n_usage; i++) {
        struct event event = {.kind = TOPIC_USAGE};
        usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &event.usage);
        encode(&event);
    }
    for (size_t i = 0; i < message->n_losses; i++) {
        struct stream_loss loss = message->losses[i];
        struct event event = {.kind = TOPIC_LOSS, .loss = &loss};
        encode(&event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!store)
        open_store();
    struct message message;
    if (message_decode(bytes, size, &message) == MESSAGE_OK && message.kind == MESSAGE_RECORDS) {
        apply_and_roll_back(&message);
        apply_balanced(&message);
        encode_all(&message);
    }
    message_release(&message);
    return 0;
}
