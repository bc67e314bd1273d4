#include "capture/decode/decode_walk.h"

/* What an SCTP packet says to a connection tracker: its tag, and its chunks in order as far as they
 * change an association's state. Source: RFC 9260, sections 3.1 to 3.3; which compositions are
 * impossible: Linux nf_conntrack_proto_sctp.c. */

enum {
    TAG_AT = 4,
    CHUNK_HEADER_SIZE = 4,
    INIT_TAG_AT = 4,
    INIT_SIZE = 20,
    TYPE_DATA = 0,
    TYPE_MAX = 14,
    NO_STATE = SCTP_CHUNK_N,
};

static unsigned chunk_of_type(uint8_t type)
{
    static const uint8_t chunks[TYPE_MAX + 1] = {
        NO_STATE,   SCTP_INIT,        SCTP_INIT_ACK,
        NO_STATE,   SCTP_HEARTBEAT,   SCTP_HEARTBEAT_ACK,
        SCTP_ABORT, SCTP_SHUTDOWN,    SCTP_SHUTDOWN_ACK,
        SCTP_ERROR, SCTP_COOKIE_ECHO, SCTP_COOKIE_ACK,
        NO_STATE,   NO_STATE,         SCTP_SHUTDOWN_COMPLETE,
    };
    return type <= TYPE_MAX ? chunks[type] : (unsigned)NO_STATE;
}

static bool must_be_alone(unsigned chunk)
{
    return chunk == SCTP_INIT || chunk == SCTP_INIT_ACK || chunk == SCTP_SHUTDOWN_COMPLETE;
}

static bool must_be_first(unsigned chunk)
{
    return chunk == SCTP_COOKIE_ECHO || chunk == SCTP_COOKIE_ACK;
}

/* 'header': of the chunk; 'rest': captured bytes from there on; 'length': those of the packet. */
static void note_chunk(struct packet_sctp *sctp, const uint8_t *header, uint32_t rest,
                       uint32_t length)
{
    unsigned chunk = chunk_of_type(header[0]);
    if (chunk == NO_STATE) {
        sctp->marks |= (uint8_t)(SCTP_HAS_OTHER | (header[0] == TYPE_DATA ? SCTP_HAS_DATA : 0));
        return;
    }
    if (chunk == SCTP_INIT || chunk == SCTP_INIT_ACK) {
        if (length < INIT_SIZE)
            sctp->marks |= SCTP_HAS_SHORT_INIT;
        if (rest >= INIT_TAG_AT + 4)
            sctp->init_tag = read_be32(header + INIT_TAG_AT);
    }
    if (sctp->n_chunks < SCTP_CHUNKS_MAX)
        sctp->chunks[sctp->n_chunks++] = (uint8_t)(chunk | (header[1] & 1 ? SCTP_CHUNK_T_BIT : 0));
}

/* False: no packet has its chunks like that. */
static bool read_chunks(struct packet_sctp *sctp, const uint8_t *header, uint32_t captured,
                        uint32_t length)
{
    bool has_lonely = false;
    uint32_t n = 0;
    for (uint32_t at = SCTP_HEADER_SIZE; length - at >= CHUNK_HEADER_SIZE && at < length; n++) {
        if (captured < at + CHUNK_HEADER_SIZE) {
            sctp->marks |= SCTP_HEADER_CUT;
            return true;
        }
        unsigned chunk = chunk_of_type(header[at]);
        uint32_t chunk_bytes = read_be16(header + at + 2);
        has_lonely = has_lonely || must_be_alone(chunk);
        if (chunk_bytes == 0 || (n > 0 && (has_lonely || must_be_first(chunk))))
            return false;
        note_chunk(sctp, header + at, captured - at, length - at);
        at += (chunk_bytes + 3u) & ~3u;
        if (at > length)
            at = length;
    }
    return n > 0;
}

void sctp_decode(struct packet *packet, const uint8_t *header, uint32_t captured, uint32_t length)
{
    packet->parts |= PACKET_PART_SCTP;
    bool is_part = packet->marks & PACKET_MARK_FIRST_FRAGMENT;
    if (captured < SCTP_HEADER_SIZE) {
        packet->is_invalid |= length < SCTP_HEADER_SIZE && !is_part;
        packet->sctp.marks = SCTP_HEADER_CUT;
        return;
    }
    packet->sctp.verification_tag = read_be32(header + TAG_AT);
    packet->is_invalid |= !read_chunks(&packet->sctp, header, captured, length) && !is_part;
}
