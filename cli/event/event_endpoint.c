#include "cli/event/event_endpoint.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

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

/* A socket file stays behind when its process is killed: only one that accepts is alive. */
static bool is_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool is_accepted = connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0;
    close(descriptor);
    return is_accepted;
}

/* Counts the live ones among the sockets of a pattern; the last one found stays in 'endpoints'. */
static unsigned find_in(const char *pattern, struct event_endpoints *endpoints)
{
    glob_t found;
    unsigned n = 0;
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];
        if (!is_listening(path))
            continue;
        n++;
        *strrchr(path, '/') = '\0';
        event_endpoints_in(path, endpoints);
    }
    globfree(&found);
    return n;
}

bool event_endpoints_find(struct event_endpoints *endpoints)
{
    char pattern[EVENT_ENDPOINT_MAX + 1];
    const char *own = getenv("XDG_RUNTIME_DIR");
    unsigned n = find_in("/run/wanmeter/events.sock", endpoints);
    if (n == 0) {
        n = find_in("/tmp/wanmeter-*/events.sock", endpoints);
        int length = snprintf(pattern, sizeof pattern, "%s/wanmeter-*/%s", own != NULL ? own : "",
                              EVENTS_NAME);
        if (own != NULL && length < (int)sizeof pattern && strcmp(own, "/tmp") != 0)
            n += find_in(pattern, endpoints);
    }
    if (n > 1)
        log_error("%u daemons run here: --run-directory or --endpoint says which one", n);
    return n == 1;
}

void event_endpoints_find_control(struct event_endpoints *endpoints)
{
    const char *slash = strrchr(endpoints->events, '/');
    if (strncmp(endpoints->events, IPC, strlen(IPC)) != 0 || endpoints->control[0] != '\0')
        return;
    int length = snprintf(endpoints->control, sizeof endpoints->control, "%.*s/%s",
                          (int)(slash - endpoints->events), endpoints->events, CONTROL_NAME);
    if (length > EVENT_ENDPOINT_MAX || !is_listening(endpoints->control + strlen(IPC)))
        endpoints->control[0] = '\0';
}
