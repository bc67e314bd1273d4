/* Frames for the decoder's tests, written as hexadecimal: every link layer times every packet.
 *
 *     make_frame(&made, &links[i], &payloads[j]);      made.bytes, made.size, made.ip_at
 *     decode_made(&decoder, &made, captured_bytes, &packet, &layers);
 *
 * decode_made() hands the decoder a copy of exactly captured_bytes, so that a sanitizer sees any
 * read behind it. Pointers in 'layers' are invalid afterwards: only NULL or not can be asked. */
#ifndef WANMETER_TESTS_UNIT_TEST_DECODE_FRAMES_H
#define WANMETER_TESTS_UNIT_TEST_DECODE_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/decode/decode_walk.h"
#include "capture/frame.h"

enum { MADE_MAX = 4096 };

struct made {
    uint8_t bytes[MADE_MAX];
    uint32_t size;
    uint32_t ip_at;
    int32_t link_type;
};

struct link {
    const char *name;
    int32_t link_type;
    const char *before_ipv4; /* NULL: it cannot carry that version */
    const char *before_ipv6;
};

struct payload {
    const char *name;
    int version;
    uint8_t protocol;       /* of the IP header */
    const char *bytes;      /* behind the IP header */
    uint32_t tuple_bytes;   /* of these, what must be captured to know the tuple */
    uint8_t final_protocol; /* behind extension headers */
};

#define MACS                                                                                       \
    "020000000002"                                                                                 \
    "020000000001"

static const struct link links[] = {
    {"ethernet", LINK_ETHERNET, MACS "0800", MACS "86dd"},
    {"802.1Q", LINK_ETHERNET,
     MACS "81000064"
          "0800",
     MACS "81000064"
          "86dd"},
    {"802.1ad", LINK_ETHERNET,
     MACS "88a80064"
          "810000c8"
          "0800",
     MACS "88a80064"
          "810000c8"
          "86dd"},
    {"old qinq", LINK_ETHERNET,
     MACS "91000064"
          "92000065"
          "0800",
     MACS "91000064"
          "92000065"
          "86dd"},
    {"mpls", LINK_ETHERNET,
     MACS "8847"
          "00010040"
          "00011140",
     MACS "8847"
          "00010140"},
    {"pppoe", LINK_ETHERNET,
     MACS "8864"
          "1100"
          "1234"
          "0100"
          "0021",
     MACS "8864"
          "1100"
          "1234"
          "0100"
          "0057"},
    {"pppoe in qinq", LINK_ETHERNET,
     MACS "81000064"
          "81000065"
          "8864"
          "110012340100"
          "0021",
     MACS "81000064"
          "81000065"
          "8864"
          "110012340100"
          "0057"},
    {"snap", LINK_ETHERNET,
     MACS "0100"
          "aaaa03000000"
          "0800",
     MACS "0100"
          "aaaa03000000"
          "86dd"},
    {"ppp", LINK_PPP, "0021", "0057"},
    {"ppp with hdlc", LINK_PPP,
     "ff03"
     "0021",
     "ff03"
     "0057"},
    {"ppp compressed", LINK_PPP, "21",
     "ff03"
     "57"},
    {"ppp with mpls", LINK_PPP,
     "ff03"
     "0281"
     "00010140",
     "0281"
     "00010140"},
    {"ppp hdlc", LINK_PPP_HDLC,
     "ff03"
     "0021",
     "ff03"
     "0057"},
    {"cisco by address", LINK_PPP_HDLC,
     "0f00"
     "0800",
     "8f00"
     "86dd"},
    {"ppp ether", LINK_PPP_ETHER,
     "110012340100"
     "0021",
     "110012340100"
     "0057"},
    {"raw", LINK_RAW, "", ""},
    {"raw of bsd", 12, "", ""},
    {"raw of openbsd", 14, "", ""},
    {"ipv4", LINK_IPV4, "", NULL},
    {"ipv6", LINK_IPV6, NULL, ""},
    {"null, little-endian", LINK_NULL, "02000000", "1e000000"},
    {"null, big-endian", LINK_NULL, "00000002", "0000000a"},
    {"loop", LINK_LOOP, "00000002", "00000018"},
    {"loop of freebsd", LINK_LOOP, "02000000", "1c000000"},
    {"c_hdlc", LINK_C_HDLC,
     "0f00"
     "0800",
     "0f00"
     "86dd"},
    {"sll", LINK_LINUX_SLL,
     "00000001"
     "0006020000000001"
     "0000"
     "0800",
     "00000001"
     "0006020000000001"
     "0000"
     "86dd"},
    {"sll with vlan", LINK_LINUX_SLL,
     "00000001"
     "0006020000000001"
     "0000"
     "8100"
     "00640800",
     NULL},
    {"sll2", LINK_LINUX_SLL2,
     "0800"
     "0000"
     "00000003"
     "0001"
     "00"
     "06"
     "0200000000010000",
     "86dd"
     "0000"
     "00000003"
     "0001"
     "00"
     "06"
     "0200000000010000"},
};

