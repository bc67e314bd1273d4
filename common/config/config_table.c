#include "common/config/config_table.h"

#include <assert.h>
#include <string.h>

#include "common/bus/bus_key.h"
#include "common/config.h"
#include "common/config/config_helpers.h"
#include "common/config/config_labels.h"
#include "common/config/config_rules.h"
#include "common/config/config_timeout.h"
#include "common/config/config_value.h"
#include "common/config/config_wans.h"
#include "common/labels.h"

#define FIELD(type, member)  .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define LIST(type, items, n) .offset = offsetof(type, items), .count_offset = offsetof(type, n)

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define US  INT64_C(1000)
#define MS  (1000 * US)
#define S   (1000 * MS)
#define MIN (60 * S)
#define H   (60 * MIN)
#define D   (24 * H)

enum { ZONE_MAX = 65535, RSS_KEY_DIGITS = 80, LABEL_LINE_MAX = 1023 };

static bool is_rss_key(const char *text)
{
    if (strcmp(text, "random") == 0 || strcmp(text, "microsoft") == 0)
        return true;
    return strlen(text) == RSS_KEY_DIGITS &&
           strspn(text, "0123456789abcdefABCDEF") == RSS_KEY_DIGITS;
}

static bool is_public_key(const char *text)
{
    struct bus_key key;
    return bus_key_parse(text, &key);
}

#define NUMBER_OPTION(type_, name_, member, initial_, min_, max_, ...)                             \
    {                                                                                              \
        .name = (name_), .type = (type_), FIELD(struct config, member), .initial = (initial_),     \
        .min = (min_), .max = (max_), __VA_ARGS__                                                  \
    }
#define INTEGER_OPTION(...)  NUMBER_OPTION(CONFIG_INTEGER, __VA_ARGS__)
#define SIZE_OPTION(...)     NUMBER_OPTION(CONFIG_SIZE, __VA_ARGS__)
#define DURATION_OPTION(...) NUMBER_OPTION(CONFIG_DURATION, __VA_ARGS__)
#define TIMEOUT_OPTION(name_, initial_, help_)                                                     \
    DURATION_OPTION("timeouts." #name_, timeouts.name_##_ns, initial_, 1 * MS, 3650 * D,           \
                    .is_billing = true, .help = (help_))
#define BOOL_OPTION(name_, member, initial_, ...)                                                  \
    {                                                                                              \
        .name = (name_), .type = CONFIG_BOOL, FIELD(struct config, member), .initial = (initial_), \
        __VA_ARGS__                                                                                \
    }
#define TEXT_OPTION(name_, member, initial_, min_, ...)                                            \
    {                                                                                              \
        .name = (name_), .type = CONFIG_TEXT, FIELD(struct config, member), .initial = (initial_), \
        .min = (min_), .max = CONFIG_TEXT_MAX, __VA_ARGS__                                         \
    }

