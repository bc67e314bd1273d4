#include "store_case.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proto/packet.h"
#include "schema/migrations.h"

/* Everything that makes a schema, as one text. */
#define SCHEMA_SQL                                                                                 \
    "SELECT hex(group_concat(type || name || coalesce(sql, ''))) FROM"                             \
    " (SELECT * FROM sqlite_schema ORDER BY type, name)"

/* ---- migrations ---- */

static void test_steps_are_numbered_from_one(void **state)
{
    (void)state;
    assert_true(n_migrations > 0);
    for (int i = 0; i < n_migrations; i++)
        assert_int_equal(migrations[i].version, i + 1);
}

static void test_a_new_database_says_whose_it_is_and_its_version(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    char version[16];
    snprintf(version, sizeof version, "%d", n_migrations);
    assert_answer(c, "PRAGMA user_version", version);
    assert_answer(c, "PRAGMA application_id", "2002873965");
    assert_answer(c, "PRAGMA journal_mode", "wal");
}

static void test_every_older_version_becomes_the_newest(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    char *fresh = strdup(case_ask(c, SCHEMA_SQL));
    for (int version = 1; version < n_migrations; version++) {
        unlink(c->path);
        char own[128];
        for (int i = 0; i < version; i++)
            case_tamper(c, migrations[i].sql);
        snprintf(own, sizeof own, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 SCHEMA_APPLICATION_ID, version);
        case_tamper(c, own);
        case_open(c);
        case_close(c);
        assert_string_equal(case_ask(c, SCHEMA_SQL), fresh);
    }
    free(fresh);
}

static void print_rows(sqlite3 *db, const char *table, FILE *out)
{
    char sql[128];
    sqlite3_stmt *rows;
    snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        fprintf(out, "%s", table);
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            fprintf(out, "|%s", (const char *)sqlite3_column_text(rows, i));
        fprintf(out, "\n");
    }
    sqlite3_finalize(rows);
}

/* All rows that a database has without a run; malloc'ed. */
static char *rows_of(const struct store_case *c)
{
    char *text = NULL;
    size_t size = 0;
    sqlite3 *db;
    sqlite3_stmt *tables;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
                           -1, &tables, NULL),
        SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW)
        print_rows(db, (const char *)sqlite3_column_text(tables, 0), out);
    sqlite3_finalize(tables);
    sqlite3_close(db);
    fclose(out);
    return text;
}

static void test_a_new_database_has_the_rows_that_the_steps_make(void **state)
{
    struct store_case *c = *state;
    char own[128];
    case_make(c);
    char *fresh = rows_of(c);
    assert_non_null(strstr(fresh, "class|0|connection|1\n"));
    unlink(c->path);
    case_tamper(c, migrations[0].sql);
    snprintf(own, sizeof own, "PRAGMA application_id = %d; PRAGMA user_version = 1",
             SCHEMA_APPLICATION_ID);
    case_tamper(c, own);
    case_make(c);
    char *stepped = rows_of(c);
    assert_string_equal(stepped, fresh);
    free(stepped);
    free(fresh);
}

static void test_an_empty_database_of_other_pages_becomes_one_of_ours_with_these(void **state)
{
    struct store_case *c = *state;
    case_make(c);
    char *fresh = strdup(case_ask(c, SCHEMA_SQL)), *rows = rows_of(c);
    unlink(c->path);
    case_tamper(c, "PRAGMA page_size = 4096; VACUUM");
    case_make(c);
    char *found = rows_of(c);
    assert_answer(c, "PRAGMA page_size", "4096");
    assert_string_equal(case_ask(c, SCHEMA_SQL), fresh);
    assert_string_equal(found, rows);
    free(found);
    free(rows);
    free(fresh);
}

static void test_opening_again_changes_nothing_but_the_runs(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    char *schema = strdup(case_ask(c, SCHEMA_SQL));
    case_open(c);
    assert_string_equal(case_ask(c, SCHEMA_SQL), schema);
    assert_answer(c, "SELECT count(*) FROM account", "3");
    assert_answer(c, "SELECT count(*) FROM wan", "3");
    assert_answer(c, "SELECT count(*) FROM run", "2");
    free(schema);
}

static void test_a_run_that_began_at_the_same_time_is_gone_on_with(void **state)
{
    struct store_case *c = *state;
    case_open_run(c, 1);
    case_close(c);
    case_open_run(c, 1);
    assert_answer(c, "SELECT count(*) FROM run", "1");
}

