/* jobs: what the exporter does to a database while no run has it.
 *
 *     jobs_seal(&config);                         closes the seals of all that the database has
 *     jobs_prune(&config, before_ns);             deletes flow records of closed seals before that
 *
 * 0 or -errno, logged. */
#ifndef WANMETER_EXPORTER_JOBS_H
#define WANMETER_EXPORTER_JOBS_H

#include "common/config.h"

int jobs_seal(const struct config *config);
int jobs_prune(const struct config *config, int64_t before_ns);

#endif