static const struct config_option options[] = {
    TEXT_OPTION("database", database, "wanmeter.db", 1, .help = "The SQLite file of the bill."),
    TEXT_OPTION("run_directory", run_directory, "", 0,
                .help = "Where the processes' sockets are; empty: a new temporary directory."),
    INTEGER_OPTION("zone", zone, "0", 0, ZONE_MAX, .is_billing = true,
                   .help = "The zone of packets that no source or WAN gives one: connections in "
                           "two zones never meet."),
    {"local_prefixes", CONFIG_PREFIX_LIST, LIST(struct config, local_prefixes, n_local_prefixes),
     .is_billing = true,
     .help = "Address blocks on this side; give the direction where a WAN's match does not."},
    {"sources", CONFIG_MAP_LIST, LIST(struct config, sources, n_sources),
     .table = &config_source_table, .max = 256, .is_billing = true,
     .example = config_sources_example, .help = "Interfaces that a live run listens on."},
    {"wans", CONFIG_MAP_LIST, LIST(struct config, wans, n_wans), .table = &config_wan_table,
     .max = CONFIG_WANS_MAX, .is_billing = true, .example = config_wans_example,
     .help = "The upstream links, in the order they are tried: the first that matches a packet "
             "has it."},
    {"accounts", CONFIG_MAP_LIST, LIST(struct config, accounts, n_accounts),
     .table = &config_account_table, .max = CONFIG_ACCOUNTS_MAX, .is_billing = true,
     .example = config_accounts_example,
     .help = "Who pays: by address block, MAC, VLAN or session."},
    {"tariffs", CONFIG_MAP_LIST, LIST(struct config, tariffs, n_tariffs),
     .table = &config_tariff_table, .max = CONFIG_TARIFFS_MAX, .is_billing = true,
     .example = config_tariffs_example,
     .help = "What is paid for it; no account is billed twice for one WAN."},
    {"classes", CONFIG_TEXT_LIST, LIST(struct config, classes.items, classes.n), CONFIG_NAME_RULE,
     .is_billing = true, .help = "Names of traffic classes that rules may give connections."},
    {"rules", CONFIG_MAP_LIST, LIST(struct config, rules, n_rules), .table = &config_rule_table,
     .max = CONFIG_RULES_MAX, .is_billing = true, .example = config_rules_example,
     .help = "What connection tracking does with the first packet of a connection; all rules that "
             "match apply, in order. Without rules, or where none matches: what Linux does."},
    {"helpers", CONFIG_MAP_LIST, LIST(struct config, helpers, n_helpers),
     .table = &config_helper_table, .max = CONFIG_HELPERS_MAX, .is_billing = true,
     .example = config_helpers_example,
     .help = "Control connections that are read for the connections they announce, by the port "
             "that they go to."},
    TEXT_OPTION("label_file", label_file, "", 0,
                .help = "Names of label bits, in the format of connlabel.conf: a line each, bit "
                        "and name."),
    {"labels", CONFIG_TEXT_LIST, LIST(struct config, labels.items, labels.n), .min = 3,
     .max = LABEL_LINE_MAX, .is_valid = config_label_is_line,
     .expected = "a bit, 0 to 127, and 1 to 63 letters, digits, '-' and ' '", .is_billing = true,
     .help = "The same without a file, \"BIT NAME\" each."},
    {"sticky_labels", CONFIG_TEXT_LIST, LIST(struct config, sticky_labels.items, sticky_labels.n),
     .min = 1, .max = LABEL_NAME_MAX, .is_billing = true,
     .help = "Names of labels whose bit, once set, no later write clears."},
    {"timeout_policies", CONFIG_MAP_LIST, LIST(struct config, timeout_policies, n_timeout_policies),
     .table = &config_timeout_policy_table, .max = CONFIG_TIMEOUT_POLICIES_MAX, .is_billing = true,
     .example = config_timeout_policies_example,
     .help = "Timeouts with a name, for the connections that a rule gives them to."},

    INTEGER_OPTION("capture.workers", capture.workers, "1", 1, 64,
                   .help = "Capture processes of a replay."),
    INTEGER_OPTION("capture.batch_packets", capture.batch_packets, "16384", 1, 65536,
                   .help = "A batch is sent when it has this many packets."),
    SIZE_OPTION("capture.batch", capture.batch_bytes, "512KiB", 4 * KIB, 8 * MIB,
                .help = "And when it has this many bytes."),
    DURATION_OPTION("capture.batch_interval", capture.batch_interval_ns, "1s", 1 * US, 1 * H,
                    .help = "And when it spans this much packet time."),
    DURATION_OPTION("capture.flush_interval", capture.flush_interval_ns, "20ms", 1 * MS, 10 * S,
                    .help = "And, live, when this much time on the wall clock went by."),
    SIZE_OPTION("capture.window", capture.window_bytes, "64MiB", 64 * KIB, 64 * GIB,
                .help = "What a worker keeps until it is committed; a live worker that has more "
                        "declares loss. A replay takes 16MiB at most, or 4MiB for each shard."),
    SIZE_OPTION("capture.snap", capture.snap_bytes, "256B", 64, 256 * KIB, .is_billing = true,
                .help = "Live: how much of each packet is looked at; lengths come from its "
                        "headers."),
    SIZE_OPTION("capture.ring", capture.ring_bytes, "64MiB", 1 * MIB, 2047 * MIB,
                .help = "Live: the kernel's buffer of each worker."),
    INTEGER_OPTION("capture.fragments_max", capture.fragments_max, "65536", 1, 16777216,
                   .is_billing = true,
                   .help = "Fragmented datagrams remembered at once, to find the ports of later "
                           "fragments."),
    DURATION_OPTION("capture.fragment_timeout", capture.fragment_timeout_ns, "30s", 1 * MS,
                    10 * MIN, .is_billing = true,
                    .help = "How long, in packet time, fragments wait for their first one."),
    BOOL_OPTION("capture.pppoe_padt", capture.pppoe_padt, "yes", .is_billing = true,
                .help = "Whether a PADT ends a session that was learned (pppoe_concentrators)."),
    DURATION_OPTION("capture.duplicate_window", capture.duplicate_window_ns, "0s", 0, 1 * S,
                    .is_billing = true,
                    .help = "A copy of a packet, seen this long after it at most, is class "
                            "duplicate and not billed: for mirrors that show packets twice. Less "
                            "than a round trip, or what is sent again may be taken for a copy."),
    DURATION_OPTION("capture.time_jump_max", capture.time_jump_max_ns, "10min", 1 * S, 3650 * D,
                    .is_billing = true,
                    .help = "A lone packet whose time is further off than this is class bad_time."),
    TEXT_OPTION("capture.rss_key", capture.rss_key, "random", 1, .is_valid = is_rss_key,
                .expected = "random, microsoft or 80 hexadecimal digits",
                .help = "The key of the hash that spreads connections over the shards: random, "
                        "microsoft or 80 hexadecimal digits."),
    {"capture.decapsulate", CONFIG_TEXT_LIST,
     LIST(struct config, capture.decapsulate.items, capture.decapsulate.n),
     .words = "erspan tzsp vxlan gre", .is_billing = true,
     .help = "Mirror carriers to unwrap; of others the outer packet counts."},
    INTEGER_OPTION("capture.tzsp_port", capture.tzsp_port, "37008", 1, 65535, .is_billing = true,
                   .help = "The UDP port of TZSP."),
    INTEGER_OPTION("capture.vxlan_port", capture.vxlan_port, "4789", 1, 65535, .is_billing = true,
                   .help = "The UDP port of VXLAN."),

    INTEGER_OPTION("tracker.shards", tracker.shards, "1", 1, 64,
                   .help = "Tracker processes; the bill does not depend on it."),
    INTEGER_OPTION("tracker.connections_max", tracker.connections_max, "4194304", 1, 268435456,
                   .is_billing = true,
                   .help = "Connections in memory, over all shards; past that unreplied ones go "
                           "first, then packets are class overflow."),
    DURATION_OPTION("tracker.interim_interval", tracker.interim_interval_ns, "5min", 1 * S, 1 * D,
                    .is_billing = true,
                    .help = "A connection that goes on gets a flow record this often, in packet "
                            "time."),
    DURATION_OPTION("tracker.commit_interval", tracker.commit_interval_ns, "1s", 10 * MS, 1 * MIN,
                    .help = "Live: time between commit points, on the wall clock."),
    SIZE_OPTION("tracker.commit_volume", tracker.commit_bytes, "16MiB", 64 * KIB, 1 * GIB,
                .help = "This much input makes a commit point in any case. In a replay 8MiB at "
                        "most."),
    SIZE_OPTION("tracker.window", tracker.window_bytes, "32MiB", 1 * MIB, 1 * GIB,
                .help = "What a tracker keeps until it is committed; beyond it waits for the "
                        "exporter. All of a replay take 8MiB at most, or 1MiB each."),
    BOOL_OPTION("tracker.flow_records", tracker.flow_records, "yes", .is_billing = true,
                .help = "Keep a row a connection; no: usage sums only."),
    BOOL_OPTION("tracker.connection_events", tracker.connection_events, "yes",
                .help = "Publish NEW, UPDATE and DESTROY of connections."),

    TIMEOUT_OPTION(tcp_syn_sent, "120s", "A SYN was seen."),
    TIMEOUT_OPTION(tcp_syn_recv, "60s", "A SYN and its SYN-ACK were seen."),
    TIMEOUT_OPTION(tcp_established, "5d", "Both sides are open."),
    TIMEOUT_OPTION(tcp_fin_wait, "120s", "One side sent its FIN."),
    TIMEOUT_OPTION(tcp_close_wait, "60s", "The other side acknowledged it."),
    TIMEOUT_OPTION(tcp_last_ack, "30s", "Both sides sent their FIN."),
    TIMEOUT_OPTION(tcp_time_wait, "120s", "Both FINs are acknowledged."),
    TIMEOUT_OPTION(tcp_close, "10s", "A RST was seen."),
    TIMEOUT_OPTION(tcp_syn_sent2, "120s", "Both sides sent a SYN."),
    TIMEOUT_OPTION(tcp_max_retrans, "300s", "Too many retransmissions without an answer."),
    TIMEOUT_OPTION(tcp_unacknowledged, "300s", "Data without an acknowledgement."),
    TIMEOUT_OPTION(udp_unreplied, "30s", "UDP and UDP-Lite: no reply, or a young connection."),
    TIMEOUT_OPTION(udp_stream, "120s", "UDP and UDP-Lite: a stream both ways."),
    TIMEOUT_OPTION(icmp, "30s", "ICMP queries."),
    TIMEOUT_OPTION(icmpv6, "30s", "ICMPv6 queries."),
    TIMEOUT_OPTION(gre_unreplied, "30s", "GRE without a reply."),
    TIMEOUT_OPTION(gre_stream, "180s", "GRE both ways."),
    TIMEOUT_OPTION(sctp_closed, "10s", "SCTP: closed."),
    TIMEOUT_OPTION(sctp_cookie_wait, "3s", "SCTP: an INIT was seen."),
    TIMEOUT_OPTION(sctp_cookie_echoed, "3s", "SCTP: a COOKIE ECHO was seen."),
    TIMEOUT_OPTION(sctp_established, "210s", "SCTP: open."),
    TIMEOUT_OPTION(sctp_shutdown_sent, "3s", "SCTP: a SHUTDOWN of the client was seen."),
    TIMEOUT_OPTION(sctp_shutdown_recd, "3s", "SCTP: a SHUTDOWN of the server was seen."),
    TIMEOUT_OPTION(sctp_shutdown_ack_sent, "3s", "SCTP: a SHUTDOWN ACK was seen."),
    TIMEOUT_OPTION(sctp_heartbeat_sent, "30s", "SCTP: a HEARTBEAT was the first seen."),
    TIMEOUT_OPTION(generic, "600s", "Every other protocol."),
    TIMEOUT_OPTION(untracked, "120s",
                   "A flow that is no connection: INVALID packets, IPv6 neighbour discovery."),

    BOOL_OPTION("conntrack.tcp_loose", conntrack.tcp_loose, "yes", .is_billing = true,
                .help = "An ACK in mid-stream begins a connection."),
    BOOL_OPTION("conntrack.tcp_be_liberal", conntrack.tcp_be_liberal, "no", .is_billing = true,
                .help = "Segments out of the window are not INVALID."),
    INTEGER_OPTION("conntrack.tcp_max_retrans", conntrack.tcp_max_retrans, "3", 0, 255,
                   .is_billing = true,
                   .help = "From this many retransmissions without an answer on, the timeout is "
                           "tcp_max_retrans."),
    BOOL_OPTION("conntrack.tcp_ignore_invalid_rst", conntrack.tcp_ignore_invalid_rst, "no",
                .is_billing = true,
                .help = "A RST older than what was acknowledged is not INVALID at once."),

    INTEGER_OPTION("conntrack.expect_max", conntrack.expect_max, "4096", 1, 1048576,
                   .is_billing = true,
                   .help = "Connections that helpers expect at once; past that no more are."),
    BOOL_OPTION("conntrack.checksum", conntrack.checksum, "no", .is_billing = true,
                .help =
                    "Judge a packet whose checksum is wrong as invalid, as the kernel does. No: "
                    "what a sender captures of its own packets carries wrong ones."),
    DURATION_OPTION("conntrack.ipfrag_time", conntrack.ipfrag_time_ns, "30s", 1 * MS, 10 * MIN,
                    .is_billing = true,
                    .help = "How long, in packet time, an IPv4 datagram's fragments wait to be "
                            "complete."),
    DURATION_OPTION("conntrack.frag6_timeout", conntrack.frag6_timeout_ns, "60s", 1 * MS, 10 * MIN,
                    .is_billing = true, .help = "The same for IPv6."),
    SIZE_OPTION("conntrack.fragment_memory", conntrack.fragment_memory_bytes, "4MiB", 256 * KIB,
                64 * MIB, .is_billing = true,
                .help = "What a worker has for incomplete datagrams; past that the oldest is never "
                        "judged."),
    BOOL_OPTION("conntrack.related_labels", conntrack.related_labels, "no", .is_billing = true,
                .help = "A connection that a helper expected has its master's labels, as in Open "
                        "vSwitch; Linux hands on the mark only."),

    BOOL_OPTION("flow_labels.consistency", flow_labels.consistency, "yes", .is_billing = true,
                .help = "No holder may reflect its peer's flow labels."),
    BOOL_OPTION("flow_labels.state_ranges", flow_labels.state_ranges, "no", .is_billing = true,
                .help = "IPv6 flow labels from 0x80000 on are for packets without a lease: asking "
                        "for one of them is refused."),
    INTEGER_OPTION("flow_labels.reflect", flow_labels.reflect, "0", 0, 7, .is_billing = true,
                   .help = "Where a lease's destination sends its label back, and the lease counts "
                           "for that too; the sum of 1: TCP, 2: TCP resets, 4: ICMPv6 echo "
                           "replies."),

    INTEGER_OPTION("exporter.commit_rows", exporter.commit_rows, "50000", 1, 10000000,
                   .help = "A transaction is committed when it has this many rows."),
    DURATION_OPTION("exporter.commit_interval", exporter.commit_interval_ns, "200ms", 1 * MS,
                    1 * MIN,
                    .help = "And, with fewer, when this much time on the wall clock went by."),
    SIZE_OPTION("exporter.checkpoint", exporter.checkpoint_bytes, "16MiB", 64 * KIB, 16 * GIB,
                .help = "The write-ahead log is folded into the database at this size."),
    SIZE_OPTION("exporter.spool_bytes", exporter.spool_bytes, "1GiB", 0, 1024 * GIB,
                .help = "What the database cannot take (locked, disk full, …) is kept in "
                        "a file of up to this size; 0B: there is none."),
    TEXT_OPTION("exporter.spool_directory", exporter.spool_directory, "", 0,
                .help = "Where that file is; empty: beside the database. On another disk it helps "
                        "when the database's is full."),
    TEXT_OPTION("exporter.on_corrupt", exporter.on_corrupt, "auto", 1,
                .words = "auto refuse set_aside",
                .help = "A database that is damaged: is refused; is set aside by a name that says "
                        "so, and a new one begins with a loss line; auto: is set aside by "
                        "'wanmeter run', and refused otherwise."),

    DURATION_OPTION("retention.flows", retention.flows_ns, "0s", 0, 36500 * D,
                    .help = "Flow records, and with them addresses, are deleted at this age; 0s: "
                            "never. Usage sums stay."),

    TEXT_OPTION("privacy.addresses", privacy.addresses, "full", 1,
                .words = "full truncated anonymised",
                .help = "How addresses of flows are stored and published: in full; their first "
                        "bits only; replaced by others, prefix by prefix (Crypto-PAn), by a key."),
    INTEGER_OPTION("privacy.ipv4_prefix", privacy.ipv4_prefix, "24", 0, 32,
                   .help = "Truncated: the bits that stay of an IPv4 address."),
    INTEGER_OPTION("privacy.ipv6_prefix", privacy.ipv6_prefix, "48", 0, 128,
                   .help = "And of an IPv6 address."),
    TEXT_OPTION("privacy.key_file", privacy.key_file, "", 0,
                .help = "A file of 32 random bytes that only its owner may read (mode 0600): the "
                        "key of addresses and flow ids, unless addresses are in full."),

    TEXT_OPTION("security.user", security.user, "", 0,
                .help = "Who capture workers and trackers become when root starts them; empty: "
                        "wanmeter, or nobody where there is no such user."),
    TEXT_OPTION("security.sandbox", security.sandbox, "best_effort", 0,
                .words = "strict best_effort off",
                .help = "What a kernel cannot keep the processes from: strict: is an error, "
                        "best_effort: is left out; off: nothing is kept from them."),

    TEXT_OPTION("events.endpoint", events.endpoint, "", 0,
                .help = "Where events are published; empty: ipc, events.sock in run_directory."),
    TEXT_OPTION("events.control_endpoint", events.control_endpoint, "", 0,
                .help = "Where missed events are asked for; empty: ipc, control.sock in "
                        "run_directory."),
    TEXT_OPTION("events.key_file", events.key_file, "", 0,
                .help = "The secret key of tcp endpoints ('wanmeter key new'), mode 0600."),
    {"events.clients", CONFIG_TEXT_LIST,
     LIST(struct config, events.clients.items, events.clients.n), .min = 40, .max = 40,
     .is_valid = is_public_key, .expected = "a public key: 40 characters, Z85",
     .help = "Public keys of those who may connect to tcp endpoints."},
    DURATION_OPTION("events.heartbeat_interval", events.heartbeat_interval_ns, "1s", 10 * MS, 1 * H,
                    .help = "How often a silent topic says that it is there."),
    INTEGER_OPTION("events.keep", events.keep, "65536", 0, 16777216,
                   .help = "Events that can still be asked for."),
    INTEGER_OPTION("events.subscribers_min", events.subscribers_min, "0", 0, 1000,
                   .help = "A replay waits for this many subscriptions before its first commit."),
    DURATION_OPTION("events.subscribers_wait", events.subscribers_wait_ns, "10s", 0, 1 * H,
                    .help = "But not longer than this."),
};

