/* run_directory: where the processes of one run have their sockets.
 *
 *     run_directory_open(config.run_directory, NULL, &directory);     "": a new one of its own
 *     run_directory_give(&directory, &config);
 *     … directory.path …
 *     run_directory_clear(&directory, "tracker"); into a run, and out of it: of one role
 *     run_directory_close(&directory);            sockets, locks, and if made here the directory
 *                                                 itself are gone
 *
 * A lock file keeps a second run out of a directory that is in use; what a killed run left in it is
 * removed at opening. A supervisor of one role ("capture") shares the directory with those of the
 * other roles: it has a lock of its own ("lock-capture"), and removes what its processes make only
 * while it is in the run: before, the exporter's may have processes of every role there.
 * Mode 0750. Not thread-safe. */
#ifndef WANMETER_CLI_RUN_DIRECTORY_H
#define WANMETER_CLI_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"

/* A socket's path has at most 107 bytes (unix(7)); names in the directory are below 24. */
enum { RUN_DIRECTORY_PATH_MAX = 80 };

struct run_directory {
    char path[RUN_DIRECTORY_PATH_MAX + 1];
    const char *role; /* NULL: all */
    int lock;         /* descriptor; -1: not open */
    int role_lock;
    bool is_made_here;
};

/* 0, or -errno, which is logged: -EWOULDBLOCK: another run has it; -ENAMETOOLONG. 'role' is
 * borrowed. */
int run_directory_open(const char *wanted, const char *role, struct run_directory *directory);

/* The file that a role's supervisor has locked. */
void run_directory_lock_path(const char *path, const char *role, char *lock_path, size_t size);

/* Makes it the property of whom the processes become by 'config'. A directory that was there before
 * is given away only if it is empty, and root's alone. 0 or -errno (logged). */
int run_directory_give(const struct run_directory *directory, const struct config *config);

/* Removes the sockets and reports of that role's processes; NULL: of all. */
void run_directory_clear(const struct run_directory *directory, const char *role);

void run_directory_close(struct run_directory *directory);

#endif
