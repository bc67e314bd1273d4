/* usage_read: what an account used in a span of time, slot by slot, from the database.
 *
 *     if (!usage_read(&database, &request, &usage)) …        an error was said
 *     usage_deinit(&usage);
 *
 * What a bill has no business with is left out: class duplicate (copies that the mirror made), and
 * WAN 'none' unless it is asked for by name. */
#ifndef WANMETER_CLI_BILL_USAGE_READ_H
#define WANMETER_CLI_BILL_USAGE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/bill/model_bounds.h"
#include "cli/database.h"
#include "common/config.h"

enum { USAGE_NAME_SIZE = 256 };

/* Billed bytes of a slot, over all WANs that were asked for. */
struct usage_sample {
    int64_t slot_s; /* its beginning, seconds since 1970 */
    int64_t up;
    int64_t down;
    int64_t none; /* of no known direction */
};

/* What one overhead model was applied to. */
struct usage_model {
    char wan[USAGE_NAME_SIZE];
    char model[USAGE_NAME_SIZE];
    int64_t packets;
    int64_t l3_bytes;
    int64_t billed_bytes;
};

struct usage {
    struct usage_sample *samples; /* slots in which anything was used, by time */
    size_t n_samples;
    struct usage_model *models;
    size_t n_models;
    int64_t n_slots;   /* of the span */
    int64_t n_present; /* of these: the meter was watching, whether or not anything was used */
};

struct usage_request {
    const char *account; /* "none": what has none */
    const struct config_text_list *wans;
    int64_t begin_s;
    int64_t end_s;                    /* exclusive */
    int64_t seal_before;              /* only rows in seals before this one */
    const struct model_bounds *model; /* NULL: as it was billed */
    const char *model_wan;            /* the WAN that the model is for; NULL: all */
    bool is_high;                     /* the upper bound of what the model makes of it */
};

bool usage_read(struct database *database, const struct usage_request *request,
                struct usage *usage);
void usage_deinit(struct usage *usage);

#endif
