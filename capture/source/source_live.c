#include "capture/source/source_live.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/source/interface_watch.h"
#include "capture/source/live_socket.h"
#include "common/log.h"

enum {
    STATS_INTERVAL_MS = 1000, /* drops are told at most so often */
    STATS_FRAMES = 1024,      /* and the clock is looked at so often */
    SETTLE_MS = 50,           /* for packets that passed the filter before it was replaced */
    STOP_MS = 1000,           /* then what the kernel counted but did not give is lost */
    PEERS_MS = 2000,          /* the first worker waits so long for the others' last sums */
};

struct source_live {
    struct live_socket socket;
    struct interface_watch watch;
    bool is_dedicated;
    bool is_open; /* packets come in */
    bool is_stopped;
    bool has_failed;
    int frames_until_stats;
    int64_t stats_at_ms;
    int64_t stopped_at_ms;
    int64_t told_clock_ns; /* up to here drops are told */
    int64_t clock_ns;      /* the last packet's time */
    uint64_t told_dropped;
    uint64_t unclaimed; /* frames of types that nobody else takes */
    struct source_total total;
    uint32_t fraction_ns; /* of one unit of a timestamp's fraction */
    struct frame frame;   /* the one under way */
    source_frame_fn on_frame;
    void *state;
};

/* EtherTypes */
enum {
    TYPE_IPV4 = 0x0800,
    TYPE_ARP = 0x0806,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86dd,
    TYPE_QINQ = 0x88a8
};

/* ---- counters ---- */

static struct interface_sums sums_of(const struct source_live *live)
{
    return (struct interface_sums){
        .packets = live->total.packets,
        .bytes = live->total.l2_bytes,
        .dropped = live->socket.counters.dropped,
        .unclaimed = live->unclaimed,
    };
}

/* Where it fails the interface is gone: what was counted so far stands. */
static void read_counters(struct source_live *live)
{
    (void)kernel_counters_read(pcap_fileno(live->socket.pcap), &live->socket.counters);
    struct interface_sums sums = sums_of(live);
    interface_watch_count(&live->watch, &sums);
}

/* ---- losses of this worker's ring ---- */

static void set_loss(const struct source_live *live, struct loss *loss, const char *reason,
                     int64_t packets)
{
    bool is_back = live->clock_ns < live->told_clock_ns; /* the wall clock was set back */
    *loss = (struct loss){
        .first_ns = is_back ? live->clock_ns : live->told_clock_ns,
        .last_ns = is_back ? live->told_clock_ns : live->clock_ns,
        .packets = packets,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = LOSS_KERNEL,
        .certainty = live->socket.counts_twice ? LOSS_UPPER_BOUND : LOSS_EXACT,
    };
    snprintf(loss->reason, sizeof loss->reason, "%s", reason);
}

/* True: drops that were not told yet are in '*loss'. Those of a dedicated port are the interface's
 * to tell, with their bytes. */
static bool has_drops(struct source_live *live, struct loss *loss)
{
    const struct kernel_counters *counters = &live->socket.counters;
    read_counters(live);
    uint64_t dropped = counters->dropped - live->told_dropped;
    if (!dropped || live->is_dedicated)
        return false;
    set_loss(live, loss, "ring_full", (int64_t)dropped);
    snprintf(loss->evidence, sizeof loss->evidence,
             "%s: the kernel dropped %llu packets (%llu of %llu in all): the ring was full",
             live->socket.interface, (unsigned long long)dropped,
             (unsigned long long)counters->dropped, (unsigned long long)counters->received);
    live->told_dropped = counters->dropped;
    live->told_clock_ns = live->clock_ns;
    return true;
}

/* ---- when to look ---- */

static bool is_stats_time(struct source_live *live)
{
    live->frames_until_stats = STATS_FRAMES;
    int64_t time_ms = interface_watch_now_ms();
    if (time_ms - live->stats_at_ms < STATS_INTERVAL_MS)
        return false;
    live->stats_at_ms = time_ms;
    return true;
}

static bool has_loss(struct source_live *live, struct loss *loss)
{
    bool is_found = has_drops(live, loss) || interface_watch_next(&live->watch, loss);
    if (is_found)
        live->stats_at_ms = 0; /* there may be more */
    return is_found;
}

/* ---- opening ---- */

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

static int open_live(struct source_live *live, const struct config *config,
                     const struct source_place *place, char error[SOURCE_ERROR_MAX])
{
    const char *interface = place->source->interface;
    int result = interface_watch_open(&live->watch, config, place);
    if (result < 0) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: shared memory: %s", interface, strerror(-result));
        return result;
    }
    result = live_socket_open(&live->socket, config, place->source, error);
    if (result == 0 && place->source->workers > 1)
        result = live_socket_join(&live->socket, fanout_group(config, interface), error);
    if (result == 0)
        interface_watch_join(&live->watch);
    return result;
}

