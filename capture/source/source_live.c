#include "capture/source/source_live.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
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
    HEADERS_MAX = 256,        /* of a packet whose payload is wanted */
    BLOCK_TIMEOUT_MS = 10,    /* the kernel gives a block that is not full after this long */
    STATS_INTERVAL_MS = 1000, /* drops are told at most so often */
    STATS_FRAMES = 1024,      /* and the clock is looked at so often */
    SETTLE_MS = 50,           /* for packets that passed the filter before it was replaced */
    STOP_MS = 1000,           /* then what the kernel counted but did not give is lost */
    DISCARD_MS = 500,
};

/* The kernel's counters since the socket was made; 'received' includes 'dropped'. */
struct kernel_counters {
    uint64_t received;
    uint64_t dropped;
    uint32_t last_received; /* as pcap_stats() gave them: 32 bits that wrap */
    uint32_t last_dropped;
};

struct source_live {
    pcap_t *pcap;
    char *interface;
    int32_t link_type;
    bool has_nanoseconds;
    bool counts_twice; /* the kernel counts packets that libpcap then leaves out */
    bool is_stopped;
    bool has_failed;
    unsigned frames_until_stats;
    int64_t stats_at_ms;
    int64_t stopped_at_ms;
    int64_t told_clock_ns; /* up to here drops are told */
    int64_t clock_ns;
    uint64_t taken; /* frames that came out of the ring */
    uint64_t told_dropped;
    struct kernel_counters counters;
    struct source_total total;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- counters and losses ---- */

static void read_counters(struct source_live *live)
{
    struct pcap_stat stats;
    if (pcap_stats(live->pcap, &stats) < 0)
        return; /* the socket is gone: what was counted so far stands */
    struct kernel_counters *counters = &live->counters;
    counters->received += (uint32_t)(stats.ps_recv - counters->last_received);
    counters->dropped += (uint32_t)(stats.ps_drop - counters->last_dropped);
    counters->last_received = stats.ps_recv;
    counters->last_dropped = stats.ps_drop;
}

static void set_loss(const struct source_live *live, struct loss *loss, const char *reason,
                     int64_t packets)
{
    *loss = (struct loss){
        .first_ns = live->told_clock_ns,
        .last_ns = live->clock_ns,
        .packets = packets,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = LOSS_KERNEL,
        .certainty = live->counts_twice ? LOSS_UPPER_BOUND : LOSS_EXACT,
    };
    snprintf(loss->reason, sizeof loss->reason, "%s", reason);
}

/* True: drops that were not told yet are in '*loss'. */
static bool has_drops(struct source_live *live, struct loss *loss)
{
    read_counters(live);
    live->stats_at_ms = now_ms();
    uint64_t dropped = live->counters.dropped - live->told_dropped;
    if (!dropped)
        return false;
    set_loss(live, loss, "ring_full", (int64_t)dropped);
    snprintf(loss->evidence, sizeof loss->evidence,
             "%s: the kernel dropped %llu packets (%llu of %llu in all): the ring was full",
             live->interface, (unsigned long long)dropped,
             (unsigned long long)live->counters.dropped,
             (unsigned long long)live->counters.received);
    live->told_dropped = live->counters.dropped;
    live->told_clock_ns = live->clock_ns;
    return true;
}

static bool is_stats_time(struct source_live *live)
{
    live->frames_until_stats = STATS_FRAMES;
    return now_ms() - live->stats_at_ms >= STATS_INTERVAL_MS;
}

/* ---- filters ---- */

/* The kernel copies as much of a packet as its filter returns. Set behind libpcap's back: its own
 * pcap_setfilter() would apply a filter that rejects to what is already in the ring, too. */
static int set_kernel_filter(struct source_live *live, uint32_t snap_bytes)
{
    struct sock_filter code = {.code = BPF_RET | BPF_K, .k = snap_bytes};
    struct sock_fprog filter = {.len = 1, .filter = &code};
    int descriptor = pcap_fileno(live->pcap);
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno
                                                                                            : 0;
}

/* ---- opening ---- */

static bool is_counted_twice(const struct source_live *live)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", live->interface);
    if (strcmp(live->interface, "any") == 0)
        return true;
    return ioctl(pcap_fileno(live->pcap), SIOCGIFFLAGS, &request) < 0 ||
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

static int refuse(const struct source_live *live, const char *what, int status,
                  char error[SOURCE_ERROR_MAX])
{
    const char *status_text = pcap_statustostr(status);
    const char *detail = pcap_geterr(live->pcap);
    bool has_detail = detail[0] && strcmp(detail, status_text) != 0;
    snprintf(error, SOURCE_ERROR_MAX, "%s: %s: %s%s%s%s", live->interface, what, status_text,
             has_detail ? " (" : "", has_detail ? detail : "", has_detail ? ")" : "");
    return error_of_status(status);
}

/* Helpers read payload: at least as much of it as goes to a tracker. */
static int snap_bytes_of(const struct config *config)
{
    int64_t least = config_has_helpers(config) ? HEADERS_MAX + PACKET_PAYLOAD_MAX : 0;
    return (int)(config->capture.snap_bytes > least ? config->capture.snap_bytes : least);
}

static int activate(struct source_live *live, const struct config *config,
                    char error[SOURCE_ERROR_MAX])
{
    int64_t ring_bytes = config->capture.ring_bytes;
    pcap_set_snaplen(live->pcap, snap_bytes_of(config));
    pcap_set_promisc(live->pcap, 1);
    pcap_set_timeout(live->pcap, BLOCK_TIMEOUT_MS);
    pcap_set_immediate_mode(live->pcap,
                            0); /* else libpcap takes TPACKET_V2: one wake-up a packet */
    pcap_set_buffer_size(live->pcap, ring_bytes < INT_MAX ? (int)ring_bytes : INT_MAX);
    /* Where it is not offered, microseconds stay. */
    (void)pcap_set_tstamp_precision(live->pcap, PCAP_TSTAMP_PRECISION_NANO);

    int status = pcap_activate(live->pcap);
    if (status < 0)
        return refuse(live, "cannot be opened", status, error);
    if (status > 0)
        log_warning("%s: %s (%s)", live->interface, pcap_statustostr(status),
                    pcap_geterr(live->pcap));
    if (pcap_setnonblock(live->pcap, 1, error) < 0 || pcap_get_selectable_fd(live->pcap) < 0)
        return refuse(live, "cannot be polled", PCAP_ERROR, error);
    live->has_nanoseconds = pcap_get_tstamp_precision(live->pcap) == PCAP_TSTAMP_PRECISION_NANO;
    int link_type = pcap_datalink(live->pcap);
    live->link_type = link_type == DLT_RAW ? LINK_RAW : link_type;
    live->counts_twice = is_counted_twice(live);
    return 0;
}

/* An empty filter returns the snap length: without one the kernel copies packets whole. */
static int set_snap_filter(struct source_live *live, char error[SOURCE_ERROR_MAX])
{
    struct bpf_program program;
    int status = pcap_compile(live->pcap, &program, "", 1, PCAP_NETMASK_UNKNOWN);
    if (status == 0) {
        status = pcap_setfilter(live->pcap, &program);
        pcap_freecode(&program);
    }
    return status < 0 ? refuse(live, "the snap length's filter", status, error) : 0;
}

/* Takes out of the ring, unseen, what came before this worker joined the others: they have it too.
 */
static void discard_ring(struct source_live *live)
{
    int64_t until_ms = now_ms() + DISCARD_MS;
    struct pollfd wait = {.fd = pcap_get_selectable_fd(live->pcap), .events = POLLIN};
    do {
        struct pcap_pkthdr *header;
        const u_char *bytes;
        while (pcap_next_ex(live->pcap, &header, &bytes) == 1)
            live->taken++;
        read_counters(live);
        if (live->taken >= live->counters.received - live->counters.dropped)
            break;
        poll(&wait, 1, BLOCK_TIMEOUT_MS);
    } while (now_ms() < until_ms);
    live->told_dropped = live->counters.dropped;
}

/* The group's number, the same in all workers of an interface: FNV-1a over what they share. */
static uint16_t fanout_group(const struct config *config, const char *interface)
{
    uint32_t hash = 2166136261;
    const char *parts[] = {config->run_directory ? config->run_directory : "", interface};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *at = parts[i]; *at; at++)
            hash = (hash ^ (uint8_t)*at) * 16777619;
    return (uint16_t)(hash ^ hash >> 16);
}

