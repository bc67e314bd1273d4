#include "tracker/merge.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_MAX = 256 };

struct queued {
    struct queued *next;
    struct message message;
    bool is_set_aside;
    struct stream_loss gap; /* what 'message' then says is lost */
};

struct input {
    struct queued *first; /* being given */
    struct queued *last;
    size_t offset;      /* within the first batch, of what is not decoded yet */
    uint64_t n_skipped; /* packets of the first batch that were applied before a restart */
    struct merge_packet ahead[MERGE_AHEAD_MAX];
    size_t next; /* in 'ahead' */
    size_t n_ahead;
    struct high_water applied;
    int64_t watermark_ns; /* no packet with an earlier clock can come any more */
    bool has_begun;
    bool has_ended;
    size_t taken_bytes;
};

struct merge {
    struct merge_handlers handlers;
    size_t n_inputs;
    struct input *inputs;
    size_t taken_bytes_most; /* of an input */
    char error[ERROR_MAX];
};

int merge_create(size_t n_streams, const struct merge_handlers *handlers, struct merge **out)
{
    struct merge *merge = calloc(1, sizeof *merge);
    if (!merge)
        return -ENOMEM;
    merge->handlers = *handlers;
    merge->n_inputs = n_streams;
    merge->inputs = calloc(n_streams, sizeof *merge->inputs);
    if (!merge->inputs) {
        free(merge);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_streams; i++)
        merge->inputs[i].watermark_ns = INT64_MIN;
    *out = merge;
    return 0;
}

static void drop_first(struct input *input)
{
    struct queued *queued = input->first;
    input->first = queued->next;
    if (!input->first)
        input->last = NULL;
    message_release(&queued->message);
    free(queued);
}

void merge_destroy(struct merge *merge)
{
    if (!merge)
        return;
    for (size_t i = 0; i < merge->n_inputs; i++)
        while (merge->inputs[i].first)
            drop_first(&merge->inputs[i]);
    free(merge->inputs);
    free(merge);
}

void merge_begin(struct merge *merge, size_t index, const struct high_water *applied)
{
    assert(index < merge->n_inputs);
    struct input *input = &merge->inputs[index];
    if (input->has_begun && stream_id_equal(&input->applied.stream, &applied->stream))
        return;
    input->applied = *applied;
    input->n_skipped = applied->packets_into_next;
    input->applied.packets_into_next = 0;
    input->has_begun = true;
}

const struct stream_id *merge_stream(const struct merge *merge, size_t index)
{
    const struct input *input = &merge->inputs[index];
    return input->has_begun ? &input->applied.stream : NULL;
}

bool merge_is_drained(const struct merge *merge, size_t index)
{
    return merge->inputs[index].first == NULL;
}

static int push(struct merge *merge, size_t index, struct message *message, bool is_set_aside)
{
    assert(index < merge->n_inputs && message->kind == MESSAGE_PACKETS);
    struct input *input = &merge->inputs[index];
    struct queued *queued = malloc(sizeof *queued);
    if (!queued)
        return -ENOMEM;
    *queued = (struct queued){.message = *message, .is_set_aside = is_set_aside};
    *message = (struct message){0};
    if (input->last)
        input->last->next = queued;
    else
        input->first = queued;
    input->last = queued;
    return 0;
}

int merge_push(struct merge *merge, size_t index, struct message *message)
{
    return push(merge, index, message, false);
}

int merge_push_set_aside(struct merge *merge, size_t index, struct message *message)
{
    return push(merge, index, message, true);
}

const char *merge_error(const struct merge *merge)
{
    return merge->error;
}

static enum merge_result broken(struct merge *merge, const struct input *input, const char *what)
{
    snprintf(merge->error, sizeof merge->error, "%s, batch %lld: %s",
             input->applied.stream.producer, (long long)input->applied.seq + 1, what);
    return MERGE_BROKEN;
}

/* ---- one stream ---- */

static bool totals_agree(const struct totals *a, const struct totals *b)
{
    return a->packets == b->packets && a->l2_bytes == b->l2_bytes && a->l3_bytes == b->l3_bytes;
}

/* Losses whose amounts are exact and lie in the stream are part of its totals. */
static void add_losses(struct totals *totals, const struct message *batch)
{
    for (size_t i = 0; i < batch->n_losses; i++) {
        const struct loss *loss = &batch->losses[i].loss;
        if (loss->stage != LOSS_CAPTURE || loss->certainty != LOSS_EXACT)
            continue;
        totals->packets += (uint64_t)loss->packets;
        totals->l2_bytes += (uint64_t)loss->l2_bytes;
        totals->l3_bytes += (uint64_t)loss->l3_bytes;
    }
}

