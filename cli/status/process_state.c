#include "cli/status/process_state.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATH_SIZE = 512, LINE_SIZE = 256 };

static const int64_t HANGS_AFTER_NS = 5000000000; /* ten ticks */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct process_state *find(struct process_state *states, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(states[i].name, name) == 0)
            return &states[i];
    if (*n == PROCESS_STATES_MAX)
        return NULL;
    struct process_state *state = &states[(*n)++];
    *state = (struct process_state){.restarts = -1};
    snprintf(state->name, sizeof state->name, "%s", name);
    return state;
}

/* "NAME PID STATE RESTARTS" */
static void read_roster(const char *run_directory, const char *roster, struct process_state *states,
                        size_t *n)
{
    char path[PATH_SIZE], line[LINE_SIZE];
    snprintf(path, sizeof path, "%s/%s", run_directory, roster);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        char name[REPORT_NAME_SIZE], word[16];
        int pid, restarts;
        if (sscanf(line, "%31s %d %15s %d", name, &pid, word, &restarts) != 4)
            continue;
        struct process_state *state = find(states, n, name);
        if (!state)
            break;
        state->pid = pid;
        state->restarts = restarts;
        memcpy(state->state, word, sizeof word);
    }
    if (file)
        fclose(file);
}

static void read_reports(const char *run_directory, struct process_state *states, size_t *n)
{
    DIR *entries = opendir(run_directory);
    for (struct dirent *entry = entries ? readdir(entries) : NULL; entry;
         entry = readdir(entries)) {
        char path[PATH_SIZE];
        struct report_page page;
        snprintf(path, sizeof path, "%s/%s", run_directory, entry->d_name);
        if (strncmp(entry->d_name, REPORT_PREFIX, strlen(REPORT_PREFIX)) != 0 ||
            !report_read(path, &page))
            continue;
        struct process_state *state = find(states, n, entry->d_name + strlen(REPORT_PREFIX));
        if (!state)
            break;
        state->report = page;
        state->has_report = true;
    }
    if (entries)
        closedir(entries);
}

static void take_line(const char *line, struct process_state *state)
{
    unsigned uid;
    unsigned long long capabilities;
    if (sscanf(line, "Uid: %*u %u", &uid) == 1)
        state->uid = uid;
    else if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
        state->capabilities = capabilities;
    else if (sscanf(line, "NoNewPrivs: %d", &state->no_new_privileges) == 1)
        return;
    else
        sscanf(line, "Seccomp: %d", &state->seccomp);
}

static void read_kernel(struct process_state *state)
{
    char path[64], line[LINE_SIZE];
    snprintf(path, sizeof path, "/proc/%d/status", state->pid);
    FILE *file = state->pid > 0 ? fopen(path, "re") : NULL;
    if (!file)
        return;
    state->has_kernel = true;
    while (fgets(line, sizeof line, file))
        take_line(line, state);
    fclose(file);
}

/* Without a supervisor the process's own word counts, if the kernel knows it still. */
static void settle(struct process_state *state)
{
    bool is_reports = state->has_report && (state->pid == 0 || state->report.pid == state->pid);
    if (state->state[0] == '\0') {
        state->pid = state->report.pid;
        snprintf(state->state, sizeof state->state, "running");
    }
    read_kernel(state);
    if (is_reports) {
        state->silent_ns = now_ns() - state->report.ticked_ns;
        state->uptime_ns = now_ns() - state->report.started_ns;
    }
    if (strcmp(state->state, "running") != 0)
        return;
    if (!state->has_kernel)
        snprintf(state->state, sizeof state->state, "gone");
    else if (!is_reports || !state->report.is_ready)
        snprintf(state->state, sizeof state->state, "starting");
    if (is_reports && state->has_kernel && state->silent_ns > HANGS_AFTER_NS)
        snprintf(state->state, sizeof state->state, "hangs");
}

static int compare(const void *left, const void *right)
{
    const struct process_state *a = left, *b = right;
    size_t stem_a = strcspn(a->name, "-"), stem_b = strcspn(b->name, "-");
    int order = strncmp(a->name, b->name, stem_a > stem_b ? stem_a : stem_b);
    if (order != 0 || a->name[stem_a] == '\0' || b->name[stem_b] == '\0')
        return order;
    return atoi(a->name + stem_a + 1) - atoi(b->name + stem_b + 1);
}

size_t process_states_read(const char *run_directory,
                           struct process_state states[PROCESS_STATES_MAX])
{
    static const char *const rosters[] = {"processes", "processes-exporter", "processes-tracker",
                                          "processes-capture"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof rosters / sizeof *rosters; i++)
        read_roster(run_directory, rosters[i], states, &n);
    read_reports(run_directory, states, &n);
    for (size_t i = 0; i < n; i++)
        settle(&states[i]);
    qsort(states, n, sizeof *states, compare);
    return n;
}

bool process_state_is_well(const struct process_state *state)
{
    return strcmp(state->state, "running") == 0;
}
