/* send: the frames of a capture, out of an interface, as fast as the kernel takes them or at a
 * rate.
 *
 *     send FILE INTERFACE [FRAMES_PER_SECOND]      prints "frames bytes nanoseconds"
 *
 * Frames are read into memory first. They go by sendmmsg(), past the queueing discipline, in
 * portions; a rate is kept by waiting between portions, and 0 is none. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTION = 64 };

struct frames {
    uint8_t *bytes;
    size_t n_bytes, room_bytes;
    struct iovec *items; /* iov_base: an offset, until all are read */
    size_t n, room;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "send: %s: %s\n", what, why);
    exit(1);
}

static void *grown(void *memory, size_t *room, size_t item_bytes)
{
    *room = *room ? *room * 2 : 4096;
    memory = realloc(memory, *room * item_bytes);
    if (!memory)
        fail("frames", strerror(ENOMEM));
    return memory;
}

static void on_frame(u_char *state, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct frames *frames = (struct frames *)(void *)state;
    if (header->caplen < header->len)
        fail("a frame", "cut short in the capture");
    while (frames->n_bytes + header->caplen > frames->room_bytes)
        frames->bytes = grown(frames->bytes, &frames->room_bytes, 1);
    if (frames->n == frames->room)
        frames->items = grown(frames->items, &frames->room, sizeof *frames->items);
    frames->items[frames->n].iov_base = (void *)(uintptr_t)frames->n_bytes;
    frames->items[frames->n++].iov_len = header->caplen;
    memcpy(frames->bytes + frames->n_bytes, bytes, header->caplen);
    frames->n_bytes += header->caplen;
}

static void read_frames(const char *path, struct frames *frames)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(path, error);
    if (!pcap)
        fail(path, error);
    if (pcap_loop(pcap, -1, on_frame, (u_char *)frames) != 0)
        fail(path, pcap_geterr(pcap));
    pcap_close(pcap);
    for (size_t i = 0; i < frames->n; i++)
        frames->items[i].iov_base = frames->bytes + (uintptr_t)frames->items[i].iov_base;
}

static int open_socket(const char *interface)
{
    int is_on = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    int out = socket(AF_PACKET, SOCK_RAW, 0);
    if (out < 0 || !address.sll_ifindex ||
        bind(out, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &is_on, sizeof is_on) < 0)
        fail(interface, strerror(errno));
    return out;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void wait_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

/* Past the queueing discipline a full queue is ENOBUFS: the frame is sent again. */
static void send_all(int out, const struct frames *frames, int64_t rate, int64_t started_ns)
{
    struct mmsghdr messages[PORTION];
    for (size_t done = 0; done < frames->n;) {
        size_t n = frames->n - done < PORTION ? frames->n - done : PORTION;
        memset(messages, 0, sizeof messages);
        for (size_t i = 0; i < n; i++)
            messages[i].msg_hdr =
                (struct msghdr){.msg_iov = &frames->items[done + i], .msg_iovlen = 1};
        int sent = sendmmsg(out, messages, (unsigned)n, 0);
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            fail("sending", strerror(errno));
        done += sent > 0 ? (size_t)sent : 0;
        if (rate)
            wait_until(started_ns + (int64_t)((double)done * 1e9 / (double)rate));
    }
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s FILE INTERFACE [FRAMES_PER_SECOND]\n", argv[0]);
        return 2;
    }
    struct frames frames = {0};
    read_frames(argv[1], &frames);
    int out = open_socket(argv[2]);
    int64_t started_ns = now_ns();
    send_all(out, &frames, argc == 4 ? atoll(argv[3]) : 0, started_ns);
    printf("%zu %zu %jd\n", frames.n, frames.n_bytes, (intmax_t)(now_ns() - started_ns));
    close(out);
    free(frames.items);
    free(frames.bytes);
    return 0;
}
