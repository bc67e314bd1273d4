/* bus_curve: keys on ZeroMQ's sockets. The bus's own.
 *
 *     bus_curve_listen(zmq_socket, &secret);                 before it is bound; the gate decides
 *     bus_curve_watch(context, zmq_socket, name, &monitor);  who comes without a key
 *     bus_curve_count(monitor)                               how many since it was asked last
 *     bus_curve_connect(zmq_socket, &secret, &server);       before it is connected
 */
#ifndef WANMETER_COMMON_BUS_CURVE_H
#define WANMETER_COMMON_BUS_CURVE_H

#include <stdint.h>

#include "common/bus/bus_key.h"

/* 0 or -errno. */
int bus_curve_listen(void *zmq_socket, const struct bus_key *secret);
int bus_curve_connect(void *zmq_socket, const struct bus_key *secret, const struct bus_key *server);

/* A peer without a key, or who takes us for somebody else, ends in the handshake: the gate is not
 * asked. 'monitor' is a socket, to be closed with its context. 0 or -errno. */
int bus_curve_watch(void *context, void *zmq_socket, void **monitor);
uint64_t bus_curve_count(void *monitor);

#endif
