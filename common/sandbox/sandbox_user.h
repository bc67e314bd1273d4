/* sandbox_user: as whom a process goes on, and how it becomes that. The sandbox's own, and the
 * supervisor's, which hands the run directory over. */
#ifndef WANMETER_COMMON_SANDBOX_USER_H
#define WANMETER_COMMON_SANDBOX_USER_H

#include <sys/types.h>

#include "common/config.h"

struct sandbox_user {
    uid_t uid;
    gid_t gid;
};

/* Of capture workers and trackers: 'security.user'; where that is empty, "wanmeter" if there is
 * such a user, else "nobody". Not started by root, or by one
 * that may not become another: who we are. 0, or -ENOENT (logged): no such
 * user. */
int sandbox_user_find(const struct config *config, struct sandbox_user *user);

/* Of the exporter: who owns the database, or the directory that it is to be made in. 0 or -errno.
 */
int sandbox_user_of_database(const char *path, struct sandbox_user *user);

/* Becomes 'user', for good, with no other groups. 0 or -errno. */
int sandbox_user_become(const struct sandbox_user *user);

/* No capability is left in any set, nor can one be got again. 0 or -errno. */
int sandbox_drop_capabilities(void);

#endif
