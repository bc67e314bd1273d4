#include "common/arguments.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

enum { EXIT_USAGE = 2 };

enum option_key {
    KEY_CONFIG = 256,
    KEY_SET,
    KEY_RUN_DIRECTORY,
    KEY_SHARD,
    KEY_SHARDS,
    KEY_WORKER,
    KEY_WORKERS,
    KEY_FIRST_SOURCE,
    KEY_INTERFACE,
    KEY_PROGRESS_DESCRIPTOR,
    KEY_LIVE,
    KEY_SEAL,
    KEY_PRUNE,
    KEY_CHANGES,
    KEY_RUN_STARTED,
    KEY_STOP,
    KEY_INTERFACE_PAGES,
    KEY_CLOCK_ANCHOR,
};

static const struct argp_option options[] = {
    {"config", KEY_CONFIG, "FILE", 0, "configuration", 0},
    {"set", KEY_SET, "NAME=VALUE", 0, "one option over the file's", 0},
    {"run-directory", KEY_RUN_DIRECTORY, "DIRECTORY", 0, "where the run's sockets are", 0},
    {"shard", KEY_SHARD, "N", 0, "tracker: which one", 0},
    {"shards", KEY_SHARDS, "N", 0, "how many trackers there are", 0},
    {"worker", KEY_WORKER, "N", 0, "capture: which one", 0},
    {"workers", KEY_WORKERS, "N", 0, "how many capture workers there are", 0},
    {"first-source", KEY_FIRST_SOURCE, "N", 0, "capture: place of its first source in the run", 0},
    {"source-index", KEY_FIRST_SOURCE, 0, OPTION_ALIAS, 0, 0},
    {"interface", KEY_INTERFACE, "NAME", 0, "capture: read this interface", 0},
    {"progress-descriptor", KEY_PROGRESS_DESCRIPTOR, "N", 0, "capture: tell progress here", 0},
    {"changes", KEY_CHANGES, "FILE", 0, "capture: recorded changes", 0},
    {"interface-pages", KEY_INTERFACE_PAGES, "N", 0,
     "capture: memory that an interface's workers share", 0},
    {"clock-anchor", KEY_CLOCK_ANCHOR, "NS", 0, "wall clock less steady clock when the run began",
     0},
    {"live", KEY_LIVE, 0, 0, "the input has no end of its own", 0},
    {"run-started", KEY_RUN_STARTED, "NS", 0, "exporter: go on with the run of this time", 0},
    {"stop", KEY_STOP, 0, 0, "capture: bring to its end what a worker that died has read", 0},
    {"prune", KEY_PRUNE, "NS", 0, "exporter: delete flow records of before this, and end", 0},
    {"seal", KEY_SEAL, 0, 0, "exporter: close all that is in the database, and end", 0},
    {0},
};

static void read_number(struct argp_state *state, const char *text, unsigned long number_max,
                        uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || errno || value > number_max || text[0] == '-')
        argp_error(state, "got '%s', expected a number from 0 to %lu", text, number_max);
    *number = (uint32_t)value;
}

static void read_time(struct argp_state *state, const char *text, int64_t *time_ns)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value <= 0)
        argp_error(state, "got '%s', expected ns since 1970", text);
    *time_ns = value;
}

static error_t on_number(int key, const char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    uint32_t descriptor = 0;
    switch (key) {
    case KEY_SHARD:
        read_number(state, text, SHARDS_MAX - 1, &arguments->shard);
        return 0;
    case KEY_SHARDS:
        read_number(state, text, SHARDS_MAX, &arguments->n_shards);
        return 0;
    case KEY_WORKER:
        read_number(state, text, WORKERS_MAX - 1, &arguments->worker);
        return 0;
    case KEY_WORKERS:
        read_number(state, text, WORKERS_MAX, &arguments->n_workers);
        return 0;
    case KEY_FIRST_SOURCE:
        read_number(state, text, INT32_MAX, &arguments->first_source);
        return 0;
    case KEY_RUN_STARTED:
        read_time(state, text, &arguments->run_started_ns);
        return 0;
    case KEY_CLOCK_ANCHOR:
        read_time(state, text, &arguments->clock_anchor_ns);
        return 0;
    case KEY_PROGRESS_DESCRIPTOR:
        read_number(state, text, INT32_MAX, &descriptor);
        arguments->progress_descriptor = (int)descriptor;
        return 0;
    case KEY_INTERFACE_PAGES:
        read_number(state, text, INT32_MAX, &descriptor);
        arguments->pages_descriptor = (int)descriptor;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_CONFIG:
        arguments->config_path = text;
        return 0;
    case KEY_SET:
        arguments->sets[arguments->n_sets++] = text;
        return 0;
    case KEY_RUN_DIRECTORY:
        arguments->run_directory = text;
        return 0;
    case KEY_INTERFACE:
        arguments->interface = text;
        return 0;
    case KEY_LIVE:
        arguments->is_live = true;
        return 0;
    case KEY_STOP:
        arguments->is_stopping = true;
        return 0;
    case KEY_SEAL:
        arguments->is_sealing = true;
        return 0;
    case KEY_PRUNE:
        arguments->is_sealing = true;
        arguments->prune_before_ns = strtoll(text, NULL, 10);
        return 0;
    case KEY_CHANGES:
        arguments->changes_path = text;
        return 0;
    case ARGP_KEY_ARG:
        arguments->files[arguments->n_files++] = text;
        return 0;
    default:
        return on_number(key, text, state);
    }
}

