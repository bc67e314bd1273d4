#include "common/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "common/bus/bus_curve.h"
#include "common/bus/bus_frame.h"
#include "common/bus/bus_gate.h"
#include "common/bus/bus_listen.h"
#include "common/bus/bus_options.h"
#include "common/loop.h"

enum {
    MESSAGES_A_TURN = 64, /* of one socket, before the others and the timers have their turn */
};

static const char IPC_SCHEME[] = "ipc://";

struct bus_socket {
    struct bus_socket *next;
    struct bus *bus;
    void *zmq;
    enum bus_kind kind;
    bool is_due; /* something may be there: its edge was seen, or a call of ours took it */
    bool is_paused;
    void *monitor;    /* of a tcp endpoint bound here: who fails in the handshake */
    char *bound_path; /* of an ipc endpoint: libzmq leaves the file behind */
    bus_message_fn on_message;
    void *state;
};

struct bus {
    void *context;
    struct loop *loop;
    struct bus_gate gate; /* of the endpoints bound here */
    bool is_gate_due;
    struct bus_keys keys;           /* of tcp endpoints */
    struct bus_listener *listeners; /* made ahead */
    struct bus_socket *sockets;
};

static const int zmq_types[] = {
    [BUS_DEALER] = ZMQ_DEALER, [BUS_ROUTER] = ZMQ_ROUTER, [BUS_CONTROL] = ZMQ_ROUTER,
    [BUS_XPUB] = ZMQ_XPUB,     [BUS_SUB] = ZMQ_SUB,
};

static void on_turn(void *state);
static void on_edge(void *state);
static void on_gate_edge(void *state);
static void on_monitor_edge(void *state);

int bus_create(struct loop *loop, struct bus **out)
{
    struct bus *bus = calloc(1, sizeof *bus);
    if (!bus)
        return -ENOMEM;
    bus->loop = loop;
    bus->gate.guest_uid = (uint32_t)geteuid();
    bus->context = zmq_ctx_new();
    int result = bus->context ? 0 : -errno;
    if (result == 0 && loop)
        result = loop_add_turn(loop, on_turn, bus);
    if (result < 0) {
        bus_destroy(bus);
        return result;
    }
    *out = bus;
    return 0;
}

void bus_destroy(struct bus *bus)
{
    if (!bus)
        return;
    while (bus->sockets) {
        struct bus_socket *socket = bus->sockets;
        bus->sockets = socket->next;
        if (socket->monitor)
            zmq_close(socket->monitor);
        zmq_close(socket->zmq);
        if (socket->bound_path)
            unlink(socket->bound_path);
        free(socket->bound_path);
        free(socket);
    }
    bus_gate_close(&bus->gate);
    bus_listen_close(bus->listeners);
    if (bus->context)
        zmq_ctx_term(bus->context);
    free(bus);
}

static bool is_router(const struct bus_socket *socket)
{
    return socket->kind == BUS_ROUTER || socket->kind == BUS_CONTROL;
}

bool bus_is_local(const char *endpoint)
{
    return strncmp(endpoint, IPC_SCHEME, strlen(IPC_SCHEME)) == 0;
}

static int watch(struct bus *bus, void *zmq, loop_fn on_readable, void *state)
{
    int descriptor;
    size_t size = sizeof descriptor;
    if (zmq_getsockopt(zmq, ZMQ_FD, &descriptor, &size) < 0)
        return -errno;
    int result = loop_add_reader(bus->loop, descriptor, on_readable, state);
    loop_again(bus->loop); /* what is there already makes no edge */
    return result;
}

static int watch_socket(struct bus_socket *socket)
{
    socket->is_due = true;
    return watch(socket->bus, socket->zmq, on_edge, socket);
}

static int socket_create(struct bus *bus, enum bus_kind kind, const char *endpoint,
                         bus_message_fn on_message, void *state, struct bus_socket **out)
{
    struct bus_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return -ENOMEM;
    *socket = (struct bus_socket){
        .bus = bus,
        .kind = kind,
        .on_message = on_message,
        .state = state,
        .zmq = zmq_socket(bus->context, zmq_types[kind]),
    };
    int result = socket->zmq ? bus_options_set(socket->zmq, kind, bus_is_local(endpoint)) : -errno;
    if (result < 0) {
        if (socket->zmq)
            zmq_close(socket->zmq);
        free(socket);
        return result;
    }
    socket->next = bus->sockets;
    bus->sockets = socket;
    *out = socket;
    return 0;
}

static int open_gate(struct bus *bus)
{
    if (bus->gate.zmq)
        return 0;
    bus->gate.clients = bus->keys.clients;
    bus->gate.n_clients = bus->keys.n_clients;
    int result = bus_gate_open(bus->context, &bus->gate);
    bus->is_gate_due = true;
    return result < 0 ? result : watch(bus, bus->gate.zmq, on_gate_edge, bus);
}

