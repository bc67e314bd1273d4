/* preflight: what can be known to go wrong before anything is started.
 *
 * Each check logs everything it finds. */
#ifndef WANMETER_CLI_PREFLIGHT_H
#define WANMETER_CLI_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cmd.h"
#include "common/config.h"

/* The database is new, or wanmeter's and of a version this program knows. EXIT_CODE_USAGE: it is
 * not, and is left as it is. EXIT_CODE_RUNTIME: it cannot be read or made. */
enum exit_code preflight_database(const char *path);

/* Every file is there, can be read and begins as a capture does. "-" and pipes are not looked at:
 * what is read from them is gone. */
enum exit_code preflight_files(char *const *files, size_t n_files);

/* No file is one that the database holds already, nor the same as another of the files. */
enum exit_code preflight_new_files(const char *database, char *const *files, size_t n_files);

/* The configuration names interfaces, and not too many workers for them. */
enum exit_code preflight_sources(const struct config *config);

/* Every interface of the configuration exists. */
enum exit_code preflight_interfaces(const struct config *config);

#endif