static const struct config_section sections[] = {
    {"capture", "From frames to batches of packets."},
    {"tracker", "From packets to usage and flow records."},
    {"timeouts", "How long a connection lives after its last packet, in packet time, by its state; "
                 "the defaults are Linux's."},
    {"conntrack", "How packets are judged; the names and defaults are those of Linux's "
                  "net.netfilter.nf_conntrack_*."},
    {"flow_labels", "Leases of IPv6 flow labels; the names and defaults are those of Linux's "
                    "net.ipv6.flowlabel_*."},
    {"exporter", "From records to the database."},
    {"retention", "How long what names persons is kept."},
    {"privacy", "What is stored and published of addresses."},
    {"security", "What a process that was taken over could do (docs/security.md)."},
    {"events", "What is published to subscribers."},
};

const struct config_table config_options = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .sections = sections,
    .n_sections = sizeof sections / sizeof *sections,
    .object_size = sizeof(struct config),
    .place_offset = CONFIG_NO_PLACE,
};

static_assert(sizeof options / sizeof *options <= CONFIG_OPTIONS_MAX, "grow CONFIG_OPTIONS_MAX");

const struct config_option *config_table_find(const struct config_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_options; i++)
        if (strcmp(table->options[i].name, name) == 0)
            return &table->options[i];
    return NULL;
}

const struct config_section *config_table_find_section(const struct config_table *table,
                                                       const char *name)
{
    for (size_t i = 0; i < table->n_sections; i++)
        if (strcmp(table->sections[i].name, name) == 0)
            return &table->sections[i];
    return NULL;
}

const struct config_section *config_option_section(const struct config_table *table,
                                                   const struct config_option *option)
{
    size_t length = strcspn(option->name, ".");
    for (size_t i = 0; option->name[length] && i < table->n_sections; i++)
        if (strlen(table->sections[i].name) == length &&
            memcmp(table->sections[i].name, option->name, length) == 0)
            return &table->sections[i];
    return NULL;
}

const char *config_option_key(const struct config_option *option)
{
    const char *dot = strchr(option->name, '.');
    return dot ? dot + 1 : option->name;
}
