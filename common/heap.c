#include "common/heap.h"

#include <malloc.h>

/* glibc refuses a larger threshold for mmap than 32 MiB: half of an arena's largest heap. */
enum {
    PAGES_THRESHOLD = 128 * 1024,
    MMAP_THRESHOLD_MAX = 32 * 1024 * 1024,
    TRIM_THRESHOLD = 1 << 30
};

void heap_one_pool(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, PAGES_THRESHOLD); /* else it grows with what is freed */
}

void heap_keep_pages(void)
{
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_MAX);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
}