/* A batch in place of one that was lost in the worker's ring: it is up to its totals that packets
 * are missing, from where the stream is here. */
static void measure_gap(const struct input *input, struct queued *queued)
{
    struct message *batch = &queued->message;
    const struct totals *before = &input->applied.totals;
    const struct totals *after = &batch->totals;
    if (batch->n_packets != 0 || batch->n_losses != 1 ||
        batch->losses[0].loss.certainty != LOSS_EXACT ||
        strcmp(batch->losses[0].loss.reason, LOSS_REASON_GAP) != 0 ||
        after->packets < before->packets || after->l2_bytes < before->l2_bytes ||
        after->l3_bytes < before->l3_bytes)
        return;
    queued->gap = batch->losses[0];
    queued->gap.loss.packets = (int64_t)(after->packets - before->packets);
    queued->gap.loss.l2_bytes = (int64_t)(after->l2_bytes - before->l2_bytes);
    queued->gap.loss.l3_bytes = (int64_t)(after->l3_bytes - before->l3_bytes);
    batch->losses = &queued->gap;
    batch->n_losses = queued->gap.loss.packets > 0;
}

/* All of the stream's packets are given; the last batch itself waits for merge_end(). */
static void end_stream(struct input *input)
{
    input->watermark_ns = input->first->message.watermark_ns;
    input->has_ended = true;
}

/* The first batch is given wholly: on to the next. */
static enum merge_result end_batch(struct merge *merge, struct input *input)
{
    const struct message *batch = &input->first->message;
    measure_gap(input, input->first);
    add_losses(&input->applied.totals, batch);
    if (!totals_agree(&input->applied.totals, &batch->totals))
        return broken(merge, input, "its packets do not add up to the totals it states");
    if (input->applied.packets_into_next != batch->n_packets)
        return broken(merge, input, "it has another number of packets than it states");
    input->applied.seq = batch->seq;
    input->applied.packets_into_next = 0;
    input->watermark_ns = batch->watermark_ns;
    input->n_skipped = 0; /* of a batch that is in place of a damaged one, some may be left */
    input->offset = 0;
    merge->handlers.on_batch_end(merge->handlers.state, batch);
    drop_first(input);
    return MERGE_MORE;
}

/* False: it would have to have less than nothing. */
static bool loss_of_batch(const struct input *input, const struct message *batch, struct loss *loss)
{
    struct totals before = input->applied.totals;
    add_losses(&before, batch);
    int64_t first_ns = input->watermark_ns;
    *loss = (struct loss){
        .first_ns = first_ns == INT64_MIN || first_ns > batch->watermark_ns ? batch->watermark_ns
                                                                            : first_ns,
        .last_ns = batch->watermark_ns,
        .packets = (int64_t)(batch->totals.packets - before.packets),
        .l2_bytes = (int64_t)(batch->totals.l2_bytes - before.l2_bytes),
        .l3_bytes = (int64_t)(batch->totals.l3_bytes - before.l3_bytes),
        .stage = LOSS_TRACKER,
        .certainty = LOSS_EXACT,
        .reason = "set_aside",
    };
    return loss->packets >= 0 && loss->l2_bytes >= 0 && loss->l3_bytes >= 0;
}

/* As if all of it had been given: on to its end. */
static enum merge_result set_aside(struct merge *merge, struct input *input)
{
    struct queued *first = input->first;
    struct loss loss;
    if (!loss_of_batch(input, &first->message, &loss))
        return broken(merge, input, "it cannot be set aside: its totals go back");
    merge->handlers.on_set_aside(merge->handlers.state, &first->message, &loss);
    input->applied.totals.packets += (uint64_t)loss.packets;
    input->applied.totals.l2_bytes += (uint64_t)loss.l2_bytes;
    input->applied.totals.l3_bytes += (uint64_t)loss.l3_bytes;
    input->applied.packets_into_next = first->message.n_packets;
    input->n_skipped = 0;
    input->offset = first->message.packets_size;
    first->is_set_aside = false;
    return MERGE_MORE;
}

static bool has_packet(const struct input *input)
{
    return input->next < input->n_ahead;
}

static const struct packet *next_packet(const struct input *input)
{
    return &input->ahead[input->next].packet;
}

