/* A batch's flow records: each is looked at once, and several are inserted by one statement. A
 * column is bound only where the row at its place in the statement before had another value. */
#include "exporter/store/store_restore.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "schema/flow_columns.h"

/* ---- the statements ---- */

#define COLUMNS                                                                                    \
    "packets, l2_bytes, l3_bytes, billed_bytes, reply_packets, reply_l2_bytes, reply_l3_bytes, "   \
    "reply_billed_bytes, seal, id, start_ns, first_after_ns,"                                      \
    " last_after_ns, src_address, dst_address, tuple, traits, owner, status, labels,"              \
    " flow_labels, resume"
#define PARAMETERS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"

static const char one_sql[] =
    "INSERT INTO flow_record (" COLUMNS ", record_id) VALUES (" PARAMETERS ",?)";
/* OR FAIL: without it SQLite keeps a copy of each page that a statement of several rows changes, to
 * take back half of it. Here a failure takes back the transaction. */
static const char many_sql[] = "INSERT OR FAIL INTO flow_record (" COLUMNS ") VALUES ";
static const char row_sql[] = "(" PARAMETERS "),";

static_assert(sizeof PARAMETERS == 2 * STORE_FLOW_COLUMNS, "a parameter a column");

char *store_flow_sql(size_t n_rows)
{
    if (n_rows == 1)
        return strdup(one_sql);
    char *sql = malloc(sizeof many_sql + n_rows * (sizeof row_sql - 1));
    if (!sql)
        return NULL;
    char *end = stpcpy(sql, many_sql);
    for (size_t i = 0; i < n_rows; i++)
        end = stpcpy(end, row_sql);
    end[-1] = '\0'; /* the last comma */
    return sql;
}

/* ---- binding ---- */

/* The rows of a statement, bound from the first column of the first to the last of the last. What
 * it borrows stays until it has run. */
struct flow_rows {
    sqlite3_stmt *add;
    struct store_bound *bound;
    int position;
    struct flow_record records[STORE_FLOW_ROWS];
    char texts[STORE_FLOW_ROWS][2][ADDRESS_TEXT_SIZE];
};

static void put_integer(struct flow_rows *rows, int64_t value)
{
    int position = rows->position++;
    struct store_bound *bound = &rows->bound[position];
    if (bound->kind == BOUND_INTEGER && bound->integer == value)
        return;
    *bound = (struct store_bound){BOUND_INTEGER, value};
    store_bind_integer(rows->add, position, value);
}

static void put_null(struct flow_rows *rows)
{
    int position = rows->position++;
    if (rows->bound[position].kind != BOUND_NULL)
        store_bind_null(rows->add, position);
    rows->bound[position].kind = BOUND_NULL;
}

/* 192.0.2.1 is 0xc0000201. */
static int64_t ipv4_number(const uint8_t address[4])
{
    return (int64_t)address[0] << 24 | (int64_t)address[1] << 16 | (int64_t)address[2] << 8 |
           address[3];
}

static void put_address(struct flow_rows *rows, uint8_t ip_version, const uint8_t address[16],
                        char text[ADDRESS_TEXT_SIZE])
{
    if (ip_version == 4) {
        put_integer(rows, ipv4_number(address));
        return;
    }
    int position = rows->position++;
    rows->bound[position].kind = BOUND_UNKNOWN;
    store_bind_text(rows->add, position, text, address_text(6, address, text));
}

static void put_label_bits(struct flow_rows *rows, const struct flow_record *flow)
{
    static const uint8_t none[sizeof flow->labels];
    int64_t number;
    if (flow_label_bits_pack(flow->labels, &number)) {
        put_integer(rows, number);
    } else if (memcmp(flow->labels, none, sizeof none) == 0) {
        put_null(rows);
    } else {
        int position = rows->position++;
        rows->bound[position].kind = BOUND_UNKNOWN;
        store_bind_blob(rows->add, position, flow->labels, sizeof flow->labels);
    }
}

/* Both directions, and the reply. */
static void put_counters(struct flow_rows *rows, const struct flow_record *flow)
{
    const struct flow_counters *original = &flow->counters[FLOW_ORIGINAL];
    const struct flow_counters *reply = &flow->counters[FLOW_REPLY];
    put_integer(rows, (int64_t)(original->packets + reply->packets));
    put_integer(rows, (int64_t)(original->l2_bytes + reply->l2_bytes));
    put_integer(rows, (int64_t)(original->l3_bytes + reply->l3_bytes));
    put_integer(rows, (int64_t)(original->billed_bytes + reply->billed_bytes));
    put_integer(rows, (int64_t)reply->packets);
    put_integer(rows, (int64_t)reply->l2_bytes);
    put_integer(rows, (int64_t)reply->l3_bytes);
    put_integer(rows, (int64_t)reply->billed_bytes);
}

/* 0: it is in flow_extra. */
static void put_time(struct flow_rows *rows, const struct flow_record *flow, int64_t time_ns)
{
    int64_t after_ns;
    put_integer(rows, flow_after_ns(flow, time_ns, &after_ns) ? after_ns : 0);
}

/* In the order of COLUMNS. */
static void put_flow(struct flow_rows *rows, const struct store *store,
                     const struct flow_record *flow, char texts[2][ADDRESS_TEXT_SIZE])
{
    put_counters(rows, flow);
    put_integer(rows, flow->seal);
    put_integer(rows, (int64_t)flow->id);
    put_integer(rows, flow->start_ns);
    put_time(rows, flow, flow->first_ns);
    put_time(rows, flow, flow->last_ns);
    put_address(rows, flow->ip_version, flow->source_address, texts[0]);
    put_address(rows, flow->ip_version, flow->destination_address, texts[1]);
    put_integer(rows, flow_tuple_pack(flow));
    put_integer(rows, flow_traits_pack(flow));
    put_integer(rows, flow_owner_pack(&(struct flow_owner){
                          .wan_id = store->wan_ids[flow->wan],
                          .account_id = store->account_ids[flow->account],
                          .class_number = store->class_ids[flow->class_index]}));
    put_integer(rows, flow_status_pack(flow));
    put_label_bits(rows, flow);
    put_integer(rows, flow_labels_pack(flow));
    put_integer(rows, flow->resume);
}

