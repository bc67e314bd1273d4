/* An interface that is captured: is it there, whole, and silent? */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"

enum {
    MTU_USUAL = 1500,
    TAG_SIZE = 4,   /* 802.1Q's second, an MPLS label: what an MTU does not leave room for */
    PPPOE_SIZE = 8, /* with PPP's protocol */
    LINE_SIZE = 256,
    PATH_SIZE = 128,
    LOWER_UP = 0x10000, /* IFF_LOWER_UP of linux/if.h: there is a carrier */
};

int doctor_open(struct doctor *doctor, const struct config *config)
{
    *doctor = (struct doctor){.config = config, .descriptor = -1};
    int result = links_read(&doctor->links);
    if (result == 0) {
        doctor->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        result = doctor->descriptor < 0 ? -errno : 0;
    }
    if (result != 0)
        doctor_close(doctor);
    return result;
}

void doctor_close(struct doctor *doctor)
{
    if (doctor->descriptor >= 0)
        close(doctor->descriptor);
    links_deinit(&doctor->links);
    findings_deinit(&doctor->findings);
}

static void check_link(struct doctor *doctor, const struct link *link)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_LINK, link->name);
    if ((link->flags & IFF_UP) == 0) {
        finding_tell(finding, FINDING_WRONG, "down");
        finding_mend(finding, "ip link set dev %s up", link->name);
    } else if ((link->flags & LOWER_UP) == 0) {
        finding_tell(finding, FINDING_WRONG, "up, without carrier");
    } else {
        finding_tell(finding, FINDING_OK, "up");
    }
}

/* What stands between Ethernet's header with one tag and a packet of the WAN's, where it comes by
 * this interface; -1: it does not. */
static int32_t room_between(const struct config_wan *wan, const char *interface)
{
    int32_t most = -1;
    for (size_t i = 0; i < wan->n_matches; i++) {
        const struct config_wan_match *match = &wan->matches[i];
        if (match->interface != NULL && strcmp(match->interface, interface) != 0)
            continue;
        int32_t between = (match->inner_vlan >= 0 ? TAG_SIZE : 0) +
                          (match->mpls_label >= 0 ? TAG_SIZE : 0) +
                          (match->pppoe_session >= 0 ? PPPOE_SIZE : 0);
        most = between > most ? between : most;
    }
    return most;
}

/* The MTU that the WANs' own ask for; 0: none of them says. */
static uint32_t mtu_needed(const struct config *config, const char *interface)
{
    int32_t needed = 0;
    for (size_t i = 0; i < config->n_wans; i++) {
        int32_t between = room_between(&config->wans[i], interface);
        int32_t length = config->wans[i].mtu + between;
        if (between >= 0 && config->wans[i].mtu > 0 && length > needed)
            needed = length;
    }
    return (uint32_t)needed;
}

/* Without a WAN's word, an interface of this machine's own is as its link is; a mirror port should
 * take what is usual. */
static void check_mtu(struct doctor *doctor, const struct link *link, bool is_dedicated)
{
    uint32_t said = mtu_needed(doctor->config, link->name);
    uint32_t needed = said > 0 || !is_dedicated ? said : MTU_USUAL;
    struct finding *finding = finding_add(&doctor->findings, FINDING_MTU, link->name);
    if (link->mtu >= needed) {
        finding_tell(finding, FINDING_OK, "%u", link->mtu);
        return;
    }
    finding_tell(finding, said > 0 ? FINDING_WRONG : FINDING_RISK, "%u, at least %u %s", link->mtu,
                 needed, said > 0 ? "are needed" : "are usual");
    finding_mend(finding, "ip link set dev %s mtu %u", link->name, needed);
}

