/* interface_watch: a worker's part in watching what its interface counts (interface_ledger.h), of
 * which there is one for all its workers (interface_page.h).
 *
 *     interface_watch_open(&watch, config, place);
 *     if (interface_watch_has_all(&watch)) …                    all workers have joined
 *     interface_watch_begin(&watch, &before, &after);           around the opening of the filter
 *     interface_watch_count(&watch, &sums);                     now and then: what we have
 *     if (interface_watch_is_cut_by(&watch, time_ns)) interface_watch_cut(&watch, &sums);
 *     while (interface_watch_next(&watch, &loss)) …             about once a second
 *     interface_watch_stop(&watch);                             before the filter is shut
 *     while (interface_watch_last(&watch, &loss)) …
 *     interface_watch_close(&watch);
 *
 * Only the interface's first worker has lines to tell. Not thread-safe. */
#ifndef WANMETER_CAPTURE_INTERFACE_WATCH_H
#define WANMETER_CAPTURE_INTERFACE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/source.h"
#include "capture/source/interface_page.h"

/* Up to which packet the interface's counters were read: those of one ring come in order. */
struct interface_cut {
    bool is_under_way;
    bool is_done;
    int64_t wall_ns;
    int64_t began_ms;
    struct interface_counters counters;
    struct interface_sums sums;
};

struct interface_watch {
    struct interface_pages pages;
    struct interface_page *page;
    struct interface_slot *slot;
    struct interface_counters_reader reader;
    char *interface;
    size_t worker; /* of the interface's */
    size_t n_workers;
    bool is_dedicated;
    bool is_stopped;
    struct interface_sums before; /* of the workers that had this place */
    struct interface_cut cut;
    struct interface_counters seen; /* at the last look */
    int64_t seen_ms;                /* since then they have been the same */
};

int64_t interface_watch_now_ms(void); /* monotonic, coarse */

/* 0 or -errno: the shared memory. An interface without counters ("any") is watched without them. */
int interface_watch_open(struct interface_watch *watch, const struct config *config,
                         const struct source_place *place);
void interface_watch_close(struct interface_watch *watch); /* a zeroed one as well */

/* This worker gets its share of the packets from now on, if its filter lets them in. */
void interface_watch_join(struct interface_watch *watch);
bool interface_watch_has_all(const struct interface_watch *watch);

/* What the interface has counted; false: not known. */
bool interface_watch_read(struct interface_watch *watch, struct interface_counters *counters);

/* Of the first worker, unless one before it has begun. */
void interface_watch_begin(struct interface_watch *watch, const struct interface_counters *before,
                           const struct interface_counters *after);

/* A packet more: whoever takes our place after a crash knows of it at once. */
static inline void interface_watch_count_packet(struct interface_watch *watch, uint64_t bytes)
{
    struct interface_slot *slot = watch->slot; /* nobody else writes it */
    uint64_t packets = atomic_load_explicit(&slot->packets, memory_order_relaxed);
    uint64_t all_bytes = atomic_load_explicit(&slot->bytes, memory_order_relaxed);
    atomic_store_explicit(&slot->packets, packets + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->bytes, all_bytes + bytes, memory_order_relaxed);
}

/* What this worker has captured, and its ring dropped, since it began. */
void interface_watch_count(struct interface_watch *watch, const struct interface_sums *own);

/* The same, with the ring empty. */
void interface_watch_count_empty(struct interface_watch *watch, const struct interface_sums *own);

/* Has a packet of this time come after the interface's counters were read? Then, before it is
 * counted: */
static inline bool interface_watch_is_cut_by(const struct interface_watch *watch, int64_t time_ns)
{
    return watch->cut.is_under_way && time_ns > watch->cut.wall_ns;
}
void interface_watch_cut(struct interface_watch *watch, const struct interface_sums *own);

bool interface_watch_next(struct interface_watch *watch, struct loss *loss);

void interface_watch_stop(struct interface_watch *watch);

/* This worker has given everything. */
void interface_watch_end(struct interface_watch *watch);
bool interface_watch_has_ended(const struct interface_watch *watch); /* all have */
bool interface_watch_last(struct interface_watch *watch, struct loss *loss);

#endif
