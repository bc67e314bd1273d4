/* The envelopes between processes, from hostile bytes: a Batch, and a Reply. What is taken is the
 * same when it is encoded and decoded again, and whoever's memory it is decoded from. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* What was decoded and is encoded decodes again, and comes to the same bytes. */
static void encode_twice(const struct message *message)
{
    struct message again;
    size_t size, size_again;
    uint8_t *bytes = message_encode(message, &size);
    enum message_result result = bytes ? message_decode(bytes, size, &again) : MESSAGE_NO_MEMORY;
    assert(result == MESSAGE_OK && again.kind == message->kind);
    uint8_t *bytes_again = message_encode(&again, &size_again);
    assert(bytes_again && size == size_again && memcmp(bytes, bytes_again, size) == 0);
    (void)result;
    message_release(&again);
    free(bytes_again);
    free(bytes);
}

static void encode_reply_twice(const struct reply *reply)
{
    struct reply again;
    size_t size, size_again;
    uint8_t *bytes = reply_encode(reply, &size);
    enum message_result result = bytes ? reply_decode(bytes, size, &again) : MESSAGE_NO_MEMORY;
    assert(result == MESSAGE_OK && again.kind == reply->kind);
    uint8_t *bytes_again = reply_encode(&again, &size_again);
    assert(bytes_again && size == size_again && memcmp(bytes, bytes_again, size) == 0);
    (void)result;
    reply_release(&again);
    free(bytes_again);
    free(bytes);
}

/* As a ring's inbox does: the bytes are in a block that becomes the message's. */
static enum message_result decode_block(const uint8_t *bytes, size_t size)
{
    struct message message;
    uint8_t *block = malloc(size + 8);
    if (!block)
        abort();
    memcpy(block + 8, bytes, size);
    enum message_result result = message_decode_block(block, free, block + 8, size, &message);
    message_release(&message);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct message message;
    enum message_result result = message_decode(bytes, size, &message);
    if (result == MESSAGE_OK && message.kind == MESSAGE_PACKETS)
        walk(&message);
    if (result == MESSAGE_OK)
        encode_twice(&message);
    message_release(&message);
    enum message_result result_of_block = decode_block(bytes, size);
    assert(result_of_block == result);
    (void)result_of_block;

    struct reply reply;
    if (reply_decode(bytes, size, &reply) == MESSAGE_OK)
        encode_reply_twice(&reply);
    reply_release(&reply);
    return 0;
}