/* Who may connect is asked of the gate. Without a loop nobody would answer: that is for tests,
 * which listen by ipc. By tcp nobody gets in without a key. */
static int guard(struct bus *bus, struct bus_socket *socket, const char *endpoint)
{
    if (!bus_is_local(endpoint) && (!bus->loop || !bus->keys.own))
        return -EACCES;
    if (!bus->loop)
        return 0;
    int result = open_gate(bus);
    if (result == 0)
        result = bus_gate_guard(socket->zmq);
    if (result < 0 || bus_is_local(endpoint))
        return result;
    result = bus_curve_listen(socket->zmq, bus->keys.own);
    if (result == 0)
        result = bus_curve_watch(bus->context, socket->zmq, &socket->monitor);
    return result < 0 ? result : watch(bus, socket->monitor, on_monitor_edge, bus);
}

int bus_listen(struct bus *bus, const char *endpoint)
{
    return bus_is_local(endpoint) ? bus_listen_open(&bus->listeners, endpoint + strlen(IPC_SCHEME))
                                  : 0;
}

static int use_listener(struct bus *bus, struct bus_socket *socket, const char *endpoint)
{
    int descriptor = bus_is_local(endpoint)
                         ? bus_listen_take(&bus->listeners, endpoint + strlen(IPC_SCHEME))
                         : -1;
    return descriptor < 0 ? 0 : bus_options_set_one(socket->zmq, ZMQ_USE_FD, descriptor);
}

int bus_bind(struct bus *bus, enum bus_kind kind, const char *endpoint, bus_message_fn on_message,
             void *state, struct bus_socket **out)
{
    int result = socket_create(bus, kind, endpoint, on_message, state, out);
    if (result == 0)
        result = guard(bus, *out, endpoint);
    if (result == 0)
        result = use_listener(bus, *out, endpoint);
    if (result < 0)
        return result;
    if (zmq_bind((*out)->zmq, endpoint) < 0)
        return -errno;
    if (bus_is_local(endpoint))
        (*out)->bound_path = strdup(endpoint + strlen(IPC_SCHEME));
    return bus->loop ? watch_socket(*out) : 0;
}

int bus_connect(struct bus *bus, enum bus_kind kind, const char *endpoint, const char *identity,
                bus_message_fn on_message, void *state, struct bus_socket **out)
{
    int result = socket_create(bus, kind, endpoint, on_message, state, out);
    if (result < 0)
        return result;
    if (identity && zmq_setsockopt((*out)->zmq, ZMQ_ROUTING_ID, identity, strlen(identity)) < 0)
        return -errno;
    if (!bus_is_local(endpoint) && bus->keys.own)
        result = bus_curve_connect((*out)->zmq, bus->keys.own, &bus->keys.server);
    if (result < 0)
        return result;
    if (zmq_connect((*out)->zmq, endpoint) < 0)
        return -errno;
    return bus->loop ? watch_socket(*out) : 0;
}

int bus_reconnect(struct bus_socket *socket, const char *endpoint)
{
    socket->is_due = true;
    if (zmq_disconnect(socket->zmq, endpoint) < 0 && errno != ENOENT)
        return -errno;
    return zmq_connect(socket->zmq, endpoint) < 0 ? -errno : 0;
}

void bus_use_keys(struct bus *bus, const struct bus_keys *keys)
{
    bus->keys = *keys;
}

void bus_let_in(struct bus *bus, uint32_t uid)
{
    bus->gate.guest_uid = uid;
}

uint64_t bus_refused(const struct bus *bus)
{
    return bus->gate.n_refused;
}

