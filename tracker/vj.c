#include "tracker/vj.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

enum {
    IP_SIZE = 20,
    TCP_SIZE = 20,
    FLAG_FIN = 1,
    FLAG_SYN = 2,
    FLAG_RST = 4,
    FLAG_ACK = 16,
    FLAG_URG = 32,
    FRAGMENT_BITS = 0x3fff, /* more fragments, and the offset */
    CHANGED_URGENT = 1,
    CHANGED_WINDOW = 2,
    CHANGED_ACK = 4,
    CHANGED_SEQUENCE = 8,
    /* Sets of changes that the receiver takes for a special case: they cannot be sent as such. */
    TAKEN_ECHO = CHANGED_SEQUENCE | CHANGED_WINDOW | CHANGED_URGENT,
    TAKEN_DATA = CHANGED_SEQUENCE | CHANGED_ACK | CHANGED_WINDOW | CHANGED_URGENT,
    CHANGES_AND_CHECKSUM = 3, /* a mask and the TCP checksum */
    DELTA_MAX = 0xffff,
    DELTA_SHORT_MAX = 255,
};

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* A header by its two parts. */
struct parts {
    const uint8_t *ip, *tcp;
    size_t ip_size, tcp_size;
};

static struct parts parts_of(const uint8_t *header)
{
    size_t ip_size = (header[0] & 0xfu) * 4;
    return (struct parts){
        .ip = header,
        .tcp = header + ip_size,
        .ip_size = ip_size,
        .tcp_size = (size_t)(header[ip_size + 12] >> 4) * 4,
    };
}

void vj_init(struct vj *link, unsigned n_slots, bool compresses_id)
{
    assert(n_slots >= VJ_SLOTS_MIN && n_slots <= VJ_SLOTS_MAX);
    *link = (struct vj){.n_slots = (uint8_t)n_slots, .compresses_id = compresses_id};
}

/* ---- from one tracker to the next ---- */

void vj_write(const struct vj *link, struct memory *memory)
{
    memory_put(memory, link, sizeof *link);
}

bool vj_read(struct vj *link, struct memory_reader *reader)
{
    struct vj read;
    if (!memory_get(reader, &read, sizeof read))
        return false;
    bool is_sound = read.n_slots == link->n_slots && read.n_used <= read.n_slots &&
                    read.last_sent < read.n_slots && read.compresses_id == link->compresses_id;
    for (unsigned i = 0; i < VJ_SLOTS_MAX; i++)
        is_sound = is_sound && read.order[i] < VJ_SLOTS_MAX;
    if (is_sound)
        *link = read;
    return is_sound;
}

/* ---- which packets ---- */

static bool is_whole_tcp(const uint8_t *header, size_t header_bytes)
{
    if (header_bytes < IP_SIZE + TCP_SIZE || header[0] >> 4 != 4 || header[9] != IPPROTO_TCP)
        return false;
    size_t ip_size = (header[0] & 0xfu) * 4;
    if (ip_size < IP_SIZE || ip_size + TCP_SIZE > header_bytes)
        return false;
    size_t tcp_size = (size_t)(header[ip_size + 12] >> 4) * 4;
    return tcp_size >= TCP_SIZE && ip_size + tcp_size <= header_bytes;
}

static bool is_compressible(const uint8_t *header, size_t header_bytes)
{
    if (!is_whole_tcp(header, header_bytes) || get16(header + 6) & FRAGMENT_BITS)
        return false;
    unsigned flags = parts_of(header).tcp[13];
    return (flags & (FLAG_SYN | FLAG_FIN | FLAG_RST | FLAG_ACK)) == FLAG_ACK;
}

/* ---- slots ---- */

static bool is_of(const struct vj_slot *slot, const struct parts *parts)
{
    struct parts known = parts_of(slot->header);
    return memcmp(known.ip + 12, parts->ip + 12, 8) == 0 && memcmp(known.tcp, parts->tcp, 4) == 0;
}

/* Moves what is at 'place' of the order to its front. */
static struct vj_slot *use(struct vj *link, unsigned place)
{
    uint8_t slot = link->order[place];
    memmove(link->order + 1, link->order, place);
    link->order[0] = slot;
    return &link->slots[slot];
}

/* The connection's slot, or a new one for it. */
static struct vj_slot *slot_for(struct vj *link, const struct parts *parts, bool *is_new)
{
    for (unsigned place = 0; place < link->n_used; place++) {
        if (is_of(&link->slots[link->order[place]], parts)) {
            *is_new = false;
            return use(link, place);
        }
    }
    *is_new = true;
    if (link->n_used == link->n_slots)
        return use(link, link->n_used - 1u);
    link->order[link->n_used] = link->n_used;
    return use(link, link->n_used++);
}

/* ---- what has changed ---- */

