/* config: what the operator decided. One table of options (config_table.c) is the source of file
 * parsing, '--set', '--help-config', the example file and docs/configuration.md.
 *
 *     config_init(&config);                                    every option at its default
 *     config_load(&config, path, &errors);                     then the file, if there is one
 *     config_set(&config, "tracker.shards=4", &errors);        then the command line
 *     config_load_labels(&config, &errors);                    and the file of label names
 *     config_check(&config, &errors);                          what only makes sense together
 *     if (errors.n)
 *         config_errors_print(&errors, stderr);                and exit 2
 *     config_errors_deinit(&errors);
 *     config_deinit(&config);
 *
 * A file is YAML (libyaml), at most CONFIG_FILE_SIZE_MAX bytes, without anchors, aliases and tags.
 * Errors are collected, not returned one at a time: "file:line:col: what (got X, expected Y; did
 * you mean Z?)". Sizes take B, KiB, MiB, GiB; times ns, us, ms, s, min, h, d; a number without its
 * unit is an error. A value that is wrong leaves its option as it was, an item that is wrong is
 * left out of its list. A lack of memory is fatal. Not thread-safe. */
#ifndef WANMETER_COMMON_CONFIG_H
#define WANMETER_COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/config/config_place.h"
#include "common/config/config_tariff.h"

enum {
    CONFIG_WANS_MAX = 1000,
    CONFIG_ACCOUNTS_MAX = 60000,
    CONFIG_TARIFFS_MAX = 1000,
    CONFIG_RULES_MAX = 1000,
    CONFIG_HELPERS_MAX = 64,
    CONFIG_CLASS_FIRST = 32, /* before: what wanmeter itself tells apart */
    CONFIG_CLASSES_MAX = 200,
    CONFIG_NAME_MAX = 63,
    CONFIG_TIMEOUT_POLICIES_MAX = 1024,
    CONFIG_SHA256_SIZE = 32,
    CONFIG_FILE_SIZE_MAX = 16 * 1024 * 1024,
    CONFIG_ERRORS_MAX = 100
};

/* An address block. IPv4: family 4, the first 4 bytes of 'address'. Network order, host bits 0. */
struct config_prefix {
    uint8_t address[16];
    uint8_t family; /* 4 or 6 */
    uint8_t length; /* bits */
    struct config_place place;
};

struct config_mac {
    uint8_t bytes[6];
};

/* One way to recognise a WAN: every key that is set must hold. -1 (numbers), NULL or n 0: not set.
 */
struct config_wan_match {
    char *interface; /* live: the interface's name; pcapng: if_name; files: the name after NAME= or
                        the file's base name */
    int32_t vlan;    /* outermost 802.1Q/802.1ad id */
    int32_t inner_vlan;
    int32_t pppoe_session;
    int32_t mpls_label; /* the outermost */
    struct config_mac *gateway_macs;
    size_t n_gateway_macs;
    struct config_prefix *local_prefixes;
    size_t n_local_prefixes;
    struct config_mac *pppoe_concentrators; /* of PPPoE sessions whose PADS was seen */
    size_t n_pppoe_concentrators;
    char *filter; /* pcap-filter expression over the frame as captured */
};

struct config_wan {
    char *name;        /* [A-Za-z0-9._-]{1,63}, unique, not "none" */
    char *overhead;    /* a model, or several joined by +: common/overhead.h */
    char *overhead_up; /* of one direction, where it differs; empty: 'overhead' */
    char *overhead_down;
    char *direction; /* "auto" (by MAC or prefix), "up" or "down" (one arm of a TAP) */
    int32_t mtu;     /* the longest packet that it takes; 0: not known */
    int32_t zone;    /* -1: the source's or the default zone */
    struct config_wan_match *matches; /* none: config_check() complains */
    size_t n_matches;
    struct config_place place;
};

struct config_account {
    char *name;
    struct config_prefix *prefixes;
    size_t n_prefixes;
    struct config_mac *macs;
    size_t n_macs;
    int32_t *vlans;
    size_t n_vlans;
    int32_t *pppoe_sessions;
    size_t n_pppoe_sessions;
    struct config_place place;
};

/* A live interface. */
struct config_source {
    char *interface;
    char *direction;   /* "auto", "up", "down": of all its packets */
    int32_t zone;      /* -1: 'zone' */
    int32_t workers;   /* by PACKET_FANOUT */
    bool is_dedicated; /* a mirror port: nothing of this machine's own */
    struct config_place place;
};

/* How long a connection lives after a packet, by protocol and state. Defaults: Linux 6.18,
 * net/netfilter/nf_conntrack_proto_*.c. */
