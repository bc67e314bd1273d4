/* tracker_case: what capture workers could send to a tracker, made of any bytes.
 *
 *     tracker_case_read(&made, bytes, size);
 *     made.items[0 … n_items - 1]                   packets and loss lines, in the order of time
 *
 * Two bytes say what kind of run it is (struct tracker_case); then each ITEM_SIZE bytes are an
 * item:
 *
 *     0  bits 0-3 enum item_kind, bit 4 the other way, bit 5 IPv6, bits 6-7 its stream
 *     1  bits 0-1 source, 2-3 destination, 4-5 source port, 6-7 destination port
 *     2  bits 0-3 step of time (steps_ns), bit 6 this packet alone is that much late, bit 7 the
 *        clock goes on by twice as much
 *     3  TCP flags and options, ICMP type, SCTP chunks, cause, number of a change
 *     4  bits 0-1 WAN, 2-3 direction, 4 zone, 5 invalid, 6 bad checksum, 7 flow label
 *     5  length, 6: in bits 0-4 more of it
 *     7  bits of enum packet_extra; bit 7: a payload
 *     8  sequence number, 9 acknowledgement, 10 window, 11 fragment marks and copies
 *
 * What a capture process makes by itself is made here too: clocks, which end is high. So what comes
 * out is what a tracker must be able to take. */
#ifndef WANMETER_TESTS_FUZZ_TRACKER_CASE_H
#define WANMETER_TESTS_FUZZ_TRACKER_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/change.h"
#include "proto/clock_step.h"
#include "proto/message.h"

enum { ITEM_SIZE = 12, ITEMS_MAX = 512, STREAMS_MAX = 3, ITEM_ROOM = 256 };

enum item_kind {
    ITEM_TCP,
    ITEM_UDP,
    ITEM_ICMP,
    ITEM_SCTP,
    ITEM_GRE,
    ITEM_OTHER,
    ITEM_CONTROL_TCP, /* to the port of a helper */
    ITEM_CONTROL_UDP,
    ITEM_ICMP_ERROR,
    ITEM_CLASS, /* in no flow: which one, by byte 3 */
    ITEM_SHADOW,
    ITEM_CHANGE,
    ITEM_CLOCK_STEP,
    ITEM_LOSS,
    ITEM_TCP_AGAIN,
    ITEM_UDP_AGAIN,
};

struct item {
    bool is_loss;
    uint32_t stream;
    int64_t clock_ns; /* of the stream, after it */
    struct packet packet;
    struct loss loss;
    uint8_t room[ITEM_ROOM]; /* header and payload */
};

struct tracker_case {
    uint8_t config; /* which of the configurations */
    uint8_t seed;   /* where batches are cut */
    uint32_t n_streams;
    bool is_small;      /* a table of a few flows */
    bool has_set_aside; /* some batches are not looked into */
    bool has_kill;      /* a tracker dies on the way */
    size_t n_items;
    struct item items[ITEMS_MAX];
};

/* ---- changes ---- */

static const char *const tracker_case_changes[][8] = {
    {"ct", "flush"},
    {"ct", "delete", "protocol=udp"},
    {"ct", "delete", "protocol=tcp"},
    {"ct", "update", "mark=5/7"},
    {"ct", "update", "label=gold"},
    {"ct", "update", "timeout=3"},
    {"account", "add", "carol", "10.0.0.2"},
    {"account", "move", "bob", "10.0.0.0/24"},
    {"account", "remove", "alice"},
    {"account", "add", "dave", "2001:db8::/32"},
    {"label", "add", "silver", "3", "sticky"},
    {"label", "remove", "gold"},
    {"timeout", "new", "long", "inet", "udp", "replied=90"},
    {"timeout", "default", "inet", "tcp", "established=4"},
    {"timeout", "delete", "short"},
    {"flowlabel", "get", "2001:db8::1", "7"},
    {"no", "such", "word"},
};

enum { CHANGES_N = sizeof tracker_case_changes / sizeof *tracker_case_changes };

