#include "cli/bill/loss_bound.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bill/model_bounds.h"

static const int64_t SECOND_NS = 1000000000;

static int64_t known_or(sqlite3_stmt *row, int column, int64_t otherwise)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? otherwise
                                                           : sqlite3_column_int64(row, column);
}

static void copy_text(sqlite3_stmt *row, int column, char out[LOSS_BOUND_TEXT_SIZE])
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    snprintf(out, LOSS_BOUND_TEXT_SIZE, "%s", text != NULL ? text : "");
}

static void add_sum(sqlite3_stmt *row, struct loss_bound *bound)
{
    bound->sums = reallocarray(bound->sums, bound->n_sums + 1, sizeof *bound->sums);
    assert(bound->sums != NULL);
    struct loss_sum *sum = &bound->sums[bound->n_sums++];
    copy_text(row, 0, sum->stage);
    copy_text(row, 1, sum->reason);
    copy_text(row, 2, sum->certainty);
    sum->n_lines = sqlite3_column_int64(row, 3);
    sum->packets = known_or(row, 4, LOSS_BOUND_UNKNOWN);
    sum->l2_bytes = known_or(row, 5, LOSS_BOUND_UNKNOWN);
    sum->l3_bytes = known_or(row, 6, LOSS_BOUND_UNKNOWN);
}

/* What these packets may have cost at most by one model. An IP packet is not longer than its frame.
 */
static int64_t cost_of(const struct loss_sum *sum, uint32_t packet_bytes,
                       const struct model_bounds *model)
{
    struct model_range range;
    int64_t bytes = sum->l3_bytes >= 0 ? sum->l3_bytes : sum->l2_bytes;
    if (bytes < 0)
        return sum->packets * model_bounds_packet(model, packet_bytes);
    model_bounds_of(model, sum->packets, bytes, &range);
    return range.high;
}

static int64_t dearest_cost(const struct loss_sum *sum, const struct loss_bound_request *request)
{
    int64_t largest = 0;
    for (size_t i = 0; i <= request->n_models; i++) {
        struct model_bounds *bounds;
        const char *name = i < request->n_models ? request->models[i].model : "ip";
        if (model_bounds_create(name, &bounds) < 0)
            continue; /* of an older version: its name means nothing here */
        int64_t cost = cost_of(sum, request->packet_bytes, bounds);
        largest = cost > largest ? cost : largest;
        model_bounds_destroy(bounds);
    }
    return largest;
}

static void add_up(const struct loss_bound_request *request, struct loss_bound *bound)
{
    for (size_t i = 0; i < bound->n_sums; i++) {
        const struct loss_sum *sum = &bound->sums[i];
        if (sum->packets < 0) {
            bound->packets = bound->bytes = LOSS_BOUND_UNKNOWN;
            return;
        }
        if (sum->l3_bytes < 0 && sum->l2_bytes < 0)
            bound->packet_bytes = request->packet_bytes;
        bound->packets += sum->packets;
        bound->bytes += dearest_cost(sum, request);
    }
}

bool loss_bound_read(struct database *database, const struct loss_bound_request *request,
                     struct loss_bound *bound)
{
    *bound = (struct loss_bound){0};
    sqlite3_stmt *rows = database_prepare(
        database, "SELECT stage, reason, certainty, count(*), "
                  "iif(count(packets) = count(*), sum(packets), NULL), "
                  "iif(count(l2_bytes) = count(*), sum(l2_bytes), NULL), "
                  "iif(count(l3_bytes) = count(*), sum(l3_bytes), NULL) FROM loss "
                  "WHERE last_ns >= :from AND first_ns < :to GROUP BY stage, reason, certainty "
                  "ORDER BY stage, reason, certainty");
    if (rows != NULL) {
        database_bind_integer(rows, ":from", request->begin_s * SECOND_NS);
        database_bind_integer(rows, ":to", request->end_s * SECOND_NS);
    }
    while (database_step(database, rows))
        add_sum(rows, bound);
    sqlite3_finalize(rows);
    add_up(request, bound);
    return !database->is_failed;
}

void loss_bound_deinit(struct loss_bound *bound)
{
    free(bound->sums);
    *bound = (struct loss_bound){0};
}
