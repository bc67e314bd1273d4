/* A batch's flow records: each is looked at once, and inserted with others as a page of them. */
#include "exporter/store/store_page.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "exporter/store/store_restore.h"
#include "schema/flow_columns.h"

/* What is looked at together: the places of so many flows in the table of open ones are fetched at
 * once. */
enum { RECORDS_AHEAD = 16 };

/* ---- a row ---- */

/* 192.0.2.1 is 0xc0000201. */
static int64_t ipv4_number(const uint8_t address[4])
{
    return (int64_t)address[0] << 24 | (int64_t)address[1] << 16 | (int64_t)address[2] << 8 |
           address[3];
}

/* A row, and the texts that it borrows. */
struct flow_row {
    struct store_row row;
    char texts[FLOW_DIRECTIONS][ADDRESS_TEXT_SIZE];
};

/* IPv6 as text. */
static void put_address(struct store_row *row, enum store_row_column column, uint8_t ip_version,
                        const uint8_t address[16], char text[ADDRESS_TEXT_SIZE])
{
    if (ip_version == 4)
        row->integers[column] = ipv4_number(address);
    else
        store_row_set(row, column, ROW_TEXT, text, address_text(6, address, text));
}

static void put_label_bits(struct store_row *row, const struct flow_record *flow)
{
    static const uint8_t none[sizeof flow->labels];
    if (flow_label_bits_pack(flow->labels, &row->integers[ROW_LABELS]))
        return;
    if (memcmp(flow->labels, none, sizeof none) == 0)
        store_row_set(row, ROW_LABELS, ROW_NULL, none, 0);
    else
        store_row_set(row, ROW_LABELS, ROW_BLOB, flow->labels, sizeof flow->labels);
}

/* Both directions, and the reply. */
static void put_counters(struct store_row *row, const struct flow_record *flow)
{
    const struct flow_counters *original = &flow->counters[FLOW_ORIGINAL];
    const struct flow_counters *reply = &flow->counters[FLOW_REPLY];
    int64_t *integers = row->integers;
    integers[ROW_PACKETS] = (int64_t)(original->packets + reply->packets);
    integers[ROW_L2_BYTES] = (int64_t)(original->l2_bytes + reply->l2_bytes);
    integers[ROW_L3_BYTES] = (int64_t)(original->l3_bytes + reply->l3_bytes);
    integers[ROW_BILLED_BYTES] = (int64_t)(original->billed_bytes + reply->billed_bytes);
    integers[ROW_REPLY_PACKETS] = (int64_t)reply->packets;
    integers[ROW_REPLY_L2_BYTES] = (int64_t)reply->l2_bytes;
    integers[ROW_REPLY_L3_BYTES] = (int64_t)reply->l3_bytes;
    integers[ROW_REPLY_BILLED_BYTES] = (int64_t)reply->billed_bytes;
}

/* 0: it is in flow_extra. */
static int64_t time_of(const struct flow_record *flow, int64_t time_ns)
{
    int64_t after_ns;
    return flow_after_ns(flow, time_ns, &after_ns) ? after_ns : 0;
}

static void put_flow(struct flow_row *to, const struct store *store, const struct flow_record *flow)
{
    struct store_row *row = &to->row;
    int64_t *integers = row->integers;
    row->others = 0;
    put_counters(row, flow);
    integers[ROW_SEAL] = flow->seal;
    integers[ROW_ID] = (int64_t)flow->id;
    integers[ROW_START_NS] = flow->start_ns;
    integers[ROW_FIRST_AFTER_NS] = time_of(flow, flow->first_ns);
    integers[ROW_LAST_AFTER_NS] = time_of(flow, flow->last_ns);
    put_address(row, ROW_SRC_ADDRESS, flow->ip_version, flow->source_address, to->texts[0]);
    put_address(row, ROW_DST_ADDRESS, flow->ip_version, flow->destination_address, to->texts[1]);
    integers[ROW_TUPLE] = flow_tuple_pack(flow);
    integers[ROW_TRAITS] = flow_traits_pack(flow);
    integers[ROW_OWNER] =
        flow_owner_pack(&(struct flow_owner){.wan_id = store->wan_ids[flow->wan],
                                             .account_id = store->account_ids[flow->account],
                                             .class_number = store->class_ids[flow->class_index]});
    integers[ROW_STATUS] = flow_status_pack(flow);
    put_label_bits(row, flow);
    integers[ROW_FLOW_LABELS] = flow_labels_pack(flow);
    integers[ROW_RESUME] = flow->resume;
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

static int put_row(struct store *store, const struct flow_record *flow, int64_t record_id)
{
    struct flow_row to;
    put_flow(&to, store, flow);
    int result = 0;
    if (!store_page_add(store->page, record_id, &to.row)) {
        result = store_page_insert(store);
        bool is_added = result < 0 || store_page_add(store->page, record_id, &to.row);
        assert(is_added);
    }
    return result;
}

static int take_flow(struct store *store, struct flow_record *flow, int64_t record_id,
                     uint32_t shard)
{
    if (!counters_fit(flow))
        return store_fail(store, -ERANGE, "%s: a flow record's counter beyond 64-bit integers",
                          store->path);
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, flow->seal, &seal);
    if (result < 0)
        return result;
    flow->seal = seal->number;
    store_gap_add_flow(store, flow);
    store_seal_flow(store, seal, record_id, flow);
    result = put_row(store, flow, record_id);
    if (result == 0 && flow_has_extra(flow))
        result = add_extra(store, flow, record_id);
    return result == 0 ? store_restore_note_flow(store, flow, record_id, shard) : result;
}

/* ---- a batch ---- */

static int take_some(struct store *store, const struct message *message, size_t from, size_t n,
                     int64_t record_id)
{
    struct flow_record records[RECORDS_AHEAD];
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        flow_record_get(message->flows + (from + i) * FLOW_RECORD_SIZE,
                        &records[i]); /* checked before */
        store_restore_expect_flow(store, &records[i]);
    }
    for (size_t i = 0; result == 0 && i < n; i++)
        result = take_flow(store, &records[i], record_id + (int64_t)i, message->stream.shard);
    return result;
}

int store_add_flows(struct store *store, const struct message *message)
{
    int result = 0;
    size_t n;
    store_page_clear(store->page);
    for (size_t i = 0; result == 0 && i < message->n_flows; i += n) {
        n = message->n_flows - i < RECORDS_AHEAD ? message->n_flows - i : RECORDS_AHEAD;
        result = take_some(store, message, i, n, store_seal_next_record(store));
    }
    return result == 0 ? store_page_insert(store) : result;
}
