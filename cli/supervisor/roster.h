/* roster: who runs, in the file "processes" of the run directory, for people and other programs.
 *
 *     roster_write(&run_directory, &crew);       after every change
 *     roster_remove(&run_directory);
 *
 * A supervisor of one role has a file of its own: "processes-capture".
 *
 * A line a process: its name, its process id (0: none now), "running", "waiting" (to be started
 * again) or "ended", and how often it was started again. The file is replaced at once: who reads it
 * reads a whole one. */
#ifndef WANMETER_CLI_ROSTER_H
#define WANMETER_CLI_ROSTER_H

#include "cli/supervisor/crew.h"
#include "cli/supervisor/run_directory.h"

/* What goes wrong is logged: nothing depends on it. */
void roster_write(const struct run_directory *directory, const struct crew *crew);
void roster_remove(const struct run_directory *directory);

#endif
