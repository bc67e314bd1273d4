#include "cli/doctor/link.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE = 65536 };

/* Of kinds whose packets are another interface's; the link of a veth is its other end. */
static bool has_parent(const char *kind)
{
    static const char *const kinds[] = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static const char *kind_of(const struct rtattr *info)
{
    size_t left = RTA_PAYLOAD(info);
    for (const struct rtattr *at = RTA_DATA(info); RTA_OK(at, left); at = RTA_NEXT(at, left))
        if (at->rta_type == IFLA_INFO_KIND)
            return RTA_DATA(at);
    return "";
}

static uint32_t number_of(const struct rtattr *attribute)
{
    uint32_t number = 0;
    if (RTA_PAYLOAD(attribute) >= sizeof number)
        memcpy(&number, RTA_DATA(attribute), sizeof number);
    return number;
}

static struct link read_link(const struct nlmsghdr *message)
{
    const struct ifinfomsg *head = NLMSG_DATA(message);
    struct link link = {.index = head->ifi_index, .flags = head->ifi_flags};
    const char *kind = "";
    int parent = 0;
    bool is_elsewhere = false; /* the parent is in another network namespace */
    size_t left = IFLA_PAYLOAD(message);
    for (const struct rtattr *at = IFLA_RTA(head); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        if (at->rta_type == IFLA_IFNAME)
            strncpy(link.name, RTA_DATA(at), sizeof link.name - 1);
        else if (at->rta_type == IFLA_MTU)
            link.mtu = number_of(at);
        else if (at->rta_type == IFLA_PROMISCUITY)
            link.promiscuity = number_of(at);
        else if (at->rta_type == IFLA_MASTER)
            link.master = (int)number_of(at);
        else if (at->rta_type == IFLA_LINK)
            parent = (int)number_of(at);
        else if (at->rta_type == IFLA_LINK_NETNSID)
            is_elsewhere = true;
        else if (at->rta_type == IFLA_LINKINFO)
            kind = kind_of(at);
    }
    link.parent = has_parent(kind) && !is_elsewhere ? parent : 0;
    return link;
}

/* 1: there is more; 0: that was all; or -errno. */
static int take_answer(struct links *links, const char *answer, size_t size)
{
    size_t left = size;
    for (const struct nlmsghdr *at = (const void *)answer; NLMSG_OK(at, left);
         at = NLMSG_NEXT(at, left)) {
        if (at->nlmsg_type == NLMSG_DONE)
            return 0;
        if (at->nlmsg_type == NLMSG_ERROR)
            return ((const struct nlmsgerr *)NLMSG_DATA(at))->error;
        if (at->nlmsg_type != RTM_NEWLINK)
            continue;
        links->items = reallocarray(links->items, links->n + 1, sizeof *links->items);
        assert(links->items != NULL);
        links->items[links->n++] = read_link(at);
    }
    return 1;
}

static int ask(int descriptor, struct links *links)
{
    struct {
        struct nlmsghdr head;
        struct ifinfomsg body;
    } request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = RTM_GETLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.ifi_family = AF_UNSPEC},
    };
    if (send(descriptor, &request, sizeof request, 0) < 0)
        return -errno;
    char *answer = malloc(ANSWER_SIZE);
    assert(answer != NULL);
    int result = 1;
    while (result > 0) {
        ssize_t size = recv(descriptor, answer, ANSWER_SIZE, 0);
        result = size < 0 ? -errno : take_answer(links, answer, (size_t)size);
    }
    free(answer);
    return result;
}

int links_read(struct links *links)
{
    *links = (struct links){0};
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0)
        return -errno;
    int result = ask(descriptor, links);
    close(descriptor);
    return result;
}

void links_deinit(struct links *links)
{
    free(links->items);
    *links = (struct links){0};
}

const struct link *links_find(const struct links *links, const char *name)
{
    for (size_t i = 0; i < links->n; i++)
        if (strcmp(links->items[i].name, name) == 0)
            return &links->items[i];
    return NULL;
}

bool link_is_carried(const struct link *upper, const struct link *lower)
{
    return upper->parent == lower->index || lower->master == upper->index;
}

bool link_has_address(const struct link *link)
{
    struct ifaddrs *all;
    bool has_address = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || strcmp(at->ifa_name, link->name) != 0)
            continue;
        if (at->ifa_addr->sa_family == AF_INET)
            has_address = true;
        if (at->ifa_addr->sa_family == AF_INET6 &&
            !IN6_IS_ADDR_LINKLOCAL(
                &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr))
            has_address = true;
    }
    freeifaddrs(all);
    return has_address;
}
