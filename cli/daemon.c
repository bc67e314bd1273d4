#include "cli/daemon.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

bool daemon_is_listening(const char *path)
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

/* Counts the live ones among the sockets "PARENT/NAME"; the last one's folder stays in 'directory'.
 */
static unsigned find_in(const char *parent, const char *name, char directory[DAEMON_PATH_MAX + 1])
{
    char pattern[2 * DAEMON_PATH_MAX];
    if (snprintf(pattern, sizeof pattern, "%s/%s", parent, name) >= (int)sizeof pattern)
        return 0;
    glob_t found;
    unsigned n = 0;
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];
        if (strlen(path) > DAEMON_PATH_MAX || !daemon_is_listening(path))
            continue;
        n++;
        *strrchr(path, '/') = '\0';
        memcpy(directory, path, strlen(path) + 1);
    }
    globfree(&found);
    return n;
}

bool daemon_find(const char *socket_name, char directory[DAEMON_PATH_MAX + 1])
{
    char parent[DAEMON_PATH_MAX + 1];
    const char *own = getenv("XDG_RUNTIME_DIR");
    unsigned n = find_in("/run/wanmeter", socket_name, directory);
    if (n == 0) {
        n = find_in("/tmp/wanmeter-*", socket_name, directory);
        int length = snprintf(parent, sizeof parent, "%s/wanmeter-*", own != NULL ? own : "");
        if (own != NULL && length < (int)sizeof parent && strcmp(own, "/tmp") != 0)
            n += find_in(parent, socket_name, directory);
    }
    if (n > 1)
        log_error("%u daemons run here: --run-directory says which one", n);
    return n == 1;
}
