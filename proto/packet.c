#include "proto/packet.h"

#include <assert.h>
#include <string.h>

enum {
    OFFSET_PARTS = 24,
    OFFSET_CLASS = 27,
    OFFSET_LABEL_AND_L2 = offsetof(struct packet, flow_label), /* of struct packet: 8 bytes */
    OFFSET_ADDRESSES = 32, /* up to here, the base and struct packet are the same */
    CLASS_MASK = 0xf,
    EXTENSION_MARK = 1 << 4,
    DIRECTION_SHIFT = 5,
    DIRECTION_MASK = 0x3,
    INVALID_SHIFT = 7,
    IPV6_SIZE = 32,
    TCP_SIZE = 20,
    SCTP_SIZE = 20,
    ICMP_SIZE = 4,
    INNER_SIZE = 40,
    CLOCK_SIZE = 8,
    LABEL_SIZE = 4,
    L2_SIZE = 4,
    SELDOM_PARTS = PACKET_PART_ICMP | PACKET_PART_INNER | PACKET_PART_CLOCK | PACKET_PART_LABEL |
                   PACKET_PART_L2 | PACKET_PART_SCTP,
    PARTS_SIZE_MAX = PACKET_BASE_SIZE + IPV6_SIZE + TCP_SIZE + SCTP_SIZE + ICMP_SIZE + INNER_SIZE +
                     CLOCK_SIZE + LABEL_SIZE + L2_SIZE,
};

static_assert(sizeof(struct packet_tcp) == TCP_SIZE, "packed as it is");
static_assert(sizeof(struct packet_sctp) == SCTP_SIZE, "packed as it is");
static_assert(sizeof(struct packet_inner) == INNER_SIZE, "packed as it is");
static_assert(offsetof(struct packet, time_ns) == 0 && offsetof(struct packet, l2_bytes) == 8 &&
                  offsetof(struct packet, source_port) == 20 &&
                  offsetof(struct packet, parts) == OFFSET_PARTS &&
                  offsetof(struct packet, class_index) == OFFSET_CLASS &&
                  offsetof(struct packet, wan) == 30 &&
                  offsetof(struct packet, source_address) == OFFSET_ADDRESSES,
              "begins as the base does");
static_assert(offsetof(struct packet, l2_account) == OFFSET_LABEL_AND_L2 + LABEL_SIZE &&
                  offsetof(struct packet, wan_match) == OFFSET_LABEL_AND_L2 + LABEL_SIZE + 3,
              "looked at in one piece");
static_assert(CLASS_N <= CLASS_MASK + 1, "the class has four bits");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are copied as they are");

static const char *const class_names[CLASS_N] = {
    [CLASS_CONNECTION] = "connection", [CLASS_ARP] = "arp",
    [CLASS_NON_IP] = "non_ip",         [CLASS_MALFORMED] = "malformed",
    [CLASS_ICMP_ERROR] = "icmp_error", [CLASS_FRAG_ORPHAN] = "frag_orphan",
    [CLASS_NO_PORTS] = "no_ports",     [CLASS_OVERFLOW] = "overflow",
    [CLASS_DUPLICATE] = "duplicate",   [CLASS_BAD_TIME] = "bad_time",
};

static const char *const direction_names[DIRECTION_N] = {"none", "up", "down"};

static const char *const cause_names[MALFORMED_CAUSE_N] = {
    [MALFORMED_NONE] = "none",
    [MALFORMED_LINK_HEADER] = "link_header",
    [MALFORMED_LINK_DEPTH] = "link_depth",
    [MALFORMED_IP_VERSION] = "ip_version",
    [MALFORMED_IP_HEADER] = "ip_header",
    [MALFORMED_IP_LENGTH] = "ip_length",
};

const char *packet_class_name(unsigned class_index)
{
    return class_index < CLASS_N ? class_names[class_index] : "unknown";
}

const char *direction_name(unsigned direction)
{
    return direction < DIRECTION_N ? direction_names[direction] : "unknown";
}

const char *malformed_cause_name(unsigned cause)
{
    return cause < MALFORMED_CAUSE_N ? cause_names[cause] : "unknown";
}

