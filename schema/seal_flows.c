#include "schema/seal_flows.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"

enum { PROTOCOL_ICMP = 1, PROTOCOL_ICMPV6 = 58 };

/* ---- names ---- */

static const char *const name_sql[SEAL_NAME_TABLES] = {
    [SEAL_NAMES_WAN] = "SELECT id, name, max(id) OVER () FROM wan WHERE id >= 0",
    [SEAL_NAMES_ACCOUNT] = "SELECT id, name, max(id) OVER () FROM account WHERE id >= 0",
    [SEAL_NAMES_CLASS] = "SELECT number, name, max(number) OVER () FROM class WHERE number >= 0",
};

enum { NUMBER_MAX = 1 << 24 };

static int load_table(sqlite3_stmt *statement, uint64_t **names, int64_t *n)
{
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t number = sqlite3_column_int64(statement, 0);
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        if (!*names) {
            int64_t last = sqlite3_column_int64(statement, 2);
            *n = last < NUMBER_MAX ? last + 1 : NUMBER_MAX;
            *names = calloc((size_t)*n, sizeof **names);
        }
        if (!*names)
            return SQLITE_NOMEM;
        if (number < *n && name)
            (*names)[number] = seal_name(name);
    }
    return step == SQLITE_DONE ? SQLITE_OK : step;
}

int seal_names_load(sqlite3 *db, struct seal_name_list *list)
{
    memset(list, 0, sizeof *list);
    int result = SQLITE_OK;
    for (int i = 0; result == SQLITE_OK && i < SEAL_NAME_TABLES; i++) {
        sqlite3_stmt *statement = NULL;
        result = sqlite3_prepare_v2(db, name_sql[i], -1, &statement, NULL);
        if (result == SQLITE_OK)
            result = load_table(statement, &list->names[i], &list->n[i]);
        sqlite3_finalize(statement);
    }
    if (result != SQLITE_OK)
        seal_names_free(list);
    return result;
}

int seal_names_put(struct seal_name_list *list, enum seal_name_table table, int64_t number,
                   const char *name)
{
    if (number < 0 || number >= NUMBER_MAX)
        return SQLITE_OK; /* as one that was loaded */
    if (number >= list->n[table]) {
        int64_t n = number + number / 2 + 1;
        uint64_t *names = reallocarray(list->names[table], (size_t)n, sizeof *names);
        if (!names)
            return SQLITE_NOMEM;
        memset(names + list->n[table], 0, (size_t)(n - list->n[table]) * sizeof *names);
        list->names[table] = names;
        list->n[table] = n;
    }
    list->names[table][number] = seal_name(name);
    return SQLITE_OK;
}

void seal_names_free(struct seal_name_list *list)
{
    for (int i = 0; i < SEAL_NAME_TABLES; i++)
        free(list->names[i]);
    memset(list, 0, sizeof *list);
}

static uint64_t name_of(const struct seal_name_list *list, enum seal_name_table table,
                        int64_t number)
{
    return number >= 0 && number < list->n[table] ? list->names[table][number] : 0;
}

struct seal_names seal_names_of(const struct seal_name_list *list, int64_t wan_id,
                                int64_t account_id, int64_t class_number)
{
    return (struct seal_names){
        .wan = name_of(list, SEAL_NAMES_WAN, wan_id),
        .account = name_of(list, SEAL_NAMES_ACCOUNT, account_id),
        .class_name = name_of(list, SEAL_NAMES_CLASS, class_number),
    };
}

/* ---- a row, from left to right ---- */

struct cursor {
    sqlite3_stmt *row;
    int column;
    bool is_sound;
};

static int64_t number_between(struct cursor *cursor, int64_t least, int64_t most)
{
    int column = cursor->column++;
    int type = sqlite3_column_type(cursor->row, column); /* asking for a value may change it */
    int64_t number = sqlite3_column_int64(cursor->row, column);
    if (type != SQLITE_INTEGER || number < least || number > most)
        cursor->is_sound = false;
    return number;
}

