/* lane: one worker's way to one shard: packets gathered into batches, batches into a stream.
 *
 *     lane_open(bus, &options, &lane);
 *     lane_add(lane, &packet);                        a full batch is sent by itself
 *     lane_send(lane, clock_ns, false);               what there is, and how far the clock is
 *     lane_flush(lane);                               once a turn of the loop
 *     lane_close(lane);
 *
 * A batch is bounded in packets, bytes (also by a quarter of the window) and packet time. Reading a
 * file, the caller stops while a lane has no room. Live, it cannot: a batch that finds no room
 * becomes a loss line, exact to the byte, which goes with the next one. Not thread-safe. */
#ifndef WANMETER_CAPTURE_LANE_H
#define WANMETER_CAPTURE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/config.h"
#include "proto/message.h"
#include "proto/packet.h"

struct lane;

struct lane_options {
    const struct config *config; /* kept, not copied */
    const char *endpoint;        /* borrowed for the call */
    struct stream_id stream;
    size_t window_bytes;
    bool is_live;
};

/* 0 or -errno. */
int lane_open(struct bus *bus, const struct lane_options *options, struct lane **out);
void lane_close(struct lane *lane); /* accepts NULL */

/* 0 or -ENOMEM. */
int lane_add(struct lane *lane, const struct packet *packet);

/* The same of a change. Live it passes the window by its own few bytes rather than be lost: every
 * shard must do it. */
int lane_add_change(struct lane *lane, const struct packet *change);

/* Goes with the next batch. 0 or -ENOMEM. */
int lane_add_loss(struct lane *lane, const struct loss *loss);
int lane_add_source(struct lane *lane, const struct source_total *total);

/* Sends what has been gathered, if anything, or the news that the clock has come this far. 0 or
 * -ENOMEM. */
int lane_send(struct lane *lane, int64_t clock_ns, bool end_of_stream);

bool lane_is_empty(const struct lane *lane);

/* Does the shard know everything up to this clock? */
bool lane_is_current(const struct lane *lane, int64_t clock_ns);
bool lane_has_room(const struct lane *lane);
bool lane_is_welcome(const struct lane *lane);
bool lane_is_committed(const struct lane *lane);
size_t lane_held_bytes(const struct lane *lane); /* sent, and not committed yet */
void lane_flush(struct lane *lane);
bool lane_say_bye(struct lane *lane);

#endif
