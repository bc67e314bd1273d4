/* audit_seal: is what was sealed still what it was?
 *
 *     if (audit_seal_read(&database, &seals)) audit_seal_print(&seals, stdout);
 *     audit_seal_free(&seals);
 *
 * Reads every row of the bill once, and lets SQLite check the file's structure. A seal is
 * recomputed from its rows and compared with what is written down, and that with its own hash and
 * with the seal before. What cannot be seen from within is a chain that lacks its end: hold the
 * hash of a seal, as a bill has it, against the chain. */
#ifndef WANMETER_CLI_AUDIT_SEAL_H
#define WANMETER_CLI_AUDIT_SEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/database.h"
#include "proto/seal.h"

enum seal_fault {
    SEAL_FAULT_USAGE,    /* its usage rows are others */
    SEAL_FAULT_FLOWS,    /* its flow records are */
    SEAL_FAULT_LOSSES,   /* its loss lines are */
    SEAL_FAULT_TOTALS,   /* its counts of rows or its sums are */
    SEAL_FAULT_CHAIN,    /* it does not name the seal before */
    SEAL_FAULT_HASH,     /* its hash is not that of what it says */
    SEAL_FAULT_UNSEALED, /* there are rows of a time that is closed, but no seal */
    SEAL_FAULTS,
};

struct seal_finding {
    int64_t number;  /* of the seal */
    unsigned faults; /* bits 1 << enum seal_fault */
};

enum { SEAL_DAMAGE_SIZE = 200 };

struct seal_audit {
    char damage[SEAL_DAMAGE_SIZE]; /* what SQLite says of the file; "": it is sound */
    int64_t n_seals;
    int64_t n_pruned;              /* flow records that were deleted by age */
    struct seal_finding *findings; /* by number, one a seal */
    size_t n_findings;
    int32_t last_number; /* where there is a seal */
    char last_hash[SEAL_HEX_SIZE];
    bool has_wanted; /* the hash that was asked for is in the chain */
};

/* 'wanted_hash': the hash of a seal to look for, or NULL. False: an error, which was logged. */
bool audit_seal_read(struct database *database, const char *wanted_hash, struct seal_audit *audit);

/* No finding, and no damage. */
bool audit_seal_holds(const struct seal_audit *audit);

void audit_seal_free(struct seal_audit *audit); /* accepts a zeroed one */

/* A line for the chain, or one a finding. */
void audit_seal_print(const struct seal_audit *audit, FILE *out);

enum { AUDIT_SEAL_TEXT_SIZE = 200 };

/* "2026-01-31T12:15:00Z: usage rows, hash" */
void audit_seal_text(const struct seal_finding *finding, char text[AUDIT_SEAL_TEXT_SIZE]);

#endif