int source_live_create(const struct config *config, const struct source_place *place,
                       struct source_live **out, char error[SOURCE_ERROR_MAX])
{
    struct source_live *live = calloc(1, sizeof *live);
    if (!live) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", place->source->interface, strerror(ENOMEM));
        return -ENOMEM;
    }
    live->total.source_index = place->index;
    snprintf(live->total.name, sizeof live->total.name, "%s", place->source->interface);
    live->is_dedicated = place->source->is_dedicated;
    live->frames_until_stats = STATS_FRAMES;
    live->stats_at_ms = interface_watch_now_ms();
    int result = open_live(live, config, place, error);
    if (result < 0) {
        source_live_destroy(live);
        return result;
    }
    live->fraction_ns = live->socket.has_nanoseconds ? 1 : 1000;
    live->frame = (struct frame){.link_type = live->socket.link_type,
                                 .source_index = place->index,
                                 .interface = live->socket.interface};
    *out = live;
    return 0;
}

void source_live_destroy(struct source_live *live)
{
    if (!live)
        return;
    live_socket_close(&live->socket);
    interface_watch_close(&live->watch);
    free(live);
}

/* Lets packets in when all workers of the interface have joined: until then those who have would
 * get the share of those who have not. What the interface had counted by then is the beginning of
 * its ledger. */
static void open_door(struct source_live *live)
{
    struct interface_counters before, after;
    if (!interface_watch_has_all(&live->watch))
        return;
    bool is_known = interface_watch_read(&live->watch, &before);
    int result = live_socket_admit(&live->socket);
    if (result < 0)
        log_error("%s: opening the filter: %s", live->socket.interface, strerror(-result));
    live->has_failed = result < 0;
    live->is_open = result == 0;
    if (is_known && interface_watch_read(&live->watch, &after))
        interface_watch_begin(&live->watch, &before, &after);
}

bool source_live_is_open(const struct source_live *live)
{
    return live->is_open;
}

/* ---- reading ---- */

static inline void count(struct source_total *total, int64_t time_ns, uint32_t wire_bytes)
{
    if (!total->packets)
        total->first_ns = time_ns;
    if (time_ns > total->last_ns)
        total->last_ns = time_ns;
    else if (time_ns < total->first_ns)
        total->first_ns = time_ns;
    total->packets++;
    total->l2_bytes += wire_bytes;
}

static __attribute__((noinline)) void end_cut(struct source_live *live)
{
    read_counters(live);
    struct interface_sums sums = sums_of(live);
    interface_watch_cut(&live->watch, &sums);
}

static uint32_t read_16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* The type after the outer tag (Linux takes off one, and tags of VLAN 0 before it). */
static __attribute__((noinline)) uint32_t type_behind_tags(const struct frame *frame, uint32_t type)
{
    enum { ADDRESSES = 12, TAG = 4, VLAN_MASK = 0xfff };
    uint32_t at = ADDRESSES, vlan = 0;
    for (; type == TYPE_VLAN || type == TYPE_QINQ; at += TAG) {
        if (vlan || frame->captured_bytes < at + TAG + 2)
            break;
        vlan = read_16(frame->bytes + at + 2) & VLAN_MASK;
        type = read_16(frame->bytes + at + TAG);
    }
    return type;
}

/* The kernel gives it to us, and then counts it as dropped, because nothing else takes its type. */
static inline bool is_unclaimed(const struct frame *frame)
{
    enum { TYPE_AT = 12 };
    if (frame->link_type != DLT_EN10MB || frame->captured_bytes < TYPE_AT + 2)
        return false;
    uint32_t type = read_16(frame->bytes + TYPE_AT);
    if (type == TYPE_VLAN || type == TYPE_QINQ)
        type = type_behind_tags(frame, type);
    return type != TYPE_IPV4 && type != TYPE_IPV6 && type != TYPE_ARP;
}

