/* Offloads: what a driver does to packets before they are captured, or instead. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/ethtool.h"

enum { WORDS_SIZE = 256, DEPTH_MAX = 4 };

/* The kernel's names of features, as a pattern, and the word by which ethtool -K switches them. */
static const struct offload {
    const char *pattern;
    const char *word;
    enum finding_check check;
} offloads[] = {
    {"rx-gro", "gro", FINDING_RECEIVE_OFFLOADS},
    {"rx-lro", "lro", FINDING_RECEIVE_OFFLOADS},
    {"rx-gro-hw", "rx-gro-hw", FINDING_RECEIVE_OFFLOADS},
    {"rx-gro-list", "rx-gro-list", FINDING_RECEIVE_OFFLOADS},
    {"rx-udp-gro-forwarding", "rx-udp-gro-forwarding", FINDING_RECEIVE_OFFLOADS},
    {"tx-tcp*-segmentation", "tso", FINDING_SEND_OFFLOADS},
    {"tx-generic-segmentation", "gso", FINDING_SEND_OFFLOADS},
    {"tx-udp-segmentation", "tx-udp-segmentation", FINDING_SEND_OFFLOADS},
    {"rx-vlan-hw-parse", "rxvlan", FINDING_VLAN_OFFLOADS},
    {"tx-vlan-hw-insert", "txvlan", FINDING_VLAN_OFFLOADS},
    {"rx-vlan-stag-hw-parse", "rx-vlan-stag-hw-parse", FINDING_VLAN_OFFLOADS},
    {"tx-vlan-stag-hw-insert", "tx-vlan-stag-hw-insert", FINDING_VLAN_OFFLOADS},
    {"rx-fcs", "rx-fcs", FINDING_FRAME_CHECK},
    {"rx-all", "rx-all", FINDING_FRAME_CHECK},
    {"hw-tc-offload", "hw-tc-offload", FINDING_HARDWARE_FORWARDING},
};

/* Is one of the features on; is one of these to be switched? */
struct offload_state {
    bool is_on;
    bool is_switchable;
};

static struct offload_state state_of(const struct ethtool_features *features, const char *pattern)
{
    struct offload_state state = {0};
    for (size_t i = 0; i < features->n; i++) {
        const struct ethtool_feature *feature = &features->items[i];
        if (!feature->is_on || fnmatch(pattern, feature->name, 0) != 0)
            continue;
        state.is_on = true;
        state.is_switchable = state.is_switchable || !feature->is_fixed;
    }
    return state;
}

static void append(char words[WORDS_SIZE], const char *word, const char *after)
{
    size_t length = strlen(words);
    snprintf(words + length, WORDS_SIZE - length, " %s%s", word, after);
}

static enum finding_verdict verdict_of(enum finding_check check, bool is_dedicated)
{
    switch (check) {
    case FINDING_SEND_OFFLOADS:
        return is_dedicated ? FINDING_RISK : FINDING_WRONG;
    case FINDING_VLAN_OFFLOADS:
    case FINDING_HARDWARE_FORWARDING:
        return FINDING_RISK;
    default:
        return FINDING_WRONG;
    }
}

static void tell_group(struct finding *finding, const struct ethtool_features *features,
                       bool is_dedicated)
{
    char on[WORDS_SIZE] = "", fixed[WORDS_SIZE] = "", off[WORDS_SIZE] = "";
    for (size_t i = 0; i < sizeof offloads / sizeof *offloads; i++) {
        if (offloads[i].check != finding->check)
            continue;
        struct offload_state state = state_of(features, offloads[i].pattern);
        if (!state.is_on)
            continue;
        append(state.is_switchable ? on : fixed, offloads[i].word, "");
        if (state.is_switchable)
            append(off, offloads[i].word, " off");
    }
    if (on[0] == '\0' && fixed[0] == '\0') {
        finding_tell(finding, FINDING_OK, "off");
        return;
    }
    finding_tell(finding, verdict_of(finding->check, is_dedicated), "%s%s%s%s%s",
                 on[0] != '\0' ? "on:" : "", on, on[0] != '\0' && fixed[0] != '\0' ? "; " : "",
                 fixed[0] != '\0' ? "fixed on:" : "", fixed);
    if (off[0] != '\0')
        finding_mend(finding, "ethtool -K %s%s", finding->subject, off);
}

static void check_features(struct doctor *doctor, const struct link *link, bool is_dedicated)
{
    static const enum finding_check groups[] = {FINDING_RECEIVE_OFFLOADS, FINDING_SEND_OFFLOADS,
                                                FINDING_VLAN_OFFLOADS, FINDING_FRAME_CHECK,
                                                FINDING_HARDWARE_FORWARDING};
    struct ethtool_features *features = NULL;
    int result = ethtool_features_create(doctor->descriptor, link->name, &features);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct finding *finding = finding_add(&doctor->findings, groups[i], link->name);
        if (result == 0)
            tell_group(finding, features, is_dedicated);
        else
            finding_tell(finding, FINDING_UNKNOWN, "%s", strerror(-result));
    }
    ethtool_features_destroy(features);
}

static void check_ring(struct doctor *doctor, const struct link *link)
{
    uint32_t n_set = 0, n_max = 0;
    struct finding *finding = finding_add(&doctor->findings, FINDING_NIC_RING, link->name);
    int result = ethtool_receive_ring(doctor->descriptor, link->name, &n_set, &n_max);
    if (result == -EOPNOTSUPP) {
        finding_tell(finding, FINDING_OK, "the driver has none to set");
        return;
    }
    if (result != 0) {
        finding_tell(finding, FINDING_UNKNOWN, "%s", strerror(-result));
        return;
    }
    finding_tell(finding, n_set < n_max ? FINDING_RISK : FINDING_OK, "%u of %u places", n_set,
                 n_max);
    if (n_set < n_max)
        finding_mend(finding, "ethtool -G %s rx %u", link->name, n_max);
}

static void check_link(struct doctor *doctor, const struct link *link, bool is_dedicated, int depth)
{
    check_features(doctor, link, is_dedicated);
    check_ring(doctor, link);
    for (size_t i = 0; depth < DEPTH_MAX && i < doctor->links.n; i++)
        if (link_is_carried(link, &doctor->links.items[i]))
            check_link(doctor, &doctor->links.items[i], is_dedicated, depth + 1);
}

void doctor_check_offloads(struct doctor *doctor, const struct link *link, bool is_dedicated)
{
    check_link(doctor, link, is_dedicated, 0);
}
