/* Flow records go into the database as pages of a table that we write: they must be what SQLite
 * itself would have written. */
#include "store_case.h"

#include "exporter/store/store_append.h"
#include "exporter/store/store_internal.h"
#include "exporter/store/store_page.h"

enum { N_MANY = 1500 /* more than two pages hold */ };

/* A value at each edge of SQLite's integer sizes, and at the sign's. */
static uint64_t edge(size_t i)
{
    static const unsigned bits[] = {0, 1, 7, 8, 15, 16, 23, 24, 31, 32, 47, 48, 55, 56, 62};
    return (UINT64_C(1) << bits[i / 3 % (sizeof bits / sizeof *bits)]) - 1 + i % 3;
}

static const size_t N_EDGES = 45;

/* Each with other values in columns of every kind; 'id' also has the sign bit. */
static struct flow_record edge_flow(size_t i)
{
    struct flow_record flow = case_flow();
    uint64_t value = edge(i);
    flow.id = i % 2 ? value : ~value;
    flow.counters[FLOW_ORIGINAL].packets = flow.counters[FLOW_ORIGINAL].ct_packets = value;
    flow.counters[FLOW_ORIGINAL].l2_bytes = edge(i + 1) / 2;
    flow.counters[FLOW_REPLY].billed_bytes = edge(i + 2) / 2;
    flow.start_ns = (int64_t)(i % 4 ? value : ~value) / 4;
    flow.first_ns = flow.last_ns = flow.start_ns + (int64_t)(value / 4);
    flow.mark = (uint32_t)value;
    flow.resume = (uint32_t)(value >> 8);
    flow.flow_label[FLOW_REPLY] = (uint32_t)value & 0xfffff;
    memcpy(flow.labels + i % 9, &value, i % 3 ? 7 : 0);
    if (i % 5 == 0) {
        flow.ip_version = 6;
        memset(flow.source_address, (int)i, sizeof flow.source_address);
        memset(flow.destination_address, 0, sizeof flow.destination_address);
    }
    return flow;
}

/* One batch of 'n' records, committed. */
static void apply_more_flows(struct store_case *c, int64_t seq, size_t n,
                             struct flow_record (*make)(size_t))
{
    struct batch batch;
    uint8_t *flows = malloc(n * FLOW_RECORD_SIZE);
    assert_non_null(flows);
    batch_init(&batch, seq, (struct totals){0});
    for (size_t i = 0; i < n; i++) {
        struct flow_record flow = make(i);
        flow_record_put(&flow, flows + i * FLOW_RECORD_SIZE);
    }
    batch.message.flows = flows;
    batch.message.n_flows = n;
    assert_int_equal(case_apply(c, &batch), 0);
    free(flows);
}

static void apply_flows(struct store_case *c, size_t n, struct flow_record (*make)(size_t))
{
    apply_more_flows(c, 0, n, make);
}

/* ---- cases ---- */

static void test_records_are_byte_for_byte_what_sqlite_writes(void **state)
{
    struct store_case *c = *state;
    static const char same[] = "SELECT count(*) FROM (SELECT * FROM flow_record INTERSECT"
                               " SELECT * FROM copy)";
    static const char size[] = "SELECT sum(payload) FROM dbstat WHERE name = 'flow_record'";
    char before[4096];
    case_open(c);
    apply_flows(c, N_EDGES, edge_flow);
    case_close(c);
    assert_answer(c, "PRAGMA integrity_check", "ok");
    snprintf(before, sizeof before, "%s", case_ask(c, size));
    case_tamper(c, "CREATE TABLE copy AS SELECT * FROM flow_record;"
                   "UPDATE flow_record SET packets = packets + 1;"
                   "UPDATE flow_record SET packets = packets - 1");
    assert_answer(c, size, before);
    snprintf(before, sizeof before, "%zu", N_EDGES);
    assert_answer(c, same, before);
}

static void assert_edges(const struct store_case *c)
{
    char sql[96], expected[64];
    for (size_t i = 0; i < N_EDGES; i++) {
        snprintf(sql, sizeof sql,
                 "SELECT packets || ' ' || id FROM flow_record WHERE record_id = %zu", i + 1);
        snprintf(expected, sizeof expected, "%lld %lld", (long long)edge(i),
                 (long long)edge_flow(i).id);
        assert_answer(c, sql, expected);
    }
}