/* Shares the interface's packets with the other workers. The kernel's symmetric flow hash is the
 * same for both directions, and leaves ports out of all fragments, the first one too: so all
 * fragments of a datagram come to one worker. (Defragmenting in the kernel instead, as
 * PACKET_FANOUT can, would show datagrams that were not on the wire.) Until the socket has joined
 * it sees every packet, as the others do: those are kept out. */
static int join_workers(struct source_live *live, const struct config *config,
                        char error[SOURCE_ERROR_MAX])
{
    int result = set_kernel_filter(live, 0);
    if (result == 0) {
        discard_ring(live);
        int group = fanout_group(config, live->interface) | PACKET_FANOUT_HASH << 16;
        if (setsockopt(pcap_fileno(live->pcap), SOL_PACKET, PACKET_FANOUT, &group, sizeof group) <
            0)
            result = -errno;
    }
    if (result < 0)
        snprintf(error, SOURCE_ERROR_MAX, "%s: sharing packets among workers: %s", live->interface,
                 strerror(-result));
    return result;
}

static int open_live(struct source_live *live, const struct config *config,
                     const struct config_source *interface, char error[SOURCE_ERROR_MAX])
{
    char text[PCAP_ERRBUF_SIZE] = "";
    live->pcap = pcap_create(live->interface, text);
    if (!live->pcap) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", live->interface, text);
        return -ENODEV;
    }
    int result = activate(live, config, error);
    if (result == 0 && interface->workers > 1)
        result = join_workers(live, config, error);
    if (result == 0)
        result = set_snap_filter(live, error);
    return result;
}