/* Does somebody capture all that comes by this interface? */
static bool is_captured(int index)
{
    FILE *sockets = fopen("/proc/net/packet", "re");
    char line[LINE_SIZE];
    bool is_found = false;
    while (sockets != NULL && fgets(line, sizeof line, sockets) != NULL) {
        unsigned protocol;
        int interface;
        is_found = is_found || (sscanf(line, "%*s %*s %*s %x %d", &protocol, &interface) == 2 &&
                                protocol == ETH_P_ALL && interface == index);
    }
    if (sockets != NULL)
        fclose(sockets);
    return is_found;
}

static void check_promiscuous(struct doctor *doctor, const struct link *link)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_PROMISCUOUS, link->name);
    if (link->promiscuity > 0) {
        finding_tell(finding, FINDING_OK, "on");
    } else if (is_captured(link->index)) {
        finding_tell(finding, FINDING_WRONG, "off, while something captures");
        finding_mend(finding, "ip link set dev %s promisc on", link->name);
    } else {
        finding_tell(finding, FINDING_OK, "off, until a capture sets it");
    }
}

/* sysctl(8) takes a dot in a name for a separator unless it is written as a slash. */
static void mend_ipv6(struct finding *finding, const char *interface)
{
    char name[IF_NAMESIZE];
    size_t i = 0;
    for (; interface[i] != '\0' && i + 1 < sizeof name; i++)
        name[i] = interface[i] == '.' ? '/' : interface[i];
    name[i] = '\0';
    finding_mend(finding, "sysctl -w net.ipv6.conf.%s.disable_ipv6=1", name);
}

static void check_ipv6(struct doctor *doctor, const struct link *link, bool is_dedicated)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_IPV6, link->name);
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", link->name);
    FILE *setting = fopen(path, "re");
    if (setting == NULL && errno != ENOENT) {
        finding_tell(finding, FINDING_UNKNOWN, "%s: %s", path, strerror(errno));
        return;
    }
    bool is_on = setting != NULL && fgetc(setting) == '0';
    if (setting != NULL)
        fclose(setting);
    if (!is_on) {
        finding_tell(finding, FINDING_OK, "off");
    } else if (!is_dedicated) {
        finding_tell(finding, FINDING_OK, "on, and this machine uses the interface itself");
    } else {
        finding_tell(finding, FINDING_WRONG, "on");
        mend_ipv6(finding, link->name);
    }
}

/* The source that names it; NULL: none does. */
static const struct config_source *source_of(const struct config *config, const char *interface)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].interface, interface) == 0)
            return &config->sources[i];
    return NULL;
}

/* 'is_silent': this machine sends nothing over it. */
static void check_dedicated(struct doctor *doctor, const struct link *link, bool is_silent)
{
    const struct config_source *source = source_of(doctor->config, link->name);
    struct finding *finding = finding_add(&doctor->findings, FINDING_DEDICATED, link->name);
    if (source == NULL || !source->is_dedicated) {
        finding_tell(finding, FINDING_OK,
                     is_silent ? "no: the bytes of dropped packets will not be known" : "no");
        return;
    }
    finding_tell(finding, is_silent ? FINDING_OK : FINDING_WRONG,
                 is_silent ? "yes" : "yes, but this machine uses the interface itself");
    if (!is_silent)
        finding_mend(finding, "sources: dedicated: no");
}

void doctor_check_interface(struct doctor *doctor, const char *interface)
{
    const struct link *link = links_find(&doctor->links, interface);
    if (link == NULL) {
        struct finding *finding = finding_add(&doctor->findings, FINDING_LINK, interface);
        finding_tell(finding, FINDING_WRONG, "no such interface");
        return;
    }
    bool is_dedicated =
        link->master == 0 && (link->flags & IFF_LOOPBACK) == 0 && !link_has_address(link);
    check_link(doctor, link);
    check_mtu(doctor, link, is_dedicated);
    check_promiscuous(doctor, link);
    check_dedicated(doctor, link, is_dedicated);
    check_ipv6(doctor, link, is_dedicated);
    doctor_check_offloads(doctor, link, is_dedicated);
}
