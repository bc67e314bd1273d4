#include "cli/audit/audit_seal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/moment.h"
#include "schema/seal_flows.h"
#include "schema/seal_reader.h"

static const char *const fault_names[SEAL_FAULTS] = {
    [SEAL_FAULT_USAGE] = "usage rows",
    [SEAL_FAULT_FLOWS] = "flow records",
    [SEAL_FAULT_LOSSES] = "loss lines",
    [SEAL_FAULT_TOTALS] = "totals",
    [SEAL_FAULT_CHAIN] = "chain",
    [SEAL_FAULT_HASH] = "hash",
    [SEAL_FAULT_UNSEALED] = "rows without a seal",
};

/* A seal as it is written down, what its flow records add up to now, and what is wrong with it. */
struct entry {
    struct seal written;
    char hash[SEAL_HEX_SIZE];
    struct seal_sum flow_sum;
    int64_t n_flows;
    unsigned faults;
};

struct verifier {
    struct database *database;
    struct entry *entries; /* by number */
    size_t n_entries;
    size_t last_place; /* of the flow record before */
    struct seal_audit *audit;
};

static void find_fault(unsigned *faults, enum seal_fault fault, bool is_wrong)
{
    if (is_wrong)
        *faults |= 1u << fault;
}

static bool fail_sqlite(struct verifier *verifier)
{
    database_note_error(verifier->database);
    return false;
}

/* ---- what is written down ---- */

/* False: not exactly 2 * size lower-case digits. */
static bool read_hex(sqlite3_stmt *row, int column, uint8_t *bytes, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    char again[SEAL_HEX_SIZE];
    if (!text || strlen(text) != 2 * size ||
        (size_t)sqlite3_column_bytes(row, column) != 2 * size ||
        sodium_hex2bin(bytes, size, text, 2 * size, NULL, NULL, NULL) != 0)
        return false;
    sodium_bin2hex(again, sizeof again, bytes, size);
    return strcmp(again, text) == 0;
}

static bool read_sum(sqlite3_stmt *row, int column, struct seal_sum *sum)
{
    uint8_t bytes[sizeof sum->lanes];
    if (!read_hex(row, column, bytes, sizeof bytes))
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        sum->lanes[i / 8] = sum->lanes[i / 8] << 8 | bytes[i];
    return true;
}

/* In the order of the query in read_written(). */
static void read_entry(sqlite3_stmt *row, struct entry *entry)
{
    struct seal *seal = &entry->written;
    int64_t number = sqlite3_column_int64(row, 0);
    seal->number = (int32_t)number;
    seal->n_usage = sqlite3_column_int64(row, 2);
    seal->packets = sqlite3_column_int64(row, 3);
    seal->l2_bytes = sqlite3_column_int64(row, 4);
    seal->l3_bytes = sqlite3_column_int64(row, 5);
    seal->billed_bytes = sqlite3_column_int64(row, 6);
    seal->n_flows = sqlite3_column_int64(row, 8);
    seal->n_losses = sqlite3_column_int64(row, 10);
    uint8_t hash[SEAL_HASH_SIZE] = {0};
    bool is_sound = number == seal->number &&
                    read_hex(row, 1, seal->previous, sizeof seal->previous) &&
                    read_hex(row, 7, seal->usage_sha256, sizeof seal->usage_sha256) &&
                    read_sum(row, 9, &seal->flow_sum) &&
                    read_hex(row, 11, seal->loss_sha256, sizeof seal->loss_sha256) &&
                    read_hex(row, 13, seal->config_sha256, sizeof seal->config_sha256) &&
                    read_hex(row, 12, hash, sizeof hash);
    seal_close(seal);
    find_fault(&entry->faults, SEAL_FAULT_HASH,
               !is_sound || memcmp(hash, seal->hash, sizeof hash) != 0);
    seal_hex(hash, entry->hash);
}

static bool grow(struct verifier *verifier, size_t *room)
{
    if (verifier->n_entries == *room) {
        *room = *room ? 2 * *room : 256;
        verifier->entries = reallocarray(verifier->entries, *room, sizeof *verifier->entries);
        assert(verifier->entries != NULL);
    }
    return true;
}

