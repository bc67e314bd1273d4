#include "tracker/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control.h"

enum { RESULTS_MAX = 1024 };

/* What became of one change. */
struct note {
    uint64_t id; /* 0: none */
    int64_t time_ns;
    struct change_result result;
};

struct query {
    struct query_settings settings;
    struct bus_socket *socket;
    struct note notes[RESULTS_MAX]; /* a ring */
    size_t n_noted;
};

void query_note(struct query *query, const struct change *change,
                const struct change_result *result)
{
    query->notes[query->n_noted++ % RESULTS_MAX] =
        (struct note){change->id, change->time_ns, *result};
}

/* "change ID" */
static void tell_result(const struct query *query, const struct control_request *request,
                        struct control_reply *reply)
{
    uint64_t id = request->n_words > 1 ? strtoull(request->words[1], NULL, 10) : 0;
    for (size_t i = 0; i < RESULTS_MAX && id != 0; i++) {
        const struct note *note = &query->notes[i];
        if (note->id != id)
            continue;
        control_reply_fail(reply, note->result.error, "%s", note->result.answer);
        reply->time_ns = note->time_ns;
        reply->count = note->result.count;
        return;
    }
    control_reply_fail(reply, EINPROGRESS, "not yet, or no longer known");
}

static void answer(const struct query *query, const struct control_request *request,
                   struct control_reply *reply)
{
    if (request->n_words > 0 && strcmp(request->words[0], "change") == 0)
        tell_result(query, request, reply);
    else
        control_answer(query->settings.control, request, reply);
}

static void on_request(void *state, const struct bus_message *message)
{
    struct query *query = state;
    struct control_request request = {0};
    struct control_reply reply;
    size_t size;
    if (!message->peer)
        return;
    bool is_valid = control_request_decode(message->bytes, message->size, &request);
    control_reply_init(&reply, request.rows_max);
    if (is_valid)
        answer(query, &request, &reply);
    else
        control_reply_fail(&reply, EBADMSG, "no request (proto/control.proto)");
    reply.n_shards = query->settings.n_shards;
    uint8_t *bytes = control_reply_encode(&reply, &size);
    if (bytes)
        bus_send(query->socket, message->peer, bytes, size); /* gone, or does not read: its loss */
    free(bytes);
    control_reply_deinit(&reply);
}

int query_open(struct bus *bus, const struct query_settings *settings, struct query **out)
{
    struct query *query = calloc(1, sizeof *query);
    if (!query)
        return -ENOMEM;
    query->settings = *settings;
    int result = bus_bind(bus, BUS_CONTROL, settings->endpoint, on_request, query, &query->socket);
    if (result < 0) {
        query_close(query);
        return result;
    }
    *out = query;
    return 0;
}

void query_close(struct query *query)
{
    free(query);
}
