#include "tracker/link.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/overhead.h"
#include "common/overhead/header_compression.h"
#include "proto/model.h"
#include "tracker/vj.h"

enum {
    PARTS = 64,
    SHORT_MAX = 2048,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP_HEADER = 20,
    UDP_HEADER = 8
};

/* One direction of a WAN. */
struct link {
    struct overhead model;
    bool is_plain;      /* the model alone decides */
    uint16_t plain_max; /* L3 bytes up to which it does of every packet, and 'billed' has a place */
    uint16_t mtu;       /* 0: not known */
    uint32_t unit;      /* 64ths of a byte that the model's parts are; 64: it costs whole bytes */
    const struct header_compression *estimate;
    struct vj *vj;
    uint16_t billed[SHORT_MAX]; /* bytes, by L3 bytes, of a plain link; 0: not reckoned yet */
};

struct link_table {
    struct link *links; /* by WAN (0: none) and direction */
    size_t n_wans;
};

/* ---- open, close ---- */

/* Packets of no direction are on no link: nothing compresses them. */
static int make_compression(struct link *link, unsigned direction)
{
    for (unsigned i = 0; i < 2 && direction != DIRECTION_NONE; i++) {
        const struct overhead_step *step = &link->model.steps[i];
        if (step->operation == OVERHEAD_ESTIMATE)
            link->estimate = header_compression_get(step->a);
        if (step->operation != OVERHEAD_VJ)
            continue;
        link->vj = malloc(sizeof *link->vj);
        if (!link->vj)
            return -ENOMEM;
        vj_init(link->vj, (unsigned)step->a, step->b != 0);
    }
    return 0;
}

static int make_link(const struct config *config, uint16_t wan, unsigned direction,
                     struct link *link)
{
    if (!overhead_make(model_of(config, wan, direction), &link->model))
        return -EINVAL;
    link->mtu = wan ? (uint16_t)config->wans[wan - 1].mtu : 0;
    int result = make_compression(link, direction);
    uint32_t parts = overhead_parts(&link->model);
    if (parts > PARTS || PARTS % parts != 0)
        return -EINVAL; /* config_check() refuses it */
    link->unit = PARTS / parts;
    link->is_plain = !link->vj && !link->estimate && link->unit == PARTS;
    if (link->is_plain)
        link->plain_max = link->mtu && link->mtu < SHORT_MAX ? link->mtu : SHORT_MAX - 1;
    return result;
}

int link_table_create(const struct config *config, struct link_table **out)
{
    struct link_table *links = calloc(1, sizeof *links);
    if (!links)
        return -ENOMEM;
    links->n_wans = config->n_wans + 1;
    links->links = calloc(links->n_wans * DIRECTION_N, sizeof *links->links);
    int result = links->links ? 0 : -ENOMEM;
    for (uint16_t wan = 0; result == 0 && wan < links->n_wans; wan++)
        for (unsigned direction = 0; result == 0 && direction < DIRECTION_N; direction++)
            result =
                make_link(config, wan, direction, &links->links[wan * DIRECTION_N + direction]);
    if (result < 0) {
        link_table_destroy(links);
        return result;
    }
    *out = links;
    return 0;
}

void link_table_destroy(struct link_table *links)
{
    if (!links)
        return;
    for (size_t wan = 0; links->links && wan < links->n_wans; wan++)
        for (unsigned direction = 0; direction < DIRECTION_N; direction++)
            free(links->links[wan * DIRECTION_N + direction].vj);
    free(links->links);
    free(links);
}

/* ---- from one tracker to the next ---- */

void link_table_write(const struct link_table *links, struct memory *memory)
{
    for (size_t wan = 0; wan < links->n_wans; wan++)
        for (unsigned direction = 0; direction < DIRECTION_N; direction++)
            if (links->links[wan * DIRECTION_N + direction].vj)
                vj_write(links->links[wan * DIRECTION_N + direction].vj, memory);
}

bool link_table_read(struct link_table *links, struct memory_reader *reader)
{
    for (size_t wan = 0; wan < links->n_wans; wan++)
        for (unsigned direction = 0; direction < DIRECTION_N; direction++)
            if (links->links[wan * DIRECTION_N + direction].vj &&
                !vj_read(links->links[wan * DIRECTION_N + direction].vj, reader))
                return false;
    return true;
}

/* ---- packets that are several ---- */

static uint32_t ip_header_of(const struct packet *packet)
{
    return packet->marks & PACKET_MARK_IPV6 ? IPV6_HEADER : IPV4_HEADER;
}

/* The largest packet that the link and the receiver take; 0: not known. */
static uint32_t packet_max(const struct link *link, const struct packet *packet,
                           const struct link_flow *flow)
{
    uint32_t max = link->mtu;
    if (packet->parts & PACKET_PART_TCP && flow && flow->receiver_mss) {
        uint32_t by_mss = ip_header_of(packet) + TCP_HEADER + flow->receiver_mss;
        max = max && max < by_mss ? max : by_mss;
    }
    return max;
}

/* Headers that each segment repeats; 0: the packet is not one that offloading merges. */
static uint32_t segment_header(const struct packet *packet)
{
    bool is_fragment = packet->marks & (PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_LATER_FRAGMENT);
    if (is_fragment)
        return 0;
    if (packet->parts & PACKET_PART_TCP && packet->tcp.payload_bytes < UINT16_MAX)
        return packet->l3_bytes - packet->tcp.payload_bytes;
    if (packet->parts & PACKET_PART_TCP)
        return ip_header_of(packet) + TCP_HEADER;
    return packet->protocol == IPPROTO_UDP ? ip_header_of(packet) + UDP_HEADER : 0;
}

