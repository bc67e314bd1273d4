/* publish: tells subscribers what has been committed (proto/event.proto), and tells them again what
 * they missed.
 *
 *     publisher_open(&settings, &publisher);
 *     publisher_add(publisher, &batch);           within the transaction: remembered, not yet told
 *     publisher_flush(publisher);                 after COMMIT: numbered, kept, told
 *     publisher_say_bye(publisher);               the last sequence number of every topic
 *     publisher_close(publisher);
 *
 * Usage is told as the sums of a commit, so that what a subscriber adds up is what the database
 * has. A heartbeat tells every topic's last number, in turns where there are very many topics.
 *
 * Events are numbered and kept while connection events are on (tracker.connection_events), and
 * otherwise from the first subscription on: before, there is nothing that anybody could miss. A
 * slow subscriber never holds anything up: ZeroMQ drops what it does not take, and it sees the gap.
 * Not thread-safe. */
#ifndef WANMETER_EXPORTER_PUBLISH_H
#define WANMETER_EXPORTER_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/loop.h"
#include "proto/event.h"

struct publisher;

struct publisher_settings {
    struct bus *bus;
    struct loop *loop;
    struct event_context context; /* copied; what it points to is kept */
    const char *endpoint;         /* XPUB */
    const char *control_endpoint; /* ROUTER */
};

/* 0 or -errno (logged). */
int publisher_open(const struct publisher_settings *settings, struct publisher **out);

/* The sockets close with the bus, after this. Accepts NULL. */
void publisher_close(struct publisher *publisher);

/* Remembers what a RECORDS message, which the store has applied, has to tell. 0 or -ENOMEM. */
int publisher_add(struct publisher *publisher, const struct message *message);

/* The same of a quota's threshold that the transaction reached. */
int publisher_add_quota(struct publisher *publisher, const struct quota_reached *quota);

int publisher_flush(struct publisher *publisher);

/* The transaction was rolled back: what it had to tell is forgotten. */
void publisher_forget(struct publisher *publisher);

void publisher_say_bye(struct publisher *publisher);

/* Subscriptions that stand now. */
size_t publisher_subscriptions(const struct publisher *publisher);

#endif
