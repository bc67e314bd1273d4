#include "common/bus/bus_curve.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

int bus_curve_listen(void *socket, const struct bus_key *secret)
{
    int is_server = 1;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &is_server, sizeof is_server) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret->bytes, BUS_KEY_SIZE) < 0)
        return -errno;
    return 0;
}

int bus_curve_connect(void *socket, const struct bus_key *secret, const struct bus_key *server)
{
    char public_text[BUS_KEY_TEXT_SIZE];
    bus_key_public(secret, public_text);
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server->bytes, BUS_KEY_SIZE) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_text, BUS_KEY_TEXT_SIZE) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret->bytes, BUS_KEY_SIZE) < 0)
        return -errno;
    return 0;
}

int bus_curve_watch(void *context, void *socket, void **monitor)
{
    char endpoint[48];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%p", socket);
    int none = 0;
    if (zmq_socket_monitor(socket, endpoint,
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) < 0)
        return -errno;
    *monitor = zmq_socket(context, ZMQ_PAIR);
    if (!*monitor || zmq_setsockopt(*monitor, ZMQ_LINGER, &none, sizeof none) < 0 ||
        zmq_connect(*monitor, endpoint) < 0)
        return -errno;
    return 0;
}

/* An event is two frames: what happened, and where. */
uint64_t bus_curve_count(void *monitor)
{
    char frame[256];
    uint64_t n = 0;
    while (zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT) >= 0) {
        int has_more = 0;
        size_t size = sizeof has_more;
        zmq_getsockopt(monitor, ZMQ_RCVMORE, &has_more, &size);
        n += has_more ? 0 : 1;
    }
    return n;
}