static void test_each_integer_is_read_as_it_was_written(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    apply_flows(c, N_EDGES, edge_flow);
    assert_edges(c);
}

static struct flow_record numbered_flow(size_t i)
{
    struct flow_record flow = edge_flow(i);
    flow.counters[FLOW_ORIGINAL].packets = flow.counters[FLOW_ORIGINAL].ct_packets = i + 1;
    return flow;
}

static void test_more_records_than_a_page_holds_are_all_there_in_their_order(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    apply_flows(c, N_MANY, numbered_flow);
    assert_answer(c, "SELECT count(*) FROM flow_record WHERE packets = record_id", "1500");
    assert_answer(c, "SELECT min(record_id) || ' ' || max(record_id) FROM flow_record", "1 1500");
}

static bool has_opcode(sqlite3 *db, const char *statement_sql, const char *opcode)
{
    sqlite3_stmt *explain;
    bool has = false;
    char *sql = sqlite3_mprintf("EXPLAIN %s", statement_sql);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &explain, NULL), SQLITE_OK);
    while (sqlite3_step(explain) == SQLITE_ROW)
        has |= strcmp((const char *)sqlite3_column_text(explain, 1), opcode) == 0;
    sqlite3_finalize(explain);
    sqlite3_free(sql);
    return has;
}

static void test_sqlite_copies_records_without_looking_into_them(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    const char *sql = sqlite3_sql(c->store->statements[STATEMENT_FLOWS_APPEND]);
    assert_true(has_opcode(c->store->db, sql, "RowData") ||
                has_opcode(c->store->db, sql, "RowCell"));
    assert_false(has_opcode(c->store->db, sql, "Column"));
    assert_false(has_opcode(c->store->db, sql, "MakeRecord"));
}

static void test_sqlite_appends_records_without_a_search_for_their_numbers(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    const char *sql = sqlite3_sql(c->store->statements[STATEMENT_FLOWS_APPEND]);
    assert_true(has_opcode(c->store->db, sql, "NewRowid"));
    assert_false(has_opcode(c->store->db, sql, "NotExists"));
}

static bool has_append(const struct store_case *c)
{
    return sqlite3_table_column_metadata(c->store->db, "main", FLOW_APPEND, NULL, NULL, NULL, NULL,
                                         NULL, NULL) == SQLITE_OK;
}

static void test_the_definition_for_appending_is_in_no_file(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    assert_true(has_append(c));
    apply_flows(c, N_MANY, numbered_flow);
    assert_answer(c, "SELECT count(*) FROM sqlite_schema WHERE name = '" FLOW_APPEND "'", "0");
    assert_answer(c, "PRAGMA integrity_check", "ok");
}

/* ---- records that are not appended ---- */

static void test_records_that_are_inserted_by_number_are_the_same(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    sqlite3_finalize(c->store->statements[STATEMENT_FLOWS_APPEND]);
    c->store->statements[STATEMENT_FLOWS_APPEND] = NULL; /* as if SQLite could not */
    apply_flows(c, N_EDGES, edge_flow);
    assert_edges(c);
    assert_answer(c, "PRAGMA integrity_check", "ok");
}

static void test_a_table_that_has_lost_its_last_rows_is_gone_on_with_by_number(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    apply_flows(c, 3, numbered_flow);
    case_tamper(c, "DELETE FROM flow_record WHERE record_id >= 2");
    apply_more_flows(c, 1, N_MANY, numbered_flow);
    assert_answer(c,
                  "SELECT group_concat(record_id) FROM (SELECT record_id FROM flow_record LIMIT 3)",
                  "1,4,5");
    assert_answer(c, "SELECT count(*) FROM flow_record WHERE record_id = packets + 3", "1500");
}

