/* roster: who runs, in the file "processes" of the run directory, for people and other programs.
 *
 *     roster_write(path_of_run_directory, &crew);       after every change
 *     roster_remove(path_of_run_directory);
 *
 * A line a process: its name, its process id (0: none now), "running", "waiting" (to be started
 * again) or "ended", and how often it was started again. The file is replaced at once: who reads it
 * reads a whole one. */
#ifndef WANMETER_CLI_ROSTER_H
#define WANMETER_CLI_ROSTER_H

#include "cli/supervisor/crew.h"

/* What goes wrong is logged: nothing depends on it. */
void roster_write(const char *run_directory, const struct crew *crew);
void roster_remove(const char *run_directory);

#endif
