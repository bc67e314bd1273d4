#include "tracker/connection_table/mapping.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

/* Of each end; what is between them costs a page fault each 2 MiB, not each 4 KiB. */
enum { SMALL_PAGES_SIZE = 4 * 1024 * 1024 };

int mapping_create(size_t size, void **memory)
{
    assert(size > 0);
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return -ENOMEM;
    /* A kernel without huge pages refuses: then the pages are small, nothing else changes. */
    if (size > 2 * SMALL_PAGES_SIZE)
        (void)madvise((uint8_t *)start + SMALL_PAGES_SIZE, size - 2 * SMALL_PAGES_SIZE,
                      MADV_HUGEPAGE);
    *memory = start;
    return 0;
}

void mapping_destroy(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}
