/* wanmeter usage: what was used, in sums over what one asks for. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/local_time.h"
#include "cli/options.h"
#include "cli/query.h"
#include "common/zone.h"

enum { KEYS_MAX = 12, QUERY_SIZE = 4096 };

struct usage_options {
    struct query_options query;
    size_t keys[KEYS_MAX]; /* into usage_keys */
    size_t n_keys;
    int64_t from_ns;
    int64_t to_ns;
    const char *account;
    const char *wan;
    const char *class_name;
    const char *zone;
};

#define START_OF(unit_ns) "slot_ns - ((slot_ns % " unit_ns ") + " unit_ns ") % " unit_ns

/* What --by takes, and its column: one that the view 'usage' has, or an expression over it. */
static const struct usage_key {
    const char *name;
    const char *column;
    const char *expression;
} usage_keys[] = {
    {"account", "account", "account"},
    {"wan", "wan", "wan"},
    {"direction", "direction", "direction"},
    {"class", "class", "class"},
    {"slot", "slot_ns", "slot_ns"},
    {"hour", "hour_ns", START_OF("3600000000000")},
    {"day", "day_ns", "local_day_ns(slot_ns)"},
    {"month", "month", "local_month(slot_ns)"},
    {"model", "model", "model"},
    {"date", "day", "local_day(slot_ns)"}, /* beside 'day' */
};

enum { KEYS_N = sizeof usage_keys / sizeof *usage_keys };

static void add_key(struct usage_options *options, size_t key)
{
    for (size_t i = 0; i < options->n_keys; i++)
        if (options->keys[i] == key)
            return;
    options->keys[options->n_keys++] = key;
}

static void parse_keys(struct argp_state *state, struct usage_options *options, char *list)
{
    const char *names[KEYS_N];
    for (size_t i = 0; i < KEYS_N; i++)
        names[i] = usage_keys[i].name;
    options->n_keys = 0;
    char *rest;
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        add_key(options, options_word(state, "by", name, names, KEYS_N - 1));
    if (options->n_keys == 0)
        argp_error(state, "--by: got nothing, expected names with commas between");
}

static void parse_zone(struct argp_state *state, struct usage_options *options, const char *zone)
{
    char nearest[ZONE_NAME_MAX + 1];
    options->zone = zone;
    if (zone_is_known(zone))
        return;
    zone_suggest(zone, nearest);
    argp_error(state, "--timezone: got '%s', expected an IANA name such as Europe/Berlin%s%s%s",
               zone, *nearest ? "; did you mean " : "", nearest, *nearest ? "?" : "");
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct usage_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->query;
        return 0;
    case 'b':
        parse_keys(state, options, argument);
        return 0;
    case OPTION_LONG:
        options->from_ns = options_moment(state, "from", argument);
        return 0;
    case OPTION_LONG + 1:
        options->to_ns = options_moment(state, "to", argument);
        return 0;
    case 'a':
        options->account = argument;
        return 0;
    case 'w':
        options->wan = argument;
        return 0;
    case OPTION_LONG + 2:
        options->class_name = argument;
        return 0;
    case 'z':
        parse_zone(state, options, argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"by", 'b', "KEYS", 0,
             "One row for each: account, wan, direction, class, slot, hour, day, month, model "
             "(default: account,wan,direction,class)",
             0},
            {"from", OPTION_LONG, "TIME", 0, "Slots that begin at TIME or later", 0},
            {"to", OPTION_LONG + 1, "TIME", 0, "Slots that begin before TIME", 0},
            {"account", 'a', "NAME", 0, "This account's", 0},
            {"wan", 'w', "NAME", 0, "This WAN's", 0},
            {"class", OPTION_LONG + 2, "NAME", 0, "Of this class", 0},
            {"timezone", 'z', "ZONE", 0,
             "Whose days and months, an IANA name (default: UTC); days have their date, too", 0},
            {0}},
    .parser = on_option,
    .doc = "What was used, summed up.\v"
           "A TIME is 2026-01-31, 2026-01-31T12:00:00Z (or +02:00), @SECONDS or nanoseconds.\n\n"
           "Examples:\n"
           "  wanmeter usage --by account,wan\n"
           "  wanmeter usage --by day,account --from 2026-01-01 --to 2026-02-01\n"
           "  wanmeter usage --by month,account --timezone Europe/Berlin\n"
           "  wanmeter usage --by hour --wan adsl --format csv >adsl.csv",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

static void write_query(const struct usage_options *options, char *query, size_t size)
{
    char keys[QUERY_SIZE / 4] = "";
    char columns[QUERY_SIZE / 4] = "";
    for (size_t i = 0; i < options->n_keys; i++) {
        const struct usage_key *key = &usage_keys[options->keys[i]];
        size_t length = strlen(columns);
        snprintf(columns + length, sizeof columns - length, "%s AS %s, ", key->expression,
                 key->column);
        length = strlen(keys);
        snprintf(keys + length, sizeof keys - length, "%s%s", i > 0 ? ", " : "", key->column);
    }
    snprintf(query, size,
             "SELECT %s sum(packets) AS packets, sum(l2_bytes) AS l2_bytes, "
             "sum(l3_bytes) AS l3_bytes, sum(billed_bytes) AS billed_bytes FROM usage "
             "WHERE slot_ns >= :from AND slot_ns < :to "
             "AND (:account IS NULL OR account = :account) AND (:wan IS NULL OR wan = :wan) "
             "AND (:class IS NULL OR class = :class) "
             "GROUP BY %s ORDER BY %s",
             columns, keys, keys);
}

/* A day of a zone begins at some hour of UTC: its date says more. */
static void add_dates(struct usage_options *options)
{
    enum { KEY_DAY = 6, KEY_DATE = KEYS_N - 1 };
    for (size_t i = 0; i < options->n_keys; i++)
        if (options->keys[i] == KEY_DAY) {
            add_key(options, KEY_DATE);
            return;
        }
}

enum exit_code cmd_usage(int argc, char **argv)
{
    struct usage_options options = {
        .keys = {0, 1, 2, 3}, .n_keys = 4, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    options_parse(&argp, argc, argv, &options);
    if (options.zone)
        add_dates(&options);

    struct database database;
    enum exit_code code = database_open(options.query.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    struct local_time local_time;
    if (!local_time_register(&database, &local_time, options.zone ? options.zone : "UTC")) {
        database_close(&database);
        return EXIT_CODE_RUNTIME;
    }
    char query[QUERY_SIZE];
    write_query(&options, query, sizeof query);
    sqlite3_stmt *statement = database_prepare(&database, query);
    if (statement != NULL) {
        database_bind_integer(statement, ":from", options.from_ns);
        database_bind_integer(statement, ":to", options.to_ns);
        database_bind_text(statement, ":account", options.account);
        database_bind_text(statement, ":wan", options.wan);
        database_bind_text(statement, ":class", options.class_name);
    }
    code = query_print(&database, statement, options.query.format, "usage", QUERY_NAMED);
    database_close(&database);
    return code;
}
