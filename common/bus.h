/* bus: ZeroMQ sockets on the loop, with the settings that lose nothing silently.
 *
 *     bus_create(loop, &bus);
 *     bus_bind(bus, BUS_ROUTER, "ipc:///run/wanmeter/tracker-0.sock", on_message, state, &socket);
 *     bus_send(socket, peer, bytes, size);        0; -EAGAIN: full, try on the next turn
 *     bus_destroy(bus);
 *
 * ZMQ_FD is edge-triggered: it becomes readable once for many messages, and sending can consume the
 * edge. The bus therefore drains a socket whose edge was seen, or that has sent, before the loop
 * blocks: up to a bounded number a turn, until there is nothing. All sockets: IMMEDIATE (but SUB),
 * ROUTER_MANDATORY, ROUTER_HANDOVER, MAXMSGSIZE, heartbeats (but ipc), explicit high-water marks.
 * To an ipc endpoint bound here only processes of our own user and of root can connect, to a tcp
 * endpoint only those with a key on our list (bus/bus_gate.h, bus/bus_key.h). Not thread-safe. */
#ifndef WANMETER_COMMON_BUS_H
#define WANMETER_COMMON_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus/bus_key.h"

struct bus;
struct bus_frame;
struct bus_socket;
struct loop;

enum bus_kind {
    BUS_DEALER,
    BUS_ROUTER,
    BUS_CONTROL, /* a ROUTER for what people ask: requests of at most BUS_REQUEST_MAX bytes */
    BUS_XPUB,
    BUS_SUB,
};

enum {
    BUS_PEER_MAX = 64,
    BUS_MESSAGE_MAX = 16 * 1024 * 1024,
    BUS_REQUEST_MAX = 64 * 1024,
    BUS_HIGH_WATER_BATCHES = 16,
};

/* Who a ROUTER heard from, and whom it answers. Others: NULL. */
struct bus_peer {
    bool has_delimiter; /* a REQ: an empty frame goes before the message */
    bool is_known;      /* of an ipc endpoint: the kernel says who it is */
    uint8_t size;
    uint32_t uid, pid;
    uint8_t id[BUS_PEER_MAX];
};

/* One message: the last frame's bytes, borrowed for the call; 'topic' is the frame before it (SUB),
 * or empty. An XPUB's message is a subscription: byte 1 (on) or 0 (off), then the topic's prefix.
 */
struct bus_message {
    const struct bus_peer *peer;
    const uint8_t *topic;
    size_t topic_size;
    const uint8_t *bytes;
    size_t size;
    void *frame; /* bus_frame_take() moves it */
};

/* Of tcp endpoints (bus/bus_key.h): who we are, whom we let in (who listens), and whom we expect
 * (who connects). */
struct bus_keys {
    const struct bus_key *own; /* NULL: none; then nothing is bound to tcp */
    const struct bus_key *clients;
    size_t n_clients;
    struct bus_key server;
};

typedef void (*bus_message_fn)(void *state, const struct bus_message *message);

/* 0 or -errno. 'loop' is kept, not copied, and outlives the bus. NULL: without a loop, for
 * bus_receive(). */
int bus_create(struct loop *loop, struct bus **bus);

/* Closes every socket and removes the socket files of endpoints bound here; what is queued to peers
 * is dropped, but for a DEALER's goodbye. Accepts NULL. */
void bus_destroy(struct bus *bus);

/* Makes a socket; 'identity' is a DEALER's routing id (NULL: chosen by ZeroMQ). 0 or -errno. */
int bus_bind(struct bus *bus, enum bus_kind kind, const char *endpoint, bus_message_fn on_message,
             void *state, struct bus_socket **out);
int bus_connect(struct bus *bus, enum bus_kind kind, const char *endpoint, const char *identity,
                bus_message_fn on_message, void *state, struct bus_socket **out);

/* Connects again from the beginning: what is queued is dropped. Where a call of libzmq's own has
 * failed it may have given up without a word. 0 or -errno. */
int bus_reconnect(struct bus_socket *socket, const char *endpoint);

/* Makes the socket file of an ipc endpoint ahead of its bus_bind(): for a process that will become
 * somebody who may not. Any other endpoint: nothing is done. 0 or -errno. */
int bus_listen(struct bus *bus, const char *endpoint);

/* Is who is at the other end of an endpoint on this machine? */
bool bus_is_local(const char *endpoint);

/* For tcp endpoints from now on; what it points to is kept, not copied. */
void bus_use_keys(struct bus *bus, const struct bus_keys *keys);

/* Lets processes of this user connect too. */
void bus_let_in(struct bus *bus, uint32_t uid);

/* SUB: subscribes to a prefix. 0 or -errno. */
int bus_subscribe(struct bus_socket *socket, const char *prefix);

/* Sends one message without blocking. The bytes are copied. 0; -EAGAIN: the high-water mark is
 * reached, or there is no peer yet; -EHOSTUNREACH: this ROUTER has no such peer; or another -errno.
 */
int bus_send(struct bus_socket *socket, const struct bus_peer *peer, const void *bytes,
             size_t size);

/* Memory that is not copied on its way: who made or took it has it, and ZeroMQ has it too until it
 * is sent. It is not written to once it was sent. NULL: no memory. */
struct bus_frame *bus_frame_create(size_t size);
uint8_t *bus_frame_bytes(struct bus_frame *frame);
size_t bus_frame_size(const struct bus_frame *frame);
void bus_frame_destroy(void *frame); /* a struct bus_frame; accepts NULL */

/* As bus_send(), without a copy; the frame may be sent again. */
int bus_send_frame(struct bus_socket *socket, const struct bus_peer *peer, struct bus_frame *frame);

/* What on_message was given outlives the call: its bytes are now in the frame, and only there.
 * NULL: no memory, and the message is as it was. */
struct bus_frame *bus_frame_take(const struct bus_message *message);

/* As bus_send(), with a topic frame before (XPUB). */
int bus_publish(struct bus_socket *socket, const char *topic, const void *bytes, size_t size);

/* Stops (or goes on with) calling on_message: what is not taken fills ZeroMQ's queue and then the
 * sender's. */
void bus_pause(struct bus_socket *socket, bool is_paused);

/* How many connections were refused. */
uint64_t bus_refused(const struct bus *bus);

/* Without a loop: waits up to 'timeout_ms' (-1: for ever) and gives on_message what has come.
 * Returns messages given, 0 at the timeout, or -errno (-EINTR: a signal). */
int bus_receive(struct bus_socket *socket, long timeout_ms);

#endif