static inline void tracker_case_change(struct packet *packet, const struct change *change)
{
    static uint8_t room[ITEMS_MAX][PACKET_PAYLOAD_MAX];
    static size_t n;
    uint8_t *bytes = room[n++ % ITEMS_MAX];
    packet->extra = PACKET_CHANGE;
    packet->class_index = CLASS_NON_IP;
    packet->payload_bytes = (uint16_t)change_encode(change, bytes);
    packet->payload = bytes;
    packet->marks = packet->parts = 0;
    packet->l2_bytes = packet->l3_bytes = 0;
}

static inline void tracker_case_words(struct packet *packet, uint8_t number)
{
    const char *const *words = tracker_case_changes[number % CHANGES_N];
    struct change change = {.id = 1u + number, .time_ns = packet->clock_ns, .seed = number};
    size_t n = 0;
    while (n < 8 && words[n])
        n++;
    change_set_words(&change, words, n);
    tracker_case_change(packet, &change);
}

/* ---- protocols ---- */

static const char *const tracker_case_payloads[] = {
    "PORT 10,0,0,1,4,1\r\n",
    "227 Entering Passive Mode (198,51,100,2,4,2)\r\n",
    "229 Entering Extended Passive Mode (|||1025|)\r\n",
    "\0\1file\0octet",
    "REGISTER sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:1024\r\nCSeq: 1 REGISTER\r\n"
    "Contact: <sip:a@10.0.0.1:1025>\r\nContent-Length: 0\r\n\r\n",
    "PRIVMSG a :\1DCC SEND f 167772161 1025 9\1\n",
    "220 hello\r\n",
    "x",
};

static inline void tracker_case_payload(struct item *item, uint8_t number, size_t at)
{
    enum { PAYLOADS_N = sizeof tracker_case_payloads / sizeof *tracker_case_payloads };
    const char *text = tracker_case_payloads[number % PAYLOADS_N];
    size_t size = number % PAYLOADS_N == 3 ? 12 : strlen(text);
    memcpy(item->room + at, text, size);
    item->packet.payload = item->room + at;
    item->packet.payload_bytes = (uint16_t)size;
}

static inline void tracker_case_tcp(struct packet *packet, const uint8_t *bytes)
{
    static const uint8_t options[] = {0, TCP_OPTION_WINDOW_SCALE | TCP_OPTION_ANY,
                                      TCP_OPTION_MSS | TCP_OPTION_ANY,
                                      TCP_OPTION_SACK_PERMITTED | TCP_OPTION_ANY};
    packet->protocol = 6;
    packet->parts |= PACKET_PART_TCP;
    packet->tcp = (struct packet_tcp){
        .flags = bytes[3] & 0x3f,
        .options = options[bytes[3] >> 6],
        .sequence = (uint32_t)bytes[8] * 100,
        .acknowledgment = (uint32_t)bytes[9] * 100,
        .window = (uint16_t)(bytes[10] * 257),
        .window_scale = bytes[10] % 15,
        .sack_right_edge = 536u + bytes[10],
        .payload_bytes = packet->l3_bytes > 60 ? (uint16_t)(packet->l3_bytes - 60) : 0,
    };
}

static inline void tracker_case_sctp(struct packet *packet, const uint8_t *bytes)
{
    packet->protocol = 132;
    packet->parts |= PACKET_PART_SCTP;
    packet->sctp = (struct packet_sctp){
        .verification_tag = bytes[8] % 4,
        .init_tag = bytes[9] % 4,
        .chunks = {bytes[3] % SCTP_CHUNK_N, (bytes[3] >> 4) % SCTP_CHUNK_N},
        .n_chunks = bytes[10] % 3,
        .marks = bytes[10] >> 4,
    };
}

static inline void tracker_case_icmp(struct packet *packet, const uint8_t *bytes)
{
    static const uint8_t types[] = {8, 0, 13, 14, 17, 18, 9, 42};
    static const uint8_t types_ipv6[] = {128, 129, 139, 140, 135, 136, 1, 200};
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    packet->protocol = is_ipv6 ? 58 : 1;
    packet->parts |= PACKET_PART_ICMP;
    packet->icmp_type = is_ipv6 ? types_ipv6[bytes[3] % 8] : types[bytes[3] % 8];
    packet->destination_port = packet->source_port;
}

