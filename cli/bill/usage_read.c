#include "cli/bill/usage_read.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/period.h"

static const int64_t SECOND_NS = 1000000000;

enum column {
    COLUMN_SLOT,
    COLUMN_WAN,
    COLUMN_DIRECTION,
    COLUMN_MODEL,
    COLUMN_PACKETS,
    COLUMN_L3,
    COLUMN_BILLED
};

/* What is being read: the span's slots, and which of them the meter was watching in. */
struct reading {
    const struct usage_request *request;
    struct usage *usage;
    bool *is_present;
    int64_t first_slot_s;
    size_t samples_room;
};

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? text : "none";
}

/* ---- slots ---- */

static void mark_present(struct reading *reading, int64_t first_s, int64_t last_s)
{
    int64_t first = first_s - reading->first_slot_s, last = last_s - reading->first_slot_s;
    int64_t end = reading->usage->n_slots * PERIOD_SLOT_S;
    if (last < 0 || first >= end)
        return;
    int64_t from = first < 0 ? 0 : first / PERIOD_SLOT_S;
    int64_t to = last >= end ? reading->usage->n_slots - 1 : last / PERIOD_SLOT_S;
    for (int64_t i = from; i <= to; i++)
        reading->is_present[i] = true;
}

static struct usage_sample *sample_at(struct reading *reading, int64_t slot_s)
{
    struct usage *usage = reading->usage;
    if (usage->n_samples > 0 && usage->samples[usage->n_samples - 1].slot_s == slot_s)
        return &usage->samples[usage->n_samples - 1];
    if (usage->n_samples == reading->samples_room) {
        reading->samples_room = reading->samples_room ? 2 * reading->samples_room : 1024;
        usage->samples =
            reallocarray(usage->samples, reading->samples_room, sizeof *usage->samples);
        assert(usage->samples != NULL);
    }
    mark_present(reading, slot_s, slot_s);
    usage->samples[usage->n_samples] = (struct usage_sample){.slot_s = slot_s};
    return &usage->samples[usage->n_samples++];
}

/* ---- models ---- */

static struct usage_model *model_at(struct usage *usage, const char *wan, const char *model)
{
    for (size_t i = 0; i < usage->n_models; i++)
        if (strcmp(usage->models[i].wan, wan) == 0 && strcmp(usage->models[i].model, model) == 0)
            return &usage->models[i];
    usage->models = reallocarray(usage->models, usage->n_models + 1, sizeof *usage->models);
    assert(usage->models != NULL);
    struct usage_model *added = &usage->models[usage->n_models++];
    *added = (struct usage_model){.packets = 0};
    snprintf(added->wan, sizeof added->wan, "%s", wan);
    snprintf(added->model, sizeof added->model, "%s", model);
    return added;
}

/* ---- rows ---- */

static int64_t billed_bytes(const struct usage_request *request, sqlite3_stmt *row)
{
    bool is_other_wan =
        request->model_wan != NULL && strcmp(request->model_wan, text_of(row, COLUMN_WAN)) != 0;
    if (request->model == NULL || is_other_wan ||
        strcmp(model_bounds_name(request->model), text_of(row, COLUMN_MODEL)) == 0)
        return sqlite3_column_int64(row, COLUMN_BILLED);
    struct model_range range;
    model_bounds_of(request->model, sqlite3_column_int64(row, COLUMN_PACKETS),
                    sqlite3_column_int64(row, COLUMN_L3), &range);
    return request->is_high ? range.high : range.low;
}

static bool is_wanted(const struct usage_request *request, const char *wan)
{
    bool is_none = strcmp(wan, "none") == 0;
    return config_tariff_covers(request->wans, wan) && (!is_none || request->wans->n > 0);
}

