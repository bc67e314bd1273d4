#include "capture/source/interface_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/source/live_socket.h"

enum { QUIET_MS = 5 * LIVE_BLOCK_TIMEOUT_MS };

int64_t interface_watch_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- open, close, join ---- */

int interface_watch_open(struct interface_watch *watch, const struct config *config,
                         const struct source_place *place)
{
    *watch = (struct interface_watch){
        .interface = strdup(place->source->interface),
        .worker = place->worker,
        .n_workers = (size_t)place->source->workers,
        .is_dedicated = place->source->is_dedicated,
    };
    if (!watch->interface)
        return -ENOMEM;
    int result = interface_pages_open(place->pages_descriptor, config->n_sources, &watch->pages);
    if (result < 0)
        return result;
    watch->page = &watch->pages.pages[place->source - config->sources];
    watch->slot = &watch->page->slots[place->worker];
    interface_page_go_on(watch->page);
    watch->before = (struct interface_sums){
        .packets = atomic_load(&watch->slot->packets),
        .bytes = atomic_load(&watch->slot->bytes),
        .dropped = atomic_load(&watch->slot->dropped),
        .unclaimed = atomic_load(&watch->slot->unclaimed),
    };
    atomic_store(&watch->slot->has_ended, false);
    (void)interface_counters_open(watch->interface, &watch->reader);
    return 0;
}

void interface_watch_close(struct interface_watch *watch)
{
    interface_counters_close(&watch->reader);
    interface_pages_close(&watch->pages);
    free(watch->interface);
    *watch = (struct interface_watch){0};
}

void interface_watch_join(struct interface_watch *watch)
{
    atomic_store(&watch->slot->is_joined, true);
}

bool interface_watch_has_all(const struct interface_watch *watch)
{
    return interface_page_has_all(watch->page, watch->n_workers);
}

bool interface_watch_read(struct interface_watch *watch, struct interface_counters *counters)
{
    return interface_counters_read(&watch->reader, counters) == 0;
}

void interface_watch_begin(struct interface_watch *watch, const struct interface_counters *before,
                           const struct interface_counters *after)
{
    if (watch->worker == 0 && !watch->page->ledger.has_begun)
        interface_ledger_begin(&watch->page->ledger, before, after, wall_ns());
}

/* ---- what this worker has, for all to see ---- */

static struct interface_sums all_of(const struct interface_watch *watch,
                                    const struct interface_sums *own)
{
    return (struct interface_sums){
        .packets = watch->before.packets + own->packets,
        .bytes = watch->before.bytes + own->bytes,
        .dropped = watch->before.dropped + own->dropped,
        .unclaimed = watch->before.unclaimed + own->unclaimed,
    };
}

void interface_watch_count(struct interface_watch *watch, const struct interface_sums *own)
{
    struct interface_sums sums = all_of(watch, own);
    atomic_store(&watch->slot->packets, sums.packets);
    atomic_store(&watch->slot->bytes, sums.bytes);
    atomic_store(&watch->slot->dropped, sums.dropped);
    atomic_store(&watch->slot->unclaimed, sums.unclaimed);
}

void interface_watch_count_empty(struct interface_watch *watch, const struct interface_sums *own)
{
    int64_t now_ms = interface_watch_now_ms();
    interface_watch_count(watch, own);
    atomic_store(&watch->slot->empty_ms, now_ms);
    if (watch->cut.is_under_way && now_ms - watch->cut.began_ms > QUIET_MS)
        interface_watch_cut(watch, own);
}

/* ---- looking ---- */

/* One ring gives its packets in order: counted up to this moment by their timestamps. */
static void begin_cut(struct interface_watch *watch)
{
    struct interface_cut *cut = &watch->cut;
    if (watch->n_workers > 1 || !watch->is_dedicated || cut->is_under_way ||
        !interface_watch_read(watch, &cut->counters))
        return;
    cut->wall_ns = wall_ns();
    cut->began_ms = interface_watch_now_ms();
    cut->is_under_way = true;
}

void interface_watch_cut(struct interface_watch *watch, const struct interface_sums *own)
{
    watch->cut.sums = all_of(watch, own);
    watch->cut.is_under_way = false;
    watch->cut.is_done = true;
}

/* Counters and sums of one moment, if there is one. */
static void look(struct interface_watch *watch, struct interface_view *view)
{
    *view = (struct interface_view){.wall_ns = wall_ns(),
                                    .now_ms = interface_watch_now_ms(),
                                    .is_dedicated = watch->is_dedicated};
    if (watch->cut.is_done) {
        view->counters = watch->cut.counters;
        view->sums = watch->cut.sums;
        view->moment = MOMENT_CUT;
        watch->cut.is_done = false;
        return;
    }
    view->counters = watch->seen;
    (void)interface_watch_read(watch, &view->counters);
    if (view->counters.packets != watch->seen.packets)
        watch->seen_ms = view->now_ms;
    watch->seen = view->counters;
    bool is_quiet =
        interface_page_sum(watch->page, watch->n_workers, watch->seen_ms + QUIET_MS, &view->sums);
    view->moment = is_quiet ? MOMENT_QUIET : MOMENT_OTHER;
}

bool interface_watch_next(struct interface_watch *watch, struct loss *loss)
{
    struct interface_view view;
    if (watch->worker != 0 || watch->is_stopped || !watch->page->ledger.has_begun)
        return false;
    look(watch, &view);
    bool is_found = interface_ledger_next(&watch->page->ledger, watch->interface, &view, loss);
    begin_cut(watch);
    return is_found;
}

/* ---- the end ---- */

void interface_watch_stop(struct interface_watch *watch)
{
    struct interface_counters counters;
    watch->is_stopped = true;
    watch->cut = (struct interface_cut){0};
    if (interface_watch_read(watch, &counters))
        interface_page_stop(watch->page, &counters);
}

void interface_watch_end(struct interface_watch *watch)
{
    atomic_store(&watch->slot->has_ended, true);
}

bool interface_watch_has_ended(const struct interface_watch *watch)
{
    return interface_page_has_ended(watch->page, watch->n_workers);
}

/* All that came before the first worker was told to stop is captured or missing. What came while
 * they stopped is partly captured: its bytes make those of what is missing an upper bound. */
bool interface_watch_last(struct interface_watch *watch, struct loss *loss)
{
    struct interface_ledger *ledger = &watch->page->ledger;
    struct interface_view view = {.wall_ns = wall_ns(),
                                  .now_ms = interface_watch_now_ms(),
                                  .is_dedicated = watch->is_dedicated,
                                  .is_last = true,
                                  .moment = MOMENT_QUIET};
    if (watch->worker != 0 || !ledger->has_begun ||
        !interface_page_is_stopped(watch->page, &view.counters))
        return false;
    interface_page_sum(watch->page, watch->n_workers, 0, &view.sums);
    if (view.sums.packets + view.sums.dropped > view.counters.packets - ledger->begun.packets) {
        view.moment = MOMENT_OTHER;
        (void)interface_watch_read(watch, &view.counters);
    }
    return interface_ledger_next(ledger, watch->interface, &view, loss);
}
