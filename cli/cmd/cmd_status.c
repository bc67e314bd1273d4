/* wanmeter status: the processes of a running daemon. */
#include "cli/cmd.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/control_client.h"
#include "cli/daemon.h"
#include "cli/options.h"
#include "cli/status/process_state.h"
#include "common/log.h"

enum { TEXT_SIZE = 512 };

static const int64_t NS_PER_S = 1000000000;

struct status_arguments {
    const char *run_directory;
    enum output_format format;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    static const char *const formats[] = {
        [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};
    struct status_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->run_directory;
        return 0;
    case 'f':
        arguments->format = (enum output_format)options_word(state, "format", argument, formats, 3);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"format", 'f', "FORMAT", 0, "table (default), json or csv", 0}, {0}},
    .parser = on_option,
    .doc = "The processes of a running daemon: as whom they run and what holds them, what they "
           "have in hand, how far they are behind.\v"
           "Nothing is asked of them: it answers also when one hangs. Exits 0 when all are "
           "running, 3 when one is not, 5 when there is no daemon.\n\n"
           "Examples:\n"
           "  wanmeter status\n"
           "  wanmeter status --run-directory /run/wanmeter --format json",
    .children = (const struct argp_child[]){{&control_client_argp, 0, NULL, 0}, {0}},
};

/* ---- texts ---- */

static size_t add(char *text, size_t length, const char *format, const char *name, int64_t value)
{
    int n = snprintf(text + length, TEXT_SIZE - length, format, length ? " " : "", name, value);
    return n > 0 && length + (size_t)n < TEXT_SIZE ? length + (size_t)n : length;
}

/* What is in force, and what is missing of it. */
static void sandbox_text(const struct process_state *state, char text[TEXT_SIZE])
{
    if (!state->has_kernel) {
        text[0] = '\0';
        return;
    }
    bool has_landlock = state->has_report && state->report.landlock_version > 0;
    snprintf(text, TEXT_SIZE, "%s %s %s",
             state->capabilities == 0 && state->no_new_privileges ? "no-privileges" : "PRIVILEGES",
             state->seccomp == 2 ? "seccomp" : "NO-SECCOMP",
             has_landlock ? "landlock" : "NO-LANDLOCK");
}

static bool is_time(const struct report_value *value)
{
    return strcmp(value->name, "watermark_ns") == 0;
}

/* How far the clock of what is done is behind the wall's; -1: not known, or no live input. */
static int64_t lag_ns(const struct report_value *value)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
    bool is_sensible = value->value > 0 && value->value <= wall_ns + NS_PER_S &&
                       wall_ns - value->value < 86400 * NS_PER_S;
    return is_sensible ? wall_ns - value->value : -1;
}

static void figures_text(const struct process_state *state, char text[TEXT_SIZE])
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; state->has_report && i < REPORT_VALUES_MAX; i++) {
        const struct report_value *value = &state->report.values[i];
        if (value->name[0] == '\0')
            return;
        if (!is_time(value))
            length = add(text, length, "%s%s=%" PRId64, value->name, value->value);
        else if (lag_ns(value) >= 0)
            length = add(text, length, "%s%s=%" PRId64, "lag_ms", lag_ns(value) / 1000000);
    }
}

/* ---- rows ---- */

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static struct value number_value(int64_t number, bool is_known)
{
    return (struct value){.kind = is_known ? VALUE_INTEGER : VALUE_NULL, .integer = number};
}

static enum exit_code print_rows(const struct process_state *states, size_t n,
                                 enum output_format format)
{
    static const struct output_column columns[] = {
        {"process", COLUMN_PLAIN}, {"state", COLUMN_PLAIN},    {"pid", COLUMN_PLAIN},
        {"uid", COLUMN_PLAIN},     {"uptime_s", COLUMN_PLAIN}, {"restarts", COLUMN_PLAIN},
        {"sandbox", COLUMN_PLAIN}, {"figures", COLUMN_PLAIN},
    };
    struct output *output;
    if (output_create(stdout, format, "status", columns, sizeof columns / sizeof *columns,
                      &output) < 0)
        return EXIT_CODE_RUNTIME;
    for (size_t i = 0; i < n; i++) {
        const struct process_state *state = &states[i];
        char sandbox[TEXT_SIZE], figures[TEXT_SIZE];
        sandbox_text(state, sandbox);
        figures_text(state, figures);
        const struct value values[] = {
            text_value(state->name),
            text_value(state->state),
            number_value(state->pid, state->pid > 0),
            number_value(state->uid, state->has_kernel),
            number_value(state->uptime_ns / NS_PER_S, state->uptime_ns > 0),
            number_value(state->restarts, state->restarts >= 0),
            text_value(sandbox),
            text_value(figures),
        };
        output_row(output, values);
    }
    output_destroy(output);
    return EXIT_CODE_OK;
}

