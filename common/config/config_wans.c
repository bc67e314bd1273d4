#include "common/config/config_wans.h"

#include <string.h>

#include "common/config/config_value.h"

#define FIELD(type, member)  .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define LIST(type, items, n) .offset = offsetof(type, items), .count_offset = offsetof(type, n)

enum { ZONE_MAX = 65535, VLAN_MAX = 4094, SESSION_MAX = 65535, MPLS_LABEL_MAX = 1048575 };
enum { INTERFACE_LENGTH_MAX = 255 };

bool config_is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return text[strspn(text, allowed)] == '\0' && strcmp(text, "none") != 0;
}

static const struct config_option source_options[] = {
    {"interface", CONFIG_TEXT, FIELD(struct config_source, interface), .min = 1,
     .max = INTERFACE_LENGTH_MAX, .is_required = true, .is_billing = true,
     .help = "The network interface to listen on."},
    {"direction", CONFIG_TEXT, FIELD(struct config_source, direction), .initial = "auto",
     .words = "auto up down", .is_billing = true,
     .help = "The direction of all its packets, for one arm of a TAP; auto: by MAC or prefix."},
    {"zone", CONFIG_INTEGER, FIELD(struct config_source, zone), .max = ZONE_MAX, .is_billing = true,
     .help = "The zone of its packets; not set: the top-level zone."},
    {"workers", CONFIG_INTEGER, FIELD(struct config_source, workers), .initial = "1", .min = 1,
     .max = 64, .help = "Capture processes that share the interface."},
    {"dedicated", CONFIG_BOOL, FIELD(struct config_source, is_dedicated), .initial = "no",
     .is_billing = true,
     .help = "A port for a mirror only: what this machine sends by it is left out, and its own "
             "counters tell how many bytes were lost."},
};

static const struct config_option wan_match_options[] = {
    {"interface", CONFIG_TEXT, FIELD(struct config_wan_match, interface), .min = 1,
     .max = INTERFACE_LENGTH_MAX, .is_billing = true,
     .help = "The interface: live its name, in pcapng if_name, of other files NAME of NAME=FILE or "
             "the file's base name."},
    {"vlan", CONFIG_INTEGER, FIELD(struct config_wan_match, vlan), .min = 1, .max = VLAN_MAX,
     .is_billing = true, .help = "The outermost VLAN id."},
    {"inner_vlan", CONFIG_INTEGER, FIELD(struct config_wan_match, inner_vlan), .min = 1,
     .max = VLAN_MAX, .is_billing = true, .help = "The second VLAN id, of QinQ."},
    {"pppoe_session", CONFIG_INTEGER, FIELD(struct config_wan_match, pppoe_session), .min = 1,
     .max = SESSION_MAX, .is_billing = true, .help = "The PPPoE session id."},
    {"mpls_label", CONFIG_INTEGER, FIELD(struct config_wan_match, mpls_label),
     .max = MPLS_LABEL_MAX, .is_billing = true, .help = "The outermost MPLS label."},
    {"gateway_macs", CONFIG_MAC_LIST, LIST(struct config_wan_match, gateway_macs, n_gateway_macs),
     .is_billing = true,
     .help = "MAC addresses of the upstream router: to one of them is up, from one is down."},
    {"local_prefixes", CONFIG_PREFIX_LIST,
     LIST(struct config_wan_match, local_prefixes, n_local_prefixes), .is_billing = true,
     .help = "Address blocks on this side: from one of them to elsewhere is up, the reverse down."},
    {"pppoe_concentrators", CONFIG_MAC_LIST,
     LIST(struct config_wan_match, pppoe_concentrators, n_pppoe_concentrators), .is_billing = true,
     .help = "PPPoE sessions that one of these access concentrators has opened, learned from its "
             "PADS: all packets of the line must come by one worker."},
    {"filter", CONFIG_TEXT, FIELD(struct config_wan_match, filter), .min = 1,
     .max = CONFIG_TEXT_MAX, .is_billing = true,
     .help = "A pcap-filter expression over the frame as captured, for what no key above says."},
};

static const struct config_table wan_match_table = {
    .options = wan_match_options,
    .n_options = sizeof wan_match_options / sizeof *wan_match_options,
    .object_size = sizeof(struct config_wan_match),
    .place_offset = CONFIG_NO_PLACE,
};