static int read_config(struct arguments *arguments)
{
    struct config_errors errors = {0};
    if (arguments->config_path)
        config_load(&arguments->config, arguments->config_path, &errors);
    for (size_t i = 0; i < arguments->n_sets; i++)
        config_set(&arguments->config, arguments->sets[i], &errors);
    if (errors.n == 0)
        config_check(&arguments->config, &errors);
    config_errors_print(&errors, stderr);
    int status = errors.n ? EXIT_USAGE : 0;
    config_errors_deinit(&errors);
    return status;
}

int arguments_read(int argc, char **argv, const char *program, struct arguments *arguments)
{
    static const struct argp argp = {options, on_option, "[FILE…]", NULL, NULL, NULL, NULL};
    *arguments = (struct arguments){.n_shards = 1,
                                    .n_workers = 1,
                                    .progress_descriptor = -1,
                                    .prune_before_ns = INT64_MIN,
                                    .pages_descriptor = -1};
    arguments->sets = calloc((size_t)argc, sizeof *arguments->sets);
    arguments->files = calloc((size_t)argc, sizeof *arguments->files);
    config_init(&arguments->config);
    argp_err_exit_status = EXIT_USAGE;
    program_invocation_name = (char *)program;
    int status = EXIT_USAGE;
    if (arguments->sets && arguments->files &&
        argp_parse(&argp, argc, argv, 0, NULL, arguments) == 0)
        status = read_config(arguments);
    if (status == 0 && !arguments->run_directory)
        arguments->run_directory = arguments->config.run_directory;
    if (status == 0 && (!arguments->run_directory || !*arguments->run_directory)) {
        fprintf(stderr, "%s: --run-directory is missing\n", program);
        status = EXIT_USAGE;
    }
    if (status)
        arguments_deinit(arguments);
    return status;
}

void arguments_deinit(struct arguments *arguments)
{
    config_deinit(&arguments->config);
    free(arguments->sets);
    free(arguments->files);
    *arguments = (struct arguments){0};
}

/* 'scheme': what is before the path; a text without it stays as it is. */
static int make_absolute(const char *here, const char *scheme, char **text)
{
    size_t length = strlen(scheme);
    char *whole;
    if (!*text || !**text || strncmp(*text, scheme, length) != 0 || (*text)[length] == '/')
        return 0;
    if (asprintf(&whole, "%s%s/%s", scheme, here, *text + length) < 0)
        return -ENOMEM;
    free(*text);
    *text = whole;
    return 0;
}

int arguments_enter_run_directory(struct arguments *arguments)
{
    struct config *config = &arguments->config;
    char here[PATH_MAX];
    int result = getcwd(here, sizeof here) ? 0 : -errno;
    if (result == 0)
        result = make_absolute(here, "", &config->database);
    if (result == 0)
        result = make_absolute(here, "", &config->exporter.spool_directory);
    if (result == 0)
        result = make_absolute(here, "ipc://", &config->events.endpoint);
    if (result == 0)
        result = make_absolute(here, "ipc://", &config->events.control_endpoint);
    if (result == 0 && chdir(arguments->run_directory) < 0)
        result = -errno;
    if (result < 0)
        log_error("run directory %s: %s", arguments->run_directory, strerror(-result));
    else
        arguments->run_directory = ".";
    return result;
}

void arguments_endpoint(const struct arguments *arguments, const char *name, char *endpoint,
                        size_t size)
{
    snprintf(endpoint, size, "ipc://%s/%s", arguments->run_directory, name);
}
