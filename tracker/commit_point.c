/* Commit points: when a batch of records is cut, and what it lets the workers forget. */
#include <errno.h>

#include "proto/downlink.h"
#include "tracker/duplicate.h"
#include "tracker/link.h"
#include "tracker/meter.h"
#include "tracker/output.h"
#include "tracker/tracker.h"

static void on_usage(void *state, const struct usage_delta *delta)
{
    struct tracker *tracker = state;
    output_add_usage(tracker->output, delta);
}

/* After the last stream's end nobody needs it. */
static void remember(struct tracker *tracker, bool end_of_stream)
{
    memory_clear(&tracker->memory);
    if (end_of_stream)
        return;
    link_table_write(tracker->links, &tracker->memory);
    duplicate_table_write(tracker->duplicates, &tracker->memory);
}

void tracker_commit(struct tracker *tracker, bool end_of_stream)
{
    struct high_water marks[WORKERS_MAX];
    remember(tracker, end_of_stream);
    meter_take(tracker->meter, on_usage, tracker);
    struct commit_point point = {
        .applied = marks,
        .n_applied = merge_applied(tracker->merge, marks),
        .watermark_ns = bill_clock_at(&tracker->clock, tracker->settled_ns),
        .end_of_stream = end_of_stream,
        .memory = &tracker->memory,
    };
    int64_t seq = tracker->memory.is_failed ? -ENOMEM : output_commit(tracker->output, &point);
    if (seq < 0) {
        tracker_fail(tracker, "no memory for a batch of records");
        return;
    }
    size_t place = (tracker->first_point + tracker->n_points++) % POINTS_MAX;
    tracker->points[place].seq = seq;
    for (uint32_t i = 0; i < tracker->arguments.n_workers; i++)
        tracker->points[place].applied_seq[i] = merge_applied_seq(tracker->merge, i);
    merge_taken_reset(tracker->merge);
    tracker->committed_ns = point.watermark_ns;
    tracker->is_commit_due = false;
}

/* The exporter has committed: what went into those batches can be forgotten upstream. */
void tracker_on_committed(void *state, int64_t seq)
{
    struct tracker *tracker = state;
    if (seq >= 0)
        hand_note_committed(tracker->hand, tracker->epoch);
    while (tracker->n_points && tracker->points[tracker->first_point].seq <= seq) {
        const struct point *point = &tracker->points[tracker->first_point];
        for (uint32_t i = 0; i < tracker->arguments.n_workers; i++) {
            downlink_commit(tracker->input, i, point->applied_seq[i]);
            tracker->committed_seq[i] = point->applied_seq[i];
        }
        tracker->first_point = (tracker->first_point + 1) % POINTS_MAX;
        tracker->n_points--;
    }
}

void tracker_begin_stream(struct tracker *tracker, size_t index, int64_t seq)
{
    tracker->committed_seq[index] = seq;
    for (size_t i = 0; i < tracker->n_points; i++)
        tracker->points[(tracker->first_point + i) % POINTS_MAX].applied_seq[index] = seq;
}

bool tracker_can_welcome(void *state, size_t index, const struct stream_id *stream)
{
    struct tracker *tracker = state;
    const struct stream_id *before = merge_stream(tracker->merge, index);
    if (!before || stream_id_equal(before, stream))
        return true;
    if (!merge_is_drained(tracker->merge, index) || downlink_n_waiting(tracker->input, index))
        return false;
    if (tracker->committed_seq[index] == merge_applied_seq(tracker->merge, index))
        return true;
    if (tracker->n_points == 0)
        tracker->is_commit_due = true;
    return false;
}

bool tracker_can_commit(const struct tracker *tracker)
{
    return output_has_room(tracker->output) && tracker->n_points < POINTS_MAX;
}
