/* arguments: what the supervisor tells a process of the pipeline: the configuration, and its place
 * in the run.
 *
 *     int status = arguments_read(argc, argv, "wanmeter-tracker", &arguments);
 *     if (status) return status;                                       what is wrong was said
 *     …
 *     arguments_deinit(&arguments);
 *
 * All three programs take the same options, so that a pipeline can also be started by hand. */
#ifndef WANMETER_COMMON_ARGUMENTS_H
#define WANMETER_COMMON_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

enum { SHARDS_MAX = 64, WORKERS_MAX = 64 };

struct arguments {
    struct config config;
    const char *run_directory; /* of the command line, else the configuration's */
    uint32_t shard, n_shards;
    uint32_t worker, n_workers;
    uint32_t first_source;    /* source_index of the first file or of the interface */
    const char *interface;    /* live: one of config.sources; NULL: files */
    int progress_descriptor;  /* where to write progress; -1: nowhere */
    int64_t clock_anchor_ns;  /* live: wall clock less steady clock at the run's start; 0: now */
    int pages_descriptor;     /* live: what an interface's workers share; -1: none */
    const char *changes_path; /* capture: recorded changes to put among the packets; NULL: none */
    bool is_live;
    bool is_stopping;       /* capture: what a worker that died had read is all that is wanted */
    int64_t run_started_ns; /* exporter: the run's row; one that is there is gone on with. 0: now */
    int64_t prune_before_ns; /* exporter: no run, deletes flow records only; INT64_MIN: not asked */
    bool is_sealing;         /* exporter: no run, only the seals that are open */
    char **files;            /* borrowed from argv */
    size_t n_files;
    char **sets; /* borrowed from argv: "NAME=VALUE" */
    size_t n_sets;
    const char *config_path;
};

/* Reads the command line and the configuration. 0, or the exit status: 2 for anything wrong, said
 * on standard error. */
int arguments_read(int argc, char **argv, const char *program, struct arguments *arguments);
void arguments_deinit(struct arguments *arguments);

/* Makes the run directory the working directory, by the name ".": its parents may be closed to whom
 * the process becomes. The database and ipc endpoints get absolute paths, so files that are named
 * on the command line are opened before. 0 or -errno (logged). */
int arguments_enter_run_directory(struct arguments *arguments);

/* "ipc://RUN_DIRECTORY/NAME" in 'endpoint' of 'size' bytes; a tracker's name has its number. */
void arguments_endpoint(const struct arguments *arguments, const char *name, char *endpoint,
                        size_t size);

#endif
