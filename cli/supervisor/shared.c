#include "cli/supervisor/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"

static int share_config(const struct supervisor_plan *plan, struct shared *shared)
{
    shared->config = settings_share(plan->settings);
    if (shared->config >= 0)
        return 0;
    log_error("the configuration cannot be passed on: %s", strerror(-shared->config));
    return shared->config;
}

/* It outlives the workers, so that what they counted does. They give it its size. */
static int share_pages(struct shared *shared)
{
    shared->pages = memfd_create("wanmeter-interfaces", MFD_CLOEXEC);
    if (shared->pages >= 0)
        return 0;
    int error = errno;
    log_error("shared memory: %s", strerror(error));
    return -error;
}

int shared_open(const struct supervisor_plan *plan, struct shared *shared)
{
    *shared = (struct shared){.config = -1, .pages = -1};
    int result = share_config(plan, shared);
    return result == 0 && plan->n_files == 0 ? share_pages(shared) : result;
}

void shared_close(struct shared *shared)
{
    if (shared->config >= 0)
        close(shared->config);
    if (shared->pages >= 0)
        close(shared->pages);
    *shared = (struct shared){.config = -1, .pages = -1};
}
