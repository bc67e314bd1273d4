#include "cli/supervisor/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/supervisor/run_directory.h"
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
static int share_pages(const char *run_directory, struct shared *shared)
{
    char path[RUN_DIRECTORY_PATH_MAX + 24];
    snprintf(path, sizeof path, "%s/" SHARED_PAGES_NAME, run_directory);
    shared->pages = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (shared->pages >= 0)
        return 0;
    int error = errno;
    log_error("%s: %s", path, strerror(error));
    return -error;
}

int shared_open(const struct supervisor_plan *plan, const char *run_directory,
                struct shared *shared)
{
    *shared = (struct shared){.config = -1, .pages = -1};
    bool is_capturing = plan->n_files == 0 && !plan->is_left &&
                        (plan->role == NULL || strcmp(plan->role, "capture") == 0);
    int result = share_config(plan, shared);
    return result == 0 && is_capturing ? share_pages(run_directory, shared) : result;
}

void shared_close(struct shared *shared)
{
    if (shared->config >= 0)
        close(shared->config);
    if (shared->pages >= 0)
        close(shared->pages);
    *shared = (struct shared){.config = -1, .pages = -1};
}
