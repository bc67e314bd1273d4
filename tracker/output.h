/* output: what the exporter is to know at the next commit point, and the stream that carries it.
 *
 *     output_open(bus, &options, &output);
 *     output_add_flow(output, &record); …                     until a commit point
 *     output_commit(output, &point);                          one batch: rows, losses, and how far
 * the input is applied output_flush(output);                                   once a turn of the
 * loop output_close(output);
 *
 * A batch stands for itself: its usage and exact losses add up to what its marks advance. Not
 * thread-safe. */
#ifndef WANMETER_TRACKER_OUTPUT_H
#define WANMETER_TRACKER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/change.h"
#include "proto/message.h"
#include "proto/record.h"
#include "proto/uplink.h"
#include "tracker/memory.h"

struct output;

/* 0 or -errno. */
int output_open(struct bus *bus, const struct uplink_options *options, struct output **out);
void output_close(struct output *output); /* accepts NULL */

void output_add_usage(struct output *output, const struct usage_delta *delta);
void output_add_flow(struct output *output, const struct flow_record *record);
void output_add_event(struct output *output, const struct connection_event *event);
void output_add_loss(struct output *output, const struct stream_loss *loss);
void output_add_source(struct output *output, const struct stream_source *source);

/* What somebody changed, and what became of it here: both are copied. */
void output_add_change(struct output *output, const struct change *change,
                       const struct change_result *result);

/* Bytes of rows waiting for the next commit point. */
size_t output_pending_bytes(const struct output *output);
bool output_is_pending(const struct output *output);

struct commit_point {
    const struct high_water *applied;
    size_t n_applied;
    int64_t watermark_ns;
    bool end_of_stream;
    const struct memory *memory;
};

/* Makes the batch; returns its seq, or -ENOMEM. */
int64_t output_commit(struct output *output, const struct commit_point *point);

/* uplink_ask_restored() */
void output_ask_restored(struct output *output, uint64_t from);

bool output_has_room(const struct output *output);
bool output_is_committed(const struct output *output);
size_t output_held_bytes(const struct output *output); /* sent, and not committed yet */
void output_flush(struct output *output);
bool output_say_bye(struct output *output);

#endif
