/* frame_way: a frame's way through the worker: decoded, its WAN, zone and ports found, tagged, and
 * put into the lane of its shard.
 *
 *     frame_way_open(&arguments, &outlet, &sums, &clock, &way);
 *     frame_way_add(&way, &frame);           each frame; a source_frame_fn
 *     frame_way_end(&way);                   the input is over: what waited for its ports goes on
 *     frame_way_close(&way);
 *
 * Outlet, sums and clock are the caller's and outlive it. Fragments wait for their datagram's first
 * one, and are put out by a later frame, or when the outlet's clock moves. Not thread-safe. */
#ifndef WANMETER_CAPTURE_FRAME_WAY_H
#define WANMETER_CAPTURE_FRAME_WAY_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/clock_watch.h"
#include "capture/control_packets.h"
#include "capture/decode.h"
#include "capture/fingerprint.h"
#include "capture/fragment.h"
#include "capture/link_packets.h"
#include "capture/outlet.h"
#include "capture/source_sums.h"
#include "capture/wan.h"
#include "capture/zone_rule.h"
#include "common/arguments.h"
#include "proto/rss.h"

struct frame_way {
    struct decoder decoder;
    struct wan_table *wans;
    struct zone_rules *zone_rules;   /* NULL: none */
    struct control_packets *control; /* NULL: no helpers */
    struct link_packets *links;      /* NULL: no WAN compresses headers */
    bool has_fingerprints;           /* copies of a packet are looked for */
    bool asks_more;                  /* any of these: of a packet more than itself is wanted */
    struct fingerprint fingerprint;
    struct fragment_table *fragments;
    struct rss rss;
    unsigned n_shards;
    struct outlet *outlet;
    struct source_sums *sums;
    struct clock_watch *clock; /* NULL: frames of files have their own */
    uint64_t n_frames;
    int result; /* 0, or what the outlet failed with: packets are missing */
};

/* 0; -EINVAL: the key is none (told); -ENOMEM. To be closed in any case. */
int frame_way_open(const struct arguments *arguments, struct outlet *outlet,
                   struct source_sums *sums, struct clock_watch *clock, struct frame_way *way);
void frame_way_close(struct frame_way *way); /* a zeroed one as well */

void frame_way_add(void *way, const struct frame *frame);
void frame_way_end(struct frame_way *way);

#endif
