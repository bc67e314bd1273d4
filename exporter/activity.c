#include "exporter/activity.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

void activity_open(struct activity *activity, const struct arguments *arguments)
{
    *activity = (struct activity){.n_shards = arguments->n_shards};
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        activity->watermarks_ns[i] = INT64_MIN;
    report_open(arguments->run_directory, "exporter", &activity->report);
}

void activity_note(struct activity *activity, const struct message *message)
{
    if (message->stream.shard < SHARDS_MAX)
        activity->watermarks_ns[message->stream.shard] = message->watermark_ns;
    activity->n_batches++;
    activity->n_usage += message->n_usage;
    activity->n_flows += message->n_flows;
    activity->n_losses += message->n_losses;
    for (size_t i = 0; i < message->n_losses; i++)
        if (message->losses[i].loss.packets > 0)
            activity->lost_packets += (uint64_t)message->losses[i].loss.packets;
}

static int64_t size_of(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat state;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &state) == 0 ? state.st_size : 0;
}

/* The slowest shard's. */
static int64_t watermark_ns(const struct activity *activity)
{
    int64_t least_ns = INT64_MAX;
    for (uint32_t i = 0; i < activity->n_shards; i++)
        if (activity->watermarks_ns[i] < least_ns)
            least_ns = activity->watermarks_ns[i];
    return least_ns;
}

void activity_tick(struct activity *activity, const struct activity_figures *figures)
{
    struct report *report = &activity->report;
    report_value(report, "batches", (int64_t)activity->n_batches);
    report_value(report, "usage_deltas", (int64_t)activity->n_usage);
    report_value(report, "flow_records", (int64_t)activity->n_flows);
    report_value(report, "loss_lines", (int64_t)activity->n_losses);
    report_value(report, "lost_packets", (int64_t)activity->lost_packets);
    report_value(report, "watermark_ns", watermark_ns(activity));
    report_value(report, "database_bytes", size_of(figures->database, ""));
    report_value(report, "wal_bytes", size_of(figures->database, "-wal"));
    report_value(report, "database_takes_records", figures->is_well);
    report_value(report, "database_troubles", (int64_t)figures->ledger->n_troubles);
    report_value(report, "spool_bytes", figures->spool_bytes);
    report_value(report, "batches_spooled", (int64_t)figures->ledger->n_spooled);
    report_value(report, "batches_replayed", (int64_t)figures->ledger->n_replayed);
    report_value(report, "batches_refused", (int64_t)figures->ledger->n_refused);
    report_value(report, "subscriptions", (int64_t)figures->n_subscriptions);
    report_value(report, "peers_refused", (int64_t)figures->n_refused);
    report_tick(report);
}
