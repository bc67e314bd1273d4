/* wanmeter label: the names of label bits of a running daemon. */
#include "cli/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control_client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "common/labels.h"

enum label_action { ACTION_ADD, ACTION_LIST, ACTION_REMOVE, ACTIONS_N };

struct label_arguments {
    const char *run_directory;
    enum label_action action;
    enum output_format format;
    bool is_sticky;
    const char *name;
    const char *bit; /* NULL: any */
};

/* A bit's name, over all shards. */
struct listed {
    char name[LABEL_NAME_MAX + 1]; /* empty: none */
    char kind[16], state[16];
    int64_t n_holders;
};

struct list {
    struct listed bits[LABEL_BITS];
    struct control_outcome outcome; /* an error, where there is one */
};

/* ---- the command line ---- */

static void on_words(struct argp_state *state, struct label_arguments *arguments)
{
    static const char *const actions[ACTIONS_N] = {"add", "list", "remove"};
    static const size_t n_max[ACTIONS_N] = {3, 1, 2};
    static const char *const expected[ACTIONS_N] = {"NAME [BIT]", "nothing more", "NAME"};
    char **words = state->argv + state->next;
    size_t n = (size_t)(state->argc - state->next);
    state->next = state->argc;
    arguments->action = (enum label_action)options_word(state, "action", words[0], actions, 3);
    size_t n_min = arguments->action == ACTION_LIST ? 1 : 2;
    if (n < n_min || n > n_max[arguments->action])
        argp_error(state, "%s: expected %s", words[0], expected[arguments->action]);
    arguments->name = n > 1 ? words[1] : NULL;
    arguments->bit = n > 2 ? words[2] : NULL;
    if (arguments->bit)
        options_integer(state, "BIT", arguments->bit, 0, LABEL_BITS - 1);
    if (arguments->is_sticky && arguments->action != ACTION_ADD)
        argp_error(state, "--sticky is of 'add'");
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct label_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->run_directory;
        return 0;
    case 'f':
        arguments->format = (enum output_format)options_word(state, "format", argument, formats, 3);
        return 0;
    case 's':
        arguments->is_sticky = true;
        return 0;
    case ARGP_KEY_ARGS:
        on_words(state, arguments);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected add, list or remove");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"format", 'f', "FORMAT", 0, "Of list: table (default), json or csv", 0},
            {"sticky", 's', NULL, 0, "Of add: once set, no masked write clears the bit", 0},
            {0}},
    .parser = on_option,
    .args_doc = "add NAME [BIT]\nlist\nremove NAME",
    .doc =
        "The names of label bits of a running daemon.\v"
        "A name is 1 to 63 letters, digits, '-' and ' '; a bit is 0 to 127, without one the lowest "
        "that is free. A removed name is listed, and its bit is not given again, until the last "
        "connection with that bit is over.\n\n"
        "Examples:\n"
        "  wanmeter label add gold 17\n"
        "  wanmeter label list --format json",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- what there is, in all shards ---- */

enum { LIST_COLUMNS = 5 };

/* The columns of "label list" (tracker/label.h). */
static void add_row(struct list *list, const Wanmeter__Control__Row *row)
{
    char text[LIST_COLUMNS][CONTROL_VALUE_MAX + 1];
    for (size_t i = 0; i < LIST_COLUMNS; i++)
        control_client_value(row, i, text[i]);
    unsigned long bit = strtoul(text[0], NULL, 10);
    if (bit >= LABEL_BITS)
        return;
    struct listed *listed = &list->bits[bit];
    snprintf(listed->name, sizeof listed->name, "%.63s", text[1]);
    snprintf(listed->kind, sizeof listed->kind, "%.15s", text[2]);
    snprintf(listed->state, sizeof listed->state, "%.15s", text[3]);
    listed->n_holders += atoll(text[4]);
}

static bool on_reply(void *state, uint32_t shard, const Wanmeter__Control__Reply *reply)
{
    (void)shard;
    struct list *list = state;
    if (reply->error) {
        list->outcome.error = (int)reply->error;
        snprintf(list->outcome.answer, sizeof list->outcome.answer, "%.*s", (int)reply->answer.len,
                 (const char *)reply->answer.data);
        return false;
    }
    for (size_t i = 0; i < reply->n_rows; i++)
        add_row(list, reply->rows[i]);
    return true;
}

