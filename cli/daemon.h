/* daemon: where one runs on this host.
 *
 *     if (daemon_find("ct-0.sock", directory)) … directory …
 *     daemon_is_listening("/run/wanmeter/ct-0.sock") */
#ifndef WANMETER_CLI_DAEMON_H
#define WANMETER_CLI_DAEMON_H

#include <stdbool.h>

enum { DAEMON_PATH_MAX = 255 };

/* The run directory of the one daemon that listens on a socket of this name: /run/wanmeter, or a
 * directory made below XDG_RUNTIME_DIR or /tmp. False: there is none, or (logged) more than one. */
bool daemon_find(const char *socket_name, char directory[DAEMON_PATH_MAX + 1]);

/* A socket file stays behind when its process is killed: only one that accepts is alive. */
bool daemon_is_listening(const char *path);

#endif
