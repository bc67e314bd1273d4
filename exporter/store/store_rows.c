/* A batch's rows: usage sums, flow records, loss lines, sources and high-water marks. */
#include "exporter/store/store_quota.h"
#include "exporter/store/store_restore.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"

enum { PROTOCOL_ICMP = 1, PROTOCOL_ICMPV6 = 58 };

static int refuse_beyond(struct store *store, const char *what)
{
    return store_fail(store, -ERANGE, "%s: %s beyond 64-bit integers", store->path, what);
}

/* ---- usage ---- */

static int add_usage_delta(struct store *store, const struct usage_delta *delta)
{
    if (!store_fits(delta->packets | delta->l2_bytes | delta->l3_bytes | delta->billed_bytes))
        return refuse_beyond(store, "a usage delta");
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, delta->seal, &seal);
    if (result < 0)
        return result;
    seal->has_rows = true;
    store_gap_add_usage(store, delta);
    sqlite3_stmt *add = store->statements[STATEMENT_USAGE_ADD];
    store_bind_integer(add, 1, delta->slot_ns);
    store_bind_integer(add, 2, store->account_ids[delta->account]);
    store_bind_integer(add, 3, store->wan_ids[delta->wan]);
    store_bind_integer(add, 4, delta->direction);
    store_bind_integer(add, 5, store->class_ids[delta->class_index]);
    store_bind_integer(add, 6, delta->cause);
    store_bind_integer(add, 7, store->model_ids[delta->wan * DIRECTION_N + delta->direction]);
    store_bind_integer(add, 8, (int64_t)delta->packets);
    store_bind_integer(add, 9, (int64_t)delta->l2_bytes);
    store_bind_integer(add, 10, (int64_t)delta->l3_bytes);
    store_bind_integer(add, 11, (int64_t)delta->billed_bytes);
    store_bind_integer(add, 12, seal->number);
    result = store_run_statement(store, STATEMENT_USAGE_ADD, "cannot add to usage");
    return result == 0 ? store_quota_add(store, delta) : result;
}

static int add_usage(struct store *store, const struct message *message)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < message->n_usage; i++) {
        struct usage_delta delta;
        usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta); /* checked before */
        result = add_usage_delta(store, &delta);
    }
    return result;
}

/* ---- flow records ---- */

/* One row's values, bound from the first column to the last. Most are those of the row before. */
struct flow_row {
    sqlite3_stmt *add;
    struct store_bound *bound;
    int position;
};

static void put_integer(struct flow_row *row, int64_t value)
{
    int position = row->position++;
    struct store_bound *bound = &row->bound[position];
    if (bound->kind == BOUND_INTEGER && bound->integer == value)
        return;
    *bound = (struct store_bound){BOUND_INTEGER, value};
    store_bind_integer(row->add, position, value);
}

static void put_optional(struct flow_row *row, bool is_there, int64_t value)
{
    if (is_there) {
        put_integer(row, value);
        return;
    }
    int position = row->position++;
    if (row->bound[position].kind != BOUND_NULL)
        store_bind_null(row->add, position);
    row->bound[position].kind = BOUND_NULL;
}

/* 192.0.2.1 is 0xc0000201. */
static int64_t ipv4_number(const uint8_t address[4])
{
    return (int64_t)address[0] << 24 | (int64_t)address[1] << 16 | (int64_t)address[2] << 8 |
           address[3];
}

static void put_address(struct flow_row *row, const struct flow_record *flow,
                        const uint8_t address[16], char text[ADDRESS_TEXT_SIZE])
{
    if (flow->ip_version == 4) {
        put_integer(row, ipv4_number(address));
        return;
    }
    int position = row->position++;
    row->bound[position].kind = BOUND_UNKNOWN;
    store_bind_text(row->add, position, text, address_text(6, address, text));
}

static void put_tuple(struct flow_row *row, const struct flow_record *flow)
{
    bool is_icmp = flow->protocol == PROTOCOL_ICMP || flow->protocol == PROTOCOL_ICMPV6;
    put_optional(row, flow->has_ports, flow->source_port);
    put_optional(row, flow->has_ports, flow->destination_port);
    put_integer(row, flow->protocol);
    put_optional(row, is_icmp, flow->icmp_type);
    put_optional(row, is_icmp, flow->icmp_code);
    put_integer(row, flow->zone);
}

static void put_labels(struct flow_row *row, const struct flow_record *flow)
{
    static const uint8_t none[sizeof flow->labels];
    if (memcmp(flow->labels, none, sizeof none) == 0) {
        put_optional(row, false, 0);
        return;
    }
    int position = row->position++;
    row->bound[position].kind = BOUND_UNKNOWN;
    store_bind_blob(row->add, position, flow->labels, sizeof flow->labels);
}

static void put_counters(struct flow_row *row, const struct flow_counters *counters)
{
    put_integer(row, (int64_t)counters->packets);
    put_integer(row, (int64_t)counters->l2_bytes);
    put_integer(row, (int64_t)counters->l3_bytes);
    put_integer(row, (int64_t)counters->billed_bytes);
    put_integer(row, (int64_t)counters->ct_packets);
    put_integer(row, (int64_t)counters->ct_l3_bytes);
}