static enum exit_code ask(struct control_client *client, struct list *list)
{
    static const char *const words[] = {"label", "list", NULL};
    return control_client_query(client, CONTROL_EVERY_SHARD, words, on_reply, list);
}

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static enum exit_code show(const struct list *list, enum output_format format)
{
    static const struct output_column columns[LIST_COLUMNS] = {{"bit", COLUMN_PLAIN},
                                                               {"name", COLUMN_PLAIN},
                                                               {"kind", COLUMN_PLAIN},
                                                               {"state", COLUMN_PLAIN},
                                                               {"connections", COLUMN_COUNT}};
    struct output *output;
    if (output_create(stdout, format, "label", columns, LIST_COLUMNS, &output) < 0)
        return EXIT_CODE_RUNTIME;
    for (int bit = 0; bit < LABEL_BITS; bit++) {
        const struct listed *listed = &list->bits[bit];
        if (!*listed->name)
            continue;
        struct value values[LIST_COLUMNS] = {integer_value(bit), text_value(listed->name),
                                             text_value(listed->kind), text_value(listed->state),
                                             integer_value(listed->n_holders)};
        output_row(output, values);
    }
    output_destroy(output);
    return output_finish() ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

/* ---- changes ---- */

/* Which bit a new name gets: what some shard's connections still hold is not free. */
static const char *choose_bit(const struct list *list, const struct label_arguments *arguments,
                              char text[8], struct control_outcome *outcome)
{
    if (arguments->bit) {
        const struct listed *there = &list->bits[atoi(arguments->bit)];
        if (*there->name && strcmp(there->state, "removed") == 0) {
            outcome->error = EBUSY;
            snprintf(outcome->answer, sizeof outcome->answer,
                     "%" PRId64 " connections still have the bit, as '%s'", there->n_holders,
                     there->name);
        }
        return arguments->bit;
    }
    for (int bit = 0; bit < LABEL_BITS; bit++)
        if (!*list->bits[bit].name) {
            snprintf(text, 8, "%d", bit);
            return text;
        }
    return NULL; /* the daemon says that there is no room */
}

static enum exit_code add(struct control_client *client, const struct label_arguments *arguments,
                          struct list *list, struct control_outcome *outcome)
{
    char text[8];
    enum exit_code code = ask(client, list);
    *outcome = list->outcome;
    if (code != EXIT_CODE_OK || outcome->error)
        return code;
    const char *words[6] = {"label", "add", arguments->name};
    size_t n = 3;
    const char *bit = choose_bit(list, arguments, text, outcome);
    if (outcome->error)
        return code;
    if (bit)
        words[n++] = bit;
    if (arguments->is_sticky)
        words[n++] = "sticky";
    code = control_client_change(client, words, outcome);
    if (code == EXIT_CODE_OK && !outcome->error)
        printf("%s\n", outcome->answer);
    return code;
}

enum exit_code cmd_label(int argc, char **argv)
{
    static struct list list;
    struct label_arguments arguments = {0};
    options_parse(&argp, argc, argv, &arguments);
    struct control_client *client = NULL;
    struct control_outcome outcome = {0};
    enum exit_code code = control_client_open(arguments.run_directory, &client);
    if (code == EXIT_CODE_OK && arguments.action == ACTION_ADD) {
        code = add(client, &arguments, &list, &outcome);
    } else if (code == EXIT_CODE_OK && arguments.action == ACTION_REMOVE) {
        code = control_client_change(
            client, (const char *[]){"label", "remove", arguments.name, NULL}, &outcome);
    } else if (code == EXIT_CODE_OK) {
        code = ask(client, &list);
        outcome = list.outcome;
        if (code == EXIT_CODE_OK && !outcome.error)
            code = show(&list, arguments.format);
    }
    if (code == EXIT_CODE_OK && outcome.error)
        code = control_client_refused("wanmeter label", &outcome);
    control_client_close(client);
    return code;
}
