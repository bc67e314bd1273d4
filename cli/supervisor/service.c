#include "cli/supervisor/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "cli/status/process_state.h"

static const int64_t NS_PER_US = 1000;
static const int64_t INTERVAL_NS = 500000000;

void service_open(struct service *service, const char *role)
{
    uint64_t watchdog_us = 0;
    *service = (struct service){
        .role = role, .is_open = getenv("NOTIFY_SOCKET") != NULL, .interval_ns = INTERVAL_NS};
    if (sd_watchdog_enabled(0, &watchdog_us) > 0 &&
        (int64_t)watchdog_us / 2 * NS_PER_US < INTERVAL_NS)
        service->interval_ns = (int64_t)watchdog_us / 2 * NS_PER_US;
}

int64_t service_due_ns(const struct service *service)
{
    return service->is_open ? service->due_ns : INT64_MAX;
}

/* "3 processes run", or which one does not. True: all do. */
static bool describe(const char *run_directory, const char *role, char *text, size_t size)
{
    static struct process_state states[PROCESS_STATES_MAX];
    size_t n_all = process_states_read(run_directory, states), n = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (role != NULL && strncmp(states[i].name, role, strlen(role)) != 0)
            continue;
        n++;
        if (!process_state_is_well(&states[i])) {
            snprintf(text, size, "%.31s: %.15s", states[i].name, states[i].state);
            return false;
        }
    }
    snprintf(text, size, n == 1 ? "%zu process runs" : "%zu processes run", n);
    return n > 0;
}

static bool is_due(struct service *service, int64_t now_ns)
{
    if (!service->is_open || now_ns < service->due_ns)
        return false;
    service->due_ns = now_ns + service->interval_ns;
    return true;
}

static void tell(struct service *service, bool is_ready, const char *status)
{
    if (!service->is_stopping && strcmp(status, service->status) != 0) {
        sd_notifyf(0, "STATUS=%s", status);
        snprintf(service->status, sizeof service->status, "%s", status);
    }
    if (is_ready && !service->is_ready) {
        service->is_ready = true;
        sd_notify(0, "READY=1");
    }
    sd_notify(0, "WATCHDOG=1");
}

void service_turn(struct service *service, const char *run_directory, int64_t now_ns)
{
    char status[sizeof service->status];
    if (!is_due(service, now_ns))
        return;
    bool are_well = describe(run_directory, service->role, status, sizeof status);
    tell(service, are_well, status);
}

void service_wait(struct service *service, int64_t now_ns)
{
    if (is_due(service, now_ns))
        tell(service, true, "waiting for the exporter to begin a run");
}

void service_stopping(struct service *service)
{
    service->is_stopping = true;
    sd_notify(0, "STOPPING=1\nSTATUS=what was captured goes into the database");
}
