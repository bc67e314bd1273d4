/* live_socket: a packet socket on an interface, through libpcap: opened, shared with other workers,
 * let in and shut.
 *
 *     live_socket_open(&socket, &options, error);     shut: nothing comes in yet
 *     live_socket_join(&socket, group, error);        with other workers on the interface
 *     live_socket_admit(&socket);                     from now on packets come
 *     live_socket_shut(&socket);                      no more; what is in the ring can be read
 *     live_socket_close(&socket);
 *
 * Within the capture source only. */
#ifndef WANMETER_CAPTURE_LIVE_SOCKET_H
#define WANMETER_CAPTURE_LIVE_SOCKET_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/source.h"
#include "capture/source/kernel_counters.h"

enum { LIVE_BLOCK_TIMEOUT_MS = 10 }; /* the kernel gives a block that is not full after this long */

struct live_socket {
    pcap_t *pcap;
    char *interface;
    uint32_t snap_bytes;
    int32_t link_type;
    bool has_nanoseconds;
    bool counts_twice; /* the kernel counts packets that libpcap then leaves out */
    uint64_t taken;    /* frames that came out of the ring, and were let in */
    struct kernel_counters counters;
};

/* Non-blocking, promiscuous, ring and snap length from 'config', nanoseconds. 0 or -errno with
 * 'error' set. */
int live_socket_open(struct live_socket *socket, const struct config *config,
                     const struct config_source *source, char error[SOURCE_ERROR_MAX]);
void live_socket_close(struct live_socket *socket); /* a zeroed one as well */

/* Shares the interface's packets with all who join the same group: by address and port, both
 * directions of a connection and all fragments of a datagram to one. */
int live_socket_join(struct live_socket *socket, uint16_t group, char error[SOURCE_ERROR_MAX]);

/* 0 or -errno. */
int live_socket_admit(struct live_socket *socket);
int live_socket_shut(struct live_socket *socket);

#endif