static bool read_written(struct verifier *verifier)
{
    sqlite3_stmt *statement = database_prepare(
        verifier->database,
        "SELECT number, previous, usage_rows, packets, l2_bytes, l3_bytes, billed_bytes, "
        "usage_sha256, flow_rows, flow_sum, loss_rows, loss_sha256, hash, config_sha256 "
        "FROM period_seal LEFT JOIN run ON run.id = run_id ORDER BY number");
    size_t room = 0;
    while (database_step(verifier->database, statement)) {
        grow(verifier, &room);
        struct entry *entry = &verifier->entries[verifier->n_entries++];
        *entry = (struct entry){0};
        read_entry(statement, entry);
    }
    sqlite3_finalize(statement);
    return !verifier->database->is_failed;
}

static void check_chain(struct verifier *verifier)
{
    char before[SEAL_HEX_SIZE];
    memset(before, '0', sizeof before - 1);
    before[sizeof before - 1] = '\0';
    for (size_t i = 0; i < verifier->n_entries; i++) {
        struct entry *entry = &verifier->entries[i];
        char previous[SEAL_HEX_SIZE];
        seal_hex(entry->written.previous, previous);
        find_fault(&entry->faults, SEAL_FAULT_CHAIN, strcmp(previous, before) != 0);
        memcpy(before, entry->hash, sizeof before);
    }
}

/* ---- what the rows say ---- */

static void compare_rows(struct entry *entry, const struct seal *found)
{
    const struct seal *written = &entry->written;
    find_fault(&entry->faults, SEAL_FAULT_USAGE,
               memcmp(written->usage_sha256, found->usage_sha256, SEAL_HASH_SIZE) != 0);
    find_fault(&entry->faults, SEAL_FAULT_LOSSES,
               memcmp(written->loss_sha256, found->loss_sha256, SEAL_HASH_SIZE) != 0);
    find_fault(&entry->faults, SEAL_FAULT_TOTALS,
               written->n_usage != found->n_usage || written->n_losses != found->n_losses ||
                   written->packets != found->packets || written->l2_bytes != found->l2_bytes ||
                   written->l3_bytes != found->l3_bytes ||
                   written->billed_bytes != found->billed_bytes);
}

static bool check_usage(struct verifier *verifier)
{
    struct seal_reader reader;
    if (seal_reader_open(verifier->database->handle, &reader) != SQLITE_OK)
        return fail_sqlite(verifier);
    int step = SQLITE_DONE;
    for (size_t i = 0; step == SQLITE_DONE && i < verifier->n_entries; i++) {
        seal_reader_begin(&reader, verifier->entries[i].written.number);
        step = seal_reader_step(&reader, SIZE_MAX);
        compare_rows(&verifier->entries[i], &reader.seal);
    }
    bool is_read = step == SQLITE_DONE || fail_sqlite(verifier);
    seal_reader_close(&reader);
    return is_read;
}

