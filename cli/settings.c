#include "cli/settings.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

static void append(struct settings *settings, char *assignment)
{
    assert(assignment != NULL);
    settings->assignments = reallocarray(settings->assignments, settings->n_assignments + 1,
                                         sizeof *settings->assignments);
    assert(settings->assignments != NULL);
    settings->assignments[settings->n_assignments++] = assignment;
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 'c':
        settings->config_path = argument;
        return 0;
    case OPTION_SETTINGS:
        append(settings, strdup(argument));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp settings_argp = {
    .options = (const struct argp_option[]){{"config", 'c', "FILE", 0, "The configuration file", 0},
                                            {"set", OPTION_SETTINGS, "NAME=VALUE", 0,
                                             "One option of it, over what the file says", 0},
                                            {0}},
    .parser = on_option,
};

void settings_assign(struct settings *settings, const char *name, const char *value)
{
    char *assignment;
    int length = asprintf(&assignment, "%s=%s", name, value);
    assert(length >= 0);
    append(settings, assignment);
}

/* One key for all workers: both directions of a connection must reach one shard, whichever worker
 * saw them. */
static void draw_rss_key(struct settings *settings)
{
    enum { KEY_SIZE = 40 };
    uint8_t key[KEY_SIZE];
    char text[KEY_SIZE * 2 + 1];
    randombytes_buf(key, sizeof key);
    settings_assign(settings, "capture.rss_key",
                    sodium_bin2hex(text, sizeof text, key, sizeof key));
}

bool settings_load(struct settings *settings)
{
    struct config_errors errors = {0};
    config_init(&settings->config);
    settings->is_loaded = true;
    if (settings->config_path != NULL)
        config_load(&settings->config, settings->config_path, &errors);
    for (size_t i = 0; i < settings->n_assignments; i++)
        config_set(&settings->config, settings->assignments[i], &errors);
    config_check(&settings->config, &errors);

    bool is_good = errors.n == 0;
    if (!is_good)
        config_errors_print(&errors, stderr);
    else if (strcmp(settings->config.capture.rss_key, "random") == 0)
        draw_rss_key(settings);
    config_errors_deinit(&errors);
    return is_good;
}

void settings_deinit(struct settings *settings)
{
    for (size_t i = 0; i < settings->n_assignments; i++)
        free(settings->assignments[i]);
    free(settings->assignments);
    if (settings->is_loaded)
        config_deinit(&settings->config);
}
