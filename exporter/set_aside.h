/* set_aside: what becomes of a database that is damaged.
 *
 *     set_aside_finish(path);                     before it is opened: a move that was cut short
 *     if (set_aside_is_wanted(&config, is_live)) set_aside_database(path);
 *     set_aside_declare(store, path);             once a run has begun in the new one
 *
 * DATABASE becomes DATABASE.corrupt-SECONDS, then its -wal and -shm, by the same name; that is the
 * order which a kill may interrupt: a -wal without its database is moved after it at the next start
 * and never put into another. The new database begins with a loss line (exporter,
 * 'database_set_aside', unknown) for every such file that no line names yet. */
#ifndef WANMETER_EXPORTER_SET_ASIDE_H
#define WANMETER_EXPORTER_SET_ASIDE_H

#include <stdbool.h>

#include "common/config.h"
#include "exporter/store.h"

/* 'exporter.on_corrupt' */
bool set_aside_is_wanted(const struct config *config, bool is_live);

/* Each 0 or -errno, logged. */
int set_aside_database(const char *path);
int set_aside_finish(const char *path);
int set_aside_declare(struct store *store, const char *path);

#endif
