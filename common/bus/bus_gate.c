#include "common/bus/bus_gate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static const char ENDPOINT[] = "inproc://zeromq.zap.01"; /* where libzmq looks for it */
static const char DOMAIN[] = "wanmeter";

/* The frames of a question: who asks (a routing id, then empty), and what of whom. */
enum {
    ASKER,
    DELIMITER,
    VERSION,
    REQUEST_ID,
    ZAP_DOMAIN,
    ADDRESS,
    IDENTITY,
    MECHANISM,
    CREDENTIAL, /* of CURVE: the peer's public key */
    QUESTION_FRAMES
};
enum { FRAME_MAX = 255, QUESTIONS_A_TURN = 64 };

struct frame {
    size_t size;
    char bytes[FRAME_MAX + 1]; /* and a zero */
};

int bus_gate_open(void *context, struct bus_gate *gate)
{
    gate->zmq = zmq_socket(context, ZMQ_ROUTER);
    if (!gate->zmq)
        return -errno;
    int none = 0;
    zmq_setsockopt(gate->zmq, ZMQ_LINGER, &none, sizeof none);
    return zmq_bind(gate->zmq, ENDPOINT) < 0 ? -errno : 0;
}

void bus_gate_close(struct bus_gate *gate)
{
    if (gate->zmq)
        zmq_close(gate->zmq);
    gate->zmq = NULL;
}

int bus_gate_guard(void *zmq_socket)
{
    return zmq_setsockopt(zmq_socket, ZMQ_ZAP_DOMAIN, DOMAIN, strlen(DOMAIN)) < 0 ? -errno : 0;
}

static bool parse_number(const char *text, char end, uint32_t *number)
{
    char *rest;
    errno = 0;
    unsigned long long value = strtoull(text, &rest, 10);
    if (rest == text || *rest != end || errno || value > UINT32_MAX || *text == '-')
        return false;
    *number = (uint32_t)value;
    return true;
}

bool bus_gate_parse(const char *address, uint32_t *uid, uint32_t *pid)
{
    const char *fields[3]; /* the last three */
    const char *at = address + strlen(address);
    for (int i = 2; i >= 0; i--) {
        while (at > address && at[-1] != ':')
            at--;
        if (at == address)
            return false;
        fields[i] = at--;
    }
    return parse_number(fields[0], ':', uid) && parse_number(fields[2], '\0', pid);
}

/* One question's frames; those past the ones that are looked at are dropped. False: none there. */
static bool receive_question(struct bus_gate *gate, struct frame frames[QUESTION_FRAMES])
{
    int has_more = 1;
    memset(frames, 0, QUESTION_FRAMES * sizeof *frames);
    for (size_t i = 0; has_more; i++) {
        struct frame dropped;
        struct frame *frame = i < QUESTION_FRAMES ? &frames[i] : &dropped;
        int size = zmq_recv(gate->zmq, frame->bytes, FRAME_MAX, ZMQ_DONTWAIT);
        if (size < 0)
            return false;
        frame->size = size < FRAME_MAX ? (size_t)size : FRAME_MAX;
        frame->bytes[frame->size] = '\0';
        size_t option_size = sizeof has_more;
        if (zmq_getsockopt(gate->zmq, ZMQ_RCVMORE, &has_more, &option_size) < 0)
            return false;
    }
    return true;
}

static void answer(struct bus_gate *gate, const struct frame frames[QUESTION_FRAMES],
                   const char *status, const char *user)
{
    const struct {
        const void *bytes;
        size_t size;
    } parts[] = {
        {frames[ASKER].bytes, frames[ASKER].size},
        {"", 0},
        {"1.0", 3},
        {frames[REQUEST_ID].bytes, frames[REQUEST_ID].size},
        {status, 3},
        {"", 0},
        {user, strlen(user)},
        {"", 0},
    };
    size_t n = sizeof parts / sizeof *parts;
    for (size_t i = 0; i < n; i++)
        if (zmq_send(gate->zmq, parts[i].bytes, parts[i].size,
                     ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
            return; /* who asked is gone */
}

void bus_gate_refuse(struct bus_gate *gate, const char *who)
{
    gate->n_refused++;
    if ((gate->n_refused & (gate->n_refused - 1)) == 0)
        log_warning("%s, %" PRIu64 " so far", who, gate->n_refused);
}

static void refuse(struct bus_gate *gate, const char *what, const struct frame *address)
{
    char who[FRAME_MAX + 96];
    snprintf(who, sizeof who, "%s was refused (%s)", what, address->bytes);
    bus_gate_refuse(gate, who);
}

static bool is_client(const struct bus_gate *gate, const struct frame *credential)
{
    for (size_t i = 0; credential->size == BUS_KEY_SIZE && i < gate->n_clients; i++)
        if (memcmp(gate->clients[i].bytes, credential->bytes, BUS_KEY_SIZE) == 0)
            return true;
    return false;
}

/* One that came by tcp has proved that it has the key's secret. */
static void serve_curve(struct bus_gate *gate, const struct frame frames[QUESTION_FRAMES])
{
    if (is_client(gate, &frames[CREDENTIAL])) {
        answer(gate, frames, "200", "");
        return;
    }
    refuse(gate, "a peer whose key is not on the list", &frames[ADDRESS]);
    answer(gate, frames, "400", "");
}

static void serve_ipc(struct bus_gate *gate, const struct frame frames[QUESTION_FRAMES])
{
    uint32_t uid, pid;
    bool is_known = bus_gate_parse(frames[ADDRESS].bytes, &uid, &pid);
    if (is_known && (uid == 0 || uid == geteuid() || uid == gate->guest_uid)) {
        char user[32];
        snprintf(user, sizeof user, "%" PRIu32 ":%" PRIu32, uid, pid);
        answer(gate, frames, "200", user);
        return;
    }
    refuse(gate, "a peer of another user", &frames[ADDRESS]);
    answer(gate, frames, "400", "");
}

bool bus_gate_serve(struct bus_gate *gate)
{
    struct frame frames[QUESTION_FRAMES];
    for (int i = 0; i < QUESTIONS_A_TURN; i++) {
        if (!receive_question(gate, frames))
            return errno == EINTR;
        if (strcmp(frames[MECHANISM].bytes, "CURVE") == 0)
            serve_curve(gate, frames);
        else
            serve_ipc(gate, frames);
    }
    return true;
}

bool bus_gate_peer(zmq_msg_t *message, uint32_t *uid, uint32_t *pid)
{
    const char *user = zmq_msg_gets(message, "User-Id");
    const char *colon = user ? strchr(user, ':') : NULL;
    return colon && parse_number(user, ':', uid) && parse_number(colon + 1, '\0', pid);
}
