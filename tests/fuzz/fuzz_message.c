/* The envelopes between processes, from hostile bytes: a Batch, and a Reply. */
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Walks the packets of a batch as a tracker would. */
static void walk(const struct message *message)
{
    size_t offset = 0;
    while (offset < message->packets_size) {
        struct packet packet;
        size_t used;
        if (packet_decode(message->packets + offset, message->packets_size - offset, &packet,
                          &used) != PACKET_DECODED)
            return;
        offset += used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct message message;
    if (message_decode(bytes, size, &message) == MESSAGE_OK && message.kind == MESSAGE_PACKETS)
        walk(&message);
    message_release(&message);

    struct reply reply;
    reply_decode(bytes, size, &reply);
    reply_release(&reply);
    return 0;
}
