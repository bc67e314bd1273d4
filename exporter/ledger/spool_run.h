/* spool_run: what a spool begins with: which run its batches are of. They name WANs, accounts and
 * classes by the numbers that the run's configuration gave them, and accounts that came later by
 * the order in which they came: without these, nobody could say whose they are.
 *
 * As text: "run STARTED_NS", "account NAME" for each, "config", and the configuration's text. */
#ifndef WANMETER_EXPORTER_LEDGER_SPOOL_RUN_H
#define WANMETER_EXPORTER_LEDGER_SPOOL_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "exporter/spool.h"
#include "exporter/store.h"

enum spool_kind { SPOOL_RUN = 1, SPOOL_BATCH = 2 };

/* malloc'ed; NULL: no memory. */
uint8_t *spool_run_encode(const struct store *store, const struct config *config, size_t *size);

struct spool_run {
    int64_t started_ns;
    struct config config;
    char **accounts; /* by number - 1 */
    size_t n_accounts;
};

/* 0, -ENOMEM, or -EBADMSG: it is not of this program. The caller releases it, whatever the result.
 */
int spool_run_decode(const uint8_t *bytes, size_t size, struct spool_run *run);
void spool_run_release(struct spool_run *run);

/* A loss line of its own transaction: what was behind the damage had been acknowledged, perhaps. 0
 * or -errno. */
int spool_declare_damage(struct store *store, const struct spool *spool, int64_t time_ns);

#endif
