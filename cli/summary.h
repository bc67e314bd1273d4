/* summary: what the database holds after a run, in a few lines for people. */
#ifndef WANMETER_CLI_SUMMARY_H
#define WANMETER_CLI_SUMMARY_H

#include <stdbool.h>

#include "cli/cmd.h"
#include "cli/settings.h"
#include "cli/supervisor.h"

/* The exit code of a run that ended as 'result' says: what the database's audit and the run's loss
 * lines make of it. Prints the summary, unless 'is_quiet'. */
enum exit_code summary_of_run(const struct supervisor_plan *plan, enum supervisor_result result,
                              bool is_quiet);

#endif
