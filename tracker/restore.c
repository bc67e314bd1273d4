/* What a predecessor left: given back by the exporter in portions, changes first; and the batch
 * that it died of twice. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock_reading.h"
#include "common/log.h"
#include "proto/account_change.h"
#include "proto/change.h"
#include "proto/downlink.h"
#include "tracker/duplicate.h"
#include "tracker/flow.h"
#include "tracker/flow_change.h"
#include "tracker/link.h"
#include "tracker/output.h"
#include "tracker/query.h"
#include "tracker/tracker.h"

/* ---- changes ---- */

static bool keep_change(struct restoring *restoring, const struct change_bytes *change)
{
    struct change_bytes *longer =
        reallocarray(restoring->changes, restoring->n_changes + 1, sizeof *longer);
    if (longer)
        restoring->changes = longer;
    uint8_t *bytes = longer ? malloc(change->size) : NULL;
    if (!bytes)
        return false;
    memcpy(bytes, change->bytes, change->size);
    restoring->changes[restoring->n_changes++] = (struct change_bytes){bytes, change->size};
    return true;
}

/* As it was done before; the exporter has it. */
static void apply(struct tracker *tracker, const struct change_bytes *bytes)
{
    struct change change;
    struct change_result result;
    if (!change_decode(bytes->bytes, bytes->size, &change))
        return; /* checked before */
    change.is_restored = true;
    control_apply(&tracker->control, &change, &result);
    query_note(tracker->query, &change, &result);
    if (account_change_is(&change) &&
        change.time_ns > tracker->restoring.restore.account_changes_ns)
        tracker->restoring.restore.account_changes_ns = change.time_ns;
}

static bool is_of_connections(const struct change_bytes *bytes)
{
    struct change change;
    return change_decode(bytes->bytes, bytes->size, &change) && strcmp(change.words[0], "ct") == 0;
}

static bool take_changes(struct tracker *tracker, const struct restored *restored)
{
    for (size_t i = 0; i < restored->n_changes; i++)
        if (!is_of_connections(&restored->changes[i]))
            apply(tracker, &restored->changes[i]);
        else if (!keep_change(&tracker->restoring, &restored->changes[i]))
            return false;
    return true;
}

/* ---- flows ---- */

static void take_flows(struct tracker *tracker, const struct restored *restored)
{
    struct restoring *restoring = &tracker->restoring;
    for (size_t i = 0; i < restored->n_flows; i++) {
        struct flow_record record;
        flow_record_get(restored->flows + i * FLOW_RECORD_SIZE, &record); /* checked before */
        if (flow_table_restore(tracker->flows, &record, &restoring->restore))
            restoring->n_flows++;
        else
            restoring->n_left_out++;
    }
}

/* Live, the wall clock may have stepped since the run began, or before it. Then only packets tell
 * where the stream's clock is: what is over by it does not end before one of them has come. */
static void begin(struct tracker *tracker, const struct restored *restored)
{
    int64_t clock_ns = restored->clock_ns;
    bool is_certain = true;
    if (tracker->arguments.is_live && tracker->arguments.clock_anchor_ns) {
        struct clock_reading reading;
        clock_reading_take(&reading);
        int64_t now_ns = reading.steady_ns + tracker->arguments.clock_anchor_ns;
        int64_t step_ns = reading.wall_ns - now_ns;
        clock_ns = bill_clock_stream(restored->clock_ns, step_ns, now_ns, &is_certain);
        if (!is_certain)
            bill_clock_resume(&tracker->clock, restored->clock_ns, step_ns);
    }
    tracker->restoring.restore = (struct flow_restore){clock_ns, INT64_MIN};
    if (is_certain)
        flow_table_advance(tracker->flows, clock_ns);
}

/* What packets before leave for the bill of those after them. There is none where nothing was
 * committed yet, or in what an earlier run left. */
static void take_memory(struct tracker *tracker, const struct restored *restored)
{
    struct memory_reader reader = {restored->memory, restored->memory_size};
    if (restored->memory_size == 0)
        return;
    if (!link_table_read(tracker->links, &reader) ||
        !duplicate_table_read(tracker->duplicates, &reader) || !memory_is_over(&reader))
        tracker_fail(tracker, "what the tracker before remembered is of another configuration");
}

static void finish(struct tracker *tracker)
{
    struct restoring *restoring = &tracker->restoring;
    for (size_t i = 0; i < restoring->n_changes; i++)
        apply(tracker, &restoring->changes[i]);
    log_info("goes on with %zu open flows", restoring->n_flows);
    if (restoring->n_left_out > 0)
        log_warning("%zu open flows are not gone on with: the table has no place for them",
                    restoring->n_left_out);
    tracker_restoring_deinit(restoring);
    tracker_start(tracker);
}

void tracker_on_restored(void *state, const struct restored *restored)
{
    struct tracker *tracker = state;
    if (tracker->phase != PHASE_RESTORING)
        return;
    if (restored->from == 0) {
        begin(tracker, restored);
        take_memory(tracker, restored);
    }
    if (!take_changes(tracker, restored)) {
        tracker_fail(tracker, "no memory for the changes that were in force");
        return;
    }
    take_flows(tracker, restored);
    if (restored->next)
        output_ask_restored(tracker->output, restored->next);
    else
        finish(tracker);
}

void tracker_restoring_deinit(struct restoring *restoring)
{
    for (size_t i = 0; i < restoring->n_changes; i++)
        free((void *)restoring->changes[i].bytes);
    free(restoring->changes);
    restoring->changes = NULL;
    restoring->n_changes = 0;
}

/* ---- what killed it ---- */

static bool write_batch(const char *path, const struct message *batch)
{
    size_t size;
    uint8_t *bytes = message_encode(batch, &size);
    FILE *file = bytes ? fopen(path, "wbe") : NULL;
    bool is_written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0)
        is_written = false;
    free(bytes);
    return is_written;
}

void tracker_on_set_aside(void *state, const struct message *batch, const struct loss *loss)
{
    struct tracker *tracker = state;
    struct stream_loss line = {.stream = batch->stream, .loss = *loss};
    if (loss->packets == 0 && loss->l2_bytes == 0)
        return; /* a predecessor has said so */
    char name[128], path[512];
    snprintf(name, sizeof name, "set-aside-%s-%u-%" PRId64, batch->stream.producer,
             batch->stream.shard, batch->seq);
    snprintf(path, sizeof path, "%s/%s", tracker->arguments.run_directory, name);
    bool is_written = write_batch(path, batch);
    snprintf(line.loss.evidence, sizeof line.loss.evidence,
             "killed this shard's tracker twice; %s%s",
             is_written ? "in the run directory as " : "it could not be kept: ", name);
    log_error("%s: %s", line.loss.evidence, is_written ? path : strerror(errno));
    output_add_loss(tracker->output, &line);
}
