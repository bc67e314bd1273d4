/* reconcile: what a WAN used in a span of time, by every counting point that there is, beside what
 * its operator says.
 *
 *     if (!reconcile_read(&database, &request, &reconciliation)) …     an error was said
 *     reconcile_rank(&reconciliation, counter);
 *     … reconciliation.points[0] … fits best
 *     reconcile_deinit(&reconciliation);
 *
 * As billed, as captured (L2) and by the models that add the same to every packet the sums are
 * exact; of other models the sums of slots say only within which bounds. */
#ifndef WANMETER_CLI_BILL_RECONCILE_H
#define WANMETER_CLI_BILL_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/bill/model_bounds.h"
#include "cli/database.h"

enum { RECONCILE_NAME_SIZE = 300 };

struct reconcile_request {
    const char *wan;
    const char *direction; /* NULL: all */
    int64_t from_ns;
    int64_t to_ns; /* slots that begin before it */
};

struct reconcile_point {
    char name[RECONCILE_NAME_SIZE];
    struct model_bounds *bounds; /* NULL: not of a model */
    int64_t low;
    int64_t high;
    bool is_billed;    /* what the bill says */
    uint64_t distance; /* to the counter */
};

struct reconciliation {
    struct reconcile_point *points;
    size_t n_points;
    int64_t packets;
    int64_t n_slots; /* with anything used */
};

bool reconcile_read(struct database *database, const struct reconcile_request *request,
                    struct reconciliation *reconciliation);

/* The nearest first; of those as near the exact ones, and those that say more. */
void reconcile_rank(struct reconciliation *reconciliation, int64_t counter);
void reconcile_deinit(struct reconciliation *reconciliation);

/* How much 'bytes' is above (or below) the counter, in millionths of it, rounded towards 0. */
int64_t reconcile_ppm(int64_t bytes, int64_t counter);

#endif