int source_live_create(const struct config *config, const struct config_source *interface,
                       uint32_t index, struct source_live **out, char error[SOURCE_ERROR_MAX])
{
    struct source_live *live = calloc(1, sizeof *live);
    if (live)
        live->interface = strdup(interface->interface);
    if (!live || !live->interface) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", interface->interface, strerror(ENOMEM));
        source_live_destroy(live);
        return -ENOMEM;
    }
    live->total.source_index = index;
    snprintf(live->total.name, sizeof live->total.name, "%s", live->interface);
    live->frames_until_stats = STATS_FRAMES;
    live->stats_at_ms = now_ms();
    int result = open_live(live, config, interface, error);
    if (result < 0) {
        source_live_destroy(live);
        return result;
    }
    *out = live;
    return 0;
}

void source_live_destroy(struct source_live *live)
{
    if (!live)
        return;
    if (live->pcap)
        pcap_close(live->pcap);
    free(live->interface);
    free(live);
}

/* ---- reading ---- */

static void set_frame(struct source_live *live, const struct pcap_pkthdr *header,
                      const uint8_t *bytes, struct frame *frame)
{
    int64_t fraction = header->ts.tv_usec;
    int64_t time_ns = (int64_t)header->ts.tv_sec * 1000000000 +
                      (live->has_nanoseconds ? fraction : fraction * 1000);
    time_ns = time_ns < 0 ? 0 : time_ns;
    if (time_ns > live->clock_ns)
        live->clock_ns = time_ns;
    *frame = (struct frame){
        .bytes = bytes,
        .captured_bytes = header->caplen < FRAME_BYTES_MAX ? header->caplen : FRAME_BYTES_MAX,
        .wire_bytes = header->len > header->caplen ? header->len : header->caplen,
        .time_ns = time_ns,
        .clock_ns = live->clock_ns,
        .link_type = live->link_type,
        .source_index = live->total.source_index,
        .interface = live->interface,
    };

    struct source_total *total = &live->total;
    if (!total->packets) {
        total->first_ns = time_ns;
        live->told_clock_ns = live->told_clock_ns ? live->told_clock_ns : time_ns;
    }
    total->first_ns = time_ns < total->first_ns ? time_ns : total->first_ns;
    total->last_ns = time_ns > total->last_ns ? time_ns : total->last_ns;
    total->packets++;
    total->l2_bytes += frame->wire_bytes;
}

