/* Memory that goes by the bus without being copied. */
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "common/bus/bus_frame.h"

struct bus_frame {
    zmq_msg_t message; /* ZeroMQ counts who has its memory */
};

struct bus_frame *bus_frame_create(size_t size)
{
    struct bus_frame *frame = malloc(sizeof *frame);
    if (frame && zmq_msg_init_size(&frame->message, size) == 0)
        return frame;
    free(frame);
    return NULL;
}

struct bus_frame *bus_frame_take(const struct bus_message *message)
{
    struct bus_frame *frame = malloc(sizeof *frame);
    if (!frame)
        return NULL;
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, message->frame);
    return frame;
}

uint8_t *bus_frame_bytes(struct bus_frame *frame)
{
    return zmq_msg_data(&frame->message);
}

size_t bus_frame_size(const struct bus_frame *frame)
{
    return zmq_msg_size(&frame->message);
}

void bus_frame_destroy(void *frame)
{
    struct bus_frame *ours = frame;
    if (!ours)
        return;
    zmq_msg_close(&ours->message);
    free(ours);
}

int bus_frame_send(struct bus_frame *frame, void *zmq)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    int result = zmq_msg_copy(&message, &frame->message) < 0 ? -errno : 0;
    while (result == 0 && zmq_msg_send(&message, zmq, ZMQ_DONTWAIT) < 0)
        if (errno != EINTR)
            result = -errno;
    if (result < 0)
        zmq_msg_close(&message);
    return result;
}