static struct entry *find_entry(struct verifier *verifier, int64_t number)
{
    size_t low = 0, high = verifier->n_entries;
    if (verifier->last_place < high &&
        verifier->entries[verifier->last_place].written.number == number)
        return &verifier->entries[verifier->last_place];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (verifier->entries[middle].written.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    verifier->last_place = low;
    bool is_there = low < verifier->n_entries && verifier->entries[low].written.number == number;
    return is_there ? &verifier->entries[low] : NULL;
}

static void add_finding(struct seal_audit *audit, int64_t number, unsigned faults)
{
    audit->findings = reallocarray(audit->findings, audit->n_findings + 1, sizeof *audit->findings);
    assert(audit->findings != NULL);
    audit->findings[audit->n_findings++] = (struct seal_finding){number, faults};
}

/* Rows of a time before the last seal, in a seal that there is not. */
static void note_unsealed(struct verifier *verifier, int64_t number)
{
    struct seal_audit *audit = verifier->audit;
    for (size_t i = 0; i < audit->n_findings; i++)
        if (audit->findings[i].number == number)
            return;
    add_finding(audit, number, 1u << SEAL_FAULT_UNSEALED);
}

static void add_flow(struct verifier *verifier, const struct seal_flows *flows,
                     const struct seal_name_list *list)
{
    struct entry *entry = find_entry(verifier, flows->seal);
    if (!entry) {
        if (flows->seal <= verifier->audit->last_number)
            note_unsealed(verifier, flows->seal);
        return;
    }
    struct seal_names names =
        seal_names_of(list, flows->wan_id, flows->account_id, flows->class_number);
    seal_flow_add(&entry->flow_sum, &flows->record, &names);
    entry->n_flows++;
    find_fault(&entry->faults, SEAL_FAULT_FLOWS, !flows->is_sound);
}

static bool read_flows(struct verifier *verifier)
{
    struct seal_name_list list;
    struct seal_flows flows;
    if (seal_names_load(verifier->database->handle, &list) != SQLITE_OK)
        return fail_sqlite(verifier);
    if (seal_flows_open(verifier->database->handle, INT64_MIN, &flows) != SQLITE_OK) {
        seal_names_free(&list);
        return fail_sqlite(verifier);
    }
    int step;
    while ((step = seal_flows_next(&flows)) == SQLITE_ROW)
        add_flow(verifier, &flows, &list);
    bool is_read = step == SQLITE_DONE || fail_sqlite(verifier);
    seal_flows_close(&flows);
    seal_names_free(&list);
    return is_read;
}

/* What was deleted by age is what it was when it was deleted. */
static bool read_pruned(struct verifier *verifier)
{
    sqlite3_stmt *statement = database_prepare(
        verifier->database, "SELECT seal, flow_rows, sum_0, sum_1 FROM pruned_flows");
    while (database_step(verifier->database, statement)) {
        struct entry *entry = find_entry(verifier, sqlite3_column_int64(statement, 0));
        verifier->audit->n_pruned += sqlite3_column_int64(statement, 1);
        if (!entry) {
            note_unsealed(verifier, sqlite3_column_int64(statement, 0));
            continue;
        }
        entry->n_flows += sqlite3_column_int64(statement, 1);
        for (int i = 0; i < SEAL_LANES; i++)
            entry->flow_sum.lanes[i] += (uint64_t)sqlite3_column_int64(statement, 2 + i);
    }
    sqlite3_finalize(statement);
    return !verifier->database->is_failed;
}

static bool check_flows(struct verifier *verifier)
{
    if (!read_flows(verifier) || !read_pruned(verifier))
        return false;
    for (size_t i = 0; i < verifier->n_entries; i++) {
        struct entry *entry = &verifier->entries[i];
        find_fault(&entry->faults, SEAL_FAULT_FLOWS,
                   memcmp(&entry->flow_sum, &entry->written.flow_sum, sizeof entry->flow_sum) != 0);
        find_fault(&entry->faults, SEAL_FAULT_TOTALS, entry->n_flows != entry->written.n_flows);
    }
    return true;
}

static bool check_unsealed(struct verifier *verifier)
{
    sqlite3_stmt *statement = database_prepare(
        verifier->database,
        "SELECT DISTINCT seal FROM (SELECT seal FROM usage_slot UNION ALL SELECT seal FROM "
        "seal_loss) WHERE seal <= :last AND seal NOT IN (SELECT number FROM period_seal)");
    if (statement != NULL)
        database_bind_integer(statement, ":last", verifier->audit->last_number);
    while (database_step(verifier->database, statement))
        note_unsealed(verifier, sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
    return !verifier->database->is_failed;
}

/* ---- all of it ---- */

/* A row that can be found by one way and not by another is no row that one can swear to. */
static bool check_structure(struct database *database, struct seal_audit *audit)
{
    sqlite3_stmt *statement = database_prepare(database, "PRAGMA integrity_check(1)");
    if (database_step(database, statement)) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (answer == NULL || strcmp(answer, "ok") != 0)
            snprintf(audit->damage, sizeof audit->damage, "%s", answer ? answer : "unreadable");
    }
    sqlite3_finalize(statement);
    return !database->is_failed;
}

/* A database of a version before seals has none. */
static bool has_seals(struct database *database)
{
    sqlite3_stmt *statement = database_prepare(
        database, "SELECT 1 FROM sqlite_master WHERE name = 'period_seal' AND type = 'table'");
    bool is_there = database_step(database, statement);
    sqlite3_finalize(statement);
    return is_there;
}

static int compare_findings(const void *a, const void *b)
{
    const struct seal_finding *first = a, *second = b;
    return (first->number > second->number) - (first->number < second->number);
}

static void sum_up(struct verifier *verifier, const char *wanted_hash)
{
    struct seal_audit *audit = verifier->audit;
    for (size_t i = 0; i < verifier->n_entries; i++) {
        const struct entry *entry = &verifier->entries[i];
        if (entry->faults != 0)
            add_finding(audit, entry->written.number, entry->faults);
        if (wanted_hash != NULL && strcmp(entry->hash, wanted_hash) == 0)
            audit->has_wanted = true;
    }
    if (audit->n_findings > 0)
        qsort(audit->findings, audit->n_findings, sizeof *audit->findings, compare_findings);
}

bool audit_seal_read(struct database *database, const char *wanted_hash, struct seal_audit *audit)
{
    *audit = (struct seal_audit){0};
    struct verifier verifier = {.database = database, .audit = audit};
    if (!check_structure(database, audit))
        return false;
    if (!has_seals(database))
        return !database->is_failed;
    bool is_read = read_written(&verifier);
    if (is_read && verifier.n_entries > 0) {
        const struct entry *last = &verifier.entries[verifier.n_entries - 1];
        audit->n_seals = (int64_t)verifier.n_entries;
        audit->last_number = last->written.number;
        memcpy(audit->last_hash, last->hash, sizeof audit->last_hash);
        check_chain(&verifier);
        is_read = check_usage(&verifier) && check_flows(&verifier) && check_unsealed(&verifier);
        sum_up(&verifier, wanted_hash);
    }
    free(verifier.entries);
    return is_read;
}

bool audit_seal_holds(const struct seal_audit *audit)
{
    return audit->n_findings == 0 && audit->damage[0] == '\0';
}

void audit_seal_free(struct seal_audit *audit)
{
    free(audit->findings);
    *audit = (struct seal_audit){0};
}

/* ---- for people ---- */

void audit_seal_text(const struct seal_finding *finding, char text[AUDIT_SEAL_TEXT_SIZE])
{
    char start[MOMENT_TEXT_SIZE] = "?";
    if (finding->number == (int32_t)finding->number)
        moment_format(seal_start_ns(finding->number), start);
    size_t length =
        (size_t)snprintf(text, AUDIT_SEAL_TEXT_SIZE, "%" PRId64 " of %s:", finding->number, start);
    const char *separator = " ";
    for (int i = 0; i < SEAL_FAULTS; i++) {
        if ((finding->faults & 1u << i) == 0)
            continue;
        length += (size_t)snprintf(text + length, AUDIT_SEAL_TEXT_SIZE - length, "%s%s", separator,
                                   fault_names[i]);
        separator = ", ";
    }
}

void audit_seal_print(const struct seal_audit *audit, FILE *out)
{
    if (audit->damage[0] != '\0')
        fprintf(out, "file      damaged: %s\n", audit->damage);
    for (size_t i = 0; i < audit->n_findings; i++) {
        char text[AUDIT_SEAL_TEXT_SIZE];
        audit_seal_text(&audit->findings[i], text);
        fprintf(out, "seal      does not hold: %s\n", text);
    }
    if (audit->n_seals > 0 && audit->n_findings == 0) {
        char end[MOMENT_TEXT_SIZE];
        moment_format(seal_start_ns((int64_t)audit->last_number + 1), end);
        fprintf(out, "seals     %" PRId64 " hold, the last until %s\n", audit->n_seals, end);
    }
    if (audit->n_pruned > 0)
        fprintf(out,
                "pruned    %" PRId64 " flow records were deleted by age; their sums are in "
                "the seals (view pruned)\n",
                audit->n_pruned);
}
