/* wanmeter overhead: what a packet costs on a link, by the models that a WAN can name. */
#include "cli/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "common/log.h"
#include "common/overhead.h"

enum overhead_action { ACTION_LIST, ACTION_EXPLAIN, ACTION_CALC, ACTIONS_N };

enum { ACTION_NONE = -1 };

struct overhead_arguments {
    int action;   /* enum overhead_action */
    char **words; /* what follows it; part of argv */
    size_t n_words;
    enum output_format format;
};

static void on_words(struct argp_state *state, struct overhead_arguments *arguments)
{
    static const char *const actions[ACTIONS_N] = {"list", "explain", "calc"};
    char **words = state->argv + state->next;
    size_t n = (size_t)(state->argc - state->next);
    state->next = state->argc;
    arguments->action = (int)options_word(state, "action", words[0], actions, ACTIONS_N);
    arguments->words = words + 1;
    arguments->n_words = n - 1;
    if (arguments->action == ACTION_LIST && n > 1)
        argp_error(state, "list: '%s' is one word too many", words[1]);
    if (arguments->action == ACTION_EXPLAIN && n < 2)
        argp_error(state, "explain: expected a MODEL");
    if (arguments->action == ACTION_CALC && n < 3)
        argp_error(state, "calc: expected a MODEL and a LENGTH");
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct overhead_arguments *arguments = state->input;
    switch (key) {
    case 'f':
        arguments->format = (enum output_format)options_word(state, "format", argument, formats,
                                                             sizeof formats / sizeof *formats);
        return 0;
    case ARGP_KEY_ARGS:
        on_words(state, arguments);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected list, explain MODEL or calc MODEL LENGTH");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"format", 'f', "FORMAT", 0, "Of a list: table (default), json or csv", 0}, {0}},
    .parser = on_option,
    .args_doc = "list\nexplain MODEL...\ncalc MODEL LENGTH...",
    .doc = "What a packet of LENGTH bytes (its IP length) costs on a link.\v"
           "A MODEL is a name, or names and steps joined by '+', the innermost first, or the words "
           "of tc and sqm ('linklayer atm overhead 40 mpu 96'). calc prints "
           "'LENGTH BILLED' lines; a model that bills parts of a byte as 'LENGTH PARTS/OF'.\n\n"
           "Examples:\n"
           "  wanmeter overhead list\n"
           "  wanmeter overhead explain pppoe-ptm\n"
           "  wanmeter overhead calc wireguard4+pppoe-ptm 64 576 1500\n"
           "  wanmeter overhead calc 'linklayer atm overhead 40 mpu 96' 40",
};

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static enum exit_code list(enum output_format format)
{
    static const struct output_column columns[] = {
        {"model", COLUMN_PLAIN}, {"fields", COLUMN_PLAIN}, {"source", COLUMN_PLAIN}};
    struct output *output;
    int result = output_create(stdout, format, "overhead", columns,
                               sizeof columns / sizeof *columns, &output);
    if (result != 0) {
        log_error("%s", strerror(-result));
        return EXIT_CODE_RUNTIME;
    }
    for (size_t i = 0; i < overhead_presets_n; i++) {
        const struct overhead *model = &overhead_presets[i];
        const struct value values[] = {text_value(model->name), text_value(model->fields),
                                       text_value(model->source)};
        output_row(output, values);
    }
    output_destroy(output);
    return EXIT_CODE_OK;
}

/* 'why' is empty where a name is not known. */
static void refuse(const char *text, const char *why)
{
    if (why[0] != '\0') {
        log_error("overhead: '%s': %s", text, why);
        return;
    }
    enum { NAMES_MAX = 256 };
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; n < overhead_presets_n && n < NAMES_MAX; n++)
        names[n] = overhead_presets[n].name;
    const char *nearest = suggest(text, names, n);
    log_error("overhead: got '%s', expected a model (wanmeter overhead list)%s%s%s", text,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
              nearest != NULL ? "'?" : "");
}