static size_t size_of_parts(uint8_t parts)
{
    size_t size = PACKET_BASE_SIZE;
    size += parts & PACKET_PART_IPV6 ? IPV6_SIZE : 0;
    size += parts & PACKET_PART_TCP ? TCP_SIZE : 0;
    size += parts & PACKET_PART_SCTP ? SCTP_SIZE : 0;
    size += parts & PACKET_PART_ICMP ? ICMP_SIZE : 0;
    size += parts & PACKET_PART_INNER ? INNER_SIZE : 0;
    size += parts & PACKET_PART_CLOCK ? CLOCK_SIZE : 0;
    size += parts & PACKET_PART_LABEL ? LABEL_SIZE : 0;
    size += parts & PACKET_PART_L2 ? L2_SIZE : 0;
    return size;
}

static size_t padded(size_t size)
{
    return (size + 3) / 4 * 4;
}

static size_t size_of_extension(size_t header_bytes, size_t payload_bytes)
{
    return PACKET_EXTENSION_SIZE + padded(header_bytes) + padded(payload_bytes);
}

size_t packet_encoded_size(const uint8_t *base)
{
    size_t size = size_of_parts(base[OFFSET_PARTS]);
    if (!(base[OFFSET_CLASS] & EXTENSION_MARK))
        return size;
    uint16_t payload_bytes, header_bytes;
    memcpy(&payload_bytes, base + PACKET_BASE_SIZE + 2, sizeof payload_bytes);
    memcpy(&header_bytes, base + PACKET_BASE_SIZE + 8, sizeof header_bytes);
    return size + size_of_extension(header_bytes, payload_bytes);
}

static inline bool has_extension(const struct packet *packet)
{
    return (packet->extra | packet->payload_bytes | packet->datagram_bytes | packet->header_bytes |
            packet->fingerprint) != 0;
}

/* The parts that a packet's fields ask for. Without branches: most ask for none of these. */
static inline uint8_t needed_parts(const struct packet *packet)
{
    bool has_clock = packet->clock_ns != packet->time_ns;
    bool has_label = packet->flow_label != 0;
    bool has_l2 = (packet->l2_account | packet->malformed_cause | packet->wan_match) != 0;
    unsigned is_asked =
        packet->parts & (PACKET_PART_TCP | PACKET_PART_ICMP | PACKET_PART_INNER | PACKET_PART_SCTP);
    return (uint8_t)(is_asked | (packet->marks & PACKET_MARK_IPV6 ? PACKET_PART_IPV6 : 0) |
                     (has_clock ? PACKET_PART_CLOCK : 0) | (has_label ? PACKET_PART_LABEL : 0) |
                     (has_l2 ? PACKET_PART_L2 : 0));
}

static uint8_t *put(uint8_t *room, const void *field, size_t size)
{
    memcpy(room, field, size);
    return room + size;
}

static const uint8_t *get(const uint8_t *bytes, void *field, size_t size)
{
    memcpy(field, bytes, size);
    return bytes + size;
}

/* Zeros after it, up to a multiple of 4. */
static uint8_t *put_padded(uint8_t *room, const uint8_t *bytes, size_t size)
{
    if (size)
        memcpy(room, bytes, size);
    memset(room + size, 0, padded(size) - size);
    return room + padded(size);
}

static uint8_t *put_extension(uint8_t *room, const struct packet *packet)
{
    assert(packet->payload_bytes <= PACKET_PAYLOAD_MAX);
    assert(packet->header_bytes <= PACKET_HEADER_MAX);
    uint8_t *at = room;
    at = put(at, &packet->extra, 2);
    at = put(at, &packet->payload_bytes, 2);
    at = put(at, &packet->datagram_bytes, 4);
    at = put(at, &packet->header_bytes, 2);
    *at++ = 0;
    *at++ = 0;
    at = put(at, &packet->fingerprint, 8);
    at = put_padded(at, packet->header, packet->header_bytes);
    return put_padded(at, packet->payload, packet->payload_bytes);
}

