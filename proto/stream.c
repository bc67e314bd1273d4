#include "proto/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_AT_START = 64 };

static struct sender_slot *slot_of(const struct sender *sender, int64_t seq)
{
    return &sender->slots[(size_t)seq % sender->n_slots];
}

static size_t n_held(const struct sender *sender)
{
    return (size_t)(sender->next_seq - sender->oldest_seq);
}

int sender_init(struct sender *sender, size_t held_bytes_max)
{
    *sender = (struct sender){.n_slots = SLOTS_AT_START, .held_bytes_max = held_bytes_max};
    sender->slots = calloc(sender->n_slots, sizeof *sender->slots);
    return sender->slots ? 0 : -ENOMEM;
}

void sender_deinit(struct sender *sender)
{
    if (sender->slots)
        sender_commit(sender, sender->next_seq - 1);
    free(sender->slots);
    *sender = (struct sender){0};
}

bool sender_has_room(const struct sender *sender)
{
    return sender->held_bytes < sender->held_bytes_max;
}

static int grow(struct sender *sender)
{
    size_t n_slots = sender->n_slots * 2;
    struct sender_slot *slots = calloc(n_slots, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (int64_t seq = sender->oldest_seq; seq < sender->next_seq; seq++)
        slots[(size_t)seq % n_slots] = *slot_of(sender, seq);
    free(sender->slots);
    sender->slots = slots;
    sender->n_slots = n_slots;
    return 0;
}

void sender_resume(struct sender *sender, int64_t seq)
{
    assert(sender_is_empty(sender));
    sender->oldest_seq = sender->next_seq = sender->send_seq = seq + 1;
}

int sender_push(struct sender *sender, const uint8_t *bytes, size_t size, bool is_owned)
{
    return sender_push_owned(sender, bytes, size, is_owned ? (void *)bytes : NULL, free);
}

int sender_push_owned(struct sender *sender, const uint8_t *bytes, size_t size, void *owner,
                      void (*release)(void *owner))
{
    if (n_held(sender) == sender->n_slots && grow(sender) < 0)
        return -ENOMEM;
    *slot_of(sender, sender->next_seq) =
        (struct sender_slot){.bytes = bytes, .size = size, .owner = owner, .release = release};
    sender->next_seq++;
    sender->held_bytes += size;
    return 0;
}

const struct sender_slot *sender_next(const struct sender *sender)
{
    if (!sender->is_welcome || sender->send_seq == sender->next_seq)
        return NULL;
    return slot_of(sender, sender->send_seq);
}

void sender_sent(struct sender *sender)
{
    assert(sender->send_seq < sender->next_seq);
    sender->send_seq++;
}

void sender_rewind(struct sender *sender, int64_t next_seq)
{
    sender->is_welcome = true;
    if (next_seq < sender->oldest_seq)
        next_seq =
            sender->oldest_seq; /* committed: the receiver will see it is older than it wants */
    if (next_seq > sender->next_seq)
        next_seq = sender->next_seq;
    sender->send_seq = next_seq;
}

void sender_commit(struct sender *sender, int64_t seq)
{
    if (seq >= sender->next_seq)
        seq = sender->next_seq - 1;
    for (; sender->oldest_seq <= seq; sender->oldest_seq++) {
        struct sender_slot *slot = slot_of(sender, sender->oldest_seq);
        sender->held_bytes -= slot->size;
        if (slot->owner)
            slot->release(slot->owner);
        *slot = (struct sender_slot){0};
    }
    if (sender->send_seq < sender->oldest_seq)
        sender->send_seq = sender->oldest_seq;
}

void sender_disconnect(struct sender *sender)
{
    sender->is_welcome = false;
}

void receiver_hello(struct receiver *receiver, uint64_t epoch, int64_t resume_seq)
{
    if (receiver->is_known && receiver->epoch == epoch) {
        receiver->gap_asked = false;
        return;
    }
    *receiver = (struct receiver){
        .epoch = epoch,
        .next_seq = resume_seq + 1,
        .committed_seq = resume_seq,
        .is_known = true,
    };
}

void receiver_rewind(struct receiver *receiver)
{
    receiver->next_seq = receiver->committed_seq + 1;
    receiver->gap_asked = true;
}

void receiver_return(struct receiver *receiver, int64_t seq)
{
    receiver->next_seq = seq;
    receiver->gap_asked = true;
}

enum receiver_verdict receiver_accept(struct receiver *receiver, uint64_t epoch, int64_t seq)
{
    if (!receiver->is_known || receiver->epoch != epoch)
        return RECEIVER_FOREIGN;
    if (seq < receiver->next_seq)
        return RECEIVER_DUPLICATE;
    if (seq > receiver->next_seq)
        return RECEIVER_GAP;
    receiver->next_seq++;
    receiver->gap_asked = false;
    return RECEIVER_APPLY;
}
