/* count_libpcap: the yardstick of the benchmarks: libpcap reads and counts, nothing else.
 *
 *     count_libpcap FILE                       prints "packets l2_bytes"
 *     count_libpcap -i INTERFACE SNAP RING     the same of an interface until SIGTERM, with such a
 * snap length and ring (bytes), and " dropped" */
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_TIMEOUT_MS = 10, WAIT_MS = 100 };

struct count {
    uint64_t packets;
    uint64_t l2_bytes;
};

static volatile sig_atomic_t is_stopping;

static void on_signal(int signal_number)
{
    (void)signal_number;
    is_stopping = 1;
}

static void on_packet(u_char *state, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct count *count = (struct count *)(void *)state;
    (void)bytes;
    count->packets++;
    count->l2_bytes += header->len;
}

static int count_file(const char *path)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(path, error);
    if (!pcap) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    struct count count = {0};
    int result = pcap_loop(pcap, -1, on_packet, (u_char *)&count);
    pcap_close(pcap);
    printf("%ju %ju\n", (uintmax_t)count.packets, (uintmax_t)count.l2_bytes);
    return result == 0 ? 0 : 1;
}

/* As a capture worker opens it; the empty filter makes the kernel cut at the snap length. */
static pcap_t *open_interface(const char *interface, int snap_bytes, int ring_bytes)
{
    char error[PCAP_ERRBUF_SIZE];
    struct bpf_program all;
    pcap_t *pcap = pcap_create(interface, error);
    if (!pcap) {
        fprintf(stderr, "%s: %s\n", interface, error);
        exit(1);
    }
    pcap_set_snaplen(pcap, snap_bytes);
    pcap_set_promisc(pcap, 1);
    pcap_set_timeout(pcap, BLOCK_TIMEOUT_MS);
    pcap_set_buffer_size(pcap, ring_bytes);
    if (pcap_activate(pcap) < 0 || pcap_setnonblock(pcap, 1, error) < 0 ||
        pcap_compile(pcap, &all, "", 1, PCAP_NETMASK_UNKNOWN) < 0 ||
        pcap_setfilter(pcap, &all) < 0) {
        fprintf(stderr, "%s: %s\n", interface, pcap_geterr(pcap));
        exit(1);
    }
    pcap_freecode(&all);
    return pcap;
}

static int count_live(const char *interface, int snap_bytes, int ring_bytes)
{
    struct count count = {0};
    struct pcap_stat statistics;
    struct sigaction stopping = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stopping, NULL);
    pcap_t *pcap = open_interface(interface, snap_bytes, ring_bytes);
    struct pollfd wait = {.fd = pcap_get_selectable_fd(pcap), .events = POLLIN};
    puts("ready");
    fflush(stdout);
    for (int n = 0; n >= 0 && (n > 0 || !is_stopping);) {
        n = pcap_dispatch(pcap, -1, on_packet, (u_char *)&count);
        if (n == 0 && !is_stopping)
            poll(&wait, 1, WAIT_MS);
    }
    int result = pcap_stats(pcap, &statistics);
    pcap_close(pcap);
    printf("%ju %ju %u\n", (uintmax_t)count.packets, (uintmax_t)count.l2_bytes, statistics.ps_drop);
    return result == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return count_file(argv[1]);
    if (argc == 5 && strcmp(argv[1], "-i") == 0)
        return count_live(argv[2], atoi(argv[3]), atoi(argv[4]));
    fprintf(stderr, "usage: %s FILE | -i INTERFACE SNAP RING\n", argv[0]);
    return 2;
}
