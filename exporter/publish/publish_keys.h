/* publish_keys: the keys of the event sockets, where these are tcp.
 *
 *     publish_keys_open(&config, &keys);         before anything is given up: the file is root's or
 * ours bus_use_keys(bus, &keys.keys); publish_keys_close(&keys);                 after the bus */
#ifndef WANMETER_EXPORTER_PUBLISH_KEYS_H
#define WANMETER_EXPORTER_PUBLISH_KEYS_H

#include "common/bus.h"
#include "common/config.h"

struct publish_keys {
    struct bus_keys keys;
    struct bus_key own;
    struct bus_key *clients;
};

/* 0, also without keys, or -errno (logged). */
int publish_keys_open(const struct config *config, struct publish_keys *keys);
void publish_keys_close(struct publish_keys *keys);

#endif
