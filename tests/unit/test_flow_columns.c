#include "schema/flow_columns.h"

#include "common/address.h"
#include "schema/migrations.h"
#include "schema/seal_flows.h"
#include "store_case.h"

enum { N_RECORDS = 40, VERSION_BEFORE = 16 };

/* xorshift64: the same records in every run. */
static uint64_t next_random(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* 0 as often as not, else up to 'bits' bits. */
static uint64_t seldom(unsigned bits)
{
    return next_random() % 2 ? 0 : next_random() >> (64 - bits);
}

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)next_random();
}

static struct flow_counters random_counters(void)
{
    struct flow_counters counters = {.packets = seldom(30),
                                     .l2_bytes = seldom(44),
                                     .l3_bytes = seldom(44),
                                     .billed_bytes = seldom(44)};
    bool is_plain = next_random() % 2;
    counters.ct_packets = is_plain ? counters.packets : seldom(30);
    counters.ct_l3_bytes = is_plain ? counters.l3_bytes : seldom(44);
    return counters;
}

static void random_tuple(struct flow_record *record)
{
    static const uint8_t protocols[] = {1, 6, 17, 47, 58, 255};
    record->protocol = protocols[next_random() % sizeof protocols];
    record->ip_version = next_random() % 2 ? 4 : 6;
    fill(record->source_address, record->ip_version == 4 ? 4 : 16);
    fill(record->destination_address, record->ip_version == 4 ? 4 : 16);
    record->has_ports = next_random() % 2;
    if (record->has_ports) {
        record->source_port = (uint16_t)next_random();
        record->destination_port = (uint16_t)next_random();
    }
    if (record->protocol == 1 || record->protocol == 58) {
        record->icmp_type = (uint8_t)next_random();
        record->icmp_code = (uint8_t)seldom(8);
    }
    record->zone = (uint16_t)seldom(16);
}

/* As a database has it: without the numbers that mean something in a run only. */
static struct flow_record random_record(void)
{
    struct flow_record record = {.id = next_random(), .master_id = seldom(64)};
    random_tuple(&record);
    record.start_ns = (int64_t)next_random() >> 2;
    record.first_ns = record.start_ns + (int64_t)seldom(60);
    record.last_ns = record.first_ns + (int64_t)seldom(60);
    record.counters[FLOW_ORIGINAL] = random_counters();
    record.counters[FLOW_REPLY] = random_counters();
    record.invalid_packets = seldom(20);
    if (next_random() % 2)
        fill(record.labels + next_random() % 16, 1);
    if (next_random() % 4 == 0)
        fill(record.labels, sizeof record.labels);
    record.mark = (uint32_t)seldom(32);
    record.status = (uint32_t)next_random();
    record.flow_label[FLOW_ORIGINAL] = (uint32_t)seldom(32);
    record.flow_label[FLOW_REPLY] = (uint32_t)seldom(32);
    record.wan_changes = (uint32_t)seldom(32);
    record.state = (uint8_t)(next_random() % STATE_N);
    record.kind = (uint8_t)(next_random() % RECORD_KIND_N);
    record.end_reason = (uint8_t)(next_random() % END_REASON_N);
    record.wan_match = (uint8_t)seldom(8);
    record.flow_label_changes = (uint32_t)seldom(32);
    record.merged_packets = (uint32_t)seldom(32);
    record.resume = (uint32_t)seldom(32);
    return record;
}

/* ---- a column ---- */

static void test_a_record_is_what_its_columns_say(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct flow_record record = random_record(), read = record;
        read.source_port = read.destination_port = 1;
        read.protocol = read.icmp_type = read.icmp_code = read.has_ports = 1;
        read.state = read.end_reason = read.kind = read.wan_match = 1;
        read.zone = 1;
        read.mark = read.status = read.flow_label[0] = read.flow_label[1] = 1;
        assert_true(flow_tuple_unpack(flow_tuple_pack(&record), &read));
        assert_true(flow_traits_unpack(flow_traits_pack(&record), &read));
        flow_status_unpack(flow_status_pack(&record), &read);
        flow_labels_unpack(flow_labels_pack(&record), &read);
        assert_memory_equal(&read, &record, sizeof record);
    }
}

