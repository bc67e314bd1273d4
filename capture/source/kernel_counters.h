/* kernel_counters: what the kernel counted for a packet socket, since it was made.
 *
 *     kernel_counters_read(descriptor, &counters);       about once a second
 *
 * The kernel counts in 32 bits and begins anew at each reading: 2^32 packets between two readings
 * would be needed to lose count. So nobody else may read them (libpcap does in pcap_stats()).
 * Source: packet(7), PACKET_STATISTICS. */
#ifndef WANMETER_CAPTURE_KERNEL_COUNTERS_H
#define WANMETER_CAPTURE_KERNEL_COUNTERS_H

#include <stdint.h>

struct kernel_counters {
    uint64_t received; /* with the dropped ones */
    uint64_t dropped;  /* there was no room in the ring */
};

/* 0 or -errno: what was counted so far stands. */
int kernel_counters_read(int descriptor, struct kernel_counters *counters);

/* Adds one reading. */
void kernel_counters_add(struct kernel_counters *counters, uint32_t received, uint32_t dropped);

#endif