struct timeouts {
    int64_t tcp_syn_sent_ns, tcp_syn_recv_ns, tcp_established_ns, tcp_fin_wait_ns,
        tcp_close_wait_ns, tcp_last_ack_ns, tcp_time_wait_ns, tcp_close_ns, tcp_syn_sent2_ns,
        tcp_max_retrans_ns, tcp_unacknowledged_ns;
    int64_t udp_unreplied_ns, udp_stream_ns;
    int64_t icmp_ns, icmpv6_ns;
    int64_t gre_unreplied_ns, gre_stream_ns;
    int64_t sctp_closed_ns, sctp_cookie_wait_ns, sctp_cookie_echoed_ns, sctp_established_ns,
        sctp_shutdown_sent_ns, sctp_shutdown_recd_ns, sctp_shutdown_ack_sent_ns,
        sctp_heartbeat_sent_ns;
    int64_t generic_ns;
    int64_t untracked_ns; /* a flow that is no connection */
};

/* Of a policy, by state; -1: not given. Which of them there are depends on the protocol:
 * common/timeout_kind.h. */
struct config_timeout_values {
    int64_t syn_sent_ns, syn_recv_ns, established_ns, fin_wait_ns, close_wait_ns, last_ack_ns,
        time_wait_ns, close_ns, syn_sent2_ns, retrans_ns, unacknowledged_ns;
    int64_t unreplied_ns, replied_ns;
    int64_t timeout_ns;
    int64_t closed_ns, cookie_wait_ns, cookie_echoed_ns, shutdown_sent_ns, shutdown_recd_ns,
        shutdown_ack_sent_ns, heartbeat_sent_ns;
    struct config_place place;
};

/* Timeouts with a name, for the connections that a rule gives them to. */
struct config_timeout_policy {
    char *name; /* 1 to 31 bytes, unique */
    char *l3;   /* "inet", "inet6" */
    char *l4;   /* a kind's name */
    struct config_timeout_values *values;
    size_t n_values; /* 0 or 1 */
    struct config_place place;
};

/* Where a text of the file begins. */
struct config_text_place {
    struct config_place place;
    bool is_exact; /* it stands there as it is, in one line: characters can be counted on */
};

/* What to do with connections of packets that match; all that match apply, in order. */
struct config_rule {
    char *name;   /* NULL: none */
    char *match;  /* a pcap-filter expression; NULL: every packet */
    char *wan;    /* NULL: any; "none": of no WAN */
    int32_t zone; /* -1: any */
    char *state;  /* "new", "related" or "reply"; NULL: new or related */
    char *ct;     /* common/ct_action.h */
    struct config_place place;
    struct config_text_place match_place;
    struct config_text_place ct_place;
};

/* Connections to these ports are read for others that they announce. */
struct config_helper {
    char *name;     /* common/helper_names.h */
    int32_t *ports; /* none: the usual one; config_helper_port() knows */
    size_t n_ports;
    struct config_place place;
};

struct config {
    char *path; /* the file; NULL: none */

    char *database;                       /* wanmeter.db */
    char *run_directory;                  /* sockets; empty: made by the supervisor */
    int32_t zone;                         /* 0 to 65535 */
    struct config_prefix *local_prefixes; /* direction of packets whose WAN was matched otherwise */
    size_t n_local_prefixes;
    struct config_source *sources;
    size_t n_sources;
    struct config_wan *wans;
    size_t n_wans;
    struct config_account *accounts;
    size_t n_accounts;
    struct config_tariff *tariffs;
    size_t n_tariffs;
    struct config_text_list classes; /* numbered from CONFIG_CLASS_FIRST, in this order */
    struct config_rule *rules;
    size_t n_rules;
    struct config_helper *helpers;
    size_t n_helpers;
    char *label_file;                      /* a connlabel.conf; empty: none */
    struct config_text_list labels;        /* "BIT NAME" */
    struct config_text_list sticky_labels; /* names: of bits that no write clears */

    struct {
        int64_t workers;             /* of a replay */
        int64_t batch_packets;       /* 1 to 65536 */
        int64_t batch_bytes;         /* a batch is sent when it has this many */
        int64_t batch_interval_ns;   /* and when its packets span this much packet time */
        int64_t flush_interval_ns;   /* live: and after this much idle wall time */
        int64_t window_bytes;        /* unacknowledged bytes a worker keeps */
        int64_t snap_bytes;          /* live: bytes of each packet to look at */
        int64_t ring_bytes;          /* live: the kernel's ring */
        int64_t fragments_max;       /* datagrams remembered */
        int64_t fragment_timeout_ns; /* packet time */
        bool pppoe_padt;             /* a session is over with its PADT */
        int64_t duplicate_window_ns; /* copies of a packet within it are class duplicate; 0: off */
        int64_t time_jump_max_ns;    /* a lone packet further off than this is class bad_time */
        char *rss_key;               /* "random", "microsoft" or 80 hexadecimal digits */
        struct config_text_list decapsulate; /* erspan, tzsp, vxlan, gre */
        int64_t tzsp_port;                   /* 37008 */
        int64_t vxlan_port;                  /* 4789 */
    } capture;

    struct {
        int64_t shards;              /* 1 to 64 */
        int64_t connections_max;     /* over all shards */
        int64_t interim_interval_ns; /* packet time */
        int64_t commit_interval_ns;  /* wall time between commit points when live */
        int64_t commit_bytes;        /* and the input that makes one in any case */
        int64_t window_bytes;        /* rows that are not committed yet, at most */
        bool flow_records;           /* off: usage rows only */
        bool connection_events;      /* NEW, UPDATE, DESTROY */
    } tracker;