static void test_every_table_of_ours_is_strict(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    assert_answer(c,
                  "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND NOT strict AND "
                  "name NOT LIKE 'sqlite_%'",
                  "0");
}

/* ---- refusals: the file stays as it is ---- */

static void assert_refused(struct store_case *c, int result, const char *cause)
{
    assert_int_equal(store_open(c->path, CHECKPOINT_BYTES, &c->store, c->error), result);
    assert_null(c->store);
    assert_non_null(strstr(c->error, c->path));
    if (!strstr(c->error, cause))
        fail_msg("'%s' does not say '%s'", c->error, cause);
}

static void test_a_database_of_another_program_is_not_touched(void **state)
{
    struct store_case *c = *state;
    case_tamper(c, "CREATE TABLE accounts (id INTEGER); INSERT INTO accounts VALUES (42)");
    assert_refused(c, -EEXIST, "another program");
    case_tamper(c, "DROP TABLE accounts; PRAGMA application_id = 1");
    assert_refused(c, -EEXIST, "another program");
    assert_answer(c, "PRAGMA journal_mode", "delete");
    assert_answer(c, "SELECT count(*) FROM sqlite_schema", "0");
}

static void test_a_newer_schema_is_not_touched(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    case_tamper(c, "PRAGMA user_version = 1000");
    assert_refused(c, -ENOTSUP, "1000");
    assert_answer(c, "PRAGMA user_version", "1000");
}

static void test_a_file_that_is_no_database_is_not_touched(void **state)
{
    struct store_case *c = *state;
    static const size_t sizes[] = {1, 10, 600, 20000};
    char text[20000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FILE *file = fopen(c->path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, sizes[i], file), sizes[i]);
        assert_int_equal(fclose(file), 0);
        assert_refused(c, -EEXIST, "not a database");
        struct stat status;
        assert_int_equal(stat(c->path, &status), 0);
        assert_int_equal(status.st_size, sizes[i]);
    }
}

static void test_a_directory_and_a_missing_folder_are_said_to_be_that(void **state)
{
    struct store_case *c = *state;
    strcpy(c->path, c->directory);
    assert_refused(c, -EISDIR, "directory");
    snprintf(c->path, sizeof c->path, "%s/no/test.db", c->directory);
    assert_refused(c, -ENOENT, "No such file");
}

static void test_a_second_exporter_is_kept_out_until_the_first_has_closed(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct store *second = NULL;
    assert_int_equal(store_open(c->path, CHECKPOINT_BYTES, &second, c->error), -EBUSY);
    assert_non_null(strstr(c->error, "another wanmeter exporter"));
    case_close(c);
    case_open(c);
}

/* ---- views ---- */

/* The names that other people's queries stand on. */
static void test_views_have_their_stable_columns(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    static const char *const queries[] = {
        "SELECT id, zone, protocol, protocol_name, orig_src_address, orig_src_port,"
        " orig_dst_address, orig_dst_port, reply_src_address, reply_src_port, reply_dst_address,"
        " reply_dst_port, icmp_type, icmp_code, icmp_id, orig_packets, orig_l2_bytes,"
        " orig_l3_bytes, orig_billed_bytes, reply_packets, reply_l2_bytes, reply_l3_bytes,"
        " reply_billed_bytes, orig_ct_packets, orig_ct_l3_bytes, reply_ct_packets,"
        " reply_ct_l3_bytes, invalid_packets, first_ns, last_ns, state, status, mark, labels,"
        " master_id, wan, account, class, flow_label_orig, flow_label_reply, end_reason, record"
        " FROM flow",
        "SELECT slot_ns, slot_seconds, account, wan, direction, class, packets, l2_bytes,"
        " l3_bytes, billed_bytes, model FROM usage",
        "SELECT hour_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes,"
        " billed_bytes, model FROM usage_hourly",
        "SELECT day_ns, account, wan, direction, class, packets, l2_bytes, l3_bytes,"
        " billed_bytes, model FROM usage_daily",
        "SELECT first_ns, last_ns, stage, reason, stream, packets, l2_bytes, l3_bytes,"
        " certainty, evidence FROM loss",
        "SELECT producer, epoch, shard, seq, packets_into_next, packets, l2_bytes, l3_bytes, kind,"
        " closed FROM stream",
        "SELECT name, sha256, packets, l2_bytes, first_ns, last_ns, is_complete, producer, epoch"
        " FROM source",
        "SELECT time_ns, id, words, uid, pid, seed, result, affected, answer, run_id FROM change",
        "SELECT started_ns, finished_ns, version, sqlite_version, config, config_sha256 FROM run",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        case_ask(c, queries[i]); /* fails on an unknown column */
    assert_answer(c,
                  "SELECT captured_packets + counted_l2_bytes + lost_l3_bytes +"
                  " difference_packets + difference_l2_bytes + difference_l3_bytes FROM audit",
                  "0");
}

static void test_names_in_the_database_are_those_of_the_records(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    const struct {
        const char *table;
        unsigned n;
        const char *(*name)(unsigned);
    } tables[] = {
        {"class", CLASS_N, packet_class_name},
        {"direction", DIRECTION_N, direction_name},
        {"connection_state", STATE_N, connection_state_name},
        {"end_reason", END_REASON_N, end_reason_name},
    };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        char sql[128], number[16];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[t].table);
        snprintf(number, sizeof number, "%u", tables[t].n);
        assert_answer(c, sql, number);
        for (unsigned i = 0; i < tables[t].n; i++) {
            snprintf(sql, sizeof sql, "SELECT name FROM %s WHERE number = %u", tables[t].table, i);
            assert_answer(c, sql, tables[t].name(i));
        }
    }
    assert_int_equal(SLOT_SECONDS, 300); /* as the view usage says */
}

