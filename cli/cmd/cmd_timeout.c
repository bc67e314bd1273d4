/* wanmeter timeout: the timeouts with a name, and the defaults, of a running daemon. */
#include "cli/cmd.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control_client.h"
#include "cli/options.h"
#include "common/timeout_kind.h"

enum { PAIR_SIZE = 64 };

enum timeout_format { FORMAT_NFCT, FORMAT_JSON };

/* What is typed, and what goes out: the words of tracker/timeout_policy.h. */
struct timeout_arguments {
    const char *run_directory;
    enum timeout_format format;
    bool is_exclusive;
    char **typed;
    size_t n_typed;
    const char *words[CHANGE_WORDS_MAX + 1];
    size_t n_words;
    char pairs[TIMEOUT_VALUES_MAX * 2][PAIR_SIZE]; /* "established=100", of two words */
    size_t n_pairs;
};

/* ---- the command line ---- */

/* What may follow a verb, in words, and whether it asks or changes. */
static const struct verb {
    const char *name;
    size_t n_min, n_max; /* of what is typed, with the verb */
    bool has_values;
    const char *expected;
} verbs[] = {
    {"new", 4, CHANGE_WORDS_MAX, true, "NAME L3 L4 [VALUE=SECONDS]..."},
    {"replace", 4, CHANGE_WORDS_MAX, true, "NAME L3 L4 [VALUE=SECONDS]..."},
    {"delete", 2, 2, false, "NAME"},
    {"flush", 1, 1, false, "nothing more"},
    {"get", 2, 2, false, "NAME"},
    {"list", 1, 1, false, "nothing more"},
    {"default", 4, CHANGE_WORDS_MAX, true, "set L3 L4 [VALUE=SECONDS]... or get L3 L4"},
};
enum { VERBS_N = sizeof verbs / sizeof *verbs };

static void add_word(struct argp_state *state, struct timeout_arguments *arguments,
                     const char *word)
{
    if (arguments->n_words == CHANGE_WORDS_MAX)
        argp_error(state, "more than %d words", CHANGE_WORDS_MAX);
    arguments->words[arguments->n_words++] = word;
}

/* "established 100", as nfct takes it, is "established=100". True: two words were one value. */
static bool add_pair(struct argp_state *state, struct timeout_arguments *arguments,
                     const char *name, const char *seconds)
{
    bool is_pair = !strchr(name, '=') && seconds && isdigit((unsigned char)*seconds) &&
                   arguments->n_pairs < TIMEOUT_VALUES_MAX * 2;
    if (is_pair) {
        char *pair = arguments->pairs[arguments->n_pairs++];
        snprintf(pair, PAIR_SIZE, "%.30s=%.30s", name, seconds);
        add_word(state, arguments, pair);
    }
    return is_pair;
}

static void make_words(struct argp_state *state, struct timeout_arguments *arguments,
                       const struct verb *verb)
{
    add_word(state, arguments, "timeout");
    for (size_t i = 0; i < arguments->n_typed; i++) {
        const char *word = arguments->typed[i];
        const char *next = i + 1 < arguments->n_typed ? arguments->typed[i + 1] : NULL;
        if (verb->has_values && i >= verb->n_min && add_pair(state, arguments, word, next))
            i++;
        else
            add_word(state, arguments, word);
        if (arguments->is_exclusive && i == verb->n_min - 1)
            add_word(state, arguments, "exclusive");
    }
}

static void on_words(struct argp_state *state, struct timeout_arguments *arguments)
{
    const char *names[VERBS_N];
    for (size_t i = 0; i < VERBS_N; i++)
        names[i] = verbs[i].name;
    arguments->typed = state->argv + state->next;
    arguments->n_typed = (size_t)(state->argc - state->next);
    state->next = state->argc;
    const struct verb *verb =
        &verbs[options_word(state, "action", arguments->typed[0], names, VERBS_N)];
    bool is_right = arguments->n_typed >= verb->n_min && arguments->n_typed <= verb->n_max;
    if (strcmp(verb->name, "default") == 0 && is_right)
        is_right = strcmp(arguments->typed[1], "set") == 0 ||
                   (strcmp(arguments->typed[1], "get") == 0 && arguments->n_typed == 4);
    if (!is_right)
        argp_error(state, "%s: expected %s", verb->name, verb->expected);
    if (arguments->is_exclusive && strcmp(verb->name, "new") != 0)
        argp_error(state, "--exclusive is of 'new'");
    make_words(state, arguments, verb);
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {[FORMAT_NFCT] = "nfct", [FORMAT_JSON] = "json"};
    struct timeout_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->run_directory;
        return 0;
    case 'f':
        arguments->format = (enum timeout_format)options_word(state, "format", argument, formats,
                                                              sizeof formats / sizeof *formats);
        return 0;
    case 'x':
        arguments->is_exclusive = true;
        return 0;
    case ARGP_KEY_ARGS:
        on_words(state, arguments);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected new, replace, get, list, delete, flush or default");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"format", 'f', "FORMAT", 0, "nfct (default): as nfct prints it; or json", 0},
            {"exclusive", 'x', NULL, 0, "Of new: 'File exists' where there is one of that name", 0},
            {0}},
    .parser = on_option,
    .args_doc = "new NAME L3 L4 [VALUE=SECONDS]...\n"
                "replace NAME L3 L4 [VALUE=SECONDS]...\n"
                "get NAME\nlist\ndelete NAME\nflush\n"
                "default set L3 L4 [VALUE=SECONDS]...\n"
                "default get L3 L4",
    .doc = "Timeouts with a name, for the connections that a rule gives them to, and the defaults, "
           "of a running daemon.\v"
           "L3 is inet or inet6; L4 is tcp, udp, udplite, icmp, icmpv6, sctp, gre or generic. Of a "
           "new policy values not given are the defaults of that moment; of the defaults they "
           "stay. 'flush' deletes every policy that no rule uses. Connections follow with their "
           "next packet.\n\n"
           "Examples:\n"
           "  wanmeter timeout new short inet tcp established=100 close=4\n"
           "  wanmeter timeout default set inet udp unreplied=20\n"
           "  wanmeter timeout list --format json",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- what is shown ---- */

