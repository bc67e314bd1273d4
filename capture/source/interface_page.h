/* interface_page: what the workers of a run know of each other's interfaces, in shared memory.
 *
 *     interface_pages_open(descriptor, n_sources, &pages);
 *     page = interface_pages_of(&pages, source_index);
 *     atomic_store(&slot->is_joined, true); … interface_page_has_all(page, n)
 *     interface_pages_close(&pages);
 *
 * The memory is a file that the supervisor has opened in the run directory, so that it survives a
 * worker, and all of them together: a successor goes on with the sums of the one before it. Without
 * a descriptor it is this process's own.
 *
 * Each worker writes its own slot; the interface's first worker has the ledger. Sums are written
 * before the moment at which the ring was empty, so whoever sees the moment sees the sums. */
#ifndef WANMETER_CAPTURE_INTERFACE_PAGE_H
#define WANMETER_CAPTURE_INTERFACE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/source/interface_ledger.h"

enum { INTERFACE_WORKERS_MAX = 64 };

struct interface_slot {
    _Alignas(64) _Atomic uint64_t packets;
    _Atomic uint64_t bytes;
    _Atomic uint64_t dropped;
    _Atomic uint64_t unclaimed;
    _Atomic int64_t empty_ms; /* monotonic: the ring was empty then */
    _Atomic bool is_joined;
    _Atomic bool has_ended;
};

struct interface_page {
    struct interface_ledger ledger;
    _Atomic int stop_state; /* enum interface_stop */
    struct interface_counters at_stop;
    struct interface_slot slots[INTERFACE_WORKERS_MAX];
};

struct interface_pages {
    struct interface_page *pages; /* one for each source */
    size_t size;
};

/* 'descriptor': of the supervisor's memory, which gets its size here; -1: there is none. 0 or
 * -errno. */
int interface_pages_open(int descriptor, size_t n_sources, struct interface_pages *pages);
void interface_pages_close(struct interface_pages *pages); /* a zeroed one as well */

bool interface_page_has_all(const struct interface_page *page, size_t n_workers);

/* The sums of all slots; false: some worker's ring was not seen empty at 'since_ms' or later. */
bool interface_page_sum(const struct interface_page *page, size_t n_workers, int64_t since_ms,
                        struct interface_sums *sums);

/* Have all workers given everything? */
bool interface_page_has_ended(const struct interface_page *page, size_t n_workers);

/* A worker begins: those that were told to stop before were killed before they had. */
void interface_page_go_on(struct interface_page *page);

/* What the interface had counted when the first of its workers was told to stop: the first call
 * counts. */
void interface_page_stop(struct interface_page *page, const struct interface_counters *counters);
bool interface_page_is_stopped(const struct interface_page *page,
                               struct interface_counters *counters);

#endif
