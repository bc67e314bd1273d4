/* wanmeter events: what a running daemon says, as it says it. */
#include "cli/cmd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/event/event_conntrack.h"
#include "cli/event/event_endpoint.h"
#include "cli/event/event_feed.h"
#include "cli/event/event_print.h"
#include "cli/moment.h"
#include "cli/options.h"
#include "common/log.h"

enum { KEY_CONTROL = OPTION_LONG, KEY_FROM, KEY_WAIT, KEY_KEY, KEY_SERVER_KEY };

typedef void (*print_fn)(const Wanmeter__Event__Event *event, FILE *out);

struct events_options {
    struct event_endpoints endpoints;
    const char *key_path;
    struct bus_key key;
    bool has_server_key;
    print_fn print;
    int64_t from;
    int64_t n_wanted; /* 0: no end */
    int64_t n_printed;
    int64_t wait_ns;
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int signal_number)
{
    (void)signal_number;
    is_stopped = 1;
}

static void copy_endpoint(struct argp_state *state, const char *option, const char *text,
                          char *endpoint)
{
    if (strlen(text) > EVENT_ENDPOINT_MAX || strstr(text, "://") == NULL)
        argp_error(state, "--%s: got '%s', expected such as tcp://127.0.0.1:5556 or ipc:///PATH",
                   option, text);
    memcpy(endpoint, text, strlen(text) + 1);
}

static print_fn parse_format(struct argp_state *state, const char *text)
{
    static const char *const names[] = {"table", "json", "conntrack"};
    static const print_fn prints[] = {event_print_table, event_print_json, event_print_conntrack};
    return prints[options_word(state, "format", text, names, sizeof names / sizeof *names)];
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct events_options *options = state->input;
    switch (key) {
    case 'e':
        copy_endpoint(state, "endpoint", argument, options->endpoints.events);
        return 0;
    case KEY_CONTROL:
        copy_endpoint(state, "control", argument, options->endpoints.control);
        return 0;
    case KEY_KEY:
        options->key_path = argument;
        return 0;
    case KEY_SERVER_KEY:
        if (!bus_key_parse(argument, &options->endpoints.keys.server))
            argp_error(state, "--server-key: got '%s', expected a public key: 40 characters",
                       argument);
        options->has_server_key = true;
        return 0;
    case ARGP_KEY_END:
        if (options->has_server_key != (options->key_path != NULL))
            argp_error(state, "--key and --server-key go together");
        return 0;
    case 'r':
        event_endpoints_in(argument, &options->endpoints);
        return 0;
    case 'f':
        options->print = parse_format(state, argument);
        return 0;
    case KEY_FROM:
        options->from = options_integer(state, "from", argument, 0, INT64_MAX);
        return 0;
    case 'n':
        options->n_wanted = options_integer(state, "count", argument, 1, INT64_MAX);
        return 0;
    case KEY_WAIT:
        if (!moment_parse_duration(argument, &options->wait_ns))
            argp_error(state, "--wait: got '%s', expected a number and ms, s, min or h", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"run-directory", 'r', "DIR", 0,
             "Where the daemon's sockets are (default: that of the one daemon here)", 0},
            {"endpoint", 'e', "ENDPOINT", 0, "The event socket, as tcp://192.0.2.1:5556", 0},
            {"control", KEY_CONTROL, "ENDPOINT", 0, "The socket to ask for missed events", 0},
            {"key", KEY_KEY, "FILE", 0, "Our secret key, for a tcp endpoint ('wanmeter key new')",
             0},
            {"server-key", KEY_SERVER_KEY, "KEY", 0, "The daemon's public key", 0},
            {"format", 'f', "FORMAT", 0, "table (default), json (an object a line) or conntrack",
             0},
            {"from", KEY_FROM, "SEQ", 0, "First all that is kept from this global_seq on", 0},
            {"count", 'n', "N", 0, "End after N events", 0},
            {"wait", KEY_WAIT, "TIME", 0, "How long to wait for a daemon (default: 5s)", 0},
            {0}},
    .parser = on_option,
    .doc = "Follows a daemon's events until it ends: new, update, destroy, usage, loss, quota.\v"
           "Events that were missed on the way are asked for again; those that cannot be had any "
           "more are reported on standard error. Exits 5 if no daemon answers.\n\n"
           "Examples:\n"
           "  wanmeter events\n"
           "  wanmeter events --run-directory /run/wanmeter --format conntrack\n"
           "  wanmeter events --endpoint tcp://192.0.2.1:5556 --key my.key "
           "--server-key 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'",
};

static bool on_event(void *state, const Wanmeter__Event__Event *event)
{
    struct events_options *options = state;
    options->print(event, stdout);
    fflush(stdout); /* who reads along does not wait for a full buffer */
    options->n_printed++;
    return !ferror(stdout) && !is_stopped && options->n_printed != options->n_wanted;
}

static enum exit_code follow(struct events_options *options)
{
    struct event_feed *feed;
    if (event_feed_open(&options->endpoints, on_event, options, &feed) != 0)
        return EXIT_CODE_USAGE;
    enum event_feed_result result =
        event_feed_start(feed, options->from, options->wait_ns, &is_stopped);
    if (result == EVENT_FEED_OK)
        result = event_feed_run(feed, &is_stopped);
    event_feed_close(feed);
    if (result != EVENT_FEED_UNREACHABLE)
        return result == EVENT_FEED_OK ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
    log_error("%s: no daemon answers", options->endpoints.events);
    return EXIT_CODE_UNREACHABLE;
}

enum exit_code cmd_events(int argc, char **argv)
{
    struct events_options options = {
        .print = event_print_table, .from = EVENT_FEED_LIVE, .wait_ns = 5000000000};
    options_parse(&argp, argc, argv, &options);
    if (options.endpoints.events[0] != '\0') {
        event_endpoints_find_control(&options.endpoints);
    } else if (!event_endpoints_find(&options.endpoints)) {
        log_error("no daemon runs here (--run-directory or --endpoint names one elsewhere)");
        return EXIT_CODE_UNREACHABLE;
    }
    if (options.key_path != NULL && bus_key_read(options.key_path, &options.key) < 0)
        return EXIT_CODE_RUNTIME;
    if (options.key_path != NULL)
        options.endpoints.keys.own = &options.key;
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: waiting ends */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return follow(&options);
}