static inline void tracker_case_icmp_error(struct packet *packet, const uint8_t *bytes)
{
    tracker_case_icmp(packet, bytes);
    packet->marks &= (uint8_t)~PACKET_MARK_PORTS;
    packet->icmp_type = packet->marks & PACKET_MARK_IPV6 ? 1 : 3;
    packet->class_index = CLASS_ICMP_ERROR;
    packet->parts |= PACKET_PART_INNER;
    packet->inner = (struct packet_inner){.source_port = packet->destination_port,
                                          .destination_port = (uint16_t)(1024 + bytes[8] % 4),
                                          .protocol = bytes[9] % 2 ? 17 : 6,
                                          .has_ports = 1};
    memcpy(packet->inner.source_address, packet->destination_address, 16);
    memcpy(packet->inner.destination_address, packet->source_address, 16);
}

static inline void tracker_case_class(struct packet *packet, const uint8_t *bytes)
{
    static const uint8_t classes[] = {CLASS_ARP,         CLASS_NON_IP,   CLASS_MALFORMED,
                                      CLASS_FRAG_ORPHAN, CLASS_NO_PORTS, CLASS_BAD_TIME};
    packet->class_index = classes[bytes[3] % 6];
    packet->protocol = 17;
    if (packet->class_index == CLASS_BAD_TIME || packet->class_index == CLASS_FRAG_ORPHAN ||
        packet->class_index == CLASS_NO_PORTS) {
        packet->time_ns = packet->clock_ns;
        packet->marks &= (uint8_t)~PACKET_MARK_PORTS;
        return;
    }
    packet->marks = 0;
    packet->l3_bytes = 0;
    memset(packet->source_address, 0, 16);
    memset(packet->destination_address, 0, 16);
    if (packet->class_index == CLASS_MALFORMED)
        packet->malformed_cause = (uint8_t)(1 + (bytes[3] >> 4) % (MALFORMED_CAUSE_N - 1));
}

/* ---- packets ---- */

static inline void tracker_case_ends(struct packet *packet, const uint8_t *bytes, bool is_shadow)
{
    static const uint8_t ipv6[] = {0x20, 1, 0xd, 0xb8};
    bool is_ipv6 = bytes[0] & 0x20;
    uint8_t near[16] = {10, is_shadow ? 9 : 0, 0, (uint8_t)(1 + bytes[1] % 4)};
    uint8_t far[16] = {198, 51, 100, (uint8_t)(1 + (bytes[1] >> 2) % 4)};
    if (is_ipv6) {
        memcpy(near, ipv6, sizeof ipv6);
        memcpy(far, ipv6, sizeof ipv6);
        near[4] = is_shadow;
        near[15] = (uint8_t)(1 + bytes[1] % 4);
        far[5] = 1;
        far[15] = (uint8_t)(1 + (bytes[1] >> 2) % 4);
    }
    bool is_back = bytes[0] & 0x10;
    uint16_t near_port = (uint16_t)(1024 + (bytes[1] >> 4) % 4);
    uint16_t far_port = (uint16_t)(1024 + (bytes[1] >> 6));
    packet->marks = PACKET_MARK_PORTS | (is_ipv6 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4);
    memcpy(is_back ? packet->destination_address : packet->source_address, near, 16);
    memcpy(is_back ? packet->source_address : packet->destination_address, far, 16);
    packet->source_port = is_back ? far_port : near_port;
    packet->destination_port = is_back ? near_port : far_port;
}

/* The far end's port is a helper's. */
static inline void tracker_case_control(struct packet *packet, const uint8_t *bytes)
{
    static const uint16_t tcp_ports[] = {21, 1723, 6667, 21}, udp_ports[] = {69, 5060, 10080, 69};
    const uint16_t *ports = packet->protocol == 6 ? tcp_ports : udp_ports;
    *(bytes[0] & 0x10 ? &packet->source_port : &packet->destination_port) = ports[bytes[1] >> 6];
}

static inline void tracker_case_high(struct packet *packet)
{
    int order = memcmp(packet->source_address, packet->destination_address, 16);
    if (order > 0 || (order == 0 && packet->source_port > packet->destination_port))
        packet->marks |= PACKET_MARK_SOURCE_IS_HIGH;
}