/* NULL: an extension that cannot be. Header and payload stay where they are. */
static __attribute__((noinline)) const uint8_t *get_extension(const uint8_t *bytes,
                                                              struct packet *packet)
{
    const uint8_t *at = bytes;
    at = get(at, &packet->extra, 2);
    at = get(at, &packet->payload_bytes, 2);
    at = get(at, &packet->datagram_bytes, 4);
    at = get(at, &packet->header_bytes, 2) + 2;
    at = get(at, &packet->fingerprint, 8);
    packet->header = packet->header_bytes ? at : NULL;
    packet->payload = packet->payload_bytes ? at + padded(packet->header_bytes) : NULL;
    bool is_valid = packet->payload_bytes <= PACKET_PAYLOAD_MAX &&
                    packet->header_bytes <= PACKET_HEADER_MAX &&
                    !(packet->extra & ~(unsigned)PACKET_EXTRA_ALL) && has_extension(packet);
    return is_valid ? bytes + size_of_extension(packet->header_bytes, packet->payload_bytes) : NULL;
}

/* What every packet has; the addresses are IPv4's. */
static inline uint8_t *put_base(uint8_t *room, const struct packet *packet, uint8_t parts)
{
    uint8_t *at = room;
    at = put(at, &packet->time_ns, 8);
    at = put(at, &packet->l2_bytes, 4);
    at = put(at, &packet->l3_bytes, 4);
    at = put(at, &packet->rss, 4);
    at = put(at, &packet->source_port, 2);
    at = put(at, &packet->destination_port, 2);
    *at++ = parts;
    *at++ = packet->marks;
    *at++ = packet->protocol;
    *at++ = (uint8_t)(packet->class_index | (unsigned)packet->direction << DIRECTION_SHIFT |
                      (unsigned)packet->is_invalid << INVALID_SHIFT);
    at = put(at, &packet->zone, 2);
    at = put(at, &packet->wan, 2);
    at = put(at, packet->source_address, 4);
    return put(at, packet->destination_address, 4);
}

/* What only some packets have. */
static __attribute__((noinline)) uint8_t *put_rest(uint8_t *room, const struct packet *packet,
                                                   uint8_t parts)
{
    uint8_t *at = room + PACKET_BASE_SIZE;
    if (parts & PACKET_PART_IPV6)
        memset(at - 8, 0, 8);
    if (has_extension(packet)) {
        room[OFFSET_CLASS] |= EXTENSION_MARK;
        at = put_extension(at, packet);
    }
    if (parts & PACKET_PART_IPV6) {
        at = put(at, packet->source_address, 16);
        at = put(at, packet->destination_address, 16);
    }
    if (parts & PACKET_PART_TCP)
        at = put(at, &packet->tcp, TCP_SIZE);
    if (parts & PACKET_PART_ICMP) {
        *at++ = packet->icmp_type;
        *at++ = packet->icmp_code;
        *at++ = 0;
        *at++ = 0;
    }
    if (parts & PACKET_PART_INNER)
        at = put(at, &packet->inner, INNER_SIZE);
    if (parts & PACKET_PART_CLOCK)
        at = put(at, &packet->clock_ns, 8);
    if (parts & PACKET_PART_LABEL)
        at = put(at, &packet->flow_label, 4);
    if (parts & PACKET_PART_L2) {
        at = put(at, &packet->l2_account, 2);
        *at++ = packet->malformed_cause;
        *at++ = packet->wan_match;
    }
    if (parts & PACKET_PART_SCTP)
        at = put(at, &packet->sctp, SCTP_SIZE);
    return at;
}

/* Nothing but base and TCP, as most packets are. */
static inline bool is_plain(const struct packet *packet)
{
    const unsigned others = PACKET_PART_ICMP | PACKET_PART_INNER | PACKET_PART_SCTP;
    uint64_t label_and_l2;
    memcpy(&label_and_l2, (const uint8_t *)packet + OFFSET_LABEL_AND_L2, sizeof label_and_l2);
    return ((packet->parts & others) | (packet->marks & PACKET_MARK_IPV6) | label_and_l2 |
            (uint64_t)(packet->clock_ns ^ packet->time_ns) | has_extension(packet)) == 0;
}

