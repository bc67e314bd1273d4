/* event_endpoint: where a daemon's event sockets are. */
#ifndef WANMETER_CLI_EVENT_ENDPOINT_H
#define WANMETER_CLI_EVENT_ENDPOINT_H

#include <stdbool.h>

#include "common/bus.h"

enum { EVENT_ENDPOINT_MAX = 255 };

struct event_endpoints {
    char events[EVENT_ENDPOINT_MAX + 1];
    char control[EVENT_ENDPOINT_MAX + 1]; /* "": not known: what is missed stays missed */
    struct bus_keys keys;                 /* of tcp; 'own' NULL: none */
};

/* The sockets in a run directory. */
void event_endpoints_in(const char *run_directory, struct event_endpoints *endpoints);

/* The one of a daemon that runs on this host: /run/wanmeter, or a run directory made below
 * $XDG_RUNTIME_DIR or /tmp. False: there is none that listens, or more than one, which is logged.
 */
bool event_endpoints_find(struct event_endpoints *endpoints);

/* The control socket beside an ipc event socket, if there is one that listens. */
void event_endpoints_find_control(struct event_endpoints *endpoints);

#endif
