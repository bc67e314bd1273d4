#include "proto/filter.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/filter/filter_short.h"

enum {
    SNAP_BYTES = 65535,
    IPV4_SIZE = 20,
    IPV6_SIZE = 40,
    TCP_SIZE = 20,
    PORTS_SIZE = 8, /* of UDP, and of what begins as UDP does */
    SCTP_SIZE = 12,
};

enum { PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_ICMPV6 = 58 };

/* Headers that most packets have. */
enum kind { IPV4_TCP, IPV4_UDP, IPV4_ICMP, IPV6_TCP, IPV6_UDP, IPV6_ICMP, KIND_N, KIND_OTHER };

static const struct filter_kind kinds[KIND_N] = {
    [IPV4_TCP] = {4, PROTOCOL_TCP},   [IPV4_UDP] = {4, PROTOCOL_UDP},
    [IPV4_ICMP] = {4, PROTOCOL_ICMP}, [IPV6_TCP] = {6, PROTOCOL_TCP},
    [IPV6_UDP] = {6, PROTOCOL_UDP},   [IPV6_ICMP] = {6, PROTOCOL_ICMPV6},
};

struct filter {
    struct bpf_program program;
    struct bpf_insn *by_kind[KIND_N]; /* the same, shorter */
};

/* ---- expressions ---- */

