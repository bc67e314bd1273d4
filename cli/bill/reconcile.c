#include "cli/bill/reconcile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/amount.h"
#include "common/overhead.h"

enum { COLUMN_SLOT, COLUMN_PACKETS, COLUMN_L2, COLUMN_L3, COLUMN_BILLED, COLUMN_MODEL };
enum { POINT_BILLED, POINT_CAPTURED, POINTS_OWN };

int64_t reconcile_ppm(int64_t bytes, int64_t counter)
{
    enum { PPM = 1000000 };
    if (counter == 0)
        return 0;
    amount_integer ppm = ((amount_integer)bytes - counter) * PPM / counter;
    return ppm > INT64_MAX ? INT64_MAX : ppm < INT64_MIN ? INT64_MIN : (int64_t)ppm;
}

/* Every preset whose cost depends on a packet's length only. */
static bool add_presets(struct reconciliation *reconciliation)
{
    for (size_t i = 0; i < overhead_presets_n; i++) {
        struct reconcile_point *point = &reconciliation->points[reconciliation->n_points];
        if (model_bounds_create(overhead_presets[i].name, &point->bounds) < 0)
            continue;
        if (model_bounds_has_state(point->bounds)) {
            model_bounds_destroy(point->bounds);
            point->bounds = NULL;
            continue;
        }
        snprintf(point->name, sizeof point->name, "%s", overhead_presets[i].name);
        reconciliation->n_points++;
    }
    return reconciliation->n_points > 0;
}

static void add_row(struct reconciliation *reconciliation, sqlite3_stmt *row)
{
    int64_t packets = sqlite3_column_int64(row, COLUMN_PACKETS);
    int64_t l3_bytes = sqlite3_column_int64(row, COLUMN_L3);
    int64_t billed_bytes = sqlite3_column_int64(row, COLUMN_BILLED);
    const char *model = (const char *)sqlite3_column_text(row, COLUMN_MODEL);
    struct reconcile_point *points = reconciliation->points;
    points[POINT_BILLED].low += billed_bytes;
    points[POINT_CAPTURED].low += sqlite3_column_int64(row, COLUMN_L2);
    points[POINT_BILLED].high = points[POINT_BILLED].low;
    points[POINT_CAPTURED].high = points[POINT_CAPTURED].low;
    reconciliation->packets += packets;
    for (size_t i = POINTS_OWN; i < reconciliation->n_points; i++) {
        struct model_range range = {billed_bytes, billed_bytes};
        if (model == NULL || strcmp(model, points[i].name) != 0)
            model_bounds_of(points[i].bounds, packets, l3_bytes, &range);
        points[i].low += range.low;
        points[i].high += range.high;
    }
}

static void read_rows(struct database *database, const struct reconcile_request *request,
                      struct reconciliation *reconciliation)
{
    int64_t last_slot_ns = INT64_MIN;
    sqlite3_stmt *rows = database_prepare(
        database,
        "SELECT slot_ns, sum(packets), sum(l2_bytes), sum(l3_bytes), sum(billed_bytes), model "
        "FROM usage WHERE slot_ns >= :from AND slot_ns < :to AND wan = :wan "
        "AND (:direction IS NULL OR direction = :direction) AND class <> 'duplicate' "
        "GROUP BY slot_ns, direction, l3_bytes = 0, model ORDER BY slot_ns");
    if (rows != NULL) {
        database_bind_integer(rows, ":from", request->from_ns);
        database_bind_integer(rows, ":to", request->to_ns);
        database_bind_text(rows, ":wan", request->wan);
        database_bind_text(rows, ":direction", request->direction);
    }
    while (database_step(database, rows)) {
        int64_t slot_ns = sqlite3_column_int64(rows, COLUMN_SLOT);
        reconciliation->n_slots += slot_ns != last_slot_ns;
        last_slot_ns = slot_ns;
        add_row(reconciliation, rows);
    }
    sqlite3_finalize(rows);
}

bool reconcile_read(struct database *database, const struct reconcile_request *request,
                    struct reconciliation *reconciliation)
{
    *reconciliation = (struct reconciliation){0};
    reconciliation->points =
        calloc(overhead_presets_n + POINTS_OWN, sizeof *reconciliation->points);
    assert(reconciliation->points != NULL);
    reconciliation->n_points = POINTS_OWN;
    struct reconcile_point *points = reconciliation->points;
    snprintf(points[POINT_BILLED].name, RECONCILE_NAME_SIZE, "as billed");
    points[POINT_BILLED].is_billed = true;
    snprintf(points[POINT_CAPTURED].name, RECONCILE_NAME_SIZE, "frames as captured");
    if (add_presets(reconciliation))
        read_rows(database, request, reconciliation);
    return !database->is_failed;
}

static int compare_points(const void *left, const void *right)
{
    const struct reconcile_point *a = left, *b = right;
    int64_t a_width = a->high - a->low, b_width = b->high - b->low;
    int order = (a->distance > b->distance) - (a->distance < b->distance);
    if (order == 0)
        order = (a_width > b_width) - (a_width < b_width);
    if (order == 0)
        order = (int)b->is_billed - (int)a->is_billed;
    return order != 0 ? order : strcmp(a->name, b->name);
}

/* From the middle of what it may be; half as far where it may be the counter itself. */
static uint64_t distance_of(const struct reconcile_point *point, int64_t counter)
{
    int64_t below = point->low - counter, above = counter - point->high;
    int64_t outside = below > 0 ? below : above > 0 ? above : 0;
    int64_t middle = point->low + (point->high - point->low) / 2;
    uint64_t off = (uint64_t)(middle > counter ? middle - counter : counter - middle);
    return outside > 0 ? off : off / 2;
}

void reconcile_rank(struct reconciliation *reconciliation, int64_t counter)
{
    for (size_t i = 0; i < reconciliation->n_points; i++)
        reconciliation->points[i].distance = distance_of(&reconciliation->points[i], counter);
    qsort(reconciliation->points, reconciliation->n_points, sizeof *reconciliation->points,
          compare_points);
}

void reconcile_deinit(struct reconciliation *reconciliation)
{
    for (size_t i = 0; i < reconciliation->n_points; i++)
        model_bounds_destroy(reconciliation->points[i].bounds);
    free(reconciliation->points);
    *reconciliation = (struct reconciliation){0};
}
