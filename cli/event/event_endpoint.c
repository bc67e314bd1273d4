#include "cli/event/event_endpoint.h"

#include <stdio.h>
#include <string.h>

#include "cli/daemon.h"

static const char *const EVENTS_NAME = "events.sock";
static const char *const CONTROL_NAME = "control.sock";
static const char *const IPC = "ipc://";

void event_endpoints_in(const char *run_directory, struct event_endpoints *endpoints)
{
    snprintf(endpoints->events, sizeof endpoints->events, "%s%s/%s", IPC, run_directory,
             EVENTS_NAME);
    snprintf(endpoints->control, sizeof endpoints->control, "%s%s/%s", IPC, run_directory,
             CONTROL_NAME);
}

bool event_endpoints_find(struct event_endpoints *endpoints)
{
    char directory[DAEMON_PATH_MAX + 1];
    bool is_found = daemon_find(EVENTS_NAME, directory);
    if (is_found)
        event_endpoints_in(directory, endpoints);
    return is_found;
}

void event_endpoints_find_control(struct event_endpoints *endpoints)
{
    const char *slash = strrchr(endpoints->events, '/');
    if (strncmp(endpoints->events, IPC, strlen(IPC)) != 0 || endpoints->control[0] != '\0')
        return;
    int length = snprintf(endpoints->control, sizeof endpoints->control, "%.*s/%s",
                          (int)(slash - endpoints->events), endpoints->events, CONTROL_NAME);
    if (length > EVENT_ENDPOINT_MAX || !daemon_is_listening(endpoints->control + strlen(IPC)))
        endpoints->control[0] = '\0';
}
