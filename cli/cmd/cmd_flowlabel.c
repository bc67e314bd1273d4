/* wanmeter flowlabel: leases of IPv6 flow labels, of a running daemon. */
#include "cli/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control_client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "common/log.h"

enum flowlabel_format { FORMAT_KERNEL, FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV, FORMATS_N };

struct flowlabel_arguments {
    const char *run_directory;
    enum flowlabel_format format;
    const char *words[CHANGE_WORDS_MAX + 1]; /* "flowlabel", then as typed */
    size_t n_words;
};

/* ---- the command line ---- */

enum { WORDS_MIN_LIST = 1, WORDS_MIN = 2 };

static void on_words(struct argp_state *state, struct flowlabel_arguments *arguments)
{
    static const char *const verbs[] = {"get", "renew", "put", "list", "headers"};
    char **typed = state->argv + state->next;
    size_t n = (size_t)(state->argc - state->next);
    state->next = state->argc;
    options_word(state, "action", typed[0], verbs, sizeof verbs / sizeof *verbs);
    bool is_list = strcmp(typed[0], "list") == 0;
    if (is_list && n > WORDS_MIN_LIST)
        argp_error(state, "list: '%s' is one word too many", typed[1]);
    if (!is_list && n < WORDS_MIN)
        argp_error(state, "%s: expected a LABEL", typed[0]);
    if (n >= CHANGE_WORDS_MAX)
        argp_error(state, "more than %d words", CHANGE_WORDS_MAX - 1);
    arguments->words[0] = "flowlabel";
    for (size_t i = 0; i < n; i++)
        arguments->words[i + 1] = typed[i];
    arguments->n_words = n + 1;
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[FORMATS_N] = {[FORMAT_KERNEL] = "kernel",
                                                   [FORMAT_TABLE] = "table",
                                                   [FORMAT_JSON] = "json",
                                                   [FORMAT_CSV] = "csv"};
    struct flowlabel_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->run_directory;
        return 0;
    case 'f':
        arguments->format =
            (enum flowlabel_format)options_word(state, "format", argument, formats, FORMATS_N);
        return 0;
    case ARGP_KEY_ARGS:
        on_words(state, arguments);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected get, renew, put, list or headers");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){{"format", 'f', "FORMAT", 0,
                                      "Of list and headers: kernel (the columns of "
                                      "/proc/net/ip6_flowlabel; default of list), table, json, csv",
                                      0},
                                     {0}},
    .parser = on_option,
    .args_doc = "get LABEL|new dst=ADDRESS [WORD]...\n"
                "renew LABEL [WORD]...\n"
                "put LABEL|all [holder=NAME]\n"
                "list\n"
                "headers LABEL [HEADER=HEX]...",
    .doc = "Leases of IPv6 flow labels: what has the label and goes to its destination is of the "
           "lease's account and class.\v"
           "'get' prints the label. WORDs: create, exclusive, share=exclusive|process|user|any, "
           "linger=S, expires=S, account=NAME, class=NAME, holder=NAME; all of them are in "
           "docs/flow-labels.md. What is refused has the kernel's errno, and status 1.\n\n"
           "Examples:\n"
           "  wanmeter flowlabel get new dst=2001:db8::1 account=alice linger=30\n"
           "  wanmeter flowlabel get 0x12345 dst=2001:db8::1 share=user create class=voice\n"
           "  wanmeter flowlabel renew 0x12345 expires=120\n"
           "  wanmeter flowlabel put 0x12345\n"
           "  wanmeter flowlabel list --format json",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- what is shown ---- */

struct shown {
    const struct flowlabel_arguments *arguments;
    struct output *output; /* NULL: as the kernel, or not begun */
    bool is_list;
    struct control_outcome outcome; /* an error, where there is one */
};

/* As tracker/flow_label/lease_query.c gives them: the kernel's eight first. */
enum { LIST_COLUMNS_N = 11, HEADER_COLUMNS_N = 4 };
static const struct output_column list_columns[LIST_COLUMNS_N] = {
    {"label", COLUMN_PLAIN},   {"share", COLUMN_PLAIN},  {"owner", COLUMN_PLAIN},
    {"users", COLUMN_PLAIN},   {"linger", COLUMN_PLAIN}, {"expires", COLUMN_PLAIN},
    {"dst", COLUMN_PLAIN},     {"opt", COLUMN_PLAIN},    {"address", COLUMN_PLAIN},
    {"account", COLUMN_PLAIN}, {"class", COLUMN_PLAIN},
};
static const struct output_column header_columns[HEADER_COLUMNS_N] = {
    {"hopopts", COLUMN_PLAIN},
    {"rthdrdstopts", COLUMN_PLAIN},
    {"rthdr", COLUMN_PLAIN},
    {"dstopts", COLUMN_PLAIN},
};

