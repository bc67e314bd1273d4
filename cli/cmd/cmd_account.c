/* wanmeter account: whose addresses are, changed in a running daemon. */
#include "cli/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control_client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "common/config/config_value.h"
#include "proto/account_change.h"

enum account_action { ACTION_ADD, ACTION_LIST, ACTION_REMOVE, ACTIONS_N };

/* What is typed, and what goes out: the words of proto/account_change.h. */
struct account_arguments {
    const char *run_directory;
    enum account_action action;
    enum output_format format;
    bool is_moving;
    const char *words[CHANGE_WORDS_MAX + 1];
    size_t n_words;
};

/* ---- the command line ---- */

static void add_word(struct argp_state *state, struct account_arguments *arguments,
                     const char *word)
{
    if (arguments->n_words == CHANGE_WORDS_MAX)
        argp_error(state, "more than %d prefixes: give them in several commands",
                   CHANGE_WORDS_MAX - 3);
    arguments->words[arguments->n_words++] = word;
}

/* The daemon checks again; this way what is wrong is said without one. */
static void check(struct argp_state *state, const struct account_arguments *arguments)
{
    struct change change = {0};
    struct account_change read;
    char error[CHANGE_ANSWER_MAX + 1];
    if (!change_set_words(&change, arguments->words, arguments->n_words))
        argp_error(state, "more than %d bytes: give the prefixes in several commands",
                   CHANGE_TEXT_MAX);
    if (!account_change_read(&change, &read, error))
        argp_error(state, "%s", error);
}

static void on_words(struct argp_state *state, struct account_arguments *arguments)
{
    static const char *const actions[ACTIONS_N] = {"add", "list", "remove"};
    static const char *const expected[ACTIONS_N] = {"NAME PREFIX...", "nothing more",
                                                    "NAME [PREFIX...]"};
    static const size_t n_min[ACTIONS_N] = {3, 1, 2};
    char **typed = state->argv + state->next;
    size_t n = (size_t)(state->argc - state->next);
    state->next = state->argc;
    arguments->action = (enum account_action)options_word(state, "action", typed[0], actions, 3);
    if (n < n_min[arguments->action] || (arguments->action == ACTION_LIST && n > 1))
        argp_error(state, "%s: expected %s", typed[0], expected[arguments->action]);
    if (arguments->is_moving && arguments->action != ACTION_ADD)
        argp_error(state, "--move is of 'add'");
    add_word(state, arguments, "account");
    add_word(state, arguments, arguments->is_moving ? "move" : typed[0]);
    for (size_t i = 1; i < n; i++)
        add_word(state, arguments, typed[i]);
    if (arguments->action != ACTION_LIST)
        check(state, arguments);
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct account_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->run_directory;
        return 0;
    case 'f':
        arguments->format = (enum output_format)options_word(state, "format", argument, formats, 3);
        return 0;
    case 'm':
        arguments->is_moving = true;
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
            {"move", 'm', NULL, 0, "Of add: away from the accounts that have the prefixes", 0},
            {0}},
    .parser = on_option,
    .args_doc = "add NAME PREFIX...\nlist\nremove NAME [PREFIX...]",
    .doc = "Who pays for which addresses, in a running daemon.\v"
           "A prefix is an address or ADDRESS/LENGTH; the longest that holds an address has it. "
           "NAME is an account of the configuration or a new one. Packets are billed so from the "
           "moment on at which the command returns, those of running connections as well; a "
           "restart keeps it.\n\n"
           "Examples:\n"
           "  wanmeter account add room12 192.0.2.12 2001:db8:0:12::/64\n"
           "  wanmeter account add --move room14 192.0.2.12\n"
           "  wanmeter account remove room14",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- list ---- */

enum { LIST_COLUMNS = 4, COLUMN_SINCE = 2 };

struct listed {
    char *texts[LIST_COLUMNS];
    struct config_prefix prefix; /* to sort by */
};

struct list {
    struct listed *rows;
    size_t n, room;
    struct control_outcome outcome; /* an error, where there is one */
};

static bool make_room(struct list *list)
{
    if (list->n < list->room)
        return true;
    size_t room = list->room ? 2 * list->room : 64;
    struct listed *rows = reallocarray(list->rows, room, sizeof *rows);
    if (!rows)
        return false;
    list->rows = rows;
    list->room = room;
    return true;
}

