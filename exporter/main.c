/* wanmeter-exporter: records in; a database, and events of what is in it, out. */
#include "exporter/exporter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/heap.h"
#include "common/log.h"
#include "common/process_status.h"
#include "common/sandbox/sandbox_user.h"
#include "exporter/jobs.h"
#include "exporter/recover.h"
#include "exporter/set_aside.h"
#include "proto/uplink.h"

enum {
    TICK_MS = 50,
    REPORT_MS = 500,
    ENDPOINT_SIZE = 512,
};

/* ---- the records' way ---- */

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A batch's whole way: into the open transaction; committed, to subscribers, while its tracker
 * forgets it. */
static void on_batch(void *state, size_t index, struct message *message)
{
    struct exporter *exporter = state;
    (void)index; /* the shard */
    if (exporter->status)
        return; /* what was on the way when the run failed: not acknowledged */
    if (message->kind != MESSAGE_RECORDS) {
        exporter_fail(exporter, "a tracker sent packets");
        return;
    }
    privacy_apply(exporter->privacy, message);
    int result = ledger_put(exporter->ledger, message, loop_now_ms(exporter->loop));
    if (result < 0)
        exporter_stop(exporter, result);
}

static int on_applied(void *state, const struct message *message)
{
    struct exporter *exporter = state;
    int result = publisher_add(exporter->publisher, message);
    if (result < 0)
        log_error("no memory for events");
    activity_note(&exporter->activity, message);
    return result;
}

static void on_undone(void *state)
{
    struct exporter *exporter = state;
    publisher_forget(exporter->publisher);
}

static void on_refused(void *state, uint32_t shard)
{
    struct exporter *exporter = state;
    downlink_refuse(exporter->input, shard);
}

static void on_wanted(void *state, uint32_t shard)
{
    struct exporter *exporter = state;
    downlink_want(exporter->input, shard);
}

static void on_stalled(void *state)
{
    struct exporter *exporter = state;
    downlink_keep_alive(exporter->input);
}

static void on_safe(void *state, uint32_t shard, int64_t seq)
{
    struct exporter *exporter = state;
    downlink_commit(exporter->input, shard, seq);
}

static int add_quotas(struct exporter *exporter)
{
    size_t n;
    const struct store_quota_event *events = store_quota_events(exporter->store, &n);
    int result = 0;
    for (size_t i = 0; result == 0 && i < n; i++) {
        const struct store_quota_event *event = &events[i];
        const struct quota_reached quota = {.tariff = event->tariff,
                                            .account = event->account,
                                            .percent = (uint32_t)event->percent,
                                            .begin_ns = event->begin_ns,
                                            .end_ns = event->end_ns,
                                            .quota_bytes = (uint64_t)event->quota_bytes,
                                            .used_bytes = event->used_bytes,
                                            .slot_ns = event->slot_ns};
        result = publisher_add_quota(exporter->publisher, &quota);
    }
    return result;
}

static int on_committed(void *state)
{
    struct exporter *exporter = state;
    int result = add_quotas(exporter);
    if (result == 0)
        result = publisher_flush(exporter->publisher);
    if (result < 0)
        log_error("no memory for events");
    return result;
}

/* What is told is what is in the database: a stream that is new here waits for that. */
static bool can_welcome(void *state, size_t index, const struct stream_id *stream)
{
    struct exporter *exporter = state;
    (void)index;
    if (exporter->status)
        return false;
    int result = ledger_settle(exporter->ledger, loop_now_ms(exporter->loop));
    if (result < 0) {
        exporter_stop(exporter, result);
        return false;
    }
    return ledger_is_well(exporter->ledger) || ledger_knows(exporter->ledger, stream);
}

/* Its sender has forgotten what a spool or a database had, that was damaged since. */
static void resume_behind_hole(struct exporter *exporter, size_t index, struct high_water *resume)
{
    int64_t oldest_seq = downlink_oldest_seq(exporter->input, index);
    if (oldest_seq <= resume->seq + 1)
        return;
    log_warning("tracker-%zu: goes on with batch %lld, where %lld is wanted: what is missing is "
                "declared",
                index, (long long)oldest_seq, (long long)resume->seq + 1);
    resume->seq = oldest_seq - 1;
    store_allow_hole(exporter->store, (uint32_t)index, INT64_MAX);
}

