/* bench_flow: what a packet costs in the flow table, by protocol: found, judged, counted.
 *
 *     bench_flow [CONNECTIONS…]      1,024 and 1,048,576 of each kind; or of these, TCP over IPv4
 *
 * Connections send and acknowledge in turn; each packet's key is made a batch ahead, as the tracker
 * does. Output: "flow_PROTOCOL_CONNECTIONS value ns". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tracker/flow.h"

enum {
    PACKETS = 4096000,
    AHEAD = 16,
    CHUNK = 4096,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_OTHER = 253
};

static struct account_table *accounts;
static struct link_table *links;

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As bench() makes them. */
struct kind {
    const char *name;
    uint8_t protocol;
    bool is_ipv6;
};

static void make_addresses(struct packet *packet, const struct kind *kind, uint32_t number,
                           bool is_down)
{
    uint8_t low[16] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    static const uint8_t high[16] = {192, 0, 2, 1};
    const size_t size = kind->is_ipv6 ? 16 : 4;
    memcpy(packet->source_address, is_down ? high : low, size);
    memcpy(packet->destination_address, is_down ? low : high, size);
}

/* Packet 'n': turn by turn of the connections, data up, an acknowledgment down. */
static void make_packet(uint64_t n, uint32_t n_connections, const struct kind *kind,
                        struct packet *packet)
{
    uint32_t number = (uint32_t)((n * 2654435761u) % n_connections);
    uint32_t turn = (uint32_t)(n / n_connections);
    bool is_down = turn % 2;
    *packet = (struct packet){
        .time_ns = (int64_t)n * 1000,
        .clock_ns = (int64_t)n * 1000,
        .l2_bytes = 114,
        .l3_bytes = 100,
        .source_port = is_down ? 443 : 40000,
        .destination_port = is_down ? 40000 : 443,
        .protocol = kind->protocol,
        .marks = (kind->is_ipv6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4) | PACKET_MARK_PORTS |
                 (is_down ? PACKET_MARK_SOURCE_IS_HIGH : 0),
        .parts = kind->protocol == PROTOCOL_TCP ? PACKET_PART_TCP : 0,
    };
    make_addresses(packet, kind, number, is_down);
    if (kind->protocol == PROTOCOL_TCP)
        packet->tcp = (struct packet_tcp){
            .sequence = is_down ? 1 : 1 + turn / 2 * 60,
            .acknowledgment = is_down ? 61 + turn / 2 * 60 : 1,
            .window = 65535,
            .payload_bytes = is_down ? 0 : 60,
            .flags = TCP_ACK,
        };
}

static void add_batch(struct flow_table *flows, const struct packet *packets)
{
    struct flow_key keys[AHEAD];
    struct flow_charge charge;
    for (unsigned i = 0; i < AHEAD; i++)
        flow_table_key(flows, &packets[i], &keys[i]);
    for (unsigned i = 0; i < AHEAD; i++)
        flow_table_prefetch(flows, &keys[i]);
    for (unsigned i = 0; i < AHEAD; i++)
        if (flow_table_add(flows, &packets[i], &keys[i], &charge) != FLOW_COUNTED)
            abort();
}

static void bench(const struct config *config, const struct kind *kind, uint32_t n_connections)
{
    struct flow_options options = {
        .config = config, .accounts = accounts, .links = links, .connections_max = n_connections};
    struct flow_table *flows;
    if (flow_table_create(&options, &flows) < 0)
        abort();
    int64_t spent_ns = 0;
    uint64_t n_warm = 2 * (uint64_t)n_connections; /* until every connection is there */
    for (uint64_t n = 0; n < n_warm + PACKETS; n += CHUNK) {
        static struct packet packets[CHUNK];
        for (unsigned i = 0; i < CHUNK; i++)
            make_packet(n + i, n_connections, kind, &packets[i]);
        int64_t begin_ns = cpu_ns();
        for (unsigned i = 0; i < CHUNK; i += AHEAD)
            add_batch(flows, packets + i);
        if (n >= n_warm)
            spent_ns += cpu_ns() - begin_ns;
    }
    printf("flow_%s_%" PRIu32 " %.1f ns\n", kind->name, n_connections, (double)spent_ns / PACKETS);
    flow_table_destroy(flows);
}

static const struct kind kinds[] = {
    {"tcp", PROTOCOL_TCP, false},
    {"udp", PROTOCOL_UDP, false},
    {"generic", PROTOCOL_OTHER, false}, /* without states of its own */
    {"tcp6", PROTOCOL_TCP, true},
};

static void bench_kinds(const struct config *config)
{
    for (uint32_t n_connections = 1024; n_connections <= 1048576; n_connections *= 1024)
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            bench(config, &kinds[i], n_connections);
}

int main(int argc, char **argv)
{
    struct config config;
    config_init(&config);
    if (account_table_create(&config, &accounts) < 0 || link_table_create(&config, &links) < 0)
        return 1;
    if (argc == 1)
        bench_kinds(&config);
    for (int i = 1; i < argc; i++)
        bench(&config, &kinds[0], (uint32_t)strtoul(argv[i], NULL, 10));
    link_table_destroy(links);
    account_table_destroy(accounts);
    config_deinit(&config);
    return 0;
}