static void print_step(const struct overhead_step *step)
{
    static const struct {
        const char *before, *between, *after; /* the numbers; 'between' NULL: there is one */
    } words[OVERHEAD_OPERATIONS_N] = {
        [OVERHEAD_ADD] = {"add ", NULL, " bytes"},
        [OVERHEAD_MIN] = {"at least ", NULL, " bytes"},
        [OVERHEAD_ALIGN] = {"up to a multiple of ", NULL, ""},
        [OVERHEAD_ALIGN_CLAMPED] = {"up to a multiple of ", ", within each ", " bytes"},
        [OVERHEAD_CELLS] = {"a cell for each ", " bytes, of ", " bytes"},
        [OVERHEAD_PER_BLOCK] = {"one byte more for each ", NULL, " bytes begun"},
        [OVERHEAD_RATIO] = {"times ", "/", ""},
        [OVERHEAD_FRAGMENT_IPV4] = {"IPv4 fragments of at most ", NULL, " bytes"},
        [OVERHEAD_VJ] = {"TCP/IP headers compressed (not reckoned by calc), ", " slots, ", ""},
        [OVERHEAD_ESTIMATE] =
            {"UDP headers compressed (an estimate, not reckoned by calc), profile ", NULL, ""},
        [OVERHEAD_TABLE] = {"at least ", " bytes, by a size table of ", " slots"},
    };
    printf("  %s%" PRId32, words[step->operation].before, step->a);
    if (words[step->operation].between != NULL)
        printf("%s%" PRId32, words[step->operation].between, step->b);
    printf("%s\n", words[step->operation].after);
}

static enum exit_code explain(const struct overhead_arguments *arguments)
{
    for (size_t i = 0; i < arguments->n_words; i++) {
        struct overhead model;
        char why[OVERHEAD_WHY_SIZE];
        const struct overhead *named = overhead_find(arguments->words[i]);
        if (named == NULL && !overhead_make_or_tell(arguments->words[i], &model, why)) {
            refuse(arguments->words[i], why);
            return EXIT_CODE_USAGE;
        }
        const struct overhead *shown = named != NULL ? named : &model;
        printf("%s%s%s\n", arguments->words[i], named != NULL ? ": " : "",
               named != NULL ? named->fields : "");
        for (const struct overhead_step *step = shown->steps;
             step < shown->steps + OVERHEAD_STEPS_MAX && step->operation != OVERHEAD_END; step++)
            print_step(step);
        if (named != NULL)
            printf("  Source: %s\n", named->source);
    }
    return EXIT_CODE_OK;
}

static bool parse_length(const char *text, uint32_t *length)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number > UINT32_MAX) {
        log_error("calc: got '%s', expected a LENGTH from 0 to %" PRIu32, text, UINT32_MAX);
        return false;
    }
    *length = (uint32_t)number;
    return true;
}

static enum exit_code calc(const struct overhead_arguments *arguments)
{
    struct overhead model;
    char why[OVERHEAD_WHY_SIZE];
    if (!overhead_make_or_tell(arguments->words[0], &model, why)) {
        refuse(arguments->words[0], why);
        return EXIT_CODE_USAGE;
    }
    uint32_t of = overhead_parts(&model);
    for (size_t i = 1; i < arguments->n_words; i++) {
        uint32_t length;
        if (!parse_length(arguments->words[i], &length))
            return EXIT_CODE_USAGE;
        printf("%" PRIu32 " %" PRIu64, length, overhead_billed_parts(&model, length));
        if (of != 1)
            printf("/%" PRIu32, of);
        printf("\n");
    }
    return EXIT_CODE_OK;
}

enum exit_code cmd_overhead(int argc, char **argv)
{
    struct overhead_arguments arguments = {.action = ACTION_NONE, .format = OUTPUT_TABLE};
    options_parse(&argp, argc, argv, &arguments);
    switch (arguments.action) {
    case ACTION_LIST:
        return list(arguments.format);
    case ACTION_EXPLAIN:
        return explain(&arguments);
    default:
        return calc(&arguments);
    }
}
