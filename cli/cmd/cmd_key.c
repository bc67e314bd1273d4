/* wanmeter key: keys of tcp endpoints. */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "common/bus/bus_key.h"

struct key_arguments {
    size_t action; /* of 'actions' */
    size_t n_words;
    const char *path;
};

static const char *const actions[] = {"new", "public"};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct key_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (arguments->n_words == 0)
            arguments->action =
                options_word(state, "action", argument, actions, sizeof actions / sizeof *actions);
        else if (arguments->n_words == 1)
            arguments->path = argument;
        else
            argp_error(state, "'%s' is one word too many", argument);
        arguments->n_words++;
        return 0;
    case ARGP_KEY_END:
        if (arguments->n_words < 2)
            argp_error(state, "expected new FILE or public FILE");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = on_option,
    .args_doc = "new FILE\npublic FILE",
    .doc = "Makes a pair of keys for tcp endpoints (CURVE).\v"
           "new writes a secret key to FILE, which must not be there yet, with mode 0600, and "
           "prints its "
           "public key; public prints it again. The secret key stays where it is made; public "
           "keys are what events.clients and --server-key take.\n\n"
           "Examples:\n"
           "  wanmeter key new /etc/wanmeter/events.key\n"
           "  wanmeter key public /etc/wanmeter/events.key",
};

enum exit_code cmd_key(int argc, char **argv)
{
    struct key_arguments arguments = {0};
    char public_text[BUS_KEY_TEXT_SIZE];
    options_parse(&argp, argc, argv, &arguments);
    if (strcmp(actions[arguments.action], "new") == 0) {
        if (bus_key_create(arguments.path, public_text) < 0)
            return EXIT_CODE_RUNTIME;
    } else {
        struct bus_key secret;
        if (bus_key_read(arguments.path, &secret) < 0)
            return EXIT_CODE_RUNTIME;
        bus_key_public(&secret, public_text);
        explicit_bzero(&secret, sizeof secret);
    }
    puts(public_text);
    return EXIT_CODE_OK;
}