/* Goes over packets that were applied before a restart; false: one does not decode. */
static bool skip(struct input *input, const struct message *batch)
{
    struct merge_packet *room = &input->ahead[0];
    for (; input->n_skipped > 0 && input->offset < batch->packets_size; input->n_skipped--) {
        if (packet_decode(batch->packets + input->offset, batch->packets_size - input->offset,
                          &room->packet, &room->size) != PACKET_DECODED)
            return false;
        input->offset += room->size;
        input->applied.packets_into_next++;
    }
    return true;
}

/* Decodes the batch's next packets, up to MERGE_AHEAD_MAX; false: not even one decodes. */
static bool look_ahead(const struct merge *merge, struct input *input, const struct message *batch)
{
    size_t n = 0;
    for (; n < MERGE_AHEAD_MAX && input->offset < batch->packets_size; n++) {
        struct merge_packet *ahead = &input->ahead[n];
        if (packet_decode(batch->packets + input->offset, batch->packets_size - input->offset,
                          &ahead->packet, &ahead->size) != PACKET_DECODED)
            break;
        input->offset += ahead->size;
    }
    merge->handlers.on_ahead(merge->handlers.state, input->ahead, n);
    input->next = 0;
    input->n_ahead = n;
    return n > 0;
}

/* What is being decoded now, for who comes after a crash. */
static void note(const struct merge *merge, const struct input *input)
{
    volatile struct hand_watch *watch = merge->handlers.watch;
    if (!watch)
        return;
    uint32_t worker = (uint32_t)(input - merge->inputs);
    watch->batch[worker].epoch = input->applied.stream.epoch;
    watch->batch[worker].seq = input->first->message.seq;
    watch->packet = input->applied.packets_into_next;
    watch->worker = worker;
}

static bool has_batch(const struct merge *merge, const struct input *input)
{
    if (!input->first && input->has_begun && merge->handlers.on_drained)
        merge->handlers.on_drained(merge->handlers.state, (size_t)(input - merge->inputs));
    return input->first != NULL;
}

/* Sees to it that the stream's next packet is known, if its batch has come. */
static enum merge_result peek(struct merge *merge, struct input *input)
{
    while (!has_packet(input) && !input->has_ended && has_batch(merge, input)) {
        const struct message *batch = &input->first->message;
        if (input->first->is_set_aside && set_aside(merge, input) == MERGE_BROKEN)
            return MERGE_BROKEN;
        note(merge, input);
        bool is_sound = skip(input, batch);
        bool is_at_end = is_sound && input->offset == batch->packets_size;
        if (is_at_end && batch->end_of_stream) {
            end_stream(input);
        } else if (is_at_end) {
            if (end_batch(merge, input) == MERGE_BROKEN)
                return MERGE_BROKEN;
        } else if (!is_sound || !look_ahead(merge, input, batch)) {
            return broken(merge, input, "a packet's descriptor is malformed");
        }
    }
    return MERGE_MORE;
}

static void add_turn(struct input *input, const struct merge_turn *turn)
{
    struct totals sum = {0};
    size_t size = 0;
    for (size_t i = 0; i < turn->n; i++) {
        const struct packet *packet = &turn->packets[i].packet;
        bool is_counted = packet_is_counted(packet);
        sum.packets += is_counted;
        sum.l2_bytes += is_counted ? packet->l2_bytes : 0;
        sum.l3_bytes += is_counted ? packet->l3_bytes : 0;
        size += turn->packets[i].size;
    }
    input->applied.packets_into_next += turn->n;
    input->applied.totals.packets += sum.packets;
    input->applied.totals.l2_bytes += sum.l2_bytes;
    input->applied.totals.l3_bytes += sum.l3_bytes;
    input->taken_bytes += size;
}

/* Gives the stream's next 'n' packets, which are decoded. */
static void give(struct merge *merge, struct input *input, size_t n)
{
    const struct merge_turn turn = {&input->ahead[input->next], n, merge->handlers.watch,
                                    input->applied.packets_into_next};
    if (turn.watch)
        turn.watch->worker = (uint32_t)(input - merge->inputs);
    add_turn(input, &turn);
    input->next += n;
    if (input->taken_bytes > merge->taken_bytes_most)
        merge->taken_bytes_most = input->taken_bytes;
    merge->handlers.on_packets(merge->handlers.state, &turn);
}

/* ---- all streams ---- */

/* The stream with the earliest packet of those that are decoded. */
static size_t next_input(const struct merge *merge)
{
    size_t best = 0;
    for (size_t i = 1; i < merge->n_inputs; i++) {
        const struct input *input = &merge->inputs[i];
        if (has_packet(input) &&
            (!has_packet(&merge->inputs[best]) ||
             next_packet(input)->clock_ns < next_packet(&merge->inputs[best])->clock_ns))
            best = i;
    }
    return best;
}

