/* run_directory: where the processes of one run have their sockets.
 *
 *     run_directory_open(config.run_directory, &directory);   "": a new one of its own
 *     run_directory_give(&directory, &config);
 *     … directory.path …
 *     run_directory_close(&directory, is_failed);             sockets, rings, lock, and if made
 * here the directory itself are gone
 *
 * A lock file keeps a second run out of a directory that is in use; what a killed run left in it is
 * removed at opening. Mode 0750. Not thread-safe. */
#ifndef WANMETER_CLI_RUN_DIRECTORY_H
#define WANMETER_CLI_RUN_DIRECTORY_H

#include <stdbool.h>

#include "common/config.h"

/* A socket's path has at most 107 bytes (unix(7)); names in the directory are below 24. */
enum { RUN_DIRECTORY_PATH_MAX = 80 };

struct run_directory {
    char path[RUN_DIRECTORY_PATH_MAX + 1];
    int lock; /* descriptor; -1: not open */
    bool is_made_here;
};

/* 0, or -errno, which is logged: -EWOULDBLOCK: another run has it; -ENAMETOOLONG. */
int run_directory_open(const char *wanted, struct run_directory *directory);

/* Makes it the property of whom the processes become by 'config'. A directory that was there before
 * is given away only if it is empty, and root's alone. 0 or -errno (logged). */
int run_directory_give(const struct run_directory *directory, const struct config *config);

void run_directory_close(struct run_directory *directory);

#endif
