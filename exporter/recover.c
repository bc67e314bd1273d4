#include "exporter/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arguments.h"
#include "common/log.h"
#include "exporter/ledger/spool_run.h"
#include "exporter/store.h"

enum { BATCHES_A_TRANSACTION = 64 };

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* "DIRECTORY/DATABASE-spool", malloc'ed; NULL: no memory. */
static char *path_of(const struct config *config)
{
    const char *directory = config->exporter.spool_directory;
    const char *slash = strrchr(config->database, '/');
    const char *name = slash ? slash + 1 : config->database;
    char *path = NULL;
    int length = directory && *directory ? asprintf(&path, "%s/%s-spool", directory, name)
                                         : asprintf(&path, "%s-spool", config->database);
    return length < 0 ? NULL : path;
}

struct replay {
    struct store *store;
    struct spool *spool;
    uint64_t n_applied;
    uint64_t n_known; /* to the database */
    int64_t clock_ns;
};

static int apply(struct replay *replay, const struct spool_record *record)
{
    struct message message;
    if (message_decode(record->bytes, record->size, &message) != MESSAGE_OK) {
        message_release(&message);
        log_error("%s: a batch in it is not of this program", spool_path(replay->spool));
        return -EBADMSG;
    }
    int result = store_apply(replay->store, &message);
    if (message.watermark_ns > replay->clock_ns)
        replay->clock_ns = message.watermark_ns;
    message_release(&message);
    if (result == -EALREADY) {
        replay->n_known++;
        return 0;
    }
    replay->n_applied += result == 0;
    if (result < 0)
        log_error("%s", store_error(replay->store));
    return result;
}

/* -ENODATA: that was all. */
static int apply_some(struct replay *replay)
{
    struct spool_record record;
    int result = store_begin(replay->store);
    if (result < 0)
        log_error("%s", store_error(replay->store));
    int end = 0;
    for (int i = 0; result == 0 && end == 0 && i < BATCHES_A_TRANSACTION; i++) {
        end = spool_next(replay->spool, &record);
        if (end == 0 && record.kind == SPOOL_BATCH)
            result = apply(replay, &record);
    }
    if (end < 0 && end != -ENODATA) {
        log_error("%s: %s", spool_path(replay->spool), strerror(-end));
        result = end;
    }
    if (result == 0 && (result = store_commit(replay->store)) < 0)
        log_error("%s", store_error(replay->store));
    if (result < 0)
        store_rollback(replay->store);
    return result < 0 ? result : end;
}

static int replay_all(struct replay *replay)
{
    int result;
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        store_allow_hole(replay->store, i, INT64_MAX); /* the database may be another than then */
    do
        result = apply_some(replay);
    while (result == 0);
    if (result != -ENODATA)
        return result;
    log_warning("%s: %llu batches of it are in the database now, %llu were before",
                spool_path(replay->spool), (unsigned long long)replay->n_applied,
                (unsigned long long)replay->n_known);
    if (spool_n_cut_bytes(replay->spool) == 0)
        return 0;
    log_warning("%s: its last %lld bytes are no whole record", spool_path(replay->spool),
                (long long)spool_n_cut_bytes(replay->spool));
    result = spool_declare_damage(replay->store, replay->spool, replay->clock_ns);
    if (result < 0)
        log_error("%s", store_error(replay->store));
    return result;
}

static int replay_as(struct replay *replay, const struct config *config,
                     const struct spool_run *spooled)
{
    char error[STORE_ERROR_MAX];
    struct store_run run = {spooled->started_ns, WANMETER_VERSION, &spooled->config};
    int result =
        store_open(config->database, config->exporter.checkpoint_bytes, &replay->store, error);
    if (result < 0) {
        log_error("%s", error);
        return result;
    }
    result = store_start_run(replay->store, &run);
    if (result == 0)
        result = store_know_accounts(replay->store, spooled->accounts, spooled->n_accounts);
    if (result < 0)
        log_error("%s", store_error(replay->store));
    else
        result = replay_all(replay);
    store_close(replay->store);
    return result;
}

/* Into the database, as the run's that it is of. -EBADMSG: it does not say which. */
static int replay(const struct config *config, struct spool *spool)
{
    struct spool_record record;
    struct spool_run run = {0};
    int result = spool_next(spool, &record);
    if (result == -ENODATA || (result == 0 && record.kind != SPOOL_RUN))
        return -EBADMSG;
    if (result < 0)
        return result;
    result = spool_run_decode(record.bytes, record.size, &run);
    struct replay state = {.spool = spool, .clock_ns = INT64_MIN};
    if (result == 0)
        result = replay_as(&state, config, &run);
    spool_run_release(&run);
    return result;
}

/* It stays, by another name, for whoever can read it. */
static int set_aside(const struct config *config, const char *path)
{
    char *aside = NULL;
    char error[STORE_ERROR_MAX];
    struct store *store = NULL;
    if (asprintf(&aside, "%s.damaged-%lld", path, (long long)time(NULL)) < 0)
        return -ENOMEM;
    log_warning("%s: its beginning is damaged: set aside as %s", path, aside);
    int result = store_open(config->database, config->exporter.checkpoint_bytes, &store, error);
    if (result == 0)
        result = store_resume_run(store);
    if (result == 0)
        result = store_begin(store);
    if (result == 0)
        result = store_declare_unknown(store, "spool_damaged", aside, wall_time_ns());
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        log_error("%s", store ? store_error(store) : error);
    store_close(store);
    if (result == 0 && rename(path, aside) < 0)
        result = -errno;
    free(aside);
    return result;
}

static int open_spool(const struct config *config, const char *path, struct spool **spool)
{
    int result = spool_open(path, config->exporter.spool_bytes, spool);
    if (result < 0)
        log_error("%s: %s", path,
                  result == -EEXIST ? "not a spool of wanmeter's; it was not touched"
                                    : strerror(-result));
    return result;
}

int recover_spool(const struct config *config, struct spool **spool)
{
    *spool = NULL;
    char *path = path_of(config);
    if (!path)
        return -ENOMEM;
    int result = open_spool(config, path, spool);
    if (result == 0 && (!spool_is_empty(*spool) || spool_n_cut_bytes(*spool) > 0)) {
        result = replay(config, *spool);
        if (result == -EBADMSG && (result = set_aside(config, path)) == 0) {
            spool_close(*spool);
            *spool = NULL;
            result = open_spool(config, path, spool);
        } else if (result == 0) {
            result = spool_clear(*spool);
        }
    }
    free(path);
    if (result < 0 || config->exporter.spool_bytes == 0) {
        spool_close(*spool);
        *spool = NULL;
    }
    return result;
}