static inline int64_t time_of(const struct source_live *live, const struct pcap_pkthdr *header)
{
    int64_t time_ns =
        (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec * live->fraction_ns;
    return time_ns < 0 ? 0 : time_ns;
}

/* What all frames have in common is in live->frame from the beginning. */
static inline void set_frame(struct source_live *live, const struct pcap_pkthdr *header,
                             const uint8_t *bytes)
{
    struct frame *frame = &live->frame;
    frame->bytes = bytes;
    frame->captured_bytes = header->caplen < FRAME_BYTES_MAX ? header->caplen : FRAME_BYTES_MAX;
    frame->wire_bytes = header->len > header->caplen ? header->len : header->caplen;
    frame->time_ns = frame->clock_ns = live->clock_ns = time_of(live, header);
}

static void on_packet(u_char *state, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct source_live *live = (struct source_live *)(void *)state;
    live->socket.taken++;
    set_frame(live, header, bytes);
    if (interface_watch_is_cut_by(&live->watch, live->clock_ns))
        end_cut(live);
    if (!live->told_clock_ns)
        live->told_clock_ns = live->clock_ns;
    count(&live->total, live->clock_ns, live->frame.wire_bytes);
    interface_watch_count_packet(&live->watch, live->frame.wire_bytes);
    live->unclaimed += is_unclaimed(&live->frame);
    live->on_frame(live->state, &live->frame);
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
    snprintf(loss->evidence, sizeof loss->evidence, "%s: %.200s", live->socket.interface,
             pcap_geterr(live->socket.pcap));
    return SOURCE_FAILED;
}

/* The last of all: the interface's first worker waits for what the others have, and tells. */
static enum source_result finish_interface(struct source_live *live, int64_t since_stop_ms,
                                           struct loss *loss)
{
    interface_watch_end(&live->watch);
    if (!interface_watch_has_ended(&live->watch) && live->watch.worker == 0 &&
        since_stop_ms < PEERS_MS)
        return SOURCE_NOTHING;
    if (interface_watch_last(&live->watch, loss))
        return SOURCE_LOSS;
    live->total.is_complete = true;
    return SOURCE_END;
}

/* The ring is empty after source_live_stop(): ends when all that the kernel counted has come out,
 * which a block that is not full does only after its timeout. */
static enum source_result finish(struct source_live *live, struct loss *loss)
{
    if (has_drops(live, loss))
        return SOURCE_LOSS;
    struct live_socket *socket = &live->socket;
    int64_t since_stop_ms = interface_watch_now_ms() - live->stopped_at_ms;
    uint64_t given = socket->counters.received - socket->counters.dropped;
    bool is_all = socket->taken >= given || socket->counts_twice;
    if (since_stop_ms < SETTLE_MS || (!is_all && since_stop_ms < STOP_MS))
        return SOURCE_NOTHING;
    if (is_all || live->is_dedicated)
        return finish_interface(live, since_stop_ms, loss);
    uint64_t missing = given - socket->taken;
    set_loss(live, loss, "ring_lost", (int64_t)missing);
    snprintf(loss->evidence, sizeof loss->evidence,
             "%s: the kernel counted %llu packets that did not come out of the ring",
             socket->interface, (unsigned long long)missing);
    socket->taken = given;
    return SOURCE_LOSS;
}

static enum source_result on_empty(struct source_live *live, struct loss *loss)
{
    if (live->is_stopped)
        return finish(live, loss);
    if (!live->is_open)
        open_door(live);
    if (live->is_dedicated)
        read_counters(live);
    struct interface_sums sums = sums_of(live);
    interface_watch_count_empty(&live->watch, &sums);
    return is_stats_time(live) && has_loss(live, loss) ? SOURCE_LOSS : SOURCE_NOTHING;
}

/* By pcap_dispatch(), which gives what it finds packet after packet: one call a packet,
 * pcap_next_ex(), takes twice as many instructions in libpcap. */
enum source_result source_live_read(struct source_live *live, int n, source_frame_fn on_frame,
                                    void *state, struct loss *loss)
{
    live->on_frame = on_frame;
    live->state = state;
    while (n > 0) {
        if (live->has_failed)
            return fail(live, loss);
        if (live->frames_until_stats == 0 && is_stats_time(live) && has_loss(live, loss))
            return SOURCE_LOSS;
        int n_wanted = n < live->frames_until_stats ? n : live->frames_until_stats;
        int n_given = pcap_dispatch(live->socket.pcap, n_wanted, on_packet, (u_char *)live);
        if (n_given < 0)
            return fail(live, loss);
        if (n_given == 0)
            return on_empty(live, loss);
        n -= n_given;
        live->frames_until_stats -= n_given;
    }
    return SOURCE_FRAME;
}

void source_live_stop(struct source_live *live)
{
    if (live->is_stopped)
        return;
    live->is_stopped = true;
    live->stopped_at_ms = interface_watch_now_ms();
    interface_watch_stop(&live->watch);
    int result = live_socket_shut(&live->socket);
    if (result < 0)
        log_error("%s: stopping the capture: %s", live->socket.interface, strerror(-result));
}

int source_live_descriptor(const struct source_live *live)
{
    return pcap_get_selectable_fd(live->socket.pcap);
}

const struct source_total *source_live_total(const struct source_live *live)
{
    return &live->total;
}
