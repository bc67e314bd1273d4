/* What happens when: the phases of a tracker, and what its peers say. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/process_status.h"
#include "proto/downlink.h"
#include "proto/seal.h"
#include "tracker/flow.h"
#include "tracker/output.h"
#include "tracker/tracker.h"

enum {
    PACKETS_A_TURN = 8192,
    FLOWS_A_TURN = 4096,
    GOODBYE_MS = 5000, /* how long to wait for peers that do not say goodbye */
};

void tracker_fail(struct tracker *tracker, const char *what)
{
    log_error("%s", what);
    tracker->status = PROCESS_FAILED;
    loop_stop(tracker->loop);
}

/* Gives the pipeline what it can take this turn. */
static void run_input(struct tracker *tracker)
{
    if (tracker_is_pausing(tracker) || tracker->is_commit_due) {
        if (!tracker_can_commit(tracker))
            return; /* back-pressure: the exporter's acknowledgement wakes us */
        tracker_commit(tracker, false);
    }
    enum merge_result result = merge_run(tracker->merge, PACKETS_A_TURN);
    int64_t clock_ns = merge_clock_ns(tracker->merge);
    bool has_more = flow_table_advance(tracker->flows, clock_ns);
    if (!has_more)
        tracker->settled_ns = clock_ns;
    if (result == MERGE_BROKEN)
        tracker_fail(tracker, merge_error(tracker->merge));
    if (result == MERGE_ENDED)
        tracker->phase = PHASE_FINISHING;
    if (result == MERGE_MORE || result == MERGE_ENDED || has_more)
        loop_again(tracker->loop);
}

static void finish_flows(struct tracker *tracker)
{
    if (!tracker_can_commit(tracker))
        return;
    bool has_more = flow_table_finish(tracker->flows, FLOWS_A_TURN);
    if (!has_more) {
        tracker->settled_ns = merge_clock_ns(tracker->merge);
        if (merge_end(tracker->merge) == MERGE_BROKEN) {
            tracker_fail(tracker, merge_error(tracker->merge));
            return;
        }
    }
    if (!has_more || tracker_is_pausing(tracker))
        tracker_commit(tracker, !has_more);
    if (!has_more)
        tracker->phase = PHASE_DRAINING;
    loop_again(tracker->loop);
}

static void begin_parting(struct tracker *tracker)
{
    tracker->phase = PHASE_PARTING;
    tracker->parting_since_ms = loop_now_ms(tracker->loop);
}

static void part(struct tracker *tracker)
{
    bool is_late = loop_now_ms(tracker->loop) - tracker->parting_since_ms > GOODBYE_MS;
    if (!downlink_is_done(tracker->input) && !tracker->is_last && !is_late)
        return;
    output_say_bye(tracker->output);
    loop_stop(tracker->loop);
}

/* Once a turn of the loop. */
void tracker_on_turn(void *state)
{
    struct tracker *tracker = state;
    if (tracker->phase == PHASE_RUNNING)
        run_input(tracker);
    if (tracker->phase == PHASE_FINISHING)
        finish_flows(tracker);
    output_flush(tracker->output);
    if (tracker->phase == PHASE_DRAINING && output_is_committed(tracker->output))
        begin_parting(tracker);
    downlink_flush(tracker->input);
    if (tracker->phase == PHASE_PARTING)
        part(tracker);
}

/* Without a packet, the exporter is told of the clock only when that closes a seal. */
void tracker_on_commit_timer(void *state)
{
    struct tracker *tracker = state;
    tracker->is_commit_due = output_is_pending(tracker->output) ||
                             merge_taken_bytes(tracker->merge) > 0 ||
                             seal_open_at(bill_clock_at(&tracker->clock, tracker->settled_ns)) >
                                 seal_open_at(tracker->committed_ns);
}

/* A turn now and then, for the goodbyes' time limit. */
void tracker_on_parting_timer(void *state)
{
    (void)state;
}

/* The supervisor ends a run from the capture side; a tracker goes on until its input has ended. */
void tracker_on_signal(void *state, int signal_number)
{
    (void)state;
    (void)signal_number;
}

/* The workers have ended, so all that they sent was acknowledged, and we wait for it: it went with
 * the exporter's spool, which says so. */
static void miss_the_end(struct tracker *tracker)
{
    log_warning("the workers have ended, and their last batches came to nobody who is here");
    begin_parting(tracker);
}

void tracker_on_last(void *state, int signal_number)
{
    struct tracker *tracker = state;
    (void)signal_number;
    tracker->is_last = true;
    if (tracker->phase == PHASE_RUNNING)
        miss_the_end(tracker);
}

/* ---- peers ---- */

/* Had this shard's input ended, and all been committed, when this tracker's predecessor died? */
static bool is_shard_done(const struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->n_resume; i++)
        if (tracker->resume[i].is_closed)
            return true;
    return false;
}

void tracker_start(struct tracker *tracker)
{
    if (is_shard_done(tracker))
        begin_parting(tracker);
    else if (tracker->is_last)
        miss_the_end(tracker);
    else
        tracker->phase = PHASE_RUNNING;
    downlink_start(tracker->input);
}

/* The exporter knows what of each capture stream is committed. */
void tracker_on_welcome(void *state, const struct reply *reply)
{
    struct tracker *tracker = state;
    if (tracker->phase != PHASE_WAITING)
        return;
    tracker->resume = calloc(reply->n_applied + 1, sizeof *tracker->resume);
    if (!tracker->resume) {
        tracker_fail(tracker, "no memory for the streams' marks");
        return;
    }
    memcpy(tracker->resume, reply->applied, reply->n_applied * sizeof *tracker->resume);
    tracker->n_resume = reply->n_applied;
    if (!reply->has_restore || is_shard_done(tracker)) {
        tracker_start(tracker);
        return;
    }
    tracker->phase = PHASE_RESTORING;
    output_ask_restored(tracker->output, 0);
}

void tracker_on_hello(void *state, size_t index, const struct stream_id *stream,
                      struct high_water *resume, const struct high_water **applied,
                      size_t *n_applied)
{
    struct tracker *tracker = state;
    (void)applied; /* a capture worker needs none */
    (void)n_applied;
    for (size_t i = 0; i < tracker->n_resume; i++)
        if (stream_id_equal(&tracker->resume[i].stream, stream))
            *resume = tracker->resume[i];
    const struct stream_id *before = merge_stream(tracker->merge, index);
    if (!before || !stream_id_equal(before, stream))
        tracker_begin_stream(tracker, index, resume->seq);
    merge_begin(tracker->merge, index, resume);
}

void tracker_on_batch(void *state, size_t index, struct message *message)
{
    struct tracker *tracker = state;
    if (message->kind != MESSAGE_PACKETS) {
        tracker_fail(tracker, "a capture worker sent records");
        return;
    }
    bool is_poison = hand_is_poison(tracker->hand, (uint32_t)index, &message->stream, message->seq);
    int result = is_poison ? merge_push_set_aside(tracker->merge, index, message)
                           : merge_push(tracker->merge, index, message);
    if (result < 0)
        tracker_fail(tracker, "no memory for a batch of packets");
}

void tracker_on_drained(void *state, size_t index)
{
    struct tracker *tracker = state;
    downlink_pull(tracker->input, index);
}
