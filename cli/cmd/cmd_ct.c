/* wanmeter ct: the connections that a running daemon tracks, as conntrack(8) has the kernel's. */
#include "cli/cmd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/control_client.h"
#include "cli/event/event_conntrack.h"
#include "cli/event/event_print.h"
#include "cli/options.h"

enum {
    KEY_SPORT = OPTION_LONG,
    KEY_DPORT,
    KEY_REPLY_SRC,
    KEY_REPLY_DST,
    KEY_STATE,
    KEY_WAN,
    KEY_ACCOUNT,
    KEY_SET_MARK,
    KEY_SET_LABEL,
    KEY_FORMAT
};

enum ct_verb {
    CT_LIST,
    CT_GET,
    CT_COUNT,
    CT_STATS,
    CT_WATCH,
    CT_UPDATE,
    CT_DELETE,
    CT_FLUSH,
    CT_N
};

static const char *const verbs[CT_N] = {"list",  "get",    "count",  "stats",
                                        "watch", "update", "delete", "flush"};

struct ct_options {
    enum ct_verb verb;
    bool has_verb;
    bool has_filter, sets;
    bool is_json;
    const char *run_directory;
    char *words[CHANGE_WORDS_MAX + 1]; /* "ct", the verb, then "key=value"; NULL at the end */
    size_t n_words;
    uint64_t n; /* connections given so far */
    json_t *rows;
};

static void add_word(struct argp_state *state, const char *key, const char *value)
{
    struct ct_options *options = state->input;
    if (options->n_words == CHANGE_WORDS_MAX)
        argp_error(state, "too many options");
    char **word = &options->words[options->n_words++];
    int length = asprintf(word, "%s%s", key, value);
    assert(length >= 0);
}

/* What an option is called on the wire. */
static const char *key_of(int option)
{
    static const struct {
        int option;
        const char *key;
    } keys[] = {
        {'i', "id="},
        {'f', "family="},
        {'s', "src="},
        {'d', "dst="},
        {KEY_SPORT, "sport="},
        {KEY_DPORT, "dport="},
        {'w', "zone="},
        {'m', "mark="},
        {'l', "label="},
        {'u', "status="},
        {KEY_STATE, "state="},
        {KEY_WAN, "wan="},
        {KEY_ACCOUNT, "account="},
        {KEY_REPLY_SRC, "reply-src="},
        {KEY_REPLY_DST, "reply-dst="},
        {KEY_SET_MARK, "set-mark="},
        {KEY_SET_LABEL, "set-label="},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].option == option)
            return keys[i].key;
    return NULL;
}

/* A protocol by its number or name. */
static void add_protocol(struct argp_state *state, const char *text)
{
    char number[16];
    const struct protoent *protocol = getprotobyname(text);
    if (strcmp(text, "icmpv6") == 0)
        text = "58"; /* "ipv6-icmp" in /etc/protocols */
    if (protocol != NULL)
        snprintf(number, sizeof number, "%d", protocol->p_proto);
    else
        snprintf(number, sizeof number, "%d", (int)options_integer(state, "proto", text, 0, 255));
    add_word(state, "proto=", number);
}

static void set_verb(struct argp_state *state, const char *text)
{
    struct ct_options *options = state->input;
    if (options->has_verb)
        argp_error(state, "got '%s' after '%s', expected options only", text, verbs[options->verb]);
    options->verb = (enum ct_verb)options_word(state, "ct VERB", text, verbs, CT_N);
    options->has_verb = true;
    options->words[1] = strdup(verbs[options->verb]);
    assert(options->words[1] != NULL);
}