/* IP and TCP header, for a link that compresses them. */
static inline size_t tracker_case_header(struct item *item)
{
    struct packet *packet = &item->packet;
    uint8_t *header = item->room;
    memset(header, 0, 40);
    header[0] = 0x45;
    header[2] = (uint8_t)(packet->l3_bytes >> 8);
    header[3] = (uint8_t)packet->l3_bytes;
    header[9] = 6;
    memcpy(header + 12, packet->source_address, 4);
    memcpy(header + 16, packet->destination_address, 4);
    header[20] = (uint8_t)(packet->source_port >> 8);
    header[21] = (uint8_t)packet->source_port;
    header[22] = (uint8_t)(packet->destination_port >> 8);
    header[23] = (uint8_t)packet->destination_port;
    header[26] = (uint8_t)(packet->tcp.sequence >> 8);
    header[27] = (uint8_t)packet->tcp.sequence;
    header[32] = 0x50;
    header[33] = packet->tcp.flags;
    packet->header = header;
    packet->header_bytes = 40;
    return 40;
}

static inline void tracker_case_extras(struct item *item, const uint8_t *bytes)
{
    struct packet *packet = &item->packet;
    size_t used = 0;
    packet->is_invalid = bytes[4] >> 5 & 1;
    packet->marks |= bytes[4] & 0x40 ? PACKET_MARK_BAD_CHECKSUM : 0;
    packet->flow_label = bytes[4] & 0x80 && packet->marks & PACKET_MARK_IPV6 ? 1u + bytes[9] : 0;
    packet->extra |= bytes[7] & (PACKET_HELD | PACKET_COMPLETES | PACKET_UNTRACKED);
    if (bytes[11] & 3)
        packet->marks |= bytes[11] & 1 ? PACKET_MARK_FIRST_FRAGMENT : PACKET_MARK_LATER_FRAGMENT;
    packet->datagram_bytes = bytes[11] & 4 ? packet->l3_bytes + bytes[8] : 0;
    packet->fingerprint = bytes[11] & 8 ? 1u + bytes[11] / 32 : 0;
    packet->l2_account = bytes[11] & 16 ? 1 : 0;
    packet->wan_match = packet->wan ? bytes[9] % 3 : 0;
    if (packet->parts & PACKET_PART_TCP && packet->marks & PACKET_MARK_IPV4)
        used = tracker_case_header(item);
    if (bytes[7] & 0x80)
        tracker_case_payload(item, bytes[10], used);
}

static inline void tracker_case_protocol(struct item *item, const uint8_t *bytes)
{
    static const uint8_t others[] = {50, 4, 17, 136, 33, 0, 58, 255};
    struct packet *packet = &item->packet;
    packet->protocol = 17;
    switch (bytes[0] & 0xf) {
    case ITEM_ICMP:
        tracker_case_icmp(packet, bytes);
        return;
    case ITEM_SCTP:
        tracker_case_sctp(packet, bytes);
        return;
    case ITEM_GRE:
        packet->protocol = 47;
        packet->marks &= (uint8_t)~PACKET_MARK_PORTS;
        return;
    case ITEM_OTHER:
        packet->protocol = others[bytes[3] % 8];
        packet->marks &= (uint8_t)~PACKET_MARK_PORTS;
        packet->source_port = packet->destination_port = 0;
        return;
    case ITEM_ICMP_ERROR:
        tracker_case_icmp_error(packet, bytes);
        return;
    case ITEM_TCP:
    case ITEM_TCP_AGAIN:
    case ITEM_CONTROL_TCP:
    case ITEM_SHADOW:
        tracker_case_tcp(packet, bytes);
        return;
    default:
        return;
    }
}

static inline void tracker_case_packet(struct item *item, const uint8_t *bytes)
{
    struct packet *packet = &item->packet;
    unsigned kind = bytes[0] & 0xf;
    packet->l3_bytes = 20u + bytes[5] + (bytes[6] & 0x1fu) * 256u;
    packet->l2_bytes = packet->l3_bytes + 14;
    packet->wan = bytes[4] % 4;
    packet->direction = (bytes[4] >> 2) % DIRECTION_N;
    packet->zone = bytes[4] >> 4 & 1;
    tracker_case_ends(packet, bytes, kind == ITEM_SHADOW);
    tracker_case_protocol(item, bytes);
    if (kind == ITEM_CONTROL_TCP || kind == ITEM_CONTROL_UDP || kind == ITEM_SHADOW)
        tracker_case_control(packet, bytes);
    if (kind == ITEM_CLASS)
        tracker_case_class(packet, bytes);
    else
        tracker_case_extras(item, bytes);
    if (kind == ITEM_SHADOW)
        packet->extra |= bytes[7] & 1 ? PACKET_LINK : bytes[7] & 2 ? PACKET_OPENING : PACKET_SHADOW;
    tracker_case_high(packet);
}

