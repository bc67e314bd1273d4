/* options: parsing a command's line with argp, and the options that several commands share.
 *
 *     options_parse(&argp, argc, argv, &state);       does not return on --help or on an error
 *
 * argp of glibc does the work; unknown long options get a "did you mean" before. Every error says
 * what is wrong on standard error and ends the program with EXIT_CODE_USAGE. */
#ifndef WANMETER_CLI_OPTIONS_H
#define WANMETER_CLI_OPTIONS_H

#include <argp.h>
#include <stdint.h>

#include "cli/output.h"

/* Keys of long options without a letter start here, in every command. */
enum { OPTION_LONG = 0x100, OPTION_QUERY = 0x200, OPTION_SETTINGS = 0x300 };

void options_parse(const struct argp *argp, int argc, char **argv, void *state);

/* The argument as a whole number from 'min' to 'max', or a usage error that names the option. */
int64_t options_integer(struct argp_state *state, const char *option, const char *text, int64_t min,
                        int64_t max);

/* The argument as a point in time (moment.h), or a usage error. */
int64_t options_moment(struct argp_state *state, const char *option, const char *text);

/* The index of 'text' in 'words', or a usage error that lists them. */
size_t options_word(struct argp_state *state, const char *option, const char *text,
                    const char *const *words, size_t n_words);

/* --database and --format: a child parser, for commands that read. Its input is a
 * struct query_options, which it sets to the defaults. */
struct query_options {
    const char *database;
    enum output_format format;
};

extern const struct argp options_query_argp;

extern const char *const options_default_database;

#endif
