/* One exporter a database: flock() on a file beside it. The database itself will not do: SQLite
 * holds POSIX locks on it, and closing any other descriptor of it would drop them. */
#include "exporter/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The holder before us may have removed the file between our open() and our flock(): then what we
 * hold is a lock on a file that nobody else can find. */
static bool is_at_path(int descriptor, const char *path)
{
    struct stat held, found;
    return fstat(descriptor, &held) == 0 && stat(path, &found) == 0 &&
           held.st_ino == found.st_ino && held.st_dev == found.st_dev;
}

int store_lock(struct store *store)
{
    for (;;) {
        int descriptor = open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor < 0)
            return store_fail(store, -errno, "%s: cannot make the lock file %s: %s", store->path,
                              store->lock_path, strerror(errno));
        if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
            int result = errno == EWOULDBLOCK ? -EBUSY : -errno;
            close(descriptor);
            return store_fail(store, result, "%s: %s", store->path,
                              result == -EBUSY ? "another wanmeter exporter is writing to it"
                                               : strerror(-result));
        }
        if (is_at_path(descriptor, store->lock_path)) {
            store->lock_descriptor = descriptor;
            return 0;
        }
        close(descriptor);
    }
}

void store_unlock(struct store *store)
{
    if (store->lock_descriptor < 0)
        return;
    unlink(store->lock_path);
    close(store->lock_descriptor);
    store->lock_descriptor = -1;
}