static void test_an_owner_has_room_for_the_largest_numbers(void **state)
{
    (void)state;
    const struct flow_owner owners[] = {
        {0, 0, 0}, {FLOW_WAN_MAX, FLOW_ACCOUNT_MAX, FLOW_CLASS_MAX}, {1, 2, 3}};
    for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
        struct flow_owner read;
        assert_true(flow_owner_unpack(flow_owner_pack(&owners[i]), &read));
        assert_int_equal(read.wan_id, owners[i].wan_id);
        assert_int_equal(read.account_id, owners[i].account_id);
        assert_int_equal(read.class_number, owners[i].class_number);
    }
    struct flow_owner read;
    assert_false(flow_owner_unpack(INT64_MIN, &read));
}

/* A bit more is another number: it is refused, or it is another record. */
static void test_no_two_numbers_are_the_same_record(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct flow_record record = random_record(), read = {0};
        int64_t tuple = flow_tuple_pack(&record), traits = flow_traits_pack(&record);
        for (int bit = 0; bit < 64; bit++) {
            int64_t other = (int64_t)((uint64_t)tuple ^ UINT64_C(1) << bit);
            assert_true(!flow_tuple_unpack(other, &read) || flow_tuple_pack(&read) == other);
            other = (int64_t)((uint64_t)traits ^ UINT64_C(1) << bit);
            assert_true(!flow_traits_unpack(other, &read) || flow_traits_pack(&read) == other);
        }
    }
}

static void test_labels_of_up_to_63_bits_are_a_number(void **state)
{
    (void)state;
    uint8_t labels[16] = {0}, read[16];
    int64_t number;
    assert_false(flow_label_bits_pack(labels, &number));
    for (int bit = 0; bit < 128; bit++) {
        memset(labels, 0, sizeof labels);
        labels[15 - bit / 8] = (uint8_t)(1 << bit % 8);
        assert_int_equal(flow_label_bits_pack(labels, &number), bit < 63);
        if (bit >= 63)
            continue;
        assert_int_equal(number, INT64_C(1) << bit);
        flow_label_bits_unpack(number, read);
        assert_memory_equal(read, labels, sizeof labels);
    }
}

static void test_a_time_beyond_64_bits_of_distance_is_an_extra(void **state)
{
    (void)state;
    struct flow_record record = case_flow();
    assert_true(record.counters[0].ct_packets != record.counters[0].packets);
    assert_true(flow_has_extra(&record));
    record.counters[0].ct_packets = record.counters[0].packets;
    record.counters[0].ct_l3_bytes = record.counters[0].l3_bytes;
    assert_false(flow_has_extra(&record));
    record.start_ns = INT64_MIN;
    assert_true(flow_has_extra(&record));
}

/* ---- a database ---- */

static void assert_records(const struct store_case *c, const struct flow_record *records, size_t n)
{
    sqlite3 *db;
    struct seal_flows flows;
    assert_int_equal(sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(seal_flows_open(db, 0, &flows), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seal_flows_next(&flows), SQLITE_ROW);
        assert_true(flows.is_sound);
        assert_int_equal(flows.record_id, i + 1);
        assert_int_equal(flows.wan_id, 2);
        assert_int_equal(flows.account_id, 1);
        assert_int_equal(flows.class_number, 0);
        struct flow_record expected = records[i];
        expected.wan = expected.account = 0;
        expected.seal = 0;
        assert_memory_equal(&flows.record, &expected, sizeof expected);
    }
    assert_int_equal(seal_flows_next(&flows), SQLITE_DONE);
    seal_flows_close(&flows);
    sqlite3_close(db);
}

static void make_records(struct flow_record records[N_RECORDS])
{
    for (size_t i = 0; i < N_RECORDS; i++)
        records[i] = random_record();
    records[1].start_ns = INT64_MIN;
    records[1].first_ns = INT64_MIN + 5;
    records[1].last_ns = INT64_MAX;
}

static void test_records_are_read_as_written_whatever_a_batch_has_of_them(void **state)
{
    struct store_case *c = *state;
    static const size_t sizes[] = {1, 15, 16, 17, N_RECORDS};
    struct flow_record records[N_RECORDS];
    make_records(records);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unlink(c->path);
        case_open(c);
        int64_t seq = 0;
        for (size_t i = 0; i < N_RECORDS;) {
            struct batch batch;
            batch_init(&batch, seq++, (struct totals){0});
            for (size_t n = 0; n < sizes[k] && i < N_RECORDS; n++, i++) {
                records[i].wan = 2;
                records[i].account = 1;
                records[i].seal = seal_of(0);
                batch_add_flow(&batch, &records[i]);
            }
            assert_int_equal(case_apply(c, &batch), 0);
        }
        case_close(c);
        assert_records(c, records, N_RECORDS);
    }
}

