/* event_log: numbers events, and keeps the last ones for those who missed them.
 *
 *     event_log_init(&log, &context, keep);
 *     event_log_append(&log, &event);              gives topic, seq and global_seq
 *     event = event_log_find(&log, global_seq);    NULL: no longer kept, or not yet there
 *     event_log_deinit(&log);
 *
 * Topics are KIND.ACCOUNT, each with its own sequence 0, 1, 2, …; a topic exists from its first
 * event on. Keeps 'keep' events, at most. Not thread-safe. */
#ifndef WANMETER_EXPORTER_EVENT_LOG_H
#define WANMETER_EXPORTER_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/event.h"

struct topic {
    char *name; /* NULL: nothing was published under it yet */
    uint64_t next_seq;
};

struct event_log {
    const struct event_context *context;
    struct topic *topics; /* by account number, then kind */
    size_t n_accounts;    /* there is room for; with the one that is "none" */
    uint32_t *used;       /* indices into topics, in order of their first event */
    size_t n_used;

    struct event *ring; /* by global_seq modulo keep */
    size_t keep;
    uint64_t next_global_seq;
    uint64_t oldest_global_seq; /* next_global_seq: none is kept */
};

/* 'context' is kept, not copied. 0 or -ENOMEM. */
int event_log_init(struct event_log *log, const struct event_context *context, size_t keep);
void event_log_deinit(struct event_log *log);

/* Numbers 'event', of kind and 'account', and keeps a copy; a loss it points to is the log's from
 * now on, and valid until 'keep' more events have come (keep 0: until the next). 0 or -ENOMEM. */
int event_log_append(struct event_log *log, uint16_t account, struct event *event);

const struct event *event_log_find(const struct event_log *log, uint64_t global_seq);

/* Fills 'states' with the topics from the 'first' used on, 'n_max' at most; returns how many. */
size_t event_log_states(const struct event_log *log, size_t first, size_t n_max,
                        struct topic_state *states);

#endif