static enum source_result fail(struct source_live *live, struct loss *loss)
{
    bool is_first = !live->has_failed;
    live->has_failed = true;
    if (is_first && has_drops(live, loss))
        return SOURCE_LOSS;
    set_loss(live, loss, "interface_gone", LOSS_AMOUNT_UNKNOWN);
    loss->stage = LOSS_SOURCE;
    loss->certainty = LOSS_UNKNOWN;
    snprintf(loss->evidence, sizeof loss->evidence, "%s: %.200s", live->interface,
             pcap_geterr(live->pcap));
    return SOURCE_FAILED;
}

/* The ring is empty after source_live_stop(): ends when all that the kernel counted has come out,
 * which a block that is not full does only after its timeout. */
static enum source_result finish(struct source_live *live, struct loss *loss)
{
    if (has_drops(live, loss))
        return SOURCE_LOSS;
    int64_t since_stop_ms = now_ms() - live->stopped_at_ms;
    uint64_t given = live->counters.received - live->counters.dropped;
    bool is_all = live->taken >= given || live->counts_twice;
    if (since_stop_ms < SETTLE_MS || (!is_all && since_stop_ms < STOP_MS))
        return SOURCE_NOTHING;
    if (!is_all) {
        uint64_t missing = given - live->taken;
        set_loss(live, loss, "ring_lost", (int64_t)missing);
        snprintf(loss->evidence, sizeof loss->evidence,
                 "%s: the kernel counted %llu packets that did not come out of the ring",
                 live->interface, (unsigned long long)missing);
        live->taken = given;
        return SOURCE_LOSS;
    }
    live->total.is_complete = true;
    return SOURCE_END;
}

enum source_result source_live_next(struct source_live *live, struct frame *frame,
                                    struct loss *loss)
{
    if (live->has_failed)
        return fail(live, loss);
    if (--live->frames_until_stats == 0 && is_stats_time(live) && has_drops(live, loss))
        return SOURCE_LOSS;

    struct pcap_pkthdr *header;
    const u_char *bytes;
    int result = pcap_next_ex(live->pcap, &header, &bytes);
    if (result == 1) {
        live->taken++;
        set_frame(live, header, bytes, frame);
        return SOURCE_FRAME;
    }
    if (result != 0)
        return fail(live, loss);
    if (live->is_stopped)
        return finish(live, loss);
    return is_stats_time(live) && has_drops(live, loss) ? SOURCE_LOSS : SOURCE_NOTHING;
}

void source_live_stop(struct source_live *live)
{
    if (live->is_stopped)
        return;
    live->is_stopped = true;
    live->stopped_at_ms = now_ms();
    int result = set_kernel_filter(live, 0);
    if (result < 0)
        log_error("%s: stopping the capture: %s", live->interface, strerror(-result));
}

int source_live_descriptor(const struct source_live *live)
{
    return pcap_get_selectable_fd(live->pcap);
}

const struct source_total *source_live_total(const struct source_live *live)
{
    return &live->total;
}