static int64_t number(struct cursor *cursor)
{
    return number_between(cursor, INT64_MIN, INT64_MAX);
}

static uint64_t count(struct cursor *cursor)
{
    return (uint64_t)number_between(cursor, 0, INT64_MAX);
}

static uint8_t octet(struct cursor *cursor)
{
    return (uint8_t)number_between(cursor, 0, UINT8_MAX);
}

static bool is_null(const struct cursor *cursor, int column)
{
    return sqlite3_column_type(cursor->row, column) == SQLITE_NULL;
}

/* Returns the IP version. */
static uint8_t read_address(struct cursor *cursor, uint8_t address[16])
{
    int column = cursor->column;
    int type = sqlite3_column_type(cursor->row, column);
    if (type == SQLITE_INTEGER) {
        uint32_t bits = htonl((uint32_t)number_between(cursor, 0, UINT32_MAX));
        memcpy(address, &bits, sizeof bits);
        return 4;
    }
    cursor->column++;
    const char *text = (const char *)sqlite3_column_text(cursor->row, column);
    char again[ADDRESS_TEXT_SIZE];
    bool is_address = type == SQLITE_TEXT && inet_pton(AF_INET6, text, address) == 1;
    size_t length = is_address ? address_text(6, address, again) : 0;
    if (!is_address || length != (size_t)sqlite3_column_bytes(cursor->row, column) ||
        memcmp(again, text, length) != 0)
        cursor->is_sound = false;
    return 6;
}

/* Two columns that are both there or both NULL. */
static bool has_pair(struct cursor *cursor)
{
    bool has_first = !is_null(cursor, cursor->column);
    if (has_first == is_null(cursor, cursor->column + 1))
        cursor->is_sound = false;
    if (!has_first)
        cursor->column += 2;
    return has_first;
}

static void read_tuple(struct cursor *cursor, struct flow_record *record)
{
    record->ip_version = read_address(cursor, record->source_address);
    if (read_address(cursor, record->destination_address) != record->ip_version)
        cursor->is_sound = false;
    record->has_ports = has_pair(cursor);
    if (record->has_ports) {
        record->source_port = (uint16_t)number_between(cursor, 0, UINT16_MAX);
        record->destination_port = (uint16_t)number_between(cursor, 0, UINT16_MAX);
    }
    record->protocol = octet(cursor);
    bool is_icmp = record->protocol == PROTOCOL_ICMP || record->protocol == PROTOCOL_ICMPV6;
    if (has_pair(cursor) != is_icmp) {
        cursor->is_sound = false;
        cursor->column += is_icmp ? 0 : 2;
    } else if (is_icmp) {
        record->icmp_type = octet(cursor);
        record->icmp_code = octet(cursor);
    }
    record->zone = (uint16_t)number_between(cursor, 0, UINT16_MAX);
}

/* NULL: none; a blob of zeros is never written. */
static void read_labels(struct cursor *cursor, struct flow_record *record)
{
    int column = cursor->column++;
    if (is_null(cursor, column))
        return;
    static const uint8_t none[sizeof record->labels];
    int type = sqlite3_column_type(cursor->row, column);
    const void *labels = sqlite3_column_blob(cursor->row, column);
    if (type != SQLITE_BLOB || sqlite3_column_bytes(cursor->row, column) != sizeof record->labels ||
        memcmp(labels, none, sizeof none) == 0)
        cursor->is_sound = false;
    else
        memcpy(record->labels, labels, sizeof record->labels);
}

static void read_counters(struct cursor *cursor, struct flow_counters *counters)
{
    counters->packets = count(cursor);
    counters->l2_bytes = count(cursor);
    counters->l3_bytes = count(cursor);
    counters->billed_bytes = count(cursor);
    counters->ct_packets = count(cursor);
    counters->ct_l3_bytes = count(cursor);
}