static void add_row(struct reading *reading, sqlite3_stmt *row)
{
    const char *wan = text_of(row, COLUMN_WAN);
    if (!is_wanted(reading->request, wan))
        return;
    int64_t billed = billed_bytes(reading->request, row);
    struct usage_model *model = model_at(reading->usage, wan, text_of(row, COLUMN_MODEL));
    model->packets += sqlite3_column_int64(row, COLUMN_PACKETS);
    model->l3_bytes += sqlite3_column_int64(row, COLUMN_L3);
    model->billed_bytes += billed;

    struct usage_sample *sample =
        sample_at(reading, sqlite3_column_int64(row, COLUMN_SLOT) / SECOND_NS);
    const char *direction = text_of(row, COLUMN_DIRECTION);
    if (strcmp(direction, "up") == 0)
        sample->up += billed;
    else if (strcmp(direction, "down") == 0)
        sample->down += billed;
    else
        sample->none += billed;
}

static void read_rows(struct database *database, struct reading *reading)
{
    const struct usage_request *request = reading->request;
    /* Rows are in order of slot and account: a look for each slot, none at what others used. */
    sqlite3_stmt *rows = database_prepare(
        database,
        "WITH RECURSIVE slot (slot_ns) AS (SELECT :from WHERE :from < :to UNION ALL "
        "SELECT slot_ns + 300000000000 FROM slot WHERE slot_ns + 300000000000 < :to) "
        "SELECT u.slot_ns, w.name, d.name, m.name, u.packets, u.l3_bytes, u.billed_bytes "
        "FROM slot CROSS JOIN usage_slot AS u ON u.slot_ns = slot.slot_ns AND u.account_id = "
        "(SELECT id FROM account WHERE name = :account) LEFT JOIN wan AS w ON w.id = u.wan_id "
        "LEFT JOIN direction AS d ON d.number = u.direction "
        "LEFT JOIN overhead_model AS m ON m.id = u.model_id WHERE u.seal < :seal "
        "AND u.class <> (SELECT number FROM class WHERE name = 'duplicate')");
    if (rows != NULL) {
        database_bind_integer(rows, ":from", reading->first_slot_s * SECOND_NS);
        database_bind_integer(rows, ":to", request->end_s * SECOND_NS);
        database_bind_text(rows, ":account", request->account);
        database_bind_integer(rows, ":seal", request->seal_before);
    }
    while (database_step(database, rows))
        add_row(reading, rows);
    sqlite3_finalize(rows);
}

/* The meter was watching from a source's first packet to its last. */
static void read_presence(struct database *database, struct reading *reading)
{
    sqlite3_stmt *rows = database_prepare(
        database, "SELECT first_ns, last_ns FROM source WHERE packets > 0 AND last_ns >= :from "
                  "AND first_ns < :to");
    if (rows != NULL) {
        database_bind_integer(rows, ":from", reading->request->begin_s * SECOND_NS);
        database_bind_integer(rows, ":to", reading->request->end_s * SECOND_NS);
    }
    while (database_step(database, rows))
        mark_present(reading, sqlite3_column_int64(rows, 0) / SECOND_NS,
                     sqlite3_column_int64(rows, 1) / SECOND_NS);
    sqlite3_finalize(rows);
}

bool usage_read(struct database *database, const struct usage_request *request, struct usage *usage)
{
    *usage = (struct usage){.n_slots = period_slots(request->begin_s, request->end_s)};
    struct reading reading = {.request = request,
                              .usage = usage,
                              .first_slot_s = period_slot_from(request->begin_s),
                              .is_present = calloc((size_t)usage->n_slots + 1, sizeof(bool))};
    assert(reading.is_present != NULL);
    read_presence(database, &reading);
    read_rows(database, &reading);
    for (int64_t i = 0; i < usage->n_slots; i++)
        usage->n_present += reading.is_present[i];
    free(reading.is_present);
    return !database->is_failed;
}

void usage_deinit(struct usage *usage)
{
    free(usage->samples);
    free(usage->models);
    *usage = (struct usage){0};
}
