/* wanmeter reconcile: a WAN's bytes beside its operator's figure. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/account_check.h"
#include "cli/bill/reconcile.h"
#include "cli/options.h"
#include "cli/output.h"

enum { KEY_FROM = OPTION_LONG, KEY_TO, KEY_COUNTER, KEY_ALL, POINTS_SHOWN = 8 };

struct reconcile_arguments {
    struct query_options query;
    struct reconcile_request request;
    int64_t counter; /* -1: not given */
    bool is_all;
};

static void parse_direction(struct argp_state *state, const char *text, const char **direction)
{
    static const char *const words[] = {"both", "up", "down"};
    size_t word = options_word(state, "direction", text, words, sizeof words / sizeof *words);
    *direction = word > 0 ? words[word] : NULL;
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct reconcile_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->query;
        return 0;
    case 'w':
        arguments->request.wan = argument;
        return 0;
    case 'D':
        parse_direction(state, argument, &arguments->request.direction);
        return 0;
    case KEY_COUNTER:
        arguments->counter = options_integer(state, "counter", argument, 1, INT64_MAX);
        return 0;
    case KEY_FROM:
        arguments->request.from_ns = options_moment(state, "from", argument);
        return 0;
    case KEY_TO:
        arguments->request.to_ns = options_moment(state, "to", argument);
        return 0;
    case KEY_ALL:
        arguments->is_all = true;
        return 0;
    case ARGP_KEY_END:
        if (arguments->request.wan == NULL || arguments->counter < 0)
            argp_error(state, "--wan and --counter are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"wan", 'w', "NAME", 0, "Which WAN", 0},
            {"counter", KEY_COUNTER, "BYTES", 0, "What its operator says", 0},
            {"from", KEY_FROM, "TIME", 0, "Slots that begin at TIME or later", 0},
            {"to", KEY_TO, "TIME", 0, "Slots that begin before TIME", 0},
            {"direction", 'D', "DIRECTION", 0, "up, down, or both (default)", 0},
            {"all", KEY_ALL, NULL, 0, "Every counting point, not the 8 that fit best", 0},
            {0}},
    .parser = on_option,
    .doc = "How far the operator's figure is off what was metered, and at which counting point it "
           "would fit best.\v"
           "Differences are in millionths of the operator's figure; positive: more was metered. "
           "Where only bounds are known, the figure may lie between two.\n\n"
           "Examples:\n"
           "  wanmeter reconcile --wan adsl --counter 1234567890 --from 2026-10-01 --to 2026-11-01",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

enum row_column {
    ROW_RANK,
    ROW_POINT,
    ROW_LOW,
    ROW_HIGH,
    ROW_LOW_PPM,
    ROW_HIGH_PPM,
    ROW_CERTAINTY,
    ROW_COLUMNS,
};

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static void write_point(struct output *output, const struct reconcile_point *point, size_t rank,
                        int64_t counter)
{
    const struct value values[ROW_COLUMNS] = {
        [ROW_RANK] = integer_value((int64_t)rank),
        [ROW_POINT] = text_value(point->name),
        [ROW_LOW] = integer_value(point->low),
        [ROW_HIGH] = integer_value(point->high),
        [ROW_LOW_PPM] = integer_value(reconcile_ppm(point->low, counter)),
        [ROW_HIGH_PPM] = integer_value(reconcile_ppm(point->high, counter)),
        [ROW_CERTAINTY] = text_value(point->low == point->high ? "exact" : "bounded"),
    };
    output_row(output, values);
}

/* What the bill says, then what fits best. */
static void write_rows(const struct reconcile_arguments *arguments,
                       const struct reconciliation *reconciliation)
{
    static const struct output_column columns[ROW_COLUMNS] = {
        [ROW_RANK] = {"rank", COLUMN_PLAIN},
        [ROW_POINT] = {"counting_point", COLUMN_PLAIN},
        [ROW_LOW] = {"low_bytes", COLUMN_COUNT},
        [ROW_HIGH] = {"high_bytes", COLUMN_COUNT},
        [ROW_LOW_PPM] = {"low_difference_ppm", COLUMN_PLAIN},
        [ROW_HIGH_PPM] = {"high_difference_ppm", COLUMN_PLAIN},
        [ROW_CERTAINTY] = {"certainty", COLUMN_PLAIN},
    };
    struct output *output;
    if (output_create(stdout, arguments->query.format, "reconcile", columns, ROW_COLUMNS, &output) <
        0)
        return;
    const struct reconcile_point *points = reconciliation->points;
    for (size_t i = 0; i < reconciliation->n_points; i++)
        if (points[i].is_billed)
            write_point(output, &points[i], i + 1, arguments->counter);
    for (size_t i = 0; i < reconciliation->n_points; i++)
        if (!points[i].is_billed && (arguments->is_all || i < POINTS_SHOWN))
            write_point(output, &points[i], i + 1, arguments->counter);
    output_destroy(output);
}

enum exit_code cmd_reconcile(int argc, char **argv)
{
    struct reconcile_arguments arguments = {.request = {.from_ns = INT64_MIN, .to_ns = INT64_MAX},
                                            .counter = -1};
    options_parse(&argp, argc, argv, &arguments);
    struct database database;
    enum exit_code code = database_open(arguments.query.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    struct reconciliation reconciliation = {0};
    code = account_check_wan(&database, arguments.request.wan);
    if (code == EXIT_CODE_OK && !reconcile_read(&database, &arguments.request, &reconciliation))
        code = EXIT_CODE_RUNTIME;
    if (code == EXIT_CODE_OK) {
        reconcile_rank(&reconciliation, arguments.counter);
        write_rows(&arguments, &reconciliation);
    }
    reconcile_deinit(&reconciliation);
    database_close(&database);
    return code;
}
