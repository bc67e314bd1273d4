#include "cli/supervisor/crew.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/source.h"

static size_t live_workers(const struct config *config)
{
    size_t n = 0;
    for (size_t i = 0; i < config->n_sources; i++)
        n += (size_t)config->sources[i].workers;
    return n;
}

static bool is_live(const struct supervisor_plan *plan)
{
    return plan->n_files == 0 && plan->n_left_workers == 0;
}

size_t crew_workers(const struct supervisor_plan *plan)
{
    const struct config *config = &plan->settings->config;
    if (plan->n_left_workers > 0)
        return plan->n_left_workers;
    if (is_live(plan))
        return live_workers(config);
    size_t wanted = (size_t)config->capture.workers;
    return wanted < plan->n_files ? wanted : plan->n_files;
}

static const char *const roles[PROCESS_ROLES] = {"exporter", "tracker", "capture"};

/* Has the plan processes of that role? */
static bool is_wanted(const struct supervisor_plan *plan, enum process_role role)
{
    return plan->role == NULL || strcmp(plan->role, roles[role]) == 0;
}

static struct command_line *add_member(struct crew *crew, enum process_role role, size_t number)
{
    struct crew_member *member = &crew->members[crew->n++];
    member->process.role = role;
    if (role == PROCESS_EXPORTER)
        snprintf(member->process.name, sizeof member->process.name, "%s", roles[role]);
    else
        snprintf(member->process.name, sizeof member->process.name, "%s-%zu", roles[role], number);
    return &member->command_line;
}

static void add_number(struct command_line *command_line, const char *option, size_t number)
{
    command_line_add(command_line, option);
    command_line_add_number(command_line, number);
}

/* What all processes are told. */
static int add_common(const struct supervisor_plan *plan, const struct crew *crew,
                      enum process_role role, struct command_line *command_line)
{
    char config_path[48];
    char *program = process_program(role);
    if (program == NULL)
        return -ENOENT;
    snprintf(config_path, sizeof config_path, "/proc/self/fd/%d", crew->options.config);
    command_line_add(command_line, program);
    free(program);
    command_line_add(command_line, "--run-directory");
    command_line_add(command_line, crew->options.run_directory);
    command_line_add(command_line, "--config");
    command_line_add(command_line, config_path);
    add_number(command_line, "--shards", (size_t)plan->settings->config.tracker.shards);
    if (is_live(plan)) {
        command_line_add(command_line, "--live");
        add_number(command_line, "--clock-anchor", (size_t)crew->options.clock_anchor_ns);
    }
    return 0;
}

static int add_exporter(const struct supervisor_plan *plan, struct crew *crew)
{
    struct command_line *command_line = add_member(crew, PROCESS_EXPORTER, 0);
    int result = add_common(plan, crew, PROCESS_EXPORTER, command_line);
    add_number(command_line, "--run-started", (size_t)crew->options.started_ns);
    return result;
}

static int add_tracker(const struct supervisor_plan *plan, size_t shard, struct crew *crew)
{
    struct command_line *command_line = add_member(crew, PROCESS_TRACKER, shard);
    int result = add_common(plan, crew, PROCESS_TRACKER, command_line);
    add_number(command_line, "--shard", shard);
    add_number(command_line, "--workers", crew->n_workers);
    return result;
}

static bool is_regular(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The files of one worker: a contiguous range, so that source order is command-line order. */
static void add_files(const struct supervisor_plan *plan, size_t worker, struct crew *crew)
{
    struct crew_member *member = &crew->members[crew->n - 1];
    size_t first = plan->n_files * worker / crew->n_workers;
    size_t end = plan->n_files * (worker + 1) / crew->n_workers;
    add_number(&member->command_line, "--first-source", first);
    command_line_add(&member->command_line, "--");
    for (size_t i = first; i < end; i++) {
        command_line_add(&member->command_line, plan->files[i]);
        if (strcmp(source_path(plan->files[i]), "-") == 0)
            member->has_standard_input = true;
        if (!is_regular(source_path(plan->files[i])))
            member->is_once = true;
    }
}

/* The interface of one worker: the workers of one interface follow each other. */
static void add_interface(const struct supervisor_plan *plan, const struct crew *crew,
                          size_t worker, struct command_line *command_line)
{
    const struct config *config = &plan->settings->config;
    size_t source = 0;
    while (worker >= (size_t)config->sources[source].workers)
        worker -= (size_t)config->sources[source++].workers;
    command_line_add(command_line, "--interface");
    command_line_add(command_line, config->sources[source].interface);
    add_number(command_line, "--source-index", source);
    if (crew->options.pages >= 0)
        add_number(command_line, "--interface-pages", (size_t)crew->options.pages);
}

static void add_changes(int descriptor, struct command_line *command_line)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    command_line_add(command_line, "--changes");
    command_line_add(command_line, path);
}

static int add_worker(const struct supervisor_plan *plan, size_t worker, struct crew *crew)
{
    const struct progress *progress = crew->options.progress;
    struct command_line *command_line = add_member(crew, PROCESS_CAPTURE, worker);
    crew->members[crew->n - 1].worker = worker;
    int result = add_common(plan, crew, PROCESS_CAPTURE, command_line);
    add_number(command_line, "--worker", worker);
    add_number(command_line, "--workers", crew->n_workers);
    if (progress != NULL)
        add_number(command_line, "--progress-descriptor",
                   (size_t)progress->workers[worker].write_end);
    if (worker == 0 && crew->options.changes != 0)
        add_changes(crew->options.changes, command_line);
    if (plan->is_left)
        command_line_add(command_line, "--stop");
    crew->members[crew->n - 1].is_stopping = plan->is_left;
    if (is_live(plan))
        add_interface(plan, crew, worker, command_line);
    else if (!plan->is_left)
        add_files(plan, worker, crew);
    return result;
}

int crew_create(const struct supervisor_plan *plan, const struct crew_options *options,
                struct crew *crew)
{
    size_t n_shards = (size_t)plan->settings->config.tracker.shards;
    *crew = (struct crew){.options = *options, .n_workers = crew_workers(plan)};
    crew->members = calloc(1 + n_shards + crew->n_workers, sizeof *crew->members);
    assert(crew->members != NULL);

    int result = is_wanted(plan, PROCESS_EXPORTER) ? add_exporter(plan, crew) : 0;
    for (size_t i = 0; result == 0 && i < n_shards && is_wanted(plan, PROCESS_TRACKER); i++)
        result = add_tracker(plan, i, crew);
    for (size_t i = 0; result == 0 && i < crew->n_workers && is_wanted(plan, PROCESS_CAPTURE); i++)
        result = add_worker(plan, i, crew);
    if (result != 0)
        crew_deinit(crew);
    return result;
}

void crew_deinit(struct crew *crew)
{
    for (size_t i = 0; i < crew->n; i++)
        command_line_deinit(&crew->members[i].command_line);
    free(crew->members);
    *crew = (struct crew){0};
}