#define PORTS "03e80050" /* 1000 to 80 */
#define TCP_FIXED                                                                                  \
    PORTS "11223344"                                                                               \
          "55667788"                                                                               \
          "50182000"                                                                               \
          "00000000"
#define TCP_WITH_TIMESTAMPS                                                                        \
    PORTS "11223344"                                                                               \
          "55667788"                                                                               \
          "80102000"                                                                               \
          "00000000"                                                                               \
          "0101080a"                                                                               \
          "00000001"                                                                               \
          "00000002"
#define TCP_SYN_OPTIONS                                                                            \
    PORTS "11223344"                                                                               \
          "00000000"                                                                               \
          "a002ffff"                                                                               \
          "00000000"                                                                               \
          "020405b4"                                                                               \
          "0402"                                                                                   \
          "080a0000000100000000"                                                                   \
          "01"                                                                                     \
          "030307"
#define QUOTED_IPV4                                                                                \
    "4500001c00010000"                                                                             \
    "40110000"                                                                                     \
    "c0a80102"                                                                                     \
    "0a000001"                                                                                     \
    "1388"                                                                                         \
    "0035"                                                                                         \
    "0008"                                                                                         \
    "0000"
#define QUOTED_IPV6                                                                                \
    "6000000000081140"                                                                             \
    "fd000000000000000000000000000002"                                                             \
    "fd000000000000000000000000000001"                                                             \
    "1388"                                                                                         \
    "0035"                                                                                         \
    "0008"                                                                                         \
    "0000"
#define TWO_ADDRESSES                                                                              \
    "fe800000000000000000000000000001"                                                             \
    "fd000000000000000000000000000002"

static const struct payload payloads[] = {
    {"tcp", 4, 6, TCP_FIXED, 4, 6},
    {"tcp with timestamps", 4, 6, TCP_WITH_TIMESTAMPS "deadbeef", 4, 6},
    {"tcp syn", 4, 6, TCP_SYN_OPTIONS, 4, 6},
    {"udp", 4, 17,
     PORTS "000c0000"
           "01020304",
     4, 17},
    {"udplite", 4, 136,
     PORTS "000c0000"
           "01020304",
     4, 136},
    {"sctp", 4, 132,
     PORTS "00000001"
           "00000000",
     4, 132},
    {"dccp", 4, 33,
     PORTS "00000001"
           "00000000"
           "00000000",
     4, 33},
    {"gre", 4, 47,
     "00000800"
     "4500001400010000"
     "40ff0000"
     "0a000001"
     "0a000002",
     0, 47},
    {"esp", 4, 50,
     "00000001"
     "00000002"
     "0123456789",
     0, 50},
    {"ah", 4, 51,
     "06040000"
     "00000001"
     "00000002"
     "000000000000000000000000" PORTS,
     0, 51},
    {"echo", 4, 1,
     "08000000"
     "1234"
     "0001"
     "6162",
     6, 1},
    {"timestamp reply", 4, 1,
     "0e000000"
     "1234"
     "0001"
     "000000000000000000000000",
     6, 1},
    {"router advertisement", 4, 1,
     "09000000"
     "00000000",
     2, 1},
    {"unreachable", 4, 1,
     "03030000"
     "00000000" QUOTED_IPV4,
     2, 1},
    {"tcp over ipv6", 6, 6, TCP_WITH_TIMESTAMPS, 4, 6},
    {"udp over ipv6", 6, 17,
     PORTS "000c0000"
           "01020304",
     4, 17},
    {"echo over ipv6", 6, 58,
     "80000000"
     "1234"
     "0001",
     6, 58},
    {"neighbour solicitation", 6, 58,
     "87000000"
     "00000000"
     "fd000000000000000000000000000002",
     2, 58},
    {"too big", 6, 58,
     "02000000"
     "00000500" QUOTED_IPV6,
     2, 58},
    {"redirect", 6, 58,
     "89000000"
     "00000000" TWO_ADDRESSES "0407000000000000" QUOTED_IPV6,
     49, 58},
    {"hop-by-hop, routing, options, udp", 6, 0,
     "2b00010400000000"
     "3c00000000000000"
     "1100010400000000" PORTS "00080000",
     28, 17},
    {"ah, tcp", 6, 51,
     "06040000"
     "00000001"
     "00000002"
     "000000000000000000000000" TCP_FIXED,
     28, 6},
    {"atomic fragment", 6, 44, "1100000000000007" PORTS "00080000", 12, 17},
    {"first fragment", 6, 44, "1100000100000007" PORTS "00100000", 12, 17},
    {"later fragment", 6, 44,
     "1100000800000007"
     "0102030405060708",
     8, 17},
    {"esp over ipv6", 6, 50,
     "00000001"
     "00000002"
     "0123456789",
     0, 50},
    {"no next header", 6, 59, "00", 0, 59},
};

