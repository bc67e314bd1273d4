/* store_quota: quotas in the database (schema/0008_quota.sql). */
#ifndef WANMETER_EXPORTER_STORE_QUOTA_H
#define WANMETER_EXPORTER_STORE_QUOTA_H

#include "exporter/quota.h"
#include "exporter/store/store_internal.h"

enum quota_statement {
    QUOTA_USAGE_ADD,
    QUOTA_USAGE_SUM,
    QUOTA_USAGE_SLOTS,
    QUOTA_EVENT_LAST,
    QUOTA_EVENT_PUT,
    QUOTA_STATEMENT_N,
};

struct store_quota {
    struct quota *quota;
    sqlite3_stmt *statements[QUOTA_STATEMENT_N];
    struct store_quota_event *events; /* of the transaction that was begun last */
    size_t n_events;
    size_t events_room;
};

/* Within the transaction that begins a run. */
int store_quota_open(struct store *store, const struct config *config);
void store_quota_close(struct store *store);

/* store_quota_run.c: gives the tariff its row, with sums of all that is in usage. */
int store_quota_begin_run(struct store *store, struct quota_tariff *tariff);

/* A transaction begins. */
void store_quota_begin(struct store *store);

/* A usage delta that was added to usage. */
int store_quota_add(struct store *store, const struct usage_delta *delta);

/* Before COMMIT: which thresholds did the transaction reach? */
int store_quota_settle(struct store *store);

/* After a rollback. */
void store_quota_forget(struct store *store);

#endif
