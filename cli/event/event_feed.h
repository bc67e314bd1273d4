/* event_feed: a daemon's events in order, without those lost on the way going unnoticed.
 *
 *     event_feed_open(&endpoints, on_event, state, &feed);
 *     event_feed_start(feed, from, wait_ns, &is_stopped);   EVENT_FEED_UNREACHABLE: no daemon
 *     event_feed_run(feed, &is_stopped);
 *     event_feed_close(feed);
 *
 * Every event has a number (global_seq), one up from the one before. A step of more, here or in a
 * heartbeat, is what was missed: the control socket is asked for it, and 'on_event' gets it in its
 * place. What cannot be had any more is reported on standard error. Not thread-safe. */
#ifndef WANMETER_CLI_EVENT_FEED_H
#define WANMETER_CLI_EVENT_FEED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/event/event_endpoint.h"
#include "proto/event.pb-c.h"

struct event_feed;

/* Connections, usage and losses; heartbeats are kept back. False: enough. */
typedef bool (*event_fn)(void *state, const Wanmeter__Event__Event *event);

enum event_feed_result {
    EVENT_FEED_OK,          /* the daemon said goodbye, on_event had enough, or a signal came */
    EVENT_FEED_UNREACHABLE, /* nobody answers, or no longer */
    EVENT_FEED_FAILED,      /* logged */
};

enum { EVENT_FEED_LIVE = -1 };

/* 0 or -errno (logged). */
int event_feed_open(const struct event_endpoints *endpoints, event_fn on_event, void *state,
                    struct event_feed **out);
void event_feed_close(struct event_feed *feed); /* accepts NULL */

/* Waits for the daemon; with a 'from' that is not EVENT_FEED_LIVE gives what it has kept from that
 * number on. '*is_stopped' is set by a signal handler. */
enum event_feed_result event_feed_start(struct event_feed *feed, int64_t from, int64_t wait_ns,
                                        const volatile sig_atomic_t *is_stopped);
enum event_feed_result event_feed_run(struct event_feed *feed,
                                      const volatile sig_atomic_t *is_stopped);

#endif
