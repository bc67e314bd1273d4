/* report: what a process says of itself while it runs: to `wanmeter status`, by a page in the run
 * directory that can be read also when the process hangs or is gone; and to systemd, if that
 * started it.
 *
 *     report_open(run_directory, "tracker-0", &report);           "RUN_DIRECTORY/status-tracker-0"
 *     report_sandbox(&report, &sandbox);
 *     report_ready(&report);                                      READY=1
 *     report_value(&report, "flows", n);                          before each
 *     report_tick(&report);                                       a few times a second: WATCHDOG=1
 *     report_close(&report);
 *
 * For who reads: report_read(path, &page). A process that has not ticked for seconds hangs, or was
 * stopped. Whatever goes wrong is not told: nothing depends on it, and a report that is not open
 * takes all calls. Times of the page are of CLOCK_MONOTONIC, which all processes of a host share.
 */
#ifndef WANMETER_COMMON_REPORT_H
#define WANMETER_COMMON_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/sandbox.h"

enum { REPORT_NAME_SIZE = 32, REPORT_VALUES_MAX = 24 };

#define REPORT_PREFIX "status-"

struct report_value {
    char name[REPORT_NAME_SIZE]; /* "": no more */
    int64_t value;
};

/* Written in place: a reader may see some values of one tick and some of the next. */
struct report_page {
    char magic[8]; /* "wmstatus" */
    char process[REPORT_NAME_SIZE];
    int32_t pid;
    uint32_t uid;
    int64_t started_ns;
    int64_t ticked_ns;
    uint8_t is_ready;
    uint8_t is_sandboxed; /* security.sandbox is not off */
    uint8_t is_filtered;
    uint8_t landlock_version;
    uint8_t padding[4];
    struct report_value values[REPORT_VALUES_MAX];
};

struct report {
    struct report_page *page; /* NULL: not open */
    uint64_t watchdog_us;     /* systemd wants to hear of us this often; 0: not */
};

void report_open(const char *run_directory, const char *process, struct report *report);
void report_close(struct report *report);
void report_sandbox(struct report *report, const struct sandbox *sandbox);
void report_ready(struct report *report);
void report_value(struct report *report, const char *name, int64_t value);
void report_tick(struct report *report);

/* A copy of the page at 'path', its texts ended. False: it is none. */
bool report_read(const char *path, struct report_page *page);

#endif
