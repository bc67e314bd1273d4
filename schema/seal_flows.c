#include "schema/seal_flows.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "schema/flow_columns.h"

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

static uint32_t word(struct cursor *cursor)
{
    return (uint32_t)number_between(cursor, 0, UINT32_MAX);
}

static void expect(struct cursor *cursor, bool is_sound)
{
    cursor->is_sound = cursor->is_sound && is_sound;
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

static void read_addresses(struct cursor *cursor, struct flow_record *record)
{
    record->ip_version = read_address(cursor, record->source_address);
    expect(cursor, read_address(cursor, record->destination_address) == record->ip_version);
}

/* A number, or 16 bytes; NULL: none. */
static void read_label_bits(struct cursor *cursor, struct flow_record *record)
{
    static const uint8_t none[sizeof record->labels];
    int column = cursor->column;
    int type = sqlite3_column_type(cursor->row, column);
    if (type == SQLITE_INTEGER) {
        flow_label_bits_unpack(number_between(cursor, 1, INT64_MAX), record->labels);
        return;
    }
    cursor->column++;
    if (type == SQLITE_NULL)
        return;
    const void *labels = sqlite3_column_blob(cursor->row, column);
    if (type != SQLITE_BLOB || sqlite3_column_bytes(cursor->row, column) != sizeof record->labels ||
        memcmp(labels, none, sizeof none) == 0)
        cursor->is_sound = false;
    else
        memcpy(record->labels, labels, sizeof record->labels);
}

/* 'both' is what the directions have together; makes of it what is not in 'part'. */
static void take_off(struct cursor *cursor, uint64_t *both, uint64_t part)
{
    expect(cursor, part <= *both);
    *both -= part;
}

static void read_counters(struct cursor *cursor, struct flow_record *record)
{
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        struct flow_counters *counters = &record->counters[i];
        counters->packets = count(cursor);
        counters->l2_bytes = count(cursor);
        counters->l3_bytes = count(cursor);
        counters->billed_bytes = count(cursor);
    }
    struct flow_counters *original = &record->counters[FLOW_ORIGINAL];
    struct flow_counters *reply = &record->counters[FLOW_REPLY];
    take_off(cursor, &original->packets, reply->packets);
    take_off(cursor, &original->l2_bytes, reply->l2_bytes);
    take_off(cursor, &original->l3_bytes, reply->l3_bytes);
    take_off(cursor, &original->billed_bytes, reply->billed_bytes);
    for (int i = 0; i < FLOW_DIRECTIONS; i++) { /* as long as flow_extra does not say otherwise */
        record->counters[i].ct_packets = record->counters[i].packets;
        record->counters[i].ct_l3_bytes = record->counters[i].l3_bytes;
    }
}

/* What is past 64 bits wraps, as no record's does. */
static int64_t read_after(struct cursor *cursor, const struct flow_record *record)
{
    return (int64_t)((uint64_t)record->start_ns + (uint64_t)number(cursor));
}

static void read_record(struct cursor *cursor, struct flow_record *record)
{
    record->id = (uint64_t)number(cursor);
    record->start_ns = number(cursor);
    record->first_ns = read_after(cursor, record);
    record->last_ns = read_after(cursor, record);
    read_addresses(cursor, record);
    expect(cursor, flow_tuple_unpack(number(cursor), record));
    expect(cursor, flow_traits_unpack(number(cursor), record));
    flow_status_unpack(number(cursor), record);
    read_label_bits(cursor, record);
    flow_labels_unpack(number(cursor), record);
    record->resume = word(cursor);
    read_counters(cursor, record);
}

/* NULL: what it is already. Else it was too far from the start to be so. */
static void read_time(struct cursor *cursor, const struct flow_record *record, int64_t *time_ns)
{
    if (is_null(cursor, cursor->column)) {
        cursor->column++;
        return;
    }
    int64_t after_ns;
    expect(cursor, *time_ns == record->start_ns);
    *time_ns = number(cursor);
    expect(cursor, !flow_after_ns(record, *time_ns, &after_ns));
}

static void read_master(struct cursor *cursor, struct flow_record *record)
{
    if (is_null(cursor, cursor->column)) {
        cursor->column++;
        return;
    }
    record->master_id = (uint64_t)number(cursor);
    expect(cursor, record->master_id != 0);
}

static void read_extra(struct cursor *cursor, struct flow_record *record)
{
    read_time(cursor, record, &record->first_ns);
    read_time(cursor, record, &record->last_ns);
    read_master(cursor, record);
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        record->counters[i].ct_packets = count(cursor);
        record->counters[i].ct_l3_bytes = count(cursor);
    }
    record->invalid_packets = count(cursor);
    record->wan_changes = word(cursor);
    record->flow_label_changes = word(cursor);
    record->merged_packets = word(cursor);
    expect(cursor, flow_has_extra(record));
}

/* In the order of FLOW_COLUMNS. */
static void read_row(struct cursor *cursor, struct seal_flows *flows)
{
    struct flow_owner owner;
    flows->record_id = number(cursor);
    flows->seal = number(cursor);
    expect(cursor, flow_owner_unpack(number(cursor), &owner));
    flows->wan_id = owner.wan_id;
    flows->account_id = owner.account_id;
    flows->class_number = owner.class_number;
    read_record(cursor, &flows->record);
    bool has_extra = !is_null(cursor, cursor->column++);
    if (has_extra)
        read_extra(cursor, &flows->record);
}

#define FLOW_COLUMNS                                                                               \
    "SELECT f.record_id, seal, owner, id, start_ns, first_after_ns, last_after_ns, src_address, "  \
    "dst_address, tuple, traits, status, labels, flow_labels, resume, packets, l2_bytes, "         \
    "l3_bytes, billed_bytes, reply_packets, reply_l2_bytes, "                                      \
    "reply_l3_bytes, reply_billed_bytes, x.record_id, first_ns, last_ns, master_id, "              \
    "orig_ct_packets, orig_ct_l3_bytes, reply_ct_packets, reply_ct_l3_bytes, invalid_packets, "    \
    "wan_changes, flow_label_changes, merged_packets "                                             \
    "FROM flow_record AS f LEFT JOIN flow_extra AS x ON x.record_id = f.record_id "

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
    return open_flows(db, FLOW_COLUMNS "WHERE f.record_id > ?1 ORDER BY f.record_id", after, flows);
}

int seal_flows_open_one(sqlite3 *db, int64_t record_id, struct seal_flows *flows)
{
    return open_flows(db, FLOW_COLUMNS "WHERE f.record_id = ?1", record_id, flows);
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
