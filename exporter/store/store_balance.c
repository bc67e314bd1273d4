/* Does a batch add up? What it counts, plus what it declares lost after the capture, must be what
 * its capture streams' totals have grown by, in packets, L2 bytes and L3 bytes. The same rule, over
 * the whole database, is the view 'audit' (schema/0004_audit.sql): the two say "is in totals" of
 * the same loss lines. */
#include "exporter/store/store_internal.h"

#include <errno.h>

static bool add_totals(struct totals *sum, const struct totals *more)
{
    return !__builtin_add_overflow(sum->packets, more->packets, &sum->packets) &&
           !__builtin_add_overflow(sum->l2_bytes, more->l2_bytes, &sum->l2_bytes) &&
           !__builtin_add_overflow(sum->l3_bytes, more->l3_bytes, &sum->l3_bytes);
}

static bool add_usage(const struct message *message, struct totals *sum)
{
    for (size_t i = 0; i < message->n_usage; i++) {
        struct usage_delta delta;
        if (!usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta))
            return false;
        struct totals counted = {delta.packets, delta.l2_bytes, delta.l3_bytes};
        if (!add_totals(sum, &counted))
            return false;
    }
    return true;
}

static bool is_in_totals(const struct loss *loss)
{
    bool is_after_capture =
        loss->stage == LOSS_CAPTURE || loss->stage == LOSS_TRACKER || loss->stage == LOSS_EXPORTER;
    return is_after_capture && loss->certainty == LOSS_EXACT && loss->packets >= 0 &&
           loss->l2_bytes >= 0 && loss->l3_bytes >= 0;
}

static bool add_losses(const struct message *message, struct totals *sum)
{
    for (size_t i = 0; i < message->n_losses; i++) {
        const struct loss *loss = &message->losses[i].loss;
        if (!is_in_totals(loss))
            continue;
        struct totals lost = {(uint64_t)loss->packets, (uint64_t)loss->l2_bytes,
                              (uint64_t)loss->l3_bytes};
        if (!add_totals(sum, &lost))
            return false;
    }
    return true;
}

static bool is_back(const struct high_water *before, const struct high_water *now)
{
    return now->seq < before->seq || now->totals.packets < before->totals.packets ||
           now->totals.l2_bytes < before->totals.l2_bytes ||
           now->totals.l3_bytes < before->totals.l3_bytes;
}

static int add_growth(struct store *store, const struct high_water *now, struct totals *sum)
{
    struct high_water before = {.seq = -1};
    struct store_stream *stream;
    int result = store_stream_get(store, &now->stream, "capture", &stream);
    if (result < 0)
        return result;
    before = stream->mark;
    if (is_back(&before, now))
        return store_fail(store, -EBADMSG,
                          "stream %s/%u goes back: from seq %lld, %llu packets to seq %lld, %llu "
                          "packets",
                          now->stream.producer, now->stream.shard, (long long)before.seq,
                          (unsigned long long)before.totals.packets, (long long)now->seq,
                          (unsigned long long)now->totals.packets);
    struct totals growth = {
        now->totals.packets - before.totals.packets,
        now->totals.l2_bytes - before.totals.l2_bytes,
        now->totals.l3_bytes - before.totals.l3_bytes,
    };
    return add_totals(sum, &growth)
               ? 0
               : store_fail(store, -EBADMSG, "stream %s/%u: totals beyond 64 bits",
                            now->stream.producer, now->stream.shard);
}

/* One mark a stream: two of the same would count its growth twice. */
static int check_marks(struct store *store, const struct message *message)
{
    for (size_t i = 0; i < message->n_applied; i++)
        for (size_t j = 0; j < i; j++)
            if (stream_id_equal(&message->applied[i].stream, &message->applied[j].stream))
                return store_fail(store, -EBADMSG, "stream %s/%u is in one batch twice",
                                  message->applied[i].stream.producer,
                                  message->applied[i].stream.shard);
    return 0;
}

static int refuse(struct store *store, const struct message *message, const struct totals *counted,
                  const struct totals *growth)
{
    return store_fail(store, -EBADMSG,
                      "batch %lld of %s does not add up: counted and lost %llu packets, %llu L2 "
                      "bytes, %llu L3 bytes; its capture streams grew by %llu, %llu, %llu",
                      (long long)message->seq, message->stream.producer,
                      (unsigned long long)counted->packets, (unsigned long long)counted->l2_bytes,
                      (unsigned long long)counted->l3_bytes, (unsigned long long)growth->packets,
                      (unsigned long long)growth->l2_bytes, (unsigned long long)growth->l3_bytes);
}

int store_check_balance(struct store *store, const struct message *message)
{
    struct totals counted = {0};
    if (!add_usage(message, &counted) || !add_losses(message, &counted))
        return store_fail(store, -EBADMSG, "batch %lld of %s: a value or a sum is out of range",
                          (long long)message->seq, message->stream.producer);
    int result = check_marks(store, message);
    struct totals growth = {0};
    for (size_t i = 0; result == 0 && i < message->n_applied; i++)
        result = add_growth(store, &message->applied[i], &growth);
    if (result < 0)
        return result;
    bool is_equal = counted.packets == growth.packets && counted.l2_bytes == growth.l2_bytes &&
                    counted.l3_bytes == growth.l3_bytes;
    if (is_equal)
        return 0;
    bool is_less = counted.packets <= growth.packets && counted.l2_bytes <= growth.l2_bytes &&
                   counted.l3_bytes <= growth.l3_bytes;
    if (!is_less || !store_is_hole(store, message))
        return refuse(store, message, &counted, &growth);
    store->holes[message->stream.shard].lost =
        (struct totals){growth.packets - counted.packets, growth.l2_bytes - counted.l2_bytes,
                        growth.l3_bytes - counted.l3_bytes};
    return 0;
}
