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
 * becomes a loss line, exact to the byte, which goes with the next one.
 *
 * Packets of a file are gathered in the ring, where they stay; live ones in memory first.
 *
 * On the ring of a worker that died the lane goes on with its stream. Reading files, which are read
 * again from their beginning, it first drops what that worker had pushed: as many descriptors and
 * loss lines, because the same input gives the same ones. Live, what was gathered and not pushed is
 * a loss line. Not thread-safe. */
#ifndef WANMETER_CAPTURE_LANE_H
#define WANMETER_CAPTURE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/config.h"
#include "proto/message.h"
#include "proto/packet.h"
#include "proto/ring.h"

struct lane;

struct lane_options {
    const struct config *config; /* kept, not copied */
    const char *endpoint;        /* borrowed for the call */
    struct stream_id stream;
    size_t window_bytes;
    struct ring *ring; /* the stream's; the lane's to close. NULL: memory */
    bool is_live;
    bool is_read_again; /* after a worker died: what it had sent comes again, to be dropped */
};

/* How large a ring is that takes a window, and what may pass it. */
size_t lane_ring_bytes(const struct config *config, size_t window_bytes);

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

/* Live, after a worker died: what this lane, or the whole worker, had captured and not pushed. */
void lane_declare_died(struct lane *lane, const struct totals *lost);

/* What this lane was given of its stream, ever; live, with a ring. */
const struct totals *lane_gathered(const struct lane *lane);

/* What of it is in batches, or in their loss lines. */
const struct totals *lane_pushed(const struct lane *lane);

/* How far the stream's clock is. */
int64_t lane_clock_ns(const struct lane *lane);

/* Has it dropped all that its predecessor had pushed? Is the stream's end pushed? */
bool lane_is_caught_up(const struct lane *lane);
bool lane_has_ended(const struct lane *lane);

bool lane_is_empty(const struct lane *lane);

/* Does the shard know everything up to this clock? */
bool lane_is_current(const struct lane *lane, int64_t clock_ns);
bool lane_has_room(const struct lane *lane);
bool lane_is_welcome(const struct lane *lane);
bool lane_is_whole(const struct lane *lane); /* what it keeps is as it was put there */
bool lane_is_committed(const struct lane *lane);
size_t lane_held_bytes(const struct lane *lane); /* sent, and not committed yet */
void lane_flush(struct lane *lane);
bool lane_say_bye(struct lane *lane);

#endif
