/* settings: the configuration that a command line means: a file, assignments, and flags that are
 * short for assignments.
 *
 *     options_parse(…)                            settings_argp is a child parser of the command's
 *     settings_assign(&settings, "tracker.shards", "4");
 *     settings_load(&settings);                   prints every error; false: exit 2
 *     settings_deinit(&settings);
 *
 * The assignments are passed on to the processes, so that all see one configuration. */
#ifndef WANMETER_CLI_SETTINGS_H
#define WANMETER_CLI_SETTINGS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"

struct settings {
    const char *config_path; /* NULL: none */
    char **assignments;      /* "NAME=VALUE", in the order in which they apply */
    size_t n_assignments;
    struct config config; /* valid after settings_load() */
    bool is_loaded;
};

/* --config and --set; its input is a struct settings, zeroed. */
extern const struct argp settings_argp;

void settings_assign(struct settings *settings, const char *name, const char *value);

bool settings_load(struct settings *settings);
void settings_deinit(struct settings *settings);

#endif