static void apply_flow(struct store_case *c, const struct flow_record *flow)
{
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_flow(&batch, flow);
    batch_add_usage(&batch, case_usage());
    assert_int_equal(case_apply(c, &batch), 0);
}

static void test_a_flow_is_read_as_it_was_written(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct flow_record flow = case_flow();
    flow.labels[0] = 0xa0;
    flow.labels[15] = 0x01;
    flow.mark = UINT32_MAX;
    flow.master_id = 5;
    apply_flow(c, &flow);
    assert_answer(c,
                  "SELECT orig_src_address || ':' || orig_src_port || '>' || orig_dst_address ||"
                  " ':' || orig_dst_port || ' ' || reply_src_address || ':' || reply_src_port ||"
                  " '>' || reply_dst_address || ':' || reply_dst_port FROM flow",
                  "192.0.2.1:40000>198.51.100.255:53 198.51.100.255:53>192.0.2.1:40000");
    assert_answer(c,
                  "SELECT protocol_name || ' ' || wan || ' ' || account || ' ' || class || ' ' ||"
                  " state || ' ' || record || ' ' || end_reason FROM flow",
                  "udp dsl alice connection first final end_of_input");
    assert_answer(c, "SELECT id || ' ' || mark || ' ' || master_id || ' ' || labels FROM flow",
                  "-81985529216486896 4294967295 5 a0000000000000000000000000000001");
    assert_answer(c, "SELECT coalesce(icmp_type, icmp_code, icmp_id) FROM flow", "NULL");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
}

static void test_icmp_has_a_type_a_code_and_an_id_but_no_ports(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct flow_record flow = case_flow();
    flow.protocol = 1;
    flow.icmp_type = 8;
    flow.source_port = flow.destination_port = 77;
    apply_flow(c, &flow);
    assert_answer(c,
                  "SELECT icmp_type || ' ' || icmp_code || ' ' || icmp_id || ' ' ||"
                  " (orig_src_port IS NULL AND orig_dst_port IS NULL AND reply_src_port IS NULL AND"
                  " reply_dst_port IS NULL AND labels IS NULL AND master_id IS NULL) FROM flow",
                  "8 0 77 1");
}

static void test_a_protocol_without_ports_has_null_ports(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct flow_record flow = case_flow();
    flow.protocol = 50;
    flow.has_ports = 0;
    flow.source_port = flow.destination_port = 0;
    apply_flow(c, &flow);
    assert_answer(c,
                  "SELECT protocol_name || ' ' || (orig_src_port IS NULL AND reply_dst_port IS NULL"
                  " AND icmp_type IS NULL AND icmp_id IS NULL) FROM flow",
                  "esp 1");
}