/* ---- what is seldom other than its default ---- */

static void bind_far_time(sqlite3_stmt *add, int position, const struct flow_record *flow,
                          int64_t time_ns)
{
    int64_t after_ns;
    if (flow_after_ns(flow, time_ns, &after_ns))
        store_bind_null(add, position);
    else
        store_bind_integer(add, position, time_ns);
}

static int add_extra(struct store *store, const struct flow_record *flow, int64_t record_id)
{
    sqlite3_stmt *add = store->statements[STATEMENT_FLOW_EXTRA_ADD];
    const struct flow_counters *original = &flow->counters[FLOW_ORIGINAL];
    const struct flow_counters *reply = &flow->counters[FLOW_REPLY];
    store_bind_integer(add, 1, record_id);
    bind_far_time(add, 2, flow, flow->first_ns);
    bind_far_time(add, 3, flow, flow->last_ns);
    if (flow->master_id)
        store_bind_integer(add, 4, (int64_t)flow->master_id);
    else
        store_bind_null(add, 4);
    store_bind_integer(add, 5, (int64_t)original->ct_packets);
    store_bind_integer(add, 6, (int64_t)original->ct_l3_bytes);
    store_bind_integer(add, 7, (int64_t)reply->ct_packets);
    store_bind_integer(add, 8, (int64_t)reply->ct_l3_bytes);
    store_bind_integer(add, 9, (int64_t)flow->invalid_packets);
    store_bind_integer(add, 10, flow->wan_changes);
    store_bind_integer(add, 11, flow->flow_label_changes);
    store_bind_integer(add, 12, flow->merged_packets);
    return store_run_statement(store, STATEMENT_FLOW_EXTRA_ADD, "cannot add a flow record");
}

/* ---- a record ---- */

/* Each, and what both directions have together. */
static bool counters_fit(const struct flow_record *flow)
{
    const struct flow_counters *original = &flow->counters[FLOW_ORIGINAL];
    const struct flow_counters *reply = &flow->counters[FLOW_REPLY];
    uint64_t bits = flow->invalid_packets;
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &flow->counters[i];
        bits |= counters->packets | counters->l2_bytes | counters->l3_bytes |
                counters->billed_bytes | counters->ct_packets | counters->ct_l3_bytes;
    }
    return store_fits(bits) && store_fits((original->packets + reply->packets) |
                                          (original->l2_bytes + reply->l2_bytes) |
                                          (original->l3_bytes + reply->l3_bytes) |
                                          (original->billed_bytes + reply->billed_bytes));
}

/* Everything but the row itself, which is bound. */
static int take_flow(struct store *store, struct flow_rows *rows, size_t row, int64_t record_id,
                     uint32_t shard)
{
    struct flow_record *flow = &rows->records[row];
    if (!counters_fit(flow))
        return store_fail(store, -ERANGE, "%s: a flow record's counter beyond 64-bit integers",
                          store->path);
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, flow->seal, &seal);
    if (result < 0)
        return result;
    flow->seal = seal->number;
    put_flow(rows, store, flow, rows->texts[row]);
    store_gap_add_flow(store, flow);
    store_seal_flow(store, seal, record_id, flow);
    if (flow_has_extra(flow))
        result = add_extra(store, flow, record_id);
    return result == 0 ? store_restore_note_flow(store, flow, record_id, shard) : result;
}

/* ---- a batch ---- */

static int add_rows(struct store *store, const struct message *message, size_t from, size_t n_rows,
                    int64_t record_id)
{
    bool is_one = n_rows == 1;
    enum store_statement statement = is_one ? STATEMENT_FLOW_ADD : STATEMENT_FLOWS_ADD;
    struct flow_rows rows;
    rows.add = store->statements[statement];
    rows.bound = is_one ? store->flow_bounds.one : store->flow_bounds.many;
    rows.position = 1;
    int result = 0;
    for (size_t i = 0; i < n_rows; i++) {
        flow_record_get(message->flows + (from + i) * FLOW_RECORD_SIZE,
                        &rows.records[i]); /* checked before */
        store_restore_expect_flow(store, &rows.records[i]);
    }
    for (size_t i = 0; result == 0 && i < n_rows; i++)
        result = take_flow(store, &rows, i, record_id + (int64_t)i, message->stream.shard);
    if (result < 0)
        return result;
    if (is_one)
        put_integer(&rows, record_id);
    assert(rows.position - 1 == sqlite3_bind_parameter_count(rows.add));
    result = store_run_statement(store, statement, "cannot add flow records");
    assert(result < 0 || sqlite3_last_insert_rowid(store->db) == record_id + (int64_t)n_rows - 1);
    return result;
}

int store_add_flows(struct store *store, const struct message *message)
{
    int result = 0;
    size_t n_rows;
    for (size_t i = 0; result == 0 && i < message->n_flows; i += n_rows) {
        bool is_implied;
        int64_t record_id = store_seal_next_record(store, &is_implied);
        bool are_many = is_implied && message->n_flows - i >= STORE_FLOW_ROWS;
        n_rows = are_many ? STORE_FLOW_ROWS : 1;
        result = add_rows(store, message, i, n_rows, record_id);
    }
    return result;
}
