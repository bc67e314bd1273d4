#include "capture/decode/decode_walk.h"

/* Sources: RFC 1071 (Internet checksum); RFC 8200, section 8.1 (pseudo-header); RFC 768, 3828, 792,
 * 4443, 9293; RFC 9260, appendix A (CRC32c). What Linux nf_conntrack makes of them. */

enum {
    PSEUDO_HEADER_MAX = 40,
    SUM_IS_RIGHT = 0xffff,
    UDP_LENGTH_AT = 4,
    UDP_CHECKSUM_AT = 6,
    SCTP_CHECKSUM_AT = 8,
};

/* Of words of 32 bits in the machine's order: ones' complement sums do not care. 'size' below
 * 2^32. */
static uint64_t sum_of(const uint8_t *bytes, uint32_t size)
{
    uint64_t sum = 0;
    uint32_t word = 0;
    for (; size >= sizeof word; size -= (uint32_t)sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum += word;
    }
    word = 0;
    if (size)
        memcpy(&word, bytes, size);
    return sum + word;
}

static uint16_t folded(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The pseudo-header's sum; both versions add up the same words. */
static uint64_t pseudo_sum(const struct packet *packet, uint8_t protocol, uint32_t size)
{
    uint8_t header[PSEUDO_HEADER_MAX] = {0};
    memcpy(header, packet->source_address, 16); /* of IPv4 the other 12 are 0 */
    memcpy(header + 16, packet->destination_address, 16);
    uint32_t size_be = __builtin_bswap32(size);
    memcpy(header + 32, &size_be, sizeof size_be);
    header[39] = protocol;
    return sum_of(header, sizeof header);
}

static bool is_sum_right(const struct packet *packet, uint8_t protocol, const uint8_t *bytes,
                         uint32_t size)
{
    return folded(pseudo_sum(packet, protocol, size) + sum_of(bytes, size)) == SUM_IS_RIGHT;
}

/* 0 is none, for IPv6 as well. What is shorter than its header is not judged by its sum. */
static bool udp_is_right(const struct packet *packet, const uint8_t *bytes, uint32_t size)
{
    return size < UDP_HEADER_SIZE || read_be16(bytes + UDP_CHECKSUM_AT) == 0 ||
           is_sum_right(packet, PROTOCOL_UDP, bytes, size);
}

/* Linux takes UDP's number for the pseudo-header, so that what RFC 3828 calls right is wrong to its
 * conntrack; and of IPv4 the lower 8 bits of the length. */
static bool udplite_is_right(const struct packet *packet, const uint8_t *bytes, uint32_t size)
{
    if (size < UDP_HEADER_SIZE)
        return true;
    uint32_t coverage = read_be16(bytes + UDP_LENGTH_AT);
    if (coverage == 0 || coverage > size)
        coverage = size;
    uint32_t stated_size = packet->marks & PACKET_MARK_IPV4 ? size & 0xff : size;
    uint64_t sum = pseudo_sum(packet, PROTOCOL_UDP, stated_size) + sum_of(bytes, coverage);
    return folded(sum) == SUM_IS_RIGHT;
}

/* Four bits at a time: the polynomial 0x1edc6f41, reflected. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, uint32_t size)
{
    static const uint32_t of_nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (uint32_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ of_nibble[crc & 0xf];
        crc = crc >> 4 ^ of_nibble[crc & 0xf];
    }
    return crc;
}

/* Over the packet with zeros in the checksum's place, which is in the order of the CRC's bits. */
static bool sctp_is_right(const uint8_t *bytes, uint32_t size)
{
    if (size < SCTP_HEADER_SIZE)
        return true;
    static const uint8_t zeros[4];
    uint32_t crc = crc32c(UINT32_MAX, bytes, SCTP_CHECKSUM_AT);
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = ~crc32c(crc, bytes + SCTP_HEADER_SIZE, size - SCTP_HEADER_SIZE);
    uint32_t stated;
    memcpy(&stated, bytes + SCTP_CHECKSUM_AT, sizeof stated);
    return crc == stated;
}

bool checksum_is_right(const struct packet *packet, const uint8_t *bytes, uint32_t size)
{
    bool is_ipv6 = packet->marks & PACKET_MARK_IPV6;
    switch (packet->protocol) {
    case PROTOCOL_TCP:
        return is_sum_right(packet, PROTOCOL_TCP, bytes, size);
    case PROTOCOL_UDP:
        return udp_is_right(packet, bytes, size);
    case PROTOCOL_UDPLITE:
        return udplite_is_right(packet, bytes, size);
    case PROTOCOL_ICMP:
        return is_ipv6 || folded(sum_of(bytes, size)) == SUM_IS_RIGHT;
    case PROTOCOL_ICMPV6:
        return !is_ipv6 || is_sum_right(packet, PROTOCOL_ICMPV6, bytes, size);
    case PROTOCOL_SCTP:
        return sctp_is_right(bytes, size);
    default:
        return true;
    }
}

/* Is the header one that its receiver looks behind? */
static bool is_ipv4_header_right(const struct walk *walk)
{
    const uint8_t *header = walk->bytes + walk->ip_at;
    uint32_t header_bytes = (header[0] & 0xfu) * 4;
    bool is_captured = walk->captured_bytes - walk->ip_at >= header_bytes;
    return !is_captured || folded(sum_of(header, header_bytes)) == SUM_IS_RIGHT;
}

void checksum_verify(struct walk *walk)
{
    struct packet *packet = walk->packet;
    if (!packet_is_ip(packet))
        return;
    bool is_ipv4 = packet->marks & PACKET_MARK_IPV4;
    bool is_longer_than_frame = packet->l3_bytes > walk->wire_bytes - walk->ip_at;
    if (is_longer_than_frame || (is_ipv4 && !is_ipv4_header_right(walk)))
        packet->extra |= PACKET_HELD;
    else if (!walk->layers->is_fragment && walk->ip_end - walk->ip_at == packet->l3_bytes &&
             !checksum_is_right(packet, walk->bytes + walk->at, walk->ip_end - walk->at))
        packet->marks |= PACKET_MARK_BAD_CHECKSUM;
}