static void test_a_number_that_a_deleted_record_had_is_not_given_again(void **state)
{
    struct store_case *c = *state;
    struct batch batch;
    struct flow_record flow = case_flow();
    case_open(c);
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    for (int i = 0; i < 20; i++)
        batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_int_equal(store_begin(c->store), 0);
    assert_int_equal(store_seal(c->store, seal_of(0) + 1, 1, 1000), 0);
    assert_int_equal(store_commit(c->store), 0);
    case_close(c);
    case_tamper(c, "DELETE FROM flow_record; DELETE FROM flow_extra");
    case_open(c);
    struct totals totals = batch.applied.totals;
    batch_init(&batch, 1, totals);
    for (int i = 0; i < 20; i++)
        batch_add_flow(&batch, &flow);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT min(record_id) || ' ' || max(record_id) FROM flow_record", "21 40");
}

/* ---- a database of before the step ---- */

static void bind_or_null(sqlite3_stmt *add, int *at, bool is_there, int64_t value)
{
    if (is_there)
        sqlite3_bind_int64(add, (*at)++, value);
    else
        sqlite3_bind_null(add, (*at)++);
}

static void bind_address(sqlite3_stmt *add, int *at, const struct flow_record *record,
                         const uint8_t address[16])
{
    char text[ADDRESS_TEXT_SIZE];
    const uint8_t *a = address;
    if (record->ip_version == 4)
        sqlite3_bind_int64(add, (*at)++,
                           (int64_t)a[0] << 24 | (int64_t)a[1] << 16 | (int64_t)a[2] << 8 | a[3]);
    else
        sqlite3_bind_text(add, (*at)++, text, (int)address_text(6, address, text),
                          SQLITE_TRANSIENT);
}

static void bind_counters(sqlite3_stmt *add, int *at, const struct flow_counters *counters)
{
    const uint64_t numbers[] = {counters->packets,    counters->l2_bytes,
                                counters->l3_bytes,   counters->billed_bytes,
                                counters->ct_packets, counters->ct_l3_bytes};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sqlite3_bind_int64(add, (*at)++, (int64_t)numbers[i]);
}

static const char before_sql[] =
    "INSERT INTO flow_record (id, master_id, start_ns, first_ns, last_ns, src_address,"
    " dst_address, src_port, dst_port, protocol, icmp_type, icmp_code, zone, wan_id,"
    " account_id, class, state, status, mark, labels, orig_packets, orig_l2_bytes,"
    " orig_l3_bytes, orig_billed_bytes, orig_ct_packets, orig_ct_l3_bytes, reply_packets,"
    " reply_l2_bytes, reply_l3_bytes, reply_billed_bytes, reply_ct_packets, reply_ct_l3_bytes,"
    " invalid_packets, wan_changes, flow_label_orig, flow_label_reply, flow_label_changes,"
    " merged_packets, wan_match, kind, end_reason, resume, seal)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 2, 1, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
    " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)";

