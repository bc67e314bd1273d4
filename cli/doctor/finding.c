#include "cli/doctor/finding.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const finding_checks[FINDING_CHECKS] = {
    [FINDING_LINK] = "link",
    [FINDING_MTU] = "mtu",
    [FINDING_PROMISCUOUS] = "promiscuous",
    [FINDING_DEDICATED] = "dedicated",
    [FINDING_IPV6] = "ipv6",
    [FINDING_RECEIVE_OFFLOADS] = "receive_offloads",
    [FINDING_SEND_OFFLOADS] = "send_offloads",
    [FINDING_VLAN_OFFLOADS] = "vlan_offloads",
    [FINDING_FRAME_CHECK] = "frame_check",
    [FINDING_HARDWARE_FORWARDING] = "hardware_forwarding",
    [FINDING_NIC_RING] = "nic_ring",
    [FINDING_CAPTURE_RING] = "capture_ring",
    [FINDING_CAPTURE_PERMISSION] = "capture_permission",
    [FINDING_CLOCK] = "clock",
    [FINDING_DATABASE] = "database",
    [FINDING_RUN_DIRECTORY] = "run_directory",
    [FINDING_DISK] = "disk",
    [FINDING_FILE_SYSTEM] = "file_system",
};

const char *const finding_verdicts[FINDING_VERDICTS] = {
    [FINDING_OK] = "ok",
    [FINDING_RISK] = "risk",
    [FINDING_WRONG] = "wrong",
    [FINDING_UNKNOWN] = "unknown",
};

static const char *const effects[FINDING_CHECKS] = {
    [FINDING_LINK] = "nothing is captured",
    [FINDING_MTU] = "longer packets are dropped before they are captured",
    [FINDING_PROMISCUOUS] = "packets between other stations are not captured",
    [FINDING_DEDICATED] = "packets that this machine sends are left out",
    [FINDING_IPV6] = "this machine's own packets are billed as if the WAN had carried them",
    [FINDING_RECEIVE_OFFLOADS] = "packets are merged before they are captured",
    [FINDING_SEND_OFFLOADS] = "packets that this machine sends are captured before they are cut",
    [FINDING_VLAN_OFFLOADS] = "a driver that takes tags off the frame may lose one",
    [FINDING_FRAME_CHECK] = "checksums or damaged frames are counted as traffic",
    [FINDING_HARDWARE_FORWARDING] = "packets that the hardware forwards are not captured",
    [FINDING_NIC_RING] = "a burst is dropped before it is captured",
    [FINDING_CAPTURE_RING] = "the kernel gives less than the configuration says",
    [FINDING_CAPTURE_PERMISSION] = "nothing is captured",
    [FINDING_CLOCK] = "packets are billed in the wrong slot or period",
    [FINDING_DATABASE] = "nothing is recorded",
    [FINDING_RUN_DIRECTORY] = "the processes cannot start",
    [FINDING_DISK] = "what does not fit is not recorded",
    [FINDING_FILE_SYSTEM] = "the database does not last, or is damaged",
};

const char *finding_effect(enum finding_check check)
{
    return effects[check];
}

struct finding *finding_add(struct findings *findings, enum finding_check check,
                            const char *subject)
{
    findings->items = reallocarray(findings->items, findings->n + 1, sizeof *findings->items);
    assert(findings->items != NULL);
    struct finding *finding = &findings->items[findings->n++];
    *finding =
        (struct finding){.check = check, .verdict = FINDING_UNKNOWN, .subject = strdup(subject)};
    assert(finding->subject != NULL);
    return finding;
}

void finding_tell(struct finding *finding, enum finding_verdict verdict, const char *format, ...)
{
    va_list arguments;
    free(finding->found);
    va_start(arguments, format);
    int length = vasprintf(&finding->found, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    finding->verdict = verdict;
}

void finding_mend(struct finding *finding, const char *format, ...)
{
    va_list arguments;
    free(finding->mend);
    va_start(arguments, format);
    int length = vasprintf(&finding->mend, format, arguments);
    va_end(arguments);
    assert(length >= 0);
}

void findings_deinit(struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++) {
        free(findings->items[i].subject);
        free(findings->items[i].found);
        free(findings->items[i].mend);
    }
    free(findings->items);
    *findings = (struct findings){0};
}
