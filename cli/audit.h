/* audit: what the database's audit says, for the command of that name and a run's summary.
 *
 *     if (audit_read(&database, NULL, &audit)) audit_print(&audit, stdout);
 */
#ifndef WANMETER_CLI_AUDIT_H
#define WANMETER_CLI_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/database.h"

enum audit_unit { AUDIT_PACKETS, AUDIT_L2_BYTES, AUDIT_L3_BYTES, AUDIT_UNITS };

enum { AUDIT_VERDICT_MAX = 32 };

struct audit {
    struct audit_line {
        int64_t captured;
        int64_t counted;
        int64_t lost;
        int64_t difference;
    } lines[AUDIT_UNITS];
    int64_t usage_packets;   /* with a mismatch or gaps, else 0: of the classes of flows, … */
    int64_t flow_packets;    /* … those of the flow records, */
    int64_t gap_packets;     /* what killed trackers left without a record, */
    int64_t open_packets;    /* and what running ones have not told of yet */
    bool are_flows_wrong;    /* they do not add up, in packets or bytes */
    int64_t n_wrong_sources; /* captures whose packets are not what their streams carried */
    char verdict[AUDIT_VERDICT_MAX + 1]; /* "exact", "bounded" or "mismatch" */
};

/* 'with' is what audit_pages_with() gave, or NULL. False: an error, which was logged. */
bool audit_read(struct database *database, const char *with, struct audit *audit);

/* Nothing is missing: every difference is 0, and the verdict exact or bounded. */
bool audit_is_balanced(const struct audit *audit);

/* A line a unit, and lines on what else does not add up. */
void audit_print_sums(const struct audit *audit, FILE *out);

/* The same, then the verdict. */
void audit_print(const struct audit *audit, FILE *out);

#endif
