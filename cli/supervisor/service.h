/* service: what systemd is told of a run, where it is a unit of Type=notify (sd_notify(3)).
 *
 *     service_open(&service, NULL);                               or "capture": of these processes
 *     service_turn(&service, run_directory, now_ns);      at service_due_ns() at the latest
 *     service_wait(&service, now_ns);                            instead, while there is no run
 *     service_stopping(&service);
 *
 * READY=1 when all processes have said that they are: then packets are captured. STATUS= says how
 * many run, and which one does not. A part of a run (joint.h) that waits for its beginning is ready
 * too: whoever starts all parts need not wait for one that cannot. WATCHDOG=1 says that the
 * supervisor goes on: it starts what dies again by itself, and a process that hangs is in the
 * status, and nobody's death. Without systemd nothing is done. Times are monotonic. */
#ifndef WANMETER_CLI_SERVICE_H
#define WANMETER_CLI_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct service {
    const char *role; /* of the processes that are told of; NULL: all */
    bool is_open;
    bool is_ready;
    bool is_stopping;
    int64_t interval_ns;
    int64_t due_ns;
    char status[128]; /* as told last */
};

void service_open(struct service *service, const char *role); /* borrowed */

/* INT64_MAX: never. */
int64_t service_due_ns(const struct service *service);
void service_turn(struct service *service, const char *run_directory, int64_t now_ns);
void service_wait(struct service *service, int64_t now_ns);
void service_stopping(struct service *service);

#endif
