/* flow_columns: what columns of flow_record hold of a record, several fields in the bits of one
 * number; and which records have a row in flow_extra.
 *
 *     exporter: bind(flow_tuple_pack(record)); bind(flow_traits_pack(record)); …
 *     readers:  is_sound = flow_tuple_unpack(column, record) && flow_traits_unpack(…) && …
 *
 * A field has one place and one form: unpack(pack(record)) is the record, but for what no database
 * has (ports of protocols without, icmp_type of others than ICMP), and bits that pack never sets
 * are refused. The view flow_record_wide takes the same apart in SQL; schema/0017 has the layout as
 * its users see it. */
#ifndef WANMETER_SCHEMA_FLOW_COLUMNS_H
#define WANMETER_SCHEMA_FLOW_COLUMNS_H

#include "proto/record.h"

/* Numbers of names in the database, at most: what 'owner' has room for. */
enum { FLOW_CLASS_MAX = UINT16_MAX, FLOW_WAN_MAX = UINT16_MAX, FLOW_ACCOUNT_MAX = INT32_MAX };

/* Whom a record is of, by the numbers of the database. */
struct flow_owner {
    int64_t wan_id;
    int64_t account_id;
    int64_t class_number;
};

int64_t flow_tuple_pack(const struct flow_record *record);
int64_t flow_traits_pack(const struct flow_record *record);
int64_t flow_owner_pack(const struct flow_owner *owner); /* none above its maximum */
int64_t flow_status_pack(const struct flow_record *record);
int64_t flow_labels_pack(const struct flow_record *record); /* IPv6 flow labels */

/* Write the fields that the column has. False: nothing that pack makes. */
bool flow_tuple_unpack(int64_t column, struct flow_record *record);
bool flow_traits_unpack(int64_t column, struct flow_record *record);
bool flow_owner_unpack(int64_t column, struct flow_owner *owner);
void flow_status_unpack(int64_t column, struct flow_record *record);
void flow_labels_unpack(int64_t column, struct flow_record *record);

/* A connection's labels as a number above 0. False: there are none, or it takes more than 63 bits.
 */
bool flow_label_bits_pack(const uint8_t labels[16], int64_t *number);
void flow_label_bits_unpack(int64_t number, uint8_t labels[16]);

/* From start_ns to a time of the record. False: 64 bits are not enough, it is in flow_extra. */
bool flow_after_ns(const struct flow_record *record, int64_t time_ns, int64_t *after_ns);

/* Has it a row in flow_extra? */
bool flow_has_extra(const struct flow_record *record);

#endif
