/* generate: a capture file for the benchmarks, as fast as a disk takes it, the same for the same
 * seed.
 *
 *     generate KIND PACKETS SEED FILE          prints "packets l2_bytes l3_bytes connections"
 *
 * KIND: mix (lengths and protocols as on an access line, 370 bytes on average, 12 packets a
 * connection), small (64-byte frames, 20 packets a connection), churn (64-byte frames, connections
 * of 6 packets that open and close), few (64-byte frames, 4,096 long connections): IPv4 in
 * Ethernet; ipv6 (as mix, in IPv6 and a VLAN). pcap with nanoseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ETHERNET_SIZE = 14,
    VLAN_SIZE = 4,
    IP_SIZE = 20,
    IPV6_SIZE = 40,
    TCP_SIZE = 20,
    UDP_SIZE = 8,
    FRAME_MIN = 60,
    FRAME_MAX = 1514,
    RECORD_SIZE = 16,
    BUFFER_SIZE = 1 << 20,
    FLAG_FIN = 1,
    FLAG_SYN = 2,
    FLAG_ACK = 16,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    CHURN_PACKETS = 6,
    ACTIVE = 4096, /* connections that have packets at one time */
};

static const uint64_t START_NS = 1760000000000000000, STEP_NS = 10000;

struct kind {
    const char *name;
    unsigned packets_per_connection;
    bool is_small, is_ipv6;
};

static const struct kind kinds[] = {
    {"mix", 12, false},   {"small", 20, true},       {"churn", CHURN_PACKETS, true},
    {"few", 30000, true}, {"ipv6", 12, false, true},
};

struct connection {
    uint32_t number;
    uint16_t n_sent; /* packets so far */
    uint16_t n_packets;
};

struct generator {
    const struct kind *kind;
    FILE *file;
    uint64_t random;
    uint64_t time_ns;
    uint32_t n_connections;
    struct connection active[ACTIVE];
    uint8_t frame[RECORD_SIZE + FRAME_MAX];
    uint64_t packets, l2_bytes, l3_bytes;
};

/* Source: G. Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t next_random(struct generator *generator)
{
    uint64_t x = generator->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return generator->random = x;
}

static uint32_t below(struct generator *generator, uint32_t limit)
{
    return (uint32_t)((next_random(generator) >> 32) * limit >> 32);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static unsigned header_checksum(const uint8_t *header)
{
    uint32_t sum = 0;
    for (int i = 0; i < IP_SIZE; i += 2)
        sum += (uint32_t)header[i] << 8 | header[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static bool is_tcp(const struct generator *generator, uint32_t number)
{
    return generator->kind->packets_per_connection == CHURN_PACKETS || number % 8 != 0;
}

/* The frame's length: three humps, as on access lines: acknowledgements, middles, full segments. */
static unsigned choose_length(struct generator *generator)
{
    if (generator->kind->is_small)
        return FRAME_MIN;
    unsigned hump = below(generator, 100);
    if (hump < 58)
        return FRAME_MIN + below(generator, 40);
    if (hump < 82)
        return 100 + below(generator, 500);
    return hump < 88 ? 600 + below(generator, 800) : FRAME_MAX;
}

static unsigned tcp_flags(const struct connection *connection)
{
    if (connection->n_sent < 2)
        return connection->n_sent == 0 ? FLAG_SYN : FLAG_SYN | FLAG_ACK;
    bool is_end = connection->n_sent + 3 >= connection->n_packets &&
                  connection->n_sent + 1 < connection->n_packets;
    return is_end ? FLAG_FIN | FLAG_ACK : FLAG_ACK;
}

/* Ports of a connection: every number is another tuple. */
static void put_ports(uint8_t *transport, uint32_t number, bool is_reply, bool has_tcp)
{
    unsigned client_port = 1024 + number / 65000 % 60000, server_port = has_tcp ? 443 : 53;
    put16(transport, is_reply ? server_port : client_port);
    put16(transport + 2, is_reply ? client_port : server_port);
}

/* 10.x.x.x asks 198.18.x.x. */
static void put_ipv4(uint8_t *ip, uint32_t number, bool is_reply, bool has_tcp, unsigned length)
{
    uint32_t client = 0x0a000000 | number % 65000, server = 0xc6120000 | number % 4093;
    ip[0] = 0x45;
    put16(ip + 2, length);
    ip[8] = 64;
    ip[9] = has_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    put32(ip + 12, is_reply ? server : client);
    put32(ip + 16, is_reply ? client : server);
    put16(ip + 10, header_checksum(ip));
}

/* 2001:db8:a::x asks 2001:db8:b::x. */
static void put_ipv6(uint8_t *ip, uint32_t number, bool is_reply, bool has_tcp, unsigned length)
{
    uint8_t *client = ip + (is_reply ? 24 : 8), *server = ip + (is_reply ? 8 : 24);
    ip[0] = 0x60;
    put16(ip + 4, length - IPV6_SIZE);
    ip[6] = has_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    ip[7] = 64;
    put32(client, 0x20010db8);
    put32(client + 4, 0x000a0000);
    put32(client + 12, number % 65000);
    put32(server, 0x20010db8);
    put32(server + 4, 0x000b0000);
    put32(server + 12, number % 4093);
}