static bool add_row(struct list *list, const Wanmeter__Control__Row *row)
{
    if (!make_room(list))
        return false;
    struct listed *listed = &list->rows[list->n++];
    struct config_complaint complaint;
    bool has_memory = true;
    for (size_t i = 0; i < LIST_COLUMNS; i++) {
        char text[CONTROL_VALUE_MAX + 1];
        listed->texts[i] = strdup(control_client_value(row, i, text));
        has_memory = has_memory && listed->texts[i];
    }
    listed->prefix = (struct config_prefix){0};
    if (has_memory)
        config_prefix_read(listed->texts[1], &listed->prefix, &complaint);
    return has_memory;
}

static bool on_reply(void *state, uint32_t shard, const Wanmeter__Control__Reply *reply)
{
    (void)shard;
    struct list *list = state;
    bool has_memory = true;
    if (reply->error) {
        list->outcome.error = (int)reply->error;
        snprintf(list->outcome.answer, sizeof list->outcome.answer, "%.*s", (int)reply->answer.len,
                 (const char *)reply->answer.data);
        return false;
    }
    for (size_t i = 0; has_memory && i < reply->n_rows; i++)
        has_memory = add_row(list, reply->rows[i]);
    if (!has_memory)
        list->outcome.error = ENOMEM;
    return has_memory;
}

/* By name, then family, address, length. */
static int compare_rows(const void *left, const void *right)
{
    const struct listed *a = left, *b = right;
    int order = strcmp(a->texts[0], b->texts[0]);
    if (order == 0)
        order = (a->prefix.family > b->prefix.family) - (a->prefix.family < b->prefix.family);
    if (order == 0)
        order = memcmp(a->prefix.address, b->prefix.address, sizeof a->prefix.address);
    return order ? order
                 : (a->prefix.length > b->prefix.length) - (a->prefix.length < b->prefix.length);
}

static struct value value_of(const struct listed *listed, size_t column)
{
    const char *text = listed->texts[column];
    if (column != COLUMN_SINCE)
        return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
    int64_t since_ns = atoll(text);
    return (struct value){.kind = since_ns ? VALUE_INTEGER : VALUE_NULL, .integer = since_ns};
}

static enum exit_code show(const struct list *list, enum output_format format)
{
    static const struct output_column columns[LIST_COLUMNS] = {{"account", COLUMN_PLAIN},
                                                               {"prefix", COLUMN_PLAIN},
                                                               {"since_ns", COLUMN_TIME},
                                                               {"from", COLUMN_PLAIN}};
    struct output *output;
    if (output_create(stdout, format, "account", columns, LIST_COLUMNS, &output) < 0)
        return EXIT_CODE_RUNTIME;
    for (size_t i = 0; i < list->n; i++) {
        struct value values[LIST_COLUMNS];
        for (size_t k = 0; k < LIST_COLUMNS; k++)
            values[k] = value_of(&list->rows[i], k);
        output_row(output, values);
    }
    output_destroy(output);
    return output_finish() ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

static void list_deinit(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < LIST_COLUMNS; k++)
            free(list->rows[i].texts[k]);
    free(list->rows);
}

static enum exit_code list_all(struct control_client *client,
                               const struct account_arguments *arguments,
                               struct control_outcome *outcome)
{
    struct list list = {0};
    enum exit_code code =
        control_client_query(client, CONTROL_FIRST_SHARD, arguments->words, on_reply, &list);
    *outcome = list.outcome;
    if (code == EXIT_CODE_OK && !outcome->error) {
        if (list.n > 0)
            qsort(list.rows, list.n, sizeof *list.rows, compare_rows);
        code = show(&list, arguments->format);
    }
    list_deinit(&list);
    return code;
}

enum exit_code cmd_account(int argc, char **argv)
{
    struct account_arguments arguments = {0};
    options_parse(&argp, argc, argv, &arguments);
    struct control_client *client = NULL;
    struct control_outcome outcome = {0};
    enum exit_code code = control_client_open(arguments.run_directory, &client);
    if (code == EXIT_CODE_OK && arguments.action == ACTION_LIST)
        code = list_all(client, &arguments, &outcome);
    else if (code == EXIT_CODE_OK)
        code = control_client_change(client, arguments.words, &outcome);
    if (code == EXIT_CODE_OK && outcome.error)
        code = control_client_refused("wanmeter account", &outcome);
    control_client_close(client);
    return code;
}