/* A tracker begins, or is back: what of it, and of the capture streams that lead to it, is here? */
static void on_hello(void *state, size_t index, const struct stream_id *stream,
                     struct high_water *resume, const struct high_water **applied,
                     size_t *n_applied)
{
    struct exporter *exporter = state;
    free(exporter->resume);
    exporter->resume = NULL;
    if (!ledger_is_well(exporter->ledger))
        return; /* it has had its welcome, and goes on where it is */
    int result = store_find_stream(exporter->store, stream, resume);
    if (result == -ENOENT) /* from its beginning */
        result = 0;
    if (result == 0)
        result = store_find_applied(exporter->store, stream->shard, &exporter->resume, n_applied);
    if (result < 0) {
        exporter_fail(exporter, store_error(exporter->store));
        return;
    }
    *applied = exporter->resume;
    if (ledger_knows(exporter->ledger, stream))
        return;
    resume_behind_hole(exporter, index, resume);
    ledger_resume(exporter->ledger, stream, resume->seq);
}

static bool has_restore(void *state, const struct stream_id *stream, uint64_t predecessor)
{
    struct exporter *exporter = state;
    if (exporter->status || !ledger_is_well(exporter->ledger))
        return false;
    int result = store_restore_begin(exporter->store, stream, predecessor);
    if (result < 0)
        exporter_fail(exporter, store_error(exporter->store));
    return result > 0;
}

static bool on_restore(void *state, size_t index, uint64_t from, struct restored *restored)
{
    struct exporter *exporter = state;
    if (exporter->status)
        return false;
    int result = store_restore_portion(exporter->store, (uint32_t)index, from, restored);
    if (result < 0)
        exporter_fail(exporter, store_error(exporter->store));
    return result == 0;
}

static void on_report_timer(void *state)
{
    struct exporter *exporter = state;
    const struct activity_figures figures = {
        .database = exporter->arguments.config.database,
        .n_subscriptions = publisher_subscriptions(exporter->publisher),
        .n_refused = bus_refused(exporter->bus),
        .ledger = ledger_counters(exporter->ledger),
        .is_well = ledger_is_well(exporter->ledger),
        .spool_bytes = exporter->spool ? spool_size_bytes(exporter->spool) : 0,
    };
    activity_tick(&exporter->activity, &figures);
}

/* ---- open, close ---- */

/* Replays what waits for it, and opens it. */
static int open_database(struct exporter *exporter)
{
    const struct config *config = &exporter->arguments.config;
    char error[STORE_ERROR_MAX];
    int result = recover_spool(config, &exporter->spool);
    if (result < 0)
        return result;
    result =
        store_open(config->database, config->exporter.checkpoint_bytes, &exporter->store, error);
    if (result < 0)
        log_error("%s", error);
    return result;
}

/* One that is damaged is refused, or goes, and another one takes its place. */
static int open_or_replace_database(struct exporter *exporter)
{
    const struct config *config = &exporter->arguments.config;
    int result = set_aside_finish(config->database);
    if (result < 0)
        return result;
    result = open_database(exporter);
    if (result != -EUCLEAN)
        return result;
    if (!set_aside_is_wanted(config, exporter->arguments.is_live)) {
        log_error("it was not touched; with exporter.on_corrupt: set_aside it is moved out of the "
                  "way, and a new one begins");
        return result;
    }
    spool_close(exporter->spool);
    exporter->spool = NULL;
    result = set_aside_database(config->database);
    return result == 0 ? open_database(exporter) : result;
}

static int open_store(struct exporter *exporter)
{
    const struct config *config = &exporter->arguments.config;
    int result = open_or_replace_database(exporter);
    if (result < 0)
        return result;
    struct store_run run = {exporter->arguments.run_started_ns, WANMETER_VERSION, config,
                            exporter->arguments.is_live};
    if (run.started_ns == 0)
        run.started_ns = wall_time_ns();
    result = store_start_run(exporter->store, &run);
    if (result < 0)
        log_error("%s", store_error(exporter->store));
    if (result == 0)
        result = set_aside_declare(exporter->store, config->database);
    for (unsigned i = 0; i < STORE_PROTOCOLS; i++)
        exporter->protocol_names[i] = store_protocol_name(exporter->store, (uint8_t)i);
    return result;
}

