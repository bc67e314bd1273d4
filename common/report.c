#include "common/report.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/file_room.h"

static_assert(sizeof(struct report_page) == 72 + REPORT_VALUES_MAX * 40,
              "the same for all readers");

static const char MAGIC[8] = {'w', 'm', 's', 't', 'a', 't', 'u', 's'};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The directory may be another user's, who can read the page then: nothing that is there already is
 * written through. */
static int create(const char *run_directory, const char *process)
{
    char path[256];
    struct stat directory;
    snprintf(path, sizeof path, "%s/" REPORT_PREFIX "%s", run_directory, process);
    unlink(path);
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (descriptor < 0)
        return -1;
    if (geteuid() == 0 && stat(run_directory, &directory) == 0 &&
        fchown(descriptor, directory.st_uid, directory.st_gid) < 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

void report_open(const char *run_directory, const char *process, struct report *report)
{
    *report = (struct report){0};
    sd_watchdog_enabled(0, &report->watchdog_us);
    int descriptor = create(run_directory, process);
    if (descriptor < 0)
        return;
    void *memory = MAP_FAILED;
    if (file_room_take(descriptor, sizeof(struct report_page)) == 0)
        memory = mmap(NULL, sizeof(struct report_page), PROT_READ | PROT_WRITE, MAP_SHARED,
                      descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED)
        return;
    report->page = memory;
    report->page->pid = getpid();
    report->page->uid = geteuid();
    report->page->started_ns = report->page->ticked_ns = now_ns();
    snprintf(report->page->process, sizeof report->page->process, "%s", process);
    memcpy(report->page->magic, MAGIC, sizeof MAGIC); /* last: now it is a page */
}

void report_close(struct report *report)
{
    if (report->page)
        munmap(report->page, sizeof *report->page);
    *report = (struct report){0};
}

void report_sandbox(struct report *report, const struct sandbox *sandbox)
{
    if (!report->page)
        return;
    report->page->uid = sandbox->uid;
    report->page->is_sandboxed = sandbox->mode != SANDBOX_OFF;
    report->page->is_filtered = sandbox->is_filtered;
    report->page->landlock_version = (uint8_t)sandbox->landlock_version;
}

void report_ready(struct report *report)
{
    if (report->page)
        report->page->is_ready = 1;
    sd_notify(0, "READY=1");
}

void report_value(struct report *report, const char *name, int64_t value)
{
    for (size_t i = 0; report->page && i < REPORT_VALUES_MAX; i++) {
        struct report_value *place = &report->page->values[i];
        if (place->name[0] != '\0' && strcmp(place->name, name) != 0)
            continue;
        if (place->name[0] == '\0')
            snprintf(place->name, sizeof place->name, "%s", name);
        __atomic_store_n(&place->value, value, __ATOMIC_RELAXED);
        return;
    }
}

void report_tick(struct report *report)
{
    if (report->page)
        __atomic_store_n(&report->page->ticked_ns, now_ns(), __ATOMIC_RELAXED);
    if (report->watchdog_us)
        sd_notify(0, "WATCHDOG=1");
}

bool report_read(const char *path, struct report_page *page)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat state;
    if (descriptor < 0)
        return false;
    bool is_page = fstat(descriptor, &state) == 0 && S_ISREG(state.st_mode) &&
                   pread(descriptor, page, sizeof *page, 0) == (ssize_t)sizeof *page &&
                   memcmp(page->magic, MAGIC, sizeof MAGIC) == 0;
    close(descriptor);
    page->process[REPORT_NAME_SIZE - 1] = '\0';
    for (size_t i = 0; i < REPORT_VALUES_MAX; i++)
        page->values[i].name[REPORT_NAME_SIZE - 1] = '\0';
    return is_page;
}
