#include "capture/source_sums.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int source_sums_open(const struct arguments *arguments, struct source_sums *sums)
{
    *sums = (struct source_sums){
        .first_source = arguments->first_source,
        .interface = arguments->interface,
        .n_sources_max = arguments->n_files + 1,
    };
    sums->carrier_bytes = calloc(sums->n_sources_max, sizeof *sums->carrier_bytes);
    return sums->carrier_bytes ? 0 : -ENOMEM;
}

void source_sums_close(struct source_sums *sums)
{
    free(sums->carrier_bytes);
    *sums = (struct source_sums){0};
}

void source_sums_add(struct source_sums *sums, struct ring_counts *counts,
                     const struct frame *frame, const struct packet *packet)
{
    uint64_t carrier_bytes = frame->wire_bytes - packet->l2_bytes;
    sums->carrier_bytes[frame->source_index - sums->first_source] += carrier_bytes;
    if (!counts)
        return;
    counts->captured.packets++;
    counts->captured.l2_bytes += packet->l2_bytes;
    counts->captured.l3_bytes += packet->l3_bytes;
    counts->carrier_bytes += carrier_bytes;
    counts->last_ns = packet->time_ns;
    if (counts->first_ns == 0)
        counts->first_ns = packet->time_ns;
}

static void add_before(const struct ring_counts *before, struct source_total *total)
{
    total->packets += before->captured.packets;
    total->l2_bytes += before->captured.l2_bytes + before->carrier_bytes;
    total->carrier_bytes += before->carrier_bytes;
    if (before->first_ns)
        total->first_ns = before->first_ns;
    if (before->last_ns > total->last_ns)
        total->last_ns = before->last_ns;
}

int source_sums_tell(const struct source_sums *sums, const struct source *source,
                     const struct ring_counts *before, struct lane *lane)
{
    struct source_total *totals = calloc(sums->n_sources_max, sizeof *totals);
    if (!totals)
        return -ENOMEM;
    size_t n = source ? source_totals(source, totals, sums->n_sources_max) : 0;
    if (!source && sums->interface) {
        snprintf(totals[0].name, sizeof totals[0].name, "%s", sums->interface);
        totals[0].source_index = sums->first_source;
        n = 1;
    }
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        totals[i].carrier_bytes = sums->carrier_bytes[i];
        if (before)
            add_before(before, &totals[i]);
        result = lane_add_source(lane, &totals[i]);
    }
    free(totals);
    return result;
}

void source_sums_show(const struct source *source, uint64_t n_frames, int descriptor)
{
    struct {
        uint64_t done_bytes, all_bytes, n_frames;
    } progress = {.n_frames = n_frames};
    source_progress(source, &progress.done_bytes, &progress.all_bytes);
    ssize_t written = write(descriptor, &progress, sizeof progress);
    (void)written; /* nobody looks any more: no harm */
}
