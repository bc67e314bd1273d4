/* clock_watch: the wall clock, by which the kernel stamps packets, against one that never steps.
 *
 *     clock_watch_init(&watch, clock_reading_take, anchor_ns);
 *     clock_watch_look(&watch);                               once a turn of the loop
 *     clock_ns = clock_watch_of(&watch, packet_time_ns);      of its stream
 *     if (clock_watch_is_due(&watch)) {                       the clock has stepped
 *         clock_watch_tell(&watch, &loss);                    a line that says so
 *         … watch.told_step_ns to the trackers
 *     }
 *     clock_watch_note_empty(&watch);                         all that came before the look is read
 *
 * The stream's clock is the wall clock as it would be if it had not stepped since the run began: it
 * decides what is over, and an hour that somebody turns the clock is no hour of silence. A packet's
 * own time stays what the kernel said, and decides the slot that it is billed in.
 *
 *     step  = wall - steady - anchor            anchor: wall - steady when the run began
 *     clock = packet's time - step              never later than steady + anchor, which is now
 *
 * A packet from before a step is seen after it: then its clock would be in the future, or long ago,
 * and the step before gives one that is neither. Whatever a timestamp says, the clock is never
 * ahead of what has passed since the run began; so no connection ends early.
 *
 * All workers of a run, also those that are started again, have one anchor. Not thread-safe. */
#ifndef WANMETER_CAPTURE_CLOCK_WATCH_H
#define WANMETER_CAPTURE_CLOCK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock_reading.h"
#include "proto/record.h"

typedef void (*clock_read_fn)(struct clock_reading *reading);

struct clock_watch {
    clock_read_fn read;
    int64_t anchor_ns;
    int64_t step_ns;      /* since the run began, in all */
    int64_t before_ns;    /* the same before the last step */
    int64_t told_step_ns; /* what the trackers know of */
    bool has_told;
    int64_t now_ns;               /* the stream's clock can be no later */
    int64_t wall_ns;              /* at the last look */
    int64_t stepped_from_wall_ns; /* at the last look before the step that is to be told */
    int64_t empty_ns;             /* what was stamped before this clock has been read */
};

/* 'anchor_ns': wall - steady when the run began. */
void clock_watch_init(struct clock_watch *watch, clock_read_fn read, int64_t anchor_ns);

void clock_watch_look(struct clock_watch *watch);

int64_t clock_watch_of(struct clock_watch *watch, int64_t time_ns);

/* The ring had nothing more: packets stamped before the last look have all been read. */
static inline void clock_watch_note_empty(struct clock_watch *watch)
{
    watch->empty_ns = watch->now_ns;
}

/* Has the clock stepped by so much that it has to be told? */
bool clock_watch_is_due(const struct clock_watch *watch);

/* The line that tells of it: nothing is lost, so its amounts are 0. */
void clock_watch_tell(struct clock_watch *watch, struct loss *loss);

#endif
