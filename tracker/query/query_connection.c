#include "tracker/query/query_connection.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tracker/connection_filter.h"
#include "tracker/flow/flow_expect.h"
#include "tracker/flow/flow_internal.h"
#include "tracker/flow_record.h"

enum { PLACES_A_PORTION = 8192 }; /* of the table: some 0.2 ms */

enum { PROTOCOLS = 256, COLUMNS = 9, NUMBER_SIZE = 24 };

/* Those that conntrack(8) knows by name. */
static void fill_protocol_names(const char *names[PROTOCOLS])
{
    for (size_t i = 0; i < PROTOCOLS; i++)
        names[i] = "unknown";
    names[IPPROTO_TCP] = "tcp";
    names[IPPROTO_UDP] = "udp";
    names[IPPROTO_UDPLITE] = "udplite";
    names[IPPROTO_ICMP] = "icmp";
    names[IPPROTO_ICMPV6] = "icmpv6";
    names[IPPROTO_SCTP] = "sctp";
    names[IPPROTO_DCCP] = "dccp";
    names[IPPROTO_GRE] = "gre";
}

/* What of the table an answer looks at. */
struct look {
    const struct flow_table *flows;
    struct connection_filter filter;
    size_t place, end; /* of the table: from here on, before there */
};

/* False (and the reply says so): no filter of ours. */
static bool look_begin(const struct control *control, const struct control_request *request,
                       struct look *look, struct control_reply *reply)
{
    look->flows = control->flows;
    size_t n_places = connection_table_places(control->flows->connections);
    look->place = request->cursor < n_places ? (size_t)request->cursor : n_places;
    look->end = look->place + PLACES_A_PORTION;
    if (look->end >= n_places)
        look->end = n_places;
    reply->cursor = look->end < n_places ? look->end : 0;
    reply->error = EINVAL;
    if (!connection_filter_read(&control->names, request->words + 2, request->n_words - 2,
                                &look->filter, reply->answer))
        return false;
    reply->error = 0;
    return true;
}

/* The next connection that is meant and lives here; NULL: no more in this portion. */
static const struct connection *look_next(struct look *look)
{
    while (look->place < look->end) {
        const struct connection *connection =
            connection_table_at(look->flows->connections, look->place++);
        if (connection && !connection->is_shadow &&
            connection->expires_ns > look->flows->clock_ns &&
            connection_filter_matches(&look->filter, look->flows->connections, connection))
            return connection;
    }
    return NULL;
}

static void list(const struct control *control, const struct control_request *request,
                 struct control_reply *reply)
{
    const char *names[PROTOCOLS];
    fill_protocol_names(names);
    struct event_context context = {.config = control->names.config,
                                    .protocol_names = names,
                                    .labels = control->names.labels,
                                    .accounts = control->names.accounts};
    struct look look;
    if (!look_begin(control, request, &look, reply))
        return;
    const struct connection *connection;
    while ((connection = look_next(&look))) {
        struct connection_event event;
        flow_record_describe(look.flows->connections, connection, look.flows->clock_ns, &event);
        if (!control_reply_connection(reply, &event, &context)) {
            reply->cursor = look.place - 1; /* this one again, in the next portion */
            return;
        }
        reply->count++;
    }
}

static void count(const struct control *control, const struct control_request *request,
                  struct control_reply *reply)
{
    struct look look;
    if (!look_begin(control, request, &look, reply))
        return;
    while (look_next(&look))
        reply->count++;
}

static void stats(const struct control *control, const struct control_request *request,
                  struct control_reply *reply)
{
    static const char *const columns[COLUMNS] = {
        "shard",          "flows",        "connections_max",      "peers_refused",
        "clock_ns",       "expectations", "expectations_refused", "expected",
        "probe_lines_max"};
    char texts[COLUMNS][NUMBER_SIZE];
    (void)request;
    snprintf(texts[0], NUMBER_SIZE, "%" PRIu32, control->shard);
    snprintf(texts[1], NUMBER_SIZE, "%zu", flow_table_count(control->flows));
    snprintf(texts[2], NUMBER_SIZE, "%zu", control->flows->connections_max);
    snprintf(texts[3], NUMBER_SIZE, "%" PRIu64, control->bus ? bus_refused(control->bus) : 0);
    snprintf(texts[4], NUMBER_SIZE, "%" PRId64, control->flows->clock_ns);
    size_t n_waiting;
    struct expectation_counters expected = flow_expectation_counters(control->flows, &n_waiting);
    snprintf(texts[5], NUMBER_SIZE, "%zu", n_waiting);
    snprintf(texts[6], NUMBER_SIZE, "%" PRIu64, expected.n_busy + expected.n_full);
    snprintf(texts[7], NUMBER_SIZE, "%" PRIu64, expected.n_used);
    snprintf(texts[8], NUMBER_SIZE, "%zu", flow_table_probe_lines(control->flows));
    const char *row[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        row[i] = texts[i];
    control_reply_columns(reply, columns, COLUMNS);
    control_reply_row(reply, row, COLUMNS);
}

void query_connection(const struct control *control, const struct control_request *request,
                      struct control_reply *reply)
{
    static const struct {
        const char *word;
        void (*answer)(const struct control *, const struct control_request *,
                       struct control_reply *);
    } verbs[] = {{"list", list}, {"get", list}, {"count", count}, {"stats", stats}};
    const char *verb = request->n_words > 1 ? request->words[1] : "";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].word, verb) == 0) {
            verbs[i].answer(control, request, reply);
            return;
        }
    }
    control_reply_fail(reply, EOPNOTSUPP,
                       "unknown question 'ct %.32s', expected list, get, count or stats", verb);
}
