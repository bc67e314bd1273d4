#include "exporter/publish/event_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int event_log_init(struct event_log *log, const struct event_context *context, size_t keep)
{
    size_t n_accounts = context->config->n_accounts + 1;
    *log = (struct event_log){
        .context = context,
        .n_accounts = n_accounts,
        .topics = calloc(TOPIC_KIND_N * n_accounts, sizeof *log->topics),
        .used = calloc(TOPIC_KIND_N * n_accounts, sizeof *log->used),
        .keep = keep > 0 ? keep : 1, /* an event needs a place while it is published */
    };
    log->ring = calloc(log->keep, sizeof *log->ring); /* touched as used */
    if (log->topics && log->used && log->ring)
        return 0;
    event_log_deinit(log);
    return -ENOMEM;
}

static void release(struct event *event)
{
    if (event->kind == TOPIC_LOSS)
        free(event->loss);
    event->kind = TOPIC_NEW;
    event->loss = NULL;
}

void event_log_deinit(struct event_log *log)
{
    for (uint64_t seq = log->oldest_global_seq; log->ring && seq < log->next_global_seq; seq++)
        release(&log->ring[seq % log->keep]);
    for (size_t i = 0; log->used && log->topics && i < log->n_used; i++)
        free(log->topics[log->used[i]].name);
    free(log->topics);
    free(log->used);
    free(log->ring);
    *log = (struct event_log){0};
}

/* Accounts come while the run goes on. */
static int grow(struct event_log *log, size_t n_accounts)
{
    size_t n = TOPIC_KIND_N * n_accounts, n_before = TOPIC_KIND_N * log->n_accounts;
    struct topic *topics = reallocarray(log->topics, n, sizeof *topics);
    if (!topics)
        return -ENOMEM;
    memset(topics + n_before, 0, (n - n_before) * sizeof *topics);
    log->topics = topics;
    uint32_t *used = reallocarray(log->used, n, sizeof *used);
    if (!used)
        return -ENOMEM;
    log->used = used;
    log->n_accounts = n_accounts;
    return 0;
}

static struct topic *find_topic(struct event_log *log, enum topic_kind kind, uint16_t account)
{
    if (account >= log->n_accounts && grow(log, 2 * ((size_t)account + 1)) < 0)
        return NULL;
    size_t index = (size_t)account * TOPIC_KIND_N + kind;
    struct topic *topic = &log->topics[index];
    if (topic->name)
        return topic;
    if (asprintf(&topic->name, "%s.%s", topic_kind_name(kind),
                 event_account_name(log->context, account)) < 0) {
        topic->name = NULL;
        return NULL;
    }
    log->used[log->n_used++] = (uint32_t)index;
    return topic;
}

int event_log_append(struct event_log *log, uint16_t account, struct event *event)
{
    struct topic *topic = find_topic(log, event->kind, account);
    if (!topic)
        return -ENOMEM;
    event->topic = topic->name;
    event->seq = topic->next_seq++;
    event->global_seq = log->next_global_seq++;

    struct event *place = &log->ring[event->global_seq % log->keep];
    if (event->global_seq - log->oldest_global_seq == log->keep) {
        release(place);
        log->oldest_global_seq++;
    }
    *place = *event;
    return 0;
}

const struct event *event_log_find(const struct event_log *log, uint64_t global_seq)
{
    bool is_kept = global_seq >= log->oldest_global_seq && global_seq < log->next_global_seq;
    return is_kept ? &log->ring[global_seq % log->keep] : NULL;
}

size_t event_log_states(const struct event_log *log, size_t first, size_t n_max,
                        struct topic_state *states)
{
    size_t n = 0;
    for (size_t i = first; i < log->n_used && n < n_max; i++) {
        const struct topic *topic = &log->topics[log->used[i]];
        states[n++] = (struct topic_state){topic->name, topic->next_seq - 1};
    }
    return n;
}
