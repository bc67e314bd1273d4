/* fuzz_decode: any bytes as a frame, through decoder, fragment table, tag and packed form.
 *
 *     offset size  input
 *          0    1  link type, by its place in the list below; bit 6: checksums are verified
 *          1    1  bits 0-3: carriers to unwrap; bits 4-7: bits of the wire length
 *          2    2  what the wire held more than the capture, little-endian
 *          4       the frame
 *
 * Checks what holds for every frame; a sanitizer looks for reads behind its end. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/decode/decode_walk.h"
#include "capture/fragment.h"
#include "capture/frame.h"
#include "proto/rss.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEAD_SIZE = 4, FRAGMENTS_MAX = 4, FRAMES_N = 3 };

static const int32_t link_types[] = {
    LINK_ETHERNET, LINK_NULL,      LINK_PPP,  LINK_PPP_HDLC, LINK_PPP_ETHER,  LINK_RAW, LINK_C_HDLC,
    LINK_LOOP,     LINK_LINUX_SLL, LINK_IPV4, LINK_IPV6,     LINK_LINUX_SLL2, 12,       127,
};

struct fuzz {
    struct rss rss;
    struct decoder decoder;
    unsigned n_out;
};

static void check_packed(const struct packet *packet)
{
    uint8_t room[PACKET_SIZE_MAX];
    struct packet back;
    size_t used;
    size_t size = packet_encode(packet, room);
    assert(packet_decode(room, size, &back, &used) == PACKET_DECODED && used == size);
    back.parts &= PACKET_PART_TCP | PACKET_PART_ICMP | PACKET_PART_INNER | PACKET_PART_SCTP;
    assert(memcmp(packet, &back, offsetof(struct packet, inner)) == 0);
    if (packet->parts & PACKET_PART_INNER) /* it is the last, and says nothing without its part */
        assert(memcmp(&packet->inner, &back.inner, sizeof back.inner) == 0);
}

static void on_packet(void *state, struct packet *packet)
{
    struct fuzz *fuzz = state;
    fuzz->n_out++;
    packet->rss = rss_tag(&fuzz->rss, packet);
    check_packed(packet);
}

static void check_packet(const struct fuzz *fuzz, const struct frame *frame,
                         const struct packet *packet)
{
    const struct decoder *decoder = &fuzz->decoder;
    bool may_unwrap = decoder->unwrap_erspan || decoder->unwrap_gre || decoder->unwrap_tzsp ||
                      decoder->unwrap_vxlan;
    assert(may_unwrap ? packet->l2_bytes <= frame->wire_bytes
                      : packet->l2_bytes == frame->wire_bytes);
    assert(packet->time_ns == frame->time_ns);
    assert(packet_is_ip(packet) ==
           (packet->class_index == CLASS_CONNECTION || packet->class_index == CLASS_ICMP_ERROR ||
            packet->class_index == CLASS_NO_PORTS));
    assert(packet_is_ip(packet) == (packet->l3_bytes > 0));
    assert((packet->class_index == CLASS_MALFORMED) <= (packet->malformed_cause != MALFORMED_NONE));
    if (packet->marks & PACKET_MARK_LATER_FRAGMENT)
        assert(!(packet->marks & (PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_PORTS)));
    if (packet->class_index == CLASS_NO_PORTS)
        assert(!(packet->marks & PACKET_MARK_PORTS));
}

/* The straight way comes to what the long one comes to. */
static void check_both_ways(const struct frame *frame)
{
    static const struct decoder plain;
    struct packet straight, packet;
    struct layers straight_layers, layers;
    memset(&straight_layers, 0, sizeof straight_layers);
    memset(&layers, 0, sizeof layers);
    if (!decode_straight(frame, &straight, &straight_layers))
        return;
    decode_long(&plain, frame, &packet, &layers);
    assert(memcmp(&straight, &packet, sizeof packet) == 0);
    assert(memcmp(&straight_layers, &layers, sizeof layers) == 0);
}

static void count_frame(struct fuzz *fuzz, const struct frame *frame, struct fragment_table *table)
{
    struct packet packet;
    struct layers layers;
    decode_frame(&fuzz->decoder, frame, &packet, &layers);
    check_packet(fuzz, frame, &packet);
    check_both_ways(frame);
    packet.clock_ns = frame->time_ns;
    if (layers.is_fragment)
        fragment_table_add(table, &packet, &layers, 0);
    else
        on_packet(fuzz, &packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < HEAD_SIZE || size > 65536)
        return 0;
    static struct fuzz fuzz;
    static bool is_ready;
    if (!is_ready)
        rss_init(&fuzz.rss, rss_key_microsoft);
    is_ready = true;
    fuzz.n_out = 0;
    fuzz.decoder = (struct decoder){
        .unwrap_erspan = bytes[1] & 1,
        .unwrap_tzsp = bytes[1] & 2,
        .unwrap_vxlan = bytes[1] & 4,
        .unwrap_gre = bytes[1] & 8,
        .tzsp_port = 37008,
        .vxlan_port = 4789,
        .verifies_checksums = bytes[0] & 0x40,
    };
    uint32_t more = (uint32_t)bytes[2] | (uint32_t)bytes[3] << 8;
    uint32_t captured = (uint32_t)(size - HEAD_SIZE);
    struct frame frame = {
        .bytes = bytes + HEAD_SIZE,
        .captured_bytes = captured,
        .wire_bytes = captured + (more << (bytes[1] >> 4)),
        .link_type = link_types[bytes[0] % (sizeof link_types / sizeof *link_types)],
        .interface = "fuzz",
    };

    /* The frame, the same without its end, and the frame again: fragments find each other. */
    struct fragment_table *table;
    static const struct config config = {
        .capture = {.fragments_max = FRAGMENTS_MAX, .fragment_timeout_ns = 1},
        .conntrack = {.ipfrag_time_ns = 1, .frag6_timeout_ns = 1, .fragment_memory_bytes = 1 << 18},
    };
    if (fragment_table_create(&config, &fuzz.decoder, on_packet, &fuzz, &table) < 0)
        return 0;
    count_frame(&fuzz, &frame, table);
    frame.captured_bytes -= captured / 4;
    frame.time_ns++;
    count_frame(&fuzz, &frame, table);
    frame.captured_bytes = captured;
    frame.time_ns += bytes[0] & 0x80 ? 2 : 0;
    count_frame(&fuzz, &frame, table);
    fragment_table_flush(table);
    fragment_table_destroy(table);
    assert(fuzz.n_out == FRAMES_N);
    return 0;
}