static const struct config_option wan_options[] = {
    {"name", CONFIG_TEXT, FIELD(struct config_wan, name), CONFIG_NAME_RULE, .is_required = true,
     .is_billing = true, .help = "What the bill calls it; no two WANs share one."},
    {"overhead", CONFIG_TEXT, FIELD(struct config_wan, overhead), .initial = "ip", .min = 1,
     .max = 255, .is_billing = true,
     .help = "What a packet costs on this link ('wanmeter overhead list'); ip: its IP length."},
    {"overhead_up", CONFIG_TEXT, FIELD(struct config_wan, overhead_up), .initial = "", .max = 255,
     .is_billing = true, .help = "The same of direction up, where it is another."},
    {"overhead_down", CONFIG_TEXT, FIELD(struct config_wan, overhead_down), .initial = "",
     .max = 255, .is_billing = true, .help = "The same of direction down, where it is another."},
    {"direction", CONFIG_TEXT, FIELD(struct config_wan, direction), .initial = "auto",
     .words = "auto up down", .is_billing = true,
     .help = "The direction of all its packets, for one arm of a TAP; auto: by MAC or prefix."},
    {"mtu", CONFIG_INTEGER, FIELD(struct config_wan, mtu), .max = 65535, .is_billing = true,
     .help = "The longest IP packet that it takes: a longer one was several before the capturing "
             "machine merged them, and is billed as these; 0: not known."},
    {"zone", CONFIG_INTEGER, FIELD(struct config_wan, zone), .max = ZONE_MAX, .is_billing = true,
     .help = "The zone of its packets; not set: the source's or the top-level zone."},
    {"match", CONFIG_MAP_LIST, LIST(struct config_wan, matches, n_matches),
     .table = &wan_match_table, .max = 1000, .is_billing = true,
     .help = "How to recognise its packets: every key of one map holds. {} takes every packet."},
};

static const struct config_option account_options[] = {
    {"name", CONFIG_TEXT, FIELD(struct config_account, name), CONFIG_NAME_RULE, .is_required = true,
     .is_billing = true, .help = "Who pays; no two accounts share one."},
    {"prefixes", CONFIG_PREFIX_LIST, LIST(struct config_account, prefixes, n_prefixes),
     .is_billing = true, .help = "Its address blocks; of several accounts' the longest wins."},
    {"macs", CONFIG_MAC_LIST, LIST(struct config_account, macs, n_macs), .is_billing = true,
     .help = "Its MAC addresses."},
    {"vlans", CONFIG_INTEGER_LIST, LIST(struct config_account, vlans, n_vlans), .min = 1,
     .max = VLAN_MAX, .is_billing = true, .help = "Its outermost VLAN ids."},
    {"pppoe_sessions", CONFIG_INTEGER_LIST,
     LIST(struct config_account, pppoe_sessions, n_pppoe_sessions), .min = 1, .max = SESSION_MAX,
     .is_billing = true, .help = "Its PPPoE session ids."},
};

const struct config_table config_source_table = {
    .options = source_options,
    .n_options = sizeof source_options / sizeof *source_options,
    .object_size = sizeof(struct config_source),
    .place_offset = offsetof(struct config_source, place),
};
const struct config_table config_wan_table = {
    .options = wan_options,
    .n_options = sizeof wan_options / sizeof *wan_options,
    .object_size = sizeof(struct config_wan),
    .place_offset = offsetof(struct config_wan, place),
};
const struct config_table config_account_table = {
    .options = account_options,
    .n_options = sizeof account_options / sizeof *account_options,
    .object_size = sizeof(struct config_account),
    .place_offset = offsetof(struct config_account, place),
};

const char config_sources_example[] = "  - interface: eth1\n"
                                      "    workers: 2\n";

const char config_wans_example[] = "  - name: vdsl\n"
                                   "    overhead: pppoe-ptm\n"
                                   "    match:\n"
                                   "      - vlan: 101\n"
                                   "        gateway_macs: [02:00:5e:10:00:01]\n"
                                   "  - name: radio\n"
                                   "    match:\n"
                                   "      - vlan: 102\n"
                                   "        local_prefixes: [192.0.2.0/24, 2001:db8::/32]\n"
                                   "      - pppoe_session: 7\n";

const char config_accounts_example[] = "  - name: bakery\n"
                                       "    prefixes: [192.0.2.0/26, 2001:db8:1::/48]\n"
                                       "  - name: workshop\n"
                                       "    prefixes: [192.0.2.64/26]\n"
                                       "    macs: [02:00:5e:20:00:01, 02:00:5e:20:00:02]\n";