static inline void tracker_case_loss(struct item *item, const uint8_t *bytes)
{
    bool is_exact = bytes[3] % 3 == 0;
    item->is_loss = true;
    item->loss = (struct loss){
        .first_ns = item->clock_ns,
        .last_ns = item->clock_ns,
        .packets = is_exact ? bytes[5] : LOSS_AMOUNT_UNKNOWN,
        .l2_bytes = is_exact ? bytes[5] * 100 : LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = is_exact ? bytes[5] * 86 : LOSS_AMOUNT_UNKNOWN,
        .stage = is_exact ? LOSS_CAPTURE : LOSS_KERNEL,
        .certainty = is_exact ? LOSS_EXACT : LOSS_UNKNOWN,
        .reason = "ring_full",
    };
}

/* ---- all of it ---- */

static inline void tracker_case_item(struct item *item, const uint8_t *bytes)
{
    struct packet *packet = &item->packet;
    switch (bytes[0] & 0xf) {
    case ITEM_LOSS:
        tracker_case_loss(item, bytes);
        break;
    case ITEM_CHANGE:
        packet->time_ns = packet->clock_ns;
        tracker_case_words(packet, bytes[3]);
        break;
    case ITEM_CLOCK_STEP: {
        struct change change = {0};
        packet->time_ns = packet->clock_ns;
        clock_step_change((bytes[3] - INT64_C(128)) * 1000000000 * (1 + bytes[5]), &change);
        tracker_case_change(packet, &change);
        break;
    }
    default:
        tracker_case_packet(item, bytes);
    }
}

static inline void tracker_case_read(struct tracker_case *made, const uint8_t *bytes, size_t size)
{
    static const int64_t steps_ns[] = {0,
                                       1,
                                       1000,
                                       1000000,
                                       100000000,
                                       500000000,
                                       1000000000,
                                       2000000000,
                                       5000000000,
                                       31000000000,
                                       61000000000,
                                       121000000000,
                                       30000000000,
                                       3600000000000,
                                       299000000000,
                                       432000000000000};
    static const int64_t begins_ns[] = {0, INT64_C(1763740800000000000),
                                        INT64_C(1763740799999999999), INT64_C(8999999000000000000)};
    int64_t clock_ns[STREAMS_MAX], now_ns = begins_ns[bytes[0] >> 6];
    made->config = bytes[0] & 3;
    made->is_small = bytes[0] & 4;
    made->has_set_aside = bytes[0] & 8;
    made->has_kill = bytes[0] & 16;
    made->seed = bytes[1];
    made->n_streams = 1 + bytes[1] % STREAMS_MAX;
    made->n_items = 0;
    for (size_t i = 0; i < STREAMS_MAX; i++)
        clock_ns[i] = now_ns;
    for (size_t at = 2; size - at >= ITEM_SIZE && made->n_items < ITEMS_MAX; at += ITEM_SIZE) {
        const uint8_t *given = bytes + at;
        struct item *item = &made->items[made->n_items++];
        int64_t step_ns = steps_ns[given[2] & 0xf];
        *item = (struct item){.stream = (given[0] >> 6) % made->n_streams};
        if (!(given[2] & 0x40) && now_ns < INT64_C(9000000000000000000) - 2 * step_ns)
            now_ns += step_ns << (given[2] >> 7);
        item->packet.time_ns = given[2] & 0x40 && step_ns < now_ns ? now_ns - step_ns : now_ns;
        if (item->packet.time_ns > clock_ns[item->stream])
            clock_ns[item->stream] = item->packet.time_ns;
        item->clock_ns = item->packet.clock_ns = clock_ns[item->stream];
        tracker_case_item(item, given);
    }
}

#endif
