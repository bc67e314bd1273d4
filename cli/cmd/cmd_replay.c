/* wanmeter replay: capture files through the real processes, into a database. */
#include "cli/cmd.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/change_record.h"
#include "cli/options.h"
#include "cli/preflight.h"
#include "cli/settings.h"
#include "cli/summary.h"
#include "cli/supervisor.h"

enum {
    WINDOW_BYTES_MAX = 16 * 1024 * 1024,
    SHARD_WINDOW_BYTES = 4 * 1024 * 1024,   /* with less a shard commits too often */
    TRACKER_WINDOW_BYTES_MIN = 1024 * 1024, /* the configuration's */
};

enum replay_key {
    KEY_SHARDS = OPTION_LONG,
    KEY_WORKERS,
    KEY_BATCH_PACKETS,
    KEY_FORCE,
    KEY_EVENTS,
    KEY_WAIT_SUBSCRIBERS,
    KEY_CHANGES,
};

struct replay_options {
    struct settings settings;
    char **files; /* part of argv */
    size_t n_files;
    const char *changes; /* the database whose changes are made again; NULL: none */
    bool is_forced;
    bool is_quiet;
};

static void on_files(struct argp_state *state, struct replay_options *options)
{
    options->files = state->argv + state->next;
    options->n_files = (size_t)(state->argc - state->next);
    state->next = state->argc;
}

/* Flags that are short for an assignment; the configuration checks the value. */
static const char *setting_of(int key)
{
    switch (key) {
    case 'd':
        return "database";
    case KEY_SHARDS:
        return "tracker.shards";
    case KEY_WORKERS:
        return "capture.workers";
    case KEY_BATCH_PACKETS:
        return "capture.batch_packets";
    case KEY_EVENTS:
        return "events.endpoint";
    case KEY_WAIT_SUBSCRIBERS:
        return "events.subscribers_min";
    default:
        return NULL;
    }
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct replay_options *options = state->input;
    if (setting_of(key) != NULL) {
        settings_assign(&options->settings, setting_of(key), argument);
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case KEY_FORCE:
        options->is_forced = true;
        return 0;
    case KEY_CHANGES:
        options->changes = argument;
        return 0;
    case 'q':
        options->is_quiet = true;
        return 0;
    case ARGP_KEY_ARGS:
        on_files(state, options);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected a capture FILE, or - for standard input");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0, "The database to add to (default: wanmeter.db)", 0},
            {"shards", KEY_SHARDS, "N", 0, "Tracker processes", 0},
            {"workers", KEY_WORKERS, "N", 0, "Capture processes, at most one for each FILE", 0},
            {"batch-packets", KEY_BATCH_PACKETS, "N", 0, "Packets sent on at a time, at most", 0},
            {"force", KEY_FORCE, NULL, 0, "Count captures that the database holds already", 0},
            {"events", KEY_EVENTS, "ENDPOINT", 0,
             "Publish events here, as ipc:///run/user/1000/events (default: none)", 0},
            {"wait-subscribers", KEY_WAIT_SUBSCRIBERS, "N", 0,
             "Begin when N have subscribed to the events", 0},
            {"changes", KEY_CHANGES, "DATABASE", 0,
             "Make the changes that were made while these packets were captured", 0},
            {"quiet", 'q', NULL, 0, "No progress, no summary: the exit status tells", 0},
            {0}},
    .parser = on_option,
    .args_doc = "FILE...",
    .doc = "Meters capture files (pcap, pcapng, also gzip'ed; - is standard input; NAME=FILE "
           "names its interface).\v"
           "Exits 0: all is counted; 3: so, but loss is declared (a capture is cut); 4: the audit "
           "does not add up.\n\n"
           "Examples:\n"
           "  wanmeter replay office.pcapng\n"
           "  wanmeter replay --config wanmeter.yaml --workers 2 up.pcap.gz down.pcap.gz\n"
           "  tcpdump -i eth0 -w - | wanmeter replay -",
    .children = (const struct argp_child[]){{&settings_argp, 0, NULL, 0}, {0}},
};

/* What --workers means here is known only with the files. */
static void settle_workers(struct replay_options *options)
{
    struct config *config = &options->settings.config;
    if ((size_t)config->capture.workers > options->n_files)
        config->capture.workers = (int64_t)options->n_files;
}

/* Nobody can know where a replay's own socket is: events that are not asked for are not made. */
static void settle_events(struct replay_options *options)
{
    struct config *config = &options->settings.config;
    if (config->events.endpoint[0] == '\0' && config->events.subscribers_min == 0)
        config->tracker.connection_events = false;
}

static int64_t at_most(int64_t value, int64_t max)
{
    return value < max ? value : max;
}

static int64_t at_least(int64_t value, int64_t min)
{
    return value > min ? value : min;
}

/* Of all trackers: each touches its share, and the exporter what all have on the way. */
static int64_t tracker_window_max(const struct config *config)
{
    return at_least(WINDOW_BYTES_MAX / 2 / config->tracker.shards, TRACKER_WINDOW_BYTES_MIN);
}

/* A file waits, a mirror does not: what a replay keeps unacknowledged may fit into a cache. */
static void settle_memory(struct replay_options *options)
{
    struct config *config = &options->settings.config;
    int64_t window_bytes = at_least(WINDOW_BYTES_MAX, SHARD_WINDOW_BYTES * config->tracker.shards);
    config->capture.window_bytes = at_most(config->capture.window_bytes, window_bytes);
    config->tracker.commit_bytes = at_most(config->tracker.commit_bytes, WINDOW_BYTES_MAX / 2);
    config->tracker.window_bytes =
        at_most(config->tracker.window_bytes, tracker_window_max(config));
}

static enum exit_code check(const struct replay_options *options)
{
    const char *database = options->settings.config.database;
    enum exit_code code = preflight_files(options->files, options->n_files);
    if (code == EXIT_CODE_OK)
        code = preflight_database(database);
    if (code == EXIT_CODE_OK && !options->is_forced)
        code = preflight_new_files(database, options->files, options->n_files);
    return code;
}

static enum exit_code replay(struct replay_options *options)
{
    if (!settings_load(&options->settings))
        return EXIT_CODE_USAGE;
    enum exit_code code = check(options);
    if (code != EXIT_CODE_OK)
        return code;
    settle_workers(options);
    settle_events(options);
    settle_memory(options);
    struct supervisor_plan plan = {
        .settings = &options->settings,
        .files = options->files,
        .n_files = options->n_files,
        .has_progress = !options->is_quiet && isatty(STDERR_FILENO),
    };
    if (options->changes != NULL)
        code = change_record_share(options->changes, CHANGE_RECORD_ALL, &plan.changes);
    if (code != EXIT_CODE_OK)
        return code;
    enum supervisor_result result = supervisor_run(&plan);
    if (plan.changes != 0)
        close(plan.changes);
    return summary_of_run(&plan, result, options->is_quiet);
}

enum exit_code cmd_replay(int argc, char **argv)
{
    struct replay_options options = {0};
    options_parse(&argp, argc, argv, &options);
    enum exit_code code = replay(&options);
    settings_deinit(&options.settings);
    return code;
}
