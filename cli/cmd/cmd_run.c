/* wanmeter run: live interfaces through the processes, until it is stopped. */
#include "cli/cmd.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/change_record.h"
#include "cli/options.h"
#include "cli/preflight.h"
#include "cli/settings.h"
#include "cli/summary.h"
#include "cli/supervisor.h"

struct run_options {
    struct settings settings;
    bool is_quiet;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
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
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0, "The database to add to", 0},
            {"quiet", 'q', NULL, 0, "No summary at the end: the exit status tells", 0},
            {0}},
    .parser = on_option,
    .doc = "Meters the interfaces under 'sources' of the configuration.\v"
           "Ctrl-C (or SIGTERM) ends it: what was captured is counted, and the summary printed. A "
           "second one ends it at once. Reading an interface needs CAP_NET_RAW.\n\n"
           "Examples:\n"
           "  wanmeter run --config /etc/wanmeter/wanmeter.yaml\n"
           "  wanmeter run --config wanmeter.yaml --set run_directory=/run/wanmeter",
    .children = (const struct argp_child[]){{&settings_argp, 0, NULL, 0}, {0}},
};

static enum exit_code run(struct run_options *options)
{
    if (!settings_load(&options->settings))
        return EXIT_CODE_USAGE;
    const struct config *config = &options->settings.config;
    enum exit_code code = preflight_interfaces(config);
    if (code == EXIT_CODE_OK)
        code = preflight_database(config->database);
    if (code != EXIT_CODE_OK)
        return code;
    struct supervisor_plan plan = {.settings = &options->settings};
    code = change_record_share(config->database, CHANGE_RECORD_LASTING, &plan.changes);
    if (code != EXIT_CODE_OK)
        return code;
    enum supervisor_result result = supervisor_run(&plan);
    if (plan.changes != 0)
        close(plan.changes);
    return summary_of_run(&plan, result, options->is_quiet);
}

enum exit_code cmd_run(int argc, char **argv)
{
    struct run_options options = {0};
    options_parse(&argp, argc, argv, &options);
    enum exit_code code = run(&options);
    settings_deinit(&options.settings);
    return code;
}