/* How many of the stream's decoded packets go before all that the others have and may still bring.
 */
static size_t n_in_turn(const struct merge *merge, size_t index)
{
    const struct input *input = &merge->inputs[index];
    int64_t limit_ns = INT64_MAX; /* the others' earliest */
    bool is_before_equal = true;
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const struct input *other = &merge->inputs[i];
        if (i == index || (other->has_ended && !has_packet(other)))
            continue;
        int64_t next_ns = has_packet(other) ? next_packet(other)->clock_ns : other->watermark_ns;
        if (next_ns < limit_ns)
            is_before_equal = true;
        limit_ns = next_ns < limit_ns ? next_ns : limit_ns;
        is_before_equal = is_before_equal && (next_ns > limit_ns || index < i);
    }
    if (limit_ns == INT64_MAX && is_before_equal) /* as of a lone stream */
        return input->n_ahead - input->next;
    size_t end = input->next;
    for (; end < input->n_ahead; end++) {
        int64_t clock_ns = input->ahead[end].packet.clock_ns;
        if (clock_ns > limit_ns || (clock_ns == limit_ns && !is_before_equal))
            break;
    }
    return end - input->next;
}

static bool has_ended(const struct merge *merge)
{
    for (size_t i = 0; i < merge->n_inputs; i++)
        if (!merge->inputs[i].has_ended)
            return false;
    return true;
}

enum merge_result merge_end(struct merge *merge)
{
    for (size_t i = 0; i < merge->n_inputs; i++)
        if (merge->inputs[i].first && end_batch(merge, &merge->inputs[i]) == MERGE_BROKEN)
            return MERGE_BROKEN;
    return MERGE_ENDED;
}

static enum merge_result run(struct merge *merge, size_t n_packets_max)
{
    for (size_t n = 0; n < n_packets_max;) {
        for (size_t i = 0; i < merge->n_inputs; i++)
            if (!has_packet(&merge->inputs[i]) && peek(merge, &merge->inputs[i]) == MERGE_BROKEN)
                return MERGE_BROKEN;
        size_t next = next_input(merge);
        size_t n_given = n_in_turn(merge, next);
        if (n_given == 0)
            return has_ended(merge) ? MERGE_ENDED : MERGE_IDLE;
        if (n_given > n_packets_max - n)
            n_given = n_packets_max - n;
        give(merge, &merge->inputs[next], n_given);
        n += n_given;
        if (merge->handlers.is_pausing(merge->handlers.state))
            return MERGE_MORE;
    }
    return MERGE_MORE;
}

/* What broke it stays noted. */
enum merge_result merge_run(struct merge *merge, size_t n_packets_max)
{
    enum merge_result result = run(merge, n_packets_max);
    if (merge->handlers.watch && result != MERGE_BROKEN)
        merge->handlers.watch->worker = HAND_IS_EMPTY;
    return result;
}

int64_t merge_clock_ns(const struct merge *merge)
{
    int64_t clock_ns = INT64_MAX;
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const struct input *input = &merge->inputs[i];
        int64_t reached_ns = has_packet(input) ? next_packet(input)->clock_ns : input->watermark_ns;
        if (input->has_ended && !has_packet(input))
            continue;
        if (reached_ns < clock_ns)
            clock_ns = reached_ns;
    }
    return clock_ns == INT64_MAX ? merge_end_ns(merge) : clock_ns;
}

int64_t merge_end_ns(const struct merge *merge)
{
    int64_t end_ns = INT64_MIN;
    for (size_t i = 0; i < merge->n_inputs; i++)
        if (merge->inputs[i].watermark_ns > end_ns)
            end_ns = merge->inputs[i].watermark_ns;
    return end_ns;
}

size_t merge_applied(const struct merge *merge, struct high_water *marks)
{
    size_t n = 0;
    for (size_t i = 0; i < merge->n_inputs; i++)
        if (merge->inputs[i].has_begun)
            marks[n++] = merge->inputs[i].applied;
    return n;
}

int64_t merge_applied_seq(const struct merge *merge, size_t index)
{
    return merge->inputs[index].applied.seq;
}

size_t merge_taken_bytes(const struct merge *merge)
{
    return merge->taken_bytes_most;
}

void merge_taken_reset(struct merge *merge)
{
    for (size_t i = 0; i < merge->n_inputs; i++)
        merge->inputs[i].taken_bytes = 0;
    merge->taken_bytes_most = 0;
}