/* As the segments that it was before the capturing machine merged them. */
static uint64_t segments_parts(const struct overhead *model, uint32_t l3_bytes, uint32_t header,
                               uint32_t max)
{
    uint32_t payload = l3_bytes - header, each = max - header;
    uint32_t n_full = (payload - 1) / each;
    return n_full * overhead_billed_parts(model, max) +
           overhead_billed_parts(model, header + payload - n_full * each);
}

/* ---- charging ---- */

static uint32_t compressed_bytes(struct link *link, const struct packet *packet,
                                 const struct link_flow *flow)
{
    if (link->vj && packet->header_bytes)
        return vj_bytes(link->vj, packet->header, packet->header_bytes, packet->l3_bytes);
    bool is_part = packet->marks & (PACKET_MARK_FIRST_FRAGMENT | PACKET_MARK_LATER_FRAGMENT);
    if (link->estimate && flow && !is_part && packet->protocol == IPPROTO_UDP)
        return header_compression_bytes(link->estimate, flow->n_before,
                                        packet->marks & PACKET_MARK_IPV6 ? 6 : 4, packet->l3_bytes);
    return packet->l3_bytes;
}

static struct link *link_of(const struct link_table *links, const struct packet *packet)
{
    assert(packet->wan < links->n_wans);
    return &links->links[packet->wan * DIRECTION_N + packet->direction];
}

bool link_table_remembers(const struct link_table *links, const struct packet *packet)
{
    const struct link *link = link_of(links, packet);
    return link->estimate || link->unit != PARTS;
}

/* Whole bytes; what is less is carried to the flow's next packet. */
static uint64_t whole_bytes(const struct link *link, uint64_t parts, const struct link_flow *flow)
{
    uint8_t *rest = flow ? flow->rest_64ths : NULL;
    uint64_t all = parts * link->unit + (rest ? *rest : 0);
    if (rest)
        *rest = (uint8_t)(all % PARTS);
    return all / PARTS;
}

static __attribute__((noinline)) uint64_t reckon_plain(struct link *link, uint32_t l3_bytes)
{
    uint64_t billed_bytes = overhead_billed_parts(&link->model, l3_bytes);
    if (l3_bytes < SHORT_MAX && billed_bytes <= UINT16_MAX)
        link->billed[l3_bytes] = (uint16_t)billed_bytes;
    return billed_bytes;
}

/* By the model alone. */
static inline uint64_t plain_bytes(struct link *link, uint32_t l3_bytes)
{
    if (l3_bytes < SHORT_MAX && link->billed[l3_bytes])
        return link->billed[l3_bytes];
    return reckon_plain(link, l3_bytes);
}

/* Longer than no packet of the link, or to the receiver, can be; without a look at its headers. */
static bool may_be_merged(const struct link *link, const struct packet *packet,
                          uint16_t receiver_mss)
{
    bool is_beyond_mtu = link->mtu && packet->l3_bytes > link->mtu;
    return is_beyond_mtu ||
           (receiver_mss && packet->l3_bytes > (uint32_t)IPV4_HEADER + TCP_HEADER + receiver_mss);
}

/* Not reckoned yet, or long. */
static __attribute__((noinline)) bool charge_plain_slowly(struct link *link,
                                                          const struct packet *packet,
                                                          uint16_t receiver_mss,
                                                          uint64_t *billed_bytes)
{
    if (!link->is_plain || may_be_merged(link, packet, receiver_mss))
        return false;
    *billed_bytes = plain_bytes(link, packet->l3_bytes);
    return true;
}

bool link_table_charge_plain(struct link_table *links, const struct packet *packet,
                             uint16_t receiver_mss, uint64_t *billed_bytes)
{
    struct link *link = link_of(links, packet);
    uint32_t l3_bytes = packet->l3_bytes;
    bool is_within = !receiver_mss || l3_bytes <= (uint32_t)IPV4_HEADER + TCP_HEADER + receiver_mss;
    if (l3_bytes > link->plain_max || !is_within || !link->billed[l3_bytes])
        return charge_plain_slowly(link, packet, receiver_mss, billed_bytes);
    *billed_bytes = link->billed[l3_bytes];
    return true;
}

void link_table_charge(struct link_table *links, const struct packet *packet,
                       const struct link_flow *flow, struct link_charge *charge)
{
    struct link *link = link_of(links, packet);
    uint32_t l3_bytes = packet->l3_bytes;
    uint32_t max = packet_max(link, packet, flow);
    uint32_t header = max && l3_bytes > max ? segment_header(packet) : 0;
    charge->is_merged = header > 0 && header < max;
    if (link->is_plain && !charge->is_merged) { /* nearly all are */
        charge->billed_bytes = plain_bytes(link, l3_bytes);
        return;
    }
    uint64_t parts;
    if (charge->is_merged)
        parts = segments_parts(&link->model, l3_bytes, header, max);
    else
        parts = overhead_billed_parts(&link->model, compressed_bytes(link, packet, flow));
    charge->billed_bytes = link->unit == PARTS ? parts : whole_bytes(link, parts, flow);
}

void link_table_observe(struct link_table *links, const struct packet *packet)
{
    struct link *link = link_of(links, packet);
    if (link->vj && packet->header_bytes)
        vj_bytes(link->vj, packet->header, packet->header_bytes, packet->l3_bytes);
}
