#include "capture/change_inlet.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/config/config_utf8.h"
#include "common/log.h"
#include "proto/change_file.h"
#include "proto/control.h"

enum { WAITING_MAX = 64 };

struct change_inlet {
    struct bus_socket *socket;
    uint32_t n_shards;
    uint64_t last_id;
    struct change waiting[WAITING_MAX]; /* a ring */
    size_t first_waiting, n_waiting;
    struct change *recorded;
    size_t next_recorded, n_recorded;
};

/* ---- what somebody asks for ---- */

static uint64_t new_id(struct change_inlet *inlet)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t id = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    inlet->last_id = id > inlet->last_id ? id : inlet->last_id + 1;
    return inlet->last_id;
}

/* Its words are kept, so they are text: a label's name, a policy's, an account's. */
static bool is_text(const struct control_request *request)
{
    for (size_t i = 0; i < request->n_words; i++)
        if (!config_utf8_is_text(request->words[i]))
            return false;
    return request->n_words > 0;
}

static void take(struct change_inlet *inlet, const struct bus_peer *peer,
                 const struct control_request *request, struct control_reply *reply)
{
    if (inlet->n_waiting == WAITING_MAX) {
        control_reply_fail(reply, EAGAIN, "%d changes wait for the packets' clock", WAITING_MAX);
        return;
    }
    struct change *change =
        &inlet->waiting[(inlet->first_waiting + inlet->n_waiting) % WAITING_MAX];
    *change = (struct change){.pid = peer->pid, .uid = peer->uid};
    if (!change_set_words(change, request->words, request->n_words)) {
        control_reply_fail(reply, EMSGSIZE, "too many or too long words");
        return;
    }
    change->id = new_id(inlet);
    randombytes_buf(&change->seed, sizeof change->seed);
    inlet->n_waiting++;
    reply->change_id = change->id;
}

static void on_request(void *state, const struct bus_message *message)
{
    struct change_inlet *inlet = state;
    struct control_request request = {0};
    struct control_reply reply;
    if (!message->peer)
        return;
    control_reply_init(&reply, 0);
    if (!message->peer->is_known)
        control_reply_fail(&reply, EACCES, "nobody knows who you are");
    else if (!control_request_decode(message->bytes, message->size, &request))
        control_reply_fail(&reply, EBADMSG, "no request (proto/control.proto)");
    else if (!is_text(&request))
        control_reply_fail(&reply, EILSEQ, "words that are no printable UTF-8, or none");
    else
        take(inlet, message->peer, &request, &reply);
    reply.n_shards = inlet->n_shards;
    size_t size;
    uint8_t *bytes = control_reply_encode(&reply, &size);
    if (bytes)
        bus_send(inlet->socket, message->peer, bytes, size); /* gone: it is done all the same */
    free(bytes);
    control_reply_deinit(&reply);
}

/* ---- what was recorded ---- */

static int add_recorded(struct change_inlet *inlet, const struct change *change)
{
    struct change *recorded =
        reallocarray(inlet->recorded, inlet->n_recorded + 1, sizeof *inlet->recorded);
    if (!recorded)
        return -ENOMEM;
    inlet->recorded = recorded;
    recorded[inlet->n_recorded++] = *change;
    return 0;
}

/* The words point into the change's own text, which has moved. */
static void set_words(struct change *change)
{
    const char *at = change->text;
    for (size_t i = 0; i < change->n_words; i++) {
        change->words[i] = at;
        at += strlen(at) + 1;
    }
}

static int read_recorded(struct change_inlet *inlet, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        log_error("%s: %s", path, strerror(errno));
        return -errno;
    }
    struct change change;
    int result;
    while ((result = change_file_read(file, &change)) > 0) {
        result = add_recorded(inlet, &change);
        if (result < 0)
            break;
    }
    fclose(file);
    if (result < 0)
        log_error("%s: the changes in it cannot be read: %s", path, strerror(-result));
    return result;
}

/* ---- open, close ---- */

int change_inlet_open(struct bus *bus, const struct change_inlet_settings *settings,
                      struct change_inlet **out)
{
    struct change_inlet *inlet = calloc(1, sizeof *inlet);
    if (!inlet)
        return -ENOMEM;
    inlet->n_shards = settings->n_shards;
    int result = settings->path ? read_recorded(inlet, settings->path) : 0;
    if (result == 0 && settings->endpoint)
        result = bus_bind(bus, BUS_CONTROL, settings->endpoint, on_request, inlet, &inlet->socket);
    if (result < 0) {
        change_inlet_close(inlet);
        return result;
    }
    *out = inlet;
    return 0;
}

void change_inlet_close(struct change_inlet *inlet)
{
    if (!inlet)
        return;
    free(inlet->recorded);
    free(inlet);
}

/* ---- into the stream ---- */

static bool next_recorded(struct change_inlet *inlet, int64_t clock_ns, int64_t next_ns,
                          struct change *change, int64_t *at_ns)
{
    if (inlet->next_recorded == inlet->n_recorded)
        return false;
    const struct change *next = &inlet->recorded[inlet->next_recorded];
    if (!next->is_restored && next->time_ns > next_ns)
        return false;
    *change = *next;
    *at_ns = next->is_restored || next->time_ns < clock_ns ? clock_ns : next->time_ns;
    inlet->next_recorded++;
    return true;
}

bool change_inlet_next(struct change_inlet *inlet, int64_t clock_ns, int64_t next_ns,
                       struct change *change, int64_t *at_ns)
{
    bool is_next = next_recorded(inlet, clock_ns, next_ns, change, at_ns);
    if (!is_next && inlet->n_waiting > 0) {
        *change = inlet->waiting[inlet->first_waiting];
        change->time_ns = next_ns;
        *at_ns = next_ns;
        inlet->first_waiting = (inlet->first_waiting + 1) % WAITING_MAX;
        inlet->n_waiting--;
        is_next = true;
    }
    if (is_next)
        set_words(change);
    return is_next;
}

bool change_inlet_is_empty(const struct change_inlet *inlet)
{
    return inlet->n_waiting == 0 && inlet->next_recorded == inlet->n_recorded;
}

bool change_inlet_is_waiting(const struct change_inlet *inlet)
{
    return inlet->n_waiting > 0;
}

int64_t change_inlet_end_ns(const struct change_inlet *inlet)
{
    int64_t end_ns = INT64_MIN;
    for (size_t i = inlet->next_recorded; i < inlet->n_recorded; i++)
        if (inlet->recorded[i].time_ns > end_ns)
            end_ns = inlet->recorded[i].time_ns;
    return end_ns;
}
