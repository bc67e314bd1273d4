/* bus_frame: what the bus itself needs of a frame (bus.h). */
#ifndef WANMETER_COMMON_BUS_BUS_FRAME_H
#define WANMETER_COMMON_BUS_BUS_FRAME_H

#include "common/bus.h"

/* Sends it by a socket of ZeroMQ, without waiting; it stays the caller's. 0 or -errno. */
int bus_frame_send(struct bus_frame *frame, void *zmq);

#endif
