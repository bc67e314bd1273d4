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
#include "common/loop.h"

enum {
    MESSAGES_A_TURN = 64, /* of one socket, before the others and the timers have their turn */
    HIGH_WATER_REPLIES = 1000,
    HIGH_WATER_EVENTS = 100000,
    HEARTBEAT_INTERVAL_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 10000,
    RECONNECT_INTERVAL_MS = 20,
    RECONNECT_INTERVAL_MAX_MS = 1000,
    GOODBYE_LINGER_MS = 500,
};

static const char IPC_SCHEME[] = "ipc://";

struct bus_socket {
    struct bus_socket *next;
    struct bus *bus;
    void *zmq;
    enum bus_kind kind;
    bool is_paused;
    void *monitor;    /* of a tcp endpoint bound here: who fails in the handshake */
    char *bound_path; /* of an ipc endpoint: libzmq leaves the file behind */
    bus_message_fn on_message;
    void *state;
};

struct bus {
    void *context;
    struct loop *loop;
    struct bus_gate gate;           /* of the endpoints bound here */
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

static int set_option(struct bus_socket *socket, int option, int value)
{
    return zmq_setsockopt(socket->zmq, option, &value, sizeof value) < 0 ? -errno : 0;
}

static bool is_router(const struct bus_socket *socket)
{
    return socket->kind == BUS_ROUTER || socket->kind == BUS_CONTROL;
}

static int send_high_water(enum bus_kind kind)
{
    switch (kind) {
    case BUS_DEALER:
        return BUS_HIGH_WATER_BATCHES;
    case BUS_ROUTER:
    case BUS_CONTROL:
        return HIGH_WATER_REPLIES;
    default:
        return HIGH_WATER_EVENTS;
    }
}

static int receive_high_water(enum bus_kind kind)
{
    switch (kind) {
    case BUS_DEALER:
        return HIGH_WATER_REPLIES;
    case BUS_ROUTER:
    case BUS_CONTROL:
        return BUS_HIGH_WATER_BATCHES;
    default:
        return HIGH_WATER_EVENTS;
    }
}

static int set_options(struct bus_socket *socket)
{
    const struct {
        int option, value;
    } common[] = {
        {ZMQ_LINGER, socket->kind == BUS_DEALER ? GOODBYE_LINGER_MS : 0},
        {ZMQ_IMMEDIATE,
         socket->kind != BUS_SUB}, /* it would drop what a SUB has not read when its peer leaves */
        {ZMQ_SNDHWM, send_high_water(socket->kind)},
        {ZMQ_RCVHWM, receive_high_water(socket->kind)},
        {ZMQ_RECONNECT_IVL, RECONNECT_INTERVAL_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_INTERVAL_MAX_MS},
    };
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        int result = set_option(socket, common[i].option, common[i].value);
        if (result < 0)
            return result;
    }
    bool takes_words = socket->kind == BUS_CONTROL || socket->kind == BUS_XPUB;
    int64_t message_max = takes_words ? BUS_REQUEST_MAX : BUS_MESSAGE_MAX;
    if (zmq_setsockopt(socket->zmq, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) < 0)
        return -errno;
    if (socket->kind == BUS_XPUB) /* tell of every subscriber, not only of every new topic */
        return set_option(socket, ZMQ_XPUB_VERBOSER, 1);
    if (!is_router(socket))
        return 0;
    int result = set_option(socket, ZMQ_ROUTER_MANDATORY, 1);
    return result < 0 ? result : set_option(socket, ZMQ_ROUTER_HANDOVER, 1);
}

bool bus_is_local(const char *endpoint)
{
    return strncmp(endpoint, IPC_SCHEME, strlen(IPC_SCHEME)) == 0;
}

/* Between hosts only. On one host the kernel tells of a peer that is gone; a heartbeat would break
 * the connection of one that was merely stopped or busy, and libzmq 4.3.4 aborts when that finds
 * its input at the high-water mark (assertion in stream_engine_base.cpp). */
static int set_heartbeat(struct bus_socket *socket, const char *endpoint)
{
    if (bus_is_local(endpoint))
        return 0;
    int result = set_option(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS);
    return result < 0 ? result : set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
}

static int watch(struct bus *bus, void *zmq)
{
    int descriptor;
    size_t size = sizeof descriptor;
    if (zmq_getsockopt(zmq, ZMQ_FD, &descriptor, &size) < 0)
        return -errno;
    int result = loop_add_reader(bus->loop, descriptor, on_edge, bus);
    loop_again(bus->loop); /* what is there already makes no edge */
    return result;
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
    int result = socket->zmq ? set_options(socket) : -errno;
    if (result == 0)
        result = set_heartbeat(socket, endpoint);
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
    return result < 0 ? result : watch(bus, bus->gate.zmq);
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
    return result < 0 ? result : watch(bus, socket->monitor);
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
    return descriptor < 0 ? 0 : set_option(socket, ZMQ_USE_FD, descriptor);
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
    return bus->loop ? watch(bus, (*out)->zmq) : 0;
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
    return bus->loop ? watch(bus, (*out)->zmq) : 0;
}

int bus_reconnect(struct bus_socket *socket, const char *endpoint)
{
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
    while (zmq_send(socket->zmq, bytes, size, ZMQ_DONTWAIT | flags) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Sending reads the socket's commands, and with them the edge of what has arrived: look again. */
static void look_again(struct bus_socket *socket)
{
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

static bool is_readable(struct bus_socket *socket)
{
    int events;
    size_t size = sizeof events;
    return zmq_getsockopt(socket->zmq, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* Gives up to 'n_max' messages; returns how many. */
static int drain(struct bus_socket *socket, int n_max)
{
    int n = 0;
    while (n < n_max && !socket->is_paused && is_readable(socket)) {
        struct frames frames;
        if (frames_receive(socket, &frames) < 0)
            break;
        give_message(socket, &frames);
        frames_release(&frames);
        n++;
    }
    return n;
}

static void on_edge(void *state)
{
    struct bus *bus = state;
    loop_again(bus->loop); /* the turn before blocking drains */
}

static void on_turn(void *state)
{
    struct bus *bus = state;
    bus_gate_serve(&bus->gate);
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        if (socket->monitor)
            for (uint64_t n = bus_curve_count(socket->monitor); n > 0; n--)
                bus_gate_refuse(&bus->gate, "a peer without the keys was refused");
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        if (drain(socket, MESSAGES_A_TURN) > 0)
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