enum { LINKS_N = sizeof links / sizeof *links, PAYLOADS_N = sizeof payloads / sizeof *payloads };

static inline void add_bytes(struct made *made, const void *bytes, size_t size)
{
    assert_true(made->size + size <= MADE_MAX);
    if (size)
        memcpy(made->bytes + made->size, bytes, size);
    made->size += (uint32_t)size;
}

static inline void add_hex(struct made *made, const char *hex)
{
    for (; *hex; hex += 2) {
        char digits[3] = {hex[0], hex[1], 0};
        char *end;
        uint8_t byte = (uint8_t)strtoul(digits, &end, 16);
        assert_true(end == digits + 2);
        add_bytes(made, &byte, 1);
    }
}

static inline void put_be16(uint8_t *at, uint32_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
}

/* 10.0.0.1 to 192.168.1.2, or fd00::1 to fd00::2; 'payload' may be larger than what is added. */
static inline void add_ip(struct made *made, int version, uint8_t protocol, size_t payload_bytes)
{
    made->ip_at = made->size;
    if (version == 4) {
        add_hex(made, "4500000000010000"
                      "40000000"
                      "0a000001"
                      "c0a80102");
        put_be16(made->bytes + made->ip_at + 2, (uint32_t)(20 + payload_bytes));
        made->bytes[made->ip_at + 9] = protocol;
    } else {
        add_hex(made, "6000000000000040"
                      "fd000000000000000000000000000001"
                      "fd000000000000000000000000000002");
        put_be16(made->bytes + made->ip_at + 4, (uint32_t)payload_bytes);
        made->bytes[made->ip_at + 6] = protocol;
    }
}

/* False: this link layer does not carry that version. */
static inline bool make_frame(struct made *made, const struct link *link,
                              const struct payload *payload)
{
    const char *before = payload->version == 4 ? link->before_ipv4 : link->before_ipv6;
    if (!before)
        return false;
    made->size = 0;
    made->link_type = link->link_type;
    add_hex(made, before);
    add_ip(made, payload->version, payload->protocol, strlen(payload->bytes) / 2);
    add_hex(made, payload->bytes);
    return true;
}

static inline void make_ethernet(struct made *made, const char *hex)
{
    made->size = 0;
    made->link_type = LINK_ETHERNET;
    made->ip_at = 14;
    add_hex(made, hex);
}

/* Every frame that may go straight comes to what the long way made of it. True: it may. */
static inline bool is_straight(const struct frame *frame, const struct packet *packet,
                               const struct layers *layers)
{
    struct packet straight;
    struct layers straight_layers;
    memset(&straight, 0xa5, sizeof straight);
    memset(&straight_layers, 0xa5, sizeof straight_layers);
    if (!decode_straight(frame, &straight, &straight_layers))
        return false;
    assert_memory_equal(&straight, packet, sizeof straight);
    assert_memory_equal(&straight_layers, layers, sizeof straight_layers);
    return true;
}

static inline void decode_cut(const struct decoder *decoder, const struct made *made,
                              uint32_t captured_bytes, uint32_t wire_bytes, struct packet *packet,
                              struct layers *layers)
{
    uint8_t *copy = malloc(captured_bytes ? captured_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, made->bytes, captured_bytes);
    struct frame frame = {.bytes = captured_bytes ? copy : copy + 1,
                          .captured_bytes = captured_bytes,
                          .wire_bytes = wire_bytes,
                          .time_ns = 1234567890,
                          .link_type = made->link_type,
                          .interface = "test"};
    memset(packet, 0xa5, sizeof *packet); /* what decoding leaves out shows */
    memset(layers, 0xa5, sizeof *layers);
    decode_frame(decoder, &frame, packet, layers);
    struct decoder nothing = {0};
    if (memcmp(decoder, &nothing, sizeof nothing) == 0)
        is_straight(&frame, packet, layers);
    free(copy);
}

/* As captured with a snap length: the wire length stays. */
static inline void decode_made(const struct decoder *decoder, const struct made *made,
                               uint32_t captured_bytes, struct packet *packet,
                               struct layers *layers)
{
    decode_cut(decoder, made, captured_bytes, made->size, packet, layers);
}

#endif
