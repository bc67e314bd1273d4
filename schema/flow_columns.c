#include "schema/flow_columns.h"

#include <assert.h>
#include <string.h>

enum {
    PROTOCOL_ICMP = 1,
    PROTOCOL_ICMPV6 = 58,

    TUPLE_SOURCE_PORT = 16,
    TUPLE_PROTOCOL = 32,
    TUPLE_ICMP_TYPE = 40,
    TUPLE_ICMP_CODE = 48,
    TUPLE_HAS_NO_PORTS = 56,
    TUPLE_BITS = 57,

    TRAITS_END_REASON = 8,
    TRAITS_KIND = 16,
    TRAITS_WAN_MATCH = 24,
    TRAITS_ZONE = 32,
    TRAITS_BITS = 48,

    OWNER_WAN = 16,
    OWNER_ACCOUNT = 32,

    STATUS_MARK = 32,
    LABELS_REPLY = 32,
    LABELS_HIGH = 8, /* bytes: of 16, the first half */
};

static bool is_icmp(const struct flow_record *record)
{
    return record->protocol == PROTOCOL_ICMP || record->protocol == PROTOCOL_ICMPV6;
}

/* ---- tuple ---- */

int64_t flow_tuple_pack(const struct flow_record *record)
{
    uint64_t bits = (uint64_t)record->protocol << TUPLE_PROTOCOL;
    if (record->has_ports)
        bits |= (uint64_t)record->source_port << TUPLE_SOURCE_PORT | record->destination_port;
    else
        bits |= UINT64_C(1) << TUPLE_HAS_NO_PORTS;
    if (is_icmp(record))
        bits |= (uint64_t)record->icmp_type << TUPLE_ICMP_TYPE | (uint64_t)record->icmp_code
                                                                     << TUPLE_ICMP_CODE;
    return (int64_t)bits;
}

bool flow_tuple_unpack(int64_t column, struct flow_record *record)
{
    uint64_t bits = (uint64_t)column;
    record->destination_port = (uint16_t)bits;
    record->source_port = (uint16_t)(bits >> TUPLE_SOURCE_PORT);
    record->protocol = (uint8_t)(bits >> TUPLE_PROTOCOL);
    record->icmp_type = (uint8_t)(bits >> TUPLE_ICMP_TYPE);
    record->icmp_code = (uint8_t)(bits >> TUPLE_ICMP_CODE);
    record->has_ports = (bits >> TUPLE_HAS_NO_PORTS & 1) == 0;
    bool has_own_ports = record->has_ports || (uint32_t)bits == 0;
    bool has_own_icmp = is_icmp(record) || (record->icmp_type | record->icmp_code) == 0;
    return bits >> TUPLE_BITS == 0 && has_own_ports && has_own_icmp;
}

/* ---- traits ---- */

int64_t flow_traits_pack(const struct flow_record *record)
{
    return (int64_t)((uint64_t)record->state | (uint64_t)record->end_reason << TRAITS_END_REASON |
                     (uint64_t)record->kind << TRAITS_KIND |
                     (uint64_t)record->wan_match << TRAITS_WAN_MATCH |
                     (uint64_t)record->zone << TRAITS_ZONE);
}

bool flow_traits_unpack(int64_t column, struct flow_record *record)
{
    uint64_t bits = (uint64_t)column;
    record->state = (uint8_t)bits;
    record->end_reason = (uint8_t)(bits >> TRAITS_END_REASON);
    record->kind = (uint8_t)(bits >> TRAITS_KIND);
    record->wan_match = (uint8_t)(bits >> TRAITS_WAN_MATCH);
    record->zone = (uint16_t)(bits >> TRAITS_ZONE);
    return bits >> TRAITS_BITS == 0;
}

/* ---- owner ---- */

int64_t flow_owner_pack(const struct flow_owner *owner)
{
    assert(owner->class_number >= 0 && owner->class_number <= FLOW_CLASS_MAX);
    assert(owner->wan_id >= 0 && owner->wan_id <= FLOW_WAN_MAX);
    assert(owner->account_id >= 0 && owner->account_id <= FLOW_ACCOUNT_MAX);
    return owner->class_number | owner->wan_id << OWNER_WAN | owner->account_id << OWNER_ACCOUNT;
}

bool flow_owner_unpack(int64_t column, struct flow_owner *owner)
{
    owner->class_number = column & FLOW_CLASS_MAX;
    owner->wan_id = column >> OWNER_WAN & FLOW_WAN_MAX;
    owner->account_id = column >> OWNER_ACCOUNT;
    return column >= 0;
}

/* ---- status and mark, IPv6 flow labels ---- */

int64_t flow_status_pack(const struct flow_record *record)
{
    return (int64_t)((uint64_t)record->mark << STATUS_MARK | record->status);
}

void flow_status_unpack(int64_t column, struct flow_record *record)
{
    record->status = (uint32_t)column;
    record->mark = (uint32_t)((uint64_t)column >> STATUS_MARK);
}

int64_t flow_labels_pack(const struct flow_record *record)
{
    return (int64_t)((uint64_t)record->flow_label[FLOW_REPLY] << LABELS_REPLY |
                     record->flow_label[FLOW_ORIGINAL]);
}

void flow_labels_unpack(int64_t column, struct flow_record *record)
{
    record->flow_label[FLOW_ORIGINAL] = (uint32_t)column;
    record->flow_label[FLOW_REPLY] = (uint32_t)((uint64_t)column >> LABELS_REPLY);
}

/* ---- labels of a connection ---- */

bool flow_label_bits_pack(const uint8_t labels[16], int64_t *number)
{
    uint64_t high, low;
    memcpy(&high, labels, sizeof high);
    memcpy(&low, labels + LABELS_HIGH, sizeof low);
    *number = (int64_t)__builtin_bswap64(low);
    return high == 0 && *number > 0;
}

void flow_label_bits_unpack(int64_t number, uint8_t labels[16])
{
    uint64_t low = __builtin_bswap64((uint64_t)number);
    memset(labels, 0, LABELS_HIGH);
    memcpy(labels + LABELS_HIGH, &low, sizeof low);
}

/* ---- what is seldom other than its default ---- */

bool flow_after_ns(const struct flow_record *record, int64_t time_ns, int64_t *after_ns)
{
    return !__builtin_sub_overflow(time_ns, record->start_ns, after_ns);
}

bool flow_has_extra(const struct flow_record *record)
{
    uint64_t bits = record->master_id | record->invalid_packets | record->wan_changes |
                    record->flow_label_changes | record->merged_packets;
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &record->counters[i];
        bits |= (counters->ct_packets ^ counters->packets) |
                (counters->ct_l3_bytes ^ counters->l3_bytes);
    }
    int64_t after_ns;
    return bits != 0 || !flow_after_ns(record, record->first_ns, &after_ns) ||
           !flow_after_ns(record, record->last_ns, &after_ns);
}
