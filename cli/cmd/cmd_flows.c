/* wanmeter flows: the flow records, one by one. */
#include "cli/cmd.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/query.h"
#include "common/address.h"
#include "common/ct_action.h"
#include "common/log.h"

enum { QUERY_SIZE = 2048 };

struct flows_options {
    struct query_options query;
    int64_t limit; /* -1: all */
    int64_t from_ns;
    int64_t to_ns;
    const char *account;
    const char *wan;
    const char *protocol; /* name or number */
    const char *class_name;
    const char *label;
    int64_t zone;             /* -1: any */
    uint32_t mark, mark_mask; /* 0/0: any */
    char host[ADDRESS_TEXT_SIZE];
};

/* The address in the form that the database has: "2001:DB8::0:1" is "2001:db8::1". */
static void parse_host(struct argp_state *state, struct flows_options *options, const char *text)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1)
        address_text(4, bytes, options->host);
    else if (inet_pton(AF_INET6, text, bytes) == 1)
        address_text(6, bytes, options->host);
    else
        argp_error(state, "--host: got '%s', expected an IPv4 or IPv6 address", text);
}

static void parse_mark(struct argp_state *state, struct flows_options *options, const char *text)
{
    struct config_complaint complaint;
    if (!ct_mark_read(text, &options->mark, &options->mark_mask, &complaint))
        argp_error(state, "--mark: got '%s', expected %s", text, complaint.expected);
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct flows_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->query;
        return 0;
    case 'n':
        options->limit = options_integer(state, "limit", argument, 0, INT64_MAX);
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
    case 'p':
        options->protocol = argument;
        return 0;
    case OPTION_LONG + 2:
        parse_host(state, options, argument);
        return 0;
    case OPTION_LONG + 3:
        options->zone = options_integer(state, "zone", argument, 0, UINT16_MAX);
        return 0;
    case OPTION_LONG + 4:
        parse_mark(state, options, argument);
        return 0;
    case OPTION_LONG + 5:
        options->label = argument;
        return 0;
    case OPTION_LONG + 6:
        options->class_name = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"limit", 'n', "N", 0, "At most N records (default: all)", 0},
            {"from", OPTION_LONG, "TIME", 0, "Records that begin at TIME or later", 0},
            {"to", OPTION_LONG + 1, "TIME", 0, "Records that begin before TIME", 0},
            {"account", 'a', "NAME", 0, "This account's", 0},
            {"wan", 'w', "NAME", 0, "This WAN's", 0},
            {"protocol", 'p', "NAME", 0, "This protocol's: a name (tcp) or number (6)", 0},
            {"host", OPTION_LONG + 2, "ADDRESS", 0, "From or to this address", 0},
            {"zone", OPTION_LONG + 3, "N", 0, "In this zone", 0},
            {"mark", OPTION_LONG + 4, "V[/M]", 0, "With this mark, of the bits of M", 0},
            {"label", OPTION_LONG + 5, "NAME", 0, "With this label", 0},
            {"class", OPTION_LONG + 6, "NAME", 0, "Of this class", 0},
            {0}},
    .parser = on_option,
    .doc = "The flow records, by the time of their first packet.\v"
           "A table shows the main columns; json and csv have them all. A long flow has several "
           "records: its total is their sum.\n\n"
           "Examples:\n"
           "  wanmeter flows --limit 20\n"
           "  wanmeter flows --host 192.0.2.7 --protocol udp\n"
           "  wanmeter flows --account alice --from 2026-01-31 --format json",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0}, {0}},
};

/* An IPv6 address with a port needs brackets (RFC 5952, section 6). */
#define ENDPOINT(address, port)                                                                    \
    "CASE WHEN " port " IS NULL THEN " address " WHEN ip_version = 6 THEN '[' || " address         \
    " || ']:' || " port " ELSE " address " || ':' || " port " END"

static const char *const table_columns =
    "first_ns, protocol_name AS protocol, " ENDPOINT("orig_src_address", "orig_src_port") //
    " AS orig_src, " ENDPOINT("orig_dst_address", "orig_dst_port")                        //
    " AS orig_dst, wan, account, orig_packets, reply_packets, orig_billed_bytes, "
    "reply_billed_bytes, state, record, end_reason";

static void write_query(const struct flows_options *options, char *query, size_t size)
{
    bool is_table = options->query.format == OUTPUT_TABLE;
    snprintf(query, size,
             "SELECT %s FROM flow WHERE first_ns >= :from AND first_ns < :to "
             "AND (:account IS NULL OR account = :account) AND (:wan IS NULL OR wan = :wan) "
             "AND (:protocol IS NULL OR protocol_name = :protocol OR "
             "CAST(protocol AS TEXT) = :protocol) "
             "AND (:host IS NULL OR orig_src_address = :host OR orig_dst_address = :host) "
             "AND (:zone < 0 OR zone = :zone) AND (mark & :mask) = :mark "
             "AND (:class IS NULL OR class = :class) "
             "AND (:label IS NULL OR instr(',' || label_names || ',', ',' || :label || ',') > 0) "
             "ORDER BY first_ns, id, record LIMIT :limit",
             is_table ? table_columns : "*");
}

/* What has no row to be printed. */
static void tell_gaps(struct database *database, const struct flows_options *options)
{
    sqlite3_stmt *statement = database_prepare(
        database, "SELECT coalesce(sum(packets), 0) FROM flow_gap WHERE last_ns >= :from AND "
                  "first_ns < :to");
    if (statement != NULL) {
        database_bind_integer(statement, ":from", options->from_ns);
        database_bind_integer(statement, ":to", options->to_ns);
    }
    if (database_step(database, statement) && sqlite3_column_int64(statement, 0) > 0)
        log_warning("%lld packets of this time are counted in usage and in no flow record: a "
                    "tracker was killed (wanmeter losses)",
                    (long long)sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
}

enum exit_code cmd_flows(int argc, char **argv)
{
    struct flows_options options = {
        .limit = -1, .zone = -1, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    options_parse(&argp, argc, argv, &options);

    struct database database;
    enum exit_code code = database_open(options.query.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    char query[QUERY_SIZE];
    write_query(&options, query, sizeof query);
    sqlite3_stmt *statement = database_prepare(&database, query);
    if (statement != NULL) {
        database_bind_integer(statement, ":from", options.from_ns);
        database_bind_integer(statement, ":to", options.to_ns);
        database_bind_integer(statement, ":limit", options.limit);
        database_bind_text(statement, ":account", options.account);
        database_bind_text(statement, ":wan", options.wan);
        database_bind_text(statement, ":protocol", options.protocol);
        database_bind_integer(statement, ":zone", options.zone);
        database_bind_integer(statement, ":mark", options.mark);
        database_bind_integer(statement, ":mask", options.mark_mask);
        database_bind_text(statement, ":class", options.class_name);
        database_bind_text(statement, ":label", options.label);
        database_bind_text(statement, ":host", options.host[0] != '\0' ? options.host : NULL);
    }
    code = query_print(&database, statement, options.query.format, "flows", QUERY_NAMED);
    if (code == EXIT_CODE_OK)
        tell_gaps(&database, &options);
    database_close(&database);
    return code;
}
