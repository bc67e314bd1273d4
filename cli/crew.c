#include "cli/crew.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/source.h"

static size_t live_workers(const struct config *config)
{
    size_t n = 0;
    for (size_t i = 0; i < config->n_sources; i++)
        n += (size_t)config->sources[i].workers;
    return n;
}

size_t crew_workers(const struct supervisor_plan *plan)
{
    const struct config *config = &plan->settings->config;
    if (plan->n_files == 0)
        return live_workers(config);
    size_t wanted = (size_t)config->capture.workers;
    return wanted < plan->n_files ? wanted : plan->n_files;
}

static struct arguments *add_member(struct crew *crew, enum process_role role, size_t number)
{
    static const char *const roles[PROCESS_ROLES] = {"exporter", "tracker", "capture"};
    struct crew_member *member = &crew->members[crew->n++];
    member->process.role = role;
    if (role == PROCESS_EXPORTER)
        snprintf(member->process.name, sizeof member->process.name, "%s", roles[role]);
    else
        snprintf(member->process.name, sizeof member->process.name, "%s-%zu", roles[role], number);
    return &member->arguments;
}

static void add_number(struct arguments *arguments, const char *option, size_t number)
{
    arguments_add(arguments, option);
    arguments_add_number(arguments, number);
}

/* What all processes are told. */
static int add_common(const struct supervisor_plan *plan, const char *run_directory,
                      enum process_role role, struct arguments *arguments)
{
    char program[PROCESS_PATH_MAX];
    int result = process_program(role, program);
    if (result != 0)
        return result;
    arguments_add(arguments, program);
    arguments_add(arguments, "--run-directory");
    arguments_add(arguments, run_directory);
    add_number(arguments, "--shards", (size_t)plan->settings->config.tracker.shards);
    if (plan->settings->config_path != NULL) {
        arguments_add(arguments, "--config");
        arguments_add(arguments, plan->settings->config_path);
    }
    for (size_t i = 0; i < plan->settings->n_assignments; i++) {
        arguments_add(arguments, "--set");
        arguments_add(arguments, plan->settings->assignments[i]);
    }
    return 0;
}

static int add_exporter(const struct supervisor_plan *plan, const char *run_directory,
                        struct crew *crew)
{
    struct arguments *arguments = add_member(crew, PROCESS_EXPORTER, 0);
    int result = add_common(plan, run_directory, PROCESS_EXPORTER, arguments);
    if (plan->n_files == 0)
        arguments_add(arguments, "--live");
    return result;
}

static int add_tracker(const struct supervisor_plan *plan, const char *run_directory, size_t shard,
                       struct crew *crew)
{
    struct arguments *arguments = add_member(crew, PROCESS_TRACKER, shard);
    int result = add_common(plan, run_directory, PROCESS_TRACKER, arguments);
    add_number(arguments, "--shard", shard);
    add_number(arguments, "--workers", crew->n_workers);
    if (plan->n_files == 0)
        arguments_add(arguments, "--live");
    return result;
}

/* The files of one worker: a contiguous range, so that source order is command-line order. */
static void add_files(const struct supervisor_plan *plan, size_t worker, struct crew *crew)
{
    struct crew_member *member = &crew->members[crew->n - 1];
    size_t first = plan->n_files * worker / crew->n_workers;
    size_t end = plan->n_files * (worker + 1) / crew->n_workers;
    add_number(&member->arguments, "--first-source", first);
    arguments_add(&member->arguments, "--");
    for (size_t i = first; i < end; i++) {
        arguments_add(&member->arguments, plan->files[i]);
        if (strcmp(source_path(plan->files[i]), "-") == 0)
            member->has_standard_input = true;
    }
}

/* The interface of one worker: the workers of one interface follow each other. */
static void add_interface(const struct supervisor_plan *plan, size_t worker,
                          struct arguments *arguments)
{
    const struct config *config = &plan->settings->config;
    size_t source = 0;
    while (worker >= (size_t)config->sources[source].workers)
        worker -= (size_t)config->sources[source++].workers;
    arguments_add(arguments, "--interface");
    arguments_add(arguments, config->sources[source].interface);
    add_number(arguments, "--source-index", source);
}

static int add_worker(const struct supervisor_plan *plan, const char *run_directory, size_t worker,
                      const struct progress *progress, struct crew *crew)
{
    struct arguments *arguments = add_member(crew, PROCESS_CAPTURE, worker);
    crew->members[crew->n - 1].worker = worker;
    int result = add_common(plan, run_directory, PROCESS_CAPTURE, arguments);
    add_number(arguments, "--worker", worker);
    add_number(arguments, "--workers", crew->n_workers);
    if (progress != NULL)
        add_number(arguments, "--progress-descriptor", (size_t)progress->workers[worker].write_end);
    if (plan->n_files == 0)
        add_interface(plan, worker, arguments);
    else
        add_files(plan, worker, crew);
    return result;
}

int crew_create(const struct supervisor_plan *plan, const char *run_directory,
                const struct progress *progress, struct crew *crew)
{
    size_t n_shards = (size_t)plan->settings->config.tracker.shards;
    *crew = (struct crew){.n_workers = crew_workers(plan)};
    crew->members = calloc(1 + n_shards + crew->n_workers, sizeof *crew->members);
    assert(crew->members != NULL);

    int result = add_exporter(plan, run_directory, crew);
    for (size_t i = 0; result == 0 && i < n_shards; i++)
        result = add_tracker(plan, run_directory, i, crew);
    for (size_t i = 0; result == 0 && i < crew->n_workers; i++)
        result = add_worker(plan, run_directory, i, progress, crew);
    if (result != 0)
        crew_deinit(crew);
    return result;
}

void crew_deinit(struct crew *crew)
{
    for (size_t i = 0; i < crew->n; i++)
        arguments_deinit(&crew->members[i].arguments);
    free(crew->members);
    *crew = (struct crew){0};
}
