/* wanmeter meter-spec: what a configuration counts, where and how, as a document to publish. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/meter_spec.h"
#include "cli/bill/tariff_book.h"
#include "cli/options.h"
#include "cli/settings.h"

struct spec_arguments {
    struct settings settings;
    const char *database;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct spec_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->settings;
        return 0;
    case 'd':
        arguments->database = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0,
             "Of its newest run (default: wanmeter.db), where there is no --config", 0},
            {0}},
    .parser = on_option,
    .doc = "What is counted, where and how: the specification of a running meter, in Markdown, for "
           "those who pay by it.\v"
           "Examples:\n"
           "  wanmeter meter-spec --config /etc/wanmeter/wanmeter.yaml >meter.md\n"
           "  wanmeter meter-spec --database wanmeter.db",
    .children = (const struct argp_child[]){{&settings_argp, 0, NULL, 0}, {0}},
};

static enum exit_code of_database(const char *path)
{
    struct database database;
    struct tariff_book book;
    enum exit_code code = database_open(path, &database);
    if (code != EXIT_CODE_OK)
        return code;
    code = tariff_book_open_newest(&database, &book);
    if (code == EXIT_CODE_OK)
        meter_spec_write(&book.config, stdout);
    tariff_book_close(&book);
    database_close(&database);
    return code;
}

enum exit_code cmd_meter_spec(int argc, char **argv)
{
    struct spec_arguments arguments = {.database = options_default_database};
    options_parse(&argp, argc, argv, &arguments);
    enum exit_code code = EXIT_CODE_OK;
    bool has_settings =
        arguments.settings.config_path != NULL || arguments.settings.n_assignments > 0;
    if (!has_settings)
        code = of_database(arguments.database);
    else if (settings_load(&arguments.settings))
        meter_spec_write(&arguments.settings.config, stdout);
    else
        code = EXIT_CODE_USAGE;
    settings_deinit(&arguments.settings);
    return code;
}
