#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/moment.h"
#include "cli/suggest.h"

const char *const options_default_database = "wanmeter.db";

enum { NAMES_MAX = 64 };

/* The long options of a parser and its children; the first ones are argp's own. */
struct known_options {
    const char *names[NAMES_MAX];
    bool has_argument[NAMES_MAX];
    size_t n;
};

static void collect(const struct argp *argp, struct known_options *known)
{
    for (const struct argp_option *option = argp->options;
         option != NULL && (option->name != NULL || option->key != 0 || option->doc != NULL);
         option++) {
        if (option->name == NULL)
            continue;
        assert(known->n < NAMES_MAX);
        known->has_argument[known->n] = option->arg != NULL;
        known->names[known->n++] = option->name;
    }
    for (const struct argp_child *child = argp->children; child != NULL && child->argp != NULL;
         child++)
        collect(child->argp, known);
}

/* The option that 'word' ("--database=x" or a beginning, as getopt allows) means; known->n: none.
 */
static size_t find_option(const struct known_options *known, const char *word)
{
    size_t length = strcspn(word + 2, "=");
    for (size_t i = 0; i < known->n; i++)
        if (strncmp(known->names[i], word + 2, length) == 0)
            return i;
    return known->n;
}

static void refuse_unknown(const struct known_options *known, const char *program, const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *nearest = suggest(name, known->names, known->n);
    fprintf(stderr, "%s: unknown option --%s", program, name);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean --%s?", nearest);
    fprintf(stderr, "\nTry '%s --help'.\n", program);
    exit(EXIT_CODE_USAGE);
}

static void check_names(const struct argp *argp, int argc, char **argv)
{
    struct known_options known = {.names = {"help", "usage", "version"}, .n = 3};
    collect(argp, &known);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        size_t option = find_option(&known, argv[i]);
        if (option == known.n)
            refuse_unknown(&known, argv[0], argv[i]);
        if (known.has_argument[option] && strchr(argv[i], '=') == NULL)
            i++; /* the next word is its argument, whatever it looks like */
    }
}

void options_parse(const struct argp *argp, int argc, char **argv, void *state)
{
    argp_err_exit_status = EXIT_CODE_USAGE;
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0); /* two lines about long options and letters */
    check_names(argp, argc, argv);
    error_t error = argp_parse(argp, argc, argv, 0, NULL, state);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
        exit(EXIT_CODE_USAGE);
    }
}

int64_t options_integer(struct argp_state *state, const char *option, const char *text, int64_t min,
                        int64_t max)
{
    char *end;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || number < min || number > max)
        argp_error(state, "--%s: got '%s', expected a number from %" PRId64 " to %" PRId64, option,
                   text, min, max);
    return number;
}

int64_t options_moment(struct argp_state *state, const char *option, const char *text)
{
    int64_t time_ns = 0;
    if (!moment_parse(text, &time_ns))
        argp_error(state,
                   "--%s: got '%s', expected a time such as 2026-01-31, 2026-01-31T12:00:00Z or "
                   "@1769860800",
                   option, text);
    return time_ns;
}

size_t options_word(struct argp_state *state, const char *option, const char *text,
                    const char *const *words, size_t n_words)
{
    char list[512] = "";
    for (size_t i = 0; i < n_words; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    const char *nearest = suggest(text, words, n_words);
    argp_error(state, "--%s: got '%s', expected one of %s%s%s%s", option, text, list,
               nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
               nearest != NULL ? "?" : "");
    return 0; /* not reached: argp_error() ends the program */
}

static error_t on_query_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct query_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        options->database = options_default_database;
        options->format = OUTPUT_TABLE;
        return 0;
    case 'd':
        options->database = argument;
        return 0;
    case 'f':
        options->format = (enum output_format)options_word(state, "format", argument, formats,
                                                           sizeof formats / sizeof *formats);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp options_query_argp = {
    .options =
        (const struct argp_option[]){
            {"database", 'd', "FILE", 0, "The database (default: wanmeter.db)", 0},
            {"format", 'f', "FORMAT", 0, "table (default), json or csv", 0},
            {0}},
    .parser = on_query_option,
};
