#include "capture/source/interface_counters.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE = 4096 };

struct request {
    struct nlmsghdr head;
    struct if_stats_msg body;
};

int interface_counters_open(const char *interface, struct interface_counters_reader *reader)
{
    *reader = (struct interface_counters_reader){.descriptor = -1};
    reader->index = if_nametoindex(interface);
    if (!reader->index)
        return -errno;
    reader->descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return reader->descriptor < 0 ? -errno : 0;
}

void interface_counters_close(struct interface_counters_reader *reader)
{
    if (reader->index && reader->descriptor >= 0)
        close(reader->descriptor);
    *reader = (struct interface_counters_reader){.descriptor = -1};
}

static void take(const struct rtnl_link_stats64 *stats, struct interface_counters *counters)
{
    counters->packets = stats->rx_packets;
    counters->bytes = stats->rx_bytes;
    counters->missed = stats->rx_missed_errors;
    counters->fifo = stats->rx_fifo_errors;
    counters->dropped = stats->rx_dropped;
}

static int read_answer(const struct nlmsghdr *answer, struct interface_counters *counters)
{
    if (answer->nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
    if (answer->nlmsg_type != RTM_NEWSTATS)
        return -EBADMSG;
    const struct if_stats_msg *head = NLMSG_DATA(answer);
    const struct rtattr *at =
        (const void *)((const char *)head + NLMSG_ALIGN(sizeof *head)); /* after the head */
    size_t left = answer->nlmsg_len - NLMSG_SPACE(sizeof *head);
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        struct rtnl_link_stats64 stats = {0};
        size_t size = RTA_PAYLOAD(at) < sizeof stats ? RTA_PAYLOAD(at) : sizeof stats;
        if (at->rta_type != IFLA_STATS_LINK_64)
            continue;
        memcpy(&stats, RTA_DATA(at), size);
        take(&stats, counters);
        return 0;
    }
    return -EBADMSG;
}

int interface_counters_read(struct interface_counters_reader *reader,
                            struct interface_counters *counters)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
    struct request request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = RTM_GETSTATS,
                 .nlmsg_flags = NLM_F_REQUEST},
        .body = {.ifindex = reader->index,
                 .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)},
    };
    if (reader->descriptor < 0)
        return -ENODEV;
    if (send(reader->descriptor, &request, sizeof request, 0) < 0)
        return -errno;
    ssize_t size = recv(reader->descriptor, answer, sizeof answer, 0);
    if (size < 0)
        return -errno;
    const struct nlmsghdr *message = (const void *)answer;
    return NLMSG_OK(message, (size_t)size) ? read_answer(message, counters) : -EBADMSG;
}