/* Returns where the IP header begins. */
static uint8_t *put_link(uint8_t *frame, bool is_ipv6)
{
    static const uint8_t macs[ETHERNET_SIZE] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
    memcpy(frame, macs, sizeof macs);
    if (!is_ipv6)
        return frame + ETHERNET_SIZE;
    put32(frame + 12, 0x81000007);
    put16(frame + 16, 0x86dd);
    return frame + ETHERNET_SIZE + VLAN_SIZE;
}

static unsigned make_frame(struct generator *generator, struct connection *connection)
{
    const struct kind *kind = generator->kind;
    uint8_t *frame = generator->frame + RECORD_SIZE, *ip = put_link(frame, kind->is_ipv6),
            *transport = ip + (kind->is_ipv6 ? IPV6_SIZE : IP_SIZE);
    bool has_tcp = is_tcp(generator, connection->number), is_reply = connection->n_sent % 2 == 1;
    unsigned length = choose_length(generator), headers = (unsigned)(transport - frame);
    if (kind->is_ipv6 && length < headers + TCP_SIZE)
        length = headers + TCP_SIZE;
    unsigned l3_length = length - (unsigned)(ip - frame);
    if (kind->is_small)
        l3_length = IP_SIZE + (has_tcp ? TCP_SIZE : UDP_SIZE); /* the rest is padding */

    memset(ip, 0, IPV6_SIZE + TCP_SIZE);
    (kind->is_ipv6 ? put_ipv6 : put_ipv4)(ip, connection->number, is_reply, has_tcp, l3_length);
    put_ports(transport, connection->number, is_reply, has_tcp);
    if (has_tcp) {
        transport[12] = 0x50;
        transport[13] = (uint8_t)tcp_flags(connection);
        put16(transport + 14, 65535);
    } else {
        put16(transport + 4, l3_length - (unsigned)(transport - ip));
    }
    generator->l3_bytes += l3_length;
    return length;
}

static struct connection *choose_connection(struct generator *generator)
{
    struct connection *connection = &generator->active[below(generator, ACTIVE)];
    if (connection->n_sent == connection->n_packets) {
        unsigned mean = generator->kind->packets_per_connection;
        unsigned n_packets = mean == CHURN_PACKETS ? mean : 2 + below(generator, 2 * mean - 3);
        *connection = (struct connection){.number = generator->n_connections++,
                                          .n_packets = (uint16_t)n_packets};
    }
    return connection;
}

static int write_packet(struct generator *generator)
{
    struct connection *connection = choose_connection(generator);
    unsigned length = make_frame(generator, connection);
    connection->n_sent++;
    uint32_t record[4] = {(uint32_t)(generator->time_ns / 1000000000),
                          (uint32_t)(generator->time_ns % 1000000000), length, length};
    memcpy(generator->frame, record, sizeof record);
    generator->time_ns += 1 + below(generator, 2 * STEP_NS);
    generator->packets++;
    generator->l2_bytes += length;
    return fwrite(generator->frame, RECORD_SIZE + length, 1, generator->file) == 1 ? 0 : -EIO;
}

static int write_file(struct generator *generator, uint64_t n_packets)
{
    /* pcap with nanoseconds, version 2.4, Ethernet; the byte order is this machine's. */
    const uint32_t header[6] = {0xa1b23c4d, 4 << 16 | 2, 0, 0, 262144, 1};
    if (fwrite(header, sizeof header, 1, generator->file) != 1)
        return -EIO;
    for (uint64_t i = 0; i < n_packets; i++)
        if (write_packet(generator) < 0)
            return -EIO;
    return 0;
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct generator generator;
    static char buffer[BUFFER_SIZE];
    if (argc != 5 || !(generator.kind = find_kind(argv[1]))) {
        fprintf(stderr, "usage: %s mix|small|churn|few|ipv6 PACKETS SEED FILE\n", argv[0]);
        return 2;
    }
    generator.random = strtoull(argv[3], NULL, 10) | 1;
    generator.time_ns = START_NS;
    generator.file = fopen(argv[4], "wb");
    if (!generator.file) {
        perror(argv[4]);
        return 1;
    }
    setvbuf(generator.file, buffer, _IOFBF, sizeof buffer);
    int result = write_file(&generator, strtoull(argv[2], NULL, 10));
    if (fclose(generator.file) != 0 || result < 0) {
        perror(argv[4]);
        return 1;
    }
    printf("%ju %ju %ju %u\n", (uintmax_t)generator.packets, (uintmax_t)generator.l2_bytes,
           (uintmax_t)generator.l3_bytes, generator.n_connections);
    return 0;
}