static uint64_t read_master(struct cursor *cursor)
{
    if (is_null(cursor, cursor->column)) {
        cursor->column++;
        return 0;
    }
    int64_t id = number(cursor);
    if (id == 0)
        cursor->is_sound = false;
    return (uint64_t)id;
}

/* In the order of flow_sql. */
static void read_row(struct cursor *cursor, struct seal_flows *flows)
{
    struct flow_record *record = &flows->record;
    flows->record_id = number(cursor);
    flows->seal = number(cursor);
    flows->wan_id = number(cursor);
    flows->account_id = number(cursor);
    flows->class_number = number(cursor);
    record->id = (uint64_t)number(cursor);
    record->master_id = read_master(cursor);
    record->start_ns = number(cursor);
    record->first_ns = number(cursor);
    record->last_ns = number(cursor);
    read_tuple(cursor, record);
    record->state = octet(cursor);
    record->status = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->mark = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    read_labels(cursor, record);
    read_counters(cursor, &record->counters[FLOW_ORIGINAL]);
    read_counters(cursor, &record->counters[FLOW_REPLY]);
    record->invalid_packets = count(cursor);
    record->wan_changes = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->flow_label[FLOW_ORIGINAL] = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->flow_label[FLOW_REPLY] = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->flow_label_changes = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->merged_packets = (uint32_t)number_between(cursor, 0, UINT32_MAX);
    record->wan_match = octet(cursor);
    record->kind = octet(cursor);
    record->end_reason = octet(cursor);
    record->resume = (uint32_t)number_between(cursor, 0, UINT32_MAX);
}

#define FLOW_COLUMNS                                                                               \
    "SELECT record_id, seal, wan_id, account_id, class, id, master_id, start_ns, first_ns, "       \
    "last_ns, src_address, dst_address, src_port, dst_port, protocol, icmp_type, icmp_code, "      \
    "zone, state, status, mark, labels, orig_packets, orig_l2_bytes, orig_l3_bytes, "              \
    "orig_billed_bytes, orig_ct_packets, orig_ct_l3_bytes, reply_packets, reply_l2_bytes, "        \
    "reply_l3_bytes, reply_billed_bytes, reply_ct_packets, reply_ct_l3_bytes, invalid_packets, "   \
    "wan_changes, flow_label_orig, flow_label_reply, flow_label_changes, merged_packets, "         \
    "wan_match, kind, end_reason, resume FROM flow_record "

static int open_flows(sqlite3 *db, const char *sql, int64_t number, struct seal_flows *flows)
{
    memset(flows, 0, sizeof *flows);
    int result = sqlite3_prepare_v2(db, sql, -1, &flows->statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_int64(flows->statement, 1, number);
    if (result != SQLITE_OK)
        seal_flows_close(flows);
    return result;
}

int seal_flows_open(sqlite3 *db, int64_t after, struct seal_flows *flows)
{
    return open_flows(db, FLOW_COLUMNS "WHERE record_id > ?1 ORDER BY record_id", after, flows);
}

int seal_flows_open_one(sqlite3 *db, int64_t record_id, struct seal_flows *flows)
{
    return open_flows(db, FLOW_COLUMNS "WHERE record_id = ?1", record_id, flows);
}

int seal_flows_seek(struct seal_flows *flows, int64_t record_id)
{
    sqlite3_reset(flows->statement);
    return sqlite3_bind_int64(flows->statement, 1, record_id);
}

int seal_flows_next(struct seal_flows *flows)
{
    int step = sqlite3_step(flows->statement);
    if (step != SQLITE_ROW)
        return step;
    struct cursor cursor = {.row = flows->statement, .is_sound = true};
    memset(&flows->record, 0, sizeof flows->record);
    read_row(&cursor, flows);
    flows->is_sound = cursor.is_sound;
    return step;
}

void seal_flows_close(struct seal_flows *flows)
{
    sqlite3_finalize(flows->statement);
    flows->statement = NULL;
}