/* A plain one's TCP part is written in any case, and counted where there is one: no branch. */
size_t packet_encode(const struct packet *packet, uint8_t *room)
{
    if (is_plain(packet)) {
        uint8_t parts = packet->parts & PACKET_PART_TCP;
        uint8_t *at = put_base(room, packet, parts);
        memcpy(at, &packet->tcp, TCP_SIZE);
        return parts ? PACKET_BASE_SIZE + TCP_SIZE : PACKET_BASE_SIZE;
    }
    uint8_t parts = needed_parts(packet);
    put_base(room, packet, parts);
    return (size_t)(put_rest(room, packet, parts) - room);
}

/* The bytes of the base that say what is in the descriptor. */
struct base {
    uint8_t parts, marks, class_index, direction, is_invalid;
    bool is_extended;
};

static inline struct base read_base(const uint8_t *bytes)
{
    uint8_t shared = bytes[OFFSET_CLASS];
    return (struct base){
        .parts = bytes[OFFSET_PARTS],
        .marks = bytes[OFFSET_PARTS + 1],
        .class_index = shared & CLASS_MASK,
        .direction = (shared >> DIRECTION_SHIFT) & DIRECTION_MASK,
        .is_invalid = shared >> INVALID_SHIFT,
        .is_extended = shared & EXTENSION_MARK,
    };
}

static inline bool is_valid_base(const struct base *base)
{
    const unsigned versions = PACKET_MARK_IPV4 | PACKET_MARK_IPV6;
    const unsigned transports = PACKET_PART_TCP | PACKET_PART_SCTP;
    bool ipv6_agrees = !(base->marks & PACKET_MARK_IPV6) == !(base->parts & PACKET_PART_IPV6);
    return base->class_index < CLASS_N && base->direction < DIRECTION_N && ipv6_agrees &&
           (base->marks & versions) != versions && (base->parts & transports) != transports;
}

static bool is_valid_sctp(const struct packet_sctp *sctp)
{
    if (sctp->n_chunks > SCTP_CHUNKS_MAX)
        return false;
    for (unsigned i = 0; i < sctp->n_chunks; i++)
        if ((sctp->chunks[i] & SCTP_CHUNK_MASK) >= SCTP_CHUNK_N)
            return false;
    return true;
}

static inline void get_base(const uint8_t *bytes, const struct base *base, struct packet *packet)
{
    const size_t seldom = offsetof(struct packet, clock_ns);
    memset((uint8_t *)packet + seldom, 0, offsetof(struct packet, tcp) - seldom);
    memcpy(packet, bytes, OFFSET_ADDRESSES);
    memcpy(&packet->clock_ns, bytes, sizeof packet->clock_ns); /* the time, but for a part */
    packet->class_index = base->class_index;
    packet->direction = base->direction;
    packet->is_invalid = base->is_invalid;
}

static inline void get_ipv4(const uint8_t *bytes, uint8_t *address)
{
    uint32_t first;
    memcpy(&first, bytes, sizeof first);
    const uint64_t whole[2] = {first, 0};
    memcpy(address, whole, sizeof whole);
}

/* In the order of their bits. NULL: invalid. */
static __attribute__((noinline)) const uint8_t *get_seldom(const uint8_t *at, struct packet *packet)
{
    if (packet->parts & PACKET_PART_ICMP) {
        packet->icmp_type = at[0];
        packet->icmp_code = at[1];
        at += ICMP_SIZE;
    }
    if (packet->parts & PACKET_PART_INNER)
        at = get(at, &packet->inner, INNER_SIZE);
    if (packet->parts & PACKET_PART_CLOCK)
        at = get(at, &packet->clock_ns, 8);
    if (packet->parts & PACKET_PART_LABEL)
        at = get(at, &packet->flow_label, 4);
    if (packet->parts & PACKET_PART_L2) {
        at = get(at, &packet->l2_account, 2);
        packet->malformed_cause = *at++;
        packet->wan_match = *at++;
    }
    if (packet->parts & PACKET_PART_SCTP) {
        at = get(at, &packet->sctp, SCTP_SIZE);
        if (!is_valid_sctp(&packet->sctp))
            return NULL;
    }
    return at;
}

