#include "cli/settings.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/options.h"
#include "proto/rule_check.h"

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
static void draw_rss_key(struct config *config)
{
    enum { KEY_SIZE = 40 };
    uint8_t key[KEY_SIZE];
    char text[KEY_SIZE * 2 + 1];
    randombytes_buf(key, sizeof key);
    free(config->capture.rss_key);
    config->capture.rss_key = strdup(sodium_bin2hex(text, sizeof text, key, sizeof key));
    assert(config->capture.rss_key != NULL);
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
    if (!settings->has_labels)
        config_load_labels(&settings->config, &errors);
    config_check(&settings->config, &errors);
    rule_check(&settings->config, &errors);

    bool is_good = errors.n == 0;
    if (!is_good)
        config_errors_print(&errors, stderr);
    else if (strcmp(settings->config.capture.rss_key, "random") == 0)
        draw_rss_key(&settings->config);
    config_errors_deinit(&errors);
    return is_good;
}

static int write_all(int descriptor, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(descriptor, text, left);
        if (n < 0)
            return -errno;
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

int settings_share(const struct settings *settings)
{
    int descriptor = memfd_create("wanmeter.yaml", MFD_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    char *text = config_text(&settings->config, false);
    int result = write_all(descriptor, text);
    free(text);
    if (result == 0)
        return descriptor;
    close(descriptor);
    return result;
}

void settings_deinit(struct settings *settings)
{
    for (size_t i = 0; i < settings->n_assignments; i++)
        free(settings->assignments[i]);
    free(settings->assignments);
    if (settings->is_loaded)
        config_deinit(&settings->config);
}
