#include "exporter/jobs.h"

#include <time.h>

#include "common/log.h"
#include "exporter/recover.h"
#include "exporter/store.h"
#include "proto/seal.h"

enum { SEAL_ROWS_A_TRANSACTION = 8192 };

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The caller closes '*store', whatever the result. */
static int open_database(const struct config *config, struct store **store)
{
    char error[STORE_ERROR_MAX];
    struct spool *spool;
    *store = NULL;
    int result = recover_spool(config, &spool);
    spool_close(spool);
    if (result < 0)
        return result;
    result = store_open(config->database, config->exporter.checkpoint_bytes, store, error);
    if (result < 0)
        log_error("%s", error);
    return result;
}

int jobs_seal(const struct config *config)
{
    struct store *store;
    int32_t open_at = INT32_MIN;
    int result = open_database(config, &store);
    if (result < 0)
        return result;
    result = store_resume_run(store);
    if (result == 0)
        result = store_seal_end(store, &open_at);
    while (result == 0 && store_is_seal_due(store, open_at)) {
        result = store_begin(store);
        if (result == 0)
            result = store_seal(store, open_at, wall_time_ns(), SEAL_ROWS_A_TRANSACTION);
        if (result == 0)
            result = store_commit(store);
    }
    if (result < 0)
        log_error("%s", store_error(store));
    store_close(store);
    return result;
}

int jobs_prune(const struct config *config, int64_t before_ns)
{
    struct store *store;
    int64_t after = INT64_MIN;
    struct store_prune prune = {.before_seal = seal_of(before_ns),
                                .is_whole = true,
                                .n_rows = SEAL_ROWS_A_TRANSACTION,
                                .now_ns = wall_time_ns()};
    int result = open_database(config, &store);
    if (result < 0)
        return result;
    do {
        size_t n_deleted;
        result = store_begin(store);
        if (result == 0)
            result = store_prune(store, &prune, &after, &n_deleted);
        if (result == 0)
            result = store_commit(store);
    } while (result == 0 && after != INT64_MIN);
    if (result < 0)
        log_error("%s", store_error(store));
    store_close(store);
    return result;
}
