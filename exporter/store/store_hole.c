/* Whose turn is it? Each stream's batches are applied once, in their order; where some were lost
 * after they had been acknowledged, what is missing is declared. */
#include "exporter/store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct store_hole *hole_of(struct store *store, const struct message *message)
{
    return &store->holes[message->stream.shard];
}

int store_check_turn(struct store *store, const struct message *message)
{
    if (message->stream.shard >= SHARDS_MAX)
        return store_fail(store, -EBADMSG, "shard %u is not one of ours", message->stream.shard);
    struct store_stream *stream;
    int result = store_stream_get(store, &message->stream, "tracker", &stream);
    if (result < 0)
        return result;
    struct store_hole *hole = hole_of(store, message);
    hole->lost = (struct totals){0};
    int64_t next = stream->mark.seq + 1;
    if (message->seq < next)
        return store_fail(store, -EALREADY, "batch %lld of %s was applied before",
                          (long long)message->seq, message->stream.producer);
    if (message->seq > next && !hole->is_allowed)
        return store_fail(store, -EBADMSG, "batch %lld of %s came in place of %lld",
                          (long long)message->seq, message->stream.producer, (long long)next);
    hole->is_here = message->seq > next;
    hole->is_pending |= hole->is_here;
    return 0;
}

/* In the batch itself; or later: a capture stream that the database does not know yet is behind the
 * hole with all that it had before. */
bool store_is_hole(struct store *store, const struct message *message)
{
    const struct store_hole *hole = hole_of(store, message);
    bool is_new = false;
    for (size_t i = 0; i < message->n_applied; i++) {
        struct store_stream *stream;
        if (store_stream_get(store, &message->applied[i].stream, "capture", &stream) == 0)
            is_new |= stream->mark.seq < 0;
    }
    return hole->is_here || (is_new && (hole->is_pending || hole->is_before));
}

int store_add_hole(struct store *store, const struct message *message)
{
    const struct store_hole *hole = hole_of(store, message);
    struct store_stream *stream;
    bool has_lost = hole->lost.packets || hole->lost.l2_bytes || hole->lost.l3_bytes;
    if (!hole->is_here && !has_lost)
        return 0;
    if (!store_fits(hole->lost.packets | hole->lost.l2_bytes | hole->lost.l3_bytes))
        return store_fail(store, -ERANGE, "%s: a loss beyond 64-bit integers", store->path);
    struct loss loss = {
        .first_ns = hole->first_ns < message->watermark_ns ? hole->first_ns : message->watermark_ns,
        .last_ns = message->watermark_ns,
        .packets = (int64_t)hole->lost.packets,
        .l2_bytes = (int64_t)hole->lost.l2_bytes,
        .l3_bytes = (int64_t)hole->lost.l3_bytes,
        .stage = LOSS_EXPORTER,
        .certainty = LOSS_EXACT,
        .reason = "records_lost",
    };
    snprintf(loss.evidence, sizeof loss.evidence,
             "batches before %lld of %s were acknowledged and are not in this database",
             (long long)message->seq, message->stream.producer);
    int result = store_stream_get(store, &message->stream, "tracker", &stream);
    return result == 0 ? store_add_loss(store, stream->row_id, &loss) : result;
}

void store_allow_hole(struct store *store, uint32_t shard, int64_t first_ns)
{
    store->holes[shard] = (struct store_hole){.is_allowed = true, .first_ns = first_ns};
}

void store_holes_settle(struct store *store, bool is_committed)
{
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        struct store_hole *hole = &store->holes[i];
        if (hole->is_pending && is_committed) {
            hole->is_before = true;
            hole->is_allowed = false;
        }
        hole->is_pending = false;
    }
}

int store_declare_unknown(struct store *store, const char *reason, const char *evidence,
                          int64_t time_ns)
{
    int64_t stream_id = 0;
    struct loss loss = {
        .first_ns = time_ns,
        .last_ns = time_ns,
        .packets = LOSS_AMOUNT_UNKNOWN,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = LOSS_EXPORTER,
        .certainty = LOSS_UNKNOWN,
    };
    snprintf(loss.reason, sizeof loss.reason, "%s", reason);
    snprintf(loss.evidence, sizeof loss.evidence, "%s", evidence);
    int result = store_seals_know(store);
    if (result == 0)
        result = store_stream_own(store, store->run_id, &stream_id);
    return result == 0 ? store_add_loss(store, stream_id, &loss) : result;
}

bool store_has_loss(struct store *store, const char *reason, const char *text)
{
    sqlite3_stmt *find = store->statements[STATEMENT_LOSS_FIND];
    store_bind_text(find, 1, reason, strlen(reason));
    store_bind_text(find, 2, text, strlen(text));
    bool is_there = sqlite3_step(find) == SQLITE_ROW;
    sqlite3_reset(find);
    return is_there;
}

bool store_is_trouble(int result)
{
    switch (result) {
    case -EBUSY:
    case -ENOSPC:
    case -EROFS:
    case -EACCES:
    case -EIO:
    case -ENOMEM:
        return true;
    default:
        return false;
    }
}
