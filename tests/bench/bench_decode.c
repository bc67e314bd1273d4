/* bench_decode: what a packet costs in the capture between the frame and the batch: decoded, given
 * its WAN, tagged, packed; and what reading a file of the same frames costs (own reader).
 *
 *     bench_decode [FILE]          a capture file, as generate makes it: reading is measured too
 *
 * Frames are 64 bytes of TCP and UDP over IPv4, or TCP over IPv6, of 4,096 connections; the batch
 * is of 128 KiB and written again and again. Prints "name value unit" lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/decode.h"
#include "capture/source.h"
#include "capture/wan.h"
#include "proto/rss.h"

enum {
    FRAME_SIZE = 78,
    N_FRAMES = 4096,
    ROUNDS = 500,
    BATCH_SIZE = 128 * 1024,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17
};

static uint8_t frames[N_FRAMES][FRAME_SIZE];
static uint8_t batch[BATCH_SIZE + PACKET_SIZE_MAX];

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Headers only matter; lengths as of a packet without payload. */
static void make_frame(uint8_t *frame, unsigned number, bool is_ipv6, uint8_t protocol)
{
    memset(frame, 0, FRAME_SIZE);
    uint8_t *ip = frame + 14, *transport = ip + (is_ipv6 ? 40 : 20);
    frame[12] = is_ipv6 ? 0x86 : 0x08;
    frame[13] = is_ipv6 ? 0xdd : 0x00;
    if (is_ipv6) {
        memcpy(ip, (uint8_t[]){0x60, 0, 0, 0, 0, 20, protocol, 64}, 8);
        memcpy(ip + 8, (uint8_t[]){0x20, 1, 0xd, 0xb8}, 4);
        memcpy(ip + 24, (uint8_t[]){0x20, 1, 0xd, 0xb8, 1}, 5);
        ip[22] = (uint8_t)(number >> 8);
        ip[23] = (uint8_t)number;
    } else {
        memcpy(ip, (uint8_t[]){0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol}, 10);
        memcpy(ip + 12, (uint8_t[]){10, 0, 0, 0, 198, 18, 0, 1}, 8);
        ip[14] = (uint8_t)(number >> 8);
        ip[15] = (uint8_t)number;
    }
    transport[0] = 0x9c;
    transport[3] = protocol == PROTOCOL_TCP ? 80 : 53;
    if (protocol == PROTOCOL_TCP)
        memcpy(transport + 12, (uint8_t[]){0x50, 0x10, 0xff, 0xff}, 4);
    else
        transport[5] = 20;
}

static void bench(const char *name, bool is_ipv6, uint8_t protocol)
{
    struct config config;
    struct decoder decoder;
    struct wan_table *wans;
    struct rss rss;
    uint8_t key[RSS_KEY_SIZE];
    config_init(&config);
    decode_init(&decoder, &config);
    if (!rss_key_parse("random", key) || wan_table_create(&config, &wans) < 0)
        abort();
    rss_init(&rss, key);
    for (unsigned i = 0; i < N_FRAMES; i++)
        make_frame(frames[i], i, is_ipv6, protocol);

    size_t used = 0;
    int64_t begin_ns = cpu_ns();
    for (unsigned n = 0; n < N_FRAMES * ROUNDS; n++) {
        struct frame frame = {.bytes = frames[n % N_FRAMES],
                              .captured_bytes = FRAME_SIZE,
                              .wire_bytes = FRAME_SIZE,
                              .time_ns = n,
                              .clock_ns = n,
                              .link_type = LINK_ETHERNET,
                              .interface = ""};
        struct packet packet;
        struct layers layers;
        decode_frame(&decoder, &frame, &packet, &layers);
        packet.clock_ns = n;
        wan_table_apply(wans, &frame, &layers, &packet);
        packet.rss = rss_tag(&rss, &packet);
        used += packet_encode(&packet, batch + used);
        used = used < BATCH_SIZE ? used : 0;
    }
    double spent_ns = (double)(cpu_ns() - begin_ns);
    printf("decode_tag_pack_%s %.1f ns\n", name, spent_ns / (N_FRAMES * ROUNDS));
    wan_table_destroy(wans);
    config_deinit(&config);
}

static int bench_source(const char *path)
{
    char error[SOURCE_ERROR_MAX];
    struct source *source;
    struct frame frame;
    struct loss loss;
    if (source_open_files(&path, 1, 0, INT64_MAX, &source, error) < 0) {
        fprintf(stderr, "bench_decode: %s\n", error);
        return 1;
    }
    uint64_t n_frames = 0;
    int64_t begin_ns = cpu_ns();
    while (source_next(source, &frame, &loss) == SOURCE_FRAME)
        n_frames++;
    printf("source_file %.1f ns\n", (double)(cpu_ns() - begin_ns) / (double)n_frames);
    source_close(source);
    return 0;
}

int main(int argc, char **argv)
{
    bench("ipv4_tcp", false, PROTOCOL_TCP);
    bench("ipv4_udp", false, PROTOCOL_UDP);
    bench("ipv6_tcp", true, PROTOCOL_TCP);
    return argc > 1 ? bench_source(argv[1]) : 0;
}