struct changes {
    unsigned mask;
    uint32_t ack, sequence; /* by how much */
    unsigned n_bytes;       /* that the deltas take */
};

static unsigned delta_size(uint32_t delta, bool has_zero)
{
    return delta > DELTA_SHORT_MAX || (has_zero && delta == 0) ? 3 : 1;
}

/* Fields that are expected to stay; IP's TOS, flags, TTL, TCP's header length, all options. */
static bool is_same_otherwise(const struct parts *before, const struct parts *now)
{
    return before->ip[0] == now->ip[0] && before->ip[1] == now->ip[1] &&
           memcmp(before->ip + 6, now->ip + 6, 4) == 0 && before->tcp_size == now->tcp_size &&
           memcmp(before->ip + IP_SIZE, now->ip + IP_SIZE, now->ip_size - IP_SIZE) == 0 &&
           memcmp(before->tcp + TCP_SIZE, now->tcp + TCP_SIZE, now->tcp_size - TCP_SIZE) == 0;
}

static void add_change(struct changes *changes, unsigned bit, uint32_t delta, bool has_zero)
{
    changes->mask |= bit;
    changes->n_bytes += delta_size(delta, has_zero);
}

/* False: they cannot be told. */
static bool compare(const struct parts *before, const struct parts *now, struct changes *changes)
{
    *changes = (struct changes){
        .ack = get32(now->tcp + 8) - get32(before->tcp + 8),
        .sequence = get32(now->tcp + 4) - get32(before->tcp + 4),
    };
    uint16_t window = (uint16_t)(get16(now->tcp + 14) - get16(before->tcp + 14));
    uint16_t urgent = get16(now->tcp + 18);
    if (now->tcp[13] & FLAG_URG)
        add_change(changes, CHANGED_URGENT, urgent, true);
    else if (urgent != get16(before->tcp + 18))
        return false;
    if (window)
        add_change(changes, CHANGED_WINDOW, window, false);
    if (changes->ack)
        add_change(changes, CHANGED_ACK, changes->ack, false);
    if (changes->sequence)
        add_change(changes, CHANGED_SEQUENCE, changes->sequence, false);
    return changes->ack <= DELTA_MAX && changes->sequence <= DELTA_MAX;
}

/* Echoed typing and bulk data need no deltas: the length before says them. False: the set of
 * changes is one that cannot be sent. */
static bool settle_special(struct changes *changes, const struct vj_slot *slot, uint32_t l3_bytes,
                           size_t header_size)
{
    uint32_t data_before = slot->length - (uint32_t)header_size;
    switch (changes->mask) {
    case 0: /* said twice, unless data follows an ACK */
        return l3_bytes != slot->length && data_before == 0;
    case TAKEN_ECHO:
    case TAKEN_DATA:
        return false;
    case CHANGED_SEQUENCE | CHANGED_ACK:
        if (changes->sequence == changes->ack && changes->sequence == data_before)
            changes->n_bytes = 0;
        return true;
    case CHANGED_SEQUENCE:
        if (changes->sequence == data_before)
            changes->n_bytes = 0;
        return true;
    default:
        return true;
    }
}

/* The bytes of the compressed header but for the slot's number; 0: it has to be sent whole. */
static unsigned compressed_size(const struct vj_slot *slot, const struct parts *now,
                                uint32_t l3_bytes)
{
    struct parts before = parts_of(slot->header);
    struct changes changes;
    if (!is_same_otherwise(&before, now) || !compare(&before, now, &changes) ||
        !settle_special(&changes, slot, l3_bytes, now->ip_size + now->tcp_size))
        return 0;
    uint16_t id = (uint16_t)(get16(now->ip + 4) - get16(before.ip + 4));
    if (id != 1)
        changes.n_bytes += delta_size(id, true);
    return CHANGES_AND_CHECKSUM + changes.n_bytes;
}

uint32_t vj_bytes(struct vj *link, const uint8_t *header, size_t header_bytes, uint32_t l3_bytes)
{
    if (!is_compressible(header, header_bytes))
        return l3_bytes;
    struct parts now = parts_of(header);
    size_t header_size = now.ip_size + now.tcp_size;
    if (l3_bytes < header_size)
        return l3_bytes;
    bool is_new;
    struct vj_slot *slot = slot_for(link, &now, &is_new);
    unsigned size = is_new ? 0 : compressed_size(slot, &now, l3_bytes);
    uint8_t number = link->order[0];
    bool says_slot = !link->compresses_id || !link->has_sent || link->last_sent != number;
    memcpy(slot->header, header, header_size);
    slot->length = l3_bytes;
    link->last_sent = number;
    link->has_sent = true;
    return size == 0 ? l3_bytes : l3_bytes - (uint32_t)header_size + size + says_slot;
}