static void test_ipv6_addresses_are_text(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct flow_record flow = case_flow();
    flow.ip_version = 6;
    flow.protocol = 201;
    memcpy(flow.source_address, (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
    memcpy(flow.destination_address, (uint8_t[16]){[15] = 1}, 16);
    flow.flow_label[FLOW_ORIGINAL] = 0xfffff;
    apply_flow(c, &flow);
    assert_answer(
        c,
        "SELECT ip_version || ' ' || orig_src_address || ' ' || orig_dst_address || ' ' ||"
        " flow_label_orig || ' ' || flow_label_reply || ' ' || protocol_name FROM flow",
        "6 2001:db8::1 ::1 1048575 0 unknown");
}

static void test_ipv4_addresses_are_text_at_both_ends_of_the_range(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct flow_record flow = case_flow();
    memset(flow.source_address, 0, 16);
    memset(flow.destination_address, 0xff, 4);
    apply_flow(c, &flow);
    assert_answer(c, "SELECT orig_src_address || ' ' || orig_dst_address FROM flow",
                  "0.0.0.0 255.255.255.255");
}

static void test_usage_has_names_and_its_wan_s_model(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_usage(&batch, case_usage());
    struct usage_delta none = case_usage();
    none.account = none.wan = 0;
    none.direction = DIRECTION_NONE;
    none.class_index = CLASS_ARP;
    batch_add_usage(&batch, none);
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c,
                  "SELECT group_concat(slot_seconds || ' ' || account || ' ' || wan || ' ' ||"
                  " direction || ' ' || class || ' ' || model, ', ') FROM"
                  " (SELECT * FROM usage ORDER BY account)",
                  "300 alice dsl up connection pppoe, 300 none none none arp ip");
}

static void test_hours_and_days_add_up_to_usage_also_before_1970(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    const int64_t slot_ns = SLOT_SECONDS * INT64_C(1000000000);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    for (int64_t i = -2; i < 2; i++) {
        struct usage_delta delta = case_usage();
        delta.slot_ns = i * slot_ns;
        batch_add_usage(&batch, delta);
    }
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c, "SELECT group_concat(hour_ns || '=' || packets) FROM usage_hourly",
                  "-3600000000000=2,0=2");
    assert_answer(c, "SELECT group_concat(day_ns || '=' || l2_bytes) FROM usage_daily",
                  "-86400000000000=200,0=200");
}

static void test_unknown_amounts_of_a_loss_are_null(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    struct batch batch;
    batch_init(&batch, 0, (struct totals){0});
    batch_add_loss(&batch, LOSS_SOURCE, LOSS_UNKNOWN)->packets = 0;
    assert_int_equal(case_apply(c, &batch), 0);
    assert_answer(c,
                  "SELECT stage || ' ' || certainty || ' ' || stream || ' ' || packets || ' ' ||"
                  " (l2_bytes IS NULL AND l3_bytes IS NULL) FROM loss",
                  "source unknown capture-0/0 0 1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_steps_are_numbered_from_one),
        CASE(test_a_new_database_says_whose_it_is_and_its_version),
        CASE(test_every_older_version_becomes_the_newest),
        CASE(test_a_new_database_has_the_rows_that_the_steps_make),
        CASE(test_an_empty_database_of_other_pages_becomes_one_of_ours_with_these),
        CASE(test_opening_again_changes_nothing_but_the_runs),
        CASE(test_a_run_that_began_at_the_same_time_is_gone_on_with),
        CASE(test_every_table_of_ours_is_strict),
        CASE(test_a_database_of_another_program_is_not_touched),
        CASE(test_a_newer_schema_is_not_touched),
        CASE(test_a_file_that_is_no_database_is_not_touched),
        CASE(test_a_directory_and_a_missing_folder_are_said_to_be_that),
        CASE(test_a_second_exporter_is_kept_out_until_the_first_has_closed),
        CASE(test_views_have_their_stable_columns),
        CASE(test_names_in_the_database_are_those_of_the_records),
        CASE(test_a_flow_is_read_as_it_was_written),
        CASE(test_icmp_has_a_type_a_code_and_an_id_but_no_ports),
        CASE(test_a_protocol_without_ports_has_null_ports),
        CASE(test_ipv6_addresses_are_text),
        CASE(test_ipv4_addresses_are_text_at_both_ends_of_the_range),
        CASE(test_usage_has_names_and_its_wan_s_model),
        CASE(test_hours_and_days_add_up_to_usage_also_before_1970),
        CASE(test_unknown_amounts_of_a_loss_are_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