/* Asked only of what is extended, or near the end of what there is. */
static __attribute__((noinline)) bool is_truncated(const uint8_t *bytes, size_t size,
                                                   bool is_extended)
{
    if (is_extended && size < PACKET_BASE_SIZE + PACKET_EXTENSION_SIZE)
        return true;
    return size < packet_encoded_size(bytes);
}

/* Is it as nearly all are: IPv4 in a connection, with or without TCP's part, and nothing else? All
 * that says so lies in one word, so one comparison stands for the checks of decode_any(). */
static inline bool is_straight(uint32_t word)
{
    const uint32_t parts = 0xff & ~PACKET_PART_TCP;
    const uint32_t marks = PACKET_MARK_IPV4 | PACKET_MARK_IPV6;
    const uint32_t shared = CLASS_MASK | EXTENSION_MARK | 1 << INVALID_SHIFT;
    const uint32_t direction = word >> (24 + DIRECTION_SHIFT) & DIRECTION_MASK;
    return (word & (parts | marks << 8 | shared << 24)) ==
               ((uint32_t)PACKET_MARK_IPV4 << 8 | (uint32_t)CLASS_CONNECTION << 24) &&
           direction < DIRECTION_N;
}

static inline size_t decode_straight(const uint8_t *bytes, uint32_t word, struct packet *packet)
{
    const size_t seldom = offsetof(struct packet, clock_ns);
    memset((uint8_t *)packet + seldom, 0, offsetof(struct packet, tcp) - seldom);
    memcpy(packet, bytes, OFFSET_ADDRESSES);
    memcpy(&packet->clock_ns, bytes, sizeof packet->clock_ns);
    packet->class_index = CLASS_CONNECTION;
    packet->direction = (uint8_t)(word >> (24 + DIRECTION_SHIFT));
    get_ipv4(bytes + OFFSET_ADDRESSES, packet->source_address);
    get_ipv4(bytes + OFFSET_ADDRESSES + 4, packet->destination_address);
    if (word & PACKET_PART_TCP) {
        memcpy(&packet->tcp, bytes + PACKET_BASE_SIZE, TCP_SIZE);
        return PACKET_BASE_SIZE + TCP_SIZE;
    }
    memset(&packet->tcp, 0, sizeof packet->tcp);
    return PACKET_BASE_SIZE;
}

static __attribute__((noinline)) enum packet_decode_result
decode_any(const uint8_t *bytes, size_t size, struct packet *packet, size_t *used)
{
    if (size < PACKET_BASE_SIZE)
        return PACKET_TRUNCATED;
    const struct base base = read_base(bytes);
    if ((base.is_extended || size < PARTS_SIZE_MAX) && is_truncated(bytes, size, base.is_extended))
        return PACKET_TRUNCATED;
    if (!is_valid_base(&base))
        return PACKET_INVALID;

    get_base(bytes, &base, packet);
    const uint8_t *at = bytes + PACKET_BASE_SIZE;
    if (base.is_extended && !(at = get_extension(at, packet)))
        return PACKET_INVALID;
    if (base.parts & PACKET_PART_IPV6) {
        at = get(at, packet->source_address, 16);
        at = get(at, packet->destination_address, 16);
    } else {
        get_ipv4(bytes + OFFSET_ADDRESSES, packet->source_address);
        get_ipv4(bytes + OFFSET_ADDRESSES + 4, packet->destination_address);
    }
    if (base.parts & PACKET_PART_TCP)
        at = get(at, &packet->tcp, TCP_SIZE);
    else
        memset(&packet->tcp, 0, sizeof packet->tcp);
    if (base.parts & SELDOM_PARTS && !(at = get_seldom(at, packet)))
        return PACKET_INVALID;
    *used = (size_t)(at - bytes);
    return PACKET_DECODED;
}

enum packet_decode_result packet_decode(const uint8_t *bytes, size_t size, struct packet *packet,
                                        size_t *used)
{
    uint32_t word;
    if (size >= PACKET_BASE_SIZE + TCP_SIZE) {
        memcpy(&word, bytes + OFFSET_PARTS, sizeof word);
        if (is_straight(word)) {
            *used = decode_straight(bytes, word, packet);
            return PACKET_DECODED;
        }
    }
    return decode_any(bytes, size, packet, used);
}