static void bind_before(sqlite3_stmt *add, const struct flow_record *record)
{
    static const uint8_t none[sizeof record->labels];
    bool is_icmp = record->protocol == 1 || record->protocol == 58;
    int at = 1;
    sqlite3_bind_int64(add, at++, (int64_t)record->id);
    bind_or_null(add, &at, record->master_id != 0, (int64_t)record->master_id);
    sqlite3_bind_int64(add, at++, record->start_ns);
    sqlite3_bind_int64(add, at++, record->first_ns);
    sqlite3_bind_int64(add, at++, record->last_ns);
    bind_address(add, &at, record, record->source_address);
    bind_address(add, &at, record, record->destination_address);
    bind_or_null(add, &at, record->has_ports, record->source_port);
    bind_or_null(add, &at, record->has_ports, record->destination_port);
    sqlite3_bind_int64(add, at++, record->protocol);
    bind_or_null(add, &at, is_icmp, record->icmp_type);
    bind_or_null(add, &at, is_icmp, record->icmp_code);
    sqlite3_bind_int64(add, at++, record->zone);
    sqlite3_bind_int64(add, at++, record->state);
    sqlite3_bind_int64(add, at++, record->status);
    sqlite3_bind_int64(add, at++, record->mark);
    if (memcmp(record->labels, none, sizeof none) == 0)
        sqlite3_bind_null(add, at++);
    else
        sqlite3_bind_blob(add, at++, record->labels, sizeof record->labels, SQLITE_TRANSIENT);
    bind_counters(add, &at, &record->counters[FLOW_ORIGINAL]);
    bind_counters(add, &at, &record->counters[FLOW_REPLY]);
    const uint64_t rest[] = {record->invalid_packets,
                             record->wan_changes,
                             record->flow_label[FLOW_ORIGINAL],
                             record->flow_label[FLOW_REPLY],
                             record->flow_label_changes,
                             record->merged_packets,
                             record->wan_match,
                             record->kind,
                             record->end_reason,
                             record->resume};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        sqlite3_bind_int64(add, at++, (int64_t)rest[i]);
    assert_int_equal(at - 1, sqlite3_bind_parameter_count(add));
}

static void make_before(const struct store_case *c, const struct flow_record *records, size_t n)
{
    sqlite3 *db;
    sqlite3_stmt *add;
    char own[128];
    for (int i = 0; i < VERSION_BEFORE; i++)
        case_tamper(c, migrations[i].sql);
    snprintf(own, sizeof own, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             SCHEMA_APPLICATION_ID, VERSION_BEFORE);
    case_tamper(c, own);
    assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, before_sql, -1, &add, NULL), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        bind_before(add, &records[i]);
        assert_int_equal(sqlite3_step(add), SQLITE_DONE);
        sqlite3_reset(add);
    }
    sqlite3_finalize(add);
    sqlite3_close(db);
}

static void test_records_of_before_the_step_are_the_same_after_it(void **state)
{
    struct store_case *c = *state;
    struct flow_record records[N_RECORDS];
    make_records(records);
    make_before(c, records, N_RECORDS);
    case_open(c);
    case_close(c);
    assert_records(c, records, N_RECORDS);
}

static void test_the_view_shows_a_record_of_before_the_step_as_it_was(void **state)
{
    struct store_case *c = *state;
    struct flow_record record = case_flow();
    record.labels[0] = 0xa0;
    record.mark = UINT32_MAX;
    record.zone = UINT16_MAX;
    record.invalid_packets = 3;
    record.last_ns = 170;
    record.flow_label[FLOW_REPLY] = 9;
    make_before(c, &record, 1);
    case_open(c);
    case_close(c);
    assert_answer(
        c,
        "SELECT orig_src_address || ':' || orig_src_port || '>' || orig_dst_address || ':'"
        " || orig_dst_port || ' ' || protocol_name || ' ' || zone || ' ' || mark || ' ' ||"
        " labels || ' ' || state || ' ' || record || ' ' || end_reason || ' ' || account"
        " || ' ' || wan || ' ' || first_ns || ' ' || last_ns || ' ' || orig_packets ||"
        " ' ' || orig_ct_packets || ' ' || invalid_packets || ' ' || flow_label_reply"
        " FROM flow",
        "192.0.2.1:40000>198.51.100.255:53 udp 65535 4294967295"
        " a0000000000000000000000000000000 first final end_of_input alice dsl 100 170"
        " 1 0 3 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_what_its_columns_say),
        cmocka_unit_test(test_an_owner_has_room_for_the_largest_numbers),
        cmocka_unit_test(test_no_two_numbers_are_the_same_record),
        cmocka_unit_test(test_labels_of_up_to_63_bits_are_a_number),
        cmocka_unit_test(test_a_time_beyond_64_bits_of_distance_is_an_extra),
        cmocka_unit_test_setup_teardown(
            test_records_are_read_as_written_whatever_a_batch_has_of_them, case_set_up,
            case_tear_down),
        cmocka_unit_test_setup_teardown(test_a_number_that_a_deleted_record_had_is_not_given_again,
                                        case_set_up, case_tear_down),
        cmocka_unit_test_setup_teardown(test_records_of_before_the_step_are_the_same_after_it,
                                        case_set_up, case_tear_down),
        cmocka_unit_test_setup_teardown(test_the_view_shows_a_record_of_before_the_step_as_it_was,
                                        case_set_up, case_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
