#include "common/bus/bus_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 100 };

struct bus_listener {
    struct bus_listener *next;
    int descriptor;
    struct sockaddr_un address;
};

/* bind() makes the file or fails: it follows no link that somebody put there. */
static int listen_at(struct bus_listener *listener)
{
    listener->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->descriptor < 0)
        return -errno;
    unlink(listener->address.sun_path);
    mode_t mask = umask(0);
    int result = bind(listener->descriptor, (struct sockaddr *)&listener->address,
                      sizeof listener->address) < 0
                     ? -errno
                     : 0;
    umask(mask);
    return result == 0 && listen(listener->descriptor, BACKLOG) < 0 ? -errno : result;
}

int bus_listen_open(struct bus_listener **listeners, const char *path)
{
    struct bus_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return -ENOMEM;
    listener->descriptor = -1;
    listener->address.sun_family = AF_UNIX;
    int result = -ENAMETOOLONG;
    if (strlen(path) < sizeof listener->address.sun_path) {
        memcpy(listener->address.sun_path, path, strlen(path) + 1);
        result = listen_at(listener);
    }
    listener->next = *listeners;
    *listeners = listener; /* also one that failed: it is closed with them */
    return result;
}

int bus_listen_take(struct bus_listener **listeners, const char *path)
{
    for (struct bus_listener **at = listeners; *at; at = &(*at)->next) {
        struct bus_listener *listener = *at;
        if (strcmp(listener->address.sun_path, path) != 0)
            continue;
        int descriptor = listener->descriptor;
        *at = listener->next;
        free(listener);
        return descriptor;
    }
    return -1;
}

void bus_listen_close(struct bus_listener *listeners)
{
    while (listeners) {
        struct bus_listener *listener = listeners;
        listeners = listener->next;
        if (listener->descriptor >= 0)
            close(listener->descriptor);
        unlink(listener->address.sun_path);
        free(listener);
    }
}
