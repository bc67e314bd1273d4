#include "capture/source/live_socket.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "proto/packet.h"

enum {
    HEADERS_MAX = 256, /* of a packet whose payload is wanted */
    DISCARD_MS = 500,
};

/* ---- the door ---- */

/* The kernel copies as much of a packet as its filter returns. Set behind libpcap's back: its own
 * pcap_setfilter() would apply a filter that rejects to what is already in the ring, too. */
static int set_kernel_filter(struct live_socket *socket, uint32_t snap_bytes)
{
    struct sock_filter code = {.code = BPF_RET | BPF_K, .k = snap_bytes};
    struct sock_fprog filter = {.len = 1, .filter = &code};
    int descriptor = pcap_fileno(socket->pcap);
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno
                                                                                            : 0;
}

int live_socket_admit(struct live_socket *socket)
{
    return set_kernel_filter(socket, socket->snap_bytes);
}

int live_socket_shut(struct live_socket *socket)
{
    return set_kernel_filter(socket, 0);
}

/* ---- opening ---- */

static bool is_counted_twice(const struct live_socket *socket)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", socket->interface);
    if (strcmp(socket->interface, "any") == 0)
        return true;
    return ioctl(pcap_fileno(socket->pcap), SIOCGIFFLAGS, &request) < 0 ||
           (request.ifr_flags & IFF_LOOPBACK);
}

static int error_of_status(int status)
{
    switch (status) {
    case PCAP_ERROR_NO_SUCH_DEVICE:
        return -ENODEV;
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        return -EPERM;
    case PCAP_ERROR_IFACE_NOT_UP:
        return -ENETDOWN;
    default:
        return -EIO;
    }
}

static int refuse(const struct live_socket *socket, const char *what, int status,
                  char error[SOURCE_ERROR_MAX])
{
    const char *status_text = pcap_statustostr(status);
    const char *detail = pcap_geterr(socket->pcap);
    bool has_detail = detail[0] && strcmp(detail, status_text) != 0;
    snprintf(error, SOURCE_ERROR_MAX, "%s: %s: %s%s%s%s", socket->interface, what, status_text,
             has_detail ? " (" : "", has_detail ? detail : "", has_detail ? ")" : "");
    return error_of_status(status);
}

static int refuse_errno(const struct live_socket *socket, const char *what, int result,
                        char error[SOURCE_ERROR_MAX])
{
    snprintf(error, SOURCE_ERROR_MAX, "%s: %s: %s", socket->interface, what, strerror(-result));
    return result;
}

/* Helpers read payload: at least as much of it as goes to a tracker. */
static uint32_t snap_bytes_of(const struct config *config)
{
    int64_t least = config_has_helpers(config) ? HEADERS_MAX + PACKET_PAYLOAD_MAX : 0;
    return (uint32_t)(config->capture.snap_bytes > least ? config->capture.snap_bytes : least);
}

static int activate(struct live_socket *socket, const struct config *config,
                    char error[SOURCE_ERROR_MAX])
{
    int64_t ring_bytes = config->capture.ring_bytes;
    pcap_set_snaplen(socket->pcap, (int)socket->snap_bytes);
    pcap_set_promisc(socket->pcap, 1);
    pcap_set_timeout(socket->pcap, LIVE_BLOCK_TIMEOUT_MS);
    pcap_set_immediate_mode(socket->pcap,
                            0); /* else libpcap takes TPACKET_V2: one wake-up a packet */
    pcap_set_buffer_size(socket->pcap, ring_bytes < INT_MAX ? (int)ring_bytes : INT_MAX);
    /* Where it is not offered, microseconds stay. */
    (void)pcap_set_tstamp_precision(socket->pcap, PCAP_TSTAMP_PRECISION_NANO);

    int status = pcap_activate(socket->pcap);
    if (status < 0)
        return refuse(socket, "cannot be opened", status, error);
    if (status > 0)
        log_warning("%s: %s (%s)", socket->interface, pcap_statustostr(status),
                    pcap_geterr(socket->pcap));
    if (pcap_setnonblock(socket->pcap, 1, error) < 0 || pcap_get_selectable_fd(socket->pcap) < 0)
        return refuse(socket, "cannot be polled", PCAP_ERROR, error);
    socket->has_nanoseconds = pcap_get_tstamp_precision(socket->pcap) == PCAP_TSTAMP_PRECISION_NANO;
    int link_type = pcap_datalink(socket->pcap);
    socket->link_type = link_type == DLT_RAW ? LINK_RAW : link_type;
    socket->counts_twice = is_counted_twice(socket);
    return 0;
}

