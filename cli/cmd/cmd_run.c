/* wanmeter run: live interfaces through the processes, until it is stopped. */
#include "cli/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/change_record.h"
#include "cli/options.h"
#include "cli/preflight.h"
#include "cli/settings.h"
#include "cli/summary.h"
#include "cli/supervisor.h"
#include "common/log.h"

enum { KEY_ROLE = OPTION_LONG };

struct run_options {
    struct settings settings;
    const char *role; /* NULL: all */
    bool is_quiet;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const roles[] = {"exporter", "tracker", "capture"};
    struct run_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case 'd':
        settings_assign(&options->settings, "database", argument);
        return 0;
    case 'q':
        options->is_quiet = true;
        return 0;
    case KEY_ROLE:
        options->role = roles[options_word(state, "role", argument, roles, 3)];
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0, "The database to add to", 0},
            {"quiet", 'q', NULL, 0, "No summary at the end: the exit status tells", 0},
            {"role", KEY_ROLE, "ROLE", 0,
             "Only these processes: exporter, tracker or capture; the other roles are started by "
             "themselves, with the same run_directory",
             0},
            {0}},
    .parser = on_option,
    .doc = "Meters the interfaces under 'sources' of the configuration.\v"
           "Ctrl-C (or SIGTERM) ends it: what was captured is counted, and the summary printed. A "
           "second one ends it at once. Reading an interface needs CAP_NET_RAW.\n\n"
           "With --role, the run is what the exporter's part was started with; the others wait for "
           "it, and need run_directory only. The capture part ends a run, the others end after "
           "it; who is started again goes on.\n\n"
           "Examples:\n"
           "  wanmeter run --config /etc/wanmeter/wanmeter.yaml\n"
           "  wanmeter run --config wanmeter.yaml --set run_directory=/run/wanmeter",
    .children = (const struct argp_child[]){{&settings_argp, 0, NULL, 0}, {0}},
};

/* Does this supervisor write the database, or start who does? */
static bool has_database(const struct run_options *options)
{
    return options->role == NULL || strcmp(options->role, "exporter") == 0;
}

static enum exit_code check(const struct run_options *options)
{
    const struct config *config = &options->settings.config;
    enum exit_code code = EXIT_CODE_OK;
    if (options->role != NULL && config->run_directory[0] == '\0') {
        log_error("--role: the parts of a run have to find each other: --set "
                  "run_directory=DIRECTORY, the same for all");
        return EXIT_CODE_USAGE;
    }
    if (has_database(options))
        code = preflight_sources(config);
    if (code == EXIT_CODE_OK && options->role == NULL)
        code = preflight_interfaces(config);
    if (code == EXIT_CODE_OK && has_database(options))
        code = preflight_database(config->database);
    return code;
}

static enum exit_code run(struct run_options *options)
{
    if (!settings_load(&options->settings))
        return EXIT_CODE_USAGE;
    const char *database = options->settings.config.database;
    struct supervisor_plan plan = {.settings = &options->settings, .role = options->role};
    enum exit_code code = check(options);
    if (code == EXIT_CODE_OK && has_database(options))
        code = change_record_share(database, CHANGE_RECORD_LASTING, &plan.changes);
    if (code != EXIT_CODE_OK)
        return code;
    enum supervisor_result result = supervisor_run(&plan);
    if (plan.changes != 0)
        close(plan.changes);
    bool is_over = result != SUPERVISOR_LEFT && has_database(options);
    if (is_over)
        return summary_of_run(&plan, result, options->is_quiet);
    return result == SUPERVISOR_FAILED ? EXIT_CODE_RUNTIME : EXIT_CODE_OK;
}

enum exit_code cmd_run(int argc, char **argv)
{
    struct run_options options = {0};
    options_parse(&argp, argc, argv, &options);
    enum exit_code code = run(&options);
    settings_deinit(&options.settings);
    return code;
}
