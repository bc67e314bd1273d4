#include "proto/ring/ring_view.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/crc32c.h"

/* Where a copy goes on when what it reads is gone. */
struct copy {
    const uint8_t *from;
    size_t size;
    sigjmp_buf gone;
};

/* The copy that this thread makes now: a signal's handler is told of no state. */
static _Thread_local struct copy *volatile under_way;

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    struct copy *copy = under_way;
    uintptr_t into = (uintptr_t)info->si_addr - (copy ? (uintptr_t)copy->from : 0);
    if (copy && into < copy->size)
        siglongjmp(copy->gone, 1);
    signal(signal_number, SIG_DFL); /* nobody's: it happens again, and ends the process */
}

/* SA_NODEFER: leaving a handler by a jump leaves the signal's mask as it is. */
static int catch_bus_errors(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int ring_view_open(int descriptor, struct ring_view *view)
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    if (status.st_size <= 0)
        return -ENODATA;
    int result = catch_bus_errors();
    if (result < 0)
        return result;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *view = (struct ring_view){bytes, (size_t)status.st_size};
    return 0;
}

void ring_view_close(struct ring_view *view)
{
    if (view->bytes)
        munmap((void *)(uintptr_t)view->bytes, view->size);
    *view = (struct ring_view){0};
}

bool ring_view_copy(const struct ring_view *view, uint64_t offset, void *room, size_t size,
                    uint32_t *crc)
{
    if (offset > view->size || size > view->size - offset)
        return false;
    struct copy copy = {.from = view->bytes + offset, .size = size};
    if (sigsetjmp(copy.gone, 0) != 0) {
        under_way = NULL;
        return false;
    }
    under_way = &copy;
    atomic_signal_fence(memory_order_seq_cst);
    if (crc)
        *crc = crc32c_copy(*crc, copy.from, room, size);
    else
        memcpy(room, copy.from, size);
    atomic_signal_fence(memory_order_seq_cst);
    under_way = NULL;
    return true;
}