/* libpcap hands out what its own filter takes, too: an empty one, which takes all. */
static int set_empty_filter(struct live_socket *socket, char error[SOURCE_ERROR_MAX])
{
    struct bpf_program program;
    int status = pcap_compile(socket->pcap, &program, "", 1, PCAP_NETMASK_UNKNOWN);
    if (status == 0) {
        status = pcap_setfilter(socket->pcap, &program);
        pcap_freecode(&program);
    }
    return status < 0 ? refuse(socket, "the snap length's filter", status, error) : 0;
}

/* The other end's packets only: what this machine sends by a mirror port was in no cable of ours.
 */
static int ignore_outgoing(struct live_socket *socket, char error[SOURCE_ERROR_MAX])
{
    int is_on = 1;
    if (setsockopt(pcap_fileno(socket->pcap), SOL_PACKET, PACKET_IGNORE_OUTGOING, &is_on,
                   sizeof is_on) == 0)
        return 0;
    return refuse_errno(socket, "leaving out what this machine sends (dedicated)", -errno, error);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Takes out of the ring, unseen, what came before the door was shut. */
static void discard_ring(struct live_socket *socket)
{
    int64_t until_ms = now_ms() + DISCARD_MS;
    struct pollfd wait = {.fd = pcap_get_selectable_fd(socket->pcap), .events = POLLIN};
    uint64_t discarded = 0;
    do {
        struct pcap_pkthdr *header;
        const u_char *bytes;
        while (pcap_next_ex(socket->pcap, &header, &bytes) == 1)
            discarded++;
        (void)kernel_counters_read(pcap_fileno(socket->pcap), &socket->counters);
        if (discarded >= socket->counters.received - socket->counters.dropped)
            break;
        poll(&wait, 1, LIVE_BLOCK_TIMEOUT_MS);
    } while (now_ms() < until_ms);
    socket->counters = (struct kernel_counters){0};
}

int live_socket_open(struct live_socket *socket, const struct config *config,
                     const struct config_source *source, char error[SOURCE_ERROR_MAX])
{
    char text[PCAP_ERRBUF_SIZE] = "";
    *socket = (struct live_socket){.snap_bytes = snap_bytes_of(config)};
    socket->interface = strdup(source->interface);
    if (!socket->interface) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", source->interface, strerror(ENOMEM));
        return -ENOMEM;
    }
    socket->pcap = pcap_create(socket->interface, text);
    if (!socket->pcap) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", socket->interface, text);
        return -ENODEV;
    }
    int result = activate(socket, config, error);
    if (result == 0)
        result = set_empty_filter(socket, error);
    if (result == 0 && source->is_dedicated)
        result = ignore_outgoing(socket, error);
    if (result == 0 && live_socket_shut(socket) < 0)
        result = refuse_errno(socket, "shutting the filter", -errno, error);
    if (result == 0)
        discard_ring(socket);
    return result;
}

void live_socket_close(struct live_socket *socket)
{
    if (socket->pcap)
        pcap_close(socket->pcap);
    free(socket->interface);
    *socket = (struct live_socket){0};
}

/* The kernel's symmetric flow hash is the same for both directions, and leaves ports out of all
 * fragments, the first one too: so all fragments of a datagram come to one worker. (Defragmenting
 * in the kernel instead, as PACKET_FANOUT can, would show datagrams that were not on the wire.)
 * Until a socket has joined it sees every packet, as the others do: its door is shut. */
int live_socket_join(struct live_socket *socket, uint16_t group, char error[SOURCE_ERROR_MAX])
{
    int argument = group | PACKET_FANOUT_HASH << 16;
    if (setsockopt(pcap_fileno(socket->pcap), SOL_PACKET, PACKET_FANOUT, &argument,
                   sizeof argument) == 0)
        return 0;
    return refuse_errno(socket, "sharing packets among workers", -errno, error);
}