/* ---- JSON ---- */

static json_t *figures_json(const struct process_state *state)
{
    json_t *figures = json_object();
    for (size_t i = 0; state->has_report && i < REPORT_VALUES_MAX; i++) {
        const struct report_value *value = &state->report.values[i];
        if (value->name[0] == '\0')
            break;
        bool is_unknown =
            is_time(value) && (value->value == INT64_MIN || value->value == INT64_MAX);
        json_object_set_new(figures, value->name,
                            is_unknown ? json_null() : json_integer(value->value));
        if (is_time(value) && lag_ns(value) >= 0)
            json_object_set_new(figures, "watermark_lag_ns", json_integer(lag_ns(value)));
    }
    return figures;
}

static json_t *sandbox_json(const struct process_state *state)
{
    json_t *sandbox = json_object();
    if (!state->has_kernel)
        return sandbox;
    json_object_set_new(sandbox, "effective_capabilities",
                        json_integer((json_int_t)state->capabilities));
    json_object_set_new(sandbox, "no_new_privileges", json_boolean(state->no_new_privileges));
    json_object_set_new(sandbox, "seccomp_filter", json_boolean(state->seccomp == 2));
    json_object_set_new(sandbox, "landlock_version",
                        json_integer(state->has_report ? state->report.landlock_version : 0));
    return sandbox;
}

static json_t *process_json(const struct process_state *state)
{
    json_t *row = json_object();
    json_object_set_new(row, "process", json_string(state->name));
    json_object_set_new(row, "state", json_string(state->state));
    json_object_set_new(row, "pid", state->pid > 0 ? json_integer(state->pid) : json_null());
    json_object_set_new(row, "uid", state->has_kernel ? json_integer(state->uid) : json_null());
    json_object_set_new(row, "uptime_ns", json_integer(state->uptime_ns));
    json_object_set_new(row, "silent_ns", json_integer(state->silent_ns));
    json_object_set_new(row, "restarts",
                        state->restarts >= 0 ? json_integer(state->restarts) : json_null());
    json_object_set_new(row, "sandbox", sandbox_json(state));
    json_object_set_new(row, "figures", figures_json(state));
    return row;
}

static enum exit_code print_json(const struct process_state *states, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, process_json(&states[i]));
    json_t *all = json_pack("{s:i, s:s, s:o}", "schema", OUTPUT_SCHEMA_VERSION, "command", "status",
                            "rows", rows);
    bool is_written = all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    json_decref(all);
    return is_written ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

enum exit_code cmd_status(int argc, char **argv)
{
    static struct process_state states[PROCESS_STATES_MAX];
    struct status_arguments arguments = {0};
    char found[DAEMON_PATH_MAX + 1];
    options_parse(&argp, argc, argv, &arguments);
    if (!arguments.run_directory && daemon_find("exporter.sock", found))
        arguments.run_directory = found;
    size_t n = arguments.run_directory ? process_states_read(arguments.run_directory, states) : 0;
    if (n == 0) {
        log_error("no daemon runs here (--run-directory names one elsewhere)");
        return EXIT_CODE_UNREACHABLE;
    }
    enum exit_code code = arguments.format == OUTPUT_JSON ? print_json(states, n)
                                                          : print_rows(states, n, arguments.format);
    for (size_t i = 0; i < n && code == EXIT_CODE_OK; i++)
        if (!process_state_is_well(&states[i]))
            code = EXIT_CODE_LOSS;
    return code;
}