static void check(struct argp_state *state)
{
    const struct ct_options *options = state->input;
    if (!options->has_verb)
        argp_error(state, "expected list, get, count, stats, watch, update, delete or flush");
    if (options->sets != (options->verb == CT_UPDATE))
        argp_error(state, options->sets ? "--set-mark and --set-label are for update"
                                        : "update what? expected --set-mark or --set-label");
    bool takes_none = options->verb == CT_STATS || options->verb == CT_WATCH;
    if (takes_none && options->has_filter)
        argp_error(state, "%s takes no filter", verbs[options->verb]);
    if (options->verb == CT_GET && !options->has_filter)
        argp_error(state, "get which? expected --id or a filter");
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {"conntrack", "json"};
    struct ct_options *options = state->input;
    if (key_of(key) != NULL) {
        bool sets = key == KEY_SET_MARK || key == KEY_SET_LABEL;
        options->sets |= sets;
        options->has_filter |= !sets;
        add_word(state, key_of(key), argument);
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->run_directory;
        return 0;
    case 'p':
        options->has_filter = true;
        add_protocol(state, argument);
        return 0;
    case KEY_FORMAT:
        options->is_json = options_word(state, "format", argument, formats, 2) == 1;
        return 0;
    case ARGP_KEY_ARG:
        set_verb(state, argument);
        return 0;
    case ARGP_KEY_END:
        check(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"src", 's', "ADDRESS[/N]", 0, "Source of the original direction", 0},
            {"orig-src", 's', NULL, OPTION_ALIAS, NULL, 0},
            {"dst", 'd', "ADDRESS[/N]", 0, "Destination of the original direction", 0},
            {"orig-dst", 'd', NULL, OPTION_ALIAS, NULL, 0},
            {"reply-src", KEY_REPLY_SRC, "ADDRESS[/N]", 0, "Source of the replies", 0},
            {"reply-dst", KEY_REPLY_DST, "ADDRESS[/N]", 0, "Destination of the replies", 0},
            {"proto", 'p', "PROTOCOL", 0, "By name or number", 0},
            {"sport", KEY_SPORT, "PORT", 0, "Source port", 0},
            {"dport", KEY_DPORT, "PORT", 0, "Destination port", 0},
            {"family", 'f', "ipv4|ipv6", 0, "Of the addresses", 0},
            {"zone", 'w', "ZONE", 0, "Connection-tracking zone", 0},
            {"mark", 'm', "V[/M]", 0, "Mark; with a mask these bits of it", 0},
            {"label", 'l', "NAME|BITS", 0, "All these labels are set; bits as 0x…", 0},
            {"state", KEY_STATE, "STATE", 0, "As ESTABLISHED or multiple", 0},
            {"status", 'u', "STATUS", 0, "assured, seen_reply, unreplied, expected", 0},
            {"wan", KEY_WAN, "NAME", 0, "WAN of the last packets", 0},
            {"account", KEY_ACCOUNT, "NAME", 0, "Who pays", 0},
            {"id", 'i', "ID", 0, "The one connection with this id", 0},
            {"set-mark", KEY_SET_MARK, "V[/M]", 0, "update: write the mark, or these bits of it",
             1},
            {"set-label", KEY_SET_LABEL, "+NAME|-NAME|V[/M]", 0,
             "update: set or clear a label, or write these bits", 1},
            {"format", KEY_FORMAT, "FORMAT", 0, "conntrack (default) or json", 2},
            {0}},
    .parser = on_option,
    .args_doc = "list|get|count|stats|watch|update|delete|flush",
    .doc = "Shows and changes the connections that a running daemon tracks.\v"
           "Without a filter list, count, update and delete mean all connections. A change has its "
           "place among the packets and is recorded (wanmeter sql 'SELECT * FROM change'). Exits 1 "
           "if no connection was meant, 5 if no daemon answers.\n\n"
           "Examples:\n"
           "  wanmeter ct list -p tcp --dport 443 --state ESTABLISHED\n"
           "  wanmeter ct update -s 192.0.2.0/24 --set-mark 0x10/0xf0 --set-label +gold\n"
           "  wanmeter ct delete --id 4611686018427387904\n"
           "  wanmeter ct flush --zone 3\n\n"
           "'wanmeter ct timeout' is 'wanmeter timeout'.",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- questions ---- */

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_refused(const Wanmeter__Control__Reply *reply)
{
    if (reply->error == 0)
        return false;
    fprintf(stderr, "wanmeter ct: %.*s\n", (int)reply->answer.len,
            (const char *)reply->answer.data);
    return true;
}

static void print_row(const Wanmeter__Control__Reply *reply, const Wanmeter__Control__Row *row)
{
    for (size_t i = 0; i < row->n_values && i < reply->n_columns; i++)
        printf("%s%.*s=%.*s", i > 0 ? " " : "", (int)reply->columns[i].len,
               (const char *)reply->columns[i].data, (int)row->values[i].len,
               (const char *)row->values[i].data);
    putchar('\n');
}

static void keep_row(struct ct_options *options, const Wanmeter__Control__Reply *reply,
                     const Wanmeter__Control__Row *row)
{
    json_t *object = json_object();
    char name[64], value[CONTROL_VALUE_MAX + 1];
    for (size_t i = 0; i < row->n_values && i < reply->n_columns; i++) {
        snprintf(name, sizeof name, "%.*s", (int)reply->columns[i].len,
                 (const char *)reply->columns[i].data);
        long long number = strtoll(control_client_value(row, i, value), NULL, 10);
        json_object_set_new(object, name, json_integer(number)); /* stats has numbers only */
    }
    json_array_append_new(options->rows, object);
}

static bool on_reply(void *state, uint32_t shard, const Wanmeter__Control__Reply *reply)
{
    struct ct_options *options = state;
    (void)shard;
    if (is_refused(reply)) {
        options->verb = CT_N;
        return false;
    }
    int64_t now_ns = wall_time_ns();
    for (size_t i = 0; i < reply->n_connections; i++) {
        if (options->is_json)
            json_array_append_new(options->rows, event_connection_json(reply->connections[i]));
        else
            event_conntrack_list(reply->connections[i], now_ns, stdout);
    }
    for (size_t i = 0; i < reply->n_rows; i++) {
        if (options->is_json)
            keep_row(options, reply, reply->rows[i]);
        else
            print_row(reply, reply->rows[i]);
    }
    options->n += reply->count;
    return !ferror(stdout);
}

static void print_json(const struct ct_options *options)
{
    json_t *document = json_pack("{s:i, s:s+, s:O}", "schema", OUTPUT_SCHEMA_VERSION, "command",
                                 "ct ", verbs[options->verb], "rows", options->rows);
    assert(document != NULL);
    json_dumpf(document, stdout, 0);
    putchar('\n');
    json_decref(document);
}

/* What is said at the end; the status. */
static enum exit_code conclude(struct ct_options *options)
{
    if (options->verb == CT_N)
        return EXIT_CODE_USAGE;
    if (options->verb == CT_COUNT && options->is_json)
        json_array_append_new(options->rows,
                              json_pack("{s:I}", "connections", (json_int_t)options->n));
    if (options->is_json)
        print_json(options);
    else if (options->verb == CT_COUNT)
        printf("%" PRIu64 "\n", options->n);
    else if (options->verb == CT_LIST)
        fprintf(stderr, "wanmeter ct: %" PRIu64 " flow entries have been shown.\n", options->n);
    if (options->verb != CT_GET || options->n > 0)
        return EXIT_CODE_OK;
    fputs("wanmeter ct: such conntrack doesn't exist\n", stderr);
    return EXIT_CODE_RUNTIME;
}

static enum exit_code ask(struct control_client *client, struct ct_options *options)
{
    options->rows = json_array();
    enum exit_code code = control_client_query(
        client, CONTROL_EVERY_SHARD, (const char *const *)options->words, on_reply, options);
    if (code == EXIT_CODE_OK)
        code = conclude(options);
    json_decref(options->rows);
    return code;
}

/* ---- changes ---- */

static enum exit_code change(struct control_client *client, const struct ct_options *options)
{
    struct control_outcome outcome;
    enum exit_code code =
        control_client_change(client, (const char *const *)options->words, &outcome);
    if (code != EXIT_CODE_OK)
        return code;
    if (outcome.error == EINVAL) {
        control_client_refused("wanmeter ct", &outcome);
        return EXIT_CODE_USAGE;
    }
    if (outcome.error != 0 && outcome.error != ENOENT)
        return control_client_refused("wanmeter ct", &outcome);
    if (options->verb == CT_FLUSH)
        fputs("wanmeter ct: connection tracking table has been emptied.\n", stderr);
    else
        fprintf(stderr, "wanmeter ct: %" PRIu64 " flow entries have been %s.\n", outcome.count,
                options->verb == CT_UPDATE ? "updated" : "deleted");
    return outcome.error == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

/* ---- */

static enum exit_code watch(const struct ct_options *options)
{
    const char *format = options->is_json ? "json" : "conntrack";
    char *arguments[] = {"wanmeter ct watch",
                         "--format",
                         (char *)format,
                         "--run-directory",
                         (char *)options->run_directory,
                         NULL};
    int n = options->run_directory != NULL ? 5 : 3;
    arguments[n] = NULL;
    return cmd_events(n, arguments);
}

static enum exit_code run(struct ct_options *options)
{
    if (options->verb == CT_WATCH)
        return watch(options);
    struct control_client *client;
    enum exit_code code = control_client_open(options->run_directory, &client);
    if (code != EXIT_CODE_OK)
        return code;
    bool is_change = options->verb >= CT_UPDATE;
    code = is_change ? change(client, options) : ask(client, options);
    control_client_close(client);
    return code;
}

enum exit_code cmd_ct(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "timeout") == 0)
        return cmd_timeout(argc - 1, argv + 1);
    struct ct_options options = {.words = {strdup("ct")}, .n_words = 2};
    options_parse(&argp, argc, argv, &options);
    enum exit_code code = run(&options);
    for (size_t i = 0; i < options.n_words; i++)
        free(options.words[i]);
    return code;
}
