#include "common/bus/bus_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

enum {
    HIGH_WATER_REPLIES = 1000,
    HIGH_WATER_EVENTS = 100000,
    HEARTBEAT_INTERVAL_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 10000,
    RECONNECT_INTERVAL_MS = 2, /* and twice as long each time: processes start side by side */
    RECONNECT_INTERVAL_MAX_MS = 1000,
    GOODBYE_LINGER_MS = 500,
};

int bus_options_set_one(void *zmq, int option, int value)
{
    return zmq_setsockopt(zmq, option, &value, sizeof value) < 0 ? -errno : 0;
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

static int set_common(void *zmq, enum bus_kind kind)
{
    const struct {
        int option, value;
    } common[] = {
        {ZMQ_LINGER, kind == BUS_DEALER ? GOODBYE_LINGER_MS : 0},
        {ZMQ_IMMEDIATE,
         kind != BUS_SUB}, /* it would drop what a SUB has not read when its peer leaves */
        {ZMQ_SNDHWM, send_high_water(kind)},
        {ZMQ_RCVHWM, receive_high_water(kind)},
        {ZMQ_RECONNECT_IVL, RECONNECT_INTERVAL_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_INTERVAL_MAX_MS},
    };
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        int result = bus_options_set_one(zmq, common[i].option, common[i].value);
        if (result < 0)
            return result;
    }
    return 0;
}

static int set_message_max(void *zmq, enum bus_kind kind)
{
    bool takes_words = kind == BUS_CONTROL || kind == BUS_XPUB;
    int64_t message_max = takes_words ? BUS_REQUEST_MAX : BUS_MESSAGE_MAX;
    return zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) < 0 ? -errno : 0;
}

/* What only sockets of that kind have. */
static int set_own(void *zmq, enum bus_kind kind)
{
    if (kind == BUS_XPUB) /* tell of every subscriber, not only of every new topic */
        return bus_options_set_one(zmq, ZMQ_XPUB_VERBOSER, 1);
    if (kind != BUS_ROUTER && kind != BUS_CONTROL)
        return 0;
    int result = bus_options_set_one(zmq, ZMQ_ROUTER_MANDATORY, 1);
    return result < 0 ? result : bus_options_set_one(zmq, ZMQ_ROUTER_HANDOVER, 1);
}

/* Between hosts only. On one host the kernel tells of a peer that is gone; a heartbeat would break
 * the connection of one that was merely stopped or busy, and libzmq 4.3.4 aborts when that finds
 * its input at the high-water mark (assertion in stream_engine_base.cpp). */
static int set_heartbeat(void *zmq)
{
    int result = bus_options_set_one(zmq, ZMQ_HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS);
    return result < 0 ? result
                      : bus_options_set_one(zmq, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
}

int bus_options_set(void *zmq, enum bus_kind kind, bool is_local)
{
    int result = set_common(zmq, kind);
    if (result == 0)
        result = set_message_max(zmq, kind);
    if (result == 0)
        result = set_own(zmq, kind);
    return result == 0 && !is_local ? set_heartbeat(zmq) : result;
}
