#include "tracker/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* Packed rows, one after the other. */
struct rows {
    uint8_t *bytes;
    size_t size;
    size_t room;
};

/* A change as it goes out. */
struct change_row {
    size_t bytes_size;
    uint8_t bytes[PACKET_PAYLOAD_MAX];
    struct change_result result;
};

struct output {
    struct uplink *uplink;
    struct rows usage, flows, events, losses, sources, changes;
    struct totals counted; /* since the last commit point */
};

int output_open(struct bus *bus, const struct uplink_options *options, struct output **out)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        return -ENOMEM;
    int result = uplink_open(bus, options, &output->uplink);
    if (result < 0) {
        free(output);
        return result;
    }
    *out = output;
    return 0;
}

void output_close(struct output *output)
{
    if (!output)
        return;
    uplink_close(output->uplink);
    free(output->usage.bytes);
    free(output->flows.bytes);
    free(output->events.bytes);
    free(output->losses.bytes);
    free(output->sources.bytes);
    free(output->changes.bytes);
    free(output);
}

/* Room for one more row of 'size' bytes. A row cannot be dropped: without memory the tracker stops,
 * and its input, which nobody acknowledged, is sent again to its successor. */
static uint8_t *append(struct rows *rows, size_t size)
{
    if (rows->size + size > rows->room) {
        size_t room = rows->room ? rows->room * 2 : 64 * 1024;
        uint8_t *bytes = realloc(rows->bytes, room);
        if (!bytes) {
            log_error("no memory for %zu bytes of rows", room);
            abort();
        }
        rows->bytes = bytes;
        rows->room = room;
    }
    uint8_t *row = rows->bytes + rows->size;
    rows->size += size;
    return row;
}

void output_add_usage(struct output *output, const struct usage_delta *delta)
{
    usage_delta_put(delta, append(&output->usage, USAGE_DELTA_SIZE));
    output->counted.packets += delta->packets;
    output->counted.l2_bytes += delta->l2_bytes;
    output->counted.l3_bytes += delta->l3_bytes;
}

void output_add_flow(struct output *output, const struct flow_record *record)
{
    flow_record_put(record, append(&output->flows, FLOW_RECORD_SIZE));
}

void output_add_event(struct output *output, const struct connection_event *event)
{
    connection_event_put(event, append(&output->events, CONNECTION_EVENT_SIZE));
}

void output_add_loss(struct output *output, const struct stream_loss *loss)
{
    memcpy(append(&output->losses, sizeof *loss), loss, sizeof *loss);
}

void output_add_source(struct output *output, const struct stream_source *source)
{
    memcpy(append(&output->sources, sizeof *source), source, sizeof *source);
}

void output_add_change(struct output *output, const struct change *change,
                       const struct change_result *result)
{
    struct change_row row = {.result = *result};
    row.bytes_size = change_encode(change, row.bytes);
    memcpy(append(&output->changes, sizeof row), &row, sizeof row);
}

size_t output_pending_bytes(const struct output *output)
{
    return output->flows.size + output->events.size + output->losses.size + output->sources.size +
           output->changes.size;
}

bool output_is_pending(const struct output *output)
{
    return output_pending_bytes(output) + output->usage.size > 0;
}

/* The caller's; NULL: no memory. */
static struct change_line *change_lines(const struct output *output, size_t n)
{
    const struct change_row *rows = (const struct change_row *)output->changes.bytes;
    struct change_line *lines = calloc(n + 1, sizeof *lines);
    for (size_t i = 0; lines && i < n; i++)
        lines[i] = (struct change_line){
            .change = rows[i].bytes,
            .change_bytes = rows[i].bytes_size,
            .error = (uint32_t)rows[i].result.error,
            .count = rows[i].result.count,
            .answer = rows[i].result.answer,
            .answer_length = strlen(rows[i].result.answer),
        };
    return lines;
}

int64_t output_commit(struct output *output, const struct commit_point *point)
{
    size_t n_changes = output->changes.size / sizeof(struct change_row);
    struct change_line *changes = change_lines(output, n_changes);
    if (!changes)
        return -ENOMEM;
    struct message message = {
        .kind = MESSAGE_RECORDS,
        .end_of_stream = point->end_of_stream,
        .watermark_ns = point->watermark_ns,
        .applied = point->applied,
        .n_applied = point->n_applied,
        .usage = output->usage.bytes,
        .n_usage = output->usage.size / USAGE_DELTA_SIZE,
        .flows = output->flows.bytes,
        .n_flows = output->flows.size / FLOW_RECORD_SIZE,
        .events = output->events.bytes,
        .n_events = output->events.size / CONNECTION_EVENT_SIZE,
        .losses = (const struct stream_loss *)output->losses.bytes,
        .n_losses = output->losses.size / sizeof(struct stream_loss),
        .sources = (const struct stream_source *)output->sources.bytes,
        .n_sources = output->sources.size / sizeof(struct stream_source),
        .changes = changes,
        .n_changes = n_changes,
        .memory = point->memory->bytes,
        .memory_size = point->memory->size,
    };
    int64_t seq = uplink_next_seq(output->uplink);
    int result = uplink_push(output->uplink, &message, &output->counted);
    free(changes);
    if (result < 0)
        return result;
    output->usage.size = 0;
    output->flows.size = 0;
    output->events.size = 0;
    output->losses.size = 0;
    output->sources.size = 0;
    output->changes.size = 0;
    output->counted = (struct totals){0};
    return seq;
}

void output_ask_restored(struct output *output, uint64_t from)
{
    uplink_ask_restored(output->uplink, from);
}

bool output_has_room(const struct output *output)
{
    return uplink_has_room(output->uplink);
}

size_t output_held_bytes(const struct output *output)
{
    return uplink_held_bytes(output->uplink);
}

bool output_is_committed(const struct output *output)
{
    return uplink_is_committed(output->uplink);
}

void output_flush(struct output *output)
{
    uplink_flush(output->uplink);
}

bool output_say_bye(struct output *output)
{
    return uplink_say_bye(output->uplink);
}