static bool counters_fit(const struct flow_record *flow)
{
    uint64_t bits = flow->invalid_packets;
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        const struct flow_counters *counters = &flow->counters[i];
        bits |= counters->packets | counters->l2_bytes | counters->l3_bytes |
                counters->billed_bytes | counters->ct_packets | counters->ct_l3_bytes;
    }
    return store_fits(bits);
}

/* In the order of STATEMENT_FLOW_ADD. 'texts' have to stay until it has run. */
static void put_flow(struct flow_row *row, const struct store *store,
                     const struct flow_record *flow, char texts[2][ADDRESS_TEXT_SIZE])
{
    put_integer(row, (int64_t)flow->id);
    put_optional(row, flow->master_id != 0, (int64_t)flow->master_id);
    put_integer(row, flow->start_ns);
    put_integer(row, flow->first_ns);
    put_integer(row, flow->last_ns);
    put_address(row, flow, flow->source_address, texts[0]);
    put_address(row, flow, flow->destination_address, texts[1]);
    put_tuple(row, flow);
    put_integer(row, store->wan_ids[flow->wan]);
    put_integer(row, store->account_ids[flow->account]);
    put_integer(row, store->class_ids[flow->class_index]);
    put_integer(row, flow->state);
    put_integer(row, flow->status);
    put_integer(row, flow->mark);
    put_labels(row, flow);
    put_counters(row, &flow->counters[FLOW_ORIGINAL]);
    put_counters(row, &flow->counters[FLOW_REPLY]);
    put_integer(row, (int64_t)flow->invalid_packets);
    put_integer(row, flow->wan_changes);
    put_integer(row, flow->flow_label[FLOW_ORIGINAL]);
    put_integer(row, flow->flow_label[FLOW_REPLY]);
    put_integer(row, flow->flow_label_changes);
    put_integer(row, flow->merged_packets);
    put_integer(row, flow->wan_match);
    put_integer(row, flow->kind);
    put_integer(row, flow->end_reason);
    put_integer(row, flow->resume);
}

static int add_flow(struct store *store, const struct flow_record *flow, uint32_t shard)
{
    if (!counters_fit(flow))
        return refuse_beyond(store, "a flow record's counter");
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, flow->seal, &seal);
    if (result < 0)
        return result;
    sqlite3_stmt *add = store->statements[STATEMENT_FLOW_ADD];
    store_gap_add_flow(store, flow);
    struct flow_row row = {.add = add, .bound = store->flow_bound, .position = 1};
    char texts[2][ADDRESS_TEXT_SIZE];
    put_flow(&row, store, flow, texts);
    put_integer(&row, seal->number);
    assert(row.position - 1 == sqlite3_bind_parameter_count(add) &&
           row.position <= STORE_FLOW_COLUMNS_MAX);
    result = store_run_statement(store, STATEMENT_FLOW_ADD, "cannot add a flow record");
    if (result < 0)
        return result;
    store_seal_flow(store, seal, flow);
    return store_restore_note_flow(store, flow, shard);
}

static int add_flows(struct store *store, const struct message *message)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < message->n_flows; i++) {
        struct flow_record flow;
        flow_record_get(message->flows + i * FLOW_RECORD_SIZE, &flow); /* checked before */
        result = add_flow(store, &flow, message->stream.shard);
    }
    return result;
}

/* ---- losses and sources ---- */

static void bind_optional(sqlite3_stmt *add, int position, bool is_there, int64_t value)
{
    if (is_there)
        store_bind_integer(add, position, value);
    else
        store_bind_null(add, position);
}

static void bind_text(sqlite3_stmt *statement, int position, const char *text)
{
    store_bind_text(statement, position, text, strlen(text));
}

int store_add_loss(struct store *store, int64_t stream_id, const struct loss *loss)
{
    struct store_open_seal *seal;
    int result = store_seal_of_row(store, seal_of(loss->last_ns), &seal);
    if (result < 0)
        return result;
    sqlite3_stmt *add = store->statements[STATEMENT_LOSS_ADD];
    store_bind_integer(add, 1, stream_id);
    store_bind_integer(add, 2, loss->first_ns);
    store_bind_integer(add, 3, loss->last_ns);
    bind_text(add, 4, loss_stage_name(loss->stage));
    bind_text(add, 5, loss->reason);
    bind_optional(add, 6, loss->packets >= 0, loss->packets);
    bind_optional(add, 7, loss->l2_bytes >= 0, loss->l2_bytes);
    bind_optional(add, 8, loss->l3_bytes >= 0, loss->l3_bytes);
    bind_text(add, 9, loss_certainty_name(loss->certainty));
    bind_text(add, 10, loss->evidence);
    store_bind_integer(add, 11, seal->number);
    return store_run_statement(store, STATEMENT_LOSS_ADD, "cannot add a loss line");
}

static int add_loss(struct store *store, const struct message *message,
                    const struct stream_loss *line)
{
    bool is_own = stream_id_equal(&line->stream, &message->stream);
    struct store_stream *stream;
    int result = store_stream_get(store, &line->stream, is_own ? "tracker" : "capture", &stream);
    return result == 0 ? store_add_loss(store, stream->row_id, &line->loss) : result;
}

