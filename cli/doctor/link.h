/* link: the network interfaces of this machine, as the kernel lists them.
 *
 *     links_read(&links);
 *     const struct link *link = links_find(&links, "eth1");
 *     links_deinit(&links);
 *
 * A picture of one moment; nothing is changed. Source: rtnetlink(7), RTM_GETLINK. */
#ifndef WANMETER_CLI_DOCTOR_LINK_H
#define WANMETER_CLI_DOCTOR_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
    int index;
    int parent; /* the interface that carries it (of a VLAN, a macvlan); 0: none */
    int master; /* the bridge or bond that it is a port of; 0: none */
    unsigned flags;
    uint32_t mtu;
    uint32_t promiscuity; /* how many asked for it */
    char name[IF_NAMESIZE];
};

struct links {
    struct link *items;
    size_t n;
};

/* 0 or -errno. */
int links_read(struct links *links);
void links_deinit(struct links *links);

const struct link *links_find(const struct links *links, const char *name); /* or NULL */

/* Do 'upper's packets come through 'lower', in one step? */
bool link_is_carried(const struct link *upper, const struct link *lower);

/* Has it an address by which others can reach this machine? (Not IPv6's link-local.) */
bool link_has_address(const struct link *link);

#endif