static int open_ledger(struct exporter *exporter)
{
    struct ledger_options options = {
        .store = exporter->store,
        .spool = exporter->spool,
        .config = &exporter->arguments.config,
        .n_shards = exporter->arguments.n_shards,
        .on_applied = on_applied,
        .on_committed = on_committed,
        .on_undone = on_undone,
        .on_safe = on_safe,
        .on_refused = on_refused,
        .on_wanted = on_wanted,
        .on_stalled = on_stalled,
        .state = exporter,
    };
    int result = ledger_create(&options, &exporter->ledger);
    if (result < 0)
        log_error("cannot start: %s", strerror(-result));
    return result;
}

/* The configured endpoint, or the run directory's. */
static const char *endpoint_of(const struct exporter *exporter, const char *configured,
                               const char *name, char room[ENDPOINT_SIZE])
{
    if (configured && *configured)
        return configured;
    arguments_endpoint(&exporter->arguments, name, room, ENDPOINT_SIZE);
    return room;
}

static int open_publisher(struct exporter *exporter)
{
    const struct config *config = &exporter->arguments.config;
    char events[ENDPOINT_SIZE], control[ENDPOINT_SIZE];
    struct publisher_settings settings = {
        .bus = exporter->bus,
        .loop = exporter->loop,
        .context = {.epoch = uplink_epoch(),
                    .config = config,
                    .protocol_names = exporter->protocol_names,
                    .labels = store_label_names(exporter->store),
                    .accounts = store_account_names(exporter->store)},
        .endpoint = endpoint_of(exporter, config->events.endpoint, "events.sock", events),
        .control_endpoint =
            endpoint_of(exporter, config->events.control_endpoint, "control.sock", control),
    };
    return publisher_open(&settings, &exporter->publisher);
}

static int open_input(struct exporter *exporter)
{
    char endpoint[ENDPOINT_SIZE];
    arguments_endpoint(&exporter->arguments, "exporter.sock", endpoint, sizeof endpoint);
    struct downlink_options options = {
        .endpoint = endpoint,
        .producer = "tracker",
        .shard = UINT32_MAX, /* tracker-N leads its own shard */
        .n_streams = exporter->arguments.n_shards,
        .on_hello = on_hello,
        .has_restore = has_restore,
        .on_batch = on_batch,
        .can_welcome = can_welcome,
        .on_restore = on_restore,
        .state = exporter,
    };
    int result = downlink_open(exporter->bus, &options, &exporter->input);
    if (result < 0)
        log_error("%s: cannot listen there: %s", endpoint, strerror(-result));
    return result;
}

static int open_loop(struct exporter *exporter)
{
    int result = loop_create(&exporter->loop);
    if (result == 0)
        result = bus_create(exporter->loop, &exporter->bus);
    if (result == 0)
        result = loop_add_turn(exporter->loop, exporter_on_turn, exporter);
    if (result == 0)
        result = loop_add_timer(exporter->loop, TICK_MS, exporter_on_tick, exporter);
    if (result == 0)
        result = loop_add_timer(exporter->loop, REPORT_MS, on_report_timer, exporter);
    if (result == 0)
        result = loop_add_signals(exporter->loop, exporter_on_signal, exporter);
    if (result == 0)
        result = loop_add_signal(exporter->loop, PROCESS_IS_LAST, exporter_on_last, exporter);
    if (result < 0)
        log_error("cannot start: %s", strerror(-result));
    return result;
}

/* The run directory is the trackers': its sockets are made before we become the database's owner.
 */
static int open_sockets(struct exporter *exporter)
{
    static const char *const names[] = {"exporter.sock", "events.sock", "control.sock"};
    const struct config *config = &exporter->arguments.config;
    const char *const configured[] = {NULL, config->events.endpoint,
                                      config->events.control_endpoint};
    char room[ENDPOINT_SIZE];
    struct sandbox_user trackers;
    int result = sandbox_user_find(config, &trackers);
    if (result == 0)
        bus_let_in(exporter->bus, trackers.uid);
    for (size_t i = 0; i < sizeof names / sizeof *names && result == 0; i++) {
        const char *endpoint = endpoint_of(exporter, configured[i], names[i], room);
        result = bus_listen(exporter->bus, endpoint);
        if (result < 0)
            log_error("%s: cannot listen there: %s", endpoint, strerror(-result));
    }
    return result;
}

