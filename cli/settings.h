/* settings: the configuration that a command line means: a file, assignments, and flags that are
 * short for assignments.
 *
 *     options_parse(…)                            settings_argp is a child parser of the command's
 *     settings_assign(&settings, "tracker.shards", "4");
 *     settings_load(&settings);                   prints every error; false: exit 2
 *     descriptor = settings_share(&settings);     for the processes: all see one configuration
 *     settings_deinit(&settings);
 */
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
    bool has_labels; /* the file is of settings_share()'s kind: label names are in it already */
    struct config config; /* valid after settings_load(), and may be changed then */
    bool is_loaded;
};

/* --config and --set; its input is a struct settings, zeroed. */
extern const struct argp settings_argp;

void settings_assign(struct settings *settings, const char *name, const char *value);

bool settings_load(struct settings *settings);

/* What was loaded, whole, as a file in memory that any number of processes can open by its
 * descriptor: the file that --config names may be a pipe, or be edited meanwhile. The descriptor
 * (the caller closes it), or -errno. */
int settings_share(const struct settings *settings);
void settings_deinit(struct settings *settings);

#endif
