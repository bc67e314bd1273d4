/* doctor: what of this machine would spoil a bill.
 *
 *     doctor_open(&doctor, &config);
 *     doctor_check_interface(&doctor, "eth1");        each that is captured
 *     doctor_check_host(&doctor, n_workers);          what all of them share
 *     doctor_check_storage(&doctor);                  where the database is, or will be
 *     doctor.findings
 *     doctor_close(&doctor);
 *
 * Looks and changes nothing: no interface, no file, not even the database's. Most of it needs no
 * privilege. Not thread-safe. */
#ifndef WANMETER_CLI_DOCTOR_DOCTOR_H
#define WANMETER_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/doctor/finding.h"
#include "cli/doctor/link.h"
#include "common/config.h"

struct doctor {
    const struct config *config; /* borrowed */
    struct links links;
    int descriptor; /* of a socket that ethtool's questions go through */
    struct findings findings;
};

/* 0 or -errno. */
int doctor_open(struct doctor *doctor, const struct config *config);
void doctor_close(struct doctor *doctor);

void doctor_check_interface(struct doctor *doctor, const char *interface);

/* Its offloads and those of what carries it. 'is_dedicated': this machine sends nothing over it. */
void doctor_check_offloads(struct doctor *doctor, const struct link *link, bool is_dedicated);

void doctor_check_host(struct doctor *doctor, int64_t n_workers);
void doctor_check_storage(struct doctor *doctor);

#endif
