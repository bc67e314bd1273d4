/* finding: what wanmeter doctor looked at, what it saw, and the command that mends it.
 *
 *     struct finding *finding = finding_add(&findings, FINDING_MTU, "eth1");
 *     finding_tell(finding, FINDING_WRONG, "%u bytes", mtu);
 *     finding_mend(finding, "ip link set dev %s mtu 1500", "eth1");
 *     findings_deinit(&findings);
 *
 * A lack of memory is fatal. Not thread-safe. */
#ifndef WANMETER_CLI_DOCTOR_FINDING_H
#define WANMETER_CLI_DOCTOR_FINDING_H

#include <stddef.h>

/* What is looked at. */
enum finding_check {
    FINDING_LINK,
    FINDING_MTU,
    FINDING_PROMISCUOUS,
    FINDING_DEDICATED,
    FINDING_IPV6,
    FINDING_RECEIVE_OFFLOADS,
    FINDING_SEND_OFFLOADS,
    FINDING_VLAN_OFFLOADS,
    FINDING_FRAME_CHECK,
    FINDING_HARDWARE_FORWARDING,
    FINDING_NIC_RING,
    FINDING_CAPTURE_RING,
    FINDING_CAPTURE_PERMISSION,
    FINDING_CLOCK,
    FINDING_DATABASE,
    FINDING_RUN_DIRECTORY,
    FINDING_DISK,
    FINDING_FILE_SYSTEM,
    FINDING_CHECKS,
};

enum finding_verdict {
    FINDING_OK,
    FINDING_RISK,    /* a bill may be wrong, or packets be lost */
    FINDING_WRONG,   /* it will be, or nothing can be metered */
    FINDING_UNKNOWN, /* it could not be looked at */
    FINDING_VERDICTS,
};

struct finding {
    enum finding_check check;
    enum finding_verdict verdict;
    char *subject; /* an interface, a path, … */
    char *found;   /* what is there */
    char *mend;    /* a line for a shell, or what to do; NULL: nothing known */
};

struct findings {
    struct finding *items;
    size_t n;
};

/* Names as in output and --ignore. */
extern const char *const finding_checks[FINDING_CHECKS];
extern const char *const finding_verdicts[FINDING_VERDICTS];

/* What comes of it if it is not FINDING_OK. */
const char *finding_effect(enum finding_check check);

/* A finding that is FINDING_UNKNOWN, valid until the next one is added. */
struct finding *finding_add(struct findings *findings, enum finding_check check,
                            const char *subject);

void finding_tell(struct finding *finding, enum finding_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void finding_mend(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void findings_deinit(struct findings *findings);

#endif
