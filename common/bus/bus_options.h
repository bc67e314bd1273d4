/* bus_options: how a ZeroMQ socket is set before it is bound or connected. The bus's own.
 *
 *     bus_options_set(zmq_socket, kind, is_local);        limits, routing, reconnecting
 *     bus_options_set_one(zmq_socket, option, value);     an option that is an int */
#ifndef WANMETER_COMMON_BUS_OPTIONS_H
#define WANMETER_COMMON_BUS_OPTIONS_H

#include <stdbool.h>

#include "common/bus.h"

/* 0 or -errno. */
int bus_options_set(void *zmq_socket, enum bus_kind kind, bool is_local);
int bus_options_set_one(void *zmq_socket, int option, int value);

#endif
