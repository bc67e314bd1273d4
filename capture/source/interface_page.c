#include "capture/source/interface_page.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum interface_stop { STOP_NOT, STOP_WRITING, STOP_WRITTEN };

int interface_pages_open(int descriptor, size_t n_sources, struct interface_pages *pages)
{
    size_t size = n_sources * sizeof(struct interface_page);
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)size) < 0)
        return -errno;
    int kind = descriptor >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, kind, descriptor, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *pages = (struct interface_pages){.pages = memory, .size = size};
    return 0;
}

void interface_pages_close(struct interface_pages *pages)
{
    if (pages->pages)
        munmap(pages->pages, pages->size);
    *pages = (struct interface_pages){0};
}

bool interface_page_has_all(const struct interface_page *page, size_t n_workers)
{
    for (size_t i = 0; i < n_workers; i++)
        if (!atomic_load(&page->slots[i].is_joined))
            return false;
    return true;
}

bool interface_page_sum(const struct interface_page *page, size_t n_workers, int64_t since_ms,
                        struct interface_sums *sums)
{
    bool is_quiet = true;
    *sums = (struct interface_sums){0};
    for (size_t i = 0; i < n_workers; i++) {
        const struct interface_slot *slot = &page->slots[i];
        is_quiet = is_quiet && atomic_load(&slot->empty_ms) >= since_ms;
        sums->packets += atomic_load(&slot->packets);
        sums->bytes += atomic_load(&slot->bytes);
        sums->dropped += atomic_load(&slot->dropped);
        sums->unclaimed += atomic_load(&slot->unclaimed);
    }
    return is_quiet;
}

bool interface_page_has_ended(const struct interface_page *page, size_t n_workers)
{
    for (size_t i = 0; i < n_workers; i++)
        if (!atomic_load(&page->slots[i].has_ended))
            return false;
    return true;
}

void interface_page_go_on(struct interface_page *page)
{
    atomic_store(&page->stop_state, STOP_NOT);
}

void interface_page_stop(struct interface_page *page, const struct interface_counters *counters)
{
    int expected = STOP_NOT;
    if (!atomic_compare_exchange_strong(&page->stop_state, &expected, STOP_WRITING))
        return;
    page->at_stop = *counters;
    atomic_store(&page->stop_state, STOP_WRITTEN);
}

bool interface_page_is_stopped(const struct interface_page *page,
                               struct interface_counters *counters)
{
    if (atomic_load(&page->stop_state) != STOP_WRITTEN)
        return false;
    *counters = page->at_stop;
    return true;
}