/* SQLite reads its definitions again, and has forgotten ours. */
static void test_a_definition_that_somebody_changes_does_no_harm(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    apply_flows(c, 3, numbered_flow);
    case_tamper(c, "CREATE TABLE somebodys (a)");
    apply_more_flows(c, 1, 3, numbered_flow);
    assert_true(has_append(c));
    case_tamper(c, "DROP TABLE somebodys; VACUUM"); /* tables begin at other pages */
    apply_more_flows(c, 2, 3, numbered_flow);
    assert_answer(c, "SELECT group_concat(record_id || ' ' || packets) FROM flow_record",
                  "1 1,2 2,3 3,4 1,5 2,6 3,7 1,8 2,9 3");
    assert_answer(c, "PRAGMA integrity_check", "ok");
}

/* The second definition knows neither: records go by number then. */
static void test_an_index_and_a_trigger_of_somebody_s_have_each_record(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    apply_flows(c, 3, numbered_flow);
    case_tamper(c, "CREATE INDEX somebodys ON flow_record (start_ns)");
    apply_more_flows(c, 1, 3, numbered_flow);
    assert_false(has_append(c));
    apply_more_flows(c, 2, 3, numbered_flow);
    assert_answer(c, "PRAGMA integrity_check", "ok");
    case_tamper(c, "DROP INDEX somebodys; CREATE TABLE seen (n);"
                   "CREATE TRIGGER somebodys AFTER INSERT ON flow_record BEGIN"
                   " INSERT INTO seen VALUES (new.record_id); END");
    apply_more_flows(c, 3, 3, numbered_flow);
    assert_answer(c, "SELECT group_concat(n) FROM seen", "10,11,12");
    case_tamper(c, "DROP TRIGGER somebodys");
    apply_more_flows(c, 4, 3, numbered_flow);
    assert_true(has_append(c));
}

/* What is on the page of a batch that failed is in no other. */
static void test_a_batch_that_was_taken_back_leaves_nothing_on_the_page(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    struct flow_record flow = case_flow();
    case_open(c);
    batch_init(&batch, 0, (struct totals){0});
    batch_add_flow(&batch, &flow);
    flow.counters[FLOW_REPLY].packets = UINT64_MAX; /* out of range: the second is refused */
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), -ERANGE);
    apply_flows(c, 3, numbered_flow);
    assert_answer(c, "SELECT count(*) || ' ' || max(record_id) FROM flow_record", "3 3");
}

/* A record_id that is there means that SQLite or we are wrong about the page: nothing is kept. */
static void test_a_record_id_that_is_there_takes_back_the_transaction(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    struct flow_record flow = case_flow();
    case_open(c);
    apply_flows(c, 3, numbered_flow);
    case_tamper(c, "UPDATE flow_record SET record_id = 5 WHERE record_id = 3");
    batch_init(&batch, 1, (struct totals){0});
    batch_add_flow(&batch, &flow);
    batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), -ERANGE);
    assert_answer(c, "SELECT count(*) FROM flow_record", "3");
    assert_false(store_has_transaction(c->store));
}

static void test_a_table_with_other_columns_is_refused(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    case_tamper(c, "ALTER TABLE flow_record ADD COLUMN more INTEGER");
    assert_int_equal(store_open(c->path, CHECKPOINT_BYTES, &c->store, c->error), -EUCLEAN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_records_are_byte_for_byte_what_sqlite_writes),
        CASE(test_each_integer_is_read_as_it_was_written),
        CASE(test_more_records_than_a_page_holds_are_all_there_in_their_order),
        CASE(test_sqlite_copies_records_without_looking_into_them),
        CASE(test_sqlite_appends_records_without_a_search_for_their_numbers),
        CASE(test_the_definition_for_appending_is_in_no_file),
        CASE(test_records_that_are_inserted_by_number_are_the_same),
        CASE(test_a_table_that_has_lost_its_last_rows_is_gone_on_with_by_number),
        CASE(test_a_definition_that_somebody_changes_does_no_harm),
        CASE(test_an_index_and_a_trigger_of_somebody_s_have_each_record),
        CASE(test_a_batch_that_was_taken_back_leaves_nothing_on_the_page),
        CASE(test_a_record_id_that_is_there_takes_back_the_transaction),
        CASE(test_a_table_with_other_columns_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
