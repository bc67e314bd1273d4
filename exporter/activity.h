/* activity: what the exporter reports of itself (common/report.h).
 *
 *     activity_open(&activity, run_directory);    before anything is given up
 *     activity_note(&activity, &message);         a batch that was applied
 *     activity_tick(&activity, &figures);         a few times a second */
#ifndef WANMETER_EXPORTER_ACTIVITY_H
#define WANMETER_EXPORTER_ACTIVITY_H

#include "common/report.h"
#include "exporter/ledger.h"
#include "proto/message.h"

struct activity {
    struct report report;
    uint32_t n_shards;
    int64_t watermarks_ns[SHARDS_MAX]; /* INT64_MIN: nothing was heard of that shard */
    uint64_t n_batches, n_usage, n_flows, n_losses, lost_packets;
};

struct activity_figures {
    const char *database; /* path */
    size_t n_subscriptions;
    uint64_t n_refused;
    const struct ledger_counters *ledger;
    bool is_well;        /* the database takes records */
    int64_t spool_bytes; /* of the file */
};

void activity_open(struct activity *activity, const struct arguments *arguments);
void activity_note(struct activity *activity, const struct message *message);
void activity_tick(struct activity *activity, const struct activity_figures *figures);

#endif
