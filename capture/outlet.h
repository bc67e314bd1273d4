/* outlet: a worker's way out: its clock, its lanes to all shards, and the changes among the
 * packets.
 *
 *     outlet_open(bus, &arguments, "capture-0", fragments, &outlet);
 *     outlet_move_clock(&outlet, frame.clock_ns);     what is due by then goes first
 *     outlet_add(&outlet, &packet, shard, copies);
 *     outlet_send(&outlet, false);                    all lanes: what they have, and the clock
 *     outlet_flush(&outlet);                          once a turn of the loop
 *     outlet_close(&outlet);
 *
 * The streams outlive a worker that dies (outlet/outlet_rings.h): its successor goes on with them.
 *
 * The clock never goes back. Before it moves, fragments whose time is over leave at their clock,
 * and changes (change_inlet.h) go into every lane at theirs. Functions that return a number return
 * 0 or -ENOMEM. Not thread-safe. */
#ifndef WANMETER_CAPTURE_OUTLET_H
#define WANMETER_CAPTURE_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/change_inlet.h"
#include "capture/clock_watch.h"
#include "capture/fragment.h"
#include "capture/lane.h"
#include "common/arguments.h"

struct outlet {
    struct lane *lanes[SHARDS_MAX];
    uint32_t n_lanes;
    struct change_inlet *changes;     /* of the first worker; NULL: none */
    struct fragment_table *fragments; /* borrowed */
    int64_t clock_ns;                 /* of this worker's stream: the largest timestamp so far */
    bool is_live;
    bool is_first;              /* of the run's workers */
    bool is_resumed;            /* a worker was here before, and died */
    bool is_ring_lost;          /* … and what it left makes no sense */
    struct ring_counts *counts; /* live: what is captured, for a successor; NULL: not counted */
    struct ring_counts before;  /* what was captured when we began */
};

/* 0 or -errno. 'producer' is copied, 'arguments' and 'fragments' are kept, not copied. */
int outlet_open(struct bus *bus, const struct arguments *arguments, const char *producer,
                struct fragment_table *fragments, struct outlet *outlet);
void outlet_close(struct outlet *outlet); /* a zeroed one as well */

/* Live: what a worker that died had captured and not sent becomes loss lines, exact; what was lost
 * with its ring, and with the frames that the kernel had for it, unknown. */
int outlet_declare_died(struct outlet *outlet, bool is_told_by_interface);

/* To its home shard, and copies of these kinds (PACKET_SHADOW, PACKET_LINK; 0: none) to all others.
 */
int outlet_add(struct outlet *outlet, struct packet *packet, uint32_t home, uint16_t copies);

int outlet_move_clock(struct outlet *outlet, int64_t next_ns);

/* Live: the clock goes on without packets. 'empty_ns': all that was stamped before this clock has
 * been read; the stream's stays two seconds behind, for what is stamped before it reaches a ring.
 */
int outlet_follow_clock(struct outlet *outlet, int64_t empty_ns);

/* The first worker tells of a step of the wall clock, and the trackers of what it is: again with
 * every call, for those that were started since. */
int outlet_tell_step(struct outlet *outlet, struct clock_watch *clock);

/* Does a change wait for the clock to move? */
bool outlet_is_waiting(const struct outlet *outlet);

/* Those that the stream's end finds waiting: after its last packet. */
int outlet_put_last_changes(struct outlet *outlet);

/* Sends every lane what it has, or at least how far the clock is. */
int outlet_send(struct outlet *outlet, bool end_of_stream);

/* Sends the lanes that have something. */
int outlet_send_gathered(struct outlet *outlet);

/* Sends the lanes that do not know how far the clock is. */
int outlet_tell_clock(struct outlet *outlet);

/* Is it so of every lane? */
bool outlet_is(const struct outlet *outlet, bool (*is_so)(const struct lane *lane));

size_t outlet_held_bytes(const struct outlet *outlet); /* of all lanes */
void outlet_flush(struct outlet *outlet);
void outlet_say_bye(struct outlet *outlet);

#endif
