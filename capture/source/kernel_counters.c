#include "capture/source/kernel_counters.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

void kernel_counters_add(struct kernel_counters *counters, uint32_t received, uint32_t dropped)
{
    counters->received += received;
    counters->dropped += dropped;
}

/* The ring's version decides which of the two the kernel writes; they begin alike. */
int kernel_counters_read(int descriptor, struct kernel_counters *counters)
{
    union tpacket_stats_u stats = {0};
    socklen_t size = sizeof stats;
    if (getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        return -errno;
    kernel_counters_add(counters, stats.stats1.tp_packets, stats.stats1.tp_drops);
    return 0;
}
