/* recover: what an exporter does before anything else: what waits in a spool goes into the
 * database.
 *
 *     recover_spool(&config, &spool);             the spool is empty then
 *
 * The spool of before may be of another configuration: its batches are applied as the run's that
 * they are of. What the database has already is not applied again. A spool whose end is torn is
 * replayed up to there, and a loss line says so (exporter, 'spool_damaged'); one whose beginning is
 * damaged is set aside as FILE.damaged-SECONDS, and a loss line names it. */
#ifndef WANMETER_EXPORTER_RECOVER_H
#define WANMETER_EXPORTER_RECOVER_H

#include "common/config.h"
#include "exporter/spool.h"

/* 0 or -errno, logged. '*spool': NULL where there is to be none; the caller closes it. */
int recover_spool(const struct config *config, struct spool **spool);

#endif