int bus_subscribe(struct bus_socket *socket, const char *prefix)
{
    int result = zmq_setsockopt(socket->zmq, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    return result < 0 ? -errno : 0;
}

/* ---- sending ---- */

static int send_frame(struct bus_socket *socket, const void *bytes, size_t size, int flags)
{
    socket->is_due = true; /* sending reads the socket's commands, also where it fails */
    while (zmq_send(socket->zmq, bytes, size, ZMQ_DONTWAIT | flags) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Sending reads the socket's commands, and with them the edge of what has arrived: look again. */
static void look_again(struct bus_socket *socket)
{
    socket->is_due = true;
    if (socket->bus->loop)
        loop_again(socket->bus->loop);
}

static int send_address(struct bus_socket *socket, const struct bus_peer *peer)
{
    int result = peer ? send_frame(socket, peer->id, peer->size, ZMQ_SNDMORE) : 0;
    if (result == 0 && peer && peer->has_delimiter)
        result = send_frame(socket, "", 0, ZMQ_SNDMORE);
    return result;
}

int bus_send_frame(struct bus_socket *socket, const struct bus_peer *peer, struct bus_frame *frame)
{
    int result = send_address(socket, peer);
    socket->is_due = true; /* as in send_frame() */
    if (result == 0)
        result = bus_frame_send(frame, socket->zmq);
    if (result == 0)
        look_again(socket);
    return result;
}

int bus_send(struct bus_socket *socket, const struct bus_peer *peer, const void *bytes, size_t size)
{
    int result = send_address(socket, peer);
    if (result == 0)
        result = send_frame(socket, bytes, size, 0);
    if (result == 0)
        look_again(socket);
    return result;
}

int bus_publish(struct bus_socket *socket, const char *topic, const void *bytes, size_t size)
{
    int result = send_frame(socket, topic, strlen(topic), ZMQ_SNDMORE);
    if (result == 0)
        result = send_frame(socket, bytes, size, 0);
    if (result == 0)
        look_again(socket);
    return result;
}

/* ---- receiving ---- */

enum { FRAMES_MAX = 3 };

/* All frames of one message; more than FRAMES_MAX: the last ones. */
struct frames {
    zmq_msg_t frames[FRAMES_MAX];
    int n;
};

static void frames_release(struct frames *frames)
{
    for (int i = 0; i < frames->n; i++)
        zmq_msg_close(&frames->frames[i]);
    frames->n = 0;
}

static int frames_receive(struct bus_socket *socket, struct frames *frames)
{
    frames->n = 0;
    bool has_more = true;
    while (has_more) {
        if (frames->n == FRAMES_MAX) {
            zmq_msg_close(&frames->frames[FRAMES_MAX - 1]);
            frames->n--;
        }
        zmq_msg_t *frame = &frames->frames[frames->n];
        zmq_msg_init(frame);
        frames->n++;
        if (zmq_msg_recv(frame, socket->zmq, ZMQ_DONTWAIT) < 0) {
            int result = -errno;
            frames_release(frames);
            return result;
        }
        has_more = zmq_msg_more(frame);
    }
    return 0;
}

static void give_message(struct bus_socket *socket, struct frames *frames)
{
    zmq_msg_t *first = &frames->frames[0];
    zmq_msg_t *last = &frames->frames[frames->n - 1];
    struct bus_message message = {
        .bytes = zmq_msg_data(last), .size = zmq_msg_size(last), .frame = last};
    struct bus_peer peer = {0};
    if (is_router(socket)) {
        if (frames->n == 1 || zmq_msg_size(first) > BUS_PEER_MAX)
            return;
        peer.size = (uint8_t)zmq_msg_size(first);
        memcpy(peer.id, zmq_msg_data(first), peer.size);
        peer.has_delimiter = frames->n == 3 && zmq_msg_size(&frames->frames[1]) == 0;
        peer.is_known = bus_gate_peer(last, &peer.uid, &peer.pid);
        message.peer = &peer;
    } else if (frames->n > 1) {
        message.topic = zmq_msg_data(first);
        message.topic_size = zmq_msg_size(first);
    }
    socket->on_message(socket->state, &message);
}

/* Gives up to 'n_max' messages; returns how many. Where nothing is left, receiving has read all of
 * the socket's commands, and what comes from then on makes an edge. */
static int drain(struct bus_socket *socket, int n_max)
{
    int n = 0;
    while (n < n_max && !socket->is_paused) {
        struct frames frames;
        int result = frames_receive(socket, &frames);
        if (result < 0) {
            socket->is_due = result != -EAGAIN;
            break;
        }
        give_message(socket, &frames);
        frames_release(&frames);
        n++;
    }
    return n;
}

static void on_edge(void *state)
{
    struct bus_socket *socket = state;
    socket->is_due = true;
    loop_again(socket->bus->loop); /* the turn before blocking drains */
}

static void on_gate_edge(void *state)
{
    struct bus *bus = state;
    bus->is_gate_due = true;
    loop_again(bus->loop);
}

static void on_monitor_edge(void *state)
{
    struct bus *bus = state;
    loop_again(bus->loop);
}

/* Each question that is asked of a socket in vain is two system calls: only those are asked that
 * may have something. */
static void on_turn(void *state)
{
    struct bus *bus = state;
    if (bus->is_gate_due)
        bus->is_gate_due = bus_gate_serve(&bus->gate);
    if (bus->is_gate_due)
        loop_again(bus->loop);
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        if (socket->monitor)
            for (uint64_t n = bus_curve_count(socket->monitor); n > 0; n--)
                bus_gate_refuse(&bus->gate, "a peer without the keys was refused");
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        if (socket->is_due && drain(socket, MESSAGES_A_TURN) > 0)
            loop_again(bus->loop); /* until a turn finds nothing */
}

void bus_pause(struct bus_socket *socket, bool is_paused)
{
    socket->is_paused = is_paused;
    if (!is_paused)
        look_again(socket);
}

int bus_receive(struct bus_socket *socket, long timeout_ms)
{
    zmq_pollitem_t item = {.socket = socket->zmq, .events = ZMQ_POLLIN};
    int n_ready = zmq_poll(&item, 1, timeout_ms);
    if (n_ready < 0)
        return -errno;
    return n_ready == 0 ? 0 : drain(socket, MESSAGES_A_TURN);
}
