/* wanmeter config: checks a configuration, and shows what there is to configure. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "common/config.h"
#include "proto/rule_check.h"

enum config_action { ACTION_CHECK, ACTION_EXAMPLE, ACTION_REFERENCE, ACTIONS_N };

enum { ACTION_NONE = -1 };

struct config_arguments {
    int action; /* enum config_action */
    const char *path;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const actions[ACTIONS_N] = {"check", "example", "reference"};
    struct config_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (arguments->action == ACTION_NONE)
            arguments->action = (int)options_word(state, "action", argument, actions, ACTIONS_N);
        else if (arguments->action == ACTION_CHECK && arguments->path == NULL)
            arguments->path = argument;
        else
            argp_error(state, "'%s' is one word too many", argument);
        return 0;
    case ARGP_KEY_END:
        if (arguments->action == ACTION_NONE)
            argp_error(state, "expected check FILE, example or reference");
        if (arguments->action == ACTION_CHECK && arguments->path == NULL)
            argp_error(state, "check: expected the FILE");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = on_option,
    .args_doc = "check FILE\nexample\nreference",
    .doc = "Checks a configuration file, or shows what there is to configure.\v"
           "check prints every error there is, or 'FILE: ok'. example prints a file with every "
           "option at its default, reference the same as a page (Markdown).\n\n"
           "Examples:\n"
           "  wanmeter config check wanmeter.yaml\n"
           "  wanmeter config example >wanmeter.yaml",
};

static enum exit_code check(const char *path)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_load(&config, path, &errors);
    config_load_labels(&config, &errors);
    config_check(&config, &errors);
    rule_check(&config, &errors);
    bool is_good = errors.n == 0;
    if (is_good)
        printf("%s: ok\n", path);
    else
        config_errors_print(&errors, stderr);
    config_errors_deinit(&errors);
    config_deinit(&config);
    return is_good ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

enum exit_code cmd_config(int argc, char **argv)
{
    struct config_arguments arguments = {.action = ACTION_NONE};
    options_parse(&argp, argc, argv, &arguments);
    switch (arguments.action) {
    case ACTION_CHECK:
        return check(arguments.path);
    case ACTION_EXAMPLE:
        config_write_example(stdout);
        return EXIT_CODE_OK;
    default:
        config_write_reference(stdout);
        return EXIT_CODE_OK;
    }
}
