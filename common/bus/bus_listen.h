/* bus_listen: socket files that are made before somebody needs them. The bus's own.
 *
 *     bus_listen_open(&listeners, "/run/wanmeter/exporter.sock");
 *     descriptor = bus_listen_take(&listeners, path);             -1: none; whose it is from now on
 *     bus_listen_close(listeners);                                those that nobody took
 *
 * Whoever gets to the file may connect: the directory's mode and the gate decide about that. */
#ifndef WANMETER_COMMON_BUS_LISTEN_H
#define WANMETER_COMMON_BUS_LISTEN_H

struct bus_listener;

/* What is at 'path' is removed first. 0 or -errno. */
int bus_listen_open(struct bus_listener **listeners, const char *path);
int bus_listen_take(struct bus_listener **listeners, const char *path);
void bus_listen_close(struct bus_listener *listeners);

#endif