static int compile(int link_type, const char *expression, struct bpf_program *program,
                   char error[FILTER_ERROR_SIZE])
{
    pcap_t *handle = pcap_open_dead(link_type, SNAP_BYTES);
    if (!handle) {
        snprintf(error, FILTER_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    int result = 0;
    if (pcap_compile(handle, program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        snprintf(error, FILTER_ERROR_SIZE, "%s", pcap_geterr(handle));
        result = -EINVAL;
    }
    pcap_close(handle);
    return result;
}

int filter_create(const char *expression, struct filter **out, char error[FILTER_ERROR_SIZE])
{
    struct filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    int result = compile(DLT_RAW, expression, &filter->program, error);
    for (unsigned i = 0; result == 0 && i < KIND_N; i++)
        result = filter_short_make(&filter->program, &kinds[i], &filter->by_kind[i]);
    if (result < 0)
        filter_destroy(filter);
    else
        *out = filter;
    return result;
}

void filter_destroy(struct filter *filter)
{
    if (!filter)
        return;
    for (unsigned i = 0; i < KIND_N; i++)
        free(filter->by_kind[i]);
    pcap_freecode(&filter->program);
    free(filter);
}

/* libpcap's optimizer sees it, and says so as an error. */
static bool is_impossible(int link_type, const char *expression)
{
    struct bpf_program program;
    char error[FILTER_ERROR_SIZE];
    if (compile(link_type, expression, &program, error) < 0)
        return strstr(error, "rejects all packets") != NULL;
    pcap_freecode(&program);
    return false;
}

bool filter_is_impossible(const char *expression)
{
    return is_impossible(DLT_RAW, expression);
}

bool filter_is_without_family(const char *expression)
{
    return is_impossible(DLT_RAW, expression) && !is_impossible(DLT_EN10MB, expression);
}

static enum kind kind_of(const struct filter_header *header)
{
    bool is_ipv6 = header->bytes[0] != 0x45;
    switch (header->bytes[is_ipv6 ? 6 : 9]) {
    case PROTOCOL_TCP:
        return is_ipv6 ? IPV6_TCP : IPV4_TCP;
    case PROTOCOL_UDP:
        return is_ipv6 ? IPV6_UDP : IPV4_UDP;
    case PROTOCOL_ICMP:
        return is_ipv6 ? KIND_OTHER : IPV4_ICMP;
    case PROTOCOL_ICMPV6:
        return is_ipv6 ? IPV6_ICMP : KIND_OTHER;
    default:
        return KIND_OTHER;
    }
}

bool filter_matches(const struct filter *filter, const struct filter_header *header)
{
    if (header->size == 0)
        return false;
    enum kind kind = kind_of(header);
    const struct bpf_insn *insns =
        kind == KIND_OTHER ? filter->program.bf_insns : filter->by_kind[kind];
    return bpf_filter(insns, header->bytes, header->wire_bytes, header->size) != 0;
}

/* ---- headers ---- */

static void put16(uint8_t *at, uint32_t number)
{
    uint16_t bytes = htobe16((uint16_t)number);
    memcpy(at, &bytes, sizeof bytes);
}

static void put32(uint8_t *at, uint32_t number)
{
    uint32_t bytes = htobe32(number);
    memcpy(at, &bytes, sizeof bytes);
}

/* A length field; what does not fit (BIG TCP) is written as its largest. */
static uint32_t length_field(uint32_t bytes)
{
    return bytes < UINT16_MAX ? bytes : UINT16_MAX;
}

static uint32_t put_ip(const struct packet *packet, const uint8_t *source,
                       const uint8_t *destination, struct filter_header *header)
{
    uint8_t *at = header->bytes;
    if (packet->marks & PACKET_MARK_IPV4) {
        at[0] = 0x45;
        put16(at + 2, length_field(header->wire_bytes));
        at[9] = packet->protocol;
        memcpy(at + 12, source, 4);
        memcpy(at + 16, destination, 4);
        return IPV4_SIZE;
    }
    uint32_t payload_bytes = header->wire_bytes > IPV6_SIZE ? header->wire_bytes - IPV6_SIZE : 0;
    put32(at, UINT32_C(6) << 28 | packet->flow_label);
    put16(at + 4, length_field(payload_bytes));
    at[6] = packet->protocol;
    memcpy(at + 8, source, 16);
    memcpy(at + 24, destination, 16);
    return IPV6_SIZE;
}

static uint32_t put_tcp(const struct packet_tcp *tcp, uint8_t *at)
{
    put32(at + 4, tcp->sequence);
    put32(at + 8, tcp->acknowledgment);
    at[12] = TCP_SIZE / 4 << 4;
    at[13] = tcp->flags;
    put16(at + 14, tcp->window);
    return TCP_SIZE;
}

static uint32_t put_icmp(const struct packet *packet, uint8_t *at)
{
    at[0] = packet->icmp_type;
    at[1] = packet->icmp_code;
    if (packet->marks & PACKET_MARK_PORTS)
        put16(at + 4, packet->source_port);
    return PORTS_SIZE;
}

static uint32_t put_transport(const struct packet *packet, bool is_swapped, uint32_t bytes,
                              uint8_t *at)
{
    if (packet->parts & PACKET_PART_ICMP)
        return put_icmp(packet, at);
    if (!(packet->marks & PACKET_MARK_PORTS))
        return 0;
    put16(at, is_swapped ? packet->destination_port : packet->source_port);
    put16(at + 2, is_swapped ? packet->source_port : packet->destination_port);
    if (packet->parts & PACKET_PART_TCP)
        return put_tcp(&packet->tcp, at);
    if (packet->parts & PACKET_PART_SCTP) {
        put32(at + 4, packet->sctp.verification_tag);
        return SCTP_SIZE;
    }
    if (packet->protocol == IPPROTO_UDP)
        put16(at + 4, length_field(bytes));
    return PORTS_SIZE;
}

void filter_header_make(const struct packet *packet, bool is_swapped, struct filter_header *header)
{
    memset(header, 0, sizeof *header);
    if (!packet_is_ip(packet))
        return;
    const uint8_t *source = packet->source_address, *destination = packet->destination_address;
    header->wire_bytes = packet->datagram_bytes ? packet->datagram_bytes : packet->l3_bytes;
    header->size = put_ip(packet, is_swapped ? destination : source,
                          is_swapped ? source : destination, header);
    uint32_t transport_bytes =
        header->wire_bytes > header->size ? header->wire_bytes - header->size : 0;
    header->size +=
        put_transport(packet, is_swapped, transport_bytes, header->bytes + header->size);
}

/* ---- whole frames ---- */

struct frame_filter {
    const char *expression;
    size_t n;
    struct {
        int link_type;
        bool fits;
        struct bpf_program program;
    } programs[FRAME_FILTER_LINK_TYPES_MAX];
};

int frame_filter_create(const char *expression, struct frame_filter **out,
                        char error[FILTER_ERROR_SIZE])
{
    struct frame_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    filter->expression = expression;
    int result = compile(DLT_EN10MB, expression, &filter->programs[0].program, error);
    if (result < 0) {
        free(filter);
        return result;
    }
    filter->programs[0].link_type = DLT_EN10MB;
    filter->programs[0].fits = true;
    filter->n = 1;
    *out = filter;
    return 0;
}

void frame_filter_destroy(struct frame_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->n; i++)
        if (filter->programs[i].fits)
            pcap_freecode(&filter->programs[i].program);
    free(filter);
}

/* libpcap's number for what capture files call 'link_type': they differ for raw IP. */
static int dlt_of(int link_type)
{
    enum { LINK_RAW = 101 };
    return link_type == LINK_RAW ? DLT_RAW : link_type;
}

static const struct bpf_program *program_for(struct frame_filter *filter, int link_type)
{
    for (size_t i = 0; i < filter->n; i++)
        if (filter->programs[i].link_type == link_type)
            return filter->programs[i].fits ? &filter->programs[i].program : NULL;
    if (filter->n == FRAME_FILTER_LINK_TYPES_MAX)
        return NULL;
    char error[FILTER_ERROR_SIZE];
    size_t place = filter->n++;
    filter->programs[place].link_type = link_type;
    filter->programs[place].fits = compile(dlt_of(link_type), filter->expression,
                                           &filter->programs[place].program, error) == 0;
    return filter->programs[place].fits ? &filter->programs[place].program : NULL;
}

bool frame_filter_matches(struct frame_filter *filter, int link_type, const uint8_t *bytes,
                          uint32_t captured_bytes, uint32_t wire_bytes)
{
    const struct bpf_program *program = program_for(filter, link_type);
    struct pcap_pkthdr header = {.caplen = captured_bytes, .len = wire_bytes};
    return program && pcap_offline_filter(program, &header, bytes) != 0;
}
