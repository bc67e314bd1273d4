/* jobs: what the exporter does to a database while no run has it.
 *
 *     jobs_seal(&config);                         closes the seals of all that the database has
 *
 * 0 or -errno, logged. */
#ifndef WANMETER_EXPORTER_JOBS_H
#define WANMETER_EXPORTER_JOBS_H

#include "common/config.h"

int jobs_seal(const struct config *config);

#endif
