/* change_record: the changes that a database has recorded, for the first capture worker.
 *
 *     code = change_record_share(database, CHANGE_RECORD_LASTING, &descriptor);
 *     … a process reads /proc/self/fd/DESCRIPTOR (proto/change_file.h) …
 *
 * LASTING: what outlives a run (timeout policies and defaults, labels, accounts), of all runs:
 * restored before the first packet. ALL: that of the runs before the last one with changes, and
 * every change of that one, at its time: a replay of its packets has its rows again. Leases of flow
 * labels and what was done to connections ends with its run. */
#ifndef WANMETER_CLI_CHANGE_RECORD_H
#define WANMETER_CLI_CHANGE_RECORD_H

#include "cli/cmd.h"

enum change_record { CHANGE_RECORD_LASTING, CHANGE_RECORD_ALL };

/* A file in memory, which the caller closes; 0: there are none (no database, or one without). What
 * is wrong is logged. */
enum exit_code change_record_share(const char *path, enum change_record which, int *descriptor);

#endif