static bool is_number(size_t column)
{
    return column >= 1 && column <= 7 && column != 6; /* share to expires, opt */
}

static void print_as_kernel(const Wanmeter__Control__Row *row)
{
    static const int widths[LIST_COLUMNS_N] = {5, 1, 6, 6, 6, 8, 32, 4, 0, 0, 0};
    char text[CONTROL_VALUE_MAX + 1];
    for (size_t i = 0; i < 8; i++)
        printf("%-*s%s", widths[i], control_client_value(row, i, text), i < 7 ? " " : "\n");
}

static void print_row(struct shown *shown, const Wanmeter__Control__Row *row)
{
    static char texts[LIST_COLUMNS_N][CONTROL_VALUE_MAX + 1];
    struct value values[LIST_COLUMNS_N];
    for (size_t i = 0; i < LIST_COLUMNS_N; i++) {
        const char *text = control_client_value(row, i, texts[i]);
        values[i] = (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
        if (!*text)
            values[i].kind = VALUE_NULL;
        else if (shown->is_list && is_number(i))
            values[i] = (struct value){.kind = VALUE_INTEGER, .integer = atoll(text)};
    }
    output_row(shown->output, values);
}

static bool on_reply(void *state, uint32_t shard, const Wanmeter__Control__Reply *reply)
{
    (void)shard;
    struct shown *shown = state;
    if (reply->error) {
        shown->outcome.error = (int)reply->error;
        snprintf(shown->outcome.answer, sizeof shown->outcome.answer, "%.*s",
                 (int)reply->answer.len, (const char *)reply->answer.data);
        return false;
    }
    for (size_t i = 0; i < reply->n_rows; i++) {
        if (shown->output)
            print_row(shown, reply->rows[i]);
        else
            print_as_kernel(reply->rows[i]);
    }
    return true;
}

static int open_output(struct shown *shown)
{
    static const enum output_format formats[FORMATS_N] = {OUTPUT_TABLE, OUTPUT_TABLE, OUTPUT_JSON,
                                                          OUTPUT_CSV};
    enum flowlabel_format format = shown->arguments->format;
    if (shown->is_list && format == FORMAT_KERNEL) {
        puts("Label S Owner  Users  Linger Expires  Dst                              Opt");
        return 0;
    }
    return output_create(stdout, formats[format], "flowlabel",
                         shown->is_list ? list_columns : header_columns,
                         shown->is_list ? LIST_COLUMNS_N : HEADER_COLUMNS_N, &shown->output);
}

static enum exit_code show(struct control_client *client,
                           const struct flowlabel_arguments *arguments,
                           struct control_outcome *outcome)
{
    struct shown shown = {.arguments = arguments,
                          .is_list = strcmp(arguments->words[1], "list") == 0};
    int result = open_output(&shown);
    if (result < 0) {
        log_error("%s", strerror(-result));
        return EXIT_CODE_RUNTIME;
    }
    enum exit_code code =
        control_client_query(client, CONTROL_FIRST_SHARD, arguments->words, on_reply, &shown);
    output_destroy(shown.output);
    *outcome = shown.outcome;
    return code;
}

static enum exit_code change(struct control_client *client,
                             const struct flowlabel_arguments *arguments,
                             struct control_outcome *outcome)
{
    enum exit_code code = control_client_change(client, arguments->words, outcome);
    if (code == EXIT_CODE_OK && !outcome->error && strcmp(arguments->words[1], "get") == 0)
        puts(outcome->answer);
    return code;
}

enum exit_code cmd_flowlabel(int argc, char **argv)
{
    struct flowlabel_arguments arguments = {.format = FORMAT_KERNEL};
    options_parse(&argp, argc, argv, &arguments);
    struct control_client *client = NULL;
    struct control_outcome outcome = {0};
    bool is_question =
        strcmp(arguments.words[1], "list") == 0 || strcmp(arguments.words[1], "headers") == 0;
    enum exit_code code = control_client_open(arguments.run_directory, &client);
    if (code == EXIT_CODE_OK)
        code =
            is_question ? show(client, &arguments, &outcome) : change(client, &arguments, &outcome);
    if (code == EXIT_CODE_OK && outcome.error)
        code = control_client_refused("wanmeter flowlabel", &outcome);
    control_client_close(client);
    return code;
}
