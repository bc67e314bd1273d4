/* exporter_job: something to be done to a database while no run has it, by the one program that
 * writes.
 *
 *     static const char *const words[] = {"--seal"};
 *     code = exporter_job("wanmeter.db", words, 1);
 */
#ifndef WANMETER_CLI_EXPORTER_JOB_H
#define WANMETER_CLI_EXPORTER_JOB_H

#include <stddef.h>

#include "cli/cmd.h"

/* The database must be there, and ours. What is wrong was said. */
enum exit_code exporter_job(const char *database, const char *const *words, size_t n_words);

#endif