struct shown {
    enum timeout_format format;
    size_t n_rows;
    struct control_outcome outcome; /* an error, where there is one */
};

/* The value of a row's column of that name; "" where it has none. */
static const char *column(const Wanmeter__Control__Reply *reply, size_t row, const char *name,
                          char text[CONTROL_VALUE_MAX + 1])
{
    for (size_t i = 0; i < reply->n_columns; i++)
        if (reply->columns[i].len == strlen(name) &&
            memcmp(reply->columns[i].data, name, reply->columns[i].len) == 0)
            return control_client_value(reply->rows[row], i, text);
    text[0] = '\0';
    return text;
}

/* The next "established=100" of 'values'; false: there are no more. */
static bool next_value(char **values, const char **name, const char **seconds)
{
    char *word = strsep(values, " ");
    if (!word || !strchr(word, '='))
        return false;
    *name = strsep(&word, "=");
    *seconds = word;
    return true;
}

static void print_upper(const char *name)
{
    for (; *name; name++)
        putchar(toupper((unsigned char)*name));
}

static void print_nfct(const Wanmeter__Control__Reply *reply, size_t row)
{
    char text[CONTROL_VALUE_MAX + 1];
    const char *policy = column(reply, row, "name", text), *name, *seconds;
    printf(".%s = {\n", *policy ? policy : "default");
    bool is_inet6 = strcmp(column(reply, row, "l3", text), "inet6") == 0;
    printf("\t.l3proto = %d,\n", is_inet6 ? 10 : 2);
    const struct timeout_kind *kind = timeout_kind_find(column(reply, row, "l4", text));
    printf("\t.l4proto = %u,\n\t.policy = {\n", kind ? kind->protocol : 0);
    column(reply, row, "values", text);
    for (char *values = text; next_value(&values, &name, &seconds);) {
        fputs("\t\t.", stdout);
        print_upper(name);
        printf(" = %s,\n", seconds);
    }
    puts("\t},\n};");
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (*text)
        json_object_set_new(object, name, json_string(text));
}

static void print_json(const Wanmeter__Control__Reply *reply, size_t row)
{
    char text[CONTROL_VALUE_MAX + 1];
    const char *name, *seconds;
    json_t *object = json_object(), *timeouts = json_object();
    put_text(object, "name", column(reply, row, "name", text));
    put_text(object, "l3", column(reply, row, "l3", text));
    put_text(object, "l4", column(reply, row, "l4", text));
    if (*column(reply, row, "use", text))
        json_object_set_new(object, "use", json_integer(atoll(text)));
    column(reply, row, "values", text);
    for (char *values = text; next_value(&values, &name, &seconds);)
        json_object_set_new(timeouts, name, json_integer(atoll(seconds)));
    json_object_set_new(object, "timeouts", timeouts);
    json_dumpf(object, stdout, 0);
    json_decref(object);
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
        if (shown->format == FORMAT_JSON) {
            fputs(shown->n_rows++ ? ",\n  " : "\n  ", stdout);
            print_json(reply, i);
        } else {
            print_nfct(reply, i);
        }
    }
    return true;
}

static enum exit_code show(struct control_client *client, const struct timeout_arguments *arguments,
                           struct control_outcome *outcome)
{
    struct shown shown = {.format = arguments->format};
    bool is_json = arguments->format == FORMAT_JSON;
    if (is_json)
        fputs("{\"schema\": 1, \"command\": \"timeout\", \"rows\": [", stdout);
    enum exit_code code =
        control_client_query(client, CONTROL_FIRST_SHARD, arguments->words, on_reply, &shown);
    if (is_json)
        fputs(shown.n_rows ? "\n]}\n" : "]}\n", stdout);
    *outcome = shown.outcome;
    return code;
}

static bool is_question(const struct timeout_arguments *arguments)
{
    const char *verb = arguments->words[1];
    return strcmp(verb, "get") == 0 || strcmp(verb, "list") == 0 ||
           (strcmp(verb, "default") == 0 && strcmp(arguments->words[2], "get") == 0);
}

enum exit_code cmd_timeout(int argc, char **argv)
{
    struct timeout_arguments arguments = {0};
    options_parse(&argp, argc, argv, &arguments);
    struct control_client *client = NULL;
    struct control_outcome outcome = {0};
    enum exit_code code = control_client_open(arguments.run_directory, &client);
    if (code == EXIT_CODE_OK && is_question(&arguments))
        code = show(client, &arguments, &outcome);
    else if (code == EXIT_CODE_OK)
        code = control_client_change(client, arguments.words, &outcome);
    if (code == EXIT_CODE_OK && outcome.error)
        code = control_client_refused("wanmeter timeout", &outcome);
    control_client_close(client);
    return code;
}