/* Before any thread and any message: who we are, and what we may. */
static int open_place(struct exporter *exporter)
{
    int result = open_loop(exporter);
    if (result == 0)
        result = publish_keys_open(&exporter->arguments.config, &exporter->keys);
    if (result == 0)
        bus_use_keys(exporter->bus, &exporter->keys.keys);
    if (result == 0)
        result = arguments_enter_run_directory(&exporter->arguments);
    if (result == 0)
        result = open_sockets(exporter);
    if (result == 0)
        activity_open(&exporter->activity, &exporter->arguments);
    if (result == 0)
        result = sandbox_enter(SANDBOX_EXPORTER, &exporter->arguments, &exporter->sandbox);
    return result;
}

/* Before the sandbox: where the key is is nobody's business later. */
static int open_privacy(struct exporter *exporter)
{
    char error[PRIVACY_ERROR_MAX];
    int result = privacy_create(&exporter->arguments.config, &exporter->privacy, error);
    if (result < 0)
        log_error("%s", error);
    return result;
}

static int exporter_open(struct exporter *exporter)
{
    heap_one_pool();
    int result = open_privacy(exporter);
    if (result == 0)
        result = open_place(exporter);
    if (result == 0)
        result = open_store(exporter);
    if (result == 0)
        result = open_ledger(exporter);
    if (result == 0)
        result = open_publisher(exporter);
    if (result == 0)
        result = open_input(exporter);
    if (result == 0)
        result = sandbox_filter(&exporter->sandbox);
    if (result == 0) {
        report_sandbox(&exporter->activity.report, &exporter->sandbox);
        report_ready(&exporter->activity.report);
        exporter_enter(exporter, PHASE_WAITING);
    }
    heap_keep_pages();
    return result;
}

static void exporter_close(struct exporter *exporter)
{
    downlink_close(exporter->input);
    publisher_close(exporter->publisher);
    bus_destroy(exporter->bus);
    publish_keys_close(&exporter->keys);
    report_close(&exporter->activity.report);
    loop_destroy(exporter->loop);
    ledger_destroy(exporter->ledger);
    store_close(exporter->store);
    spool_close(exporter->spool);
    const struct config *config = &exporter->arguments.config;
    if (exporter->is_corrupt && set_aside_is_wanted(config, exporter->arguments.is_live))
        set_aside_database(config->database); /* a successor begins a new one */
    privacy_destroy(exporter->privacy);
    free(exporter->resume);
    arguments_deinit(&exporter->arguments);
}

/* No run: nobody to talk to. */
static int do_job(struct exporter *exporter)
{
    int result = sandbox_enter(SANDBOX_EXPORTER, &exporter->arguments, &exporter->sandbox);
    if (result == 0)
        result = sandbox_filter(&exporter->sandbox);
    if (result < 0)
        return result;
    const struct arguments *arguments = &exporter->arguments;
    return arguments->prune_before_ns == INT64_MIN
               ? jobs_seal(&arguments->config)
               : jobs_prune(&arguments->config, arguments->prune_before_ns);
}

static int run(struct exporter *exporter)
{
    int result = exporter_open(exporter);
    if (result == 0)
        loop_run(exporter->loop);
    return result;
}

int main(int argc, char **argv)
{
    static struct exporter exporter;
    int status = arguments_read(argc, argv, "wanmeter-exporter", &exporter.arguments);
    if (status)
        return status;
    log_open("exporter");
    int result = exporter.arguments.is_sealing ? do_job(&exporter) : run(&exporter);
    if (result < 0) /* what may pass is waited for by whoever starts a daemon again */
        exporter.status = exporter.arguments.is_live && store_is_trouble(result)
                              ? PROCESS_FAILED
                              : PROCESS_CANNOT_START;
    status = exporter.status;
    exporter_close(&exporter);
    return status;
}