/* The hash as text; false: all zeros, there is none. */
static bool hash_text(const uint8_t hash[32], char text[65])
{
    uint8_t bits = 0;
    for (size_t i = 0; i < 32; i++) {
        bits |= hash[i];
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    }
    return bits != 0;
}

static int put_source(struct store *store, const struct stream_source *source)
{
    const struct source_total *total = &source->total;
    if (!store_fits(total->packets | total->l2_bytes))
        return refuse_beyond(store, "a source's total");
    sqlite3_stmt *put = store->statements[STATEMENT_SOURCE_PUT];
    char hash[65];
    store_bind_integer(put, 1, store->run_id);
    bind_text(put, 2, source->stream.producer);
    store_bind_integer(put, 3, (int64_t)source->stream.epoch);
    store_bind_integer(put, 4, total->source_index);
    bind_text(put, 5, total->name);
    if (hash_text(total->sha256, hash))
        bind_text(put, 6, hash);
    else
        store_bind_null(put, 6);
    store_bind_integer(put, 7, (int64_t)total->packets);
    store_bind_integer(put, 8, (int64_t)total->l2_bytes);
    store_bind_integer(put, 9, (int64_t)total->carrier_bytes);
    store_bind_integer(put, 10, total->first_ns);
    store_bind_integer(put, 11, total->last_ns);
    store_bind_integer(put, 12, total->is_complete);
    return store_run_statement(store, STATEMENT_SOURCE_PUT, "cannot add a source");
}

/* ---- a batch ---- */

/* What a batch names must be in the configuration that this exporter was started with. */
static int check_names(struct store *store, const struct message *message)
{
    unsigned account = 0, wan = 0, class_index = 0;
    for (size_t i = 0; i < message->n_usage; i++) {
        struct usage_delta delta;
        if (!usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta))
            return store_fail(store, -EBADMSG, "a usage delta is out of range");
        account = delta.account > account ? delta.account : account;
        wan = delta.wan > wan ? delta.wan : wan;
        class_index = delta.class_index > class_index ? delta.class_index : class_index;
    }
    for (size_t i = 0; i < message->n_flows; i++) {
        struct flow_record flow;
        if (!flow_record_get(message->flows + i * FLOW_RECORD_SIZE, &flow))
            return store_fail(store, -EBADMSG, "a flow record is out of range");
        account = flow.account > account ? flow.account : account;
        wan = flow.wan > wan ? flow.wan : wan;
        class_index = flow.class_index > class_index ? flow.class_index : class_index;
    }
    if (account > store->account_names.n || wan > store->n_wans || class_index >= store->n_classes)
        return store_fail(store, -EBADMSG,
                          "batch %lld of %s names account %u of %zu, WAN %u of %zu, class %u of "
                          "%zu: the tracker has another configuration",
                          (long long)message->seq, message->stream.producer, account,
                          store->account_names.n, wan, store->n_wans, class_index,
                          store->n_classes);
    return 0;
}

static int move_marks(struct store *store, const struct message *message)
{
    int result = 0;
    struct store_stream *stream;
    for (size_t i = 0; result == 0 && i < message->n_applied; i++) {
        result = store_stream_get(store, &message->applied[i].stream, "capture", &stream);
        if (result == 0) {
            stream->mark = message->applied[i];
            result = store_stream_update(store, stream);
        }
    }
    if (result == 0)
        result = store_stream_get(store, &message->stream, "tracker", &stream);
    if (result < 0)
        return result;
    stream->mark.seq = message->seq;
    stream->mark.totals = message->totals;
    stream->clock_ns = message->watermark_ns;
    result = store_gap_grow(store, stream);
    if (result == 0)
        result = store_stream_update(store, stream);
    if (result == 0 && message->end_of_stream)
        result = store_gap_settle(store, stream);
    return result == 0 && message->end_of_stream ? store_stream_close(store, message) : result;
}

int store_apply(struct store *store, const struct message *message)
{
    assert(store->has_transaction && store->account_ids && message->kind == MESSAGE_RECORDS);
    store->growth = (struct store_open){0};
    int result = store_check_turn(store, message);
    if (result == 0)
        result = store_learn_accounts(store, message);
    if (result == 0)
        result = check_names(store, message);
    if (result == 0)
        result = store_seals_know(store);
    if (result == 0)
        result = store_check_balance(store, message);
    if (result == 0)
        result = add_usage(store, message);
    if (result == 0)
        result = add_flows(store, message);
    for (size_t i = 0; result == 0 && i < message->n_losses; i++)
        result = add_loss(store, message, &message->losses[i]);
    for (size_t i = 0; result == 0 && i < message->n_sources; i++)
        result = put_source(store, &message->sources[i]);
    if (result == 0)
        result = store_add_changes(store, message);
    if (result == 0)
        result = store_add_hole(store, message);
    if (result == 0)
        result = store_restore_note_changes(store, message);
    return result == 0 ? move_marks(store, message) : result;
}
