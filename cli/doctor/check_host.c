/* What all interfaces share: memory for their rings, the permission to capture, the clock. */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/supervisor/process.h"

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    LINE_SIZE = 256,
    CLOCK_ERROR_MAX_US = 1000000, /* a slot is 300 s: more than this shows on its edges */
};

/* -1: not known. */
static int64_t available_memory_bytes(void)
{
    FILE *memory = fopen("/proc/meminfo", "re");
    char line[LINE_SIZE];
    int64_t kib = -1;
    while (memory != NULL && kib < 0 && fgets(line, sizeof line, memory) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNd64 " kB", &kib) != 1)
            kib = -1;
    if (memory != NULL)
        fclose(memory);
    return kib < 0 ? -1 : kib * KIB;
}

/* Where the kernel has not enough, libpcap takes a smaller ring without a word. */
static void check_ring(struct doctor *doctor, int64_t n_workers)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_CAPTURE_RING, "capture.ring");
    int64_t ring = doctor->config->capture.ring_bytes, available = available_memory_bytes();
    if (available < 0) {
        finding_tell(finding, FINDING_UNKNOWN, "/proc/meminfo does not say what is available");
        return;
    }
    int64_t most = available / 2 / n_workers;
    enum finding_verdict verdict = ring <= most                    ? FINDING_OK
                                   : ring <= available / n_workers ? FINDING_RISK
                                                                   : FINDING_WRONG;
    finding_tell(finding, verdict,
                 "workers: %" PRId64 ", %" PRId64 " MiB each, of %" PRId64 " MiB available",
                 n_workers, ring / MIB, available / MIB);
    if (verdict != FINDING_OK && most >= MIB)
        finding_mend(finding, "capture.ring: at most %" PRId64 "MiB", most / MIB);
}

/* Has the program the capability to open packet sockets, whoever starts it? */
static bool has_capability(const char *path)
{
    struct vfs_ns_cap_data data = {0};
    ssize_t size = getxattr(path, "security.capability", &data, sizeof data);
    return size >= (ssize_t)XATTR_CAPS_SZ_2 && (data.magic_etc & VFS_CAP_FLAGS_EFFECTIVE) != 0 &&
           (data.data[0].permitted & 1u << CAP_NET_RAW) != 0;
}

/* A packet socket of protocol 0 receives nothing. */
static int try_packet_socket(void)
{
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    close(descriptor);
    return 0;
}

static void check_permission(struct doctor *doctor)
{
    char *program = process_program(PROCESS_CAPTURE);
    char *path = program == NULL ? NULL : realpath(program, NULL);
    struct finding *finding = finding_add(&doctor->findings, FINDING_CAPTURE_PERMISSION,
                                          path == NULL ? "wanmeter-capture" : path);
    int result = try_packet_socket();
    if (path == NULL)
        finding_tell(finding, FINDING_WRONG, "the program is not there");
    else if (has_capability(path))
        finding_tell(finding, FINDING_OK, "the program has CAP_NET_RAW");
    else if (result == 0)
        finding_tell(finding, FINDING_OK, "this user has CAP_NET_RAW");
    else {
        finding_tell(finding, FINDING_WRONG, "a packet socket: %s", strerror(-result));
        finding_mend(finding, "setcap cap_net_raw=ep %s", path);
    }
    free(path);
    free(program);
}

static void check_clock(struct doctor *doctor)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_CLOCK, "clock");
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    if (result < 0) {
        finding_tell(finding, FINDING_UNKNOWN, "%s", strerror(errno));
        return;
    }
    if (result != TIME_ERROR && (state.status & STA_UNSYNC) == 0) {
        bool is_near = state.maxerror <= CLOCK_ERROR_MAX_US;
        finding_tell(finding, is_near ? FINDING_OK : FINDING_RISK,
                     "synchronised, at most %ld us off", state.maxerror);
        return;
    }
    finding_tell(finding, FINDING_WRONG, "not synchronised");
    finding_mend(finding, "timedatectl set-ntp true");
}

void doctor_check_host(struct doctor *doctor, int64_t n_workers)
{
    check_ring(doctor, n_workers);
    check_permission(doctor);
    check_clock(doctor);
}
