#include "cli/event/event_conntrack.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "proto/record.h"

enum { NS_PER_S = 1000000000, DCCP = 33 };

/* What a line has beside the tuples. */
struct parts {
    bool has_timeout;
    bool has_counters;
    bool has_labels; /* and the helper */
    bool is_listed;  /* 'conntrack -L': a mark also where it is 0, how old, how often used */
    int64_t now_ns;
};

static bool has_ports(uint32_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
           protocol == IPPROTO_SCTP || protocol == DCCP;
}

static bool has_state(uint32_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP;
}

/* The type that answers: ICMP echo 8 and 0, timestamp, information, mask; ICMPv6 echo, node
 * information. */
static uint32_t reply_type(uint32_t protocol, uint32_t type)
{
    static const uint8_t pairs[][3] = {
        {IPPROTO_ICMP, 8, 0},   {IPPROTO_ICMP, 13, 14},     {IPPROTO_ICMP, 15, 16},
        {IPPROTO_ICMP, 17, 18}, {IPPROTO_ICMPV6, 128, 129}, {IPPROTO_ICMPV6, 139, 140},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i][0] == protocol && pairs[i][1] == type)
            return pairs[i][2];
        if (pairs[i][0] == protocol && pairs[i][2] == type)
            return pairs[i][1];
    }
    return type;
}

static void print_tuple(const Wanmeter__Event__Connection *connection, bool is_reply,
                        bool has_counters, FILE *out)
{
    fprintf(out, " src=%s dst=%s",
            is_reply ? connection->reply_src_address : connection->orig_src_address,
            is_reply ? connection->reply_dst_address : connection->orig_dst_address);
    if (has_ports(connection->protocol))
        fprintf(out, " sport=%" PRIu32 " dport=%" PRIu32,
                is_reply ? connection->reply_src_port : connection->orig_src_port,
                is_reply ? connection->reply_dst_port : connection->orig_dst_port);
    else if (connection->protocol == IPPROTO_ICMP || connection->protocol == IPPROTO_ICMPV6)
        fprintf(out, " type=%" PRIu32 " code=%" PRIu32 " id=%" PRIu32,
                is_reply ? reply_type(connection->protocol, connection->icmp_type)
                         : connection->icmp_type,
                connection->icmp_code, connection->icmp_id);
    if (has_counters)
        fprintf(out, " packets=%" PRIu64 " bytes=%" PRIu64,
                is_reply ? connection->reply_ct_packets_total : connection->orig_ct_packets_total,
                is_reply ? connection->reply_ct_l3_bytes_total
                         : connection->orig_ct_l3_bytes_total);
}

/* By name, as with a connlabel.conf; where no bit has one, by number. */
static void print_labels(const Wanmeter__Event__Connection *connection, FILE *out)
{
    const ProtobufCBinaryData *labels = &connection->labels;
    bool is_first = true;
    if (*connection->label_names) {
        fprintf(out, " labels=%s", connection->label_names);
        return;
    }
    for (size_t bit = 0; bit < labels->len * 8; bit++) {
        if ((labels->data[labels->len - 1 - bit / 8] >> (bit % 8) & 1) == 0)
            continue;
        fprintf(out, is_first ? " labels=%zu" : ",%zu", bit);
        is_first = false;
    }
}

static void print_connection(const Wanmeter__Event__Connection *connection,
                             const struct parts *parts, FILE *out)
{
    fprintf(out, "%-8s %" PRIu32 " %-8s %" PRIu32, connection->ip_version == 6 ? "ipv6" : "ipv4",
            (uint32_t)(connection->ip_version == 6 ? AF_INET6 : AF_INET), connection->protocol_name,
            connection->protocol);
    if (parts->has_timeout)
        fprintf(out, " %" PRId64, connection->timeout_ns / NS_PER_S);
    if (has_state(connection->protocol))
        fprintf(out, " %s", connection->state);
    print_tuple(connection, false, parts->has_counters, out);
    if ((connection->status & STATUS_SEEN_REPLY) == 0)
        fputs(" [UNREPLIED]", out);
    print_tuple(connection, true, parts->has_counters, out);
    if (connection->status & STATUS_ASSURED)
        fputs(" [ASSURED]", out);
    if (connection->mark != 0 || parts->is_listed)
        fprintf(out, " mark=%" PRIu32, connection->mark);
    if (connection->zone != 0)
        fprintf(out, " zone=%" PRIu32, connection->zone);
    if (parts->has_counters) /* how long it has been, or was */
        fprintf(out, " delta-time=%" PRId64, (parts->now_ns - connection->first_ns) / NS_PER_S);
    if (parts->has_labels && *connection->helper)
        fprintf(out, " helper=%s", connection->helper);
    if (parts->is_listed)
        fputs(" use=1", out);
    fprintf(out, " id=%" PRIu64, (uint64_t)connection->id);
    if (parts->has_labels)
        print_labels(connection, out);
    fputc('\n', out);
}

void event_conntrack_list(const Wanmeter__Event__Connection *connection, int64_t now_ns, FILE *out)
{
    struct parts parts = {
        .has_timeout = true,
        .has_counters = true,
        .has_labels = true,
        .is_listed = true,
        .now_ns = now_ns,
    };
    print_connection(connection, &parts, out);
}

static bool has_counted(const Wanmeter__Event__Counters *counters)
{
    return counters != NULL && counters->packets > 0;
}

/* The kernel sends none: a record of what was counted since the one before. */
static bool is_interim(const Wanmeter__Event__Connection *connection)
{
    return has_counted(connection->orig) || has_counted(connection->reply);
}

void event_print_conntrack(const Wanmeter__Event__Event *event, FILE *out)
{
    const Wanmeter__Event__Connection *connection = event->connection;
    if (event->content_case != WANMETER__EVENT__EVENT__CONTENT_CONNECTION ||
        (connection->status & STATUS_CONFIRMED) == 0) /* no connection */
        return;
    bool is_new = strncmp(event->topic, "new", 3) == 0;
    bool is_destroy = strncmp(event->topic, "destroy", 7) == 0;
    if (!is_new && !is_destroy && is_interim(connection))
        return;
    struct parts parts = {
        .has_timeout = !is_destroy || connection->timeout_ns >= NS_PER_S,
        .has_counters = is_destroy,
        .has_labels = !is_destroy,
        .now_ns = event->time_ns,
    };
    fprintf(out, "[%" PRId64 ".%06" PRId64 "]\t%s ", event->time_ns / NS_PER_S,
            event->time_ns % NS_PER_S / 1000,
            is_new       ? "    [NEW]"
            : is_destroy ? "[DESTROY]"
                         : " [UPDATE]");
    print_connection(connection, &parts, out);
}
