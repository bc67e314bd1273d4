/* wanmeter doctor: what of this machine would spoil a bill, and the command that mends it. */
#include "cli/cmd.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "common/log.h"

enum { KEY_ALL = OPTION_LONG, KEY_IGNORE };

struct doctor_arguments {
    struct settings settings;
    enum output_format format;
    const char **interfaces; /* none: those of the configuration */
    size_t n_interfaces;
    bool is_ignored[FINDING_CHECKS];
    bool is_all;
};

static void add_interface(struct doctor_arguments *arguments, const char *interface)
{
    arguments->interfaces = reallocarray(arguments->interfaces, arguments->n_interfaces + 1,
                                         sizeof *arguments->interfaces);
    assert(arguments->interfaces != NULL);
    arguments->interfaces[arguments->n_interfaces++] = interface;
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct doctor_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->settings;
        return 0;
    case 'i':
        add_interface(arguments, argument);
        return 0;
    case 'd':
        settings_assign(&arguments->settings, "database", argument);
        return 0;
    case 'f':
        arguments->format = (enum output_format)options_word(state, "format", argument, formats,
                                                             sizeof formats / sizeof *formats);
        return 0;
    case KEY_ALL:
        arguments->is_all = true;
        return 0;
    case KEY_IGNORE:
        arguments
            ->is_ignored[options_word(state, "ignore", argument, finding_checks, FINDING_CHECKS)] =
            true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"interface", 'i', "NAME", 0,
             "One that is captured, as often as needed (default: the configuration's sources)", 0},
            {"database", 'd', "FILE", 0, "Where the bill is kept", 0},
            {"ignore", KEY_IGNORE, "CHECK", 0, "What is known and meant to be, as often as needed",
             0},
            {"all", KEY_ALL, NULL, 0, "What is as it should be, too", 0},
            {"format", 'f', "FORMAT", 0, "table (default), json or csv", 0},
            {0}},
    .parser = on_option,
    .doc = "What of this machine would spoil a bill, and the command that mends it.\v"
           "It looks and changes nothing. Exit status 3: something was found.\n\n"
           "Examples:\n"
           "  wanmeter doctor --config /etc/wanmeter/wanmeter.yaml\n"
           "  wanmeter doctor --interface eth1 --ignore vlan_offloads --format json",
    .children = (const struct argp_child[]){{&settings_argp, 0, NULL, 0}, {0}},
};

static struct value text_value(const char *text)
{
    if (text == NULL)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static bool write_findings(const struct doctor_arguments *arguments,
                           const struct findings *findings, size_t *n_found)
{
    static const struct output_column columns[] = {
        {"subject", COLUMN_PLAIN}, {"check", COLUMN_PLAIN},  {"verdict", COLUMN_PLAIN},
        {"found", COLUMN_PLAIN},   {"effect", COLUMN_PLAIN}, {"mend", COLUMN_PLAIN}};
    struct output *output;
    int result = output_create(stdout, arguments->format, "doctor", columns,
                               sizeof columns / sizeof *columns, &output);
    if (result != 0) {
        log_error("%s", strerror(-result));
        return false;
    }
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->items[i];
        bool is_found = finding->verdict != FINDING_OK && !arguments->is_ignored[finding->check];
        *n_found += is_found;
        if (!is_found && !arguments->is_all)
            continue;
        const char *effect = finding->verdict == FINDING_OK ? NULL : finding_effect(finding->check);
        const struct value values[] = {text_value(finding->subject),
                                       text_value(finding_checks[finding->check]),
                                       text_value(finding_verdicts[finding->verdict]),
                                       text_value(finding->found),
                                       text_value(effect),
                                       text_value(finding->mend)};
        output_row(output, values);
    }
    output_destroy(output);
    return true;
}

/* An interface that the configuration does not know has one worker. */
static int64_t workers_of(const struct config *config, const char *interface)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].interface, interface) == 0)
            return config->sources[i].workers;
    return 1;
}

static enum exit_code look(const struct doctor_arguments *arguments)
{
    const struct config *config = &arguments->settings.config;
    struct doctor doctor;
    int result = doctor_open(&doctor, config);
    if (result != 0) {
        log_error("the list of interfaces: %s", strerror(-result));
        return EXIT_CODE_RUNTIME;
    }
    int64_t n_workers = 0;
    for (size_t i = 0; i < arguments->n_interfaces; i++) {
        doctor_check_interface(&doctor, arguments->interfaces[i]);
        n_workers += workers_of(config, arguments->interfaces[i]);
    }
    doctor_check_host(&doctor, n_workers);
    doctor_check_storage(&doctor);
    size_t n_found = 0;
    bool is_written = write_findings(arguments, &doctor.findings, &n_found);
    log_info("doctor: looked at %zu things, found %zu", doctor.findings.n, n_found);
    doctor_close(&doctor);
    if (!is_written)
        return EXIT_CODE_RUNTIME;
    return n_found > 0 ? EXIT_CODE_LOSS : EXIT_CODE_OK;
}

static enum exit_code load_and_look(struct doctor_arguments *arguments)
{
    if (!settings_load(&arguments->settings))
        return EXIT_CODE_USAGE;
    const struct config *config = &arguments->settings.config;
    if (arguments->n_interfaces == 0)
        for (size_t i = 0; i < config->n_sources; i++)
            add_interface(arguments, config->sources[i].interface);
    if (arguments->n_interfaces > 0)
        return look(arguments);
    log_error("there is no interface to look at: name one with --interface, or under 'sources' in "
              "the file that --config names");
    return EXIT_CODE_USAGE;
}

enum exit_code cmd_doctor(int argc, char **argv)
{
    struct doctor_arguments arguments = {.format = OUTPUT_TABLE};
    options_parse(&argp, argc, argv, &arguments);
    enum exit_code code = load_and_look(&arguments);
    settings_deinit(&arguments.settings);
    free(arguments.interfaces);
    return code;
}