    struct timeouts timeouts;
    struct config_timeout_policy *timeout_policies;
    size_t n_timeout_policies;

    struct {
        bool tcp_loose;
        bool tcp_be_liberal;
        int64_t tcp_max_retrans;
        bool tcp_ignore_invalid_rst;
        int64_t expect_max;  /* expectations in memory */
        bool related_labels; /* a related connection has its master's labels */
        bool checksum;
        int64_t ipfrag_time_ns; /* a datagram's fragments wait for each other; packet time */
        int64_t frag6_timeout_ns;
        int64_t fragment_memory_bytes; /* of a worker, for what they bring */
    } conntrack;                       /* as net.netfilter.nf_conntrack_*, with its defaults */

    struct {
        bool consistency;  /* no holder reflects its peer's labels */
        bool state_ranges; /* labels from 0x80000 on are not leased */
        int64_t reflect;   /* bits: TCP, TCP resets, ICMPv6 echo replies */
    } flow_labels;         /* as net.ipv6.flowlabel_*, with their defaults */

    struct {
        int64_t commit_rows;        /* group commit: at most this many rows */
        int64_t commit_interval_ns; /* and at most this long, wall time */
        int64_t checkpoint_bytes;   /* the WAL's size that makes a checkpoint */
        int64_t spool_bytes;        /* 0: there is none */
        char *spool_directory;      /* empty: the database's */
        char *on_corrupt;           /* "auto", "refuse", "set_aside" */
    } exporter;

    struct {
        int64_t flows_ns; /* flow records; 0: for ever */
    } retention;

    struct {
        char *addresses; /* "full", "truncated", "anonymised" */
        int32_t ipv4_prefix;
        int32_t ipv6_prefix;
        char *key_file;
    } privacy;

    struct {
        char *user;    /* of capture workers and trackers; empty: wanmeter, else nobody */
        char *sandbox; /* "strict", "best_effort", "off" */
    } security;

    struct {
        char *endpoint;                  /* PUB; empty: RUN_DIRECTORY/events.sock */
        char *control_endpoint;          /* ROUTER; empty: RUN_DIRECTORY/control.sock */
        char *key_file;                  /* secret key of tcp endpoints; empty: none */
        struct config_text_list clients; /* public keys that may connect to them */
        int64_t heartbeat_interval_ns;
        int64_t keep; /* events kept for replay from a sequence number */
        int64_t
            subscribers_min; /* replay: wait for this many subscriptions before the first commit */
        int64_t subscribers_wait_ns;
    } events;
};

struct config_error {
    char *text; /* "file:line:col: what (got X, expected Y; did you mean Z?)" */
};

/* Start with zeros. */
struct config_errors {
    struct config_error *items;
    size_t n;          /* at most CONFIG_ERRORS_MAX */
    size_t n_left_out; /* counted after that, not kept */
};

void config_init(struct config *config);
void config_deinit(struct config *config);

/* Reads the file at 'path' over what 'config' holds. What is wrong is appended to 'errors'; a file
 * that cannot be read is an error too. */
void config_load(struct config *config, const char *path, struct config_errors *errors);

/* The same from memory: 'text' is borrowed, 'name' stands where the path would in errors. */
void config_read(struct config *config, const char *name, const char *text, size_t size,
                 struct config_errors *errors);

/* Applies "NAME=VALUE" (NAME as in the file, levels joined by dots; the items of a list with commas
 * between; not for lists of maps). */
void config_set(struct config *config, const char *assignment, struct config_errors *errors);

/* Adds what 'label_file' says to 'labels', once: processes that are given the configuration's text
 * have them without the file. */
void config_load_labels(struct config *config, struct config_errors *errors);

/* Checks what no single option shows: unique names, known overhead models, equal prefixes in two
 * accounts, … */
void config_check(const struct config *config, struct config_errors *errors);

/* What the policy says of 'name' ("established"); -1: nothing. */
int64_t config_timeout_policy_ns(const struct config_timeout_policy *policy, const char *name);

/* Does a port or a rule have a helper? */
bool config_has_helpers(const struct config *config);

/* The ports that a helper reads, at least one. */
size_t config_helper_ports(const struct config_helper *helper);
uint16_t config_helper_port(const struct config_helper *helper, size_t i);

void config_errors_print(const struct config_errors *errors, FILE *out);
void config_errors_deinit(struct config_errors *errors);

/* The effective configuration as canonical YAML, every option in table order: the same text for the
 * same decisions. The caller frees it. With 'billing_only', only what can change a bill (no paths,
 * endpoints, batch sizes, shards). */
char *config_text(const struct config *config, bool billing_only);

/* SHA-256 of config_text(config, true). */
void config_hash(const struct config *config, uint8_t hash[CONFIG_SHA256_SIZE]);

/* The example file (wanmeter.example.yaml) and the reference page (Markdown), from the table. */
void config_write_example(FILE *out);
void config_write_reference(FILE *out);

/* The table's one-line descriptions, for '--help-config'. */
void config_write_help(FILE *out);

#endif
