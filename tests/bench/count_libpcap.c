/* count_libpcap: the yardstick of the benchmarks: libpcap reads a file and counts, nothing else.
 *
 *     count_libpcap FILE          prints "packets l2_bytes" */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>

struct count {
    uint64_t packets;
    uint64_t l2_bytes;
};

static void on_packet(u_char *state, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct count *count = (struct count *)(void *)state;
    (void)bytes;
    count->packets++;
    count->l2_bytes += header->len;
}

int main(int argc, char **argv)
{
    char error[PCAP_ERRBUF_SIZE];
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    pcap_t *pcap = pcap_open_offline(argv[1], error);
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
