/* interface_counters: what an interface counted of what it received, whoever listened.
 *
 *     interface_counters_open("eth1", &reader);
 *     interface_counters_read(&reader, &counters);
 *     interface_counters_close(&reader);
 *
 * By rtnetlink, through a socket that is opened once: later the process may no more be allowed to
 * open anything. They are the interface's: the same numbers for all who listen. Not thread-safe.
 * Source: Linux, Documentation/networking/statistics.rst. */
#ifndef WANMETER_CAPTURE_INTERFACE_COUNTERS_H
#define WANMETER_CAPTURE_INTERFACE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

struct interface_counters {
    uint64_t packets; /* received, and given to those who listen */
    uint64_t bytes;   /* of these */
    uint64_t missed;  /* the hardware had no room: in neither of the above */
    uint64_t fifo;    /* the hardware's queues ran over: some drivers count these as missed, too */
    uint64_t dropped; /* the kernel did not process them: some before, some after who listens */
};

struct interface_counters_reader {
    int descriptor; /* -1: not open */
    uint32_t index; /* of the interface */
};

/* 0 or -errno: there is no such interface ("any" is none), or no netlink. */
int interface_counters_open(const char *interface, struct interface_counters_reader *reader);
void interface_counters_close(struct interface_counters_reader *reader); /* a zeroed one as well */

/* 0 or -errno, and then '*counters' is as it was. */
int interface_counters_read(struct interface_counters_reader *reader,
                            struct interface_counters *counters);

#endif
